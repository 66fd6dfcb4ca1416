//! A value of the database, as it is kept.

use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor,
};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::mesh::reading::{EACH, Reader};
use crate::proto::framing::json::write_str;
use crate::proto::message::write_json;

/// A value. It is held in several places at once (by the node that set it, merged, by a monitor),
/// but exists once.
///
/// It is kept as its JSON, and becomes something else only if the program asks for it. A value that
/// others set is never a tree: that would take a hundred times its octets.
///
/// Two values are the same if their digests are. What a digest is made of does not depend on the
/// order of a hash's keys, which differs from Perl to Perl, nor on how the JSON is written. An
/// integer and a float are never the same, `2` and `2.0`; minus zero is zero.
#[derive(Clone)]
pub(crate) struct Val {
    json: Arc<str>,
    digest: u64,
}

impl Val {
    /// The value that this JSON is.
    fn of_json(json: &str) -> Self {
        let mut deserializer = serde_json::Deserializer::from_str(json);
        deserializer.disable_recursion_limit();
        let mut out = Vec::with_capacity(json.len());
        let writing = Writing {
            out: &mut out,
            bound: None,
        };
        let digest = writing.deserialize(&mut deserializer).unwrap_or_default();
        Val::new(&out, digest)
    }

    fn new(json: &[u8], digest: u64) -> Self {
        let json = std::str::from_utf8(json).unwrap_or("null").into();
        Val { json, digest }
    }

    /// What something serialises to; null if it does not.
    pub(crate) fn of(value: &impl Serialize) -> Self {
        let mut json = Vec::new();
        match write_json(&mut json, value) {
            Ok(()) => Val::of_json(std::str::from_utf8(&json).unwrap_or("null")),
            Err(_) => Val::of_json("null"),
        }
    }

    /// The value as JSON.
    pub(crate) fn json(&self) -> &str {
        &self.json
    }

    /// Reads it into a type that the program asks for.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        self.borrow()
    }

    /// Reads it into a type that borrows of it.
    pub(crate) fn borrow<'a, T: Deserialize<'a>>(&'a self) -> Result<T, serde_json::Error> {
        let mut deserializer = serde_json::Deserializer::from_str(&self.json);
        deserializer.disable_recursion_limit();
        T::deserialize(&mut deserializer)
    }

    /// About how many octets it takes in memory.
    pub(crate) fn octets(&self) -> usize {
        EACH + self.json.len()
    }
}

impl From<Value> for Val {
    fn from(value: Value) -> Self {
        Val::of(&value)
    }
}

impl PartialEq for Val {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

#[cfg(test)]
impl PartialEq<Value> for Val {
    fn eq(&self, other: &Value) -> bool {
        self.read::<Value>().unwrap() == *other
    }
}

impl fmt::Debug for Val {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.json)
    }
}

impl Serialize for Val {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue = serde_json::from_str(&self.json).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

/// Reads a value that another node set.
#[derive(Clone, Copy)]
pub(super) struct Reading<'a>(pub(super) &'a Reader);

impl<'de> DeserializeSeed<'de> for Reading<'_> {
    type Value = Val;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Val, D::Error> {
        let mut out = Vec::new();
        let writing = Writing {
            out: &mut out,
            bound: Some((self.0, self.0.left())),
        };
        let digest = writing.deserialize(deserializer)?;
        self.0.charge(out.len())?;
        Ok(Val::new(&out, digest))
    }
}

/// Writes a value as JSON while it is read, and makes its digest.
struct Writing<'a> {
    out: &'a mut Vec<u8>,
    /// Whose bound it is, and how long the JSON may get.
    bound: Option<(&'a Reader, usize)>,
}

impl Writing<'_> {
    fn inner(&mut self) -> Writing<'_> {
        Writing {
            out: self.out,
            bound: self.bound,
        }
    }

    /// Something was written: the digest, if it was not too much.
    fn done<E: de::Error>(&self, digest: u64) -> Result<u64, E> {
        match self.bound {
            Some((reader, most)) if self.out.len() > most => Err(reader.too_much()),
            _ => Ok(digest),
        }
    }
}

/// A digest of a kind of value and of what it holds.
fn digest(kind: u8, of: impl std::hash::Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    (kind, of).hash(&mut hasher);
    hasher.finish()
}

