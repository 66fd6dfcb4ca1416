//! One element of a message, as it came.

use std::borrow::Cow;
use std::marker::PhantomData;

use serde::de::{Deserialize, DeserializeSeed};
use serde::ser::{Error as _, Serialize, Serializer};
use serde_json::value::RawValue;

use super::args::{self, ArgsError};
use crate::proto::framing::cbor;

/// An element of a message in the octets in which it came: see
/// [`Message::elements`](super::Message::elements).
///
/// It serialises as what it is. Between links of the same framing it stays the same octet by octet.
///
/// ```
/// use aemp::Message;
/// let message = Message::encode(&("test", [1, 2]))?;
/// let last = message.elements().last().unwrap();
/// assert_eq!(last.json(), "[1,2]");
/// assert_eq!(last.read::<(u8, u8)>()?, (1, 2));
/// assert_eq!(Message::encode(&[last])?.to_json(), "[[1,2]]");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy)]
pub struct RawElement<'a>(pub(super) Raw<'a>);

#[derive(Clone, Copy)]
pub(super) enum Raw<'a> {
    /// The text of one value.
    Json(&'a str),
    /// One item.
    Cbor(&'a [u8]),
}

impl<'a> RawElement<'a> {
    pub(crate) fn of_json(text: &'a str) -> Self {
        RawElement(Raw::Json(text))
    }

    pub(crate) fn of_cbor(item: &'a [u8]) -> Self {
        RawElement(Raw::Cbor(item))
    }

    /// The element as JSON. `null` for the few values of CBOR that have none (see
    /// [`cbor_to_json`](cbor::cbor_to_json)).
    ///
    /// See [`RawElement`] for an example.
    pub fn json(&self) -> Cow<'a, str> {
        match self.0 {
            Raw::Json(text) => text.into(),
            Raw::Cbor(item) => json_of(item).unwrap_or_else(|_| "null".to_owned()).into(),
        }
    }

    /// How many octets the element takes in the message.
    ///
    /// ```
    /// let message = aemp::Message::encode(&("test", [1, 2]))?;
    /// assert_eq!(message.elements().next().unwrap().size(), r#""test""#.len());
    /// # Ok::<(), aemp::proto::message::EncodeError>(())
    /// ```
    pub fn size(&self) -> usize {
        match self.0 {
            Raw::Json(text) => text.len(),
            Raw::Cbor(item) => item.len(),
        }
    }

    /// Reads the element into a type.
    ///
    /// # Errors
    ///
    /// [`ArgsError`] if it does not fit.
    ///
    /// See [`RawElement`] for an example.
    pub fn read<T: Deserialize<'a>>(&self) -> Result<T, ArgsError> {
        self.read_seed(PhantomData)
    }

    /// Has `seed` read the element.
    pub(crate) fn read_seed<S: DeserializeSeed<'a>>(&self, seed: S) -> Result<S::Value, ArgsError> {
        match self.0 {
            Raw::Json(text) => args::read_value(text, seed),
            Raw::Cbor(item) => args::read_item(item, seed),
        }
    }
}

/// The JSON of one item.
fn json_of(item: &[u8]) -> Result<String, cbor::CborError> {
    let mut json = Vec::with_capacity(item.len() + 8);
    cbor::item_to_json(&mut json, item)?;
    Ok(String::from_utf8(json).unwrap_or_default()) // it is UTF-8
}

impl Serialize for RawElement<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Raw::Json(text) => {
                let raw: &RawValue = serde_json::from_str(text).map_err(S::Error::custom)?;
                raw.serialize(serializer)
            }
            Raw::Cbor(item) => serializer.serialize_newtype_struct(cbor::ITEM, &Item(item)),
        }
    }
}

/// One item of CBOR, for a serializer of CBOR or another one.
struct Item<'a>(&'a [u8]);

impl Serialize for Item<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            return serializer.serialize_bytes(self.0);
        }
        let json = json_of(self.0).map_err(S::Error::custom)?;
        let raw = RawValue::from_string(json).map_err(S::Error::custom)?;
        raw.serialize(serializer)
    }
}

impl std::fmt::Debug for RawElement<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.json())
    }
}
