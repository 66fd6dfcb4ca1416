//! Nodes that talk over connections, without anything real: every node has the rules of its peers
//! and the thinnest shell that carries their effects out, and each step of every shell, of every
//! connection and of the program comes when the schedule says so.
//!
//! What is checked:
//!
//! - Messages to a port arrive in the order in which they were sent, orders to kill among them.
//! - Between two messages that arrive while a monitor on that port, or on its node, is in force,
//!   none is missing.
//! - What was sent between the start of a monitor and its firing does not go over a link that came
//!   up after that. (What actions send counts as sent after all that is due.)
//! - Each monitor fires once, unless it was ended before.
//! - Who waits for room waits for the ports that were said to have none on the present link, and
//!   for no others.
//! - While nobody cuts anything, no link is lost, and of several connections one is kept.
//! - Once nothing is disturbed any more, whoever wants a link has one, both ends have the same, and
//!   everything has arrived that a monitor in force covers.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use rand::RngExt as _;

use crate::peering::{Peering, Sender, Which};
use crate::proto::{Framing, Generation, NodeId, Reason};

/// Notes what happens, if anybody wants to read it.
macro_rules! note {
    ($world:expr, $($text:tt)*) => {
        if let Some(history) = &mut $world.history {
            let at = ($world.now - $world.started).as_millis();
            let _ = writeln!(history, "{at:>6} ms  {}", format_args!($($text)*));
        }
    };
}

mod chance;
mod checks;
mod connections;
mod program;
mod room;
mod shell;

use chance::Chance;
use connections::{Connection, Stage};
use program::{Does, Monitor};
use shell::Peer;

const PORTS: [&str; 3] = ["", "p", "q"];

/// What a schedule is like.
pub(crate) struct Plan {
    chance: Chance,
    nodes: usize,
    steps: usize,
    /// Links are cut, and attempts given up.
    faults: bool,
    generation: Generation,
    framing: Framing,
    /// Ports run full, and programs wait for room there.
    room: bool,
}

impl Plan {
    /// The schedule of this seed.
    #[cfg(test)]
    pub(crate) fn new(seed: u64) -> Self {
        let mut plan = Plan::drawn(Chance::seeded(seed));
        plan.chance = Chance::seeded(seed ^ 0x9e37_79b9);
        plan
    }

    /// The schedule that these octets decide about, as far as they go.
    #[cfg(feature = "fuzz")]
    pub(crate) fn given(octets: &[u8]) -> Self {
        Plan::drawn(Chance::given(octets))
    }

    fn drawn(mut chance: Chance) -> Self {
        let generations = [Generation::Gen2, Generation::Gen1b, Generation::Gen0];
        let framings = [Framing::Json, Framing::Cbor];
        Plan {
            nodes: chance.random_range(2..4),
            steps: chance.random_range(10..140),
            faults: chance.random_range(0..5) > 0,
            generation: generations[chance.random_range(0..3)],
            framing: framings[chance.random_range(0..2)],
            room: chance.random_range(0..2) > 0,
            chance,
        }
    }
}

pub(crate) struct World {
    plan: Plan,
    rng: Chance,
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
    /// Links were cut, or attempts given up.
    disturbed: bool,
    /// The schedule is over, and every link is being lost.
    quiet_end: bool,
    history: Option<String>,
}

pub(crate) type Check = Result<(), String>;

impl World {
    pub(crate) fn new(mut plan: Plan) -> Self {
        let started = Instant::now();
        let ids = ["a", "b", "c"][..plan.nodes]
            .iter()
            .map(|id| NodeId::new(*id));
        let mut world = World {
            rng: std::mem::take(&mut plan.chance),
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
                    told: Default::default(),
                    sent: Default::default(),
                    arrived: Default::default(),
                };
                world.peers.insert((at, of), peer);
            }
        }
        world
    }

    pub(crate) fn keep_history(&mut self) {
        self.history = Some(String::new());
    }

    pub(crate) fn history(&self) -> String {
        self.history.clone().unwrap_or_default()
    }

    /// Runs the schedule, then lets everything come to rest, and at last ends every link.
    pub(crate) fn run(&mut self) -> Check {
        for _ in 0..self.plan.steps {
            self.step()?;
        }
        note!(self, "-- nothing new any more");
        self.quiet = true;
        self.rest()?;
        self.check_rest()?;
        self.check_room()?;
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
        if self.plan.room && self.rng.random_range(0..6) == 0 {
            return self.room(key, port);
        }
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
            // So many that the schedule says little else. To come to rest there are always more.
            33..44 if self.connections.len() <= 60 => self.dial(key),
            33..44 => {}
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
}