impl<'de> DeserializeSeed<'de> for Writing<'_> {
    type Value = u64;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<u64, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Writing<'_> {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }
    fn visit_unit<E: de::Error>(self) -> Result<u64, E> {
        self.out.extend_from_slice(b"null");
        self.done(digest(0, ()))
    }
    fn visit_bool<E: de::Error>(self, flag: bool) -> Result<u64, E> {
        let word: &[u8] = if flag { b"true" } else { b"false" };
        self.out.extend_from_slice(word);
        self.done(digest(1, flag))
    }
    fn visit_u64<E: de::Error>(self, n: u64) -> Result<u64, E> {
        write_json(self.out, &n).map_err(E::custom)?;
        self.done(digest(2, n))
    }
    fn visit_i64<E: de::Error>(self, n: i64) -> Result<u64, E> {
        write_json(self.out, &n).map_err(E::custom)?;
        let digest = u64::try_from(n).map_or_else(|_| digest(3, n), |n| digest(2, n));
        self.done(digest)
    }
    fn visit_f64<E: de::Error>(self, n: f64) -> Result<u64, E> {
        // CBOR has floats that JSON does not have.
        if !n.is_finite() {
            return self.visit_unit();
        }
        write_json(self.out, &n).map_err(E::custom)?;
        // Minus zero is zero.
        self.done(digest(4, (n + 0.0).to_bits()))
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<u64, E> {
        write_str(self.out, text);
        self.done(digest(5, text))
    }
    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<u64, A::Error> {
        self.out.push(b'[');
        let start = self.out.len();
        let mut all = digest(6, ());
        while let Some(one) = seq.next_element_seed(self.inner())? {
            all = digest(6, (all, one));
            self.out.push(b',');
        }
        self.close(start, b']');
        self.done(all)
    }
    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<u64, A::Error> {
        self.out.push(b'{');
        let start = self.out.len();
        let mut all = 0_u64;
        while let Some(key) = map.next_key_seed(Key(self.inner()))? {
            let one = map.next_value_seed(self.inner())?;
            // In any order.
            all = all.wrapping_add(digest(7, (key, one)));
            self.out.push(b',');
        }
        self.close(start, b'}');
        self.done(digest(8, all))
    }
}

impl Writing<'_> {
    /// Ends a list or hash, whose first item begins at `start` and whose last has a comma behind
    /// it.
    fn close(&mut self, start: usize, bracket: u8) {
        if self.out.len() > start {
            self.out.pop();
        }
        self.out.push(bracket);
    }
}

