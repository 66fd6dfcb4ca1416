//! From items to values, without anything in between.

use std::borrow::Cow;

use serde::de::{self, IntoDeserializer, Unexpected, Visitor};

use super::super::transcode::{ascii, latin1, octets};
use super::error::CborError;
use super::head::Head;
use super::items::{Items, Variant};
use super::number::{Number, big};
use super::reader::Deserializer;
use super::text::{skip, take, take_chunks, take_str, utf8};
use super::to_json;

impl<'de> Deserializer<'de> {
    /// Has `visitor` read the next `n` items as a list, and no more.
    #[cfg(feature = "node")]
    #[inline]
    pub(crate) fn read_list<V: Visitor<'de>>(
        &mut self,
        n: usize,
        visitor: V,
    ) -> Result<V::Value, CborError> {
        let left = Some(n as u64);
        visitor.visit_seq(&mut Items { of: self, left })
    }

    /// Reads the next item. Nearly all are small numbers and short strings: a short cut for them.
    #[inline]
    fn next<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, CborError> {
        if let Some((&first, rest)) = self.input.get(self.at..).and_then(<[u8]>::split_first) {
            match first {
                0x40..=0x57 => {
                    let len = usize::from(first & 0x1f);
                    if let Some(octets) = rest.get(..len)
                        && let Some(text) = ascii(octets)
                    {
                        self.at += 1 + len;
                        return visitor.visit_borrowed_str(text);
                    }
                }
                0x60..=0x77 => {
                    let len = usize::from(first & 0x1f);
                    if let Some(octets) = rest.get(..len)
                        && let Ok(text) = std::str::from_utf8(octets)
                    {
                        self.at += 1 + len;
                        return visitor.visit_borrowed_str(text);
                    }
                }
                0x00..=0x17 => {
                    self.at += 1;
                    return visitor.visit_u64(first.into());
                }
                0x80..=0x97 => {
                    self.at += 1;
                    let mut items = self.items(Head::Array((first & 0x1f).into()))?;
                    let value = visitor.visit_seq(&mut items)?;
                    items.finish()?;
                    return Ok(value);
                }
                0xa0..=0xb7 => {
                    self.at += 1;
                    let mut pairs = self.items(Head::Map((first & 0x1f).into()))?;
                    let value = visitor.visit_map(&mut pairs)?;
                    pairs.finish()?;
                    return Ok(value);
                }
                0xf4 | 0xf5 => {
                    self.at += 1;
                    return visitor.visit_bool(first == 0xf5);
                }
                _ => {}
            }
        }
        let head = self.head()?;
        self.any(head, visitor, false)
    }

    pub(super) fn any<V: Visitor<'de>>(
        &mut self,
        (head, tag): (Head, Option<u64>),
        visitor: V,
        wide: bool,
    ) -> Result<V::Value, CborError> {
        if let Some(tag) = tag
            && let Some(number) = self.tagged(head, tag)?
        {
            return number.visit(visitor, wide);
        }
        match head {
            Head::Octets(n) => str_of(take(self.input, &mut self.at, n)?, visitor),
            Head::Text(n) => visitor.visit_borrowed_str(utf8(take(self.input, &mut self.at, n)?)?),
            Head::Uint(n) => visitor.visit_u64(n),
            Head::Negative(n) => Number::negative(n).visit(visitor, wide),
            Head::Float(n) => visitor.visit_f64(n),
            Head::Bool(b) => visitor.visit_bool(b),
            Head::Null | Head::Undefined => visitor.visit_unit(),
            Head::Array(_) | Head::OpenArray => {
                let mut items = self.items(head)?;
                let value = visitor.visit_seq(&mut items)?;
                items.finish()?;
                Ok(value)
            }
            Head::Map(_) | Head::OpenMap => {
                let mut items = self.items(head)?;
                let value = visitor.visit_map(&mut items)?;
                items.finish()?;
                Ok(value)
            }
            Head::OctetChunks => {
                let whole = take_chunks(self.input, &mut self.at, false)?;
                visitor.visit_string(latin1(&whole).into_owned())
            }
            Head::TextChunks => {
                let whole = take_chunks(self.input, &mut self.at, true)?;
                visitor.visit_string(String::from_utf8(whole).unwrap_or_default())
            }
            Head::Tag(_) | Head::Break => Err(CborError::new("break without a beginning")),
        }
    }

    /// The number that a tag makes of the item whose head was read, if it does.
    fn tagged(&mut self, head: Head, tag: u64) -> Result<Option<Number>, CborError> {
        match tag {
            2 | 3 => {
                let digits = match head {
                    Head::Octets(n) => Cow::Borrowed(take(self.input, &mut self.at, n)?),
                    Head::OctetChunks => take_chunks(self.input, &mut self.at, false)?.into(),
                    _ => return Err(CborError::new("a big number is not made of octets")),
                };
                Ok(Some(big(&digits, tag == 3)?))
            }
            25 | 29 => Err(CborError::new(
                "references to earlier strings and values (tags 25, 29) are not supported",
            )),
            _ => Ok(None),
        }
    }

    #[inline]
    fn number<V: Visitor<'de>>(&mut self, visitor: V, wide: bool) -> Result<V::Value, CborError> {
        match self.input.get(self.at..) {
            Some(&[first @ 0x00..=0x17, ..]) => {
                self.at += 1;
                return visitor.visit_u64(first.into());
            }
            Some(&[0x18, a, ..]) => {
                self.at += 2;
                return visitor.visit_u64(a.into());
            }
            Some(&[0x19, a, b, ..]) => {
                self.at += 3;
                return visitor.visit_u64(u16::from_be_bytes([a, b]).into());
            }
            Some(&[0x1a, a, b, c, d, ..]) => {
                self.at += 5;
                return visitor.visit_u64(u32::from_be_bytes([a, b, c, d]).into());
            }
            _ => {}
        }
        match self.head()? {
            (Head::Float(n), None) => Number::F(n).whole().visit(visitor, wide),
            head => self.any(head, visitor, wide),
        }
    }

    /// The next item as serde_json's `RawValue`, in JSON.
    pub(super) fn raw<'v, V: Visitor<'v>>(
        &mut self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, CborError> {
        let before = self.at;
        self.skipped = true;
        skip(self.input, &mut self.at)?;
        let mut json = Vec::new();
        to_json::item(&mut json, &self.input[before..self.at])?;
        let json = String::from_utf8(json).map_err(|e| CborError::new(e.to_string()))?;
        let pair = std::iter::once((name, json.into_deserializer()));
        visitor.visit_map(de::value::MapDeserializer::<_, CborError>::new(pair))
    }

    #[inline]
    fn items<'a>(&'a mut self, head: Head) -> Result<Items<'a, 'de>, CborError> {
        let Some(depth) = self.depth.checked_sub(1) else {
            return Err(CborError::new("nested too deep"));
        };
        self.depth = depth;
        let left = match head {
            Head::Array(n) | Head::Map(n) => Some(n),
            _ => None,
        };
        Ok(Items { of: self, left })
    }
}

