//! Where a schedule's decisions come from.

use std::collections::VecDeque;

use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _, TryRng};

/// Octets that decide, as long as there are some, and chance after that.
pub(super) struct Chance {
    octets: VecDeque<u8>,
    rng: SmallRng,
}

impl Default for Chance {
    fn default() -> Self {
        Chance::seeded(0)
    }
}

impl Chance {
    /// Chance alone, the same for the same seed.
    pub(super) fn seeded(seed: u64) -> Self {
        Chance {
            octets: VecDeque::new(),
            rng: SmallRng::seed_from_u64(seed),
        }
    }

    #[cfg(feature = "fuzz")]
    pub(super) fn given(octets: &[u8]) -> Self {
        Chance {
            octets: octets.iter().copied().collect(),
            ..Chance::default()
        }
    }

    /// The next octet as the highest ones of a number: what is drawn from a range depends on those.
    fn next(&mut self) -> Option<u64> {
        let octet = self.octets.pop_front()?;
        Some(u64::from_be_bytes([octet; 8]))
    }
}

impl TryRng for Chance {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        let given = self.next().map(|number| (number >> 32) as u32);
        Ok(given.unwrap_or_else(|| self.rng.next_u32()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(self.next().unwrap_or_else(|| self.rng.next_u64()))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Self::Error> {
        self.rng.fill_bytes(out);
        Ok(())
    }
}
