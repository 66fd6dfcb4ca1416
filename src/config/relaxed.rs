//! "Relaxed" JSON, as people write it by hand and as Perl's JSON::XS reads it.
//!
//! Beyond strict JSON these are allowed, and nothing else:
//!
//! - a comment from `#`, outside of strings, to the end of the line (LF or CR);
//! - one comma after the last element of an array or object;
//! - a literal TAB inside a string.
//!
//! The text is turned into strict JSON of the same layout and given to `serde_json`, so all other
//! rules (and the limit of 128 nested levels) are `serde_json`'s. Positions in errors are those of
//! the original text.

use serde_json::Value;

/// A text is not relaxed JSON.
///
/// ```
/// let error = aemp::config::relaxed::parse("[1,\n 2 3]").unwrap_err();
/// assert_eq!((error.line, error.column), (2, 4));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} column {column}: {message}")]
pub struct RelaxedError {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What was expected or found.
    pub message: String,
}

/// Parses relaxed JSON.
///
/// # Errors
///
/// The first place where the text is not relaxed JSON.
///
/// ```
/// let value = aemp::config::relaxed::parse("[1, 2, # two\n]").unwrap();
/// assert_eq!(value, serde_json::json!([1, 2]));
/// ```
pub fn parse(text: &str) -> Result<Value, RelaxedError> {
    let strict = Strict::new(text);
    serde_json::from_str(&strict.text).map_err(|error| strict.explain(text, &error))
}

/// Parses relaxed JSON in UTF-8, as it comes from a file.
///
/// # Errors
///
/// As [`parse`], and octets that are not UTF-8.
///
/// ```
/// let value = aemp::config::relaxed::parse_bytes(b"{ \"a\": 1, }").unwrap();
/// assert_eq!(value["a"], 1);
/// assert_eq!(aemp::config::relaxed::parse_bytes(b"[\xff]").unwrap_err().message, "not UTF-8");
/// ```
pub fn parse_bytes(bytes: &[u8]) -> Result<Value, RelaxedError> {
    match std::str::from_utf8(bytes) {
        Ok(text) => parse(text),
        Err(error) => {
            let good = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
            let (line, column) = position(&good, good.len());
            Err(RelaxedError {
                line,
                column,
                message: "not UTF-8".to_owned(),
            })
        }
    }
}

/// The strict JSON text for a relaxed one. What is not relaxed JSON gives a text that is not JSON.
///
/// ```
/// use aemp::config::relaxed::to_strict;
/// let strict = to_strict("[1, 2, # two\n]");
/// assert_eq!(serde_json::from_str::<[u8; 2]>(&strict).unwrap(), [1, 2]);
/// ```
pub fn to_strict(text: &str) -> String {
    Strict::new(text).text
}

/// Strict JSON, octet for octet at the place of the original but for the octets listed.
struct Strict {
    text: String,
    /// Offsets in `text` of octets that have no counterpart in the original, ascending.
    inserted: Vec<usize>,
}

impl Strict {
    fn new(relaxed: &str) -> Strict {
        let mut out: Vec<u8> = Vec::with_capacity(relaxed.len() + 8);
        let mut inserted = Vec::new();
        let mut in_string = false;
        let mut escaped = false;
        let mut in_comment = false;
        // The last octet that means something, and the place of a comma that may turn out to be a
        // trailing one.
        let mut last = 0u8;
        let mut comma: Option<usize> = None;

        for &octet in relaxed.as_bytes() {
            if in_comment {
                in_comment = !matches!(octet, b'\n' | b'\r');
                out.push(if in_comment { b' ' } else { octet });
            } else if in_string {
                match octet {
                    _ if escaped => escaped = false,
                    b'\\' => escaped = true,
                    b'"' => in_string = false,
                    b'\t' => {
                        out.push(b'\\');
                        inserted.push(out.len());
                        out.push(b't');
                        continue;
                    }
                    _ => {}
                }
                out.push(octet);
            } else {
                match octet {
                    b' ' | b'\t' | b'\n' | b'\r' => {}
                    b'#' => {
                        in_comment = true;
                        out.push(b' ');
                        continue;
                    }
                    b',' => {
                        // Nothing to end before this comma: leave it for the strict parser to
                        // refuse.
                        comma =
                            (!matches!(last, 0 | b'[' | b'{' | b',' | b':')).then_some(out.len());
                        last = octet;
                    }
                    _ => {
                        if let Some(place) = comma.take()
                            && matches!(octet, b']' | b'}')
                        {
                            out[place] = b' ';
                        }
                        in_string = octet == b'"';
                        last = octet;
                    }
                }
                out.push(octet);
            }
        }
        // Only ASCII was replaced or added, between whole characters or for whole comments.
        let text = String::from_utf8(out).unwrap_or_default();
        Strict { text, inserted }
    }

