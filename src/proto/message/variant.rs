//! Enums as messages: the variant's name, then its fields.

use serde::ser::{self, Serialize, Serializer};

/// Something that is to be a message. A variant of an enum serialises as a sequence that begins
/// with its name, where serde has a map of one key; all else is as it is, and so is an enum within.
pub(super) struct Whole<'a, T: ?Sized>(pub(super) &'a T);

impl<T: Serialize + ?Sized> Serialize for Whole<'_, T> {
    #[inline]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(Variants(serializer))
    }
}

/// Hands everything on but variants.
struct Variants<S>(S);

macro_rules! hand_on {
    ($($method:ident($($arg:ident: $type:ty),*) -> $ok:ident;)*) => {$(
        #[inline]
        fn $method(self, $($arg: $type),*) -> Result<S::$ok, S::Error> {
            self.0.$method($($arg),*)
        }
    )*};
}

impl<S: Serializer> Serializer for Variants<S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = S::SerializeSeq;
    type SerializeTuple = S::SerializeTuple;
    type SerializeTupleStruct = S::SerializeTupleStruct;
    type SerializeTupleVariant = Fields<S::SerializeTuple>;
    type SerializeMap = S::SerializeMap;
    type SerializeStruct = S::SerializeStruct;
    type SerializeStructVariant = Fields<S::SerializeTuple>;

    hand_on! {
        serialize_bool(value: bool) -> Ok;
        serialize_i8(value: i8) -> Ok;
        serialize_i16(value: i16) -> Ok;
        serialize_i32(value: i32) -> Ok;
        serialize_i64(value: i64) -> Ok;
        serialize_i128(value: i128) -> Ok;
        serialize_u8(value: u8) -> Ok;
        serialize_u16(value: u16) -> Ok;
        serialize_u32(value: u32) -> Ok;
        serialize_u64(value: u64) -> Ok;
        serialize_u128(value: u128) -> Ok;
        serialize_f32(value: f32) -> Ok;
        serialize_f64(value: f64) -> Ok;
        serialize_char(value: char) -> Ok;
        serialize_str(value: &str) -> Ok;
        serialize_bytes(value: &[u8]) -> Ok;
        serialize_none() -> Ok;
        serialize_unit() -> Ok;
        serialize_unit_struct(name: &'static str) -> Ok;
        serialize_seq(len: Option<usize>) -> SerializeSeq;
        serialize_tuple(len: usize) -> SerializeTuple;
        serialize_tuple_struct(name: &'static str, len: usize) -> SerializeTupleStruct;
        serialize_map(len: Option<usize>) -> SerializeMap;
        serialize_struct(name: &'static str, len: usize) -> SerializeStruct;
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        value.serialize(self)
    }

    #[inline]
    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<S::Ok, S::Error> {
        let fields = Fields::begin(self.0, variant, 0)?;
        ser::SerializeTuple::end(fields.elements)
    }

    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let mut fields = Fields::begin(self.0, variant, 1)?;
        fields.push(value)?;
        ser::SerializeTuple::end(fields.elements)
    }

    #[inline]
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleVariant, S::Error> {
        Fields::begin(self.0, variant, len)
    }

    #[inline]
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        Fields::begin(self.0, variant, len)
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }
}

/// A variant's name and its fields, as the elements of one tuple.
struct Fields<E> {
    elements: E,
    /// A field was left out.
    skipped: bool,
}

impl<E: ser::SerializeTuple> Fields<E> {
    #[inline]
    fn begin<S>(serializer: S, variant: &'static str, len: usize) -> Result<Self, S::Error>
    where
        S: Serializer<SerializeTuple = E>,
        E: ser::SerializeTuple<Error = S::Error>,
    {
        let mut elements = serializer.serialize_tuple(len + 1)?;
        elements.serialize_element(variant)?;
        Ok(Fields {
            elements,
            skipped: false,
        })
    }

    #[inline]
    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), E::Error> {
        if self.skipped {
            // Whoever reads them has nothing but their places to tell them by.
            return Err(ser::Error::custom(
                "a field before others can't be left out of a message",
            ));
        }
        self.elements.serialize_element(value)
    }
}

impl<E: ser::SerializeTuple> ser::SerializeTupleVariant for Fields<E> {
    type Ok = E::Ok;
    type Error = E::Error;

    #[inline]
    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), E::Error> {
        self.push(value)
    }

    #[inline]
    fn end(self) -> Result<E::Ok, E::Error> {
        self.elements.end()
    }
}

impl<E: ser::SerializeTuple> ser::SerializeStructVariant for Fields<E> {
    type Ok = E::Ok;
    type Error = E::Error;

