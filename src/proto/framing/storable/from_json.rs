//! From JSON to an image, without recursion.

use super::super::json::unescape;
use super::super::transcode::{Broken, SPECIAL, Token, count, octets, perl_float, token};
use super::error::StorableError;
use super::mark;

/// The format of the images: 2.11, in network order.
const HEADER: [u8; 2] = [5, 11];

/// Appends the message in the JSON array `json`, destination and all, as an image.
///
/// See the [module's documentation](super) for what becomes what.
///
/// # Errors
///
/// [`StorableError`] if `json` is not the text of a JSON array, or more than Storable holds; `out`
/// is as it was then. What only [`JsonScanner`](crate::proto::framing::json::JsonScanner) would
/// find wrong with it, such as bad escapes, may pass.
///
/// ```
/// use aemp::proto::framing::storable::json_to_storable;
/// let mut image = Vec::new();
/// json_to_storable(&mut image, r#"["a.b",1,"☺",[]]"#.as_bytes())?;
/// assert_eq!(image, b"\x05\x0b\x02\0\0\0\x04\x0a\x03a.b\x08\x81\x17\x03\xe2\x98\xba\x04\x02\0\0\0\0");
/// # Ok::<(), aemp::proto::framing::storable::StorableError>(())
/// ```
pub fn json_to_storable(out: &mut Vec<u8>, json: &[u8]) -> Result<(), StorableError> {
    let start = out.len();
    let result = write(out, json);
    if result.is_err() {
        out.truncate(start);
    }
    result
}

/// Appends the same message as it goes over a link: with its length in front.
///
/// # Errors
///
/// As for [`json_to_storable`].
///
/// ```
/// use aemp::proto::framing::storable::write_message;
/// let mut out = Vec::new();
/// write_message(&mut out, b"[]")?;
/// assert_eq!(out, b"\x07\x05\x0b\x02\0\0\0\0");
/// # Ok::<(), aemp::proto::framing::storable::StorableError>(())
/// ```
pub fn write_message(out: &mut Vec<u8>, json: &[u8]) -> Result<(), StorableError> {
    let start = out.len();
    json_to_storable(out, json)?;
    let mut rest = out.len() - start;
    let mut length = [0; 10];
    let mut at = length.len() - 1;
    length[at] = (rest & 0x7f) as u8;
    while rest >= 0x80 {
        rest >>= 7;
        at -= 1;
        length[at] = (rest & 0x7f) as u8 | 0x80;
    }
    out.splice(start..start, length[at..].iter().copied());
    Ok(())
}

/// An array or object that is not complete yet.
struct Open<'a> {
    left: u32,
    object: bool,
    /// The keys have flags.
    flags: bool,
    /// The key of the value that comes next, if it was read.
    key: Option<&'a [u8]>,
}

fn write(out: &mut Vec<u8>, json: &[u8]) -> Result<(), StorableError> {
    let broken = |at| StorableError::new(at, "broken JSON");
    if json.trim_ascii_start().first() != Some(&b'[') {
        return StorableError::new(0, "a JSON array expected");
    }
    let Ok(counts) = count(json, is_wide) else {
        return broken(0);
    };
    out.extend_from_slice(&HEADER);
    let mut counts = counts.into_iter();
    let mut open: Vec<Open<'_>> = Vec::new();
    let mut at = 0;
    loop {
        let before = at;
        let token = match token(json, &mut at) {
            Ok(Some(token)) => token,
            Ok(None) => return Ok(()),
            Err(Broken) => return broken(before),
        };
        if let Some(inner) = open.last_mut()
            && inner.object
            && inner.key.is_none()
            && let Token::String(key) = token
        {
            inner.key = Some(key);
            continue;
        }
        match token {
            Token::Open(bracket) => {
                let n = counts.next().unwrap_or_default();
                let (object, flags) = (bracket == b'{', n & SPECIAL != 0);
                let left = n & !SPECIAL;
                if !open.is_empty() {
                    out.push(mark::REF);
                }
                match (object, flags) {
                    (false, _) => out.push(mark::ARRAY),
                    (true, false) => out.push(mark::HASH),
                    (true, true) => out.extend_from_slice(&[mark::FLAG_HASH, 0]),
                }
                out.extend_from_slice(&left.to_be_bytes());
                let key = None;
                open.push(Open {
                    left,
                    object,
                    flags,
                    key,
                });
                continue;
            }
            // It was counted, so it closes the innermost.
            Token::Close(_) => drop(open.pop()),
            Token::String(raw) => {
                if write_str(out, &unescape(raw)).is_none() {
                    return StorableError::new(before, "string of more than 4 GiB");
                }
            }
            Token::Scalar(text) => {
                if scalar(out, text).is_none() {
                    return broken(before);
                }
            }
        }
        // A value is complete: its key follows.
        if let Some(outer) = open.last_mut() {
            outer.left = outer.left.saturating_sub(1);
            if let Some(key) = outer.key.take()
                && write_key(out, &unescape(key), outer.flags).is_none()
            {
                return StorableError::new(before, "key of more than 4 GiB");
            }
        }
    }
}

