//! A loss that is not settled yet: which monitors are still to fire.

use compact_str::CompactString;
use foldhash::fast::RandomState;
use hashbrown::HashSet;

use super::on_ports::{Due, Monitor, OnPorts};
use super::terms::{Effect, Sender};
use crate::proto::Reason;

/// A loss that is not settled yet.
pub(super) struct Failing<A> {
    /// The number of the link that was lost, if it was one.
    pub(super) link: Option<u64>,
    /// Everybody has been told that this link had come up.
    pub(super) told_up: bool,
    /// The number of the life that has ended, and whether that has been told.
    pub(super) life: u64,
    pub(super) told_end: bool,
    pub(super) reason: Reason,
    pub(super) next: ToTell,
    pub(super) watched: HashSet<CompactString, RandomState>,
    /// The monitors that are still to fire, by port.
    pub(super) due: Due<A>,
    /// The port whose monitors fire now, of those that were due.
    pub(super) firing: Option<CompactString>,
    /// Monitors on ports whose others have fired already: they fire all together at last. From then
    /// on nothing is lost, so that a loss is settled however much is sent meanwhile.
    pub(super) again: OnPorts<A>,
}

/// Who is told next when a loss is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ToTell {
    Unreachable,
    Watched,
    Due,
    Down,
    Nobody,
}

impl<A> Failing<A> {
    /// What is still to fire.
    #[cfg(any(test, feature = "fuzz"))]
    pub(super) fn due(&self) -> impl Iterator<Item = &A> {
        self.due.iter().chain(self.again.iter())
    }

    /// Whether something that is sent to the port is lost, because its monitors are still to fire.
    /// What their actions send is for the next link.
    pub(super) fn is_losing(&self, name: &str, sender: Sender) -> bool {
        sender == Sender::Program && (self.is_due(name) || self.is_due(""))
    }

    fn is_due(&self, name: &str) -> bool {
        self.firing.as_deref() == Some(name) || self.due.contains(name) || self.again.contains(name)
    }

    /// Monitors on the port fire as well: they were set while messages to it are lost, or cover one
    /// that was. If the others on it have fired, or fire now, they do so at last.
    pub(super) fn add(&mut self, name: &str, monitors: impl IntoIterator<Item = Monitor<A>>) {
        match self.due.get_mut(name) {
            Some(others) => others.extend(monitors),
            None => monitors.into_iter().for_each(|monitor| {
                self.again.add(name, monitor);
            }),
        }
    }

    /// Takes out a monitor that has not fired yet. Messages to its port are lost all the same until
    /// it would have fired, as those before were.
    pub(super) fn remove(&mut self, name: &str, serial: u64) -> Option<A> {
        let of_due = self.due.take_one(name, serial);
        of_due.or_else(|| self.again.take_one(name, serial))
    }

    /// Everybody was told that the link of that number had come up.
    pub(super) fn told(&mut self, serial: u64) -> Vec<Effect> {
        match self.link == Some(serial) {
            true => self.heard(|failing| &mut failing.told_up),
            false => Vec::new(),
        }
    }

    /// Whoever is to know that the life of that number has ended does.
    pub(super) fn ended(&mut self, life: u64) -> Vec<Effect> {
        match self.life == life {
            true => self.heard(|failing| &mut failing.told_end),
            false => Vec::new(),
        }
    }

    /// Notes that one of the two was told that have to be before the loss is settled.
    fn heard(&mut self, which: impl FnOnce(&mut Self) -> &mut bool) -> Vec<Effect> {
        let first_time = !std::mem::replace(which(self), true);
        match first_time && self.told_up && self.told_end {
            true => vec![Effect::Settle],
            false => Vec::new(),
        }
    }
}
