//! What other nodes make this one hold, counted against each of them and against a total.
//!
//! A node that is flooded must neither grow without end nor give all its memory to one peer. So
//! each peer has an [`Account`], and each collection that grows with what peers do has a [`Level`]
//! in the account of its peer. A level rises only if the account holds no more, after that, than is
//! free in all: a single peer gets at most half of the memory, two that want as much as they can
//! get a third each, and whoever comes always finds room. What is to be done when a level can't
//! rise is for its owner to say.
//!
//! Levels move in [steps](STEP), so counting costs next to nothing, and links that are idle or wait
//! for little do not touch the total, which all share. What is below a step is not counted: how
//! many links and ports there are bounds that.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Levels move by so many octets.
pub(crate) const STEP: usize = 64 * 1024;

/// The memory that all peers share.
#[derive(Debug)]
pub(crate) struct Memory {
    /// In octets.
    most: usize,
    used: AtomicUsize,
}

/// A level that would rise too high.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

/// What one peer makes the node hold.
#[derive(Debug)]
pub(crate) struct Account {
    memory: Arc<Memory>,
    used: AtomicUsize,
}

impl Memory {
    /// So many octets for all peers together.
    pub(crate) fn new(most: usize) -> Arc<Self> {
        let used = AtomicUsize::new(0);
        Arc::new(Memory { most, used })
    }

    /// The account of a peer, which is empty.
    pub(crate) fn account(self: &Arc<Self>) -> Arc<Account> {
        Arc::new(Account {
            memory: self.clone(),
            used: AtomicUsize::new(0),
        })
    }

    /// The octets that are held in all.
    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// The octets that may be held in all.
    pub(crate) fn most(&self) -> usize {
        self.most
    }
}

impl Account {
    /// The octets that the peer makes the node hold.
    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// How many octets more the peer may make the node hold.
    pub(crate) fn room(&self) -> usize {
        let free = self.memory.most.saturating_sub(self.memory.used());
        free.saturating_sub(self.used()) / 2
    }

    /// A level of this account, which is zero.
    pub(crate) fn level(self: &Arc<Self>) -> Level {
        Level {
            account: self.clone(),
            octets: 0,
        }
    }

    fn add(&self, octets: usize) {
        self.used.fetch_add(octets, Ordering::Relaxed);
        self.memory.used.fetch_add(octets, Ordering::Relaxed);
    }

    fn take(&self, octets: usize) {
        self.used.fetch_sub(octets, Ordering::Relaxed);
        self.memory.used.fetch_sub(octets, Ordering::Relaxed);
    }
}

/// How much one collection holds of what a peer made it hold. Nothing, when it is dropped.
#[derive(Debug)]
pub(crate) struct Level {
    account: Arc<Account>,
    /// What is counted of it: whole steps.
    octets: usize,
}

impl Level {
    /// The collection holds so many octets now.
    ///
    /// # Errors
    ///
    /// [`Full`]: it must not hold so much, and the level is as it was.
    #[inline]
    pub(crate) fn set(&mut self, octets: usize) -> Result<(), Full> {
        let octets = octets - octets % STEP;
        if octets == self.octets {
            return Ok(());
        }
        self.change(octets)
    }

    #[cold]
    fn change(&mut self, octets: usize) -> Result<(), Full> {
        // Two that rise at the same time may both be refused, or pass the bound by a step.
        if octets > self.octets && octets - self.octets > self.account.room() {
            return Err(Full);
        }
        self.force(octets);
        Ok(())
    }

    /// The collection holds so many octets now, in any case: whoever grows it has asked for the
    /// [room](Account::room) before.
    #[inline]
    pub(crate) fn force(&mut self, octets: usize) {
        let octets = octets - octets % STEP;
        if octets != self.octets {
            self.moved(octets);
        }
    }

    #[cold]
    fn moved(&mut self, octets: usize) {
        match octets > self.octets {
            true => self.account.add(octets - self.octets),
            false => self.account.take(self.octets - octets),
        }
        self.octets = octets;
    }
}

impl Drop for Level {
    fn drop(&mut self) {
        self.account.take(self.octets);
    }
}

