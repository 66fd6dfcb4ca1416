//! Runs a schedule: real nodes over the network in memory, in virtual time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use aemp::net::memory::Network;
use aemp::proto::Framing;
use aemp::{Node, PortId, Reason};
use serde_json::Value;

use crate::evidence::Evidence;
use crate::exam;
use crate::program::{Program, Serials};
use crate::record::{Event, Life, Observer, Record};
use crate::schedule::{Schedule, Speaks, Spec, Step};

/// Where a port was made, and whether it is to be there.
#[derive(Debug, Clone)]
pub struct Place {
    pub id: PortId,
    pub owner: Life,
}

/// Puts something on the ways between nodes.
pub type Interpose = Arc<dyn Fn(&Network, &Schedule) + Send + Sync>;

/// Does something to the nodes that no program would.
pub type Meddle = Arc<dyn Fn(&World) + Send + Sync>;

/// What is not as it should be, put in by hand to see that it is found.
#[derive(Clone, Default)]
pub struct Fault {
    /// Changes what is written down.
    pub observer: Option<Observer>,
    /// Stands on the ways between nodes.
    pub interpose: Option<Interpose>,
    /// Something that is done to the nodes before the exam.
    pub meddle: Option<Meddle>,
    /// Programs do not end the monitors that they should.
    pub keep_monitors: bool,
    /// Nodes speak JSON, so that it is easy to change what they say.
    pub json: bool,
}

/// How a schedule is run.
#[derive(Clone, Default)]
pub struct Options {
    pub fault: Fault,
    /// Nodes' log lines are written down up to this level; 0 is none.
    pub log_level: u8,
}

/// A network while a schedule is run.
pub struct World {
    pub schedule: Schedule,
    pub network: Network,
    pub record: Record,
    pub fault: Fault,
    serials: Serials,
    /// The life of each node, while it has one.
    pub living: BTreeMap<usize, Arc<Program>>,
    /// How often each was started.
    started: Vec<usize>,
    /// The secret of each living node.
    pub secrets: BTreeMap<usize, u64>,
    /// Those whose hosts are gone without a word.
    vanished: BTreeSet<usize>,
    pub ports: BTreeMap<u64, Place>,
    /// The groups of each port.
    pub groups: BTreeMap<u64, BTreeSet<u64>>,
}

/// Runs a schedule on a runtime of its own, and gives what is to be judged.
pub fn run(schedule: &Schedule, options: &Options) -> Evidence {
    /// Threads keep what they may use again. So what is left counts only if it is left each time.
    const TIMES: usize = 4;
    const LITTLE: i64 = 1024;
    let mut evidence = measured(schedule, options);
    for _ in 1..TIMES {
        if evidence.heap_left > LITTLE {
            let again = measured(schedule, options).heap_left;
            evidence.heap_left = evidence.heap_left.min(again);
        }
    }
    evidence
}

/// The same once, with the memory that was not given back.
fn measured(schedule: &Schedule, options: &Options) -> Evidence {
    let mut found = None;
    let held = allocation_counter::measure(|| found = Some(run_here(schedule, options)));
    // The evidence holds memory, too, which is seen when it goes.
    let mut evidence = found.as_ref().expect("it was run").copied();
    let freed = allocation_counter::measure(|| drop(found.take()));
    evidence.heap_left = held.bytes_current + freed.bytes_current;
    evidence
}

/// Everything happens on this thread.
fn run_here(schedule: &Schedule, options: &Options) -> Evidence {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().unwrap();
    let panics = crate::panics::count();
    let mut evidence = runtime.block_on(async {
        let world = World::new(schedule, options);
        let _log = crate::log::keep(&world.record, options.log_level);
        world.run().await
    });
    evidence.panics = crate::panics::count() - panics;
    evidence
}

