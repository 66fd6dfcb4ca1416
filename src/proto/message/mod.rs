//! Messages: octets until someone wants them typed.
//!
//! A message is a list of values. On the wire the destination port's name stands before them
//! (PROTOCOL.md, "Messages"). A [`Message`] keeps the octets of the list as they came, in JSON or
//! in CBOR; reading it deserialises straight from these octets into the types that are asked for.
//! Which of the two it is makes no difference to who reads it.
//!
//! Reading is as lenient as Perl code is: elements beyond the ones asked for are ignored, and
//! missing ones are `None` where an `Option` is asked for.

mod args;
mod element;
mod encode;
mod incoming;
mod json;
mod perl;
mod quick;

use std::borrow::Cow;

use bytes::{Buf as _, Bytes, BytesMut};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

pub use args::ArgsError;
pub use element::RawElement;
#[cfg(feature = "node")]
pub(crate) use encode::encode_local;
pub use encode::{EncodeError, encode_args, encode_in, encode_to, json_in};
pub use incoming::{Arrived, Incoming};
pub use perl::{Num, Octets, Text};
pub use quick::{Head, Quick, RestAt, are_plain};

use element::Raw;

use crate::proto::Framing;
use crate::proto::framing::cbor::{self, Sequence};
use crate::proto::framing::json::unescape;

/// The data of one message, without its destination.
///
/// Cloning is cheap: clones share the octets.
///
/// ```
/// use aemp::proto::Message;
/// let message = Message::encode(&("test", 123, ["a", "b"]))?;
/// assert_eq!(message.tag().as_deref(), Some("test"));
/// let (tag, number): (&str, u32) = message.args()?;
/// assert_eq!((tag, number), ("test", 123));
/// let (number, list, missing): (u32, Vec<String>, Option<u32>) = message.without_tag().args()?;
/// assert_eq!((number, list.len(), missing), (123, 2, None));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Message {
    /// The text of a JSON array, or the elements in CBOR one behind the other; known to be valid.
    octets: Bytes,
    format: Format,
    /// How many elements of the array don't belong to this message any more. In CBOR they are taken
    /// off.
    skip: u32,
}

/// What a message's octets are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Cbor,
}

impl Message {
    /// Makes a message of anything that serialises as a sequence; `()` is the empty message.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] if it is no sequence, or does not serialise.
    ///
    /// ```
    /// use aemp::Message;
    /// assert_eq!(Message::encode(&("test", 123))?.to_json(), r#"["test",123]"#);
    /// assert_eq!(Message::encode(&())?.to_json(), "[]");
    /// assert!(Message::encode(&123).is_err());
    /// # Ok::<(), aemp::proto::message::EncodeError>(())
    /// ```
    pub fn encode<T: Serialize + ?Sized>(args: &T) -> Result<Self, EncodeError> {
        let mut json = Vec::with_capacity(64);
        encode_args(&mut json, args)?;
        Ok(Message::from_json(json.into()))
    }

    /// The message with a string behind its elements.
    #[cfg(feature = "node")]
    pub(crate) fn with(&self, last: &str) -> Self {
        let mut json = self.to_json().into_owned().into_bytes();
        json.truncate(json.trim_ascii_end().len().saturating_sub(1));
        if json.trim_ascii_end() != b"[" {
            json.push(b',');
        }
        crate::proto::framing::json::write_str(&mut json, last);
        json.push(b']');
        Message::from_json(json.into())
    }

    /// Makes a message of what [`encode_local`] wrote.
    #[cfg(feature = "node")]
    pub(crate) fn from_local(array: &[u8]) -> Self {
        let elements = cbor::items_of(array).unwrap_or_default();
        Message::from_cbor(Bytes::copy_from_slice(elements))
    }

    /// A message of the text of a JSON array, which is valid.
    fn from_json(octets: Bytes) -> Self {
        Message {
            octets,
            format: Format::Json,
            skip: 0,
        }
    }

