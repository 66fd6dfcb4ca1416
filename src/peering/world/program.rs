//! What programs do: they send, kill, and set monitors.

use std::fmt::Write as _;

use rand::RngExt as _;

use super::{PORTS, World};
use crate::peering::state::Phase;
use crate::peering::{Monitored, Pace, Room, Sender, Sent, Wake};
use crate::proto::Reason;
use crate::proto::message::encode_in;

/// What a monitor's action does, besides being noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Does {
    Nothing,
    Send(usize),
    Monitor(usize),
}

/// A monitor that was set, by its number: what the rules hold of it.
pub(super) type MonitorId = usize;

pub(super) struct Monitor {
    pub(super) at: usize,
    pub(super) of: usize,
    pub(super) port: usize,
    pub(super) does: Does,
    /// It covers what is sent from this number on, by port, and up to where it ended.
    pub(super) from: [u64; PORTS.len()],
    pub(super) until: [Option<u64>; PORTS.len()],
    /// When it fired, if it did.
    pub(super) fired: Option<u64>,
    pub(super) ended: bool,
}

impl Monitor {
    /// It covers what was sent to its ports so far, and no more.
    pub(super) fn ends(&mut self, sent: [u64; PORTS.len()]) {
        for (until, sent) in self.until.iter_mut().zip(sent) {
            until.get_or_insert(sent);
        }
    }

    /// The ports whose messages it covers: its own, or all of the node.
    pub(super) fn covers(&self) -> impl Iterator<Item = usize> + use<> {
        match self.port {
            0 => 0..PORTS.len(),
            port => port..port + 1,
        }
    }
}

impl World {
    /// Sends the next number to a port, encoded anew as often as the link has got another framing.
    pub(super) fn send(&mut self, key: (usize, usize), port: usize, sender: Sender) {
        let peer = self.peer(key);
        let number = peer.sent[port];
        peer.sent[port] += 1;
        if sender == Sender::Action {
            // It counts as sent after all that is due has fired.
            for id in self.due(key) {
                self.monitors[id].until[port].get_or_insert(number);
            }
        }
        let pace = match self.rng.random_range(0..2) {
            0 => Pace::Direct,
            _ => Pace::Gather,
        };
        let peer = self.peers.get_mut(&key).expect("it is there");
        let sent = loop {
            let framing = peer.rules.framing();
            let mut encoded = Vec::new();
            encode_in(&mut encoded, framing, PORTS[port], &("n", number)).expect("it encodes");
            let name = PORTS[port];
            match peer
                .rules
                .send(name, sender, framing.into(), &mut encoded, Room::Any, pace)
            {
                Sent::OtherForm => {}
                sent => break sent,
            }
        };
        note!(
            self,
            "{key:?} sends {number} to {:?}: {sent:?}",
            PORTS[port]
        );
        self.follow_up(key, sent);
    }

    /// The monitors that are due to fire, for the present loss.
    pub(super) fn due(&self, key: (usize, usize)) -> Vec<MonitorId> {
        let peer = &self.peers[&key];
        let mut due: Vec<MonitorId> = peer.firing.iter().copied().collect();
        if let Phase::Failing(failing) = &peer.rules.phase {
            due.extend(failing.due());
        }
        due
    }

    /// Orders a kill: it has its place among the messages.
    pub(super) fn kill(&mut self, key: (usize, usize), port: usize) {
        if !self.plan.generation.has_remote_kill() {
            return;
        }
        let peer = self.peer(key);
        let number = peer.sent[port];
        peer.sent[port] += 1;
        let sent = peer
            .rules
            .kill(PORTS[port], Sender::Program, &Reason::new([number]));
        note!(
            self,
            "{key:?} kills {:?} as {number}: {sent:?}",
            PORTS[port]
        );
        self.follow_up(key, sent);
    }

    pub(super) fn monitor(&mut self, key: (usize, usize), port: usize, does: Does, sender: Sender) {
        let id = self.monitors.len();
        let from = self.peers[&key].sent;
        let monitored = self
            .peer(key)
            .rules
            .monitor(PORTS[port], sender, id as u64, id);
        note!(
            self,
            "{key:?} sets monitor {id} on {:?}: {monitored:?}",
            PORTS[port]
        );
        self.monitors.push(Monitor {
            at: key.0,
            of: key.1,
            port,
            does,
            from,
            until: Default::default(),
            fired: None,
            ended: false,
        });
        if let Monitored::Set(wake) = monitored {
            self.follow_up(key, Sent::Done(wake));
        }
    }

    pub(super) fn unmonitor(&mut self) {
        if self.monitors.is_empty() {
            return;
        }
        let id = self.rng.random_range(0..self.monitors.len());
        let monitor = &self.monitors[id];
        let (key, port) = ((monitor.at, monitor.of), monitor.port);
        let (action, wake) = self.peer(key).rules.unmonitor(PORTS[port], id as u64);
        note!(self, "{key:?} ends monitor {id}: {action:?}");
        if action.is_some() {
            let sent = self.peers[&key].sent;
            let monitor = &mut self.monitors[id];
            monitor.ended = true;
            monitor.ends(sent);
        }
        self.follow_up(key, Sent::Done(wake));
    }

    /// A port of the node dies: who monitors it is told.
    pub(super) fn port_dies(&mut self, key: (usize, usize), port: usize) {
        let sent = self
            .peer(key)
            .rules
            .tell_death(PORTS[port], &Reason::die("x"));
        note!(self, "{key:?} tells that {:?} died: {sent:?}", PORTS[port]);
        self.follow_up(key, sent);
    }

    pub(super) fn follow_up(&mut self, key: (usize, usize), sent: Sent) {
        if sent == Sent::Done(Wake::Attempt) {
            let serial = self.serial();
            let effects = self.peer(key).rules.want(serial);
            self.carry_out(key, effects);
        }
    }
}
