//! Whether a port is at work, and which handlers it has, in one atomic word.
//!
//! The word is changed under the port's lock, but for two steps that a link's reader makes without
//! it: it claims an idle port whose handlers it knows, and lets it go when nothing came meanwhile.
//! Each step is one exchange of the whole word for another, so it fails if anything else happened.

use std::sync::atomic::{AtomicU32, Ordering};

/// A thread or task is taking messages out of the queue, or holds the port for its init function.
const RUNNING: u32 = 1;
/// There may be something in the queue. Never missing if there is.
const QUEUED: u32 = 2;
/// The rest counts the changes of the handlers.
const CHANGE: u32 = 4;

/// See the [module](self).
pub(super) struct RunWord(AtomicU32);

/// How a port begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// It takes messages at once.
    Idle,
    /// It takes none until its init function has run.
    Held,
}

/// The handlers of a port at some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Epoch(u32);

impl RunWord {
    pub(super) fn new(start: Start) -> Self {
        RunWord(AtomicU32::new(match start {
            Start::Idle => 0,
            Start::Held => RUNNING,
        }))
    }

    /// Changes whenever the handlers do, and with the port's death.
    #[inline]
    pub(super) fn epoch(&self) -> Epoch {
        Epoch(self.0.load(Ordering::Acquire) & !(RUNNING | QUEUED))
    }

    /// The handlers change. Under the lock.
    pub(super) fn change(&self) {
        self.0.fetch_add(CHANGE, Ordering::AcqRel);
    }

    #[inline]
    pub(super) fn is_running(&self) -> bool {
        self.0.load(Ordering::Acquire) & RUNNING != 0
    }

    /// Something was put into the queue. True if the port was idle; it is running then. Under the
    /// lock.
    #[inline]
    pub(super) fn queued(&self) -> bool {
        const BOTH: u32 = RUNNING | QUEUED;
        // Both together are taken away only under the lock.
        self.0.load(Ordering::Acquire) & BOTH != BOTH
            && self.0.fetch_or(BOTH, Ordering::AcqRel) & RUNNING == 0
    }

    /// Something was put into the queue, which by itself runs nothing. Under the lock.
    pub(super) fn waits(&self) {
        self.0.fetch_or(QUEUED, Ordering::AcqRel);
    }

    /// The port begins to run. False if it runs already. Under the lock.
    pub(super) fn start(&self) -> bool {
        self.0.fetch_or(RUNNING, Ordering::AcqRel) & RUNNING == 0
    }

    /// The port does not run any more, and its queue is empty or is not taken by handlers. Under
    /// the lock.
    pub(super) fn stop(&self) {
        self.0.fetch_and(!(RUNNING | QUEUED), Ordering::AcqRel);
    }

    /// Starts an idle port whose queue is empty, if its handlers are still these.
    #[inline]
    pub(super) fn claim(&self, Epoch(idle): Epoch) -> bool {
        let (success, failure) = (Ordering::AcqRel, Ordering::Relaxed);
        let claimed = (self.0).compare_exchange(idle, idle | RUNNING, success, failure);
        claimed.is_ok()
    }

    /// Undoes [`claim`](Self::claim), if nothing has happened since. Otherwise the port still runs.
    #[inline]
    pub(super) fn unclaim(&self, Epoch(idle): Epoch) -> bool {
        let (success, failure) = (Ordering::AcqRel, Ordering::Relaxed);
        let ended = (self.0).compare_exchange(idle | RUNNING, idle, success, failure);
        ended.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_fail_after_any_change() {
        let run = RunWord::new(Start::Idle);
        let epoch = run.epoch();
        assert!(run.claim(epoch) && !run.claim(epoch) && run.is_running());
        assert!(run.unclaim(epoch) && !run.unclaim(epoch) && !run.is_running());

        assert!(run.claim(epoch));
        assert!(!run.queued(), "it runs already");
        assert!(!run.unclaim(epoch), "something waits");
        run.stop();
        assert!(run.queued() && !run.queued() && !run.claim(epoch));
        run.stop();

        assert!(run.claim(epoch));
        run.change();
        assert!(run.epoch() != epoch && !run.unclaim(epoch));
        run.stop();
        assert!(!run.claim(epoch) && run.claim(run.epoch()));
    }
}
