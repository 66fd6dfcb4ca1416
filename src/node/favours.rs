//! What this node keeps because other nodes asked it to by the name of a function: monitors, group
//! memberships, keys of the database.
//!
//! It is this node's own, and stays when who asked for it goes. So that nobody has it keep without
//! end, it is counted in the account of who asked: see [`held`](super::held).

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::held::{Account, Full, Steps};

/// What anything that is kept takes up besides its own octets.
const EACH: usize = 512;

/// All that is kept.
#[derive(Default)]
pub(crate) struct Favours {
    sum: Arc<Mutex<Sum>>,
    /// Of keys, by family and key.
    keys: Mutex<HashMap<(String, String), Option<Favour>>>,
}

#[derive(Default)]
struct Sum {
    octets: usize,
    steps: Steps,
}

/// Something is kept as long as this is.
pub(crate) struct Favour {
    sum: Arc<Mutex<Sum>>,
    octets: usize,
}

impl Favours {
    /// Something of so many octets is to be kept.
    ///
    /// # Errors
    ///
    /// [`Full`]: who asks for it may not have us keep so much.
    pub(crate) fn keep(&self, account: &Arc<Account>, octets: usize) -> Result<Favour, Full> {
        let octets = octets.saturating_add(EACH);
        let mut sum = self.sum.lock();
        let (from, to) = (sum.octets, sum.octets.saturating_add(octets));
        sum.steps.grow(account, from, to)?;
        sum.octets = to;
        Ok(Favour {
            sum: self.sum.clone(),
            octets,
        })
    }

    /// A key is set for somebody, in place of what was there.
    pub(crate) fn keep_key(&self, family: String, key: String, kept: Option<Favour>) {
        self.keys.lock().insert((family, key), kept);
    }

    /// It is deleted.
    pub(crate) fn forget_key(&self, family: &str, key: &str) {
        let id = (family.to_owned(), key.to_owned());
        self.keys.lock().remove(&id);
    }
}

impl Drop for Favour {
    fn drop(&mut self) {
        let mut sum = self.sum.lock();
        sum.octets -= self.octets;
        let octets = sum.octets;
        sum.steps.shrink(octets);
    }
}

#[cfg(test)]
mod tests {
    use super::super::held::{Memory, STEP};
    use super::*;

    #[test]
    fn what_is_kept_is_counted_for_who_asked_until_it_is_gone() {
        let memory = Memory::new(10 * STEP);
        let (a, b) = (memory.account(), memory.account());
        let favours = Favours::default();
        let mut kept: Vec<Favour> = Vec::new();
        while let Ok(favour) = favours.keep(&a, STEP) {
            kept.push(favour);
        }
        assert_eq!((a.used(), kept.len()), (5 * STEP, 5));
        favours.keep_key(
            "f".into(),
            "k".into(),
            Some(favours.keep(&b, STEP).unwrap()),
        );
        assert_eq!(b.used(), STEP);
        favours.forget_key("f", "k");
        kept.clear();
        assert_eq!(memory.used(), 0);
    }
}
