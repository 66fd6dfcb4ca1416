//! Reading the elements of a message into types, straight from its octets.

use std::cell::Cell;
use std::fmt;

use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, EnumAccess, IgnoredAny, IntoDeserializer,
    SeqAccess, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

/// Why a message does not fit the types that were asked for.
///
/// ```
/// let message = aemp::Message::encode(&("add", 1, "two"))?.without_tag();
/// let error = message.args::<(u32, u32)>().unwrap_err();
/// assert_eq!(error.element, 2);
/// assert_eq!(error.to_string(), r#"argument 2: invalid type: string "two", expected u32"#);
/// # Ok::<(), aemp::proto::message::EncodeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("argument {element}: {problem}")]
#[non_exhaustive]
pub struct ArgsError {
    /// Which element, counted from 1, behind the tag if that was taken off.
    pub element: usize,
    /// What is wrong with it.
    pub problem: String,
}

use super::list::JsonElements;
#[cfg(feature = "node")]
use crate::proto::framing::cbor::CborError;
use crate::proto::framing::cbor::{self, Sequence};

/// Deserialises `T` from the JSON array `json`.
pub(super) fn read<'de, T: Deserialize<'de>>(json: &'de [u8]) -> Result<T, ArgsError> {
    let at = Cell::new(0);
    read_with(json, Whole::new(&at), &at)
}

/// Has `visitor` read the JSON array `json`; `at` is the element that it reads.
pub(super) fn read_with<'de, V: Visitor<'de>>(
    json: &'de [u8],
    visitor: V,
    at: &Cell<usize>,
) -> Result<V::Value, ArgsError> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    // The framing has limited the depth already, to what the configuration allows.
    deserializer.disable_recursion_limit();
    let result = deserializer.deserialize_seq(visitor);
    result.map_err(|error| problem(error, at.get()))
}

/// Deserialises `T` from what is left of a JSON array.
pub(super) fn read_elements<'de, T: Deserialize<'de>>(
    elements: JsonElements<'de>,
) -> Result<T, ArgsError> {
    let at = Cell::new(0);
    read_elements_with(elements, Whole::new(&at), &at)
}

/// Has `visitor` read what is left of a JSON array.
pub(super) fn read_elements_with<'de, V: Visitor<'de>>(
    elements: JsonElements<'de>,
    visitor: V,
    at: &Cell<usize>,
) -> Result<V::Value, ArgsError> {
    let result = visitor.visit_seq(elements);
    result.map_err(|error| problem(error, at.get()))
}

/// Deserialises `T` from elements in CBOR, one behind the other.
pub(super) fn read_items<'de, T: Deserialize<'de>>(items: &'de [u8]) -> Result<T, ArgsError> {
    let at = Cell::new(0);
    read_items_with(items, Whole::new(&at), &at)
}

/// Has `visitor` read elements in CBOR.
pub(super) fn read_items_with<'de, V: Visitor<'de>>(
    items: &'de [u8],
    visitor: V,
    at: &Cell<usize>,
) -> Result<V::Value, ArgsError> {
    // The framing has limited the depth here, too.
    let elements = Sequence::new(items).max_depth(usize::MAX);
    visitor.visit_seq(elements).map_err(|error| ArgsError {
        element: at.get().max(1),
        problem: error.to_string(),
    })
}

/// Has `seed` read one JSON text.
pub(super) fn read_value<'de, S: DeserializeSeed<'de>>(
    json: &'de str,
    seed: S,
) -> Result<S::Value, ArgsError> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    deserializer.disable_recursion_limit();
    let value = seed.deserialize(&mut deserializer);
    value.map_err(|error| problem(error, 1))
}

/// Has `seed` read one item of CBOR.
pub(super) fn read_item<'de, S: DeserializeSeed<'de>>(
    item: &'de [u8],
    seed: S,
) -> Result<S::Value, ArgsError> {
    let mut deserializer = cbor::Deserializer::new(item).max_depth(usize::MAX);
    seed.deserialize(&mut deserializer)
        .map_err(|error| ArgsError {
            element: 1,
            problem: error.to_string(),
        })
}

