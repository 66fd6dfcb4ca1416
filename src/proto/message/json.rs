//! Values to JSON text, as serde_json writes it, with an eye on strings: these are copied in runs.
//!
//! serde_json looks at the octets of a string one by one, which is most of the time that sending a
//! long one takes. Everything else is as in serde_json, which the tests compare with, and which
//! writes the floats and the keys of maps that are no strings.

use std::io;

use serde::Serialize;
use serde::ser::{self, Error as _, Serializer};
use serde_json::Error;
use serde_json::ser::{CompactFormatter, Formatter};

use crate::proto::framing::json::write_str;

/// Appends `value` to `out`. If that fails, `out` has parts of it.
#[inline]
pub(crate) fn write<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) -> Result<(), Error> {
    value.serialize(Writer { out })
}

/// What serde_json calls the struct by which a `RawValue` asks for itself.
const RAW_VALUE: &str = "$serde_json::private::RawValue";

/// Writes one value, as JSON::XS does wherever that loses nothing.
///
/// Minus zero is `-0`, which Perl takes as the integer 0 and this crate as -0.0. A float that is a
/// whole number stays recognisable as one, `2.0`, where Perl would write `2`.
struct Writer<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Writer<'a> {
    #[inline]
    fn raw(self, text: &str) -> Result<(), Error> {
        self.out.extend_from_slice(text.as_bytes());
        Ok(())
    }
    #[inline]
    fn integer(self, value: impl itoa::Integer) -> Result<(), Error> {
        self.raw(itoa::Buffer::new().format(value))
    }
    #[inline]
    fn float<F: Into<f64> + Copy>(
        self,
        value: F,
        write: impl FnOnce(&mut Vec<u8>, F) -> io::Result<()>,
    ) -> Result<(), Error> {
        let wide: f64 = value.into();
        match wide {
            _ if !wide.is_finite() => self.raw("null"),
            0.0 if wide.is_sign_negative() => self.raw("-0"),
            _ => write(self.out, value).map_err(Error::io),
        }
    }

    /// `{"variant":`, to be closed by `}` behind the value.
    #[inline]
    fn variant(self, variant: &str) -> &'a mut Vec<u8> {
        self.out.push(b'{');
        write_str(self.out, variant);
        self.out.push(b':');
        self.out
    }
    #[inline]
    fn open(self, open: u8, close: &'static str) -> Compound<'a> {
        self.out.push(open);
        Compound {
            out: self.out,
            first: true,
            close,
        }
    }
}

impl<'a> Serializer for Writer<'a> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Compound<'a>;
    type SerializeTuple = Compound<'a>;
    type SerializeTupleStruct = Compound<'a>;
    type SerializeTupleVariant = Compound<'a>;
    type SerializeMap = Compound<'a>;
    type SerializeStruct = Struct<'a>;
    type SerializeStructVariant = Struct<'a>;
    #[inline]
    fn serialize_bool(self, value: bool) -> Result<(), Error> {
        self.raw(if value { "true" } else { "false" })
    }
    #[inline]
    fn serialize_i8(self, value: i8) -> Result<(), Error> {
        self.integer(value)
    }
    #[inline]
    fn serialize_i16(self, value: i16) -> Result<(), Error> {
        self.integer(value)
    }
    #[inline]
    fn serialize_i32(self, value: i32) -> Result<(), Error> {
        self.integer(value)
    }
    #[inline]
    fn serialize_i64(self, value: i64) -> Result<(), Error> {
        self.integer(value)
    }
    #[inline]
    fn serialize_i128(self, value: i128) -> Result<(), Error> {
        self.integer(value)
    }
    #[inline]
    fn serialize_u8(self, value: u8) -> Result<(), Error> {
        self.integer(value)
    }
    #[inline]
    fn serialize_u16(self, value: u16) -> Result<(), Error> {
        self.integer(value)
    }
    #[inline]
    fn serialize_u32(self, value: u32) -> Result<(), Error> {
        self.integer(value)
    }
    #[inline]
    fn serialize_u64(self, value: u64) -> Result<(), Error> {
        self.integer(value)
    }
    #[inline]
    fn serialize_u128(self, value: u128) -> Result<(), Error> {
        self.integer(value)
    }
    #[inline]
    fn serialize_f32(self, value: f32) -> Result<(), Error> {
        self.float(value, |out, value| CompactFormatter.write_f32(out, value))
    }
    #[inline]
    fn serialize_f64(self, value: f64) -> Result<(), Error> {
        self.float(value, |out, value| CompactFormatter.write_f64(out, value))
    }
    #[inline]
    fn serialize_char(self, value: char) -> Result<(), Error> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }
    #[inline]
    fn serialize_str(self, value: &str) -> Result<(), Error> {
        write_str(self.out, value);
        Ok(())
    }
    #[inline]
    fn serialize_bytes(self, value: &[u8]) -> Result<(), Error> {
        self.collect_seq(value)
    }
    #[inline]
    fn serialize_none(self) -> Result<(), Error> {
        self.raw("null")
    }
    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }
    #[inline]
    fn serialize_unit(self) -> Result<(), Error> {
        self.raw("null")
    }
    #[inline]
    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Error> {
        self.raw("null")
    }
    #[inline]
    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), Error> {
        self.serialize_str(variant)
    }
    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        value.serialize(self)
    }
    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        let out = self.variant(variant);
        write(out, value)?;
        out.push(b'}');
        Ok(())
    }
    #[inline]
    fn serialize_seq(self, _: Option<usize>) -> Result<Compound<'a>, Error> {
        Ok(self.open(b'[', "]"))
    }
    #[inline]
    fn serialize_tuple(self, _: usize) -> Result<Compound<'a>, Error> {
        Ok(self.open(b'[', "]"))
    }
    #[inline]
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Compound<'a>, Error> {
        Ok(self.open(b'[', "]"))
    }
    #[inline]
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Compound<'a>, Error> {
        let out = self.variant(variant);
        Ok(Writer { out }.open(b'[', "]}"))
    }
    #[inline]
    fn serialize_map(self, _: Option<usize>) -> Result<Compound<'a>, Error> {
        Ok(self.open(b'{', "}"))
    }
    #[inline]
    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Struct<'a>, Error> {
        Ok(match name {
            RAW_VALUE => Struct::Raw(self.out),
            _ => Struct::Fields(self.open(b'{', "}")),
        })
    }
    #[inline]
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Struct<'a>, Error> {
        let out = self.variant(variant);
        Ok(Struct::Fields(Writer { out }.open(b'{', "}}")))
    }
    #[inline]
    fn collect_str<T: std::fmt::Display + ?Sized>(self, value: &T) -> Result<(), Error> {
        self.serialize_str(&value.to_string())
    }
}

