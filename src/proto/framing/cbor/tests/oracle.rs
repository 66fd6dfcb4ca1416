//! Another implementation says what is CBOR: ciborium's decoder into its `Value`.

use ciborium::Value;
use proptest::prelude::*;

use super::*;

/// Does ciborium read the item at the start of `octets`? How long is it then, and what?
fn ciborium(octets: &[u8]) -> Option<(usize, Value)> {
    let mut rest = octets;
    let value = ciborium::de::from_reader_with_recursion_limit(&mut rest, 600).ok()?;
    Some((octets.len() - rest.len(), value))
}

/// The length of the message in `octets`.
fn ours(octets: &[u8]) -> Option<usize> {
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

#[test]
fn both_know_the_samples() {
    for octets in SAMPLES {
        assert_eq!(ours(octets), Some(octets.len()));
        let len = ciborium(octets).map(|c| c.0);
        assert_eq!(len, Some(octets.len()), "{}", octets.escape_ascii());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6000))]

    /// What the scanner takes is what ciborium takes and what has a destination, and as long.
    #[test]
    fn agrees_on_what_is_sound(stream in stream()) {
        // ciborium takes chunks in chunks and long forms of short simple values.
        let is_lenient = |pair: &[u8]| matches!(pair, [0xf8, 0x14..=0x17]);
        prop_assume!(!stream.windows(2).any(is_lenient));
        if let Err(FramingError::Syntax { offset, what }) = CborScanner::new(Limits::default()).next(&stream) {
            let chunks = what.starts_with("chunk") && matches!(stream[offset], 0x5f | 0x7f);
            prop_assume!(!chunks);
        }
        let ours = ours(&stream);
        let theirs = ciborium(&stream).filter(|(_, value)| has_destination(&stream, value));
        prop_assert_eq!(ours, theirs.map(|(len, _)| len), "{}", stream.escape_ascii());
    }
}