fn problem(error: serde_json::Error, element: usize) -> ArgsError {
    let text = error.to_string();
    let problem = match text.rfind(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    };
    let element = element.max(1);
    ArgsError { element, problem }
}

/// Deserialises `T` from the first `n` of some items, of which `deserializer` may have more.
#[cfg(feature = "node")]
#[inline]
pub(super) fn read_first<'de, T: Deserialize<'de>>(
    deserializer: &mut cbor::Deserializer<'de>,
    n: usize,
) -> Result<T, CborError> {
    deserializer.read_list(n, Whole::new(&Cell::new(0)))
}

/// Deserialises `T` from a list of elements, of which there may be more.
#[cfg(feature = "node")]
#[inline]
pub(super) fn read_rest<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    deserializer.deserialize_seq(Whole::new(&Cell::new(0)))
}

struct Whole<'a, T> {
    /// The element that is being read, counted from 1.
    at: &'a Cell<usize>,
    marker: std::marker::PhantomData<T>,
}

impl<'a, T> Whole<'a, T> {
    #[inline]
    fn new(at: &'a Cell<usize>) -> Self {
        let marker = std::marker::PhantomData;
        Whole { at, marker }
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Whole<'_, T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message")
    }

    #[inline]
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<T, A::Error> {
        let value = T::deserialize(Elements {
            seq: &mut seq,
            at: self.at,
        })?;
        // What nobody asked for is ignored, as Perl does.
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(value)
    }
}

/// The elements as a deserializer of the type that was asked for.
pub(super) struct Elements<'a, A> {
    seq: &'a mut A,
    at: &'a Cell<usize>,
}

impl<'a, 'de, A: SeqAccess<'de>> Elements<'a, A> {
    /// The fields of a variant whose name was read by others.
    #[cfg(feature = "node")]
    #[inline]
    pub(super) fn behind_tag(seq: &'a mut A, at: &'a Cell<usize>) -> Self {
        Elements { seq, at }
    }

    /// All that is left, of which there should be so many.
    fn list(self, at_least: usize) -> Counted<'a, A> {
        Counted {
            seq: self.seq,
            at: self.at,
            at_least: self.at.get() + at_least,
        }
    }

    fn first<T: Deserialize<'de>>(self) -> Result<T, A::Error> {
        let first = self.list(1).next_element()?;
        first.ok_or_else(|| de::Error::custom("is missing"))
    }
}

/// For types that are no sequence: the first element is meant.
macro_rules! first_element {
    ($($method:ident($($arg:ident: $type:ty),*))*) => {$(
        fn $method<V: Visitor<'de>>(self, $($arg: $type,)* visitor: V) -> Result<V::Value, A::Error> {
            struct Seed<V> { visitor: V, $($arg: $type),* }
            impl<'de, V: Visitor<'de>> DeserializeSeed<'de> for Seed<V> {
                type Value = V::Value;
                fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<V::Value, D::Error> {
                    d.$method($(self.$arg,)* self.visitor)
                }
            }
            let first = self.list(1).next_element_seed(Seed { visitor, $($arg),* })?;
            first.ok_or_else(|| de::Error::custom("is missing"))
        }
    )*};
}

