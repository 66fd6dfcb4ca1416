//! From values to items.

use serde::ser::{self, Serialize};

use super::super::transcode::octets;
use super::error::CborError;
use super::from_json;
use super::head::{self, ARRAY, MAP};
use super::to_json::RAW_VALUE;

/// A newtype struct of this name that holds a string is written as octets, one a character, if none
/// is beyond U+00FF; other strings of characters beyond ASCII are written as text.
///
/// ```
/// use aemp::proto::framing::cbor::{self, Serializer};
/// use serde::Serializer as _;
/// let mut out = Vec::new();
/// Serializer::new(&mut out).serialize_newtype_struct(cbor::OCTETS, "\u{0}\u{ff}")?;
/// assert_eq!(out, b"\x42\x00\xff");
/// # Ok::<(), aemp::proto::framing::cbor::CborError>(())
/// ```
pub const OCTETS: &str = "$aemp::octets";

/// A newtype struct of this name that holds octets is written as these octets, which have to be one
/// item. What it holds is asked to serialise by a serializer that is not human-readable, and says
/// by that whom it meets: this one, and not one that would make something else of the octets.
///
/// ```
/// use aemp::proto::framing::cbor::{self, Serializer};
/// use serde::{Serialize, Serializer as _};
/// struct Item(&'static [u8]);
/// impl Serialize for Item {
///     fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
///         assert!(!serializer.is_human_readable());
///         serializer.serialize_bytes(self.0)
///     }
/// }
/// let mut out = Vec::new();
/// Serializer::new(&mut out).serialize_newtype_struct(cbor::ITEM, &Item(b"\x81\x01"))?;
/// assert_eq!(out, b"\x81\x01");
/// # Ok::<(), aemp::proto::framing::cbor::CborError>(())
/// ```
pub const ITEM: &str = "$aemp::cbor";

/// What octets and strings are written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Usual,
    /// Strings as octets where possible: see [`OCTETS`].
    Octets,
    /// Octets as they are: see [`ITEM`].
    Item,
    /// The items of a list behind what is there already, which is the start of a message with the
    /// head at this place.
    Message(usize),
}

/// Writes a value as one item.
///
/// What is written as what is said in the [module's documentation](super).
///
/// ```
/// use aemp::proto::framing::cbor::Serializer;
/// use serde::Serialize;
/// let mut out = Vec::new();
/// ("ping", -1, "é", 1.5).serialize(Serializer::new(&mut out))?;
/// assert_eq!(out, b"\x84\x44ping\x20\x62\xc3\xa9\xfa\x3f\xc0\x00\x00");
/// # Ok::<(), aemp::proto::framing::cbor::CborError>(())
/// ```
#[derive(Debug)]
pub struct Serializer<'a> {
    out: &'a mut Vec<u8>,
    mode: Mode,
}

impl<'a> Serializer<'a> {
    /// A serializer that appends to `out`. After an error, a broken item may be there.
    ///
    /// ```
    /// use aemp::proto::framing::cbor::Serializer;
    /// use serde::Serialize;
    /// let mut out = b"\x81".to_vec();
    /// 256.serialize(Serializer::new(&mut out))?;
    /// assert_eq!(out, b"\x81\x19\x01\x00");
    /// # Ok::<(), aemp::proto::framing::cbor::CborError>(())
    /// ```
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        let mode = Mode::Usual;
        Self { out, mode }
    }

    /// A serializer of the elements of the message whose start was written: its head, one octet at
    /// `at`, says that there is one element. A list adds its items to them; anything else is
    /// written as an item, without that it is counted.
    pub(super) fn message(out: &'a mut Vec<u8>, at: usize) -> Self {
        let mode = Mode::Message(at);
        Self { out, mode }
    }

    /// Starts an array or map of, if that is known, `len` items or pairs.
    #[inline]
    fn start(self, kind: u8, len: Option<usize>) -> Compound<'a> {
        if let Mode::Message(at) = self.mode
            && kind == ARRAY
        {
            return Compound {
                out: self.out,
                kind,
                at,
                said: 1,
                count: 1,
            };
        }
        let said = len.unwrap_or_default() as u64;
        let at = self.out.len();
        head::write(self.out, kind, said);
        Compound {
            out: self.out,
            kind,
            at,
            said,
            count: 0,
        }
    }

    /// Starts a map of one pair, whose value follows.
    fn variant(mut self, name: &str) -> Self {
        self.mode = Mode::Usual;
        head::write(self.out, MAP, 1);
        head::write_str(self.out, name);
        self
    }
}

