//! What tests and fuzzers hold the scanner to: however a stream is cut, the same is found in it,
//! and ciborium, which decodes into its `Value`, is of the same opinion.

use ciborium::Value;

use super::super::{FramingError, Limits};
use super::{CborScanner, Frame};

/// All that a scanner says about `stream`, with positions in the whole stream, when it is
/// read in pieces of `sizes` octets (repeated as often as need be).
pub(crate) fn scan(
    limits: Limits,
    stream: &[u8],
    sizes: &[usize],
) -> (Vec<Frame>, Option<FramingError>) {
    let mut scanner = CborScanner::new(limits);
    let mut frames = Vec::new();
    let (mut from, mut to) = (0, 0);
    for size in sizes.iter().cycle() {
        to = stream.len().min(to + size);
        loop {
            match scanner.next(&stream[from..to]) {
                Ok(Some(mut frame)) => {
                    let end = frame.end;
                    for place in [&mut frame.start, &mut frame.first, &mut frame.last] {
                        *place += from;
                    }
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

/// Does ciborium read the item at the start of `octets`? How long is it then, and what?
pub(crate) fn ciborium(octets: &[u8]) -> Option<(usize, Value)> {
    let mut rest = octets;
    let value = ciborium::de::from_reader_with_recursion_limit(&mut rest, 600).ok()?;
    Some((octets.len() - rest.len(), value))
}

/// The length of the message in `octets`.
pub(crate) fn ours(octets: &[u8]) -> Option<usize> {
    let frame = CborScanner::new(Limits::default()).next(octets).ok()??;
    Some(frame.end)
}

fn has_destination(octets: &[u8], value: &Value) -> bool {
    let head = match octets[0] & 0x1f {
        info @ 24..=27 => 1 + (1 << (info - 24)),
        _ => 1,
    };
    match value {
        Value::Tag(55799, inner) => has_destination(&octets[head..], inner),
        // ciborium makes integers of some tags.
        Value::Array(elements) => elements.first().is_none_or(|first| {
            octets[head] >> 5 != 6
                && matches!(
                    first,
                    Value::Bytes(_) | Value::Text(_) | Value::Integer(_) | Value::Float(_)
                )
        }),
        _ => false,
    }
}

/// Does a large integer (tag 2 or 3, its head of any length) stand at the start of `octets`?
fn begins_large(octets: &[u8]) -> bool {
    let after = match octets {
        [0xc2 | 0xc3, after @ ..]
        | [0xd8, 2 | 3, after @ ..]
        | [0xd9, 0, 2 | 3, after @ ..]
        | [0xda, 0, 0, 0, 2 | 3, after @ ..]
        | [0xdb, 0, 0, 0, 0, 0, 0, 0, 2 | 3, after @ ..] => after,
        _ => return false,
    };
    matches!(after, [0x40..=0x5f | 0xc0..=0xdb, ..])
}

/// Panics unless the message at the start of the stream is what ciborium takes and what has a
/// destination, and as long.
pub(crate) fn agree(stream: &[u8]) {
    // ciborium takes chunks in chunks and long forms of short simple values.
    let is_lenient = |pair: &[u8]| matches!(pair, [0xf8, 0x14..=0x17]);
    if stream.windows(2).any(is_lenient) {
        return;
    }
    let first = CborScanner::new(Limits::default()).next(stream);
    if let Err(FramingError::Syntax { offset, what }) = first
        && what.starts_with("chunk")
        && matches!(stream[offset], 0x5f | 0x7f)
    {
        return;
    }
    let theirs = ciborium(stream).filter(|(_, value)| has_destination(stream, value));
    let theirs = theirs.map(|(len, _)| len);
    // It makes integers of the tags of large ones, and has none of more than 128 bits.
    if theirs.is_none() && (0..stream.len()).any(|at| begins_large(&stream[at..])) {
        return;
    }
    assert_eq!(ours(stream), theirs, "{}", stream.escape_ascii());
}