impl World {
    fn new(schedule: &Schedule, options: &Options) -> Self {
        let network = Network::new(schedule.seed);
        network.set_default_delay(Duration::from_millis(schedule.delay));
        network.set_capacity(schedule.capacity.max(1) as usize);
        if let Some(interpose) = &options.fault.interpose {
            interpose(&network, schedule);
        }
        World {
            network,
            record: Record::new(options.fault.observer.clone()),
            fault: options.fault.clone(),
            serials: Serials::default(),
            living: BTreeMap::new(),
            started: vec![0; schedule.nodes.len()],
            secrets: BTreeMap::new(),
            vanished: BTreeSet::new(),
            ports: BTreeMap::new(),
            groups: BTreeMap::new(),
            schedule: schedule.clone(),
        }
    }

    async fn run(mut self) -> Evidence {
        for node in 0..self.schedule.nodes.len() {
            self.start(node, 0).await;
        }
        for step in self.schedule.steps.clone() {
            self.record.push(Event::Step(step.to_string()));
            self.step(step).await;
        }
        self.mark("everything is healed");
        exam::examine(self).await
    }

    /// Writes down where in the exam we are.
    pub fn mark(&self, what: &str) {
        self.record.push(Event::Step(what.to_owned()));
    }

    async fn step(&mut self, step: Step) {
        let ms = Duration::from_millis;
        let host = |who: crate::schedule::Who| format!("n{}", who.0);
        match step {
            Step::Wait { ms: long } => tokio::time::sleep(ms(long)).await,
            Step::Still { turns } => {
                for _ in 0..turns {
                    tokio::task::yield_now().await;
                }
            }
            Step::Cut { a, b } => self.network.cut(&host(a), &host(b)),
            Step::Partition { from, to } => self.network.partition(&host(from), &host(to)),
            Step::Heal { from, to } => self.network.heal(&host(from), &host(to)),
            Step::Isolate { node } => self.network.isolate(&host(node)),
            Step::Rejoin { node } => self.rejoin(node.0),
            Step::Delay { from, to, ms: long } => {
                self.network.set_delay(&host(from), &host(to), ms(long));
            }
            Step::Rate { from, to, octets } => {
                let octets = Some(octets).filter(|octets| *octets > 0);
                self.network.set_rate(&host(from), &host(to), octets);
            }
            Step::Crash { node } => self.crash(node.0).await,
            Step::Vanish { node } => self.vanish(node.0).await,
            Step::Stop { node } => self.stop(node.0).await,
            Step::Start { node, secret } => self.start(node.0, secret).await,
            Step::Set {
                node,
                family,
                key,
                value,
            } => self.set(node.0, family, key, value),
            Step::Delete { node, family, key } => {
                if let Some(program) = self.living.get(&node.0) {
                    let gone = program.entries.lock().unwrap().remove(&(family, key));
                    if let Some((_, entry)) = gone {
                        entry.delete();
                    }
                }
            }
            Step::Supervise { node, children } => {
                self.by(node.0, |program| program.supervise(children));
            }
            Step::Employ { node, on, children } => {
                if self.schedule.kills(node.0, on.0) {
                    self.by(node.0, |program| program.employ(on.0, children));
                }
            }
            Step::Shoot { node, child } => self.by(node.0, |program| program.shoot(child)),
            Step::Join { port, group } => self.join(port, group),
            Step::Leave { port, group } => self.leave(port, group),
            step => self.talk(step),
        }
    }

