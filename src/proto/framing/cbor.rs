//! The `cbor` framing: CBOR arrays one after the other.
//!
//! ```text
//! 82 47 'aBcD.b1' 44 'ping'   84 40 44 'mon1' 47 'aBcD.c2' 01   80
//! ```
//!
//! Generation 2 of AEMP prefers it to JSON. A message is a CBOR array (RFC 8949), its first element
//! is the name of the destination port without node part (empty for the node port), the empty array
//! is a keepalive. Nothing stands between two messages.
//!
//! # Octets and text
//!
//! CBOR tells strings of text from strings of octets, Perl does not: a Perl string is a sequence of
//! characters. CBOR::XS writes it as octets, one a character, as long as Perl holds it that way,
//! and as text if Perl holds it as UTF-8, which depends on where it came from: "café" may be sent
//! either way, and both are the same string to the Perl that receives them. So it is here:
//!
//! | | as `&str` | as `String` | as bytes |
//! |---|---|---|---|
//! | octets, all ASCII | borrowed | the same | borrowed |
//! | other octets | an error: there is no UTF-8 to borrow | the characters U+0000 to U+00FF, one an octet | borrowed |
//! | text | borrowed | the same | one a character, an error beyond U+00FF |
//! | either in chunks | an error | put together | put together |
//!
//! Octets that happen to be UTF-8 are not taken for text: to Perl they are not.
//!
//! Strings are written as octets if they are ASCII and as text otherwise. Perl sees equal strings
//! in either case, ASCII strings are held as Perl holds its own, and another program of this crate
//! can borrow them all. `serialize_bytes` (`serde_bytes`) writes octets, and so does a string in a
//! newtype struct named [`OCTETS`].
//!
//! # Other values
//!
//! | in CBOR | read as | written for |
//! |---|---|---|
//! | integers | any number type that holds them; beyond 64 bits, as with JSON, a float if nothing else was asked for | integers, as short as possible; beyond 64 bits the string of their digits |
//! | floats of 16, 32, 64 bits | floats, and integers if they are whole and at most 2^53, as Perl makes no difference there | floats, 32 bits if that loses nothing |
//! | null, undefined | `None`, `()` | `None`, `()` |
//! | true, false | `bool` | `bool` |
//! | arrays, maps of either sort of length | lists, tuples, structs; maps, structs | lists, tuples; maps, structs |
//! | keys of maps: strings, numbers, booleans, null | strings as Perl makes of them (`1`, `1.5`, `1`, empty), and numbers of strings | strings, integers |
//! | tags 2 and 3 (big numbers) | integers up to 128 bits, floats | |
//! | tags 25 and 29 (something earlier again) | an error | |
//! | other tags | what they are for, as if there was no tag | |
//!
//! # What is sound
//!
//! [`CborScanner`] finds the messages in the octets that came so far and checks them on the way,
//! for what RFC 8949 calls well-formed, for text that is UTF-8, and for the unassigned simple
//! values, which are an error. A message may have the tag 55799, its destination no tag at all.
//! CBOR::XS (measured: 1.86, as the Perl nodes use it), takes the same, but for these differences:
//!
//! - Text that is not UTF-8: CBOR::XS takes it as it is. Here an error, as a Rust string can not
//!   hold it.
//! - Chunks of octets in a text and of text in octets, and a character split over two chunks:
//!   CBOR::XS takes them. Here an error.
//! - Behind the octets 1F, 3F and DF, which nothing sound begins with, and behind an announced
//!   length of any size, CBOR::XS waits for more. Here an error at once.
//! - A message that is no array, or whose first element is no string or number: sound to CBOR::XS,
//!   but names no port. Here an error.
//! - A map's key that is undefined, and tags 25, 28 and 29 (shared strings and values) that refer
//!   to nothing: errors to CBOR::XS. Sound to the scanner; an error for who reads such a value.
//! - CBOR::XS runs code for some tags: it makes numbers and dates objects of Perl classes (2 to 5,
//!   30, 0, 1, 32), and of tag 26 any object the sender wants to have. Here no tag does anything
//!   but those above.
//!
//! Alike in both: 512 levels of nesting pass and 513 do not, and tags count for nothing there;
//! equal keys are fine; numbers and lengths may be longer than they need to be.
//!
//! What CBOR::XS makes of some values, and Rust does not: -2^64 is read as 0 and other integers
//! below -2^63 as positive ones; tag 3 is read as -n where it means -1-n; whole floats from 0 to
//! 2^32-1 are written as integers; `\1` and `\0` are written as the numbers with tag 22098, not as
//! `true` and `false`.
//!
//! # JSON
//!
//! [`cbor_to_json`] and [`json_to_cbor`] turn the elements of a message from one framing to the
//! other, without recursion, so that a Perl node that gets them in either sees the same. Two things
//! have no JSON: NaN and the infinities, which become `null`, and references (tags 25, 29), which
//! are an error.
//!
//! # Why no library does this
//!
//! None reads octets as text, not even ASCII, nor an integer as a float, and both is what Perl
//! sends every day. Measured besides (one core of a machine with 2, a message of 50 octets: port,
//! tag, integer, string, float, list of two; nanoseconds):
//!
//! | | find and check | read into `&str`s and numbers | write |
//! |---|---|---|---|
//! | this module | 56 (73 if all strings are text) | 98 | 63 |
//! | `serde_json`, the JSON of 68 octets | 72 ([`JsonScanner`](super::json::JsonScanner)) | 142 | 62 |
//! | `ciborium` 0.2.2 | 505 | 470 (into `String`s) | 64 |
//! | `cbor4ii` 1.2.4 | 39 | 73 | 37 |
//! | `minicbor-serde` 0.7.2 | 118 | 65 to 76 | 87 |
//!
//! What they pass over unread, `cbor4ii` does not check for UTF-8 or wrong chunks, and
//! `minicbor-serde` takes unassigned simple values, keys without values and tags without anything.
//! `ciborium` is the strictest (it takes chunks in chunks), and so the judge in the tests. None
//! stops in the middle of a message and goes on later: the scanner is needed in any case.

