//! The decisions of a supervisor, without a clock, a port or chance: what happened comes in with
//! its time, what is to be done is asked for with [`Core::poll`].
//!
//! ```text
//!              poll: Start              started
//!     Down ─────────────────▶ Starting ─────────▶ Running
//!      ▲                         │  │                │
//!      │                  ended  │  │   poll: Stop   │
//!      ├◀────────────────────────┘  └──▶ Stopping ◀──┤
//!      │            ended, or the time is up │       │ ended
//!      └◀────────────────────────────────────┴───────┘
//! ```
//!
//! A child that is `wanted` and down is started when it is due and what goes before it is there.
//! One that is `doomed` and up is stopped when what comes after it is down.

use std::time::Duration;

use super::intensity::Window;
use super::terms::{Key, Now};
use super::{Backoff, Intensity, Restart, Strategy};

/// How a child is to be treated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Policy {
    pub(crate) restart: Restart,
    pub(crate) backoff: Backoff,
    /// How long its end is waited for when it is stopped.
    pub(crate) stop_limit: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// To be started, if at all, from `due` on.
    Down {
        due: Now,
    },
    Starting,
    Running {
        since: Now,
    },
    /// It was told to end, which is waited for until `deadline`.
    Stopping {
        deadline: Option<Now>,
    },
}

/// Down, and free to be started.
const IDLE: State = State::Down {
    due: Duration::ZERO,
};

#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) key: Key,
    pub(crate) policy: Policy,
    pub(crate) state: State,
    /// It should be up.
    pub(crate) wanted: bool,
    /// It is to be stopped.
    pub(crate) doomed: bool,
    /// The program has asked for its restart: even a normal end is followed by a start.
    forced: bool,
    /// Once it is down, it is forgotten.
    pub(crate) forget: bool,
    /// Its first start has not been tried to the end.
    fresh: bool,
    /// Deaths in a row.
    streak: u32,
    /// How often it was started.
    pub(crate) starts: u64,
}

impl Slot {
    fn is_up(&self) -> bool {
        !matches!(self.state, State::Down { .. })
    }

    fn doom(&mut self) {
        self.doomed = self.is_up();
    }
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Start it, then say [`Core::started`] or [`Core::ended`].
    Start(Key),
    /// Stop it, or its start, then say [`Core::ended`].
    Stop(Key),
    /// It did not end in time and counts as ended.
    Abandon(Key),
    /// It is no child any more.
    Forget(Key),
    /// All children are down, for good.
    Finished,
}

/// What a child's end means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It was to end.
    Expected,
    /// It ended by itself, and that was that.
    Done,
    /// It will be started again.
    Restart { after: Duration },
    /// Too many restarts: everything is stopped. `alone`: they all were this child's.
    GiveUp { alone: bool },
}

#[derive(Debug, PartialEq)]
enum Phase {
    Working,
    Stopping,
    Finished,
}

#[derive(Debug)]
pub(crate) struct Core {
    strategy: Strategy,
    window: Window,
    slots: Vec<Slot>,
    phase: Phase,
    next_key: Key,
    /// Nothing is started before: all wait for the one that died.
    hold: Now,
}

impl Core {
    pub(crate) fn new(strategy: Strategy, intensity: Intensity) -> Self {
        Core {
            strategy,
            window: Window::new(intensity),
            slots: Vec::new(),
            phase: Phase::Working,
            next_key: 0,
            hold: Duration::ZERO,
        }
    }

    /// Adds a child behind the others.
    pub(crate) fn add(&mut self, policy: Policy) -> Key {
        let key = self.next_key;
        self.next_key += 1;
        let working = self.phase == Phase::Working;
        self.slots.push(Slot {
            key,
            policy,
            state: IDLE,
            wanted: working,
            doomed: false,
            forced: false,
            forget: false,
            fresh: true,
            streak: 0,
            starts: 0,
        });
        key
    }

    pub(crate) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    pub(crate) fn slot(&self, key: Key) -> Option<&Slot> {
        self.slots.get(self.index(key)?)
    }

    pub(crate) fn is_working(&self) -> bool {
        self.phase == Phase::Working
    }

    /// Keys are given out in their order.
    fn index(&self, key: Key) -> Option<usize> {
        self.slots.binary_search_by_key(&key, |slot| slot.key).ok()
    }

    fn slot_mut(&mut self, key: Key) -> Option<&mut Slot> {
        let at = self.index(key)?;
        self.slots.get_mut(at)
    }

    /// A start succeeded.
    pub(crate) fn started(&mut self, key: Key, now: Now) {
        if let Some(slot) = self.slot_mut(key)
            && slot.state == State::Starting
        {
            slot.state = State::Running { since: now };
            slot.fresh = false;
        }
    }

    /// A start takes long for reasons outside of this process: children that do not depend on this
    /// one need not wait for it.
    pub(crate) fn parked(&mut self, key: Key) {
        if let Some(slot) = self.slot_mut(key) {
            slot.fresh = false;
        }
    }

