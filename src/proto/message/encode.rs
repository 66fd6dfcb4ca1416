//! Messages to octets.

use serde::Serialize;

use super::json;
use super::variant::Whole;
use crate::proto::Framing;
use crate::proto::framing::json::write_str;
use crate::proto::framing::{cbor, storable};

/// Why something can't be sent as a message.
///
/// ```
/// use aemp::proto::message::EncodeError;
/// let error = aemp::Message::encode("text").unwrap_err();
/// assert!(matches!(error, EncodeError::NotASequence { found } if found == "\"text\""));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A message is a list of values.
    #[error(
        "a message must be a sequence of values, such as a tuple, a list or an enum, not {found}"
    )]
    NotASequence {
        /// The JSON text that it serialised to, at most 40 characters of it.
        found: String,
    },
    /// Serialising failed.
    #[error("a message element can't be sent: {0}")]
    Unserialisable(#[from] serde_json::Error),
    /// The link's framing does not hold the message.
    #[error("a message can't be sent in {framing} framing: {problem}")]
    Framing {
        /// The framing.
        framing: Framing,
        /// What is wrong.
        problem: String,
    },
}

/// Appends the message `args` to the port `name`, as it goes over a link in that framing.
///
/// # Errors
///
/// [`EncodeError`]; `out` is as it was then.
///
/// ```
/// use aemp::proto::{Framing, message::encode_in};
/// let mut out = Vec::new();
/// encode_in(&mut out, Framing::Cbor, "a.b", &("test", 123))?;
/// assert_eq!(out, b"\x83\x43a.b\x44test\x18\x7b");
/// # Ok::<(), aemp::proto::message::EncodeError>(())
/// ```
#[inline]
pub fn encode_in<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    framing: Framing,
    name: &str,
    args: &T,
) -> Result<(), EncodeError> {
    match framing {
        Framing::Json => encode_to(out, name, args),
        Framing::Cbor => match cbor::encode_to(out, name, &Whole(args)) {
            Ok(()) => Ok(()),
            // What can be sent does not depend on the link, nor what an error says.
            Err(_) => encode_by_json(out, framing, name, args),
        },
        Framing::Storable => encode_by_json(out, framing, name, args),
    }
}

#[cold]
fn encode_by_json<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    framing: Framing,
    name: &str,
    args: &T,
) -> Result<(), EncodeError> {
    let mut json = Vec::with_capacity(64);
    encode_to(&mut json, name, args)?;
    json_in(out, framing, &json)
}

/// Appends the message in the JSON array `json`, destination and all, as it goes over a link in
/// that framing.
///
/// # Errors
///
/// [`EncodeError::Framing`] if the framing does not hold it, or `json` is no array; `out` is as it
/// was then.
///
/// ```
/// use aemp::proto::{Framing, message::json_in};
/// let mut out = Vec::new();
/// json_in(&mut out, Framing::Cbor, br#"["a.b","test",123]"#)?;
/// assert_eq!(out, b"\x83\x43a.b\x44test\x18\x7b");
/// # Ok::<(), aemp::proto::message::EncodeError>(())
/// ```
pub fn json_in(out: &mut Vec<u8>, framing: Framing, json: &[u8]) -> Result<(), EncodeError> {
    let error = |problem: &dyn ToString| EncodeError::Framing {
        framing,
        problem: problem.to_string(),
    };
    match framing {
        Framing::Json => {
            out.extend_from_slice(json);
            Ok(())
        }
        Framing::Cbor => cbor::write_message(out, json).map_err(|e| error(&e)),
        Framing::Storable => storable::write_message(out, json).map_err(|e| error(&e)),
    }
}

/// Appends `args` to `out` as the text of a JSON array. `()` is the empty message.
///
/// # Errors
///
/// [`EncodeError`]; `out` is as it was then.
///
/// ```
/// let mut out = Vec::new();
/// aemp::proto::message::encode_args(&mut out, &("test", 123, [true]))?;
/// assert_eq!(out, br#"["test",123,[true]]"#);
/// # Ok::<(), aemp::proto::message::EncodeError>(())
/// ```
#[inline]
pub fn encode_args<T: Serialize + ?Sized>(out: &mut Vec<u8>, args: &T) -> Result<(), EncodeError> {
    let start = out.len();
    if let Err(error) = json::write(out, &Whole(args)) {
        out.truncate(start);
        return Err(error.into());
    }
    match &out[start..] {
        [b'[', ..] => Ok(()),
        b"null" => {
            out.truncate(start);
            out.extend_from_slice(b"[]");
            Ok(())
        }
        other => {
            let found = String::from_utf8_lossy(other).chars().take(40).collect();
            out.truncate(start);
            Err(EncodeError::NotASequence { found })
        }
    }
}

/// Appends a text as one more element to the message that begins at `start` and that
/// [`encode_in`] has written last, or [`encode_local`], which is CBOR. False if that can't be done
/// in place; nothing has changed then.
#[cfg(feature = "node")]
pub(crate) fn append_text(out: &mut Vec<u8>, start: usize, framing: Framing, text: &str) -> bool {
    match (framing, out.get_mut(start..)) {
        // The destination stands before all elements, so there is something before the comma.
        (Framing::Json, Some([b'[', .., end @ b']'])) => {
            *end = b',';
            write_str(out, text);
            out.push(b']');
            true
        }
        // A short array: its length is in its head.
        (Framing::Cbor, Some([head @ 0x80..=0x96, ..])) => {
            *head += 1;
            cbor::write_text(out, text);
            true
        }
        _ => false,
    }
}

