//! The elements of a message, one behind the other.

use serde::de::{DeserializeSeed, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::error::CborError;
use super::reader::Deserializer;
use super::text::skip;

/// The elements of a message: items one behind the other up to the end of the octets, without the
/// array around them (a *CBOR sequence*, RFC 8742).
///
/// It is a serde `SeqAccess` over the elements, and a `Deserializer` of them as a list.
///
/// ```
/// use aemp::proto::{Limits, framing::cbor::{CborScanner, Sequence}};
/// use serde::Deserialize;
/// let buf = b"\x84\x43a.b\x44test\x18\x7b\xf5";
/// let frame = CborScanner::new(Limits::default()).next(buf)?.unwrap();
/// let elements = Sequence::new(&buf[frame.elements()]);
/// assert_eq!(<(&str, u8, bool)>::deserialize(elements)?, ("test", 123, true));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Sequence<'de>(Deserializer<'de>);

impl<'de> Sequence<'de> {
    /// The elements `items`. They may nest as deep as [`Limits`](crate::proto::Limits) has it if
    /// nothing else is said.
    ///
    /// ```
    /// use aemp::proto::framing::cbor::Sequence;
    /// use serde::Deserialize;
    /// assert_eq!(Vec::<u8>::deserialize(Sequence::new(b"\x01\x02"))?, [1, 2]);
    /// # Ok::<(), aemp::proto::framing::cbor::CborError>(())
    /// ```
    pub fn new(items: &'de [u8]) -> Self {
        Self(Deserializer::new(items))
    }

    /// The same for elements that nest at most `depth` levels deep, see
    /// [`Deserializer::max_depth`].
    ///
    /// ```
    /// use aemp::proto::framing::cbor::Sequence;
    /// use serde::Deserialize;
    /// let elements = Sequence::new(b"\x81\x01").max_depth(0);
    /// assert!(Vec::<Vec<u8>>::deserialize(elements).is_err());
    /// ```
    pub fn max_depth(self, depth: usize) -> Self {
        Self(self.0.max_depth(depth))
    }

    /// Goes behind the first of the elements left, and gives its octets. `None` if there is none.
    ///
    /// ```
    /// use aemp::proto::framing::cbor::Sequence;
    /// let mut elements = Sequence::new(b"\x82\x01\x02\x03");
    /// assert_eq!(elements.next_item()?, Some(&b"\x82\x01\x02"[..]));
    /// assert_eq!(elements.rest(), b"\x03");
    /// # Ok::<(), aemp::proto::framing::cbor::CborError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`CborError`] if there is no whole item.
    pub fn next_item(&mut self) -> Result<Option<&'de [u8]>, CborError> {
        if self.0.is_at_end() {
            return Ok(None);
        }
        let before = self.0.at;
        skip(self.0.input, &mut self.0.at)?;
        Ok(Some(&self.0.input[before..self.0.at]))
    }

    /// The elements that are left.
    ///
    /// ```
    /// use aemp::proto::framing::cbor::Sequence;
    /// assert_eq!(Sequence::new(b"\x01\x02").rest(), b"\x01\x02");
    /// ```
    pub fn rest(&self) -> &'de [u8] {
        self.0.input.get(self.0.at..).unwrap_or_default()
    }

    /// How many elements are left.
    ///
    /// ```
    /// use aemp::proto::framing::cbor::Sequence;
    /// assert_eq!(Sequence::new(b"\x82\x01\x02\x03").count()?, 2);
    /// # Ok::<(), aemp::proto::framing::cbor::CborError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`CborError`] if they are no whole items.
    pub fn count(mut self) -> Result<usize, CborError> {
        let mut n = 0;
        while self.next_item()?.is_some() {
            n += 1;
        }
        Ok(n)
    }
}

impl<'de> SeqAccess<'de> for Sequence<'de> {
    type Error = CborError;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, CborError> {
        if self.0.is_at_end() {
            return Ok(None);
        }
        seed.deserialize(&mut self.0).map(Some)
    }
}

impl<'de> serde::Deserializer<'de> for Sequence<'de> {
    type Error = CborError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CborError> {
        visitor.visit_seq(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, CborError> {
        if name == super::to_json::RAW_VALUE {
            // All elements as the text of one JSON array.
            let mut array = Vec::with_capacity(self.rest().len() + 1);
            array.push(0x9f);
            array.extend_from_slice(self.rest());
            array.push(0xff);
            return Deserializer::new(&array).raw(name, visitor);
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CborError> {
        visitor.visit_some(self)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CborError> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct enum identifier
    }
}