/// An array or map being written, or the struct by which serde_json's `RawValue` shows itself.
///
/// See [`Serializer`] for an example.
#[derive(Debug)]
pub struct Compound<'a> {
    out: &'a mut Vec<u8>,
    /// The kind of its head, 0 if it is no array or map.
    kind: u8,
    /// Where the head is, and what it says.
    at: usize,
    said: u64,
    count: u64,
}

impl Compound<'_> {
    #[inline]
    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CborError> {
        self.count += 1;
        value.serialize(Serializer::new(self.out))
    }

    /// Sets the length right if it was not known or is another.
    #[inline]
    fn finish(self) -> Result<(), CborError> {
        if self.count != self.said && self.kind != 0 {
            if self.said < 24 && self.count < 24 {
                self.out[self.at] = self.kind | self.count as u8;
            } else {
                self.say_count();
            }
        }
        Ok(())
    }

    /// Writes a raw value of serde_json, of which `value` is the text.
    #[cold]
    fn raw<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CborError> {
        let json = serde_json::to_string(value);
        let json: String = json
            .and_then(|json| serde_json::from_str(&json))
            .map_err(<CborError as ser::Error>::custom)?;
        from_json::value(self.out, json.as_bytes())
    }

    /// Puts a head of another length in the place of what was said.
    #[cold]
    fn say_count(self) {
        let (_, old) = head::encode(self.kind, self.said);
        let (new, len) = head::encode(self.kind, self.count);
        self.out
            .splice(self.at..self.at + old, new[..len].iter().copied());
    }
}

macro_rules! write_as {
    ($($method:ident $type:ty: |$self:ident, $value:ident| $body:expr;)*) => {$(
        #[inline]
        fn $method($self, $value: $type) -> Result<(), CborError> {
            $body;
            Ok(())
        }
    )*};
}

impl<'a> ser::Serializer for Serializer<'a> {
    type Ok = ();
    type Error = CborError;
    type SerializeSeq = Compound<'a>;
    type SerializeTuple = Compound<'a>;
    type SerializeTupleStruct = Compound<'a>;
    type SerializeTupleVariant = Compound<'a>;
    type SerializeMap = Compound<'a>;
    type SerializeStruct = Compound<'a>;
    type SerializeStructVariant = Compound<'a>;

    write_as! {
        serialize_bool bool: |self, v| self.out.push(if v { head::TRUE } else { head::FALSE });
        serialize_i8 i8: |self, v| head::write_i64(self.out, v.into());
        serialize_i16 i16: |self, v| head::write_i64(self.out, v.into());
        serialize_i32 i32: |self, v| head::write_i64(self.out, v.into());
        serialize_i64 i64: |self, v| head::write_i64(self.out, v);
        serialize_u8 u8: |self, v| head::write(self.out, head::UINT, v.into());
        serialize_u16 u16: |self, v| head::write(self.out, head::UINT, v.into());
        serialize_u32 u32: |self, v| head::write(self.out, head::UINT, v.into());
        serialize_u64 u64: |self, v| head::write(self.out, head::UINT, v);
        serialize_f32 f32: |self, v| head::write_f64(self.out, v.into());
        serialize_f64 f64: |self, v| head::write_f64(self.out, v);
        serialize_bytes &[u8]: |self, v| {
            if self.mode != Mode::Item {
                head::write(self.out, head::OCTETS, v.len() as u64);
            }
            self.out.extend_from_slice(v)
        };
        serialize_i128 i128: |self, v| match (u64::try_from(v), i64::try_from(v)) {
            (Ok(v), _) => head::write(self.out, head::UINT, v),
            (_, Ok(v)) => head::write_i64(self.out, v),
            _ => head::write_str(self.out, &v.to_string()),
        };
        serialize_u128 u128: |self, v| match u64::try_from(v) {
            Ok(v) => head::write(self.out, head::UINT, v),
            _ => head::write_str(self.out, &v.to_string()),
        };
    }

