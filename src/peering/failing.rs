//! A loss that is not settled yet: which monitors are still to fire.

use std::collections::BTreeMap;

use foldhash::fast::RandomState;
use hashbrown::HashSet;

use super::terms::{Effect, Sender};
use crate::proto::Reason;

/// A monitor on a port there, by its number: what it does when it fires.
pub(super) type Monitor<A> = (u64, A);

/// A loss that is not settled yet.
pub(super) struct Failing<A> {
    /// The number of the link that was lost, if it was one.
    pub(super) link: Option<u64>,
    /// Everybody has been told that this link had come up.
    pub(super) told_up: bool,
    pub(super) reason: Reason,
    pub(super) next: ToTell,
    pub(super) watched: HashSet<Box<str>, RandomState>,
    /// The monitors that are still to fire, by port.
    pub(super) due: BTreeMap<Box<str>, Vec<Monitor<A>>>,
    /// The port whose monitors fire now.
    pub(super) firing: Option<Box<str>>,
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
    #[cfg(test)]
    pub(super) fn due(&self) -> impl Iterator<Item = &A> {
        let lists = self.due.values();
        lists.flat_map(|list| list.iter().map(|(_, action)| action))
    }

    /// Whether something that is sent to the port is lost, because its monitors are still to fire.
    /// What their actions send is for the next link.
    pub(super) fn is_losing(&self, name: &str, sender: Sender) -> bool {
        sender == Sender::Program && (self.is_due(name) || self.is_due(""))
    }

    fn is_due(&self, name: &str) -> bool {
        self.firing.as_deref() == Some(name) || self.due.contains_key(name)
    }

    /// Monitors on the port fire as well: they were set while messages to it are lost.
    pub(super) fn add(&mut self, name: &str, monitors: impl IntoIterator<Item = Monitor<A>>) {
        self.due.entry(name.into()).or_default().extend(monitors);
    }

    /// Takes out a monitor that has not fired yet. Messages to its port are lost all the same until
    /// it would have fired, as those before were.
    pub(super) fn remove(&mut self, name: &str, serial: u64) -> Option<A> {
        let list = self.due.get_mut(name)?;
        let at = list.iter().position(|(n, _)| *n == serial)?;
        Some(list.swap_remove(at).1)
    }

    /// Everybody was told that the link of that number had come up.
    pub(super) fn told(&mut self, serial: u64) -> Vec<Effect> {
        if self.link == Some(serial) && !std::mem::replace(&mut self.told_up, true) {
            return vec![Effect::Settle];
        }
        Vec::new()
    }
}
