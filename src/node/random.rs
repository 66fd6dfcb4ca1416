//! Where a node's randomness comes from.

use std::sync::Arc;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::proto::handshake::NONCE_LEN;

/// The system's generator; or, on a network in memory, one that gives the same numbers in each run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Random(Option<Arc<Mutex<StdRng>>>);

impl Random {
    /// One that begins with a seed.
    pub(crate) fn seeded(seed: u64) -> Self {
        Random(Some(Arc::new(Mutex::new(StdRng::seed_from_u64(seed)))))
    }

    /// A number from 0 to below 1.
    pub(crate) fn fraction(&self) -> f64 {
        match &self.0 {
            Some(seeded) => seeded.lock().random(),
            None => rand::random(),
        }
    }

    /// A number below `end`, which must not be 0.
    pub(crate) fn below(&self, end: usize) -> usize {
        match &self.0 {
            Some(seeded) => seeded.lock().random_range(0..end),
            None => rand::random_range(0..end),
        }
    }

    /// Random octets.
    pub(crate) fn octets<const N: usize>(&self) -> [u8; N] {
        match &self.0 {
            Some(seeded) => seeded.lock().random(),
            None => rand::random(),
        }
    }

    /// A nonce for a handshake.
    pub(crate) fn nonce(&self) -> [u8; NONCE_LEN] {
        self.octets()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_numbers_and_the_system_does_not() {
        let draw = |random: Random| (random.nonce(), random.fraction(), random.below(1 << 30));
        assert_eq!(draw(Random::seeded(7)), draw(Random::seeded(7)));
        assert_ne!(draw(Random::seeded(7)), draw(Random::seeded(8)));
        assert_ne!(draw(Random::default()), draw(Random::default()));
    }
}