use std::borrow::Cow;
use std::ops::Range;

#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod check;
mod de;
mod encode;
mod error;
mod from_json;
mod head;
mod items;
mod key;
mod number;
mod reader;
mod scan;
mod sequence;
mod ser;
mod text;
mod to_json;

#[cfg(test)]
pub(crate) mod tests;

use head::Head;

pub use encode::{encode_elements, encode_to, write_message, write_start};
pub use error::CborError;
pub use from_json::json_to_cbor;
pub use reader::Deserializer;
pub use scan::CborScanner;
pub use sequence::Sequence;
pub use ser::{Compound, ITEM, OCTETS, Serializer};
pub use to_json::cbor_to_json;

pub(crate) use to_json::item as item_to_json;

/// Appends a text.
#[cfg(feature = "node")]
pub(crate) fn write_text(out: &mut Vec<u8>, text: &str) {
    head::write_str(out, text);
}

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
#[non_exhaustive]
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
                text::key_text(raw, &mut 0).unwrap_or_default()
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

/// The first of some items as text, if it is a string or a number without a tag.
pub(crate) fn tag_of(items: &[u8]) -> Option<Cow<'_, str>> {
    match items.first()? {
        0x00..=0x7f | 0xf9..=0xfb => text::key_text(items, &mut 0).ok(),
        _ => None,
    }
}

/// The items of the array that `item` is, if it has no tag.
pub(crate) fn items_of(item: &[u8]) -> Option<&[u8]> {
    match head::read(item) {
        Ok(Some((Head::Array(_), len))) => item.get(len..),
        Ok(Some((Head::OpenArray, len))) => item.get(len..item.len() - 1),
        _ => None,
    }
}