impl<'de, A: SeqAccess<'de>> Deserializer<'de> for Elements<'_, A> {
    type Error = A::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, A::Error> {
        visitor.visit_seq(self.list(0))
    }
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, A::Error> {
        visitor.visit_seq(self.list(0))
    }
    #[inline]
    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        visitor.visit_seq(self.list(len))
    }
    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        visitor.visit_seq(self.list(len))
    }
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        visitor.visit_seq(self.list(fields.len()))
    }
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        // RawValue asks for itself this way: it means the first element.
        if name.starts_with("$serde_json::") {
            struct Seed<V>(V, &'static str);
            impl<'de, V: Visitor<'de>> DeserializeSeed<'de> for Seed<V> {
                type Value = V::Value;
                fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<V::Value, D::Error> {
                    d.deserialize_newtype_struct(self.1, self.0)
                }
            }
            let first = self.list(1).next_element_seed(Seed(visitor, name))?;
            return first.ok_or_else(|| de::Error::custom("is missing"));
        }
        visitor.visit_newtype_struct(self)
    }
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, A::Error> {
        visitor.visit_unit()
    }
    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        visitor.visit_unit()
    }
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, A::Error> {
        visitor.visit_unit()
    }
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, A::Error> {
        let text: String = self.first()?;
        visitor.visit_string(text)
    }

    first_element! {
        deserialize_bool() deserialize_i8() deserialize_i16() deserialize_i32() deserialize_i64()
        deserialize_i128() deserialize_u8() deserialize_u16() deserialize_u32() deserialize_u64()
        deserialize_u128() deserialize_f32() deserialize_f64() deserialize_char() deserialize_str()
        deserialize_string() deserialize_bytes() deserialize_byte_buf() deserialize_option()
        deserialize_map()
    }

    /// An enum is the message: the first element is the variant, the others its fields.
    #[inline]
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        visitor.visit_enum(self)
    }
}

impl<'de, A: SeqAccess<'de>> EnumAccess<'de> for Elements<'_, A> {
    type Error = A::Error;
    type Variant = Self;

    #[inline]
    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), A::Error> {
        let Elements { seq, at } = self;
        let name = Elements { seq, at }.list(1).next_element_seed(Name(seed))?;
        let name = name.ok_or_else(|| de::Error::custom("is missing"))?;
        Ok((name, Elements { seq, at }))
    }
}

/// The name of a variant, as a string. serde would take a number, too, as the place of the variant.
struct Name<T>(T);

impl<'de, T: DeserializeSeed<'de>> DeserializeSeed<'de> for Name<T> {
    type Value = T::Value;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T::Value, D::Error> {
        self.0.deserialize(Name(deserializer))
    }
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Name<D> {
    type Error = D::Error;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_str(Name(visitor))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier
        ignored_any
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Name<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }
    #[inline]
    fn visit_str<E: de::Error>(self, name: &str) -> Result<V::Value, E> {
        self.0.visit_str(name)
    }
    #[inline]
    fn visit_borrowed_str<E: de::Error>(self, name: &'de str) -> Result<V::Value, E> {
        self.0.visit_borrowed_str(name)
    }
    fn visit_bytes<E: de::Error>(self, name: &[u8]) -> Result<V::Value, E> {
        self.0.visit_bytes(name)
    }
}

impl<'de, A: SeqAccess<'de>> VariantAccess<'de> for Elements<'_, A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        Ok(())
    }

    #[inline]
    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, A::Error> {
        let field = self.list(1).next_element_seed(seed)?;
        field.ok_or_else(|| de::Error::custom("is missing"))
    }

    #[inline]
    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        visitor.visit_seq(self.list(len))
    }

    #[inline]
    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        visitor.visit_seq(self.list(fields.len()))
    }
}

/// The elements one by one, counted; behind the last, missing ones up to `at_least`.
struct Counted<'a, A> {
    seq: &'a mut A,
    at: &'a Cell<usize>,
    at_least: usize,
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Counted<'_, A> {
    type Error = A::Error;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, A::Error> {
        self.at.set(self.at.get() + 1);
        // The seed is used up only if there is an element.
        let mut seed = Some(seed);
        if let Some(value) = self.seq.next_element_seed(Lend(&mut seed))? {
            return Ok(Some(value));
        }
        match seed {
            Some(seed) if self.at.get() <= self.at_least => seed
                .deserialize(Missing(std::marker::PhantomData))
                .map(Some),
            _ => Ok(None),
        }
    }

    fn size_hint(&self) -> Option<usize> {
        self.seq.size_hint()
    }
}

struct Lend<'a, T>(&'a mut Option<T>);

impl<'de, T: DeserializeSeed<'de>> DeserializeSeed<'de> for Lend<'_, T> {
    type Value = T::Value;
    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T::Value, D::Error> {
        let seed = self.0.take();
        let seed = seed.ok_or_else(|| de::Error::custom("an element was read twice"))?;
        seed.deserialize(deserializer)
    }
}

