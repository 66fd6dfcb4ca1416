//! Ports that have no room, and programs that wait for it.

use std::fmt::Write as _;

use rand::RngExt as _;

use super::{Check, PORTS, World};
use crate::peering::{Pace, Room, Sender, Sent};
use crate::proto::Verb;
use crate::proto::message::encode_in;

/// Nothing that a schedule sends is as much as this.
const PLENTY: usize = 1 << 20;

impl World {
    /// A port runs full or has room again, or somebody sends who waits for room.
    pub(super) fn room(&mut self, key: (usize, usize), port: usize) -> Check {
        match self.rng.random_range(0..3) {
            0 => self.send_if_there_is_room(key, port),
            _ => {
                self.room_changes(key, port);
                Ok(())
            }
        }
    }

    /// A port of ours runs full, or has room again: the other node is told, if there is a link.
    fn room_changes(&mut self, key: (usize, usize), port: usize) {
        let peer = self.peer(key);
        let Some(link) = peer.rules.link().map(|link| link.serial) else {
            return;
        };
        let verb = match peer.told[port] {
            false => Verb::Hold,
            true => Verb::Go,
        };
        let sent = peer.rules.tell_room(link, verb, PORTS[port]);
        if matches!(sent, Sent::Done(_)) {
            peer.told[port] = !peer.told[port];
        }
        note!(
            self,
            "{key:?} says {} of {:?}: {sent:?}",
            verb.name(),
            PORTS[port]
        );
        self.follow_up(key, sent);
    }

    /// Somebody sends to a port who waits for room. He does not get on while the port there has
    /// none, and nothing is sent then; otherwise he does.
    fn send_if_there_is_room(&mut self, key: (usize, usize), port: usize) -> Check {
        let name = PORTS[port];
        let number = self.peers[&key].sent[port];
        let peer = self.peer(key);
        let held = peer.rules.is_held(name);
        let sent = loop {
            let (framing, sender) = (peer.rules.framing(), Sender::Program);
            let mut encoded = Vec::new();
            encode_in(&mut encoded, framing, name, &("n", number)).expect("it encodes");
            let (room, pace) = (Room::Below(PLENTY), Pace::Gather);
            let rules = &mut peer.rules;
            match rules.send(name, sender, framing.into(), &mut encoded, room, pace) {
                Sent::OtherForm => {}
                sent => break sent,
            }
        };
        let waits = sent == Sent::NoRoom;
        if !waits {
            peer.sent[port] += 1;
        }
        note!(
            self,
            "{key:?} sends {number} to {name:?} if there is room: {sent:?}"
        );
        if waits != held {
            return Err(format!(
                "{key:?} {} for room in {name:?}",
                if waits { "waits" } else { "does not wait" }
            ));
        }
        if !waits {
            self.follow_up(key, sent);
        }
        Ok(())
    }

    /// Once at rest: everybody waits for the ports that their nodes have said to have no room, on
    /// the present link, and for no others.
    pub(super) fn check_room(&self) -> Check {
        for ((at, of), peer) in &self.peers {
            let other = &self.peers[&(*of, *at)];
            for (port, name) in PORTS.iter().enumerate() {
                let (held, said) = (peer.rules.is_held(name), other.told[port]);
                if held != said {
                    return Err(format!(
                        "{of} has said {said} of {name:?}, and {at} holds {held}"
                    ));
                }
            }
        }
        Ok(())
    }
}
