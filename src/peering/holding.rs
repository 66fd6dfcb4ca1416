//! Which ports of the other node have no room: who waits for room there is to wait
//! (docs/backpressure.md).

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::state::Peering;
use super::terms::Sent;
use crate::proto::Verb;

/// So many ports are waited for at the most. Whoever sends to others does not wait.
pub(crate) const MOST_HELD: usize = 4096;

/// What a name costs besides its octets.
const OVERHEAD: usize = 64;

/// The ports that have no room, by name, each with how often it was said so and not taken back.
#[derive(Debug, Default)]
pub(super) struct Held {
    ports: HashMap<Box<str>, u32, RandomState>,
    octets: usize,
}

/// What becomes of a port's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holding {
    Yes,
    /// There is no link, or there are too many ports already.
    No,
}

impl<A> Peering<A> {
    /// The other node says that its port has no room. `octets` more may be held for such names.
    pub(crate) fn hold(&mut self, name: &str, octets: usize) -> Holding {
        // What was said on a link that is lost is over, and nobody takes it back.
        if name.is_empty() || self.link().is_none() {
            return Holding::No;
        }
        let held = self.held.get_or_insert_default();
        if let Some(times) = held.ports.get_mut(name) {
            *times = times.saturating_add(1);
            return Holding::Yes;
        }
        if held.ports.len() >= MOST_HELD || name.len() + OVERHEAD > octets {
            self.drop_held_if_none();
            return Holding::No;
        }
        held.ports.insert(name.into(), 1);
        held.octets += name.len() + OVERHEAD;
        Holding::Yes
    }

    /// It takes that back. True if the port has room now, and had none.
    ///
    /// The two may cross: a port that runs full again while it is being said that it has room says
    /// both in either order. So each is counted.
    pub(crate) fn go(&mut self, name: &str) -> bool {
        let Some(held) = &mut self.held else {
            return false;
        };
        let Some(times) = held.ports.get_mut(name) else {
            return false;
        };
        *times -= 1;
        if *times > 0 {
            return false;
        }
        held.ports.remove(name);
        held.octets -= name.len() + OVERHEAD;
        self.drop_held_if_none();
        true
    }

    fn drop_held_if_none(&mut self) {
        self.held.take_if(|held| held.ports.is_empty());
    }

    /// Whether the port has no room.
    #[inline]
    pub(crate) fn is_held(&self, name: &str) -> bool {
        match &self.held {
            None => false,
            Some(held) => held.ports.contains_key(name),
        }
    }

    /// Whether any port has none.
    #[inline]
    pub(crate) fn holds_any(&self) -> bool {
        self.held.is_some()
    }

    /// What the names take.
    pub(crate) fn held_octets(&self) -> usize {
        self.held.as_ref().map_or(0, |held| held.octets)
    }

    /// Tells the other node, on the link of this number, that a port of ours has no room
    /// ([`Verb::Hold`]), or has some again ([`Verb::Go`]).
    pub(crate) fn tell_room(&mut self, serial: u64, verb: Verb, name: &str) -> Sent {
        match self.is_link(serial) {
            true => Sent::Done(self.request(&(verb, name))),
            false => Sent::Lost,
        }
    }
}
