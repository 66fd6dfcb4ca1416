//! Another implementation says what is CBOR: ciborium's decoder into its `Value`.

use proptest::prelude::*;

use super::super::check::{agree, ciborium, ours};
use super::*;

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
        agree(&stream);
    }
}
