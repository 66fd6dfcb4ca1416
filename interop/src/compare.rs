//! Are two JSON values the same to a Perl program that never asks twice?

use serde_json::{Number, Value};

/// Equality as both languages can keep it: integers exactly, floats by their bits (so `-0` is not
/// `0`), strings by their characters.
///
/// A number with no fraction may be written either way (`1e+20`, `100000000000000000000`), but an
/// integer that fits 64 bits stays one.
pub fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => same_number(a, b),
        (Value::Array(a), Value::Array(b)) => same_list(a, b),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(k, v)| b.get(k).is_some_and(|w| same(v, w)))
        }
        _ => a == b,
    }
}

/// [`same`] for two lists.
pub fn same_list(a: &[Value], b: &[Value]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
}

fn same_number(a: &Number, b: &Number) -> bool {
    match (a.as_i64(), b.as_i64(), a.as_u64(), b.as_u64()) {
        (Some(a), Some(b), _, _) => a == b,
        (_, _, Some(a), Some(b)) => a == b,
        (None, None, None, None) => match (a.as_f64(), b.as_f64()) {
            (Some(a), Some(b)) => a.to_bits() == b.to_bits(),
            _ => false,
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn what_is_the_same() {
        for (a, b) in [
            ("1e20", "1e+20"),
            ("[1,{\"a\":null}]", "[1, {\"a\": null}]"),
            ("\"caf\\u00e9\"", "\"café\""),
            ("-0", "-0.0"),
        ] {
            assert!(same(&parse(a), &parse(b)), "{a} {b}");
        }
        for (a, b) in [
            ("-0.0", "0"),
            ("1", "1.0"),
            ("1", "\"1\""),
            ("9007199254740993", "9007199254740992"),
            ("{\"a\":1}", "{\"b\":1}"),
            ("[]", "{}"),
        ] {
            assert!(!same(&parse(a), &parse(b)), "{a} {b}");
        }
    }
}