    #[inline]
    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        _: &'static str,
        value: &T,
    ) -> Result<(), E::Error> {
        self.push(value)
    }

    fn skip_field(&mut self, _: &'static str) -> Result<(), E::Error> {
        self.skipped = true;
        Ok(())
    }

    #[inline]
    fn end(self) -> Result<E::Ok, E::Error> {
        self.elements.end()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::{Deserialize, Serialize};

    use crate::proto::message::encode_in;
    use crate::proto::{Framing, Message, PortId};

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Said {
        Quit,
        Say(String),
        Join(PortId, u32),
        SetTopic {
            room: String,
            topic: Option<Vec<i64>>,
        },
    }

    fn json<T: Serialize>(value: &T) -> String {
        Message::encode(value).unwrap().to_json().into_owned()
    }

    fn read<'de, T: Deserialize<'de>>(message: &'de Message) -> Result<T, String> {
        message.args().map_err(|error| error.to_string())
    }

    #[test]
    fn a_variant_is_its_name_and_its_fields() {
        assert_eq!(json(&Said::Quit), r#"["quit"]"#);
        assert_eq!(json(&Said::Say("hi".into())), r#"["say","hi"]"#);
        assert_eq!(json(&Said::Join("a#b".into(), 7)), r#"["join","a#b",7]"#);
        let topic = Said::SetTopic {
            room: "r".into(),
            topic: Some(vec![1]),
        };
        assert_eq!(json(&topic), r#"["set_topic","r",[1]]"#);
        assert_eq!(json(&Some(&topic)), json(&topic));
        // Within an element an enum is what serde has for it.
        assert_eq!(
            json(&("x", Said::Say("hi".into()))),
            r#"["x",{"say":"hi"}]"#
        );
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let message = |json: &str| {
            let values: Vec<serde_json::Value> = serde_json::from_str(json).unwrap();
            Message::encode(&values).unwrap()
        };
        let error = read::<Said>(&message(r#"["jion","a#b",7]"#)).unwrap_err();
        assert_eq!(
            error,
            "argument 1: unknown variant `jion`, expected one of `quit`, `say`, `join`, `set_topic`"
        );
        let error = read::<Said>(&message(r#"["join","a#b","x"]"#)).unwrap_err();
        assert_eq!(
            error,
            "argument 3: invalid type: string \"x\", expected u32"
        );
        let error = read::<Said>(&message(r#"["join","a#b"]"#)).unwrap_err();
        assert_eq!(error, "argument 3: is missing");
        assert_eq!(
            read::<Said>(&message("[]")).unwrap_err(),
            "argument 1: is missing"
        );
        assert!(read::<Said>(&message("[1]")).is_err());
        // What may be missing, or is more than was asked for, is as in a tuple.
        let topic = read::<Said>(&message(r#"["set_topic","r"]"#)).unwrap();
        assert!(matches!(topic, Said::SetTopic { topic: None, .. }));
        assert_eq!(
            read::<Said>(&message(r#"["quit",1,2]"#)).unwrap(),
            Said::Quit
        );
    }

    #[test]
    fn fields_are_told_by_their_places() {
        #[derive(Serialize)]
        enum Sparse {
            Set {
                #[serde(skip_serializing_if = "Option::is_none")]
                first: Option<u8>,
                #[serde(skip_serializing_if = "Option::is_none")]
                last: Option<u8>,
            },
        }
        let set = |first, last| Message::encode(&Sparse::Set { first, last });
        assert_eq!(set(Some(1), Some(2)).unwrap().to_json(), r#"["Set",1,2]"#);
        assert_eq!(set(Some(1), None).unwrap().to_json(), r#"["Set",1]"#);
        assert_eq!(set(None, None).unwrap().to_json(), r#"["Set"]"#);
        let error = set(None, Some(2)).unwrap_err().to_string();
        assert!(error.contains("can't be left out of a message"), "{error}");
    }

    #[test]
    fn fields_are_borrowed_and_others_are_caught() {
        #[derive(Debug, PartialEq, Deserialize)]
        enum Borrowed<'a> {
            Say(&'a str, u8),
            #[serde(other)]
            Other,
        }
        let message = Message::encode(&("Say", "hi", 1)).unwrap();
        assert_eq!(read::<Borrowed>(&message).unwrap(), Borrowed::Say("hi", 1));
        let message = Message::encode(&("What", 1)).unwrap();
        assert_eq!(read::<Borrowed>(&message).unwrap(), Borrowed::Other);
    }

    fn said() -> impl Strategy<Value = Said> {
        let topic = proptest::option::of(proptest::collection::vec(any::<i64>(), 0..4));
        prop_oneof![
            Just(Said::Quit),
            ".{0,20}".prop_map(Said::Say),
            ("[a-z]{1,5}#[a-z]{1,5}", any::<u32>()).prop_map(|(p, n)| Said::Join(p.into(), n)),
            (".{0,9}", topic).prop_map(|(room, topic)| Said::SetTopic { room, topic }),
        ]
    }

    /// The octets of a message in a framing.
    fn octets<T: Serialize>(framing: Framing, value: &T) -> Vec<u8> {
        let mut out = Vec::new();
        encode_in(&mut out, framing, "p", value).unwrap();
        out
    }

    /// The same in each framing, and within the node.
    fn all_ways<T: Serialize>(value: &T) -> Vec<Vec<u8>> {
        let framings = [Framing::Json, Framing::Cbor, Framing::Storable];
        let mut all: Vec<Vec<u8>> = framings.map(|framing| octets(framing, value)).into();
        #[cfg(feature = "node")]
        {
            let mut local = Vec::new();
            super::super::encode::encode_local(&mut local, value).unwrap();
            all.push(local);
        }
        all.push(
            Message::encode(value)
                .unwrap()
                .to_json()
                .into_owned()
                .into(),
        );
        all
    }

    proptest! {
        /// Octet for octet what the tuple is, and read back the same.
        #[test]
        fn as_the_tuple(said in said()) {
            let of_tuple = match &said {
                Said::Quit => all_ways(&("quit",)),
                Said::Say(text) => all_ways(&("say", text)),
                Said::Join(port, n) => all_ways(&("join", port, n)),
                Said::SetTopic { room, topic } => all_ways(&("set_topic", room, topic)),
            };
            prop_assert_eq!(all_ways(&said), of_tuple);
            let message = Message::encode(&said).unwrap();
            prop_assert_eq!(message.args::<Said>().unwrap(), said.clone());
            #[cfg(feature = "node")]
            {
                let mut local = Vec::new();
                super::super::encode::encode_local(&mut local, &said).unwrap();
                prop_assert_eq!(Message::from_local(&local).args::<Said>().unwrap(), said);
            }
        }
    }
}
