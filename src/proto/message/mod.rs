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
mod elements;
mod encode;
mod incoming;
mod json;
#[cfg(feature = "node")]
pub(crate) mod known;
mod list;
mod perl;
#[cfg(feature = "node")]
pub(crate) mod quick;
mod value;
mod variant;

use std::borrow::Cow;
use std::sync::Arc;

use bytes::{Buf as _, Bytes, BytesMut};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

pub use args::ArgsError;
pub use element::RawElement;
pub use elements::Elements;
pub use encode::{EncodeError, encode_args, encode_in, encode_to, json_in};
#[cfg(feature = "node")]
pub(crate) use encode::{append_text, encode_local};
pub use incoming::{Arrived, Incoming};
#[cfg(feature = "node")]
pub(crate) use json::write as write_json;
#[cfg(feature = "node")]
pub(crate) use known::variants;
pub use perl::{Num, Octets, Text};
#[cfg(feature = "node")]
pub(crate) use quick::{Head, Quick, RestAt, are_plain};

use element::Raw;
use elements::Source;
use list::JsonElements;
use value::value_of;

use crate::proto::framing::cbor::{self, Sequence};
use crate::proto::framing::json::unescape;
use crate::proto::{Framing, TraceContext};

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
    /// Elements that don't belong to this message any more are taken off: the rest of an array
    /// begins with the comma or the bracket behind them.
    octets: Bytes,
    format: Format,
    /// What it belongs to. Few messages have that, so it is kept elsewhere.
    trace: Option<Arc<TraceContext>>,
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

    /// The message with values behind its elements, in new octets.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] if a value does not serialise.
    #[cfg(feature = "node")]
    pub(crate) fn with<T: Serialize>(&self, values: &[T]) -> Result<Self, EncodeError> {
        let mut octets = Vec::with_capacity(self.octets.len() + 64);
        if self.format == Format::Cbor {
            let mut array = Vec::new();
            encode_local(&mut array, values)?;
            octets.extend_from_slice(&self.octets);
            octets.extend_from_slice(cbor::items_of(&array).unwrap_or_default());
            return Ok(Message::from_cbor(octets.into()));
        }
        octets.push(b'[');
        if let Some(elements) = JsonElements::new(&self.octets).peek() {
            let elements = elements.trim_ascii_end();
            octets.extend_from_slice(elements.strip_suffix(b"]").unwrap_or(elements));
        }
        for value in values {
            if octets.len() > 1 {
                octets.push(b',');
            }
            json::write(&mut octets, value)?;
        }
        octets.push(b']');
        Ok(Message::from_json(octets.into()))
    }

    /// The message in octets of its own. One from the network is a part of the block that it was
    /// read in or of a longer message, and keeps all of that alive.
    #[cfg(feature = "node")]
    pub(crate) fn into_own(mut self) -> Self {
        self.octets = Bytes::copy_from_slice(&self.octets);
        self
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
            trace: None,
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
            trace: None,
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

    /// What the message belongs to, if it came with that: see
    /// [`Builder::trace_context`](crate::Builder::trace_context).
    ///
    /// ```
    /// use aemp::proto::{Message, TraceContext};
    /// let context = TraceContext::new(7, 8);
    /// let message = Message::encode(&("test", 123))?.traced(context);
    /// assert_eq!(message.without_tag().trace_context(), context);
    /// assert_eq!(message.traced(None).trace_context(), None);
    /// # Ok::<(), aemp::proto::message::EncodeError>(())
    /// ```
    pub fn trace_context(&self) -> Option<TraceContext> {
        self.trace.as_deref().copied()
    }

    /// The message as a part of something, or of nothing. Its elements are the same.
    ///
    /// See [`trace_context`](Self::trace_context) for an example.
    #[must_use]
    pub fn traced(mut self, context: Option<TraceContext>) -> Self {
        self.trace = context.map(Arc::new);
        self
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
        tag_of(JsonElements::new(&self.octets).peek()?)
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
        let first = match self.format {
            Format::Json => JsonElements::new(&self.octets).behind_first(),
            Format::Cbor => {
                let mut elements = Sequence::new(&self.octets);
                let first = elements.next_item().ok().flatten();
                first.map_or(0, <[u8]>::len)
            }
        };
        self.octets.advance(first);
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
            Format::Json if self.is_whole_json() => args::read(&self.octets),
            Format::Json => args::read_elements(JsonElements::new(&self.octets)),
            Format::Cbor => args::read_items(&self.octets),
        }
    }

    /// The elements as JSON values.
    ///
    /// They may take a hundred times the octets of the message, as `args::<Vec<Value>>` does: a
    /// program that takes messages of anybody does better to read what it wants
    /// ([`args`](Self::args)), or one element after the other ([`elements`](Self::elements)).
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
        self.elements().map(|element| element.value()).collect()
    }

    /// The elements, each just as it came, one after the other.
    ///
    /// ```
    /// let message = aemp::Message::encode(&("test", [1, 2]))?;
    /// let texts: Vec<_> = message.elements().map(|raw| raw.json()).collect();
    /// assert_eq!(texts, ["\"test\"", "[1,2]"]);
    /// # Ok::<(), aemp::proto::message::EncodeError>(())
    /// ```
    pub fn elements(&self) -> Elements<'_> {
        Elements(match self.format {
            Format::Json => Source::Json(JsonElements::new(&self.octets)),
            Format::Cbor => Source::Cbor(Sequence::new(&self.octets)),
        })
    }

    /// The message that the first element is, if that is an array. It shares the octets of this
    /// one.
    #[cfg(feature = "node")]
    pub(crate) fn first_message(&self) -> Option<Message> {
        match self.elements().next()?.0 {
            Raw::Json(text) if text.starts_with('[') => {
                Some(Message::from_json(self.octets.slice_ref(text.as_bytes())))
            }
            Raw::Json(_) => None,
            Raw::Cbor(item) => {
                let items = cbor::items_of(item)?;
                Some(Message::from_cbor(self.octets.slice_ref(items)))
            }
        }
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
        for (n, element) in self.elements().enumerate() {
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
        self.format == Format::Json && self.octets.first() == Some(&b'[')
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
        if self.format == Format::Cbor {
            return encode_in(out, framing, name, self);
        }
        // It is sound: only the destination has to be put before the elements.
        let start = out.len();
        out.reserve(self.octets.len() + name.len() + 8);
        encode_to(out, name, &())?;
        if let Some(elements) = JsonElements::new(&self.octets).peek() {
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
    /// The element as a JSON value: see [`Message::values`].
    pub(crate) fn value(&self) -> Value {
        value_of(&self.json())
    }

    /// The message that the element is, if it is an array.
    ///
    /// ```
    /// use aemp::Message;
    /// let message = Message::encode(&(1, [2, 3]))?;
    /// let mut elements = message.elements();
    /// assert!(elements.next().unwrap().to_message().is_none());
    /// assert_eq!(elements.next().unwrap().to_message().unwrap().to_json(), "[2,3]");
    /// # Ok::<(), aemp::proto::message::EncodeError>(())
    /// ```
    pub fn to_message(&self) -> Option<Message> {
        match self.0 {
            Raw::Json(text) if text.starts_with('[') => {
                let octets = Bytes::copy_from_slice(text.as_bytes());
                Some(Message::from_json(octets))
            }
            Raw::Json(_) => None,
            Raw::Cbor(item) => {
                cbor::items_of(item).map(|items| Message::from_cbor(Bytes::copy_from_slice(items)))
            }
        }
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
