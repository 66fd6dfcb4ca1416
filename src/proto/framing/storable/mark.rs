//! The items of an image: a mark of one octet, then what it says.

use super::super::transcode::latin1;
use super::error::StorableError;
use std::borrow::Cow;

pub(super) const OBJECT: u8 = 0;
pub(super) const LONG_OCTETS: u8 = 1;
pub(super) const ARRAY: u8 = 2;
pub(super) const HASH: u8 = 3;
pub(super) const REF: u8 = 4;
pub(super) const UNDEF: u8 = 5;
pub(super) const BYTE: u8 = 8;
pub(super) const NETINT: u8 = 9;
pub(super) const OCTETS: u8 = 10;
pub(super) const TEXT: u8 = 23;
pub(super) const LONG_TEXT: u8 = 24;
pub(super) const FLAG_HASH: u8 = 25;

/// The classes whose objects are booleans, and what they are based on.
const BOOLEANS: &[&[u8]] = &[
    b"JSON::PP::Boolean",
    b"JSON::XS::Boolean",
    b"Types::Serialiser::Boolean",
    b"Types::Serialiser::BooleanBase",
];

/// An item, without the items in it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Item<'a> {
    Undef,
    Bool(bool),
    Integer(i32),
    Octets(&'a [u8]),
    Text(&'a str),
    Array(u32),
    /// So many pairs; do keys have flags?
    Hash(u32, bool),
    /// The item behind it is what it refers to.
    Ref,
    /// The item of that number again.
    Object(u32),
}

/// Goes through an image.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    image: &'a [u8],
    pub(super) at: usize,
    /// How many classes were named so far.
    classes: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(image: &'a [u8], at: usize) -> Self {
        let classes = 0;
        Self { image, at, classes }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.image.len()
    }

    pub(super) fn octets(&mut self, len: usize) -> Result<&'a [u8], StorableError> {
        let rest = self.image.get(self.at..).unwrap_or_default();
        match rest.get(..len) {
            Some(octets) => {
                self.at += len;
                Ok(octets)
            }
            None => StorableError::new(self.image.len(), "image cut off"),
        }
    }

    fn octet(&mut self) -> Result<u8, StorableError> {
        Ok(self.octets(1)?[0])
    }

    fn word(&mut self) -> Result<u32, StorableError> {
        let word = self.octets(4)?;
        Ok(word.iter().fold(0, |word, &o| word << 8 | u32::from(o)))
    }

    /// The number of items to come, each of which takes `least` octets at least.
    fn number(&mut self, least: usize) -> Result<u32, StorableError> {
        let at = self.at;
        let number = self.word()?;
        let rest = self.image.len() - self.at;
        if (number as usize).saturating_mul(least) > rest {
            return StorableError::new(at, "more items than there are octets");
        }
        Ok(number)
    }

    fn text(&mut self, len: usize) -> Result<&'a str, StorableError> {
        let at = self.at;
        let octets = self.octets(len)?;
        std::str::from_utf8(octets)
            .or_else(|e| StorableError::new(at + e.valid_up_to(), "text that is not UTF-8"))
    }

    /// The next item.
    pub(super) fn item(&mut self) -> Result<Item<'a>, StorableError> {
        let at = self.at;
        Ok(match self.octet()? {
            OBJECT => Item::Object(self.word()?),
            LONG_OCTETS => {
                let len = self.word()?;
                Item::Octets(self.octets(len as usize)?)
            }
            ARRAY => Item::Array(self.number(1)?),
            HASH => Item::Hash(self.number(5)?, false),
            // A weak reference is a reference, too, and so is one to an object with overloading.
            REF | 27 => Item::Ref,
            20 | 28 if matches!(self.image.get(self.at), None | Some(0 | 17 | 18)) => Item::Ref,
            20 | 28 => return StorableError::new(at, "overloading of what is no object"),
            UNDEF | 14 | 31 => Item::Undef,
            BYTE => Item::Integer(i32::from(self.octet()?) - 128),
            NETINT => Item::Integer(self.word()? as i32),
            OCTETS => {
                let len = self.octet()?;
                Item::Octets(self.octets(len.into())?)
            }
            15 | 34 => Item::Bool(true),
            16 | 35 => Item::Bool(false),
            17 => {
                let len = self.length()?;
                let class = self.octets(len)?;
                self.classes += 1;
                if !BOOLEANS.contains(&class) {
                    let class = latin1(class);
                    return StorableError::new(at, format!("object of the class '{class}'"));
                }
                self.boolean(at)?
            }
            18 => {
                if self.length()? >= self.classes {
                    return StorableError::new(at, "object of a class that was not named");
                }
                self.boolean(at)?
            }
            TEXT => {
                let len = self.octet()?;
                Item::Text(self.text(len.into())?)
            }
            LONG_TEXT => {
                let len = self.word()?;
                Item::Text(self.text(len as usize)?)
            }
            FLAG_HASH => {
                self.octet()?;
                Item::Hash(self.number(6)?, true)
            }
            6 | 7 => return StorableError::new(at, "number not in network order"),
            11 | 12 | 13 | 21 | 22 => return StorableError::new(at, "tied value"),
            19 => return StorableError::new(at, "object with a hook of its own"),
            26 => return StorableError::new(at, "code"),
            29 | 30 => return StorableError::new(at, "version string"),
            32 => return StorableError::new(at, "regular expression"),
            33 => return StorableError::new(at, "item of more than 2 GiB"),
            other => return StorableError::new(at, format!("item of an unknown kind, {other},")),
        })
    }

    /// A length of a class's name or its number.
    fn length(&mut self) -> Result<usize, StorableError> {
        match self.octet()? {
            short @ 0..0x80 => Ok(short.into()),
            _ => Ok(self.word()? as usize),
        }
    }

    /// The scalar that the boolean object at `at` is made of.
    fn boolean(&mut self, at: usize) -> Result<Item<'a>, StorableError> {
        if matches!(self.image.get(self.at), Some(17 | 18)) {
            return StorableError::new(at, "object in an object");
        }
        match self.item()? {
            Item::Integer(n) => Ok(Item::Bool(n != 0)),
            Item::Octets(text) => Ok(Item::Bool(!matches!(text, b"" | b"0"))),
            Item::Text(text) => Ok(Item::Bool(!matches!(text, "" | "0"))),
            Item::Undef => Ok(Item::Bool(false)),
            Item::Bool(value) => Ok(Item::Bool(value)),
            _ => StorableError::new(at, "boolean that is none"),
        }
    }

    /// The key behind a value, and whether there is such a pair at all: a hash with a fixed set of
    /// keys has pairs that only reserve their key.
    pub(super) fn key(&mut self, flags: bool) -> Result<(Cow<'a, str>, bool), StorableError> {
        let at = self.at;
        let flags = if flags { self.octet()? } else { 0 };
        if flags & 8 != 0 {
            return StorableError::new(at, "key that is no string");
        }
        let is_there = flags & 16 == 0;
        let len = self.word()? as usize;
        if flags & 1 != 0 {
            return Ok((self.text(len)?.into(), is_there));
        }
        Ok((latin1(self.octets(len)?), is_there))
    }
}