/// An element that is not there: `None` for an `Option`, null for a JSON value, else an error.
struct Missing<E>(std::marker::PhantomData<E>);

macro_rules! is_missing {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, _: V) -> Result<V::Value, E> {
            Err(E::custom("is missing"))
        }
    )*};
}

impl<'de, E: de::Error> Deserializer<'de> for Missing<E> {
    type Error = E;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        visitor.visit_unit()
    }
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        visitor.visit_none()
    }
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        visitor.visit_unit()
    }
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        visitor.visit_unit()
    }
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, E> {
        if name.starts_with("$serde_json::") {
            return visitor.visit_map(de::value::MapDeserializer::<_, E>::new(std::iter::once((
                name,
                "null".into_deserializer(),
            ))));
        }
        visitor.visit_newtype_struct(self)
    }
    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, E> {
        Err(E::custom("is missing"))
    }
    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        _: V,
    ) -> Result<V::Value, E> {
        Err(E::custom("is missing"))
    }
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, E> {
        Err(E::custom("is missing"))
    }
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, E> {
        Err(E::custom("is missing"))
    }
    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, E> {
        visitor.visit_unit()
    }

    is_missing! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_i128 deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
        deserialize_u128 deserialize_f32 deserialize_f64 deserialize_char deserialize_str
        deserialize_string deserialize_bytes deserialize_byte_buf deserialize_seq deserialize_map
        deserialize_identifier
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::collections::HashMap;

    fn of<'de, T: Deserialize<'de>>(json: &'de str, skip: usize) -> Result<T, ArgsError> {
        let mut left = json.as_bytes();
        for _ in 0..skip {
            left = &left[JsonElements::new(left).behind_first()..];
        }
        let of_what_is_left = read_elements(JsonElements::new(left));
        if skip == 0 {
            let of_all: Result<T, ArgsError> = read(left);
            assert_eq!(of_all.is_ok(), of_what_is_left.is_ok(), "{json}");
        }
        of_what_is_left
    }

    #[test]
    fn tuples_lists_structs_scalars() {
        let json = r#"["test",1,"x",[2]]"#;
        assert_eq!(of::<(&str, u8)>(json, 0).unwrap(), ("test", 1));
        assert_eq!(of::<(u8, String, [i64; 1])>(json, 1).unwrap().1, "x");
        assert_eq!(of::<Vec<Value>>(json, 0).unwrap().len(), 4);
        assert_eq!(of::<Value>(json, 3).unwrap(), serde_json::json!([[2]]));
        assert_eq!(of::<&str>(json, 0).unwrap(), "test");
        assert_eq!(of::<u64>(json, 1).unwrap(), 1);
        of::<()>(json, 0).unwrap();
        let map: HashMap<String, u8> = of(r#"[{"a":1}]"#, 0).unwrap();
        assert_eq!(map["a"], 1);

        #[derive(serde::Deserialize)]
        struct Line {
            nick: String,
            text: Option<String>,
        }
        let line: Line = of(r#"["ruth"]"#, 0).unwrap();
        assert_eq!((line.nick.as_str(), line.text), ("ruth", None));
    }

    #[test]
    fn missing_elements() {
        let (a, b): (u8, Option<u8>) = of("[1]", 0).unwrap();
        assert_eq!((a, b), (1, None));
        let (_, b): (u8, Value) = of("[1]", 0).unwrap();
        assert_eq!(b, Value::Null);
        assert!(of::<Vec<u8>>("[]", 7).unwrap().is_empty());
        let error = of::<(u8, String)>("[1]", 0).unwrap_err();
        assert_eq!(error.to_string(), "argument 2: is missing");
        let error = of::<String>("[]", 0).unwrap_err();
        assert_eq!(error.to_string(), "argument 1: is missing");
    }

    #[test]
    fn errors_name_the_element() {
        let error = of::<(String, u8)>(r#"["t","a","b"]"#, 1).unwrap_err();
        assert_eq!(error.element, 2);
        assert_eq!(error.problem, r#"invalid type: string "b", expected u8"#);
        let error = of::<(u8, u8)>("[1,256]", 0).unwrap_err();
        assert_eq!(error.element, 2);
    }
}