    /// Gives an error of the strict parser the place in the original text.
    fn explain(&self, original: &str, error: &serde_json::Error) -> RelaxedError {
        let line_start: usize = self
            .text
            .split_inclusive('\n')
            .take(error.line().saturating_sub(1))
            .map(str::len)
            .sum();
        let place = line_start + error.column().saturating_sub(1);
        let extra = self.inserted.iter().filter(|&&at| at <= place).count();
        let (line, column) = position(original, place - extra);
        let text = error.to_string();
        let message = text.rsplit_once(" at line ").map_or(&*text, |(m, _)| m);
        RelaxedError {
            line,
            column,
            message: message.to_owned(),
        }
    }
}

/// Line and column, both from 1, of an octet offset.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    let before = &text[..offset];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (
        before.matches('\n').count() + 1,
        before[line_start..].chars().count() + 1,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn accepts_what_json_xs_accepts() {
        for (text, want) in [
            ("[1,2,]", json!([1, 2])),
            ("{\"a\":1,}", json!({"a": 1})),
            ("[1,2 # c\n]", json!([1, 2])),
            ("# x\n{\"a\":\"b\tc\"}", json!({"a": "b\tc"})),
            ("{\"a\tb\":1}", json!({"a\tb": 1})),
            ("[1]#end", json!([1])),
            ("[\"a\"#,]\r,]", json!(["a"])),
            ("[1#,2]\n,3]", json!([1, 3])),
            ("{\"a\"#\n:#ü\n1}", json!({"a": 1})),
            ("[\"#\", \"\\\"#\", \",]\",]", json!(["#", "\"#", ",]"])),
            ("{\"a\":1,\"a\":2}", json!({"a": 2})),
            ("[[],{},]", json!([[], {}])),
        ] {
            assert_eq!(parse(text), Ok(want), "{text:?}");
        }
    }

    #[test]
    fn refuses_what_json_xs_refuses() {
        for text in [
            "",
            "# only",
            "[,]",
            "{,}",
            "[1,,]",
            "[1,,2]",
            "[,1]",
            "{\"a\":,}",
            "{\"a\",}",
            "[1] x",
            "[1],",
            ",",
            "[01]",
            "{a:1}",
            "['a']",
            "[1//x\n]",
            "[\"b\nc\"]",
            "[\"\u{1}\"]",
            "[1.]",
            "[\"\\\t\"]",
            "\u{feff}[1]",
            "{} # c\r[",
            "[1\u{b}]",
            "[\"\\ud800\"]",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn errors_point_at_the_original() {
        let at = |text| parse(text).map_err(|e| (e.line, e.column)).unwrap_err();
        assert_eq!(at("{\n  \"a\": x\n}"), (2, 8));
        assert_eq!(at("[ # ünïcödé, [ \"\n \"\t\t\", x ]"), (2, 8));
        assert_eq!(at("[\"ü\", x]"), (1, 7));
        assert_eq!(at("[1, 2,"), (1, 6));
        let error = parse_bytes(b"[\n\"\xc3\xbc\xff\"]").unwrap_err();
        assert_eq!(
            (error.line, error.column, &*error.message),
            (2, 3, "not UTF-8")
        );
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            ".*".prop_map(Value::from),
            "[\\\\\"#,\\]}\t\n]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::btree_map(".{0,4}", inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    /// Writes JSON as a careless person would: comments, commas at the end, raw TABs.
    fn careless(value: &Value) -> String {
        let quote = |text: &str| match Value::from(text).to_string() {
            json if text.contains('\\') => json, // its `\t` may be the end of `\\` and a letter
            json => json.replace("\\t", "\t"),
        };
        match value {
            Value::Array(items) => {
                let items: String = items.iter().map(|v| careless(v) + "#[\",\n,").collect();
                format!("[# c\r{items}\t]")
            }
            Value::Object(map) => {
                let items: String = map
                    .iter()
                    .map(|(k, v)| format!("{}#}}\n: {}, #\n", quote(k), careless(v)))
                    .collect();
                format!("{{{items}}}")
            }
            Value::String(text) => quote(text),
            other => other.to_string(),
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in ".*") {
            let _ = parse(&text);
        }

        #[test]
        fn never_panics_on_near_json(text in "[\\[\\]{},:\"#\\\\\t\n 1aü]{0,40}") {
            if let Err(error) = parse(&text) {
                prop_assert!(error.line >= 1 && error.column >= 1);
            }
        }

        #[test]
        fn never_panics_on_octets(octets in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = parse_bytes(&octets);
        }

        #[test]
        fn strict_json_is_unchanged(value in any_json()) {
            prop_assert_eq!(&to_strict(&value.to_string()), &value.to_string());
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            prop_assert_eq!(parse(&pretty).unwrap(), value);
        }

        #[test]
        fn careless_json_means_the_same(value in any_json()) {
            let text = careless(&value);
            prop_assert_eq!(parse(&text).map_err(|e| format!("{e}: {text:?}")), Ok(value));
        }
    }
}