    /// The steps that programs take.
    fn talk(&mut self, step: Step) {
        let at = |port: u64| self.ports.get(&port).cloned();
        match step {
            Step::Open { node, port, ms } => {
                if let Some(program) = self.living.get(&node.0) {
                    let (id, owner) = (program.open(port, ms), program.life);
                    self.ports.insert(port, Place { id, owner });
                }
            }
            Step::Spawn { by, on, port } => {
                let (by, on) = (self.living.get(&by.0), self.living.get(&on.0));
                if let (Some(by), Some(on)) = (by, on)
                    && self.schedule.reach(by.life.node, on.life.node)
                {
                    let (id, owner) = (by.spawn(port, on.life), on.life);
                    self.ports.insert(port, Place { id, owner });
                }
            }
            Step::Kill { by, port } => {
                // Only newer generations can kill what is elsewhere.
                let place = at(port).filter(|place| place.owner.node == by.0);
                self.with(by.0, place, |program, id| program.kill(id));
            }
            Step::Send {
                from,
                port,
                count,
                size,
            } => self.with(from.0, at(port), |program, id| {
                program.send(id, count, size)
            }),
            Step::Insist {
                from,
                port,
                count,
                times,
            } => self.with(from.0, at(port), |program, id| {
                program.insist(id, count, times)
            }),
            Step::Pour {
                from,
                port,
                count,
                size,
            } => self.with(from.0, at(port), |program, id| {
                program.pour(id, count, size)
            }),
            Step::Echo {
                from,
                port,
                back,
                count,
            } => {
                let (Some(there), Some(back)) = (at(port), at(back)) else {
                    return;
                };
                if self.schedule.reach(there.owner.node, back.owner.node) {
                    self.with(from.0, Some(there), |program, id| {
                        program.echo(id, &back.id, count);
                    });
                }
            }
            Step::Watch { by, port } => self.with(by.0, at(port), |program, id| program.watch(id)),
            Step::Notify { by, port } => {
                self.with(by.0, at(port), |program, id| program.notify(id))
            }
            Step::Unwatch { by, port } => {
                self.with(by.0, at(port), |program, id| program.unwatch(id));
            }
            Step::Link { by, port, with } => {
                let own = at(with).filter(|place| place.owner.node == by.0);
                if let Some(own) = own {
                    self.with(by.0, at(port), |program, id| program.link(id, &own.id));
                }
            }
            Step::Call { from, port, ms } => {
                self.with(from.0, at(port), |program, id| program.call(id, ms));
            }
            _ => unreachable!("all other steps are taken by `step`"),
        }
    }

    /// Has the program of a node do something, if it runs.
    fn by(&self, node: usize, act: impl FnOnce(&Arc<Program>)) {
        if let Some(program) = self.living.get(&node) {
            act(program);
        }
    }

    /// Has the program of a node do something with a port that it can reach.
    fn with(&self, node: usize, place: Option<Place>, act: impl FnOnce(&Arc<Program>, &PortId)) {
        if let (Some(program), Some(place)) = (self.living.get(&node), place)
            && self.schedule.reach(node, place.owner.node)
        {
            act(program, &place.id);
        }
    }

    /// The program whose port it is, if it is there. A request to spawn it may have waited until
    /// its node was there again: then it is on a later life than was thought.
    pub fn owner(&self, place: &Place) -> Option<&Arc<Program>> {
        let program = self.living.get(&place.owner.node)?;
        program.node.local_port(&place.id).map(|_| program)
    }

    fn join(&mut self, port: u64, group: u64) {
        let Some(place) = self.ports.get(&port) else {
            return;
        };
        if let Some(program) = self.owner(place) {
            program.node.register(&format!("g{group}"), &place.id);
            self.groups.entry(port).or_default().insert(group);
        }
    }

    fn leave(&mut self, port: u64, group: u64) {
        let joined = self.groups.get_mut(&port);
        if !joined.is_some_and(|groups| groups.remove(&group)) {
            return;
        }
        let place = &self.ports[&port];
        if let Some(program) = self.owner(place) {
            // To register once more has no effect but that what is given can unregister.
            let registration = program.node.register(&format!("g{group}"), &place.id);
            registration.unregister();
        }
    }

    fn set(&mut self, node: usize, family: u64, key: u64, value: u64) {
        if let Some(program) = self.living.get(&node) {
            let (name, key_name) = (format!("f{family}"), format!("k{key}"));
            let entry = program.node.db_set(&name, &key_name, &Value::from(value));
            let entry = entry.expect("a number is JSON");
            let mut entries = program.entries.lock().unwrap();
            entries.insert((family, key), (value, entry));
        }
    }

