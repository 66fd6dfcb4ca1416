//! Types for values as Perl has them.
//!
//! A Perl scalar is a number and a string at once, and which of the two it is sent as depends on
//! how it was used last. These types take either.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::proto::framing::cbor::OCTETS;

/// A number that may come as a string: `10` and `"10"`. It is sent as a number.
///
/// ```
/// use aemp::{Message, Num};
/// let (a, b): (Num<u32>, Num<f64>) = Message::encode(&("10", 1.5))?.args()?;
/// assert_eq!((a.0, b.0), (10, 1.5));
/// assert_eq!(Message::encode(&(a, b))?.to_json(), "[10,1.5]");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Num<T>(pub T);

/// A string that may come as a number or undefined: `"10"`, `10` and `null`, which is empty. It is
/// sent as a string.
///
/// ```
/// use aemp::{Message, Text};
/// let (a, b): (Text, Text) = Message::encode(&(10, None::<u32>))?.args()?;
/// assert_eq!((a.0.as_str(), b.0.as_str()), ("10", ""));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Text(pub String);

/// Octets, which travel as a string of the characters U+0000 to U+00FF (PROTOCOL.md, "JSON
/// framing").
///
/// ```
/// use aemp::proto::message::Octets;
/// let json = serde_json::to_string(&Octets(vec![0, 0x41, 0xe9]))?;
/// assert_eq!(json, "\"\\u0000Aé\"");
/// assert_eq!(serde_json::from_str::<Octets>(&json)?.0, [0, 0x41, 0xe9]);
/// assert!(serde_json::from_str::<Octets>("\"☺\"").is_err());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Octets(pub Vec<u8>);

impl<T: Serialize> Serialize for Num<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

struct NumVisitor<T>(PhantomData<T>);

impl<T: FromStr> NumVisitor<T> {
    fn parse<E: de::Error>(&self, text: &str) -> Result<Num<T>, E> {
        let number = text.trim().parse().map(Num);
        number.map_err(|_| E::invalid_value(de::Unexpected::Str(text), self))
    }
}

impl<T: FromStr> Visitor<'_> for NumVisitor<T> {
    type Value = Num<T>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, or a string that holds one")
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<Num<T>, E> {
        self.parse(text)
    }
    fn visit_u64<E: de::Error>(self, n: u64) -> Result<Num<T>, E> {
        self.parse(&n.to_string())
    }
    fn visit_i64<E: de::Error>(self, n: i64) -> Result<Num<T>, E> {
        self.parse(&n.to_string())
    }
    fn visit_f64<E: de::Error>(self, n: f64) -> Result<Num<T>, E> {
        self.parse(&n.to_string())
    }
}

impl<'de, T: FromStr> Deserialize<'de> for Num<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumVisitor(PhantomData))
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

struct TextVisitor;

impl Visitor<'_> for TextVisitor {
    type Value = Text;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or a number")
    }
    fn visit_str<E>(self, text: &str) -> Result<Text, E> {
        Ok(Text(text.to_owned()))
    }
    fn visit_u64<E>(self, n: u64) -> Result<Text, E> {
        Ok(Text(n.to_string()))
    }
    fn visit_i64<E>(self, n: i64) -> Result<Text, E> {
        Ok(Text(n.to_string()))
    }
    fn visit_f64<E>(self, n: f64) -> Result<Text, E> {
        Ok(Text(n.to_string()))
    }
    fn visit_unit<E>(self) -> Result<Text, E> {
        Ok(Text::default())
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

impl Serialize for Octets {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text: String = self.0.iter().copied().map(char::from).collect();
        // In CBOR these are octets; any other format takes the text.
        serializer.serialize_newtype_struct(OCTETS, &text)
    }
}

struct OctetsVisitor;

impl Visitor<'_> for OctetsVisitor {
    type Value = Octets;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string of the characters U+0000 to U+00FF")
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<Octets, E> {
        let octets = text.chars().map(|c| u8::try_from(u32::from(c)));
        octets
            .collect::<Result<_, _>>()
            .map(Octets)
            .map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}

impl<'de> Deserialize<'de> for Octets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(OctetsVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_kind() {
        for json in ["10", "\"10\"", "\" 10 \"", "10.0"] {
            assert_eq!(serde_json::from_str::<Num<u32>>(json).unwrap(), Num(10));
        }
        assert!(serde_json::from_str::<Num<u32>>("\"x\"").is_err());
        assert!(serde_json::from_str::<Num<u8>>("256").is_err());
        for (json, text) in [("10", "10"), ("\"a\"", "a"), ("null", ""), ("-1.5", "-1.5")] {
            assert_eq!(serde_json::from_str::<Text>(json).unwrap().0, text);
        }
    }
}
