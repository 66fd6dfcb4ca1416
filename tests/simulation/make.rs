//! Makes a schedule from a seed.

use std::ops::RangeInclusive;

use crate::rng::Rng;
use crate::schedule::{Schedule, Speaks, Spec, Step, Who};

/// Lengths of waits, from nothing that can be noticed to longer than any time-out of the nodes.
const WAITS: [u64; 10] = [1, 2, 5, 20, 100, 400, 1_000, 3_000, 12_000, 40_000];

/// What schedules are about.
struct Maker {
    rng: Rng,
    nodes: u64,
    /// How many ports there have been so far.
    ports: u64,
    steps: Vec<Step>,
}

impl Schedule {
    /// The schedule of a seed, with a number of nodes out of this range.
    pub fn make(seed: u64, nodes: &RangeInclusive<usize>) -> Schedule {
        let mut rng = Rng::new(seed);
        let count = rng.from(*nodes.start() as u64, *nodes.end() as u64);
        let nodes = specs(&mut rng, count);
        let delay = rng.pick(&[0, 1, 1, 5, 30]);
        let capacity = rng.pick(&[65_536, 65_536, 65_536, 3_000, 1_000]);
        let queue = rng.pick(&[0, 0, 0, 20_000, 100_000]);
        let mut maker = Maker {
            rng,
            nodes: count,
            ports: 0,
            steps: Vec::new(),
        };
        // Mostly there is a network before anything happens to it.
        if maker.rng.percent(80) {
            maker.push(Step::Wait { ms: 2_000 });
        }
        for _ in 0..maker.rng.from(2, 4) {
            maker.open();
        }
        for _ in 0..maker.rng.from(15, 60) {
            maker.step();
            if maker.rng.percent(45) {
                let ms = maker.rng.pick(&WAITS);
                maker.push(Step::Wait { ms });
            }
        }
        Schedule {
            seed,
            delay,
            capacity,
            queue,
            nodes,
            steps: maker.steps,
        }
    }
}

fn specs(rng: &mut Rng, count: u64) -> Vec<Spec> {
    let plain = |speaks| Spec {
        speaks,
        is_seed: false,
        is_hidden: false,
    };
    let old = [Speaks::Gen0, Speaks::Gen1, Speaks::Gen2];
    let world = rng.below(7);
    let mut specs: Vec<Spec> = (0..count)
        .map(|n| match world {
            0 => plain(Speaks::Gen0),
            1 => plain(Speaks::Gen1),
            2 => plain(Speaks::Gen2),
            3 | 4 => plain(Speaks::All),
            // All seeds speak with all.
            5 if n < 2 || rng.percent(25) => plain(Speaks::All),
            6 if n == 0 => plain(Speaks::Bridge),
            _ => plain(rng.pick(&old)),
        })
        .collect();
    let seeds = if world == 6 || rng.percent(50) { 1 } else { 2 };
    for spec in specs.iter_mut().take(seeds) {
        spec.is_seed = true;
    }
    if matches!(world, 0 | 1 | 3) {
        let rest = specs.iter_mut().filter(|spec| !spec.is_seed);
        for spec in rest {
            spec.is_hidden = rng.percent(10);
        }
    }
    specs
}

impl Maker {
    fn push(&mut self, step: Step) {
        self.steps.push(step);
    }

    fn who(&mut self) -> Who {
        Who(self.rng.below(self.nodes) as usize)
    }

    /// Two nodes, mostly different ones.
    fn two(&mut self) -> (Who, Who) {
        let (a, b) = (self.who(), self.who());
        match a == b {
            true => (a, Who((b.0 + 1) % self.nodes as usize)),
            false => (a, b),
        }
    }

    /// A port: mostly one of the last.
    fn port(&mut self) -> u64 {
        let recent = self.ports.min(5);
        match self.rng.percent(70) {
            true => self.ports - 1 - self.rng.below(recent),
            false => self.rng.below(self.ports),
        }
    }

    fn open(&mut self) {
        let (node, port) = (self.who(), self.ports);
        let ms = self.rng.pick(&[0, 0, 0, 0, 1, 50, 2_000]);
        self.ports += 1;
        self.push(Step::Open { node, port, ms });
        if self.rng.percent(50) {
            let group = self.rng.below(3);
            self.push(Step::Join { port, group });
        }
    }

