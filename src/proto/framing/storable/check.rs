//! What tests and fuzzers hold the images to: however a stream is cut, the same is found in it, and
//! what was read is written the same again.

use serde_json::{Value, json};

use super::super::{FramingError, Limits};
use super::*;

/// The JSON of an image; a failure leaves nothing behind.
pub(crate) fn to_json(image: &[u8]) -> Result<String, StorableError> {
    let mut json = b"x".to_vec();
    let result = storable_to_json(&mut json, image, Limits::default());
    let json = String::from_utf8(json).unwrap();
    if result.is_err() {
        assert_eq!(json, "x");
    }
    result.map(|()| json[1..].to_owned())
}

/// The image of a JSON text; a failure leaves nothing behind.
pub(crate) fn to_image(json: &str) -> Result<Vec<u8>, StorableError> {
    let mut image = b"x".to_vec();
    let result = json_to_storable(&mut image, json.as_bytes());
    if result.is_err() {
        assert_eq!(image, b"x");
    }
    result.map(|()| image[1..].to_owned())
}

/// All that a scanner says about `stream`, read in pieces of `sizes` octets.
pub(crate) fn scan(
    limits: Limits,
    stream: &[u8],
    sizes: &[usize],
) -> (Vec<Frame>, Option<FramingError>) {
    let mut scanner = StorableScanner::new(limits);
    let mut frames = Vec::new();
    let (mut from, mut to) = (0, 0);
    for size in sizes.iter().cycle() {
        to = stream.len().min(to + size);
        loop {
            match scanner.next(&stream[from..to]) {
                Ok(Some(frame)) => {
                    frames.push(Frame {
                        start: from + frame.start,
                        end: from + frame.end,
                    });
                    from += frame.end;
                }
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
        if to == stream.len() {
            return (frames, None);
        }
    }
    unreachable!("sizes are not empty")
}

/// What comes back: whole floats are integers, other numbers may be strings, booleans numbers.
pub(crate) fn perls(value: &Value) -> Value {
    match value {
        Value::Bool(b) => u8::from(*b).into(),
        Value::Number(_) => {
            let image = to_image(&json!([value]).to_string()).unwrap();
            serde_json::from_str::<Value>(&to_json(&image).unwrap()).unwrap()[0].take()
        }
        Value::Array(values) => values.iter().map(perls).collect(),
        Value::Object(pairs) => pairs.iter().map(|(k, v)| (k.clone(), perls(v))).collect(),
        _ => value.clone(),
    }
}