/// Appends `args` as a message within a node: an array in CBOR, which is the quickest to write and
/// to read.
///
/// # Errors
///
/// [`EncodeError`], as [`encode_args`] has it; `out` is as it was then.
#[cfg(feature = "node")]
#[inline]
pub(crate) fn encode_local<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    args: &T,
) -> Result<(), EncodeError> {
    let start = out.len();
    if Whole(args).serialize(cbor::Serializer::new(out)).is_ok()
        && let Some(0x80..=0x9f) = out.get(start)
    {
        return Ok(());
    }
    out.truncate(start);
    encode_local_by_json(out, args)
}

/// What can be sent does not depend on the way, nor what an error says.
#[cfg(feature = "node")]
#[cold]
fn encode_local_by_json<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    args: &T,
) -> Result<(), EncodeError> {
    let mut json = Vec::with_capacity(64);
    encode_args(&mut json, args)?;
    json_in(out, Framing::Cbor, &json)
}

/// Appends the message `args` to the port `name`, as it goes over a link in JSON framing.
///
/// # Errors
///
/// [`EncodeError`]; `out` is as it was then.
///
/// ```
/// let mut out = Vec::new();
/// aemp::proto::message::encode_to(&mut out, "a.b", &("test", 123))?;
/// aemp::proto::message::encode_to(&mut out, "", &())?;
/// assert_eq!(out, br#"["a.b","test",123][""]"#);
/// # Ok::<(), aemp::proto::message::EncodeError>(())
/// ```
#[inline]
pub fn encode_to<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    name: &str,
    args: &T,
) -> Result<(), EncodeError> {
    let start = out.len();
    out.push(b'[');
    write_str(out, name);
    let at = out.len();
    if let Err(error) = encode_args(out, args) {
        out.truncate(start);
        return Err(error);
    }
    // The arguments' opening bracket becomes the comma behind the destination.
    match out[at + 1..].trim_ascii_start().first() {
        Some(b']') => drop(out.drain(at..=at)),
        _ => out[at] = b',',
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_sequences() {
        let mut out = b"x".to_vec();
        for bad in [json!(1), json!("a"), json!({"a": 1}), json!(true)] {
            assert!(encode_to(&mut out, "p", &bad).is_err(), "{bad}");
            assert_eq!(out, b"x");
        }
        let broken = std::collections::HashMap::from([((1, 2), 3)]);
        assert!(matches!(
            encode_to(&mut out, "p", &(broken,)),
            Err(EncodeError::Unserialisable(_))
        ));
        assert_eq!(out, b"x");
    }

    #[test]
    fn numbers_are_perls() {
        let mut out = Vec::new();
        let values = json!([-0.0, 0.0, 1e20, 0.1, 2.0, u64::MAX, i64::MIN]);
        encode_args(&mut out, &values).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(
            text,
            "[-0,0.0,1e+20,0.1,2.0,18446744073709551615,-9223372036854775808]"
        );
        let back: Vec<f64> = serde_json::from_str(&text).unwrap();
        assert!(back[0] == 0.0 && back[0].is_sign_negative());
    }

    #[test]
    fn names_are_escaped() {
        let mut out = Vec::new();
        encode_to(&mut out, "a\"b", &[1, 2]).unwrap();
        assert_eq!(out, br#"["a\"b",1,2]"#);
    }
}

#[cfg(all(test, feature = "node"))]
mod appended {
    use super::*;
    use crate::proto::message::Incoming;
    use crate::proto::{Limits, Message};
    use proptest::prelude::*;
    use serde_json::Value;

    /// The destination and the values of the one message.
    fn read(octets: &[u8], framing: Framing) -> (String, Vec<Value>) {
        let mut block = octets.into();
        let mut incoming = Incoming::new(framing, Limits::default());
        let arrived = incoming.next(&mut block).unwrap().unwrap();
        assert!(incoming.next(&mut block).unwrap().is_none());
        (arrived.name.unwrap(), arrived.message.values())
    }

    proptest! {
        /// An element that is appended in place is there as if it had been encoded with the others.
        #[test]
        fn a_text_is_one_more_element(
            args in prop::collection::vec("[a-c\"\u{e9}\u{263a}]{0,30}", 0..30),
            name in "[a-z.]{0,9}",
            text in "[a-z#/\\\\\"\u{e9}\u{263a}]{0,40}",
        ) {
            let values = |args: &[String]| -> Vec<Value> {
                let all = args.iter().chain([&text]);
                all.map(|text| Value::from(text.as_str())).collect()
            };
            for framing in Framing::ALL {
                let mut out = b"before".to_vec();
                encode_in(&mut out, framing, &name, &args).unwrap();
                let before = out.clone();
                if append_text(&mut out, 6, framing, &text) {
                    prop_assert_eq!(&out[..6], b"before");
                    prop_assert_eq!(read(&out[6..], framing), (name.clone(), values(&args)));
                } else {
                    prop_assert_eq!(out, before);
                    // The destination is an element as well.
                    prop_assert!(framing == Framing::Storable || args.len() + 1 > 22);
                }
            }
            let mut array = Vec::new();
            encode_local(&mut array, &args).unwrap();
            if append_text(&mut array, 0, Framing::Cbor, &text) {
                prop_assert_eq!(Message::from_local(&array).values(), values(&args));
            } else {
                prop_assert!(args.len() > 22);
            }
        }
    }
}