    /// A child ended, or its start failed (which is never `normal`). `roll`, from 0 to 1, is
    /// chance.
    pub(crate) fn ended(&mut self, key: Key, normal: bool, now: Now, roll: f64) -> Verdict {
        let Some(at) = self.index(key) else {
            return Verdict::Expected;
        };
        let slot = &mut self.slots[at];
        if !slot.is_up() {
            return Verdict::Expected;
        }
        let before = std::mem::replace(&mut slot.state, IDLE);
        slot.fresh = false;
        let forced = std::mem::take(&mut slot.forced);
        let doomed = std::mem::take(&mut slot.doomed);
        if let State::Running { since } = before
            && slot.policy.backoff.forgets(now.saturating_sub(since))
        {
            slot.streak = 0;
        }
        if doomed || matches!(before, State::Stopping { .. }) {
            // It may have come to its normal end just before it was stopped.
            let done = normal && slot.policy.restart == Restart::Transient;
            slot.wanted &= forced || !done;
            return Verdict::Expected;
        }
        if !slot.policy.restart.wants(normal) {
            slot.wanted = false;
            slot.forget |= slot.policy.restart == Restart::Temporary;
            return Verdict::Done;
        }
        if let Err(alone) = self.window.record(now, key) {
            self.shut_down();
            return Verdict::GiveUp { alone };
        }
        let after = slot.policy.backoff.delay(slot.streak, roll);
        slot.streak = slot.streak.saturating_add(1);
        let due = now.saturating_add(after);
        slot.state = State::Down { due };
        let others = match self.strategy {
            Strategy::OneForOne => self.slots.len()..,
            Strategy::RestForOne => at + 1..,
            Strategy::OneForAll => {
                self.hold = self.hold.max(due);
                0..
            }
        };
        for slot in &mut self.slots[others] {
            slot.doom();
            if slot.doomed && slot.policy.restart == Restart::Temporary && !slot.forced {
                slot.wanted = false;
                slot.forget = true;
            }
        }
        Verdict::Restart { after }
    }

    /// Stops a child; it stays in the list.
    pub(crate) fn terminate(&mut self, key: Key) {
        if let Some(slot) = self.slot_mut(key) {
            slot.wanted = false;
            slot.forced = false;
            slot.doom();
        }
    }

    /// Stops a child, if it is up, and starts it.
    pub(crate) fn restart(&mut self, key: Key) {
        if self.phase != Phase::Working {
            return;
        }
        if let Some(slot) = self.slot_mut(key)
            && !slot.forget
        {
            slot.wanted = true;
            slot.streak = 0;
            slot.doom();
            slot.forced = slot.doomed;
            if !slot.doomed {
                slot.state = IDLE;
            }
        }
    }

    /// Stops a child and forgets it.
    pub(crate) fn remove(&mut self, key: Key) {
        self.terminate(key);
        if let Some(slot) = self.slot_mut(key) {
            slot.forget = true;
        }
    }

    /// Stops all children for good.
    pub(crate) fn shut_down(&mut self) {
        if self.phase == Phase::Working {
            self.phase = Phase::Stopping;
        }
        for slot in &mut self.slots {
            slot.wanted = false;
            slot.forced = false;
            slot.doom();
        }
    }

    /// All children have ended with the node.
    pub(crate) fn close(&mut self) {
        self.phase = Phase::Finished;
        for slot in &mut self.slots {
            slot.wanted = false;
            slot.state = IDLE;
        }
    }

    /// What is to be done next; `None`: nothing before [`next_timer`](Self::next_timer).
    pub(crate) fn poll(&mut self, now: Now) -> Option<Action> {
        if self.phase == Phase::Finished {
            return None;
        }
        for slot in &mut self.slots {
            if matches!(slot.state, State::Stopping { deadline: Some(at) } if at <= now) {
                slot.state = IDLE;
                (slot.doomed, slot.forced) = (false, false);
                return Some(Action::Abandon(slot.key));
            }
        }
        let stopping = |slot: &Slot| matches!(slot.state, State::Stopping { .. });
        if !self.slots.iter().any(stopping)
            && let Some(slot) = self.slots.iter_mut().rfind(|slot| slot.doomed)
        {
            let deadline = slot
                .policy
                .stop_limit
                .map(|limit| now.saturating_add(limit));
            slot.state = State::Stopping { deadline };
            return Some(Action::Stop(slot.key));
        }
        let over = |slot: &Slot| slot.forget && !slot.is_up();
        if let Some(at) = self.slots.iter().position(over) {
            return Some(Action::Forget(self.slots.remove(at).key));
        }
        if self.phase == Phase::Stopping {
            if self.slots.iter().any(Slot::is_up) {
                return None;
            }
            self.phase = Phase::Finished;
            return Some(Action::Finished);
        }
        let at = self.startable(now)?;
        let slot = &mut self.slots[at];
        slot.state = State::Starting;
        slot.starts += 1;
        Some(Action::Start(slot.key))
    }

    /// The first child that is to be started now.
    fn startable(&self, now: Now) -> Option<usize> {
        let ordered = self.strategy.is_ordered();
        let leaving = |slot: &Slot| slot.doomed || matches!(slot.state, State::Stopping { .. });
        if now < self.hold || (ordered && self.slots.iter().any(leaving)) {
            return None;
        }
        let mut fresh_wait = false;
        for (at, slot) in self
            .slots
            .iter()
            .enumerate()
            .filter(|(_, slot)| slot.wanted)
        {
            match slot.state {
                State::Running { .. } => {}
                State::Down { due } if due <= now && !(fresh_wait && slot.fresh) => {
                    return Some(at);
                }
                // The order holds among those that depend on each other, and at the beginning.
                _ if ordered => return None,
                _ => fresh_wait |= slot.fresh,
            }
        }
        None
    }

    /// When [`poll`](Self::poll) is to be called again, if nothing happens before.
    pub(crate) fn next_timer(&self, now: Now) -> Option<Now> {
        let time = |slot: &Slot| match slot.state {
            State::Stopping { deadline } => deadline,
            State::Down { due } if slot.wanted => Some(due.max(self.hold)),
            _ => None,
        };
        let times = self.slots.iter().filter_map(time);
        times.filter(|at| *at > now).min()
    }
}

#[cfg(test)]
mod tests;