fn str_of<'de, V: Visitor<'de>>(octets: &'de [u8], visitor: V) -> Result<V::Value, CborError> {
    match latin1(octets) {
        Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
        Cow::Owned(text) => visitor.visit_string(text),
    }
}

macro_rules! forward {
    ($($method:ident)* => |$self:ident, $visitor:ident| $body:expr) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>($self, $visitor: V) -> Result<V::Value, CborError> {
            $body
        }
    )*};
}

impl<'de> de::Deserializer<'de> for &mut Deserializer<'de> {
    type Error = CborError;

    forward! {
        deserialize_any deserialize_bool deserialize_char deserialize_str deserialize_string
        deserialize_unit deserialize_seq deserialize_map deserialize_identifier
        deserialize_f32 deserialize_f64
        => |self, visitor| self.next(visitor)
    }
    forward! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
        => |self, visitor| self.number(visitor, false)
    }
    forward! {
        deserialize_i128 deserialize_u128 => |self, visitor| self.number(visitor, true)
    }
    forward! {
        deserialize_bytes deserialize_byte_buf => |self, visitor| {
            let (head, tag) = self.head()?;
            match head {
                Head::Octets(n) => visitor.visit_borrowed_bytes(take(self.input, &mut self.at, n)?),
                Head::OctetChunks => {
                    visitor.visit_byte_buf(take_chunks(self.input, &mut self.at, false)?)
                }
                Head::Text(_) | Head::TextChunks => {
                    let text = take_str(self.input, &mut self.at, head)?;
                    match text.unwrap_or_default() {
                        Cow::Borrowed(text) if text.is_ascii() => {
                            visitor.visit_borrowed_bytes(text.as_bytes())
                        }
                        text => match octets(&text) {
                            Some(octets) => visitor.visit_byte_buf(octets.into_owned()),
                            None => Err(de::Error::invalid_value(Unexpected::Str(&text), &visitor)),
                        },
                    }
                }
                _ => self.any((head, tag), visitor, false),
            }
        }
    }
    forward! {
        deserialize_ignored_any => |self, visitor| {
            self.skipped = true;
            skip(self.input, &mut self.at)?;
            visitor.visit_unit()
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CborError> {
        match self.input.get(self.at) {
            // Only a tag has to be looked behind.
            Some(0xc0..=0xdb) => {
                let before = self.at;
                if let (Head::Null | Head::Undefined, _) = self.head()? {
                    return visitor.visit_none();
                }
                self.at = before;
                visitor.visit_some(self)
            }
            Some(0xf6 | 0xf7) => {
                self.at += 1;
                visitor.visit_none()
            }
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, CborError> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, CborError> {
        if name == to_json::RAW_VALUE {
            return self.raw(name, visitor);
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, CborError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, CborError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, CborError> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, CborError> {
        let before = self.at;
        let (head, _) = self.head()?;
        match head {
            Head::Map(_) | Head::OpenMap => {
                let mut items = self.items(head)?;
                if items.is_at_end()? {
                    return Err(de::Error::invalid_value(Unexpected::Map, &"a variant"));
                }
                let value = visitor.visit_enum(Variant(items.of))?;
                if let Some(left) = &mut items.left {
                    *left -= 1;
                }
                items.finish()?;
                Ok(value)
            }
            _ => {
                self.at = before;
                let text = <Cow<'de, str> as de::Deserialize>::deserialize(self)?;
                visitor.visit_enum(text.into_deserializer())
            }
        }
    }
}
