//! Nodes that talk over connections, without anything real: every node has the rules of its peers and
//! the thinnest shell that carries their effects out, and each step of every shell, of every connection
//! and of the program comes when the schedule says so.
//!
//! What is checked:
//!
//! - Messages to a port arrive in the order in which they were sent, orders to kill among them.
//! - Between two messages that arrive while a monitor on that port, or on its node, is in force, none is
//!   missing.
//! - What was sent between the start of a monitor and its firing does not go over a link that came up
//!   after that. (What actions send counts as sent after all that is due.)
//! - Each monitor fires once, unless it was ended before.
//! - While nobody cuts anything, no link is lost, and of several connections one is kept.
//! - Once nothing is disturbed any more, whoever wants a link has one, both ends have the same, and
//!   everything has arrived that a monitor in force covers.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::peering::state::Phase;
use crate::peering::{
    Afterwards, Candidate, Effect, LinkFacts, Monitored, Pace, Peering, Room, Sender, Sent, Step,
    Taken, Verdict, Wake, Which,
};
use crate::proto::handshake::Role;
use crate::proto::message::{Incoming, encode_in};
use crate::proto::{Framing, Generation, Limits, NodeId, Reason, Verb};

const PORTS: [&str; 3] = ["", "p", "q"];

/// What a schedule is like.
pub(super) struct Plan {
    seed: u64,
    nodes: usize,
    steps: usize,
    /// Links are cut, and attempts given up.
    faults: bool,
    generation: Generation,
    framing: Framing,
}

impl Plan {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        let generations = [Generation::Gen2, Generation::Gen1b, Generation::Gen0];
        let framings = [Framing::Json, Framing::Cbor];
        Plan {
            seed,
            nodes: rng.random_range(2..4),
            steps: rng.random_range(10..140),
            faults: rng.random_range(0..5) > 0,
            generation: generations[rng.random_range(0..3)],
            framing: framings[rng.random_range(0..2)],
        }
    }
}

/// What a monitor's action does besides firing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    Nothing,
    Send(usize),
    Monitor(usize),
}

/// A monitor that was set, by its number: what the rules hold of it.
type MonitorId = usize;

struct Monitor {
    at: usize,
    of: usize,
    port: usize,
    does: Does,
    /// It covers what is sent from this number on, by port, and up to where it ended.
    from: [u64; PORTS.len()],
    until: [Option<u64>; PORTS.len()],
    /// When it fired, if it did.
    fired: Option<u64>,
    ended: bool,
}

/// What one node knows of another.
struct Peer {
    rules: Peering<MonitorId>,
    link: Option<(usize, usize)>,
    attempt: Option<u64>,
    /// Links of which is still to be told.
    to_tell: VecDeque<u64>,
    /// A loss is to be settled, and its actions that have not run yet.
    settling: bool,
    firing: VecDeque<MonitorId>,
    /// What somebody took to write, in the writer's place.
    flushing: Option<Vec<u8>>,
    /// How much was sent to each port, and the last number that arrived there from here.
    sent: [u64; PORTS.len()],
    arrived: [Option<u64>; PORTS.len()],
}

/// How far one side of a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Greeting,
    Token,
    Candidate(Instant),
    Link,
    Closed,
}

struct Connection {
    /// The connector, and the listener.
    nodes: [usize; 2],
    serials: [u64; 2],
    stage: [Stage; 2],
    /// What each side has written and the other has not read.
    pipes: [VecDeque<u8>; 2],
    /// What each side has read and not taken.
    read: [Vec<u8>; 2],
    incoming: [Incoming; 2],
    block: [BytesMut; 2],
    /// The side has closed it, or it was cut.
    closed: [bool; 2],
    /// When it became the link of that side.
    up: [u64; 2],
}

