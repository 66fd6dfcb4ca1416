//! The pieces that a JSON text is made of, each readable up to wherever the octets end.

use super::super::FramingError;

/// What of a number has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    /// The minus sign.
    Minus,
    /// A zero, the whole integer part.
    Zero,
    /// Digits of the integer part.
    Int,
    /// The decimal point.
    Point,
    /// Digits behind the point.
    Fraction,
    /// The `e`.
    E,
    /// The exponent's sign.
    Sign,
    /// Digits of the exponent.
    Exponent,
}

/// How an attempt to read something short ended.
pub enum Short {
    /// It is this long.
    Complete(usize),
    /// It is good as far as it goes.
    Incomplete,
}

#[cold]
pub fn syntax<T>(offset: usize, what: &'static str) -> Result<T, FramingError> {
    Err(FramingError::Syntax { offset, what })
}

/// The high bit of each octet that is less than `bound`, right up to the first one.
#[inline(always)]
fn less(eight: u64, bound: u64) -> u64 {
    eight.wrapping_sub(ONES * bound) & !eight
}

const ONES: u64 = u64::from_ne_bytes([1; 8]);
const HIGH: u64 = ONES << 7;

/// How many octets at the start of `rest` are literal: can stand in a string as they are (and are
/// ASCII, if that is asked for).
#[inline(always)]
fn run(rest: &[u8], ascii: bool) -> usize {
    const BLOCK: usize = 64;
    /// Behind so many octets a string is likely to be long.
    const SHORT: usize = 32;
    let mut run = 0;
    let mut tail = rest;
    while let Some((eight, more)) = tail.split_first_chunk::<8>() {
        let eight = u64::from_le_bytes(*eight);
        let quote = less(eight ^ (ONES * 0x22), 1);
        let backslash = less(eight ^ (ONES * 0x5c), 1);
        let odd = if ascii { eight } else { 0 };
        let hits = (less(eight, 0x20) | quote | backslash | odd) & HIGH;
        if hits != 0 {
            return run + hits.trailing_zeros() as usize / 8;
        }
        run += 8;
        tail = more;
        if run == SHORT {
            // Without a branch inside of a block, so that it is done many octets at a time.
            let is_literal = |block: &[u8; BLOCK]| {
                let odd = |octet: u8| {
                    let special = u8::from(octet == b'"') | u8::from(octet == b'\\');
                    let other = if ascii { octet >> 7 } else { 0 };
                    u8::from(octet < 0x20) | special | other
                };
                block.iter().fold(0, |any, &octet| any | odd(octet)) == 0
            };
            while let Some((block, more)) = tail.split_first_chunk::<BLOCK>()
                && is_literal(block)
            {
                run += BLOCK;
                tail = more;
            }
        }
    }
    let literal =
        |&octet: &u8| octet >= 0x20 && octet != b'"' && octet != b'\\' && !(ascii && octet >= 0x80);
    run + tail
        .iter()
        .position(|octet| !literal(octet))
        .unwrap_or(tail.len())
}

/// How many octets at the start of `rest` are ASCII and of no meaning in a string.
#[inline(always)]
pub fn plain_run(rest: &[u8]) -> usize {
    run(rest, true)
}

/// How many octets at the start of `rest` can stand in a string as they are, whether ASCII or not.
#[inline(always)]
pub fn literal_run(rest: &[u8]) -> usize {
    run(rest, false)
}

/// Reads on in a number; true if it has ended, in front of `at`.
#[inline(always)]
pub fn number(buf: &[u8], at: &mut usize, part: &mut Number) -> Result<bool, FramingError> {
    while let Some(&octet) = buf.get(*at) {
        *part = match (*part, octet) {
            (Number::Int, b'0'..=b'9') => Number::Int,
            (Number::Fraction | Number::Point, b'0'..=b'9') => Number::Fraction,
            (Number::Exponent | Number::E | Number::Sign, b'0'..=b'9') => Number::Exponent,
            (Number::Minus, b'0') => Number::Zero,
            (Number::Minus, b'1'..=b'9') => Number::Int,
            (Number::Zero | Number::Int, b'.') => Number::Point,
            (Number::Zero | Number::Int | Number::Fraction, b'e' | b'E') => Number::E,
            (Number::E, b'+' | b'-') => Number::Sign,
            (Number::Zero, b'0'..=b'9') => return syntax(*at, "digit after a leading zero"),
            (Number::Minus | Number::Point | Number::E | Number::Sign, _) => {
                return syntax(*at, "digit expected");
            }
            _ => return Ok(true),
        };
        *at += 1;
    }
    Ok(false)
}

