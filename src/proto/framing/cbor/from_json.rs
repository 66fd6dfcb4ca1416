//! From JSON to CBOR, without recursion.

use super::super::transcode::{Broken, Token, count, token};
use super::error::CborError;
use super::head;
use crate::proto::framing::json::unescape;

/// Appends the elements of the JSON array `json` as items, without an array around them, and gives
/// their number.
///
/// Strings, numbers and lengths are written as [`Serializer`](super::Serializer) writes them.
/// Integers beyond 64 bits become strings of their digits, as JSON::XS reads them, and `-0` is the
/// float -0.0, as everywhere in this crate.
///
/// # Errors
///
/// [`CborError`] if `json` is not the text of a JSON array; `out` is as it was then. What only
/// [`JsonScanner`](crate::proto::framing::json::JsonScanner) would find wrong with it, such as bad
/// escapes, may pass.
///
/// ```
/// use aemp::proto::framing::cbor::json_to_cbor;
/// let mut items = Vec::new();
/// let n = json_to_cbor(&mut items, r#"["a","é",1,2.0,{"a":null}]"#.as_bytes())?;
/// assert_eq!((n, &items[..]), (5, &b"\x41a\x62\xc3\xa9\x01\xfa\x40\x00\x00\x00\xa1\x41a\xf6"[..]));
/// # Ok::<(), aemp::proto::framing::cbor::CborError>(())
/// ```
pub fn json_to_cbor(out: &mut Vec<u8>, json: &[u8]) -> Result<usize, CborError> {
    let text = json.trim_ascii_start();
    if text.first() != Some(&b'[') {
        return Err(CborError::new("a JSON array expected"));
    }
    let start = out.len();
    let counts = count(json, |_| false)?;
    let elements = counts.first().copied().unwrap_or_default();
    let result = write(out, json, &counts[1..], json.len() - text.len() + 1);
    if result.is_err() {
        out.truncate(start);
    }
    result.map(|()| elements as usize)
}

/// Appends the JSON value `json` as one item.
pub(super) fn value(out: &mut Vec<u8>, json: &[u8]) -> Result<(), CborError> {
    let start = out.len();
    let counts = count(json, |_| false)?;
    let result = write(out, json, &counts, 0);
    if result.is_err() {
        out.truncate(start);
    }
    result
}

impl From<Broken> for CborError {
    fn from(_: Broken) -> Self {
        Self::new("broken JSON")
    }
}

fn write(out: &mut Vec<u8>, json: &[u8], counts: &[u32], from: usize) -> Result<(), CborError> {
    let mut counts = counts.iter();
    let mut at = from;
    while let Some(token) = token(json, &mut at)? {
        match token {
            Token::Close(_) => {}
            Token::Open(bracket) => {
                let kind = if bracket == b'{' {
                    head::MAP
                } else {
                    head::ARRAY
                };
                let n = counts.next().copied().unwrap_or_default();
                head::write(out, kind, n.into());
            }
            Token::String(raw) => match std::str::from_utf8(raw) {
                Ok(text) if memchr::memchr(b'\\', raw).is_none() => head::write_str(out, text),
                _ => head::write_str(out, &unescape(raw)),
            },
            Token::Scalar(b"true") => out.push(head::TRUE),
            Token::Scalar(b"false") => out.push(head::FALSE),
            Token::Scalar(b"null") => out.push(head::NULL),
            Token::Scalar(text) => number(out, text)?,
        }
    }
    Ok(())
}

fn number(out: &mut Vec<u8>, text: &[u8]) -> Result<(), CborError> {
    let Ok(text) = std::str::from_utf8(text) else {
        return Err(Broken.into());
    };
    let digits = text.strip_prefix('-').unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(Broken.into());
    }
    if text == "-0" {
        head::write_f64(out, -0.0);
    } else if let Ok(n) = text.parse() {
        head::write(out, head::UINT, n);
    } else if let Ok(n) = text.parse() {
        head::write_i64(out, n);
    } else if digits.bytes().all(|c| c.is_ascii_digit()) {
        head::write_str(out, text);
    } else if let Ok(n) = text.parse() {
        head::write_f64(out, n);
    } else {
        return Err(Broken.into());
    }
    Ok(())
}
