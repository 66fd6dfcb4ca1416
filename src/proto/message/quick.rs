//! Messages read in one pass, straight from a link's octets.
//!
//! The usual way of a message is the framing's scanner ([`Incoming`](super::Incoming)), which
//! checks every octet and finds the end, and then [`Message::args`](super::Message::args), which
//! reads the elements into types. For a message that is wholly there, and whose reader wants all of
//! it typed, the second finds the end as well. [`Head::find`] and [`Quick::read`] do that. They
//! give up wherever they can't be certain to come to the same result as the usual way, which then
//! does it.

use std::cell::Cell;

use serde::de::{Deserialize, Deserializer};

use super::args::{read_first, read_rest};
use crate::proto::framing::cbor;
use crate::proto::framing::json::plain_run;
use crate::proto::{Framing, Limits};

/// The start of a message: the port's name and the tag, if both are plain strings, and in JSON
/// nothing but a comma stands between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head<'a> {
    /// The name of the destination port.
    pub(crate) name: &'a [u8],
    /// The second element.
    pub(crate) tag: &'a [u8],
    rest: RestAt,
}

impl<'a> Head<'a> {
    /// Reads the start of the message at the start of `octets`, which are in that framing.
    #[inline]
    pub(crate) fn find(framing: Framing, octets: &'a [u8]) -> Option<Self> {
        match framing {
            Framing::Json => Self::find_json(octets),
            Framing::Cbor => Self::find_cbor(octets),
            Framing::Storable => None,
        }
    }

    #[inline]
    fn find_json(octets: &'a [u8]) -> Option<Self> {
        let rest = octets.strip_prefix(b"[\"")?;
        let name = plain(rest)?;
        let tag = plain(rest[name.len()..].strip_prefix(b"\",\"")?)?;
        let behind = 2 + name.len() + 3 + tag.len() + 1;
        let rest = RestAt::behind(Framing::Json, octets, behind)?;
        Some(Head { name, tag, rest })
    }

    #[inline]
    fn find_cbor(octets: &'a [u8]) -> Option<Self> {
        let (0x82..=0x97) = *octets.first()? else {
            return None;
        };
        let (name, at) = plain_item(octets, 1)?;
        let (tag, at) = plain_item(octets, at)?;
        let rest = RestAt::behind(Framing::Cbor, octets, at)?;
        Some(Head { name, tag, rest })
    }

    /// Reads the start of a message without its destination, an array in CBOR: the name is empty.
    #[inline]
    pub(crate) fn of_array(octets: &'a [u8]) -> Option<Self> {
        let elements = match *octets.first()? {
            first @ 0x81..=0x97 => usize::from(first & 0x1f),
            _ => return None,
        };
        let (tag, at) = plain_item(octets, 1)?;
        let more = More::Cbor(elements - 1);
        Some(Head {
            name: b"",
            tag,
            rest: RestAt { more, at },
        })
    }

    /// The octets from the message's start to its tag: other ones for any other port or tag.
    #[inline]
    pub(crate) fn octets(&self, message: &'a [u8]) -> &'a [u8] {
        &message[..self.rest.at.min(message.len())]
    }

    /// Where the rest of the message is.
    #[inline]
    pub(crate) fn rest(&self) -> RestAt {
        self.rest
    }
}

/// ASCII up to a quote: a string that is what it looks like.
#[inline]
fn plain(rest: &[u8]) -> Option<&[u8]> {
    let run = plain_run(rest);
    (rest.get(run) == Some(&b'"')).then(|| &rest[..run])
}

/// The short string at `at`, if it is all ASCII and no tag stands before it, and the position
/// behind it.
#[inline]
fn plain_item(octets: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let (start, len) = match *octets.get(at)? {
        head @ (0x40..=0x57 | 0x60..=0x77) => (at + 1, usize::from(head & 0x1f)),
        0x58 | 0x78 => (at + 2, usize::from(*octets.get(at + 1)?)),
        _ => return None,
    };
    let string = octets.get(start..start + len)?;
    string.is_ascii().then_some((string, start + len))
}

/// Where the elements behind a message's tag are: see [`Head::rest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RestAt {
    more: More,
    /// Where what `more` says is.
    at: usize,
}