    pub async fn start(&mut self, node: usize, secret: u64) {
        if self.living.contains_key(&node) {
            return;
        }
        self.rejoin(node);
        let Spec {
            speaks,
            is_seed,
            is_hidden,
        } = self.schedule.nodes[node];
        let id = format!("n{node}");
        let seeds: Vec<String> = self
            .schedule
            .seeds()
            .map(|n| format!("n{n}:4040"))
            .collect();
        let builder = Node::builder().no_rc().nodeid(&*id).seeds(seeds);
        let builder = builder.secret(["geheim", "something else"][usize::from(secret > 0)]);
        let mut builder = builder.generation(speaks.generations());
        builder = match (is_seed, is_hidden) {
            (true, _) => builder.binds([format!("{id}:4040")]),
            (_, true) => builder.binds([""; 0]),
            _ => builder.binds(["*"]),
        };
        if speaks == Speaks::Bridge {
            builder = builder.set("bridge", "all");
        }
        if self.fault.json {
            builder = builder.framings([Framing::Json]);
        }
        let mut builder = builder.set("max_log_lines", 1_000_000);
        if self.schedule.queue > 0 {
            builder = builder.set("max_queue", self.schedule.queue);
        }
        let host = self.network.host(&id);
        let started = builder.network(&host).start().await;
        let started = started.expect("a host has room for its node");
        let nth = self.started[node];
        self.started[node] += 1;
        let life = Life { node, nth };
        let keeps = self.fault.keep_monitors;
        let program = Program::new(
            life,
            started,
            self.record.clone(),
            self.serials.clone(),
            keeps,
        );
        program.follow(speaks.speaks(2));
        self.living.insert(node, program);
        self.secrets.insert(node, secret);
    }

    fn hosts(&self) -> impl Iterator<Item = String> + use<> {
        (0..self.schedule.nodes.len()).map(|n| format!("n{n}"))
    }

    fn cut_off(&self, node: usize) {
        for other in self.hosts() {
            self.network.cut(&format!("n{node}"), &other);
        }
    }

    /// The process is gone; its host, which is there, resets what it had open.
    async fn crash(&mut self, node: usize) {
        if let Some(program) = self.living.remove(&node) {
            program.over("crashes");
            self.network.isolate(&format!("n{node}"));
            self.cut_off(node);
            program.node.shutdown().await;
            self.network.rejoin(&format!("n{node}"));
        }
    }

    /// The host is gone: what it had open is reset only when it is there again.
    async fn vanish(&mut self, node: usize) {
        if let Some(program) = self.living.remove(&node) {
            program.over("vanishes");
            self.network.isolate(&format!("n{node}"));
            self.vanished.insert(node);
            program.node.shutdown().await;
        }
    }

    pub async fn stop(&mut self, node: usize) {
        if let Some(program) = self.living.remove(&node) {
            program.over("stops");
            for supervisor in program.take_supervisors() {
                supervisor.stop(Reason::normal()).await;
            }
            program.node.shutdown().await;
        }
    }

    /// A host is there again.
    fn rejoin(&mut self, node: usize) {
        if self.vanished.remove(&node) {
            self.cut_off(node);
        }
        self.network.rejoin(&format!("n{node}"));
    }

    /// Nothing is in anybody's way any more, and all nodes are there and know the secret.
    pub async fn heal(&mut self) {
        for node in std::mem::take(&mut self.vanished) {
            self.cut_off(node);
        }
        let hosts: Vec<String> = self.hosts().collect();
        for from in &hosts {
            for to in &hosts {
                self.network.set_rate(from, to, None);
                let delay = Duration::from_millis(self.schedule.delay);
                self.network.set_delay(from, to, delay);
            }
        }
        self.network.heal_all();
        for node in 0..hosts.len() {
            if self.secrets.get(&node) != Some(&0) {
                self.stop(node).await;
            }
            self.start(node, 0).await;
        }
    }
}
