//! What happens to a network, as data: which nodes there are, and one step after the other.

use std::fmt;
use std::str::FromStr;

use aemp::proto::generation::Generations;

/// A schedule: with it, the whole history of a network is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// What the nodes' own randomness begins with.
    pub seed: u64,
    /// How long everything takes that is sent, in milliseconds, unless a step says otherwise.
    pub delay: u64,
    /// How many octets a connection holds each way.
    pub capacity: u64,
    /// How many octets may wait for a node, and in a port; 0 is what nodes allow by themselves.
    pub queue: u64,
    pub nodes: Vec<Spec>,
    pub steps: Vec<Step>,
}

/// A node of a schedule. Its ID and its host are `n0`, `n1` and so on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spec {
    pub speaks: Speaks,
    pub is_seed: bool,
    /// It listens nowhere.
    pub is_hidden: bool,
}

/// The generations that a node speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    Gen0,
    Gen1,
    Gen2,
    All,
    /// All, and it joins them.
    Bridge,
}

impl Speaks {
    const NAMES: [(Speaks, &str); 5] = [
        (Speaks::Gen0, "gen0"),
        (Speaks::Gen1, "gen1"),
        (Speaks::Gen2, "gen2"),
        (Speaks::All, "all"),
        (Speaks::Bridge, "bridge"),
    ];

    pub fn generations(self) -> Generations {
        match self {
            Speaks::Gen0 => Generations::Only(0),
            Speaks::Gen1 => Generations::Only(1),
            Speaks::Gen2 => Generations::Only(2),
            Speaks::All | Speaks::Bridge => Generations::Auto,
        }
    }

    /// Whether it speaks this generation.
    pub fn speaks(self, generation: u32) -> bool {
        match self.generations() {
            Generations::Only(number) => number == generation,
            _ => true,
        }
    }
}

/// A node, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Who(pub usize);

/// What a step is about: a node, or some number.
trait Field: Sized {
    fn node(&mut self) -> Option<&mut Who> {
        None
    }
    fn show(&self) -> u64;
    fn read(number: u64) -> Self;
}

impl Field for Who {
    fn node(&mut self) -> Option<&mut Who> {
        Some(self)
    }
    fn show(&self) -> u64 {
        self.0 as u64
    }
    fn read(number: u64) -> Self {
        Who(number as usize)
    }
}

impl Field for u64 {
    fn show(&self) -> u64 {
        *self
    }
    fn read(number: u64) -> Self {
        number
    }
}

/// The steps, each with its word in the text form.
macro_rules! steps {
    ($($(#[$doc:meta])* $name:ident = $word:literal { $($field:ident: $kind:ty),* },)*) => {
        /// Something that is done to the network. What it is about need not be there any more: then
        /// nothing happens, so that any part of a schedule is one, too.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Step {
            $($(#[$doc])* $name { $($field: $kind),* },)*
        }

        impl Step {
            /// The nodes that it names.
            pub fn nodes(&mut self) -> Vec<&mut Who> {
                match self {
                    $(Step::$name { $($field),* } => [$($field.node()),*].into_iter().flatten().collect(),)*
                }
            }
        }

        impl fmt::Display for Step {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Step::$name { $($field),* } => {
                        f.write_str($word)?;
                        $(write!(f, " {}={}", stringify!($field), $field.show())?;)*
                    })*
                }
                Ok(())
            }
        }

        impl FromStr for Step {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                let mut words = text.split_whitespace();
                let word = words.next().ok_or("a step is missing")?;
                let mut number = |field: &str| -> Result<u64, String> {
                    let word = words.next().unwrap_or_default();
                    let value = word.strip_prefix(field).and_then(|rest| rest.strip_prefix('='));
                    let number = value.and_then(|value| value.parse().ok());
                    number.ok_or_else(|| format!("{text}: there should be a {field}=NUMBER"))
                };
                match word {
                    $($word => Ok(Step::$name { $($field: Field::read(number(stringify!($field))?)),* }),)*
                    _ => Err(format!("{text}: no such step")),
                }
            }
        }
    };
}

