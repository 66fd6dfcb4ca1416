//! Reads what other nodes say of the mesh and the database, within bounds.
//!
//! It is read from the octets of the message straight into what is kept. Before something is kept,
//! it is charged: a message can cost no more than [`Bounds`] allow, whatever it holds.
//!
//! All of it is as lenient as Perl is: what is missing or undefined is empty, and a number is as
//! good as a string.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::proto::clip;
use crate::proto::message::RawElement;

/// The most addresses of one node that are taken note of.
pub(crate) const MAX_ADDRESSES: usize = 64;

/// How much a peer can have us read at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Octets of a message. Default: 16 MiB.
    pub(crate) octets: usize,
    /// Octets of what is kept of it. Default: 32 MiB.
    pub(crate) kept: usize,
    /// Octets of a name. Default: 64 KiB.
    pub(crate) name: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds {
            octets: 16 << 20,
            kept: 32 << 20,
            name: 64 << 10,
        }
    }
}

/// Why something was not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unread {
    #[error("it takes more than {0} octets")]
    TooMuch(usize),
    #[error("a name is longer than {0} octets")]
    LongName(usize),
    #[error("{0}")]
    Wrong(String),
}

/// What a name, a key or a value costs besides its octets: about what it takes in memory.
pub(crate) const EACH: usize = 64;

/// So many octets of what a peer said are in the text of an error.
const EXCERPT: usize = 80;

/// Reads one message, and keeps account of it.
pub(crate) struct Reader {
    bounds: Bounds,
    left: Cell<usize>,
    /// The bound that was run over, as a deserializer's error is but a text.
    met: Cell<Option<Unread>>,
}

impl Reader {
    /// A reader for a message of so many octets.
    pub(crate) fn new(bounds: Bounds, octets: usize) -> Result<Self, Unread> {
        if octets > bounds.octets {
            return Err(Unread::TooMuch(bounds.octets));
        }
        Ok(Reader {
            bounds,
            left: Cell::new(bounds.kept),
            met: Cell::new(None),
        })
    }

    /// How many octets may still be kept.
    pub(crate) fn left(&self) -> usize {
        self.left.get()
    }

    /// A name, key or value of so many octets is going to be kept.
    pub(crate) fn charge<E: de::Error>(&self, octets: usize) -> Result<(), E> {
        match self.left.get().checked_sub(octets.saturating_add(EACH)) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => Err(self.too_much()),
        }
    }

    /// A bound was run over.
    fn over<E: de::Error>(&self, bound: Unread) -> E {
        let error = E::custom(&bound);
        self.met.set(Some(bound));
        error
    }

    /// More was to be kept than may be.
    pub(crate) fn too_much<E: de::Error>(&self) -> E {
        self.over(Unread::TooMuch(self.bounds.kept))
    }

    fn name<E: de::Error>(&self, name: &str) -> Result<String, E> {
        if name.len() > self.bounds.name {
            return Err(self.over(Unread::LongName(self.bounds.name)));
        }
        self.charge(name.len())?;
        Ok(name.to_owned())
    }

    /// Reads an element straight from its octets, whatever the framing: the JSON of an item of CBOR
    /// may have seven times its octets. A missing element is undefined.
    pub(crate) fn read<'de, S: DeserializeSeed<'de>>(
        &self,
        element: Option<&RawElement<'de>>,
        seed: S,
    ) -> Result<S::Value, Unread> {
        let undefined = RawElement::of_json("null");
        let read = element.unwrap_or(&undefined).read_seed(seed);
        read.map_err(|error| {
            let wrong = || Unread::Wrong(clip(&error.problem, EXCERPT).to_owned());
            self.met.take().unwrap_or_else(wrong)
        })
    }

    /// Reads an element that is a name.
    pub(crate) fn text(&self, element: Option<&RawElement<'_>>) -> Result<String, Unread> {
        let Some(element) = element else {
            return Ok(String::new());
        };
        // A character is written with six octets at most.
        if element.size() > self.bounds.name.saturating_mul(6).saturating_add(2) {
            return Err(Unread::LongName(self.bounds.name));
        }
        let json = element.json();
        if json.starts_with(['[', '{']) {
            let found = clip(&json, EXCERPT);
            return Err(Unread::Wrong(format!("a string was expected, not {found}")));
        }
        // It is no tree.
        let text = match element.value() {
            Value::String(text) => text,
            Value::Bool(flag) => u8::from(flag).to_string(),
            Value::Number(number) => number.to_string(),
            _ => String::new(),
        };
        match text.len() <= self.bounds.name {
            true => Ok(text),
            false => Err(Unread::LongName(self.bounds.name)),
        }
    }
}

/// Whether an element is missing or undefined.
pub(crate) fn is_undefined(element: Option<&RawElement<'_>>) -> bool {
    element.is_none_or(|element| element.size() <= 8 && element.json() == "null")
}

/// A name: a string, or what Perl makes one of without complaint.
#[derive(Clone, Copy)]
pub(crate) struct Name<'a>(pub(crate) &'a Reader);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = String;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = String;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or a number")
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<String, E> {
        self.0.name(text)
    }
    fn visit_bool<E: de::Error>(self, flag: bool) -> Result<String, E> {
        self.0.name(if flag { "1" } else { "0" })
    }
    fn visit_u64<E: de::Error>(self, n: u64) -> Result<String, E> {
        self.0.name(&n.to_string())
    }
    fn visit_i64<E: de::Error>(self, n: i64) -> Result<String, E> {
        self.0.name(&n.to_string())
    }
    fn visit_f64<E: de::Error>(self, n: f64) -> Result<String, E> {
        self.0.name(&n.to_string())
    }
    fn visit_unit<E: de::Error>(self) -> Result<String, E> {
        self.0.name("")
    }
}

