//! Whole messages.

use serde::Serialize;

use super::error::CborError;
use super::from_json::json_to_cbor;
use super::head::{self, Head};
use super::ser::Serializer;
use super::text::take_head;

/// Appends `args` as the elements of a message, items without an array around them, and gives their
/// number. `()` is no elements.
///
/// # Errors
///
/// [`CborError`] if `args` is no sequence or does not serialise; `out` is as it was then.
///
/// ```
/// use aemp::proto::framing::cbor::encode_elements;
/// let mut out = Vec::new();
/// assert_eq!(encode_elements(&mut out, &("test", 123, [true]))?, 3);
/// assert_eq!(out, b"\x44test\x18\x7b\x81\xf5");
/// assert_eq!(encode_elements(&mut out, &())?, 0);
/// assert!(encode_elements(&mut out, "text").is_err());
/// # Ok::<(), aemp::proto::framing::cbor::CborError>(())
/// ```
pub fn encode_elements<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    args: &T,
) -> Result<usize, CborError> {
    let start = out.len();
    let result = args
        .serialize(Serializer::new(out))
        .and_then(|()| headless(out, start));
    if result.is_err() {
        out.truncate(start);
    }
    result
}

/// Takes the head off the array that starts at `start`, and gives the number that it says.
fn headless(out: &mut Vec<u8>, start: usize) -> Result<usize, CborError> {
    let mut at = start;
    let n = match take_head(out, &mut at)? {
        Head::Array(n) => n as usize,
        Head::Null => 0,
        _ => {
            return Err(CborError::new(
                "a message must be a sequence of values, such as a tuple or a list",
            ));
        }
    };
    out.drain(start..at);
    Ok(n)
}

/// Appends the start of a message to the port `name`, behind which `elements` elements have to
/// follow.
///
/// ```
/// use aemp::proto::framing::cbor::write_start;
/// let mut out = Vec::new();
/// write_start(&mut out, "a.b", 1);
/// assert_eq!(out, b"\x82\x43a.b");
/// ```
pub fn write_start(out: &mut Vec<u8>, name: &str, elements: usize) {
    head::write(out, head::ARRAY, elements as u64 + 1);
    head::write_str(out, name);
}

/// Appends the message in the JSON array `json`, destination and all, as it goes over a link in
/// CBOR framing.
///
/// # Errors
///
/// As for [`json_to_cbor`].
///
/// ```
/// use aemp::proto::framing::cbor::write_message;
/// let mut out = Vec::new();
/// write_message(&mut out, br#"["a.b","test",123]"#)?;
/// write_message(&mut out, b"[]")?;
/// assert_eq!(out, b"\x83\x43a.b\x44test\x18\x7b\x80");
/// # Ok::<(), aemp::proto::framing::cbor::CborError>(())
/// ```
pub fn write_message(out: &mut Vec<u8>, json: &[u8]) -> Result<(), CborError> {
    let start = out.len();
    out.push(head::ARRAY);
    match json_to_cbor(out, json) {
        Ok(elements) => set_start(out, start, elements),
        Err(error) => {
            out.truncate(start);
            return Err(error);
        }
    }
    Ok(())
}

/// Appends the message `args` to the port `name`, as it goes over a link in CBOR framing.
///
/// # Errors
///
/// [`CborError`] if `args` is no sequence or does not serialise; `out` is as it was then.
///
/// ```
/// use aemp::proto::framing::cbor::encode_to;
/// let mut out = Vec::new();
/// encode_to(&mut out, "a.b", &("test", 123))?;
/// encode_to(&mut out, "", &())?;
/// assert_eq!(out, b"\x83\x43a.b\x44test\x18\x7b\x81\x40");
/// # Ok::<(), aemp::proto::framing::cbor::CborError>(())
/// ```
#[inline]
pub fn encode_to<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    name: &str,
    args: &T,
) -> Result<(), CborError> {
    let start = out.len();
    write_start(out, name, 0);
    let behind = out.len();
    let mut result = args.serialize(Serializer::message(out, start));
    if result.is_ok() && out.len() > behind && out[start] == head::ARRAY + 1 {
        // No list that was counted: it may be an array that was written as a whole.
        result = headless(out, behind).map(|elements| set_start(out, start, elements + 1));
    }
    if result.is_err() {
        out.truncate(start);
    }
    result
}

/// Has the head of the array that starts at `start`, one octet, say that so many elements follow.
fn set_start(out: &mut Vec<u8>, start: usize, elements: usize) {
    let (new, len) = head::encode(head::ARRAY, elements as u64);
    if len == 1 {
        out[start] = new[0];
    } else {
        out.splice(start..start + 1, new[..len].iter().copied());
    }
}
