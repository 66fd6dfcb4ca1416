//! Who monitors what: ports there from here, and ports here from there.

use super::state::{Peering, Phase};
use super::terms::{Sender, Sent, Wake, WithPort};
use crate::proto::{Generation, PortId, Reason, Verb};

/// What became of a monitor that was to be set. In the other cases the action comes back.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Monitored<A> {
    /// It is set. What the caller is to do so that the other node hears of it:
    Set(Wake),
    /// The peer was taken out of the table: look it up again.
    Retired(A),
}

/// The reason that a monitor of a missing port gets (PROTOCOL.md, "Reasons").
pub(crate) fn missing_port(port: Option<String>) -> Reason {
    let words = ["no_such_port", "cannot monitor nonexistent port"].map(str::to_owned);
    Reason::new(words.into_iter().chain(port))
}

impl<A> Peering<A> {
    /// Whether somebody here monitors the port there.
    pub(crate) fn monitors_port(&self, name: &str) -> bool {
        self.monitors.contains(name)
    }

    /// Sets a monitor on the port `name` there, or with an empty name on the node. `serial` is its
    /// number, by which it is [ended](Self::unmonitor).
    pub(crate) fn monitor(
        &mut self,
        name: &str,
        sender: Sender,
        serial: u64,
        action: A,
    ) -> Monitored<A> {
        if self.retired {
            return Monitored::Retired(action);
        }
        if let Phase::Failing(failing) = &mut self.phase
            && failing.is_losing(name, sender)
        {
            failing.add(name, [(serial, action)]);
            return Monitored::Set(Wake::Nobody);
        }
        let is_first = self.monitors.add(name, (serial, action));
        // The node port is monitored without a word: it dies with the link.
        Monitored::Set(match is_first && !name.is_empty() {
            true => self.request(&(Verb::Mon1, name)),
            false => self.wake_without_link(),
        })
    }

    /// Ends the monitor of this number. Gives back what it held, to be dropped outside of any lock.
    pub(crate) fn unmonitor(&mut self, name: &str, serial: u64) -> (Option<A>, Wake) {
        if let Phase::Failing(failing) = &mut self.phase
            && let Some(action) = failing.remove(name, serial)
        {
            return (Some(action), Wake::Nobody);
        }
        let Some((action, is_last)) = self.monitors.remove_one(name, serial) else {
            return (None, Wake::Nobody);
        };
        let wake = match is_last && !name.is_empty() && !matches!(self.phase, Phase::Idle) {
            true => self.request(&(Verb::Mon0, name)),
            false => Wake::Nobody,
        };
        (Some(action), wake)
    }

    /// A port there died, as the node says. Its monitors are due, in the order of its messages.
    pub(crate) fn died(&mut self, name: &str) -> impl Iterator<Item = A> + use<A> {
        let due = self.monitors.remove(name).into_iter().flatten();
        due.map(|(_, action)| action)
    }

    /// The other node monitors a port here.
    pub(crate) fn watch(&mut self, name: &str) {
        self.watched.insert(name.into());
    }

    /// The other node monitors the port no more.
    pub(crate) fn unwatch(&mut self, name: &str) {
        self.watched.remove(name);
    }

    /// Tells the node that a port here died, if it still monitors it.
    pub(crate) fn tell_death(&mut self, name: &str, reason: &Reason) -> Sent {
        if self.retired {
            return Sent::Retired;
        }
        // Without a link nobody there knows the monitor any more.
        match self.link().map(|link| link.generation.death_verb()) {
            Some(verb) if self.watched.remove(name) => {
                Sent::Done(self.request(&WithPort(verb, name, reason)))
            }
            _ => Sent::Done(Wake::Nobody),
        }
    }

    /// Answers a monitor of a port that does not exist.
    pub(crate) fn tell_missing(&mut self, port: &PortId) -> Sent {
        self.watch(port.name());
        let generation = self.link().map(|link| link.generation);
        let named = generation.is_some_and(Generation::names_missing_port);
        let reason = missing_port(named.then(|| port.to_string()));
        self.tell_death(port.name(), &reason)
    }
}