pub(super) struct World {
    plan: Plan,
    rng: SmallRng,
    now: Instant,
    started: Instant,
    /// Counts what happened.
    tick: u64,
    serials: u64,
    ids: Vec<NodeId>,
    peers: BTreeMap<(usize, usize), Peer>,
    connections: Vec<Connection>,
    monitors: Vec<Monitor>,
    /// The program and its actions do nothing new any more.
    quiet: bool,
    /// Links were cut, attempts given up, or somebody was slow.
    disturbed: bool,
    /// The schedule is over, and every link is being lost.
    quiet_end: bool,
    history: Option<String>,
}

type Check = Result<(), String>;

macro_rules! note {
    ($world:expr, $($text:tt)*) => {
        if let Some(history) = &mut $world.history {
            let at = ($world.now - $world.started).as_millis();
            let _ = writeln!(history, "{at:>6} ms  {}", format_args!($($text)*));
        }
    };
}

impl World {
    pub(super) fn new(plan: Plan) -> Self {
        let started = Instant::now();
        let ids = ["a", "b", "c"][..plan.nodes]
            .iter()
            .map(|id| NodeId::new(*id));
        let mut world = World {
            rng: SmallRng::seed_from_u64(plan.seed ^ 0x9e37_79b9),
            now: started,
            started,
            tick: 0,
            serials: 1,
            ids: ids.collect(),
            peers: BTreeMap::new(),
            connections: Vec::new(),
            monitors: Vec::new(),
            quiet: false,
            disturbed: false,
            quiet_end: false,
            history: None,
            plan,
        };
        for at in 0..world.plan.nodes {
            for of in (0..world.plan.nodes).filter(|of| *of != at) {
                let rules = Peering::new(world.serial());
                let peer = Peer {
                    rules,
                    link: None,
                    attempt: None,
                    to_tell: VecDeque::new(),
                    settling: false,
                    firing: VecDeque::new(),
                    flushing: None,
                    sent: Default::default(),
                    arrived: Default::default(),
                };
                world.peers.insert((at, of), peer);
            }
        }
        world
    }

    pub(super) fn keep_history(&mut self) {
        self.history = Some(String::new());
    }

    pub(super) fn history(&self) -> String {
        self.history.clone().unwrap_or_default()
    }

    /// Runs the schedule, then lets everything come to rest, and at last ends every link.
    pub(super) fn run(&mut self) -> Check {
        for _ in 0..self.plan.steps {
            self.step()?;
        }
        note!(self, "-- nothing new any more");
        self.quiet = true;
        self.rest()?;
        self.check_rest()?;
        note!(self, "-- every link is lost");
        self.quiet_end = true;
        for key in self.keys() {
            let reason = Reason::transport_error("all", "the end");
            let life = self.serial();
            let effects = self.peer(key).rules.lose(Which::Everything, reason, life);
            self.carry_out(key, effects);
        }
        self.rest()?;
        self.check_end()
    }

    fn serial(&mut self) -> u64 {
        self.serials += 1;
        self.serials
    }

    fn keys(&self) -> Vec<(usize, usize)> {
        self.peers.keys().copied().collect()
    }

    fn peer(&mut self, key: (usize, usize)) -> &mut Peer {
        self.peers.get_mut(&key).expect("all nodes know each other")
    }

    fn any_peer(&mut self) -> (usize, usize) {
        let keys = self.keys();
        keys[self.rng.random_range(0..keys.len())]
    }

    /// One step of somebody.
    fn step(&mut self) -> Check {
        self.tick += 1;
        let key = self.any_peer();
        let port = self.rng.random_range(1..PORTS.len());
        match self.rng.random_range(0..100) {
            0..14 => self.send(key, port, Sender::Program),
            14..18 => self.kill(key, port),
            18..25 => {
                let port = self.rng.random_range(0..PORTS.len());
                let does = match self.rng.random_range(0..4) {
                    0 => Does::Send(self.rng.random_range(1..PORTS.len())),
                    1 => Does::Monitor(self.rng.random_range(0..PORTS.len())),
                    _ => Does::Nothing,
                };
                self.monitor(key, port, does, Sender::Program);
            }
            25..28 => self.unmonitor(),
            28..30 => self.port_dies(key, port),
            30..33 if self.plan.faults => {
                let wait = Duration::from_millis(self.rng.random_range(0..1500));
                self.disturbed = true; // somebody may have lost patience
                self.now += wait;
            }
            33..37 if self.plan.faults => self.cut(),
            37..38 if self.plan.faults => {
                if let Some(attempt) = self.peer(key).attempt {
                    self.disturbed = true;
                    self.lose(key, Which::Serial(attempt), "unable to connect");
                }
            }
            38..39 if self.plan.faults => {
                self.disturbed = true;
                self.lose(key, Which::Present, "disconnected");
            }
            33..44 => self.dial(key),
            44..64 => return self.work(key),
            _ => {
                if !self.connections.is_empty() {
                    let n = self.rng.random_range(0..self.connections.len());
                    let side = self.rng.random_range(0..2);
                    return self.advance(n, side);
                }
            }
        }
        Ok(())
    }

