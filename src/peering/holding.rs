//! Which ports of the other node have no room: who waits for room there is to wait
//! (docs/backpressure.md).

use super::state::Peering;
use super::terms::Sent;
use crate::proto::Verb;

/// So many ports are waited for at the most. Whoever sends to others does not wait.
pub(crate) const MOST_HELD: usize = 4096;

/// What a name costs besides its octets.
const OVERHEAD: usize = 64;

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

#[cfg(test)]
mod tests {
    use std::collections::HashMap as Model;

    use proptest::prelude::*;

    use super::*;
    use crate::peering::state::{Phase, Up};
    use crate::peering::{LinkFacts, Pace, Room, Sender, Which};
    use crate::proto::{Framing, Generation, Reason};

    fn up() -> Peering<()> {
        let mut rules = Peering::new(1);
        let link = LinkFacts {
            serial: 7,
            send_framing: Framing::Json,
            generation: Generation::Gen1b,
            traces: false,
        };
        rules.phase = Phase::Up(Up { link, told: true });
        rules
    }

    fn send(rules: &mut Peering<()>, name: &str, room: Room) -> Sent {
        let mut encoded = format!(r#"["{name}"]"#).into_bytes();
        let (sender, pace) = (Sender::Program, Pace::Gather);
        rules.send(name, sender, Framing::Json.into(), &mut encoded, room, pace)
    }

    #[test]
    fn only_who_waits_for_room_in_that_port_waits() {
        let mut rules = up();
        assert_eq!(rules.hold("full", usize::MAX), Holding::Yes);
        let below = Room::Below(1 << 20);
        assert_eq!(send(&mut rules, "full", below), Sent::NoRoom);
        assert!(matches!(send(&mut rules, "other", below), Sent::Done(_)));
        assert!(matches!(send(&mut rules, "full", Room::Any), Sent::Done(_)));
        assert!(rules.go("full") && !rules.go("full") && !rules.holds_any());
        assert!(matches!(send(&mut rules, "full", below), Sent::Done(_)));
    }

    #[test]
    fn a_loss_ends_it_and_without_a_link_it_does_not_begin() {
        let mut rules = up();
        rules.hold("full", usize::MAX);
        rules.lose(Which::Present, Reason::normal(), 2);
        assert!(!rules.holds_any() && rules.held_octets() == 0);
        assert_eq!(rules.hold("full", usize::MAX), Holding::No);
        assert!(!rules.holds_any());
        assert_eq!(rules.tell_room(7, Verb::Hold, "full"), Sent::Lost);
    }

    #[test]
    fn names_are_bounded() {
        let mut rules = up();
        for n in 0..MOST_HELD {
            assert_eq!(rules.hold(&n.to_string(), usize::MAX), Holding::Yes);
        }
        assert_eq!(rules.hold("one more", usize::MAX), Holding::No);
        assert_eq!(rules.hold("0", 0), Holding::Yes, "it is there already");
        let mut rules = up();
        assert_eq!(rules.hold("name", OVERHEAD + 3), Holding::No);
        assert!(!rules.holds_any());
        assert_eq!(rules.hold("", usize::MAX), Holding::No);
    }

    proptest! {
        /// In whatever order they come, a port is held as long as it was said more often that it
        /// has no room than that it has.
        #[test]
        fn both_are_counted(said in prop::collection::vec((0..3_u8, any::<bool>()), 0..60)) {
            let mut rules = up();
            let mut model = Model::<String, u32>::new();
            for (port, hold) in said {
                let name = port.to_string();
                let times = model.entry(name.clone()).or_default();
                if hold {
                    rules.hold(&name, usize::MAX);
                    *times += 1;
                } else {
                    prop_assert_eq!(rules.go(&name), *times == 1);
                    *times = times.saturating_sub(1);
                }
                for (name, times) in &model {
                    prop_assert_eq!(rules.is_held(name), *times > 0);
                }
                let names = model.values().filter(|times| **times > 0).count();
                prop_assert_eq!(rules.held_octets(), names * (1 + OVERHEAD));
                prop_assert_eq!(rules.holds_any(), names > 0);
            }
        }
    }
}