    #[inline]
    fn serialize_str(self, v: &str) -> Result<(), CborError> {
        if self.mode == Mode::Octets
            && let Some(octets) = octets(v)
        {
            return self.serialize_bytes(&octets);
        }
        head::write_str(self.out, v);
        Ok(())
    }

    fn serialize_char(self, v: char) -> Result<(), CborError> {
        self.serialize_str(v.encode_utf8(&mut [0; 4]))
    }

    fn serialize_none(self) -> Result<(), CborError> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), CborError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), CborError> {
        if !matches!(self.mode, Mode::Message(_)) {
            self.out.push(head::NULL);
        }
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), CborError> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), CborError> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), CborError> {
        self.mode = match name {
            OCTETS => Mode::Octets,
            ITEM => Mode::Item,
            _ if matches!(self.mode, Mode::Message(_)) => self.mode,
            _ => Mode::Usual,
        };
        value.serialize(self)
    }

    fn is_human_readable(&self) -> bool {
        self.mode != Mode::Item
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), CborError> {
        value.serialize(self.variant(variant))
    }

    #[inline]
    fn serialize_seq(self, len: Option<usize>) -> Result<Compound<'a>, CborError> {
        Ok(self.start(ARRAY, len))
    }

    #[inline]
    fn serialize_tuple(self, len: usize) -> Result<Compound<'a>, CborError> {
        Ok(self.start(ARRAY, Some(len)))
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        len: usize,
    ) -> Result<Compound<'a>, CborError> {
        Ok(self.start(ARRAY, Some(len)))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Compound<'a>, CborError> {
        Ok(self.variant(variant).start(ARRAY, Some(len)))
    }

    #[inline]
    fn serialize_map(self, len: Option<usize>) -> Result<Compound<'a>, CborError> {
        Ok(self.start(MAP, len))
    }

    #[inline]
    fn serialize_struct(self, name: &'static str, len: usize) -> Result<Compound<'a>, CborError> {
        if name == RAW_VALUE {
            return Ok(Compound {
                at: self.out.len(),
                out: self.out,
                kind: 0,
                said: 0,
                count: 0,
            });
        }
        Ok(self.start(MAP, Some(len)))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Compound<'a>, CborError> {
        Ok(self.variant(variant).start(MAP, Some(len)))
    }
}

macro_rules! items {
    ($($trait:ident $method:ident)*) => {$(
        impl ser::$trait for Compound<'_> {
            type Ok = ();
            type Error = CborError;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CborError> {
                self.item(value)
            }

            #[inline]
            fn end(self) -> Result<(), CborError> {
                self.finish()
            }
        }
    )*};
}

items! {
    SerializeSeq serialize_element SerializeTuple serialize_element
    SerializeTupleStruct serialize_field SerializeTupleVariant serialize_field
}

impl ser::SerializeMap for Compound<'_> {
    type Ok = ();
    type Error = CborError;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), CborError> {
        let at = self.out.len();
        self.item(key)?;
        // Keys are strings to Perl. CBOR::XS makes the same strings of numbers by itself.
        match self.out.get(at).map(|first| first >> 5) {
            Some(0..4) => Ok(()),
            _ => Err(CborError::new("a map's key must be a string or an integer")),
        }
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CborError> {
        value.serialize(Serializer::new(self.out))
    }

    #[inline]
    fn end(self) -> Result<(), CborError> {
        self.finish()
    }
}

macro_rules! fields {
    ($($trait:ident)*) => {$(
        impl ser::$trait for Compound<'_> {
            type Ok = ();
            type Error = CborError;

            #[inline]
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), CborError> {
                if self.kind == 0 {
                    return self.raw(value);
                }
                self.count += 1;
                head::write_str(self.out, key);
                value.serialize(Serializer::new(self.out))
            }

            #[inline]
            fn end(self) -> Result<(), CborError> {
                self.finish()
            }
        }
    )*};
}

fields! { SerializeStruct SerializeStructVariant }
