//! The elements of a JSON array one by one, from any of them on.

use serde::de::{DeserializeSeed, SeqAccess};

/// The elements of a JSON array, or of what is left of one: the octets begin with the bracket or
/// comma before an element, or with the closing bracket. They are known to be valid.
#[derive(Clone)]
pub(super) struct JsonElements<'a> {
    octets: &'a [u8],
    at: usize,
}

impl<'a> JsonElements<'a> {
    pub(super) fn new(octets: &'a [u8]) -> Self {
        JsonElements { octets, at: 0 }
    }

    /// The text from the next element on. `None` if there is none.
    pub(super) fn peek(&self) -> Option<&'a [u8]> {
        let rest = match self.octets.get(self.at..)? {
            [b'[' | b',', rest @ ..] => rest.trim_ascii_start(),
            _ => return None,
        };
        match rest.first() {
            None | Some(b']') => None,
            Some(_) => Some(rest),
        }
    }

    /// Goes behind the next element, and gives its octets.
    fn next_octets(&mut self) -> Option<&'a [u8]> {
        let Some(rest) = self.peek() else {
            self.at = self.octets.len().saturating_sub(1).max(self.at);
            return None;
        };
        let element = &rest[..end_of(rest)];
        let behind = rest[element.len()..].trim_ascii_start();
        self.at = self.octets.len() - behind.len();
        Some(element)
    }

    /// Goes behind the next element, and gives its text.
    pub(super) fn next(&mut self) -> Option<&'a str> {
        let element = self.next_octets()?;
        // It is UTF-8, as the framing has seen to it.
        Some(std::str::from_utf8(element).unwrap_or("null"))
    }

    /// Where the next element begins, with the bracket or comma before it.
    pub(super) fn behind_first(mut self) -> usize {
        self.next_octets();
        self.at
    }
}

/// The end of the value that a valid text begins with.
fn end_of(text: &[u8]) -> usize {
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(octet) = text.get(at) {
        match octet {
            b'"' => at = end_of_string(text, at),
            b'[' | b'{' => {
                depth += 1;
                at += 1;
            }
            b']' | b'}' => {
                depth = depth.saturating_sub(1);
                at += 1;
            }
            _ if depth == 0 => {
                let end =
                    |octet: &u8| matches!(octet, b',' | b']' | b'}') || octet.is_ascii_whitespace();
                return text[at..]
                    .iter()
                    .position(end)
                    .map_or(text.len(), |n| at + n);
            }
            _ => {
                at += 1;
                continue;
            }
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// The end of the string that begins at `start`.
fn end_of_string(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(found) = text
        .get(at..)
        .and_then(|rest| memchr::memchr2(b'"', b'\\', rest))
    {
        at += found;
        if text[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    text.len()
}

impl<'de> SeqAccess<'de> for JsonElements<'de> {
    type Error = serde_json::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, serde_json::Error> {
        let Some(element) = self.next_octets() else {
            return Ok(None);
        };
        let mut deserializer = serde_json::Deserializer::from_slice(element);
        // The framing has limited the depth already, to what the configuration allows.
        deserializer.disable_recursion_limit();
        seed.deserialize(&mut deserializer).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;
    use serde_json::value::RawValue;

    fn texts(octets: &[u8]) -> Vec<&str> {
        let mut elements = JsonElements::new(octets);
        std::iter::from_fn(|| elements.next()).collect()
    }

    #[test]
    fn elements_of_whole_arrays_and_of_what_is_left() {
        assert!(texts(b"[]").is_empty());
        assert!(texts(b"[ \n]").is_empty());
        assert!(texts(b"]").is_empty());
        assert_eq!(
            texts(br#"[ 1 , "a]\"" ,[2,{"]":"["}] ]"#),
            ["1", r#""a]\"""#, r#"[2,{"]":"["}]"#]
        );
        assert_eq!(texts(b", true,null]"), ["true", "null"]);
        let text = br#"["a" , 1]"#;
        assert_eq!(JsonElements::new(text).behind_first(), 5);
        assert_eq!(JsonElements::new(&text[5..]).behind_first(), 3);
        assert_eq!(JsonElements::new(b"]").behind_first(), 0);
        assert_eq!(JsonElements::new(b"[ ]").behind_first(), 2);
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "[\\[\\]{}\",\\\\ a-c\u{e9}]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map("[\"\\\\a-c]{0,3}", inner, 0..4)
                    .prop_map(|map| map.into_iter().collect()),
            ]
        })
    }

    proptest! {
        /// They are what serde_json takes them for, however the text is laid out.
        #[test]
        fn as_serde_json_has_them(list in prop::collection::vec(json(), 0..6), pretty: bool) {
            let text = match pretty {
                true => serde_json::to_string_pretty(&list).unwrap(),
                false => serde_json::to_string(&list).unwrap(),
            };
            let raw: Vec<&RawValue> = serde_json::from_str(&text).unwrap();
            let expected: Vec<&str> = raw.iter().map(|raw| raw.get()).collect();
            prop_assert_eq!(texts(text.as_bytes()), expected.clone());
            // And so is what is left behind the first ones.
            let (mut left, mut expected) = (text.as_bytes(), &expected[..]);
            while !expected.is_empty() {
                left = &left[JsonElements::new(left).behind_first()..];
                expected = &expected[1..];
                prop_assert_eq!(texts(left), expected);
            }
        }

        /// Nothing that is no JSON at all makes it panic.
        #[test]
        fn nonsense_is_no_panic(text in "[\\[\\]{},\"\\\\a1 ]{0,20}") {
            let _ = texts(text.as_bytes());
            let _ = JsonElements::new(text.as_bytes()).behind_first();
        }
    }
}