steps! {
    /// Time passes.
    Wait = "wait" { ms: u64 },
    /// Whatever can happen without the clock going on happens, for so many turns.
    Still = "still" { turns: u64 },
    /// All connections between two hosts are reset.
    Cut = "cut" { a: Who, b: Who },
    /// Nothing arrives any more, in one direction.
    Partition = "partition" { from: Who, to: Who },
    Heal = "heal" { from: Who, to: Who },
    Isolate = "isolate" { node: Who },
    Rejoin = "rejoin" { node: Who },
    Delay = "delay" { from: Who, to: Who, ms: u64 },
    /// A narrow line, or a reader that is slow, in octets a second; 0 is none.
    Rate = "rate" { from: Who, to: Who, octets: u64 },
    /// A process is gone at once: its connections are reset.
    Crash = "crash" { node: Who },
    /// A host is gone, and nobody is told.
    Vanish = "vanish" { node: Who },
    /// A node ends in an orderly way.
    Stop = "stop" { node: Who },
    /// A node begins, under the ID that it always has. Secret 0 is the one that all share.
    Start = "start" { node: Who, secret: u64 },
    /// A port with this number. Each message keeps it busy for so long.
    Open = "open" { node: Who, port: u64, ms: u64 },
    /// A port with this number is spawned by one node on another.
    Spawn = "spawn" { by: Who, on: Who, port: u64 },
    Kill = "kill" { by: Who, port: u64 },
    /// So many numbered messages of that size; the port is monitored first.
    Send = "send" { from: Who, port: u64, count: u64, size: u64 },
    /// The same, and whenever the monitor fires it is set again and more is sent right there, so
    /// many times.
    Insist = "insist" { from: Who, port: u64, count: u64, times: u64 },
    /// So many numbered messages, each when there is room for it.
    Pour = "pour" { from: Who, port: u64, count: u64, size: u64 },
    /// So many numbered messages, for each of which the code of the port sends one to another port.
    Echo = "echo" { from: Who, port: u64, back: u64, count: u64 },
    Watch = "watch" { by: Who, port: u64 },
    Unwatch = "unwatch" { by: Who, port: u64 },
    /// A message comes when the port dies, not a call of code.
    Notify = "notify" { by: Who, port: u64 },
    /// One port dies with the other.
    Link = "link" { by: Who, port: u64, with: u64 },
    /// A call, with a limit if that is not 0.
    Call = "call" { from: Who, port: u64, ms: u64 },
    Join = "join" { port: u64, group: u64 },
    Leave = "leave" { port: u64, group: u64 },
    Set = "set" { node: Who, family: u64, key: u64, value: u64 },
    Delete = "delete" { node: Who, family: u64, key: u64 },
    /// A supervisor, with so many children of its own.
    Supervise = "supervise" { node: Who, children: u64 },
    /// A supervisor, with so many children on another node.
    Employ = "employ" { node: Who, on: Who, children: u64 },
    /// A child of the node's supervisors is killed.
    Shoot = "shoot" { node: Who, child: u64 },
}

impl Schedule {
    /// The same without a node: what names it goes as well.
    pub fn without_node(&self, gone: usize) -> Schedule {
        let mut rest = self.clone();
        rest.nodes.remove(gone);
        rest.steps.retain_mut(|step| {
            let mut nodes = step.nodes();
            let stays = nodes.iter().all(|node| node.0 != gone);
            for node in nodes.iter_mut().filter(|node| node.0 > gone) {
                node.0 -= 1;
            }
            stays
        });
        rest
    }

    /// Whether a node joins the generations.
    pub fn is_bridged(&self) -> bool {
        self.nodes.iter().any(|spec| spec.speaks == Speaks::Bridge)
    }

    /// Whether the nodes of these numbers can reach each other, once everything is healed.
    pub fn reach(&self, a: usize, b: usize) -> bool {
        let (one, other) = (self.nodes[a], self.nodes[b]);
        let bridged = self.is_bridged();
        let common = (0..3).any(|number| one.speaks.speaks(number) && other.speaks.speaks(number));
        a == b || ((common || bridged) && !(one.is_hidden && other.is_hidden))
    }