/// What a collection holds of the messages of several peers: each [step](STEP) that it has grown by
/// is in the account of the peer whose message was the last to add to it, until it has shrunk
/// again.
///
/// So a message costs no counting of its own, and who sends most of what waits is charged for most
/// of it.
#[derive(Debug, Default)]
pub(crate) struct Steps(Vec<Arc<Account>>);

impl Steps {
    /// The collection is about to grow from so many octets to so many by what a peer sent.
    ///
    /// # Errors
    ///
    /// [`Full`]: the peer has no room for that, and nothing is counted.
    #[inline]
    pub(crate) fn grow(
        &mut self,
        account: &Arc<Account>,
        from: usize,
        to: usize,
    ) -> Result<(), Full> {
        match to / STEP - from / STEP {
            0 => Ok(()),
            steps => self.add(account, steps),
        }
    }

    #[cold]
    fn add(&mut self, account: &Arc<Account>, steps: usize) -> Result<(), Full> {
        if steps * STEP > account.room() {
            return Err(Full);
        }
        account.add(steps * STEP);
        self.0.extend(std::iter::repeat_n(account, steps).cloned());
        Ok(())
    }

    /// The collection has so many octets now, and fewer than before.
    #[inline]
    pub(crate) fn shrink(&mut self, octets: usize) {
        if self.0.len() > octets / STEP {
            drop(self.part_from(octets));
        }
    }

    /// The steps that are no part of so many octets any more.
    pub(crate) fn part_from(&mut self, octets: usize) -> Steps {
        Steps(self.0.split_off(self.0.len().min(octets / STEP)))
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Takes the steps of another collection over.
    pub(crate) fn append(&mut self, mut other: Steps) {
        self.0.append(&mut other.0);
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        for account in self.0.drain(..) {
            account.take(STEP);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What a level can rise to at most, in steps.
    fn fill(level: &mut Level) -> usize {
        let mut steps = 0;
        while level.set((steps + 1) * STEP).is_ok() {
            steps += 1;
        }
        steps
    }

    #[test]
    fn shares() {
        let memory = Memory::new(120 * STEP);
        let (a, b) = (memory.account(), memory.account());
        let mut alone = a.level();
        assert_eq!(fill(&mut alone), 60);
        let mut second = b.level();
        assert_eq!(fill(&mut second), 30, "who comes later finds room");
        drop(alone);
        assert_eq!(a.used(), 0);
        assert_eq!(fill(&mut second), 60);
        drop(second);
        assert_eq!(memory.used(), 0);
    }

    #[test]
    fn a_hundred_thousand_peers_find_room() {
        let memory = Memory::new(512 << 20);
        let mut greedy = memory.account().level();
        fill(&mut greedy);
        let levels: Vec<Level> = (0..100_000)
            .map(|_| {
                let mut level = memory.account().level();
                level.set(STEP - 1).unwrap();
                level
            })
            .collect();
        assert_eq!(memory.used(), 256 << 20);
        drop((greedy, levels));
        assert_eq!(memory.used(), 0);
    }

    proptest! {
        /// The sums are right, the total is never above the bound, no account has more than is
        /// free, and nothing is left at the end.
        #[test]
        fn sums(steps in prop::collection::vec((0..4_usize, 0..3_usize, 0..40_usize), 0..100)) {
            let memory = Memory::new(50 * STEP);
            let accounts: Vec<Arc<Account>> = (0..4).map(|_| memory.account()).collect();
            let mut levels: Vec<[Level; 3]> =
                accounts.iter().map(|account| std::array::from_fn(|_| account.level())).collect();
            for (peer, level, to) in steps {
                let before = levels[peer][level].octets;
                let set = levels[peer][level].set(to * STEP + to);
                prop_assert!(set.is_ok() || to * STEP > before);
                if set.is_ok() && to * STEP > before {
                    prop_assert!(accounts[peer].used() <= memory.most() - memory.used());
                }
                let mut total = 0;
                for (account, levels) in accounts.iter().zip(&levels) {
                    let sum: usize = levels.iter().map(|level| level.octets).sum();
                    prop_assert_eq!(account.used(), sum);
                    total += sum;
                }
                prop_assert_eq!(memory.used(), total);
                prop_assert!(total <= memory.most());
            }
            drop(levels);
            prop_assert_eq!(memory.used(), 0);
        }
    }
}