    /// Steps of everybody but the program, until nobody has anything to do.
    fn rest(&mut self) -> Check {
        for _ in 0..2000 {
            let mut busy = false;
            for key in self.keys() {
                self.tick += 1;
                let peer = self.peer(key);
                busy |= peer.settling || peer.attempt.is_some() || !peer.to_tell.is_empty();
                busy |= peer.flushing.is_some() || peer.rules.queued() > 0;
                self.work(key)?;
                let connected = |c: &Connection| {
                    let ends = c.nodes == [key.0, key.1] || c.nodes == [key.1, key.0];
                    ends && c.stage != [Stage::Closed, Stage::Closed]
                };
                let trying = self.connections.iter().any(connected);
                if self.peer(key).attempt.is_some() && !trying {
                    self.check_refusals(key)?;
                    self.dial(key);
                }
            }
            for n in 0..self.connections.len() {
                for side in 0..2 {
                    let connection = &self.connections[n];
                    let waits = !matches!(connection.stage[side], Stage::Link | Stage::Closed);
                    let reads = connection.stage[side] == Stage::Link
                        && (!connection.pipes[1 - side].is_empty() || connection.closed[1 - side]);
                    busy |= waits || reads;
                    self.advance(n, side)?;
                }
            }
            self.now += Duration::from_millis(20);
            if !busy {
                return Ok(());
            }
        }
        Err("nobody disturbs, and yet it does not come to rest".to_owned())
    }

    /// Of the connections between two nodes one is kept, as long as nobody cuts any.
    fn check_refusals(&self, (at, of): (usize, usize)) -> Check {
        let between = |c: &&Connection| c.nodes == [at, of] || c.nodes == [of, at];
        match self.connections.iter().filter(between).count() {
            0 => Ok(()),
            _ if self.disturbed || self.quiet_end => Ok(()),
            refused => Err(format!(
                "{at} and {of} refused all of {refused} connections"
            )),
        }
    }

    /// Once at rest: both ends have the same link, and nothing is missing on it.
    fn check_rest(&mut self) -> Check {
        for key in self.keys() {
            let (at, of) = key;
            let link = self.peers[&key].link;
            let other = self.peers[&(of, at)].link;
            match (link, other) {
                (Some((ours, side)), Some((theirs, _))) if ours == theirs => {
                    if self.connections[ours].stage != [Stage::Link, Stage::Link] {
                        return Err(format!("{at} has a link to {of} that is none: side {side}"));
                    }
                }
                (None, None) => {}
                _ => {
                    return Err(format!(
                        "{at} and {of} have different links: {link:?}, {other:?}"
                    ));
                }
            }
            if link.is_none() && self.peers[&key].rules.queued() > 0 {
                return Err(format!("{at} has messages for {of} and no link"));
            }
        }
        for (n, monitor) in self.monitors.iter().enumerate() {
            if monitor.ended || monitor.fired.is_some() {
                continue;
            }
            let key = (monitor.at, monitor.of);
            if self.peers[&key].link.is_none() {
                return Err(format!("monitor {n} is in force, and there is no link"));
            }
            for port in monitor.covers() {
                let sent = self.peers[&key].sent[port];
                let arrived = self.peers[&key].arrived[port].map_or(0, |last| last + 1);
                if arrived < sent && sent > monitor.from[port] {
                    return Err(format!(
                        "monitor {n} did not fire, and {arrived} is missing"
                    ));
                }
            }
        }
        Ok(())
    }

