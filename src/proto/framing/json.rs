//! The `json` framing: JSON arrays one after the other.
//!
//! ```text
//! ["aBcD.b","ping",1]["","mon1","aBcD.c"][]
//! ```
//!
//! PROTOCOL.md, JSON framing: a message is a JSON array in UTF-8, its first element is the name
//! of the destination port without node part (empty for the node port), `[]` is a keepalive.
//! Nothing stands between two messages; white space (space, tab, line feed, carriage return)
//! may.
//!
//! [`JsonScanner`] finds the messages in the octets that came so far and checks them on the way.
//! It takes what RFC 8259 takes. JSON::XS (measured: 4.04), the decoder of the Perl nodes, takes
//! the same but for these differences:
//!
//! - Surrogates as UTF-8 (`ED A0 80`) and characters beyond U+10FFFF (`F4 90 80 80` and longer
//!   ones, Perl's extended UTF-8): JSON::XS takes them. Here an error, as a Rust string can not
//!   hold them. JSON::XS also reads some stray octets (80 to C1, ED) together with the character
//!   behind them as another character (`BB E8 95 BE` as U+2857E). Here an error.
//! - A message that is no array, or whose first element is `null`, `true`, `false`, an array or
//!   an object: sound JSON to JSON::XS, but names no port. Here an error.
//! - A message that is bad already but not yet complete: JSON::XS waits for its brackets to
//!   balance, without telling curly ones from square ones, so `[{]` waits for ever, and so does
//!   anything behind a NUL octet. Here an error at the first octet that can not stand there.
//! - `# comment` between messages: dropped or an error in JSON::XS, depending on how the stream
//!   is cut. Here an error.
//!
//! Alike in both: a byte order mark, lone `\u` surrogates, control characters in strings, form
//! feed as white space, leading zeros, `+1`, `.5`, `1.`, trailing commas, and comments inside a
//! message are errors; raw DEL, `\u0000`, U+FFFE and U+FFFF are fine; equal keys in an object are
//! fine; 512 levels of nesting pass and 513 do not.
//!
//! What a sound number or object *means* is not for the scanner to say. JSON::XS reads `-0` as
//! the integer 0 (`-0.0` stays what it is), integers beyond 64 bits and -2^63 as strings, `1e400`
//! as infinity; of two equal keys the last wins. `serde_json` reads `-0` as -0.0 and integers
//! beyond 64 bits as floats, refuses `1e400`, and nests no deeper than 127 levels unless told to.

use std::borrow::Cow;
use std::ops::Range;

#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod check;
mod scan;
mod text;
mod token;

#[cfg(test)]
mod tests;

pub use scan::JsonScanner;
pub use text::{unescape, write_str};
#[cfg(feature = "node")]
pub(crate) use token::plain_run;

/// One complete message found by [`JsonScanner::next`]. All positions count from the start
/// of the buffer that was given to that call.
///
/// ```
/// use aemp::proto::{Limits, framing::json::{ElementKind, JsonScanner}};
/// let buf = br#"["a.b",17,"\u00e9"]"#;
/// let frame = JsonScanner::new(Limits::default()).next(buf)?.unwrap();
/// let (dest, tag) = (frame.dest.unwrap(), frame.tag.unwrap());
/// assert_eq!((dest.range(), dest.kind), (2..5, ElementKind::Plain));
/// assert_eq!((&*tag.text(buf), tag.kind), ("17", ElementKind::Number));
/// # Ok::<(), aemp::proto::FramingError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Frame {
    /// Where the array starts, behind white space that stood before it.
    pub start: usize,
    /// Where it ends: the position after its closing bracket. The next call wants a buffer
    /// that starts there.
    pub end: usize,
    /// The first element, the destination port's name: a string or a number. `None` in a
    /// keepalive, `[]`.
    pub dest: Option<Element>,
    /// The second element, by which ports tell messages apart, if there is one.
    pub tag: Option<Element>,
}

impl Frame {
    /// Is it a keepalive, `[]`?
    ///
    /// ```
    /// use aemp::proto::{Limits, framing::json::JsonScanner};
    /// let frame = JsonScanner::new(Limits::default()).next(b"[]")?.unwrap();
    /// assert!(frame.is_keepalive());
    /// # Ok::<(), aemp::proto::FramingError>(())
    /// ```
    pub fn is_keepalive(&self) -> bool {
        self.dest.is_none()
    }
}

/// Where an element of a message lies and what it is.
///
/// See [`Frame`] for an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Element {
    /// Its first octet; for a string, the one behind the opening quote.
    pub start: usize,
    /// The position after its last octet; for a string, that of the closing quote.
    pub end: usize,
    /// What it is.
    pub kind: ElementKind,
}

/// What sort of thing an element of a message is, as far as it matters for finding the port
/// and the handler.
///
/// See [`Frame`] for an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ElementKind {
    /// A string without a backslash: its octets are its text.
    Plain,
    /// A string with escapes: see [`unescape`].
    Escaped,
    /// A number.
    Number,
    /// `true`, `false`, `null`, an array or an object.
    Other,
}

impl Element {
    /// The element's octets in the frame's buffer, without the quotes if it is a string.
    ///
    /// See [`Frame`] for an example.
    pub fn range(&self) -> Range<usize> {
        self.start..self.end
    }

    /// The element as text: a string's value; of anything else its JSON text as it came (so
    /// the number `1e2` is the text `1e2`, where a Perl node would say `100`).
    ///
    /// `buf` is the buffer that the frame was found in, or its start. From another buffer comes
    /// whatever is there: nothing if it is too short, U+FFFD for bad UTF-8.
    ///
    /// ```
    /// use aemp::proto::framing::json::{Element, ElementKind};
    /// let buf = br#"["caf\u00e9"]"#;
    /// let element = Element { start: 2, end: buf.len() - 2, kind: ElementKind::Escaped };
    /// assert_eq!(element.text(buf), "café");
    /// ```
    pub fn text<'a>(&self, buf: &'a [u8]) -> Cow<'a, str> {
        let raw = buf.get(self.range()).unwrap_or_default();
        match self.kind {
            ElementKind::Escaped => unescape(raw),
            _ => String::from_utf8_lossy(raw),
        }
    }
}
