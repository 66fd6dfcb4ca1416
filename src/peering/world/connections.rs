//! Connections between nodes, from the dialling to the end.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::time::Instant;

use bytes::BytesMut;
use rand::RngExt as _;

use super::{Check, World};
use crate::peering::{Candidate, LinkFacts, Sender, Verdict, Which};
use crate::proto::handshake::Role;
use crate::proto::message::Incoming;
use crate::proto::{Limits, Verb};

/// How far one side of a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Greeting,
    Token,
    Candidate(Instant),
    Link,
    Closed,
}

pub(super) struct Connection {
    /// The connector, and the listener.
    pub(super) nodes: [usize; 2],
    pub(super) serials: [u64; 2],
    pub(super) stage: [Stage; 2],
    /// What each side has written and the other has not read.
    pub(super) pipes: [VecDeque<u8>; 2],
    /// What each side has read and not taken.
    pub(super) read: [Vec<u8>; 2],
    pub(super) incoming: [Incoming; 2],
    pub(super) block: [BytesMut; 2],
    /// The side has closed it, or it was cut.
    pub(super) closed: [bool; 2],
    /// When it became the link of that side.
    pub(super) up: [u64; 2],
}

impl World {
    pub(super) fn dial(&mut self, key: (usize, usize)) {
        let (at, of) = key;
        if self.peer(key).attempt.is_none() {
            return;
        }
        let serials = [self.serial(), self.serial()];
        note!(self, "{key:?} opens connection {}", self.connections.len());
        let incoming = || Incoming::new(self.plan.framing, Limits::default());
        let incoming = [incoming(), incoming()];
        self.connections.push(Connection {
            nodes: [at, of],
            serials,
            stage: [Stage::Greeting; 2],
            pipes: Default::default(),
            read: Default::default(),
            incoming,
            block: Default::default(),
            closed: [false; 2],
            up: [0; 2],
        });
    }

    /// A side closes its end.
    pub(super) fn close(&mut self, n: usize, side: usize) {
        let connection = &mut self.connections[n];
        note!(
            self,
            "connection {n} is closed by {}",
            connection.nodes[side]
        );
        connection.stage[side] = Stage::Closed;
        connection.closed[side] = true;
        let key = (connection.nodes[side], connection.nodes[1 - side]);
        let serial = connection.serials[side];
        self.peer(key).rules.proved(serial);
    }

    /// A connection is lost, with a part of what is on its way.
    pub(super) fn cut(&mut self) {
        if self.connections.is_empty() {
            return;
        }
        self.disturbed = true;
        let n = self.rng.random_range(0..self.connections.len());
        let kept = self.rng.random_range(0..60);
        note!(self, "connection {n} is cut");
        let connection = &mut self.connections[n];
        connection.closed = [true; 2];
        for pipe in &mut connection.pipes {
            pipe.truncate(kept);
        }
    }

    /// A side of a connection does what it can do next.
    pub(super) fn advance(&mut self, n: usize, side: usize) -> Check {
        let connection = &mut self.connections[n];
        let (at, of) = (connection.nodes[side], connection.nodes[1 - side]);
        let key = (at, of);
        match connection.stage[side] {
            Stage::Closed => Ok(()),
            Stage::Greeting if connection.closed[1 - side] => {
                self.close(n, side);
                Ok(())
            }
            Stage::Greeting => {
                self.greeted(n, side, key);
                Ok(())
            }
            Stage::Token => {
                self.receive(n, side);
                let connection = &mut self.connections[n];
                if !connection.read[side].is_empty() {
                    connection.read[side].remove(0);
                    connection.stage[side] = Stage::Candidate(self.now);
                } else if connection.closed[1 - side] && connection.pipes[1 - side].is_empty() {
                    self.close(n, side);
                }
                Ok(())
            }
            Stage::Candidate(since) => {
                self.elect(n, side, key, since);
                Ok(())
            }
            Stage::Link => self.read(n, side, key),
        }
    }

    /// Both sides have greeted: a side that is connected already refuses, and the connector proves
    /// itself.
    pub(super) fn greeted(&mut self, n: usize, side: usize, key: (usize, usize)) {
        let now = self.now;
        let serial = self.connections[n].serials[side];
        let up = self.peer(key).rules.link().is_some();
        if up || (side == 0 && !self.peer(key).rules.may_prove(serial, now)) {
            return self.close(n, side);
        }
        let connection = &mut self.connections[n];
        connection.stage[side] = Stage::Token;
        if side == 0 {
            connection.pipes[0].push_back(b'T');
        }
    }

