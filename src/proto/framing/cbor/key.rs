//! Keys of maps, which are strings to Perl, whatever they were sent as.

use std::borrow::Cow;

use serde::de::{self, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::super::transcode::ascii;
use super::error::CborError;
use super::reader::Deserializer;
use super::text::key_text;

/// Reads the next item as a key.
pub(super) struct Key<'a, 'de>(pub(super) &'a mut Deserializer<'de>);

impl<'de> Key<'_, 'de> {
    #[inline]
    fn text(self) -> Result<Cow<'de, str>, CborError> {
        let Deserializer { input, at, .. } = self.0;
        // Nearly all keys are short and ASCII: a short cut for them.
        if let Some((&first @ (0x40..=0x57 | 0x60..=0x77), rest)) =
            input.get(*at..).and_then(<[u8]>::split_first)
            && let Some(octets) = rest.get(..usize::from(first & 0x1f))
            && let Some(text) = ascii(octets)
        {
            *at += 1 + octets.len();
            return Ok(Cow::Borrowed(text));
        }
        key_text(input, at)
    }

    /// The key as a number if it can be one.
    fn parse<T: std::str::FromStr, V: Visitor<'de>>(
        self,
        visitor: V,
        visit: impl FnOnce(V, T) -> Result<V::Value, CborError>,
    ) -> Result<V::Value, CborError> {
        let text = self.text()?;
        match text.parse() {
            Ok(number) => visit(visitor, number),
            Err(_) => visit_cow(text, visitor),
        }
    }
}

fn visit_cow<'de, V: Visitor<'de>>(text: Cow<'de, str>, visitor: V) -> Result<V::Value, CborError> {
    match text {
        Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
        Cow::Owned(text) => visitor.visit_string(text),
    }
}

macro_rules! parsed {
    ($($method:ident $visit:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CborError> {
            self.parse(visitor, V::$visit)
        }
    )*};
}

impl<'de> de::Deserializer<'de> for Key<'_, 'de> {
    type Error = CborError;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CborError> {
        visit_cow(self.text()?, visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CborError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, CborError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, CborError> {
        visitor.visit_enum(self.text()?.into_deserializer())
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CborError> {
        de::Deserializer::deserialize_ignored_any(self.0, visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CborError> {
        de::Deserializer::deserialize_bytes(self.0, visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CborError> {
        de::Deserializer::deserialize_byte_buf(self.0, visitor)
    }

    parsed! {
        deserialize_i8 visit_i64 deserialize_i16 visit_i64 deserialize_i32 visit_i64
        deserialize_i64 visit_i64 deserialize_i128 visit_i128
        deserialize_u8 visit_u64 deserialize_u16 visit_u64 deserialize_u32 visit_u64
        deserialize_u64 visit_u64 deserialize_u128 visit_u128
        deserialize_f32 visit_f64 deserialize_f64 visit_f64 deserialize_bool visit_bool
    }

    forward_to_deserialize_any! {
        char str string unit unit_struct seq tuple tuple_struct map struct identifier
    }
}