    /// Whether the first can kill what it has on the second: generation 0 has no word for that.
    pub fn kills(&self, a: usize, b: usize) -> bool {
        let (one, other) = (self.nodes[a], self.nodes[b]);
        let common = |number| one.speaks.speaks(number) && other.speaks.speaks(number);
        self.reach(a, b) && (common(1) || common(2))
    }

    /// Whether one sees which groups the ports of the other are in: the database reaches further
    /// than links.
    pub fn shares_groups(&self, a: usize, b: usize) -> bool {
        let database = |node: usize| self.nodes[node].speaks.speaks(2);
        self.reach(a, b) || (database(a) && database(b))
    }

    /// Whether the first has a link to the second without having to say something to it.
    pub fn linked(&self, a: usize, b: usize) -> bool {
        let (one, other) = (self.nodes[a], self.nodes[b]);
        let gossips = |spec: Spec| spec.speaks.speaks(0) || spec.speaks.speaks(1);
        let bridged = self.is_bridged();
        let common = (0..2).any(|number| one.speaks.speaks(number) && other.speaks.speaks(number));
        let seed = one.is_seed || other.is_seed;
        a != b && self.reach(a, b) && (common || seed || (bridged && gossips(one)))
    }

    /// The hosts of the seeds.
    pub fn seeds(&self) -> impl Iterator<Item = usize> + '_ {
        let all = self.nodes.iter().enumerate();
        all.filter(|(_, spec)| spec.is_seed).map(|(n, _)| n)
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = Speaks::NAMES
            .iter()
            .find(|(speaks, _)| *speaks == self.speaks);
        f.write_str(found.map_or("", |(_, name)| name))?;
        f.write_str(if self.is_seed { "+seed" } else { "" })?;
        f.write_str(if self.is_hidden { "+hidden" } else { "" })
    }
}

impl FromStr for Spec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split('+');
        let name = words.next().unwrap_or_default();
        let found = Speaks::NAMES.iter().find(|(_, word)| *word == name);
        let (speaks, _) = found.ok_or_else(|| format!("{text}: no such node"))?;
        let words: Vec<&str> = words.collect();
        Ok(Spec {
            speaks: *speaks,
            is_seed: words.contains(&"seed"),
            is_hidden: words.contains(&"hidden"),
        })
    }
}

/// The text form: a line `schedule seed=.. delay=.. capacity=.. queue=..`, a line `nodes ..`, and
/// one line for each step. What is behind a `#` is a comment.
impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Schedule {
            seed,
            delay,
            capacity,
            queue,
            ..
        } = self;
        writeln!(
            f,
            "schedule seed={seed} delay={delay} capacity={capacity} queue={queue}"
        )?;
        f.write_str("nodes")?;
        for spec in &self.nodes {
            write!(f, " {spec}")?;
        }
        writeln!(f)?;
        self.steps.iter().try_for_each(|step| writeln!(f, "{step}"))
    }
}

impl Schedule {
    /// The schedules that a text holds.
    pub fn all(text: &str) -> Result<Vec<Schedule>, String> {
        let mut all: Vec<Schedule> = Vec::new();
        let lines = text
            .lines()
            .map(|line| line.split('#').next().unwrap_or_default().trim());
        for line in lines.filter(|line| !line.is_empty()) {
            if let Some(head) = line.strip_prefix("schedule ") {
                let mut words = head.split_whitespace();
                let mut number = |name: &str| {
                    let value = words.next().and_then(|word| word.strip_prefix(name));
                    let value = value.and_then(|value| value.parse().ok());
                    value.ok_or_else(|| format!("{line}: there should be a {name}NUMBER"))
                };
                all.push(Schedule {
                    seed: number("seed=")?,
                    delay: number("delay=")?,
                    capacity: number("capacity=")?,
                    queue: number("queue=")?,
                    nodes: Vec::new(),
                    steps: Vec::new(),
                });
                continue;
            }
            let last = all
                .last_mut()
                .ok_or("a text begins with a schedule's first line")?;
            match line.strip_prefix("nodes ") {
                Some(nodes) => {
                    let specs = nodes.split_whitespace().map(str::parse);
                    last.nodes = specs.collect::<Result<_, _>>()?;
                }
                None => last.steps.push(line.parse()?),
            }
        }
        Ok(all)
    }
}