    /// Makes a message of elements in CBOR, without an array around them: what
    /// [`Frame::elements`](cbor::Frame::elements) gives. Elements that are not sound are errors to
    /// who reads the message.
    ///
    /// ```
    /// use aemp::Message;
    /// let message = Message::from_cbor(bytes::Bytes::from_static(b"\x44test\x18\x7b"));
    /// assert_eq!(message.args::<(&str, u8)>()?, ("test", 123));
    /// assert_eq!(message.to_json(), r#"["test",123]"#);
    /// # Ok::<(), aemp::proto::ArgsError>(())
    /// ```
    pub fn from_cbor(elements: Bytes) -> Self {
        Message {
            octets: elements,
            format: Format::Cbor,
            skip: 0,
        }
    }

    /// Makes a message of a framed JSON text whose first element, the destination, ends before
    /// `at`.
    ///
    /// `at` is an offset into `frame`, behind the destination and its closing quote.
    ///
    /// ```
    /// use aemp::Message;
    /// let frame = bytes::BytesMut::from(r#"["a.b","test",123]"#);
    /// let at = r#"["a.b""#.len();
    /// assert_eq!(Message::from_frame(frame, at).to_json(), r#"["test",123]"#);
    /// ```
    pub fn from_frame(mut frame: BytesMut, at: usize) -> Self {
        let rest = frame.get(at..).unwrap_or_default();
        let json = match memchr::memchr2(b',', b']', rest) {
            Some(found) if rest[found] == b',' => {
                let mut json = frame.split_off(at + found);
                json[0] = b'[';
                json.freeze()
            }
            _ => Bytes::from_static(b"[]"),
        };
        Message::from_json(json)
    }

    /// Makes a message of values.
    ///
    /// ```
    /// let message = aemp::Message::from_values(&["test".into(), 123.into()]);
    /// assert_eq!(message.to_json(), r#"["test",123]"#);
    /// ```
    pub fn from_values(values: &[Value]) -> Self {
        Message::encode(values).expect("JSON values serialise")
    }