    /// After the end of all links: every monitor has fired.
    fn check_end(&mut self) -> Check {
        for (n, monitor) in self.monitors.iter().enumerate() {
            if monitor.fired.is_none() && !monitor.ended {
                return Err(format!("monitor {n} has not fired"));
            }
        }
        Ok(())
    }

    // The program

    /// Sends the next number to a port, or another shell is asked for that.
    fn send(&mut self, key: (usize, usize), port: usize, sender: Sender) {
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
                .send(name, sender, framing, &mut encoded, Room::Any, pace)
            {
                Sent::OtherFraming => {}
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
    fn due(&self, key: (usize, usize)) -> Vec<MonitorId> {
        let peer = &self.peers[&key];
        let mut due: Vec<MonitorId> = peer.firing.iter().copied().collect();
        if let Phase::Failing(failing) = &peer.rules.phase {
            due.extend(failing.due());
        }
        due
    }

    /// Orders a kill: it has its place among the messages.
    fn kill(&mut self, key: (usize, usize), port: usize) {
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

    fn monitor(&mut self, key: (usize, usize), port: usize, does: Does, sender: Sender) {
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

    fn unmonitor(&mut self) {
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
    fn port_dies(&mut self, key: (usize, usize), port: usize) {
        let sent = self
            .peer(key)
            .rules
            .tell_death(PORTS[port], &Reason::die("x"));
        note!(self, "{key:?} tells that {:?} died: {sent:?}", PORTS[port]);
        self.follow_up(key, sent);
    }

    fn follow_up(&mut self, key: (usize, usize), sent: Sent) {
        if sent == Sent::Done(Wake::Attempt) {
            let serial = self.serial();
            let effects = self.peer(key).rules.want(serial);
            self.carry_out(key, effects);
        }
    }

    // The shell of a peer

    fn lose(&mut self, key: (usize, usize), which: Which, text: &str) {
        let life = self.serial();
        let reason = Reason::transport_error("peer", text);
        let effects = self.peer(key).rules.lose(which, reason, life);
        if !effects.is_empty() {
            note!(self, "{key:?} loses {which:?}: {text}");
        }
        self.carry_out(key, effects);
    }

    fn carry_out(&mut self, key: (usize, usize), effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Attempt(serial) => self.peer(key).attempt = Some(serial),
                Effect::EndAttempt => self.peer(key).attempt = None,
                Effect::Close => {
                    self.peer(key).flushing = None; // whoever is at it sees that the link is gone
                    if let Some((n, side)) = self.peer(key).link.take() {
                        self.close(n, side);
                    }
                }
                Effect::TellUp => {
                    let link = self.peer(key).rules.link().map(|link| link.serial);
                    self.peer(key).to_tell.extend(link);
                }
                Effect::Settle => self.peer(key).settling = true,
                Effect::Forget => {
                    let serial = self.serial();
                    let peer = self.peer(key);
                    if peer.rules.retire() {
                        peer.rules = Peering::new(serial);
                    }
                }
                Effect::Ended(_) | Effect::Changed => {}
            }
        }
    }

    /// A step of a peer's own tasks: telling, settling, writing.
    fn work(&mut self, key: (usize, usize)) -> Check {
        if let Some(serial) = self.peer(key).to_tell.pop_front() {
            let (_, effects) = self.peer(key).rules.told(serial);
            note!(self, "{key:?} has told that {serial} is up");
            self.carry_out(key, effects);
            return Ok(());
        }
        if self.peer(key).settling {
            return self.settle(key);
        }
        self.write(key);
        Ok(())
    }

    fn settle(&mut self, key: (usize, usize)) -> Check {
        if let Some(id) = self.peer(key).firing.pop_front() {
            return self.fire(key, id, Sender::Action);
        }
        let serial = self.serial();
        match self.peer(key).rules.settle(Afterwards::GoOn, serial) {
            Step::Fire(actions, _) => self.peer(key).firing.extend(actions),
            Step::Settled(effects) => {
                note!(self, "{key:?} has settled its loss");
                self.peer(key).settling = false;
                self.carry_out(key, effects);
            }
            Step::TellUnreachable | Step::Unwatch(_) | Step::TellDown(_) => {}
        }
        Ok(())
    }

    fn fire(&mut self, key: (usize, usize), id: MonitorId, sender: Sender) -> Check {
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
    fn write(&mut self, key: (usize, usize)) {
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
        } else if let Taken::Octets(octets) = peer.rules.outbox().take(Vec::new()) {
            pipe.extend(octets);
        }
    }

    // Connections

    fn dial(&mut self, key: (usize, usize)) {
        let (at, of) = key;
        if self.peer(key).attempt.is_none() || self.connections.len() > 60 {
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
    fn close(&mut self, n: usize, side: usize) {
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
    fn cut(&mut self) {
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
    fn advance(&mut self, n: usize, side: usize) -> Check {
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

    /// Both sides have greeted: a side that is connected already refuses, and the connector proves itself.
    fn greeted(&mut self, n: usize, side: usize, key: (usize, usize)) {
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

    fn elect(&mut self, n: usize, side: usize, key: (usize, usize), since: Instant) {
        let (own, peer) = (self.ids[key.0].clone(), self.ids[key.1].clone());
        let connection = &self.connections[n];
        let candidate = Candidate {
            role: [Role::Connector, Role::Listener][side],
            link: LinkFacts {
                serial: connection.serials[side],
                send_framing: self.plan.framing,
                generation: self.plan.generation,
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
    fn receive(&mut self, n: usize, side: usize) {
        let most = self.rng.random_range(1..80);
        let connection = &mut self.connections[n];
        let pipe = &mut connection.pipes[1 - side];
        let arrived = most.min(pipe.len());
        connection.read[side].extend(pipe.drain(..arrived));
    }

    /// The reader of a link gets on.
    fn read(&mut self, n: usize, side: usize, key: (usize, usize)) -> Check {
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

    /// The message of that number arrives from the other end.
    fn arrives(
        &mut self,
        n: usize,
        side: usize,
        (at, from): (usize, usize),
        name: &str,
        number: u64,
    ) -> Check {
        let port = PORTS.iter().position(|port| *port == name);
        let port = port.ok_or("a message to a port that nobody has")?;
        note!(self, "{at} gets {number} for {name:?} from {from}");
        let sender = self.peers.get_mut(&(from, at)).expect("it is there");
        let before = sender.arrived[port].replace(number);
        if before.is_some_and(|before| before >= number) {
            return Err(format!("{number} arrives behind {before:?}"));
        }
        let first_missing = before.map_or(0, |before| before + 1);
        let up = self.connections[n].up[1 - side];
        for (id, monitor) in self.monitors.iter().enumerate() {
            if (monitor.at, monitor.of) != (from, at) || !monitor.covers().any(|p| p == port) {
                continue;
            }
            let until = monitor.until[port].unwrap_or(u64::MAX);
            let hole = first_missing.max(monitor.from[port]);
            if number < until && hole < number {
                return Err(format!("{number} arrives, {hole} did not: monitor {id}"));
            }
            let covered = (monitor.from[port]..until).contains(&number);
            if covered && monitor.fired.is_some_and(|fired| fired < up) {
                return Err(format!(
                    "{number} goes over a link that came up after monitor {id} fired"
                ));
            }
        }
        Ok(())
    }
}

impl Monitor {
    /// It covers what was sent to its ports so far, and no more.
    fn ends(&mut self, sent: [u64; PORTS.len()]) {
        for (until, sent) in self.until.iter_mut().zip(sent) {
            until.get_or_insert(sent);
        }
    }

    /// The ports whose messages it covers: its own, or all of the node.
    fn covers(&self) -> impl Iterator<Item = usize> + use<> {
        match self.port {
            0 => 0..PORTS.len(),
            port => port..port + 1,
        }
    }
}