/// An array or object that is being written.
struct Compound<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
    close: &'static str,
}

impl Compound<'_> {
    #[inline]
    fn comma(&mut self) {
        if !std::mem::replace(&mut self.first, false) {
            self.out.push(b',');
        }
    }
    #[inline]
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.comma();
        write(self.out, value)
    }
    #[inline]
    fn field<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<(), Error> {
        self.comma();
        write_str(self.out, key);
        self.out.push(b':');
        write(self.out, value)
    }
    #[inline]
    fn close(self) -> Result<(), Error> {
        self.out.extend_from_slice(self.close.as_bytes());
        Ok(())
    }
}

macro_rules! elements {
    ($($compound:ident $method:ident)*) => {$(
        impl ser::$compound for Compound<'_> {
            type Ok = ();
            type Error = Error;
            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
                self.element(value)
            }
            #[inline]
            fn end(self) -> Result<(), Error> {
                self.close()
            }
        }
    )*};
}
elements! {
    SerializeSeq serialize_element
    SerializeTuple serialize_element
    SerializeTupleStruct serialize_field
    SerializeTupleVariant serialize_field
}

impl ser::SerializeMap for Compound<'_> {
    type Ok = ();
    type Error = Error;
    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.comma();
        write_key(self.out, key)?;
        self.out.push(b':');
        Ok(())
    }
    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        write(self.out, value)
    }
    #[inline]
    fn end(self) -> Result<(), Error> {
        self.close()
    }
}

/// Writes the key of a map. What is no string is left to serde_json's rules.
#[inline]
fn write_key<T: Serialize + ?Sized>(out: &mut Vec<u8>, key: &T) -> Result<(), Error> {
    struct Alone<'a, T: ?Sized>(&'a T);
    impl<T: Serialize + ?Sized> Serialize for Alone<'_, T> {
        #[inline]
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_map([(self.0, ())])
        }
    }
    let start = out.len();
    if write(out, key).is_ok() && out.get(start) == Some(&b'"') {
        return Ok(());
    }
    out.truncate(start);
    let object = serde_json::to_vec(&Alone(key))?;
    let key = object
        .strip_prefix(b"{")
        .and_then(|rest| rest.strip_suffix(b":null}"));
    out.extend_from_slice(key.ok_or_else(|| Error::custom("a key can't be written"))?);
    Ok(())
}

/// A struct that is being written, or a raw value.
enum Struct<'a> {
    Fields(Compound<'a>),
    Raw(&'a mut Vec<u8>),
}

impl Struct<'_> {
    #[inline]
    fn field<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<(), Error> {
        match self {
            Struct::Fields(fields) => fields.field(key, value),
            Struct::Raw(out) => {
                let text = serde_json::to_value(value)?;
                let text = text
                    .as_str()
                    .ok_or_else(|| Error::custom("a raw value is no text"))?;
                out.extend_from_slice(text.as_bytes());
                Ok(())
            }
        }
    }
    #[inline]
    fn close(self) -> Result<(), Error> {
        match self {
            Struct::Fields(fields) => fields.close(),
            Struct::Raw(_) => Ok(()),
        }
    }
}

