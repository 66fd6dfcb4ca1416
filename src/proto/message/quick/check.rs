//! What tests and fuzzers hold the quick way to: whatever it reads is what the usual way gives.

use bytes::BytesMut;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::*;
use crate::proto::framing::cbor::CborScanner;
use crate::proto::framing::json::JsonScanner;
use crate::proto::message::Message;

/// Reads the first message both ways. The quick way may give up, but never differ.
pub(crate) fn both<T>(framing: Framing, octets: &[u8], limits: Limits) -> Option<T>
where
    T: for<'de> Deserialize<'de> + PartialEq + std::fmt::Debug,
{
    let mut own = octets.to_vec();
    let head = Head::find(framing, &own)?;
    let (name, tag, at) = (head.name.to_vec(), head.tag.to_vec(), head.rest());
    let behind = RestAt::behind(framing, &own, head.octets(&own).len());
    assert_eq!(behind, Some(at));
    let quick = at.open(&mut own, are_plain(octets), limits);
    let value: Option<T> = quick.read();
    let end = at.end(quick.used());
    at.restore(&mut own);
    assert_eq!(own, octets);
    let value = value?;

    let message = match framing {
        Framing::Json => {
            let frame = JsonScanner::new(limits).next(octets);
            let frame = frame.expect("sound").expect("complete");
            assert_eq!((frame.start, Some(frame.end)), (0, end));
            let dest = frame.dest.expect("a destination");
            assert_eq!(dest.text(octets).as_bytes(), name);
            assert_eq!(frame.tag.expect("a tag").text(octets).as_bytes(), tag);
            Message::from_frame(BytesMut::from(&octets[..frame.end]), dest.end + 1)
        }
        Framing::Cbor => {
            let frame = CborScanner::new(limits).next(octets);
            let frame = frame.expect("sound").expect("complete");
            assert_eq!((frame.start, Some(frame.end)), (0, end));
            let dest = frame.dest.expect("a destination");
            assert_eq!(dest.text(octets).as_bytes(), name);
            assert_eq!(frame.tag.expect("a tag").text(octets).as_bytes(), tag);
            Message::from_cbor(octets[frame.elements()].to_vec().into())
        }
        Framing::Storable => panic!("there is no quick way in Storable"),
    };
    assert_eq!(message.tag().expect("a tag").as_bytes(), tag);
    assert_eq!(message.without_tag().args::<T>().as_ref(), Ok(&value));
    Some(value)
}

/// A struct that is read by its keys.
#[derive(Debug, PartialEq, Deserialize)]
pub(crate) struct Some2 {
    pub(crate) a: u8,
    pub(crate) b: Option<String>,
}

/// Reads the first message both ways into types of every sort.
pub(crate) fn all(framing: Framing, octets: &[u8], limits: Limits) {
    both::<()>(framing, octets, limits);
    both::<(Value,)>(framing, octets, limits);
    both::<(Option<i64>, Option<String>)>(framing, octets, limits);
    both::<Vec<Value>>(framing, octets, limits);
    both::<(IgnoredAny, String)>(framing, octets, limits);
    both::<(Some2,)>(framing, octets, limits);
    both::<Vec<IgnoredAny>>(framing, octets, limits);
}