/// What follows a message's tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum More {
    /// A comma, and elements in JSON.
    Json,
    /// The closing bracket.
    End,
    /// So many elements in CBOR.
    Cbor(usize),
}

impl RestAt {
    /// The rest of a message whose first `at` octets are the [same](Head::octets) as those of
    /// another one in that framing: no need to find its head.
    #[inline]
    pub(crate) fn behind(framing: Framing, octets: &[u8], at: usize) -> Option<Self> {
        let more = match framing {
            Framing::Json => match octets.get(at)? {
                // An element has to follow: without the comma, an end would be as good.
                b',' => match octets.get(at + 1)? {
                    b']' | b' ' | b'\t' | b'\n' | b'\r' => return None,
                    _ => More::Json,
                },
                b']' => More::End,
                _ => return None,
            },
            Framing::Cbor => More::Cbor(usize::from(octets.first()? & 0x1f).checked_sub(2)?),
            Framing::Storable => return None,
        };
        Some(RestAt { more, at })
    }

    /// The elements behind the tag, to be [read](Quick::read). The comma before them is
    /// overwritten; [`restore`](Self::restore) undoes that if they could not be read.
    ///
    /// `plain`: all octets are [plain](are_plain), which matters for JSON.
    #[inline]
    pub(crate) fn open<'a>(&self, octets: &'a mut [u8], plain: bool, limits: Limits) -> Quick<'a> {
        let rest = match self.more {
            More::Json => {
                octets[self.at] = b'[';
                Rest::Json {
                    text: &octets[self.at..],
                    plain,
                }
            }
            More::End => Rest::Json { text: b"[]", plain },
            More::Cbor(elements) => Rest::Cbor {
                items: &octets[self.at..],
                elements,
            },
        };
        Quick {
            rest,
            limits,
            before: self.at,
            used: Cell::new(0),
        }
    }

    /// Makes `octets` again what they were before [`open`](Self::open).
    #[inline]
    pub(crate) fn restore(&self, octets: &mut [u8]) {
        if self.more == More::Json {
            octets[self.at] = b',';
        }
    }

    /// The position behind the message, given how many octets [were read](Quick::used). `None` if
    /// nothing was.
    #[inline]
    pub(crate) fn end(&self, used: usize) -> Option<usize> {
        match (used, self.more) {
            (0, _) => None,
            (used, More::Json) => Some(self.at + used),
            (_, More::End) => Some(self.at + 1),
            // One more is said than there were, as there may be none.
            (used, More::Cbor(_)) => Some(self.at + used - 1),
        }
    }
}

/// The elements of a message that may not be complete, and may not be sound.
#[derive(Debug)]
pub(crate) struct Quick<'a> {
    rest: Rest<'a>,
    limits: Limits,
    /// How much of the message stands before that.
    before: usize,
    used: Cell<usize>,
}