macro_rules! fields {
    ($($compound:ident)*) => {$(
        impl ser::$compound for Struct<'_> {
            type Ok = ();
            type Error = Error;
            #[inline]
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), Error> {
                self.field(key, value)
            }
            #[inline]
            fn end(self) -> Result<(), Error> {
                self.close()
            }
        }
    )*};
}
fields! { SerializeStruct SerializeStructVariant }

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::value::RawValue;
    use std::collections::BTreeMap;

    fn text<T: Serialize + ?Sized>(value: &T) -> String {
        let mut out = Vec::new();
        write(&mut out, value).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// Everything that serde knows.
    #[derive(Debug, Clone, Serialize)]
    enum All {
        Unit,
        Bool(bool),
        Int(i64),
        Wide(u128),
        Float(f64),
        Short(f32),
        Char(char),
        Text(String),
        Option(Option<Box<All>>),
        List(Vec<All>),
        Pair(Box<All>, Box<All>),
        Named { a: Box<All>, b: () },
        Map(BTreeMap<String, All>),
        Numbers(BTreeMap<i32, All>),
        Flags(BTreeMap<bool, u8>),
        Letters(BTreeMap<char, u8>),
        Struct(Inner),
        Wrapped(Wrapped),
    }

    #[derive(Debug, Clone, Serialize)]
    struct Inner {
        x: u8,
        #[serde(rename = "k\"ey")]
        y: Option<u8>,
    }

    #[derive(Debug, Clone, Serialize)]
    struct Wrapped(u8);

    fn all() -> impl Strategy<Value = All> {
        let leaf = prop_oneof![
            Just(All::Unit),
            any::<bool>().prop_map(All::Bool),
            any::<i64>().prop_map(All::Int),
            any::<u128>().prop_map(All::Wide),
            any::<f64>().prop_map(All::Float),
            any::<f32>().prop_map(All::Short),
            any::<char>().prop_map(All::Char),
            any::<String>().prop_map(All::Text),
            "[ -~\\x00-\\x20\u{e9}\u{1f600}]{0,40}".prop_map(All::Text),
            prop::collection::btree_map(any::<bool>(), any::<u8>(), 0..3).prop_map(All::Flags),
            prop::collection::btree_map(any::<char>(), any::<u8>(), 0..3).prop_map(All::Letters),
            any::<(u8, Option<u8>)>().prop_map(|(x, y)| All::Struct(Inner { x, y })),
            any::<u8>().prop_map(|x| All::Wrapped(Wrapped(x))),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            let boxed = inner.clone().prop_map(Box::new);
            prop_oneof![
                prop::option::of(boxed.clone()).prop_map(All::Option),
                prop::collection::vec(inner.clone(), 0..4).prop_map(All::List),
                (boxed.clone(), boxed.clone()).prop_map(|(a, b)| All::Pair(a, b)),
                boxed.prop_map(|a| All::Named { a, b: () }),
                prop::collection::btree_map(any::<String>(), inner.clone(), 0..3)
                    .prop_map(All::Map),
                prop::collection::btree_map(any::<i32>(), inner, 0..3).prop_map(All::Numbers),
            ]
        })
    }

    proptest! {
        #[test]
        fn as_serde_json(value in all()) {
            let expected = serde_json::to_string(&value).unwrap();
            // The one difference.
            prop_assume!(!expected.contains("-0.0"));
            prop_assert_eq!(text(&value), expected);
        }
    }

    #[test]
    fn raw_values_stay_as_they_are() {
        let raw = RawValue::from_string("[1e+20, -0]".to_owned()).unwrap();
        assert_eq!(text(&(&raw, [&raw])), "[[1e+20, -0],[[1e+20, -0]]]");
    }

    #[test]
    fn floats_and_oddities() {
        assert_eq!(text(&(-0.0, 0.0, -0.0_f32, f64::NAN)), "[-0,0.0,-0,null]");
        assert_eq!(text(&format_args!("a{}b", '"')), r#""a\"b""#);
        assert_eq!(text(&[("k", u8::MAX)]), r#"[["k",255]]"#);
        let odd = BTreeMap::from([((1, 2), 3)]);
        assert!(write(&mut Vec::new(), &odd).is_err());
        let optional = BTreeMap::from([(Some("k"), 1)]);
        assert_eq!(text(&optional), serde_json::to_string(&optional).unwrap());
    }
}
