//! Elements as JSON values.

use std::borrow::Cow;

use serde::Deserialize as _;
use serde_json::Value;

/// The value of a sound JSON text. A number that no Rust number holds is a string, wherever it
/// stands.
pub(super) fn value_of(text: &str) -> Value {
    let text = with_large_numbers_quoted(text);
    let mut deserializer = serde_json::Deserializer::from_str(&text);
    // The framing has limited the depth already.
    deserializer.disable_recursion_limit();
    Value::deserialize(&mut deserializer).unwrap_or_else(|_| Value::String(text.into_owned()))
}

/// The same text, but with quotes around such numbers. One pass, whatever the nesting.
fn with_large_numbers_quoted(text: &str) -> Cow<'_, str> {
    let mut quoted = String::new();
    let (mut done, mut at) = (0, 0);
    let octets = text.as_bytes();
    while let Some(&octet) = octets.get(at) {
        match octet {
            b'"' => at = behind_string(octets, at),
            b'-' | b'0'..=b'9' => {
                let is_end =
                    |octet: &u8| !matches!(octet, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
                let len = octets[at..].iter().position(is_end);
                let end = len.map_or(octets.len(), |len| at + len);
                if is_large(&text[at..end]) {
                    quoted.push_str(&text[done..at]);
                    quoted.push('"');
                    quoted.push_str(&text[at..end]);
                    quoted.push('"');
                    done = end;
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    match done {
        0 => text.into(),
        done => (quoted + &text[done..]).into(),
    }
}

/// The position behind the string that begins at `at`.
fn behind_string(octets: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    while let Some(found) = memchr::memchr2(b'"', b'\\', octets.get(at..).unwrap_or_default()) {
        at += found + 1;
        if octets[at - 1] == b'"' {
            return at;
        }
        at += 1;
    }
    octets.len()
}

/// Whether no Rust number holds it.
fn is_large(number: &str) -> bool {
    match number.contains(['.', 'e', 'E']) {
        true => number.parse().is_ok_and(f64::is_infinite),
        // Fewer digits fit in any case.
        false => {
            number.len() >= 19 && number.parse::<i64>().is_err() && number.parse::<u64>().is_err()
        }
    }
}
