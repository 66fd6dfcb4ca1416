//! Arrays, maps and variants item by item.

use serde::de::{self, DeserializeSeed, SeqAccess, Visitor};

use super::error::CborError;
use super::key::Key;
use super::reader::Deserializer;

/// The items of an array or map, one by one.
pub(super) struct Items<'a, 'de> {
    pub(super) of: &'a mut Deserializer<'de>,
    /// How many items or pairs are left; `None` if that is not known before the break.
    pub(super) left: Option<u64>,
}

impl Items<'_, '_> {
    /// Is there nothing left? Takes the break then, once.
    #[inline]
    pub(super) fn is_at_end(&mut self) -> Result<bool, CborError> {
        match self.left {
            Some(left) => Ok(left == 0),
            None => match self.of.input.get(self.of.at) {
                Some(0xff) => {
                    self.of.at += 1;
                    self.left = Some(0);
                    Ok(true)
                }
                _ => Ok(false),
            },
        }
    }

    /// Everything must have been read.
    #[inline]
    pub(super) fn finish(&mut self) -> Result<(), CborError> {
        self.of.depth += 1;
        match self.is_at_end()? {
            true => Ok(()),
            false => Err(CborError::new("a list or map holds more than was expected")),
        }
    }
}

impl<'de> SeqAccess<'de> for &mut Items<'_, 'de> {
    type Error = CborError;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, CborError> {
        if self.is_at_end()? {
            return Ok(None);
        }
        if let Some(left) = &mut self.left {
            *left -= 1;
        }
        seed.deserialize(&mut *self.of).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        // Never more than could be there.
        let most = self.of.input.len() - self.of.at;
        self.left
            .map(|left| usize::try_from(left).unwrap_or(most).min(most))
    }
}

impl<'de> de::MapAccess<'de> for &mut Items<'_, 'de> {
    type Error = CborError;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, CborError> {
        if self.is_at_end()? {
            return Ok(None);
        }
        if let Some(left) = &mut self.left {
            *left -= 1;
        }
        seed.deserialize(Key(self.of)).map(Some)
    }

    #[inline]
    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, CborError> {
        seed.deserialize(&mut *self.of)
    }
}

/// A variant with its content, as a map of one pair.
pub(super) struct Variant<'a, 'de>(pub(super) &'a mut Deserializer<'de>);

impl<'a, 'de> de::EnumAccess<'de> for Variant<'a, 'de> {
    type Error = CborError;
    type Variant = &'a mut Deserializer<'de>;

    fn variant_seed<T: DeserializeSeed<'de>>(
        self,
        seed: T,
    ) -> Result<(T::Value, Self::Variant), CborError> {
        let name = seed.deserialize(Key(&mut *self.0))?;
        Ok((name, self.0))
    }
}

impl<'de> de::VariantAccess<'de> for &mut Deserializer<'de> {
    type Error = CborError;

    fn unit_variant(self) -> Result<(), CborError> {
        de::Deserialize::deserialize(self)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, CborError> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, CborError> {
        de::Deserializer::deserialize_seq(self, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, CborError> {
        de::Deserializer::deserialize_map(self, visitor)
    }
}
