//! serde_json as judge over mutated texts.

use proptest::prelude::*;
use serde_json::Value;

use super::super::Frame;
use super::FramingError;

/// One small damage, at a place given in parts of the text's length.
#[derive(Debug, Clone)]
pub enum Mutation {
    Replace(prop::sample::Index, u8),
    Insert(prop::sample::Index, u8),
    Delete(prop::sample::Index),
    FlipBit(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    /// Repeat what lies between two places.
    Repeat(prop::sample::Index, prop::sample::Index),
}

pub fn mutation() -> impl Strategy<Value = Mutation> {
    let index = any::<prop::sample::Index>;
    let octet = || {
        let likely = b"[]{},:\"\\/ \n0123456789-+.eEtfnu\0\x1f\x7f\x80\xbf\xc3\xed\xa0\xf4\xff";
        prop_oneof![prop::sample::select(&likely[..]), any::<u8>()]
    };
    prop_oneof![
        (index(), octet()).prop_map(|(at, with)| Mutation::Replace(at, with)),
        (index(), octet()).prop_map(|(at, what)| Mutation::Insert(at, what)),
        index().prop_map(Mutation::Delete),
        (index(), 0..8u8).prop_map(|(at, bit)| Mutation::FlipBit(at, bit)),
        index().prop_map(Mutation::Cut),
        (index(), index()).prop_map(|(from, to)| Mutation::Repeat(from, to)),
    ]
}

impl Mutation {
    pub fn apply(&self, text: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        let len = text.len();
        let place = |index: &prop::sample::Index| index.index(len);
        match self {
            Self::Replace(at, with) => text[place(at)] = *with,
            Self::Insert(at, what) => text.insert(place(at), *what),
            Self::Delete(at) => {
                text.remove(place(at));
            }
            Self::FlipBit(at, bit) => text[place(at)] ^= 1 << bit,
            Self::Cut(at) => text.truncate(place(at)),
            Self::Repeat(from, to) => {
                let (from, to) = (place(from).min(place(to)), place(from).max(place(to)));
                let again = text[from..to].to_vec();
                text.splice(to..to, again);
            }
        }
    }
}

/// Panics if serde_json takes the stream for something else.
///
/// The differences that are meant:
/// - the scanner wants arrays with a destination;
/// - serde_json refuses numbers out of the range of f64;
/// - the scanner reports a bad character or hexadecimal digit in a string at once, serde_json
///   only when the string, or four digits, are complete.
pub fn compare(stream: &[u8], frames: &[Frame], error: Option<&FramingError>) {
    let shown = stream.escape_ascii();
    let mut oracle = serde_json::Deserializer::from_slice(stream).into_iter::<Value>();
    let mut from = 0;
    for frame in frames {
        match oracle.next() {
            Some(Ok(value)) => {
                let array = value
                    .as_array()
                    .unwrap_or_else(|| panic!("no array: {shown}"));
                assert_eq!(oracle.byte_offset(), frame.end, "{shown}");
                let dest = array.first();
                assert_eq!(dest.is_some(), frame.dest.is_some(), "{shown}");
                assert!(
                    dest.is_none_or(|d| d.is_string() || d.is_number()),
                    "{shown}"
                );
                assert_eq!(array.get(1).is_some(), frame.tag.is_some(), "{shown}");
            }
            Some(Err(e)) if e.to_string().contains("number out of range") => return,
            other => panic!("the scanner only accepts: {shown}: {other:?}"),
        }
        from = frame.end;
    }
    let rest = &stream[from..];
    let next = oracle.next();
    match error {
        None => match next {
            None => assert!(rest.iter().all(u8::is_ascii_whitespace), "{shown}"),
            Some(Err(e)) if e.is_eof() => {}
            Some(Err(e)) if e.to_string().contains("number out of range") => {}
            other => panic!("the scanner only waits: {shown}: {other:?}"),
        },
        Some(FramingError::NotAnArray { offset, found }) => {
            assert_eq!(rest[*offset], *found, "{shown}");
            assert!(
                rest[..*offset].iter().all(u8::is_ascii_whitespace),
                "{shown}"
            );
            assert_ne!(*found, b'[', "{shown}");
        }
        Some(FramingError::BadDestination { offset, found }) => {
            assert_eq!(rest[*offset], *found, "{shown}");
            assert_eq!(rest[..*offset].trim_ascii(), b"[", "{shown}");
            assert!(b"{[tfn".contains(found), "{shown}");
        }
        Some(error) => match next {
            Some(Err(e)) if !e.is_eof() => {}
            Some(Err(_)) if matches!(error, FramingError::Utf8 { .. }) => {}
            Some(Err(_)) if error.to_string().contains("hexadecimal") => {}
            other => panic!("the scanner only refuses: {shown}: {error}, {other:?}"),
        },
    }
}
