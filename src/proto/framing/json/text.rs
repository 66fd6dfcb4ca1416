//! Single strings: reading and writing their escapes.

use std::borrow::Cow;

use bytes::BufMut;

use super::token::literal_run;

/// The value of a JSON string, given what stands between its quotes.
///
/// Made for strings that [`JsonScanner`](super::JsonScanner) has checked. In others, escapes
/// that do not exist and bad UTF-8 come out as U+FFFD, the replacement character. Borrows if
/// there is no backslash.
///
/// ```
/// use aemp::proto::framing::json::unescape;
/// assert_eq!(unescape(br"a\tb \u00e9\ud83d\ude00"), "a\tb é😀");
/// ```
pub fn unescape(raw: &[u8]) -> Cow<'_, str> {
    let Some(first) = memchr::memchr(b'\\', raw) else {
        // Nearly all is UTF-8, of which that is the shorter proof.
        return match std::str::from_utf8(raw) {
            Ok(text) => text.into(),
            Err(_) => String::from_utf8_lossy(raw),
        };
    };
    let mut out = String::with_capacity(raw.len());
    let (mut run, mut rest) = raw.split_at(first);
    loop {
        out.push_str(&String::from_utf8_lossy(run));
        if rest.is_empty() {
            return Cow::Owned(out);
        }
        let (c, len) = escape_value(rest);
        out.push(c);
        rest = rest.get(len..).unwrap_or_default();
        (run, rest) = rest.split_at(memchr::memchr(b'\\', rest).unwrap_or(rest.len()));
    }
}

/// The character that the escape at the start of `rest` stands for, and the escape's length.
fn escape_value(rest: &[u8]) -> (char, usize) {
    let c = match rest.get(1) {
        Some(&c @ (b'"' | b'\\' | b'/')) => c.into(),
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => {
            return match (hex4(rest, 2), rest.get(6..8), hex4(rest, 8)) {
                (Some(high @ 0xd800..=0xdbff), Some(b"\\u"), Some(low @ 0xdc00..=0xdfff)) => {
                    let code = 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                    (or_replacement(Some(code)), 12)
                }
                (code, ..) => (or_replacement(code), 6),
            };
        }
        _ => char::REPLACEMENT_CHARACTER,
    };
    (c, 2)
}

fn hex4(rest: &[u8], at: usize) -> Option<u32> {
    rest.get(at..at + 4)?.iter().try_fold(0, |value, &digit| {
        Some(value << 4 | char::from(digit).to_digit(16)?)
    })
}

fn or_replacement(code: Option<u32>) -> char {
    code.and_then(char::from_u32)
        .unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// Appends `s` as a JSON string, quotes and escapes included, to a `Vec<u8>` or `BytesMut`.
///
/// Like JSON::XS it escapes only what has to be: quote, backslash and control characters
/// below U+0020.
///
/// # Panics
///
/// If `out` is of fixed size and full (a `&mut [u8]`), as [`BufMut::put_slice`] does.
///
/// ```
/// let mut out = Vec::new();
/// aemp::proto::framing::json::write_str(&mut out, "a\tb \"é\"");
/// assert_eq!(out, r#""a\tb \"é\"""#.as_bytes());
/// ```
pub fn write_str(out: &mut impl BufMut, s: &str) {
    out.put_u8(b'"');
    let mut rest = s.as_bytes();
    loop {
        let run = literal_run(rest);
        out.put_slice(&rest[..run]);
        let Some(&octet) = rest.get(run) else { break };
        rest = &rest[run + 1..];
        let short = match octet {
            b'"' | b'\\' => octet,
            0x08 => b'b',
            0x0c => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            _ => b'u',
        };
        out.put_slice(&[b'\\', short]);
        if short == b'u' {
            let hex = |digit: u8| b"0123456789abcdef"[usize::from(digit & 15)];
            out.put_slice(&[b'0', b'0', hex(octet >> 4), hex(octet)]);
        }
    }
    out.put_u8(b'"');
}