    fn step(&mut self) {
        match self.rng.below(100) {
            0..8 => self.open(),
            8..44 => self.talk(),
            44..58 => self.share(),
            58..78 => self.line(),
            78..97 => self.node(),
            _ => {
                let turns = self.rng.from(1, 200);
                self.push(Step::Still { turns });
            }
        }
    }

    /// Messages, monitors, kills and calls.
    fn talk(&mut self) {
        let (who, port) = (self.who(), self.port());
        let step = match self.rng.below(44) {
            0..14 => Step::Send {
                from: who,
                port,
                count: self.rng.from(1, 12),
                size: self.rng.pick(&[0, 0, 10, 10, 1_000, 30_000]),
            },
            14..19 => Step::Insist {
                from: who,
                port,
                count: self.rng.from(1, 4),
                times: self.rng.from(1, 3),
            },
            19..24 => Step::Watch { by: who, port },
            24..26 => Step::Unwatch { by: who, port },
            26..28 => Step::Kill { by: who, port },
            28..30 => Step::Link {
                by: who,
                port,
                with: self.port(),
            },
            36..39 => Step::Pour {
                from: who,
                port,
                count: self.rng.from(1, 40),
                size: self.rng.pick(&[0, 1_000, 10_000]),
            },
            39..42 => Step::Echo {
                from: who,
                port,
                back: self.port(),
                count: self.rng.from(1, 6),
            },
            42..44 => Step::Notify { by: who, port },
            30..32 => {
                let (by, on) = self.two();
                let port = self.ports;
                self.ports += 1;
                Step::Spawn { by, on, port }
            }
            _ => Step::Call {
                from: who,
                port,
                ms: self.rng.pick(&[0, 0, 100, 5_000, 60_000]),
            },
        };
        self.push(step);
    }

    /// Groups, the database, supervisors.
    fn share(&mut self) {
        let (port, node) = (self.port(), self.who());
        let (group, family) = (self.rng.below(3), self.rng.below(2));
        let key = self.rng.below(5);
        let step = match self.rng.below(15) {
            0..4 => Step::Join { port, group },
            4..6 => Step::Leave { port, group },
            6..10 => Step::Set {
                node,
                family,
                key,
                value: self.rng.below(1_000),
            },
            10..12 => Step::Delete { node, family, key },
            12 => Step::Supervise {
                node,
                children: self.rng.from(1, 3),
            },
            13 => {
                let (node, on) = self.two();
                Step::Employ {
                    node,
                    on,
                    children: self.rng.from(1, 3),
                }
            }
            _ => Step::Shoot {
                node,
                child: self.rng.below(6),
            },
        };
        self.push(step);
    }

    /// Faults on the lines.
    fn line(&mut self) {
        let (a, b) = self.two();
        let (from, to) = (a, b);
        let step = match self.rng.below(20) {
            0..5 => Step::Cut { a, b },
            5..8 => Step::Partition { from, to },
            8..11 => Step::Heal { from, to },
            11..13 => Step::Isolate { node: a },
            13..15 => Step::Rejoin { node: a },
            15..18 => Step::Delay {
                from,
                to,
                ms: self.rng.pick(&[0, 1, 40, 300, 2_500]),
            },
            _ => Step::Rate {
                from,
                to,
                octets: self.rng.pick(&[0, 0, 500, 5_000, 100_000]),
            },
        };
        self.push(step);
    }

    /// Nodes that come and go: seeds as often as all others together.
    fn node(&mut self) {
        let mut node = self.who();
        if self.rng.percent(30) {
            node = Who(0);
        }
        let step = match self.rng.below(18) {
            0..5 => Step::Crash { node },
            5..7 => Step::Vanish { node },
            7..10 => Step::Stop { node },
            _ => {
                let secret = if self.rng.percent(10) { 1 } else { 0 };
                Step::Start { node, secret }
            }
        };
        let goes = !matches!(step, Step::Start { .. });
        self.push(step);
        // Who is gone mostly comes back soon: so there is more to see than absence.
        if goes && self.rng.percent(60) {
            let ms = self.rng.pick(&WAITS);
            self.push(Step::Wait { ms });
            self.push(Step::Start { node, secret: 0 });
        }
    }
}