/// Writes a key and its colon.
struct Key<'a>(Writing<'a>);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = u64;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<u64, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = u64;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }
    fn visit_str<E: de::Error>(self, key: &str) -> Result<u64, E> {
        write_str(self.0.out, key);
        self.0.out.push(b':');
        self.0.done(digest(9, key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mesh::reading::{Bounds, Unread};
    use crate::proto::framing::cbor::json_to_cbor;
    use crate::proto::message::RawElement;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn the_same_however_it_is_written() {
        let same = |a, b| Val::of_json(a) == Val::of_json(b);
        assert!(same(
            r#"{"a":1,"b":[2,{}]}"#,
            r#" { "b" : [ 2, {} ], "\u0061" : 1 } "#
        ));
        assert!(same("-0.0", "0.0"));
        for (a, b) in [
            ("2", "2.0"),
            ("1", "true"),
            ("null", "false"),
            (r#""1""#, "1"),
            ("[]", "{}"),
            ("[[],1]", "[[1]]"),
            ("[1,2]", "[2,1]"),
            (r#"{"a":"b"}"#, r#"{"b":"a"}"#),
            (r#"{"a":1,"b":2}"#, r#"{"a":2,"b":1}"#),
            (r#"{"a":{"b":1}}"#, r#"{"b":{"a":1}}"#),
        ] {
            assert!(!same(a, b), "{a} {b}");
        }
    }

    #[test]
    fn numbers_are_sent_as_perl_writes_them() {
        let value = Val::of_json("[1e20, 2.0, -0.0, 18446744073709551615, 0.1]");
        assert_eq!(value.json(), "[1e+20,2.0,-0,18446744073709551615,0.1]");
        assert_eq!(
            Val::from(json!([1.5, "\u{e9}\n"])).json(),
            "[1.5,\"\u{e9}\\n\"]"
        );
    }

    #[test]
    fn a_value_is_charged_before_it_is_kept() {
        let json = r#"[{"":0},{"":0},{"":0}]"#;
        let bounds = |kept| Bounds {
            kept,
            ..Bounds::default()
        };
        let enough = EACH + json.len();
        let reader = Reader::new(bounds(enough), 0).unwrap();
        let element = RawElement::of_json(json);
        let read = reader.read(Some(&element), Reading(&reader));
        assert_eq!(read.unwrap().octets(), enough);
        let reader = Reader::new(bounds(enough - 1), 0).unwrap();
        let unread = reader.read(Some(&element), Reading(&reader)).unwrap_err();
        assert_eq!(unread, Unread::TooMuch(enough - 1));
    }

    fn read(element: RawElement<'_>) -> Result<Val, Unread> {
        let reader = Reader::new(Bounds::default(), element.size())?;
        reader.read(Some(&element), Reading(&reader))
    }

    #[test]
    fn what_only_cbor_has_is_what_its_json_is() {
        for (item, json) in [
            (&b"\xf9\x7e\x00"[..], "null"),
            (b"\xf9\xfc\x00", "null"),
            (b"\xf7", "null"),
            (b"\xf9\x80\x00", "-0"),
            (b"\xf9\x40\x00", "2.0"),
            (b"\x44caf\xe9", "\"caf\u{e9}\""),
            (b"\x5f\x41a\x41b\xff", "\"ab\""),
            (b"\xd9\xd9\xf7\x9f\xc1\x01\xff", "[1]"),
            (b"\xbf\x01\xf5\xff", r#"{"1":true}"#),
            (
                b"\x3b\xff\xff\xff\xff\xff\xff\xff\xff",
                "-18446744073709551616",
            ),
            (b"\xc2\x49\x01\0\0\0\0\0\0\0\0", "18446744073709551616"),
        ] {
            let val = read(RawElement::of_cbor(item)).unwrap();
            assert_eq!(val, Val::of_json(json), "{}", item.escape_ascii());
            assert_eq!(val.json(), Val::of_json(json).json());
        }
        // It stands for something that was not sent with it.
        assert!(read(RawElement::of_cbor(b"\xd8\x19\x00")).is_err());
    }

    /// The JSON of this item would have seven times its octets; no more of it is written than may
    /// be kept.
    #[test]
    fn no_more_is_written_than_may_be_kept() {
        let mut item = b"\x9f".to_vec();
        (0..1 << 20).for_each(|_| item.extend_from_slice(b"\xf9\x04\x01"));
        item.push(0xff);
        let bounds = Bounds {
            kept: 1 << 20,
            ..Bounds::default()
        };
        let element = RawElement::of_cbor(&item);
        let taken = allocation_counter::measure(|| {
            let reader = Reader::new(bounds, item.len()).unwrap();
            let unread = reader.read(Some(&element), Reading(&reader)).unwrap_err();
            assert_eq!(unread, Unread::TooMuch(1 << 20));
        });
        assert!(taken.bytes_max < 4 << 20, "{}", taken.bytes_max);
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "[\"\\\\ a-c\u{e9}]{0,4}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 30, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[\"a-c]{0,2}", inner, 0..4)
                    .prop_map(|map| map.into_iter().collect()),
            ]
        })
    }

    proptest! {
        /// It is what it was made of, and is the same as another if the values are.
        #[test]
        fn nothing_gets_lost(a in value(), b in value()) {
            let (val, other) = (Val::from(a.clone()), Val::from(b.clone()));
            prop_assert_eq!(val.read::<Value>().unwrap(), a.clone());
            prop_assert_eq!(val == other, a == b);
            let mut list = Vec::new();
            json_to_cbor(&mut list, format!("[{a}]").as_bytes()).unwrap();
            prop_assert_eq!(&read(RawElement::of_cbor(&list)).unwrap(), &val);
            let again = Val::of_json(&serde_json::to_string_pretty(&a).unwrap());
            prop_assert_eq!(again, val);
        }
    }
}