    /// The first element, if it is a string or a number: what tells the message's type.
    ///
    /// ```
    /// use aemp::Message;
    /// assert_eq!(Message::encode(&("test", 123))?.tag().as_deref(), Some("test"));
    /// assert_eq!(Message::encode(&(123,))?.tag().as_deref(), Some("123"));
    /// assert_eq!(Message::encode(&([1], 2))?.tag(), None);
    /// # Ok::<(), aemp::proto::message::EncodeError>(())
    /// ```
    pub fn tag(&self) -> Option<Cow<'_, str>> {
        if self.format == Format::Cbor {
            return cbor::tag_of(&self.octets);
        }
        if self.skip > 0 {
            let first: Option<&RawValue> = self.json_elements().first().copied();
            return first.and_then(|raw| tag_of(raw.get().as_bytes()));
        }
        tag_of(self.octets[1..].trim_ascii_start())
    }

    /// The message without its first element.
    ///
    /// ```
    /// let message = aemp::Message::encode(&("test", 123))?;
    /// assert_eq!(message.without_tag().to_json(), "[123]");
    /// # Ok::<(), aemp::proto::message::EncodeError>(())
    /// ```
    pub fn without_tag(&self) -> Message {
        self.clone().into_without_tag()
    }

    /// The same, by value.
    ///
    /// ```
    /// let message = aemp::Message::encode(&("test", 123))?;
    /// assert_eq!(message.into_without_tag().to_json(), "[123]");
    /// # Ok::<(), aemp::proto::message::EncodeError>(())
    /// ```
    pub fn into_without_tag(mut self) -> Message {
        match self.format {
            Format::Json => self.skip += 1,
            Format::Cbor => {
                let mut elements = Sequence::new(&self.octets);
                let first = elements.next_item().ok().flatten();
                self.octets.advance(first.map_or(0, <[u8]>::len));
            }
        }
        self
    }

    /// Reads the elements into a tuple, a struct (by position), a list, or, for a type that is none
    /// of these, the first element into that type.
    ///
    /// # Errors
    ///
    /// [`ArgsError`] says which element does not fit, and why.
    ///
    /// ```
    /// let message = aemp::Message::encode(&("ruth", "hello", 7))?;
    /// let (nick, text): (&str, &str) = message.args()?; // borrowed from the message
    /// assert_eq!((nick, text), ("ruth", "hello"));
    /// assert_eq!(message.args::<String>()?, "ruth");
    /// assert_eq!(message.args::<Vec<serde_json::Value>>()?.len(), 3);
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Said { nick: String, text: String, count: u32, colour: Option<String> }
    /// let said: Said = message.args()?;
    /// assert_eq!((said.count, said.colour), (7, None));
    /// # let _ = (said.nick, said.text);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn args<'de, T: Deserialize<'de>>(&'de self) -> Result<T, ArgsError> {
        match self.format {
            Format::Json => args::read(&self.octets, self.skip as usize),
            Format::Cbor => args::read_items(&self.octets),
        }
    }

    /// The elements as JSON values.
    ///
    /// A number that no Rust number holds, such as an integer of more than 64 bits, is a string, as
    /// JSON::XS has it.
    ///
    /// ```
    /// let message = aemp::Message::encode(&("test", 123))?;
    /// assert_eq!(message.values(), [serde_json::json!("test"), 123.into()]);
    /// # Ok::<(), aemp::proto::message::EncodeError>(())
    /// ```
    pub fn values(&self) -> Vec<Value> {
        let elements = self.elements();
        let value = |element: &RawElement<'_>| value_of(&element.json());
        elements.iter().map(value).collect()
    }

    /// The elements, each just as it came.
    ///
    /// ```
    /// let message = aemp::Message::encode(&("test", [1, 2]))?;
    /// let texts: Vec<_> = message.elements().iter().map(|raw| raw.json()).collect();
    /// assert_eq!(texts, ["\"test\"", "[1,2]"]);
    /// # Ok::<(), aemp::proto::message::EncodeError>(())
    /// ```
    pub fn elements(&self) -> Vec<RawElement<'_>> {
        match self.format {
            Format::Json => {
                let elements = self.json_elements().into_iter();
                elements.map(RawElement::of_json).collect()
            }
            Format::Cbor => {
                let mut elements = Sequence::new(&self.octets);
                let next = || elements.next_item().ok().flatten();
                std::iter::from_fn(next).map(RawElement::of_cbor).collect()
            }
        }
    }

    fn json_elements(&self) -> Vec<&RawValue> {
        self.args().unwrap_or_default()
    }

    /// The message as the text of a JSON array.
    ///
    /// ```
    /// let message = aemp::Message::encode(&("test", 1.5, None::<u32>))?;
    /// assert_eq!(message.to_json(), r#"["test",1.5,null]"#);
    /// # Ok::<(), aemp::proto::message::EncodeError>(())
    /// ```
    pub fn to_json(&self) -> Cow<'_, str> {
        if self.is_whole_json() {
            return String::from_utf8_lossy(&self.octets);
        }
        let mut json = String::from("[");
        for (n, element) in self.elements().iter().enumerate() {
            if n > 0 {
                json.push(',');
            }
            json.push_str(&element.json());
        }
        json.push(']');
        json.into()
    }

    /// Whether the octets are the message in JSON.
    fn is_whole_json(&self) -> bool {
        self.format == Format::Json && self.skip == 0
    }

    /// Appends the message to the port `name`, as it goes over a link in that framing.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] if the framing does not hold it; `out` is as it was then.
    ///
    /// ```
    /// use aemp::{Message, proto::Framing};
    /// let message = Message::encode(&("test", 123))?;
    /// let mut out = Vec::new();
    /// message.encode_in(&mut out, Framing::Json, "a.b")?;
    /// message.encode_in(&mut out, Framing::Cbor, "a.b")?;
    /// assert_eq!(out, b"[\"a.b\",\"test\",123]\x83\x43a.b\x44test\x18\x7b");
    /// # Ok::<(), aemp::proto::message::EncodeError>(())
    /// ```
    pub fn encode_in(
        &self,
        out: &mut Vec<u8>,
        framing: Framing,
        name: &str,
    ) -> Result<(), EncodeError> {
        if !self.is_whole_json() {
            return encode_in(out, framing, name, self);
        }
        // It is sound: only the destination has to be put before the elements.
        let start = out.len();
        encode_to(out, name, &())?;
        let elements = self.octets.get(1..).unwrap_or_default();
        if elements.trim_ascii_start() != b"]" {
            out.pop();
            out.push(b',');
            out.extend_from_slice(elements);
        }
        if framing != Framing::Json {
            let json = out.split_off(start);
            json_in(out, framing, &json)?;
        }
        Ok(())
    }

    /// Appends the message as [`encode_local`] does.
    #[cfg(feature = "node")]
    pub(crate) fn encode_local(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match self.is_whole_json() {
            true => json_in(out, Framing::Cbor, &self.octets),
            false => encode_local(out, self),
        }
    }

    /// The message in octets of its own, if they are few. A message from the network is a part of
    /// the block that it was read in, and keeps all of that alive.
    ///
    /// ```
    /// let message = aemp::Message::encode(&("test", 123))?;
    /// assert_eq!(message.clone().compact().to_json(), message.to_json());
    /// # Ok::<(), aemp::proto::message::EncodeError>(())
    /// ```
    pub fn compact(mut self) -> Self {
        const SMALL: usize = 4096;
        if self.octets.len() <= SMALL {
            self.octets = Bytes::copy_from_slice(&self.octets);
        }
        self
    }

    /// How many octets the message occupies.
    ///
    /// ```
    /// let message = aemp::Message::encode(&("test", 123))?;
    /// assert_eq!(message.size(), r#"["test",123]"#.len());
    /// # Ok::<(), aemp::proto::message::EncodeError>(())
    /// ```
    pub fn size(&self) -> usize {
        self.octets.len()
    }
}