#[derive(Debug, Clone, Copy)]
enum Rest<'a> {
    /// The text of an array, with more behind it.
    Json { text: &'a [u8], plain: bool },
    /// So many elements, with more behind them.
    Cbor { items: &'a [u8], elements: usize },
}

impl<'a> Quick<'a> {
    /// Reads the elements into a type, as [`Message::args`](super::Message::args) does. `None` if
    /// the message is not complete, broken, beyond the limits, or does not fit the type, and in a
    /// few cases that only the scanner can judge: it has to be read the usual way then.
    #[inline]
    pub(crate) fn read<T: Deserialize<'a>>(&self) -> Option<T> {
        match self.rest {
            Rest::Json { text, plain } => self.read_json(text, plain, |text| {
                let parser = serde_json::Deserializer::from_slice(text);
                let mut messages = parser.into_iter::<List<T>>();
                let List(value) = messages.next()?.ok()?;
                Some((value, messages.byte_offset()))
            }),
            Rest::Cbor { items, elements } => {
                self.read_cbor(items, |parser| read_first(parser, elements))
            }
        }
    }

    /// Reads the elements as the fields of the variant of an enum that has the tag as its name, as
    /// [`read`](Self::read) reads them.
    #[cfg(feature = "node")]
    #[inline]
    pub(crate) fn read_variant<T: Deserialize<'a>>(&self, variant: &'static str) -> Option<T> {
        let at = Cell::new(0);
        let fields = super::known::Fields::new(variant, &at);
        match self.rest {
            Rest::Json { text, plain } => self.read_json(text, plain, |text| {
                let mut parser = serde_json::Deserializer::from_slice(text);
                let value = parser.deserialize_seq(fields).ok()?;
                Some((
                    value,
                    parser.into_iter::<serde::de::IgnoredAny>().byte_offset(),
                ))
            }),
            Rest::Cbor { items, elements } => {
                self.read_cbor(items, |parser| parser.read_list(elements, fields))
            }
        }
    }

    #[inline]
    fn read_json<T>(
        &self,
        text: &'a [u8],
        plain: bool,
        read: impl FnOnce(&'a [u8]) -> Option<(T, usize)>,
    ) -> Option<T> {
        // The parser itself goes no deeper than this.
        const PARSER_DEPTH: usize = 128;
        if self.limits.max_depth < PARSER_DEPTH {
            return None;
        }
        let (value, used) = read(text)?;
        let read = &text[..used];
        let fits = self.before + used <= self.limits.max_message
            && (plain || is_sound(read))
            && (used <= self.limits.max_depth || brackets(read) <= self.limits.max_depth);
        if !fits {
            return None;
        }
        self.used.set(used);
        Some(value)
    }

    #[inline]
    fn read_cbor<T>(
        &self,
        items: &'a [u8],
        read: impl FnOnce(&mut cbor::Deserializer<'a>) -> Result<T, cbor::CborError>,
    ) -> Option<T> {
        // What is read into types goes no deeper than this.
        let depth = self.limits.max_depth.min(Limits::default().max_depth);
        let depth = depth.checked_sub(1)?;
        let mut deserializer = cbor::Deserializer::new(items).max_depth(depth);
        let value = read(&mut deserializer).ok()?;
        let used = deserializer.position();
        let read = &items[..used];
        let shallow = || !deserializer.has_skipped() || containers(read) < self.limits.max_depth;
        let fits = self.before + used <= self.limits.max_message
            && (used < self.limits.max_depth || shallow());
        if !fits {
            return None;
        }
        self.used.set(used + 1);
        Some(value)
    }

    /// How many octets were read, in CBOR and one; none if [`read`](Self::read) gave up.
    #[inline]
    pub(crate) fn used(&self) -> usize {
        self.used.get()
    }
}

/// The elements of a message, as they are read without knowing its end.
struct List<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    #[inline]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_rest(deserializer).map(List)
    }
}

/// Whether all octets are ASCII, but no control characters (DEL is none here) and no backslashes:
/// nothing in them needs a second look.
pub(crate) fn are_plain(octets: &[u8]) -> bool {
    // Without a branch in the loop, so that it is done many octets at a time.
    let odd = |octet: u8| u8::from(octet < 0x20) | octet >> 7 | u8::from(octet == b'\\');
    octets
        .chunks(1024)
        .all(|octets| octets.iter().fold(0, |any, &octet| any | odd(octet)) == 0)
}

/// What the parser lets pass in values that nobody asked for and the scanner does not: bad UTF-8,
/// control characters, lone surrogates.
fn is_sound(read: &[u8]) -> bool {
    let control = read.iter().fold(false, |any, &octet| any | (octet < 0x20));
    let escapes = || memchr::memchr_iter(b'\\', read).any(|at| read.get(at + 1) == Some(&b'u'));
    !control && !escapes() && std::str::from_utf8(read).is_ok()
}

/// How many brackets are opened, in strings or not: no fewer than there are levels.
fn brackets(read: &[u8]) -> usize {
    memchr::memchr2_iter(b'[', b'{', read).count()
}

/// How many octets could begin an array or a map, wherever they stand: no fewer than there are
/// levels.
fn containers(read: &[u8]) -> usize {
    let begins = |octet: u8| u8::from((0x80..0xc0).contains(&octet));
    // Short pieces, whose counts fit in an octet, so that many octets are counted at a time.
    let count = |piece: &[u8]| piece.iter().fold(0, |n, &octet| n + begins(octet));
    let counts = read.chunks(128).map(count);
    counts.map(usize::from).sum()
}

#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod check;

#[cfg(test)]
mod tests;