    pub(super) fn elect(&mut self, n: usize, side: usize, key: (usize, usize), since: Instant) {
        let (own, peer) = (self.ids[key.0].clone(), self.ids[key.1].clone());
        let connection = &self.connections[n];
        let candidate = Candidate {
            role: [Role::Connector, Role::Listener][side],
            link: LinkFacts {
                serial: connection.serials[side],
                send_framing: self.plan.framing,
                generation: self.plan.generation,
                traces: false,
            },
            token: [&b""[..], b"T"][side],
            own: &own,
            peer: &peer,
            since,
        };
        let (now, life) = (self.now, self.serial());
        let rules = &mut self.peer(key).rules;
        let (verdict, effects) = rules.establish(&candidate, now, life);
        note!(self, "{key:?} decides on connection {n}: {verdict:?}");
        match verdict {
            Verdict::Accept => {
                self.peer(key).rules.proved(candidate.link.serial);
                self.peer(key).link = Some((n, side));
                let connection = &mut self.connections[n];
                connection.stage[side] = Stage::Link;
                connection.up[side] = self.tick;
                let rest = std::mem::take(&mut connection.read[side]);
                connection.block[side].extend_from_slice(&rest);
                self.carry_out(key, effects);
            }
            Verdict::Refuse => {
                self.carry_out(key, effects);
                self.close(n, side);
            }
            Verdict::Wait | Verdict::Retired => {}
        }
    }

    /// Octets arrive.
    pub(super) fn receive(&mut self, n: usize, side: usize) {
        let most = self.rng.random_range(1..80);
        let connection = &mut self.connections[n];
        let pipe = &mut connection.pipes[1 - side];
        let arrived = most.min(pipe.len());
        connection.read[side].extend(pipe.drain(..arrived));
    }

    /// The reader of a link gets on.
    pub(super) fn read(&mut self, n: usize, side: usize, key: (usize, usize)) -> Check {
        self.receive(n, side);
        let connection = &mut self.connections[n];
        let read = std::mem::take(&mut connection.read[side]);
        connection.block[side].extend_from_slice(&read);
        loop {
            let connection = &mut self.connections[n];
            if connection.stage[side] != Stage::Link {
                return Ok(());
            }
            let (incoming, block) = (&mut connection.incoming[side], &mut connection.block[side]);
            let Some(arrived) = incoming.next(block).map_err(|error| error.to_string())? else {
                break;
            };
            let Some(name) = arrived.name else { continue };
            let values = arrived.message.values();
            let text = |n: usize| values.get(n).and_then(serde_json::Value::as_str);
            let number = |n: usize| values.get(n).and_then(serde_json::Value::as_u64);
            if !name.is_empty() {
                let number = number(1).ok_or("a message without a number")?;
                self.arrives(n, side, key, &name, number)?;
                continue;
            }
            let (verb, port) = (text(0).unwrap_or_default(), text(1).unwrap_or_default());
            let generation = self.plan.generation;
            if verb == Verb::Mon1.name() {
                self.peer(key).rules.watch(port);
            } else if verb == Verb::Mon0.name() {
                self.peer(key).rules.unwatch(port);
            } else if verb == Verb::Hold.name() {
                self.peer(key).rules.hold(port, usize::MAX);
            } else if verb == Verb::Go.name() {
                self.peer(key).rules.go(port);
            } else if verb == generation.death_verb().name() {
                for id in self.peer(key).rules.died(port) {
                    self.fire(key, id, Sender::Program)?;
                }
            } else if verb == generation.kill_verb().name() {
                let number = number(2).ok_or("an order to kill without a number")?;
                self.arrives(n, side, key, port, number)?;
            } else {
                return Err(format!("{verb} is no request"));
            }
        }
        let connection = &self.connections[n];
        if connection.closed[1 - side] && connection.pipes[1 - side].is_empty() {
            let serial = connection.serials[side];
            if !self.disturbed && !self.quiet_end {
                return Err(format!("{key:?} loses connection {n}, which nobody cut"));
            }
            self.lose(key, Which::Serial(serial), "connection closed by the peer");
        }
        Ok(())
    }
}
