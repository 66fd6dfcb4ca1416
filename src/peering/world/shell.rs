//! The shell of a peer, which carries out what its rules have decided.

use std::collections::VecDeque;
use std::fmt::Write as _;

use rand::RngExt as _;

use super::program::{Does, MonitorId};
use super::{Check, PORTS, World};
use crate::peering::{Afterwards, Effect, Peering, Sender, Step, Which};
use crate::proto::Reason;

/// What is still to be told.
#[derive(Debug, Clone, Copy)]
pub(super) enum News {
    /// The link of that number is there.
    Up(u64),
    /// The life of that number has ended.
    Ended(u64),
}

/// What one node knows of another.
pub(super) struct Peer {
    pub(super) rules: Peering<MonitorId>,
    pub(super) link: Option<(usize, usize)>,
    pub(super) attempt: Option<u64>,
    /// What everybody is still to be told of, each by somebody else.
    pub(super) to_tell: VecDeque<News>,
    /// A loss is to be settled, and its actions that have not run yet.
    pub(super) settling: bool,
    pub(super) firing: VecDeque<MonitorId>,
    /// What somebody took to write, in the writer's place.
    pub(super) flushing: Option<Vec<u8>>,
    /// Which ports here the other node was told on the present link to have no room.
    pub(super) told: [bool; PORTS.len()],
    /// How much was sent to each port, and the last number that arrived there from here.
    pub(super) sent: [u64; PORTS.len()],
    pub(super) arrived: [Option<u64>; PORTS.len()],
}

impl World {
    pub(super) fn lose(&mut self, key: (usize, usize), which: Which, text: &str) {
        let life = self.serial();
        let reason = Reason::transport_error("peer", text);
        let effects = self.peer(key).rules.lose(which, reason, life);
        if !effects.is_empty() {
            note!(self, "{key:?} loses {which:?}: {text}");
        }
        self.carry_out(key, effects);
    }

    pub(super) fn carry_out(&mut self, key: (usize, usize), effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Attempt(serial) => self.peer(key).attempt = Some(serial),
                Effect::EndAttempt => self.peer(key).attempt = None,
                Effect::Close => {
                    self.peer(key).told = Default::default();
                    self.peer(key).flushing = None; // whoever is at it sees that the link is gone
                    if let Some((n, side)) = self.peer(key).link.take() {
                        self.close(n, side);
                    }
                }
                Effect::TellUp => {
                    let link = self.peer(key).rules.link().map(|link| link.serial);
                    self.peer(key).to_tell.extend(link.map(News::Up));
                }
                Effect::Settle => self.peer(key).settling = true,
                Effect::Forget => {
                    let serial = self.serial();
                    let peer = self.peer(key);
                    if peer.rules.retire() {
                        peer.rules = Peering::new(serial);
                    }
                }
                Effect::Ended(life) => self.peer(key).to_tell.push_back(News::Ended(life)),
                Effect::Changed => {}
            }
        }
    }

    /// A step of a peer's own tasks: telling, settling, writing.
    pub(super) fn work(&mut self, key: (usize, usize)) -> Check {
        if let Some(news) = self.peer(key).to_tell.pop_front() {
            let effects = match news {
                News::Up(serial) => self.peer(key).rules.told(serial).1,
                News::Ended(life) => self.peer(key).rules.ended(life),
            };
            note!(self, "{key:?} has told {news:?}");
            self.carry_out(key, effects);
            return Ok(());
        }
        if self.peer(key).settling {
            return self.settle(key);
        }
        self.write(key);
        Ok(())
    }

    pub(super) fn settle(&mut self, key: (usize, usize)) -> Check {
        if let Some(id) = self.peer(key).firing.pop_front() {
            return self.fire(key, id, Sender::Action);
        }
        let serial = self.serial();
        match self.peer(key).rules.settle(Afterwards::GoOn, serial) {
            Step::Fire(actions, _) => {
                let sent = self.peers[&key].sent;
                for id in actions {
                    self.monitors[id].ends(sent);
                    self.peer(key).firing.push_back(id);
                }
            }
            Step::Settled(effects) => {
                note!(self, "{key:?} has settled its loss");
                self.peer(key).settling = false;
                self.carry_out(key, effects);
            }
            Step::TellUnreachable | Step::Unwatch(_) | Step::TellDown(_) => {}
        }
        Ok(())
    }

    pub(super) fn fire(&mut self, key: (usize, usize), id: MonitorId, sender: Sender) -> Check {
        note!(self, "{key:?} fires monitor {id}");
        let sent = self.peers[&key].sent;
        let tick = self.tick;
        let monitor = &mut self.monitors[id];
        if monitor.fired.replace(tick).is_some() {
            return Err(format!("monitor {id} fired twice"));
        }
        if monitor.ended {
            return Err(format!("monitor {id} fired after its end"));
        }
        monitor.ends(sent);
        let does = monitor.does;
        if !self.quiet {
            match does {
                Does::Nothing => {}
                Does::Send(port) => self.send(key, port, sender),
                Does::Monitor(port) => self.monitor(key, port, Does::Nothing, sender),
            }
        }
        Ok(())
    }

    /// The writer, or somebody in its place, gets on.
    pub(super) fn write(&mut self, key: (usize, usize)) {
        let choice = self.rng.random_range(0..3);
        let part = self.rng.random_range(0..40);
        let peer = self.peers.get_mut(&key).expect("it is there");
        let Some((n, side)) = peer.link else {
            return;
        };
        let connection = &mut self.connections[n];
        let mut lost = VecDeque::new();
        let pipe = match connection.closed[1 - side] {
            true => &mut lost, // nobody reads it any more
            false => &mut connection.pipes[side],
        };
        if let Some(taken) = peer.flushing.take() {
            let written = match self.quiet {
                true => taken.len(),
                false => part.min(taken.len()),
            };
            pipe.extend(&taken[..written]);
            peer.rules.outbox().end_flush(taken, written);
        } else if choice == 0 {
            peer.flushing = peer.rules.outbox().begin_flush().ok();
        } else {
            let mut octets = Vec::new();
            peer.rules.outbox().take(&mut octets);
            pipe.extend(octets);
        }
    }
}
