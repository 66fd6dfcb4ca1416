//! What tests and fuzzers hold the scanner to: however a stream is cut, the same is found in it,
//! and serde_json is of the same opinion.

use serde_json::Value;

use super::super::{FramingError, Limits};
use super::{Frame, JsonScanner};

/// All that a scanner says about `stream`, with positions in the whole stream, when it is
/// read in pieces of `sizes` octets (repeated as often as need be).
pub(crate) fn scan(
    limits: Limits,
    stream: &[u8],
    sizes: &[usize],
) -> (Vec<Frame>, Option<FramingError>) {
    let mut scanner = JsonScanner::new(limits);
    let mut frames = Vec::new();
    let (mut from, mut to) = (0, 0);
    for size in sizes.iter().cycle() {
        to = stream.len().min(to + size);
        loop {
            match scanner.next(&stream[from..to]) {
                Ok(Some(mut frame)) => {
                    let end = frame.end;
                    frame.start += from;
                    frame.end += from;
                    for element in frame.dest.iter_mut().chain(&mut frame.tag) {
                        element.start += from;
                        element.end += from;
                    }
                    frames.push(frame);
                    from += end;
                }
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(scanner.next(&stream[from..]), Err(error.clone()));
                    return (frames, Some(error));
                }
            }
        }
        if to == stream.len() {
            return (frames, None);
        }
    }
    unreachable!("sizes are not empty")
}

/// Panics if serde_json takes the stream for something else.
///
/// The differences that are meant:
/// - the scanner wants arrays with a destination;
/// - serde_json refuses numbers out of the range of f64;
/// - the scanner reports a bad character or hexadecimal digit in a string at once, serde_json
///   only when the string, or four digits, are complete.
pub(crate) fn compare(stream: &[u8], frames: &[Frame], error: Option<&FramingError>) {
    // serde_json recurses, and behind what the scanner has refused there may be any depth.
    if stream.iter().filter(|octet| b"[{".contains(octet)).count() > 1000 {
        return;
    }
    let shown = stream.escape_ascii();
    let mut oracle = serde_json::Deserializer::from_slice(stream);
    oracle.disable_recursion_limit();
    let mut oracle = oracle.into_iter::<Value>();
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
