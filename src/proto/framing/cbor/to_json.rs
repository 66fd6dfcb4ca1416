//! From CBOR to JSON, without recursion.

use super::error::CborError;
use super::head::Head;
use super::text::{key_text, take, take_chunks, take_head, take_str};
use crate::proto::framing::json::write_str;

/// The name by which serde_json's `RawValue` asks for the text of a value.
pub(super) const RAW_VALUE: &str = "$serde_json::private::RawValue";

/// Longer big numbers are refused: writing them takes time that grows with their square.
const LONGEST_NUMBER: usize = 256;

/// Appends the elements of a message, `items`, as the text of a JSON array.
///
/// Octet strings become text by Latin-1, one character an octet. Integers and floats stay what they
/// are; NaN and the infinities, which JSON does not have, become `null`. Tags are dropped, but for
/// big numbers, which are written in full. Keys of maps are made strings as Perl does.
///
/// # Errors
///
/// [`CborError`] if the items are broken, or have no JSON: references to other parts of the message
/// (tags 25 and 29), keys that are arrays, maps or undefined, and numbers of more than 256 octets.
/// `out` is as it was then.
///
/// ```
/// use aemp::proto::framing::cbor::cbor_to_json;
/// let mut json = Vec::new();
/// cbor_to_json(&mut json, b"\x44caf\xe9\x62\xc3\xa9\x01\xfa\x40\x00\x00\x00\xa1\x41a\xf6")?;
/// assert_eq!(json, r#"["café","é",1,2.0,{"a":null}]"#.as_bytes());
/// # Ok::<(), aemp::proto::framing::cbor::CborError>(())
/// ```
pub fn cbor_to_json(out: &mut Vec<u8>, items: &[u8]) -> Result<(), CborError> {
    let start = out.len();
    out.push(b'[');
    let mut at = 0;
    let mut result = Ok(());
    while at < items.len() && result.is_ok() {
        if at > 0 {
            out.push(b',');
        }
        result = write_item(out, items, &mut at);
    }
    match result {
        Ok(()) => out.push(b']'),
        Err(_) => out.truncate(start),
    }
    result
}

/// Appends the one item `item` as JSON.
pub(crate) fn item(out: &mut Vec<u8>, item: &[u8]) -> Result<(), CborError> {
    write_item(out, item, &mut 0)
}

/// An array or map that is not complete yet.
struct Open {
    map: bool,
    /// How many items or pairs are left, `None` if a break tells.
    left: Option<u64>,
    empty: bool,
}

fn write_item(out: &mut Vec<u8>, input: &[u8], at: &mut usize) -> Result<(), CborError> {
    let mut open: Vec<Open> = Vec::new();
    loop {
        // Which value comes next?
        if let Some(inner) = open.last_mut() {
            let ended = match &mut inner.left {
                Some(0) => true,
                Some(left) => {
                    *left -= 1;
                    false
                }
                None if input.get(*at) == Some(&0xff) => {
                    *at += 1;
                    true
                }
                None => false,
            };
            if ended {
                out.push(if inner.map { b'}' } else { b']' });
                open.pop();
                if open.is_empty() {
                    return Ok(());
                }
                continue;
            }
            if !std::mem::take(&mut inner.empty) {
                out.push(b',');
            }
            if inner.map {
                write_str(out, &key_text(input, at)?);
                out.push(b':');
            }
        }
        let (head, tag) = tagged_head(input, at)?;
        let container = match head {
            _ if matches!(tag, Some(2 | 3)) => {
                big_number(out, input, at, head, tag == Some(3))?;
                None
            }
            Head::Array(n) => Some((false, Some(n))),
            Head::OpenArray => Some((false, None)),
            Head::Map(n) => Some((true, Some(n))),
            Head::OpenMap => Some((true, None)),
            _ => {
                scalar(out, input, at, head)?;
                None
            }
        };
        if let Some((map, left)) = container {
            out.push(if map { b'{' } else { b'[' });
            open.push(Open {
                map,
                left,
                empty: true,
            });
        }
        if open.is_empty() {
            return Ok(());
        }
    }
}

