//! From a stream of octets to single messages.
//!
//! Once the handshake is over, an AEMP link carries messages one after the other, in the
//! framing that the two greetings agreed on. A framing answers one question: where does the
//! next message end, and is it sound? It does not build values: a message stays the octets
//! it came as until somebody asks for something typed.
//!
//! | framing | a message is | module |
//! |---|---|---|
//! | `json` | a JSON array, nothing between two of them | [`json`] |
//! | `cbor` | a CBOR array, nothing between two of them | [`cbor`] |
//! | `storable` | an image of Perl's Storable with its length in front | [`storable`] |

use std::fmt;

pub mod cbor;
pub mod json;
pub mod storable;
mod transcode;

/// A framing format, as it is named in the greeting.
///
/// PROTOCOL.md, Greeting: each side lists the formats that it can read and write, best first. Each
/// sends in the first of the other's list that it knows, so the two directions of a link may
/// differ.
///
/// ```
/// use aemp::proto::Framing;
/// assert_eq!(Framing::from_name("json"), Some(Framing::Json));
/// assert_eq!(Framing::Cbor.to_string(), "cbor");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Framing {
    /// JSON arrays one after the other (PROTOCOL.md, JSON framing): see [`json`].
    Json,
    /// CBOR arrays one after the other: see [`cbor`].
    Cbor,
    /// Images of Perl's Storable, each with its length in front: see [`storable`].
    Storable,
}

impl Framing {
    /// All that this crate speaks, best first.
    ///
    /// ```
    /// use aemp::proto::Framing;
    /// assert_eq!(Framing::ALL.map(Framing::name), ["cbor", "json", "storable"]);
    /// ```
    pub const ALL: [Framing; 3] = [Framing::Cbor, Framing::Json, Framing::Storable];

    /// The framing's name in the greeting.
    ///
    /// ```
    /// assert_eq!(aemp::proto::Framing::Json.name(), "json");
    /// ```
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Cbor => "cbor",
            Self::Storable => "storable",
        }
    }

    /// The framing of that name in a greeting, or `None` if this crate does not speak it.
    /// Names are compared exactly.
    ///
    /// ```
    /// use aemp::proto::Framing;
    /// assert_eq!(Framing::from_name("json"), Some(Framing::Json));
    /// assert_eq!(Framing::from_name("morse"), None);
    /// ```
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|framing| framing.name() == name)
    }

    /// The message that says nothing: it has no destination and is dropped.
    ///
    /// ```
    /// use aemp::proto::Framing;
    /// assert_eq!(Framing::Json.keepalive(), b"[]");
    /// assert_eq!(Framing::Cbor.keepalive(), [0x80]);
    /// ```
    pub const fn keepalive(self) -> &'static [u8] {
        match self {
            Self::Json => b"[]",
            Self::Cbor => b"\x80",
            Self::Storable => b"\x07\x05\x0b\x02\0\0\0\0",
        }
    }
}

impl fmt::Display for Framing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a peer may make us hold and how deep it may make us look.
///
/// ```
/// use aemp::proto::Limits;
/// let mut limits = Limits::default();
/// limits.max_message = 1 << 20;
/// assert_eq!(limits.max_depth, 512);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The longest message, in octets as they came, white space before it included.
    /// Default: 64 MiB.
    pub max_message: usize,
    /// The deepest nesting of arrays and objects; the message itself is level 1.
    /// Default: 512, which is the limit of Perl's JSON::XS: a deeper message can
    /// not come from a Perl node, nor be read by one.
    pub max_depth: usize,
}

impl Limits {
    /// So many octets and so deep, and the defaults for everything else.
    ///
    /// ```
    /// use aemp::proto::Limits;
    /// assert_eq!(Limits::new(1 << 20, 512).max_message, 1 << 20);
    /// ```
    pub fn new(max_message: usize, max_depth: usize) -> Self {
        Limits {
            max_message,
            max_depth,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_message: 64 * 1024 * 1024,
            max_depth: 512,
        }
    }
}

/// Why the octets of a peer are not a sequence of messages.
///
/// All of these are the peer's fault, and final: where the next message would start can not
/// be known any more, so the link has to be closed.
///
/// An `offset` counts octets from the end of the message before (or from the start of the
/// stream), so white space in front of a message counts. It does not depend on how the
/// stream was cut into reads.
///
/// ```
/// use aemp::proto::{FramingError, Limits, framing::json::JsonScanner};
/// let error = JsonScanner::new(Limits::default()).next(br#"["a",}"#);
/// assert!(matches!(error, Err(FramingError::Syntax { offset: 5, .. })));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FramingError {
    /// The message is longer than [`Limits::max_message`]. Noticed as soon as that many
    /// octets came without the message's end.
    #[error("message longer than {limit} octets")]
    TooLong {
        /// The limit, in octets.
        limit: usize,
    },
    /// The message nests deeper than [`Limits::max_depth`].
    #[error("message nested deeper than {limit} levels")]
    TooDeep {
        /// The limit, in levels.
        limit: usize,
    },
    /// A message has to be an array, and this is something else.
    #[error("message is not an array: it starts with '{}' at octet {offset}", .found.escape_ascii())]
    NotAnArray {
        /// Where.
        offset: usize,
        /// The octet that stands in place of the array's start.
        found: u8,
    },
    /// The message's encoding is broken.
    #[error("malformed message: {what} at octet {offset}")]
    Syntax {
        /// The first octet that can not stand where it does.
        offset: usize,
        /// What is wrong with it, or what was expected.
        what: &'static str,
    },
    /// A string in the message is not UTF-8.
    #[error("message is not UTF-8: bad character at octet {offset}")]
    Utf8 {
        /// The first octet of the bad character.
        offset: usize,
    },
    /// The first element of a message names a port, so it has to be a string (or a number,
    /// which is taken as its text).
    #[error("message without destination: its first element starts with '{}' at octet {offset}", .found.escape_ascii())]
    BadDestination {
        /// Where the first element starts.
        offset: usize,
        /// The first octet of the first element.
        found: u8,
    },
    /// A Storable image is no message.
    #[error("malformed Storable image: {0}")]
    Image(#[from] storable::StorableError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back() {
        for framing in Framing::ALL {
            assert_eq!(Framing::from_name(framing.name()), Some(framing));
        }
        for other in ["", "JSON", "json ", "cbor,json", "morse"] {
            assert_eq!(Framing::from_name(other), None, "{other:?}");
        }
    }

    #[test]
    fn errors_read_well() {
        let error = FramingError::NotAnArray {
            offset: 3,
            found: 0xef,
        };
        assert_eq!(
            error.to_string(),
            "message is not an array: it starts with '\\xef' at octet 3"
        );
    }
}