/// Here, as the element stands below the message that it is a part of.
impl RawElement<'_> {
    /// The message that the element is, if it is an array.
    ///
    /// ```
    /// use aemp::Message;
    /// let message = Message::encode(&(1, [2, 3]))?;
    /// let elements = message.elements();
    /// assert!(elements[0].to_message().is_none());
    /// assert_eq!(elements[1].to_message().unwrap().to_json(), "[2,3]");
    /// # Ok::<(), aemp::proto::message::EncodeError>(())
    /// ```
    pub fn to_message(&self) -> Option<Message> {
        match self.0 {
            Raw::Json(raw) if raw.get().starts_with('[') => Some(Message::from_json(
                Bytes::copy_from_slice(raw.get().as_bytes()),
            )),
            Raw::Json(_) => None,
            Raw::Cbor(item) => {
                cbor::items_of(item).map(|items| Message::from_cbor(Bytes::copy_from_slice(items)))
            }
        }
    }
}

fn value_of(text: &str) -> Value {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    // The framing has limited the depth already.
    deserializer.disable_recursion_limit();
    match Value::deserialize(&mut deserializer) {
        Ok(Value::Number(n)) if n.is_f64() && !text.contains(['.', 'e', 'E']) && text != "-0" => {
            Value::String(text.to_owned())
        }
        Ok(value) => value,
        Err(_) => Value::String(text.to_owned()),
    }
}

/// A string or number at the start of a JSON text, as the tag that it is.
fn tag_of(text: &[u8]) -> Option<Cow<'_, str>> {
    match text.first()? {
        b'"' => {
            let mut end = 1;
            loop {
                end += memchr::memchr2(b'"', b'\\', &text[end..])?;
                if text[end] == b'"' {
                    return Some(unescape(&text[1..end]));
                }
                end += 2;
            }
        }
        b'-' | b'0'..=b'9' => {
            let end = text
                .iter()
                .position(|c| !matches!(c, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9'));
            let number = &text[..end.unwrap_or(text.len())];
            std::str::from_utf8(number).ok().map(Cow::Borrowed)
        }
        _ => None,
    }
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.to_json())
    }
}

/// Sends a message on as it came: octet by octet where the framing is the same.
impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.is_whole_json()
            && let Ok(text) = std::str::from_utf8(&self.octets)
            && let Ok(raw) = serde_json::from_str::<&RawValue>(text)
        {
            return raw.serialize(serializer);
        }
        self.elements().serialize(serializer)
    }
}

#[cfg(test)]
mod tests;