/// The next head behind any tags, and the last of these.
fn tagged_head(input: &[u8], at: &mut usize) -> Result<(Head, Option<u64>), CborError> {
    let mut tag = None;
    loop {
        match take_head(input, at)? {
            Head::Tag(n @ (25 | 29)) => {
                return Err(CborError::new(format!(
                    "a reference to another part of the message (tag {n}) has no JSON"
                )));
            }
            Head::Tag(n) => tag = Some(n),
            head => return Ok((head, tag)),
        }
    }
}

fn scalar(out: &mut Vec<u8>, input: &[u8], at: &mut usize, head: Head) -> Result<(), CborError> {
    if let Head::Octets(n) | Head::Text(n) = head {
        // Most strings need no escapes.
        let start = *at;
        let octets = take(input, at, n)?;
        if octets
            .iter()
            .all(|&c| matches!(c, b' '..=b'~') && c != b'"' && c != b'\\')
        {
            out.push(b'"');
            out.extend_from_slice(octets);
            out.push(b'"');
            return Ok(());
        }
        *at = start;
    }
    match take_str(input, at, head)? {
        Some(text) => write_str(out, &text),
        None => match head {
            Head::Uint(n) => integer(out, i128::from(n)),
            Head::Negative(n) => integer(out, !i128::from(n)),
            Head::Float(n) => float(out, n)?,
            Head::Bool(true) => out.extend_from_slice(b"true"),
            Head::Bool(false) => out.extend_from_slice(b"false"),
            Head::Null | Head::Undefined => out.extend_from_slice(b"null"),
            _ => return Err(CborError::new("break without a beginning")),
        },
    }
    Ok(())
}

fn integer(out: &mut Vec<u8>, mut value: i128) {
    if value < 0 {
        out.push(b'-');
        value = -value;
    }
    let start = out.len();
    loop {
        out.push(b'0' + (value % 10) as u8);
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out[start..].reverse();
}

/// A float as this crate's messages have it, see `encode_args`.
fn float(out: &mut Vec<u8>, value: f64) -> Result<(), CborError> {
    if value == 0.0 && value.is_sign_negative() {
        out.extend_from_slice(b"-0");
        return Ok(());
    }
    serde_json::to_writer(out, &value).map_err(|e| CborError::new(e.to_string()))
}

fn big_number(
    out: &mut Vec<u8>,
    input: &[u8],
    at: &mut usize,
    head: Head,
    negative: bool,
) -> Result<(), CborError> {
    let digits = match head {
        Head::Octets(n) => take(input, at, n)?.to_vec(),
        Head::OctetChunks => take_chunks(input, at, false)?,
        _ => return Err(CborError::new("a big number is not made of octets")),
    };
    let first = digits.iter().position(|&d| d != 0).unwrap_or(digits.len());
    let mut digits = digits[first..].to_vec();
    if digits.len() > LONGEST_NUMBER {
        return Err(CborError::new("a number of more than 256 octets"));
    }
    if negative {
        // It stands for -1 - n.
        let carried = digits.iter_mut().rev().any(|d| {
            *d = d.wrapping_add(1);
            *d != 0
        });
        if !carried {
            digits.insert(0, 1);
        }
        out.push(b'-');
    }
    // Division by ten, as on paper, the last digit first.
    let start = out.len();
    loop {
        let rest = digits.iter_mut().fold(0, |rest, d| {
            let value = rest << 8 | u32::from(*d);
            *d = (value / 10) as u8;
            value % 10
        });
        out.push(b'0' + rest as u8);
        if digits.iter().all(|&d| d == 0) {
            break;
        }
    }
    out[start..].reverse();
    Ok(())
}
