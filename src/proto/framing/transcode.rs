//! What the framings share when they turn each other's messages into their own.

use std::borrow::Cow;

/// The text is no JSON.
pub(super) struct Broken;

/// The characters of octets, one each: U+0000 to U+00FF.
#[inline]
pub(super) fn latin1(octets: &[u8]) -> Cow<'_, str> {
    match ascii(octets) {
        Some(text) => Cow::Borrowed(text),
        None => Cow::Owned(octets.iter().copied().map(char::from).collect()),
    }
}

/// The octets as they are if they are ASCII.
#[inline]
pub(super) fn ascii(octets: &[u8]) -> Option<&str> {
    match std::str::from_utf8(octets) {
        Ok(text) if octets.is_ascii() => Some(text),
        _ => None,
    }
}

/// The octets of characters, one each, if none is beyond U+00FF.
pub(super) fn octets(text: &str) -> Option<Cow<'_, [u8]>> {
    if text.is_ascii() {
        return Some(text.as_bytes().into());
    }
    text.chars()
        .map(|c| u8::try_from(u32::from(c)).ok())
        .collect()
}

/// A float as Perl shows it, with at most 15 digits.
pub(super) fn perl_float(value: f64) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Inf" } else { "-Inf" }.into();
    }
    let scientific = format!("{value:.14e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let short = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if (-4..15).contains(&exponent) {
        let places = (14 - exponent) as usize;
        return short(&format!("{value:.places$}"));
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", short(digits), exponent.abs())
}

/// A token of a JSON text; colons and commas are passed over once their places are checked.
pub(super) enum Token<'a> {
    String(&'a [u8]),
    Scalar(&'a [u8]),
    Open(u8),
    Close(u8),
}

/// The token at `at`, which moves behind it; `None` at the end.
#[inline]
pub(super) fn token<'a>(json: &'a [u8], at: &mut usize) -> Result<Option<Token<'a>>, Broken> {
    loop {
        let Some(&octet) = json.get(*at) else {
            return Ok(None);
        };
        let start = *at;
        *at += 1;
        return Ok(Some(match octet {
            b' ' | b'\t' | b'\n' | b'\r' | b',' | b':' => continue,
            b'[' | b'{' => Token::Open(octet),
            b']' | b'}' => Token::Close(octet),
            b'"' => loop {
                let rest = json.get(*at..).unwrap_or_default();
                let Some(found) = memchr::memchr2(b'"', b'\\', rest) else {
                    return Err(Broken);
                };
                *at += found + 1;
                if rest[found] == b'"' {
                    break Token::String(&json[start + 1..*at - 1]);
                }
                *at += 1;
            },
            b'-' | b'+' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                let len = json[*at..]
                    .iter()
                    .position(|c| !matches!(c, b'-' | b'+' | b'.') && !c.is_ascii_alphanumeric());
                *at += len.unwrap_or(json.len() - *at);
                Token::Scalar(&json[start..*at])
            }
            _ => return Err(Broken),
        }));
    }
}

/// In a count: the object has a special key.
pub(super) const SPECIAL: u32 = 1 << 31;

/// How many elements or pairs each array and object has, in the order of their starts; with
/// [`SPECIAL`] if an object has such a key. Checks that brackets and keys are sound.
pub(super) fn count(json: &[u8], is_special: impl Fn(&[u8]) -> bool) -> Result<Vec<u32>, Broken> {
    let mut counts: Vec<u32> = Vec::new();
    // The open ones: their place in `counts`, and whether they are objects.
    let mut open: Vec<(usize, bool)> = Vec::new();
    let mut at = 0;
    let mut values = 0;
    while let Some(token) = token(json, &mut at)? {
        if let Token::Close(bracket) = token {
            let Some((place, object)) = open.pop() else {
                return Err(Broken);
            };
            if object != (bracket == b'}') || object && counts[place] % 2 == 1 {
                return Err(Broken);
            }
            if object {
                let n = counts[place] & !SPECIAL;
                counts[place] = (n / 2) | (counts[place] & SPECIAL);
            }
            continue;
        }
        match open.last() {
            Some(&(place, object)) => {
                let is_key = object && counts[place].is_multiple_of(2);
                match token {
                    Token::String(key) if is_key && is_special(key) => counts[place] |= SPECIAL,
                    Token::String(_) => {}
                    _ if is_key => return Err(Broken),
                    _ => {}
                }
                counts[place] += 1;
                if counts[place] & !SPECIAL == SPECIAL - 1 {
                    return Err(Broken);
                }
            }
            None if values > 0 => return Err(Broken),
            None => values += 1,
        }
        if let Token::Open(bracket) = token {
            open.push((counts.len(), bracket == b'{'));
            counts.push(0);
        }
    }
    if values == 0 || !open.is_empty() {
        return Err(Broken);
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_as_perl_shows_them() {
        for (value, text) in [
            (0.0, "0"),
            (-1.5, "-1.5"),
            (0.1 + 0.2, "0.3"),
            (1e14, "100000000000000"),
            (1e15, "1e+15"),
            (1e20, "1e+20"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1.5e300, "1.5e+300"),
            (f64::INFINITY, "Inf"),
        ] {
            assert_eq!(perl_float(value), text);
        }
    }
}
