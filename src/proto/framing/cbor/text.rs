//! Strings, in chunks or not, keys of maps, and whole items.

use std::borrow::Cow;

use super::super::transcode::{latin1, perl_float};
use super::error::CborError;
use super::head::{self, Head};

/// The head at `at`, which moves behind it.
#[inline]
pub(super) fn take_head(input: &[u8], at: &mut usize) -> Result<Head, CborError> {
    let rest = input.get(*at..).unwrap_or_default();
    match head::read(rest) {
        Ok(Some((head, len))) => {
            *at += len;
            Ok(head)
        }
        Ok(None) => Err(CborError::cut_off()),
        Err(what) => Err(CborError::new(what)),
    }
}

/// The `len` octets at `at`, which moves behind them.
#[inline]
pub(super) fn take<'de>(
    input: &'de [u8],
    at: &mut usize,
    len: u64,
) -> Result<&'de [u8], CborError> {
    let octets = usize::try_from(len)
        .ok()
        .and_then(|len| input.get(*at..)?.get(..len));
    let octets = octets.ok_or_else(CborError::cut_off)?;
    *at += octets.len();
    Ok(octets)
}

#[inline]
pub(super) fn utf8(octets: &[u8]) -> Result<&str, CborError> {
    std::str::from_utf8(octets).map_err(|_| CborError::new("a text is not UTF-8"))
}

/// The octets of the chunks at `at` up to their break, put together.
pub(super) fn take_chunks(input: &[u8], at: &mut usize, text: bool) -> Result<Vec<u8>, CborError> {
    let mut whole = Vec::new();
    loop {
        let chunk = match take_head(input, at)? {
            Head::Text(n) if text => utf8(take(input, at, n)?)?.as_bytes(),
            Head::Octets(n) if !text => take(input, at, n)?,
            Head::Break => return Ok(whole),
            _ => return Err(CborError::new("chunk of the string or break expected")),
        };
        whole.extend_from_slice(chunk);
    }
}

/// A string's characters, if `head`, which ends at `at`, is that of a string.
pub(super) fn take_str<'de>(
    input: &'de [u8],
    at: &mut usize,
    head: Head,
) -> Result<Option<Cow<'de, str>>, CborError> {
    Ok(Some(match head {
        Head::Text(n) => utf8(take(input, at, n)?)?.into(),
        Head::Octets(n) => latin1(take(input, at, n)?),
        Head::TextChunks => {
            let whole = String::from_utf8(take_chunks(input, at, true)?);
            whole.unwrap_or_default().into()
        }
        Head::OctetChunks => latin1(&take_chunks(input, at, false)?).into_owned().into(),
        _ => return Ok(None),
    }))
}

/// An array or map of indefinite length that is not complete yet.
struct Open {
    /// How many items are left around it.
    left: u64,
    map: bool,
    /// A key was there, and its value has to follow.
    key: bool,
}

/// Goes on behind the item at `at`, without recursion. Whatever passes here the scanner lets pass,
/// too, but for the limits.
pub(super) fn skip(input: &[u8], at: &mut usize) -> Result<(), CborError> {
    let mut open: Vec<Open> = Vec::new();
    // How many items are left, in the innermost container of indefinite length if there is one.
    let mut left = 1_u64;
    loop {
        if left == 0 && open.is_empty() {
            return Ok(());
        }
        let head = take_head(input, at)?;
        if left == 0
            && let Some(innermost) = open.last_mut()
        {
            if head == Head::Break {
                if innermost.key {
                    return Err(CborError::new("break behind a key"));
                }
                left = open.pop().map_or(0, |innermost| innermost.left);
                continue;
            }
            innermost.key = innermost.map && !innermost.key;
            left = 1;
        }
        left -= 1;
        match head {
            Head::Octets(n) => drop(take(input, at, n)?),
            Head::Text(n) => drop(utf8(take(input, at, n)?)?),
            Head::OctetChunks | Head::TextChunks => {
                let text = head == Head::TextChunks;
                take_chunks(input, at, text)?;
            }
            Head::Array(n) => left = left.saturating_add(n),
            Head::Map(n) => left = left.saturating_add(n).saturating_add(n),
            Head::Tag(_) => left += 1,
            Head::OpenArray | Head::OpenMap => {
                let map = head == Head::OpenMap;
                let key = false;
                open.push(Open { left, map, key });
                left = 0;
            }
            Head::Break => return Err(CborError::new("break without a beginning")),
            _ => {}
        }
    }
}

/// The text of the key at `at`, which moves behind it.
pub(super) fn key_text<'de>(input: &'de [u8], at: &mut usize) -> Result<Cow<'de, str>, CborError> {
    let head = loop {
        match take_head(input, at)? {
            Head::Tag(2 | 3 | 25 | 29) => return Err(CborError::new("a map's key is no string")),
            Head::Tag(_) => {}
            head => break head,
        }
    };
    if let Some(text) = take_str(input, at, head)? {
        return Ok(text);
    }
    Ok(match head {
        Head::Uint(n) => n.to_string().into(),
        Head::Negative(n) => (!i128::from(n)).to_string().into(),
        Head::Float(n) => perl_float(n).into(),
        Head::Bool(b) => if b { "1" } else { "0" }.into(),
        Head::Null => "".into(),
        _ => return Err(CborError::new("a map's key is no string")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skipping() {
        for (items, len) in [
            (&b"\x01\x02"[..], 1),
            (b"\x82\x01\x9f\xa1\x01\x02\xff\x07", 7),
            (b"\xc1\xbf\x61a\x5f\x41b\xff\xff\x01", 9),
            (b"\x80\x01", 1),
            (b"\x9f\x9f\xff\xff\x01", 4),
            (b"\xbf\x82\x01\x02\x9f\x03\xff\xff\x01", 8),
        ] {
            let mut at = 0;
            let result = skip(items, &mut at);
            assert_eq!((result, at), (Ok(()), len), "{}", items.escape_ascii());
        }
        for bad in [
            &b""[..],
            b"\xff",
            b"\x82\x01",
            b"\x9f\x01",
            b"\xc1",
            b"\xbf\x01\xff",
            b"\xbf\x01\x02\x9f\x03\xff\xff",
            b"\x61\xff",
            b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        ] {
            assert!(skip(bad, &mut 0).is_err(), "{}", bad.escape_ascii());
        }
    }
}