/// The first names of a list, at most so many. The others are passed over.
#[derive(Clone, Copy)]
pub(crate) struct Names<'a> {
    pub(crate) reader: &'a Reader,
    pub(crate) most: usize,
}

impl<'de> DeserializeSeed<'de> for Names<'_> {
    type Value = Vec<String>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<String>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Names<'_> {
    type Value = Vec<String>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }
    fn visit_unit<E>(self) -> Result<Vec<String>, E> {
        Ok(Vec::new())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<String>, A::Error> {
        let mut names = Vec::new();
        while names.len() < self.most {
            match seq.next_element_seed(Name(self.reader))? {
                Some(name) => names.push(name),
                None => return Ok(names),
            }
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(names)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<String>, A::Error> {
        // An empty hash is as good as an empty list.
        match map.next_key::<IgnoredAny>()? {
            None => Ok(Vec::new()),
            Some(_) => Err(de::Error::invalid_type(de::Unexpected::Map, &self)),
        }
    }
}

/// The first pairs of a hash, at most so many. The others are passed over.
#[derive(Clone, Copy)]
pub(crate) struct Hash<'a, S> {
    pub(crate) reader: &'a Reader,
    pub(crate) most: usize,
    /// What reads the values.
    pub(crate) of: S,
}

impl<'de, S: DeserializeSeed<'de> + Copy> DeserializeSeed<'de> for Hash<'_, S> {
    type Value = BTreeMap<String, S::Value>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, S: DeserializeSeed<'de> + Copy> Visitor<'de> for Hash<'_, S> {
    type Value = BTreeMap<String, S::Value>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a hash")
    }
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(BTreeMap::new())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        // An empty list is as good as an empty hash.
        match seq.next_element::<IgnoredAny>()? {
            None => Ok(BTreeMap::new()),
            Some(_) => Err(de::Error::invalid_type(de::Unexpected::Seq, &self)),
        }
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut all = BTreeMap::new();
        while all.len() < self.most {
            match map.next_key_seed(Name(self.reader))? {
                Some(key) => drop(all.insert(key, map.next_value_seed(self.of)?)),
                None => return Ok(all),
            }
        }
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(kept: usize, name: usize) -> Reader {
        let bounds = Bounds {
            octets: 9,
            kept,
            name,
        };
        Reader::new(bounds, 9).unwrap()
    }

    #[test]
    fn what_is_beyond_the_bounds_is_not_read() {
        let one_octet = Bounds {
            octets: 1,
            ..Bounds::default()
        };
        assert!(Reader::new(one_octet, 1).is_ok());
        let unread = Reader::new(one_octet, 2).err();
        assert_eq!(unread, Some(Unread::TooMuch(1)));

        let one = reader(EACH + 3, 9);
        let names = Names {
            reader: &one,
            most: 9,
        };
        assert_eq!(
            one.read(Some(&RawElement::of_json(r#"["abc"]"#)), names),
            Ok(vec!["abc".to_owned()])
        );
        let one = reader(EACH + 3, 9);
        let names = Names {
            reader: &one,
            most: 9,
        };
        assert_eq!(
            one.read(Some(&RawElement::of_json(r#"["abcd"]"#)), names),
            Err(Unread::TooMuch(EACH + 3))
        );

        let short = reader(9999, 3);
        let names = Names {
            reader: &short,
            most: 9,
        };
        assert_eq!(
            short
                .read(Some(&RawElement::of_json(r#"["abc"]"#)), names)
                .unwrap(),
            ["abc"]
        );
        assert_eq!(
            short.read(Some(&RawElement::of_json(r#"["abcd"]"#)), names),
            Err(Unread::LongName(3))
        );
        let hash = Hash {
            reader: &short,
            most: 9,
            of: names,
        };
        assert_eq!(
            short.read(Some(&RawElement::of_json(r#"{"abcd":[]}"#)), hash),
            Err(Unread::LongName(3))
        );
        assert_eq!(
            short
                .read(Some(&RawElement::of_json(r#"{"abc":7}"#)), hash)
                .unwrap_err()
                .to_string(),
            "invalid type: integer `7`, expected a list"
        );
    }

    #[test]
    fn what_is_more_is_passed_over() {
        let reader = reader(9999, 9);
        let names = Names {
            reader: &reader,
            most: 2,
        };
        assert_eq!(
            reader
                .read(Some(&RawElement::of_json(r#"["a",1,"c",{"x":[]}]"#)), names)
                .unwrap(),
            ["a", "1"]
        );
        let hash = Hash {
            reader: &reader,
            most: 1,
            of: names,
        };
        let read = reader
            .read(Some(&RawElement::of_json(r#"{"a":null,"b":7}"#)), hash)
            .unwrap();
        assert_eq!(read, BTreeMap::from([("a".to_owned(), vec![])]));
        for nothing in ["null", "[]", "{}"] {
            assert!(
                reader
                    .read(Some(&RawElement::of_json(nothing)), hash)
                    .unwrap()
                    .is_empty()
            );
            assert!(
                reader
                    .read(Some(&RawElement::of_json(nothing)), names)
                    .unwrap()
                    .is_empty()
            );
        }
    }
}