/// Reads `true`, `false` or `null`, of which the first octet is known. `at` is the position
/// of `rest`, for errors.
pub fn literal(rest: &[u8], at: usize) -> Result<Short, FramingError> {
    let (word, what): (&[u8], _) = match rest.first() {
        Some(b't') => (b"true", "'true' expected"),
        Some(b'f') => (b"false", "'false' expected"),
        _ => (b"null", "'null' expected"),
    };
    if rest.starts_with(word) {
        return Ok(Short::Complete(word.len()));
    }
    match rest.iter().zip(word).position(|(is, should)| is != should) {
        Some(wrong) => syntax(at + wrong, what),
        None => Ok(Short::Incomplete),
    }
}

/// Reads the escape at the start of `rest`, a surrogate pair as one.
pub fn escape(rest: &[u8], at: usize) -> Result<Short, FramingError> {
    match rest.get(1) {
        None => return Ok(Short::Incomplete),
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
            return Ok(Short::Complete(2));
        }
        Some(b'u') => {}
        Some(_) => return syntax(at + 1, "unknown escape"),
    }
    let Some(code) = hex4(rest, 2, at)? else {
        return Ok(Short::Incomplete);
    };
    match code {
        0xdc00..=0xdfff => return syntax(at, "low surrogate without a high one"),
        0xd800..=0xdbff => {}
        _ => return Ok(Short::Complete(6)),
    }
    for (i, should) in [(6, b'\\'), (7, b'u')] {
        match rest.get(i) {
            None => return Ok(Short::Incomplete),
            Some(&is) if is == should => {}
            Some(_) => return syntax(at + i, "low surrogate expected"),
        }
    }
    match hex4(rest, 8, at)? {
        None => Ok(Short::Incomplete),
        Some(0xdc00..=0xdfff) => Ok(Short::Complete(12)),
        Some(_) => syntax(at + 6, "low surrogate expected"),
    }
}

/// The four hexadecimal digits at `rest[from..]`, or `None` if they are not all there yet.
fn hex4(rest: &[u8], from: usize, at: usize) -> Result<Option<u32>, FramingError> {
    let mut code = 0;
    for i in from..from + 4 {
        let Some(&octet) = rest.get(i) else {
            return Ok(None);
        };
        let Some(digit) = char::from(octet).to_digit(16) else {
            return syntax(at + i, "hexadecimal digit expected");
        };
        code = code << 4 | digit;
    }
    Ok(Some(code))
}

/// Reads the UTF-8 character at the start of `rest` (The Unicode Standard, table 3-7).
#[inline]
pub fn character(rest: &[u8], at: usize) -> Result<Short, FramingError> {
    let (second, len) = match rest.first() {
        Some(0xc2..=0xdf) => (0x80..=0xbf, 2),
        Some(0xe0) => (0xa0..=0xbf, 3),
        Some(0xed) => (0x80..=0x9f, 3),
        Some(0xe1..=0xef) => (0x80..=0xbf, 3),
        Some(0xf0) => (0x90..=0xbf, 4),
        Some(0xf1..=0xf3) => (0x80..=0xbf, 4),
        Some(0xf4) => (0x80..=0x8f, 4),
        _ => return Err(FramingError::Utf8 { offset: at }),
    };
    for i in 1..len {
        match rest.get(i) {
            None => return Ok(Short::Incomplete),
            Some(octet) if i == 1 && second.contains(octet) => {}
            Some(0x80..=0xbf) if i > 1 => {}
            Some(_) => return Err(FramingError::Utf8 { offset: at }),
        }
    }
    Ok(Short::Complete(len))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Many octets at a time are the same as one after the other.
        #[test]
        fn runs_end_where_they_should(
            before in prop::collection::vec(0x23..0x5b_u8, 0..300),
            after in prop::collection::vec(any::<u8>(), 0..20),
            accent: bool,
        ) {
            let mut octets = before;
            if accent {
                octets.extend_from_slice("\u{e9}".as_bytes());
            }
            octets.extend(after);
            let literal = |&octet: &u8| octet >= 0x20 && octet != b'"' && octet != b'\\';
            let expected = octets.iter().position(|octet| !literal(octet));
            prop_assert_eq!(literal_run(&octets), expected.unwrap_or(octets.len()));
            let plain = |octet: &u8| literal(octet) && octet.is_ascii();
            let expected = octets.iter().position(|octet| !plain(octet));
            prop_assert_eq!(plain_run(&octets), expected.unwrap_or(octets.len()));
        }
    }
}
