//! Streams of messages, against other implementations and against themselves.

use bytes::BytesMut;
use serde_json::Value;

use super::input::Input;
use crate::proto::framing::{cbor, json, storable};
use crate::proto::message::{Arrived, Incoming, quick as quickly};
use crate::proto::{Framing, FramingError, Limits};

/// A stream of JSON: how it is cut makes no difference, and serde_json is of the same opinion.
pub fn json(data: &[u8]) {
    let mut input = Input::new(data);
    let (sizes, limits) = (input.sizes(), input.limits());
    let stream = input.rest();
    let whole = json::check::scan(limits, stream, &[stream.len().max(1)]);
    assert_eq!(json::check::scan(limits, stream, &sizes), whole);
    assert_eq!(json::check::scan(limits, stream, &[1]), whole);
    let (frames, error) = whole;
    for element in frames
        .iter()
        .flat_map(|frame| [frame.dest, frame.tag])
        .flatten()
    {
        let _ = element.text(stream);
    }
    // serde_json knows neither limit.
    let too_much = matches!(
        error,
        Some(FramingError::TooDeep { .. } | FramingError::TooLong { .. })
    );
    if !too_much {
        json::check::compare(stream, &frames, error.as_ref());
    }
}

/// A stream of CBOR: how it is cut makes no difference, and ciborium is of the same opinion.
pub fn cbor(data: &[u8]) {
    let mut input = Input::new(data);
    let (sizes, limits) = (input.sizes(), input.limits());
    let stream = input.rest();
    let whole = cbor::check::scan(limits, stream, &[stream.len().max(1)]);
    assert_eq!(cbor::check::scan(limits, stream, &sizes), whole);
    assert_eq!(cbor::check::scan(limits, stream, &[1]), whole);
    let (frames, error) = whole;
    for element in frames
        .iter()
        .flat_map(|frame| [frame.dest, frame.tag])
        .flatten()
    {
        let _ = element.text(stream);
    }
    let mut from = 0;
    for frame in &frames {
        cbor::check::agree(&stream[from..frame.end]);
        from = frame.end;
    }
    if from < stream.len()
        && !matches!(
            error,
            Some(FramingError::TooLong { .. } | FramingError::TooDeep { .. })
        )
    {
        cbor::check::agree(&stream[from..]);
    }
}

/// A stream of Storable: how it is cut makes no difference, and what was read of an image is
/// written as one that reads the same.
pub fn storable(data: &[u8]) {
    let mut input = Input::new(data);
    let (sizes, limits) = (input.sizes(), input.limits());
    let stream = input.rest();
    let whole = storable::check::scan(limits, stream, &[stream.len().max(1)]);
    assert_eq!(storable::check::scan(limits, stream, &sizes), whole);
    assert_eq!(storable::check::scan(limits, stream, &[1]), whole);
    for frame in whole.0 {
        let Ok(read) = storable::check::to_json(&stream[frame.start..frame.end]) else {
            continue;
        };
        let written = storable::check::to_image(&read).expect("what was read can be written");
        let again = storable::check::to_json(&written).expect("what was written can be read");
        let twice = storable::check::to_image(&again);
        assert_eq!(twice.as_ref(), Ok(&written), "{read} {again}");
    }
}

/// The first message of a stream, read at once into types: never another result than by the
/// scanner.
pub fn quick(data: &[u8]) {
    let mut input = Input::new(data);
    let framing = match input.octet() & 1 {
        0 => Framing::Json,
        _ => Framing::Cbor,
    };
    let limits = input.limits();
    quickly::check::all(framing, input.rest(), limits);
}

/// The only message of a stream.
pub(super) fn only(framing: Framing, octets: &[u8]) -> Arrived {
    let limits = Limits {
        max_message: usize::MAX,
        max_depth: usize::MAX,
    };
    let mut block = BytesMut::from(octets);
    let arrived = Incoming::new(framing, limits).next(&mut block);
    let arrived = arrived.expect("it is sound").expect("it is complete");
    assert!(block.is_empty(), "{} octets are left", block.len());
    arrived
}

/// Messages of any framing, written in each and read again: the same elements, and from then on the
/// same text.
pub fn transcode(data: &[u8]) {
    let mut input = Input::new(data);
    let framing = Framing::ALL[usize::from(input.octet() % 3)];
    let mut block = BytesMut::from(input.rest());
    let mut incoming = Incoming::new(framing, Limits::default());
    while let Ok(Some(arrived)) = incoming.next(&mut block) {
        let Some(name) = arrived.name else { continue };
        let count = arrived.message.elements().count();
        // The text of a number is another in each framing, and what has a tag of CBOR is no string.
        let first = arrived.message.elements().next();
        let is_string = first.is_some_and(|first| first.json().starts_with('"'));
        let tag = arrived.message.tag().filter(|_| is_string);
        for to in Framing::ALL {
            let mut once = Vec::new();
            if arrived.message.encode_in(&mut once, to, &name).is_err() {
                assert!(once.is_empty(), "an error leaves nothing behind");
                continue;
            }
            let first = only(to, &once);
            assert_eq!(first.name.as_ref(), Some(&name));
            assert_eq!(first.message.elements().count(), count);
            if let Some(tag) = &tag {
                assert_eq!(first.message.tag().as_ref(), Some(tag));
            }
            if to == Framing::Storable && framing == Framing::Json {
                let values = Value::from(arrived.message.values());
                let expected = storable::check::perls(&values);
                let read = Value::from(first.message.values());
                assert!(are_alike(&read, &expected), "{read} is not {expected}");
            }
            let mut twice = Vec::new();
            let written = first.message.encode_in(&mut twice, to, &name);
            written.expect("what was written can be written");
            let second = only(to, &twice);
            assert_eq!(second.message.to_json(), first.message.to_json());
        }
    }
}

/// Whether two values are the same to Perl. Numbers may be strings, and have more digits than they
/// need.
fn are_alike(a: &Value, b: &Value) -> bool {
    let number = |value: &Value| match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| are_alike(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            let is_in_b = |(key, a): (&String, &Value)| b.get(key).is_some_and(|b| are_alike(a, b));
            a.len() == b.len() && a.iter().all(is_in_b)
        }
        _ => a == b || number(a).is_some_and(|a| number(b) == Some(a)),
    }
}
