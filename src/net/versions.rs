//! Which versions listeners speak, as far as that is known before they greet.

use std::collections::HashMap;

use parking_lot::Mutex;

/// More are not kept.
const MOST: usize = 10_000;

/// What listeners speak: those that did not greet in time, as it turned out, and others, as it is
/// said. So the next attempt greets in the right version at once. If that has changed by then, the
/// attempt after it has it right again.
#[derive(Default)]
pub(crate) struct Versions(Mutex<HashMap<String, u32>>);

impl Versions {
    pub(crate) fn get(&self, address: &str) -> Option<u32> {
        self.0.lock().get(address).copied()
    }

    /// A listener turned out to speak this version.
    pub(crate) fn found(&self, address: &str, version: u32) {
        self.with_room().insert(address.to_owned(), version);
    }

    /// Listeners are said to speak this version: so it is, unless something is known already.
    pub(crate) fn expect(&self, addresses: &[String], version: u32) {
        let mut known = self.with_room();
        let room = MOST - known.len();
        for address in addresses.iter().take(room) {
            known.entry(address.clone()).or_insert(version);
        }
    }

    fn with_room(&self) -> parking_lot::MutexGuard<'_, HashMap<String, u32>> {
        let mut known = self.0.lock();
        if known.len() >= MOST {
            known.clear();
        }
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_counts_for_more_and_there_is_a_bound() {
        let versions = Versions::default();
        versions.found("a:1", 0);
        versions.expect(&["a:1".to_owned(), "b:1".to_owned()], 1);
        assert_eq!(
            (versions.get("a:1"), versions.get("b:1")),
            (Some(0), Some(1))
        );
        let many: Vec<String> = (0..3 * MOST).map(|n| format!("c:{n}")).collect();
        versions.expect(&many, 1);
        assert_eq!(versions.0.lock().len(), MOST);
        versions.found("d:1", 1);
        assert_eq!(versions.0.lock().len(), 1, "and then it begins anew");
    }
}
