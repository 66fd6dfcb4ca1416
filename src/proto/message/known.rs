//! Enums of which the variant is known before its fields are read.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, EnumAccess, IgnoredAny, IntoDeserializer,
    SeqAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::args::{ArgsError, Elements, read_elements_with, read_items_with, read_with};
use super::list::JsonElements;
use super::{Format, Message};

/// The names of the variants of `T`; none if it is no enum.
pub(crate) fn variants<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    let mut found: &'static [&'static str] = &[];
    // It fails in any case, as there is nothing to read.
    let _ = T::deserialize(Probe(&mut found));
    found
}

/// Writes down the variants that are asked for, and has nothing else.
struct Probe<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(de::Error::custom("there is nothing"))
    }
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        visitor.visit_newtype_struct(self)
    }
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        *self.0 = variants;
        self.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

impl Message {
    /// Reads the elements, behind a tag that was taken off, as the fields of the variant of that
    /// name.
    pub(crate) fn args_of<'de, T: Deserialize<'de>>(
        &'de self,
        variant: &'static str,
    ) -> Result<T, ArgsError> {
        let at = Cell::new(0);
        let fields = Fields::new(variant, &at);
        match self.format {
            Format::Json if self.is_whole_json() => read_with(&self.octets, fields, &at),
            Format::Json => read_elements_with(JsonElements::new(&self.octets), fields, &at),
            Format::Cbor => read_items_with(&self.octets, fields, &at),
        }
    }
}

/// Reads a list of elements as the fields of a variant.
pub(super) struct Fields<'a, T> {
    variant: &'static str,
    at: &'a Cell<usize>,
    marker: PhantomData<T>,
}

impl<'a, T> Fields<'a, T> {
    #[inline]
    pub(super) fn new(variant: &'static str, at: &'a Cell<usize>) -> Self {
        Fields {
            variant,
            at,
            marker: PhantomData,
        }
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<'_, T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message")
    }

    #[inline]
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<T, A::Error> {
        let fields = Elements::behind_tag(&mut seq, self.at);
        let value = T::deserialize(Variant(self.variant, fields))?;
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(value)
    }
}

/// The name of a variant and its fields, as a deserializer of the enum.
struct Variant<'a, A>(&'static str, Elements<'a, A>);

impl<'de, A: SeqAccess<'de>> Deserializer<'de> for Variant<'_, A> {
    type Error = A::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, A::Error> {
        Err(de::Error::custom("an enum was expected"))
    }
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        visitor.visit_newtype_struct(self)
    }
    #[inline]
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        visitor.visit_enum(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

impl<'a, 'de, A: SeqAccess<'de>> EnumAccess<'de> for Variant<'a, A> {
    type Error = A::Error;
    type Variant = Elements<'a, A>;

    #[inline]
    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Elements<'a, A>), A::Error> {
        Ok((seed.deserialize(self.0.into_deserializer())?, self.1))
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Said {
        Quit,
        Say(String),
        Join { nick: String, age: Option<u8> },
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Wrapped(Said);

    #[test]
    fn the_variants_are_known() {
        assert_eq!(variants::<Said>(), ["quit", "say", "join"]);
        assert_eq!(variants::<Wrapped>(), ["quit", "say", "join"]);
        assert!(variants::<(u8, u8)>().is_empty() && variants::<String>().is_empty());
        assert!(variants::<Vec<Said>>().is_empty());
    }

    #[test]
    fn the_fields_are_read_as_behind_the_name() {
        let age = Some(7);
        let all = [
            Said::Quit,
            Said::Say("hi".into()),
            Said::Join {
                nick: "ruth".into(),
                age,
            },
        ];
        for (said, variant) in all.into_iter().zip(variants::<Said>()) {
            let message = Message::encode(&said).unwrap().without_tag();
            assert_eq!(message.args_of::<Said>(variant).unwrap(), said);
            let wrapped = message.args_of::<Wrapped>(variant).unwrap();
            assert_eq!(wrapped, Wrapped(said));
        }
        let fields = Message::encode(&(1,)).unwrap();
        let error = fields.args_of::<Said>("say").unwrap_err();
        assert_eq!(
            error.to_string(),
            "argument 1: invalid type: integer `1`, expected a string"
        );
        let none = Message::encode(&()).unwrap();
        assert_eq!(
            none.args_of::<Said>("say").unwrap_err().to_string(),
            "argument 1: is missing"
        );
        let fields = Message::encode(&("ruth",)).unwrap();
        let join = Said::Join {
            nick: "ruth".into(),
            age: None,
        };
        assert_eq!(fields.args_of::<Said>("join").unwrap(), join);
    }
}
