//! The `cbor` framing: CBOR arrays one after the other.

use std::borrow::Cow;
use std::ops::Range;

mod de;
mod encode;
mod error;
mod from_json;
mod head;
mod items;
mod key;
mod number;
mod scan;
mod sequence;
mod ser;
mod text;
mod to_json;

#[cfg(test)]
mod tests;

pub use de::Deserializer;
pub use encode::{encode_elements, encode_to, write_start};
pub use error::CborError;
pub use from_json::json_to_cbor;
pub use scan::CborScanner;
pub use sequence::Sequence;
pub use ser::{Compound, OCTETS, Serializer};
pub use to_json::cbor_to_json;

/// One complete message found by [`CborScanner::next`]. All positions count from the start of the
/// buffer that was given to that call.
///
/// ```
/// use aemp::proto::{Limits, framing::cbor::{CborScanner, ElementKind}};
/// let buf = b"\x84\x43a.b\x11\x44caf\xe9\xf6";
/// let frame = CborScanner::new(Limits::default()).next(buf)?.unwrap();
/// let (dest, tag) = (frame.dest.unwrap(), frame.tag.unwrap());
/// assert_eq!((dest.range(), dest.kind), (2..5, ElementKind::Octets));
/// assert_eq!((&*tag.text(buf), tag.kind), ("17", ElementKind::Number));
/// assert_eq!(&buf[frame.elements()], b"\x11\x44caf\xe9\xf6");
/// # Ok::<(), aemp::proto::FramingError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Where the array starts, behind tags that stood before it.
    pub start: usize,
    /// Where its first element starts, the destination.
    pub first: usize,
    /// Where its last element ends; a break may follow.
    pub last: usize,
    /// Where it ends. The next call wants a buffer that starts there.
    pub end: usize,
    /// The first element, the destination port's name: a string or a number. `None` in a
    /// keepalive, the empty array.
    pub dest: Option<Element>,
    /// The second element, by which ports tell messages apart, if there is one.
    pub tag: Option<Element>,
}

impl Frame {
    /// Is it a keepalive, the empty array?
    ///
    /// ```
    /// use aemp::proto::{Limits, framing::cbor::CborScanner};
    /// let frame = CborScanner::new(Limits::default()).next(b"\x80")?.unwrap();
    /// assert!(frame.is_keepalive());
    /// # Ok::<(), aemp::proto::FramingError>(())
    /// ```
    pub fn is_keepalive(&self) -> bool {
        self.dest.is_none()
    }

    /// Where the elements behind the destination lie, which are the message: a [`Sequence`].
    ///
    /// See [`Frame`] for an example.
    pub fn elements(&self) -> Range<usize> {
        let first = self.dest.map_or(self.first, |dest| dest.end);
        first..self.last
    }
}

/// Where an element of a message lies and what it is.
///
/// See [`Frame`] for an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Element {
    /// Its first octet; for [`Text`](ElementKind::Text) and [`Octets`](ElementKind::Octets) the
    /// first of the string itself.
    pub start: usize,
    /// The position after its last octet.
    pub end: usize,
    /// What it is.
    pub kind: ElementKind,
}

/// What sort of thing an element of a message is, as far as it matters for finding the port and
/// the handler.
///
/// See [`Frame`] for an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ElementKind {
    /// A string of text, in UTF-8.
    Text,
    /// A string of octets, one a character.
    Octets,
    /// A string in several chunks, of text or octets.
    Chunks,
    /// An integer or a float.
    Number,
    /// Anything else, and whatever has a tag.
    Other,
}

impl Element {
    /// The element's octets in the frame's buffer.
    ///
    /// See [`Frame`] for an example.
    pub fn range(&self) -> Range<usize> {
        self.start..self.end
    }

    /// The element as text: a string's characters, a number as Perl shows it, of anything else its
    /// JSON (nothing if it has none).
    ///
    /// `buf` is the buffer that the frame was found in, or its start. From another buffer comes
    /// whatever is there: nothing if it is too short, U+FFFD for bad UTF-8.
    ///
    /// ```
    /// use aemp::proto::framing::cbor::{Element, ElementKind};
    /// let element = Element { start: 1, end: 5, kind: ElementKind::Octets };
    /// assert_eq!(element.text(b"\x44caf\xe9"), "café");
    /// ```
    pub fn text<'a>(&self, buf: &'a [u8]) -> Cow<'a, str> {
        let raw = buf.get(self.range()).unwrap_or_default();
        match self.kind {
            ElementKind::Text => String::from_utf8_lossy(raw),
            ElementKind::Octets => super::transcode::latin1(raw),
            ElementKind::Chunks | ElementKind::Number => {
                key::key_text(raw, &mut 0).unwrap_or_default()
            }
            ElementKind::Other => {
                let mut json = Vec::new();
                let _ = to_json::item(&mut json, raw);
                String::from_utf8_lossy(&json).into_owned().into()
            }
        }
    }
}

/// The tag that says "this is CBOR".
const SELF_DESCRIBED: u64 = 55799;