/// Has the string, given by what stands between its quotes, characters beyond U+00FF?
fn is_wide(raw: &[u8]) -> bool {
    (!raw.is_ascii() || memchr::memmem::find(raw, b"\\u").is_some())
        && unescape(raw).chars().any(|c| c > '\u{ff}')
}

fn write_str(out: &mut Vec<u8>, text: &str) -> Option<()> {
    let (latin1, short, long) = match octets(text) {
        Some(octets) => (Some(octets), mark::OCTETS, mark::LONG_OCTETS),
        None => (None, mark::TEXT, mark::LONG_TEXT),
    };
    let octets = latin1.as_deref().unwrap_or(text.as_bytes());
    match u8::try_from(octets.len()) {
        Ok(len) => out.extend_from_slice(&[short, len]),
        Err(_) => {
            out.push(long);
            out.extend_from_slice(&u32::try_from(octets.len()).ok()?.to_be_bytes());
        }
    }
    out.extend_from_slice(octets);
    Some(())
}

fn write_key(out: &mut Vec<u8>, key: &str, flags: bool) -> Option<()> {
    let latin1 = octets(key);
    if flags {
        out.push(u8::from(latin1.is_none()));
    }
    let octets = latin1.as_deref().unwrap_or(key.as_bytes());
    out.extend_from_slice(&u32::try_from(octets.len()).ok()?.to_be_bytes());
    out.extend_from_slice(octets);
    Some(())
}

/// A number or a word. Perl writes whole numbers of up to 32 bits as such and all others as
/// strings.
fn scalar(out: &mut Vec<u8>, text: &[u8]) -> Option<()> {
    match text {
        b"true" => return integer(out, 1),
        b"false" => return integer(out, 0),
        b"null" => {
            out.push(mark::UNDEF);
            return Some(());
        }
        _ => {}
    }
    let text = std::str::from_utf8(text).ok()?;
    let digits = text.strip_prefix('-').unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if digits.bytes().all(|c| c.is_ascii_digit()) {
        return match text.parse() {
            Ok(n) => integer(out, n),
            Err(_) => write_str(out, text),
        };
    }
    let value: f64 = text.parse().ok()?;
    // Exact, and whole as an integer is.
    if value.trunc() == value && value.abs() <= 9_007_199_254_740_992.0 {
        return match i32::try_from(value as i64) {
            Ok(n) => integer(out, n),
            Err(_) => write_str(out, &(value as i64).to_string()),
        };
    }
    // At most 15 digits, without an exponent: that is how Perl shows it.
    let is_short = digits.len() <= 16 && digits.bytes().all(|c| c.is_ascii_digit() || c == b'.');
    if is_short && !digits.ends_with('0') && value.abs() >= 1e-4 {
        return write_str(out, text);
    }
    let shown = perl_float(value);
    let exact = shown.parse() == Ok(value);
    write_str(out, if exact { &shown } else { text })
}

fn integer(out: &mut Vec<u8>, n: i32) -> Option<()> {
    match u8::try_from(n.saturating_add(128)) {
        Ok(byte) => out.extend_from_slice(&[mark::BYTE, byte]),
        Err(_) => {
            out.push(mark::NETINT);
            out.extend_from_slice(&n.to_be_bytes());
        }
    }
    Some(())
}
