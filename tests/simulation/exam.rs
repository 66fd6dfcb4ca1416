//! What comes behind a schedule: all is healed, time passes until the network is at rest, and it is
//! looked at; then everything that programs have is ended, and looked at once more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use aemp::{Node, PortId, Reason, supervise::ChildState};
use serde_json::Value;

use crate::evidence::{Bare, Evidence, Load, View, Wanted};
use crate::invariants;
use crate::program::{ASKED, Program};
use crate::world::World;

/// Between two looks at the network.
const LOOK: Duration = Duration::from_secs(10);

/// It is at rest when nothing has happened for so many looks, which is longer than each time-out
/// of the nodes.
const QUIET: usize = 7;

/// After so many it is judged as it is.
const MOST_LOOKS: usize = 120;

/// Nodes of the old generations that have lost each other do not look for each other by themselves,
/// and a node knows where another one is only from others: so each asks all others for something,
/// a few times.
const ROUNDS: usize = 3;

/// How long a node may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Of a network that is not small, each node asks so many others, and the seeds: in generation 0
/// who has links looks for no seed, and a seed that began again knows nobody.
const NEXT: usize = 6;

pub async fn examine(mut world: World) -> Evidence {
    world.heal().await;
    let healed = world.record.now();
    if let Some(meddle) = &world.fault.meddle {
        meddle(&world);
    }
    come_to_rest(&world, |_, _| true).await;
    let alone = views(&world).await;
    for _ in 0..ROUNDS {
        trips(&world).await;
        if come_to_rest(&world, invariants::as_wanted).await {
            break;
        }
    }
    let loads = least_loads(&world).await;
    let settled = world.record.now();
    let (mut views, wanted) = (views(&world).await, wanted(&world));
    for (view, load) in views.iter_mut().zip(loads) {
        view.load = load;
    }
    let deaf = trips(&world).await;
    let living = living(&world);
    world.mark("ports are monitored");
    watch(&world, &living);
    tokio::time::sleep(PATIENCE).await;
    let killed = world.record.now();
    world.mark("all ports are killed");
    end_all(&world, &living).await;
    tokio::time::sleep(PATIENCE).await;
    let stopped = world.record.now();
    let bare = bare(&world);
    let metrics = tokio::runtime::Handle::current().metrics();
    world.mark("all nodes are stopped");
    for node in 0..world.schedule.nodes.len() {
        world.stop(node).await;
    }
    tokio::time::sleep(PATIENCE).await;
    Evidence {
        entries: world.record.take(),
        healed,
        settled,
        alone,
        views,
        wanted,
        deaf,
        living: living.into_values().collect(),
        killed,
        stopped,
        bare,
        tasks_left: metrics.num_alive_tasks(),
        connections_left: world.network.connections(),
        panics: 0,
        heap_left: 0,
    }
}

fn programs(world: &World) -> impl Iterator<Item = &Arc<Program>> {
    world.living.values()
}

/// Waits until the network shows what it should, and nothing happens any more. Gives whether that
/// is so in the end.
async fn come_to_rest(world: &World, as_wanted: fn(&[View], &[Wanted]) -> bool) -> bool {
    let (mut quiet, mut seen) = (0, 0);
    for _ in 0..MOST_LOOKS {
        tokio::time::sleep(LOOK).await;
        let entries = world.record.len();
        quiet = if entries == seen { quiet + 1 } else { 0 };
        seen = entries;
        // Ports may die meanwhile: what is wanted is what is wanted now.
        if quiet >= QUIET && as_wanted(&views(world).await, &wanted(world)) {
            return true;
        }
    }
    false
}

/// The ports of programs that are there, by their numbers.
fn living(world: &World) -> BTreeMap<u64, PortId> {
    let all = world.ports.iter();
    let there = all.filter(|(_, place)| world.owner(place).is_some());
    there
        .map(|(port, place)| (*port, place.id.clone()))
        .collect()
}

fn wanted(world: &World) -> Vec<Wanted> {
    let schedule = &world.schedule;
    let living = living(world);
    let all = 0..schedule.nodes.len();
    let of = |me: usize| {
        let mut groups = BTreeMap::new();
        for group in 0..3 {
            let members = living.iter().filter(|(port, _)| {
                let joined = world.groups.get(port);
                let owner = world.ports[port].owner.node;
                joined.is_some_and(|groups| groups.contains(&group))
                    && schedule.shares_groups(me, owner)
            });
            groups.insert(group, members.map(|(_, id)| id.clone()).collect());
        }
        let mut families = BTreeMap::new();
        for program in programs(world) {
            for ((family, key), (value, _)) in &*program.entries.lock().unwrap() {
                let keys: &mut BTreeMap<String, BTreeSet<u64>> =
                    families.entry(*family).or_default();
                let in_database = schedule.nodes[program.life.node].speaks.speaks(2);
                if in_database {
                    keys.entry(format!("k{key}")).or_default().insert(*value);
                }
            }
        }
        Wanted {
            up: all
                .clone()
                .filter(|other| schedule.linked(me, *other))
                .collect(),
            may_be_up: all
                .clone()
                .filter(|other| schedule.reach(me, *other))
                .collect(),
            groups,
            families,
        }
    };
    all.clone().map(of).collect()
}

async fn views(world: &World) -> Vec<View> {
    // Before anybody is asked for anything.
    let loads: Vec<Load> = programs(world).map(|program| load(&program.node)).collect();
    let mut views = Vec::new();
    for (program, load) in programs(world).zip(loads) {
        views.push(view(world, program, load).await);
    }
    views
}

/// What each node always has to do. Now and then a node looks for something, such as whether
/// another one has taken the address that it has itself; what counts is what never ends.
async fn least_loads(world: &World) -> Vec<Load> {
    let mut least: Vec<Load> = programs(world).map(|program| load(&program.node)).collect();
    for _ in 0..5 {
        tokio::time::sleep(LOOK).await;
        for (least, program) in least.iter_mut().zip(programs(world)) {
            let now = load(&program.node);
            least.queued = least.queued.min(now.queued);
            least.held = least.held.min(now.held);
            least.unfinished = least.unfinished.min(now.unfinished);
        }
    }
    least
}

fn load(node: &Node) -> Load {
    let stats = node.stats();
    Load {
        queued: stats.links.iter().map(|link| link.queued_octets).sum(),
        held: stats.held_octets,
        unfinished: stats.dials + stats.unproved,
    }
}

async fn view(world: &World, program: &Program, load: Load) -> View {
    let node = &program.node;
    let number = |id: &str| id.strip_prefix('n').and_then(|number| number.parse().ok());
    let members = |group: u64| node.members(&format!("g{group}")).into_iter().collect();
    let mut families = BTreeMap::new();
    if world.schedule.nodes[program.life.node].speaks.speaks(2) {
        for family in 0..2 {
            let name = format!("f{family}");
            let answer = node.db_family::<Value>(&name);
            let answer = tokio::time::timeout(PATIENCE, answer).await;
            let answer = answer.ok().and_then(Result::ok);
            families.insert(family, answer.map(|family| family.values));
        }
    }
    let supervisors = program.supervisors.lock().unwrap();
    let children = supervisors
        .iter()
        .flat_map(|supervisor| supervisor.children());
    let missing = children.filter(|child| child.state != ChildState::Running);
    View {
        up: node
            .up_nodes()
            .iter()
            .filter_map(|id| number(id.as_str()))
            .collect(),
        known: node.known_nodes().iter().map(ToString::to_string).collect(),
        groups: (0..3).map(|group| (group, members(group))).collect(),
        families,
        followed: program.followed.lock().unwrap().clone(),
        load,
        missing_children: missing.count(),
    }
}

/// Each node asks others who they are; who got no answer from whom.
async fn trips(world: &World) -> Vec<(usize, usize, String)> {
    let count = world.schedule.nodes.len();
    let asks = |from: usize, to: usize| {
        let distance = (to + count - from) % count;
        count <= 12 || distance <= NEXT || world.schedule.nodes[to].is_seed
    };
    let mut tasks = tokio::task::JoinSet::new();
    for from in programs(world) {
        for to in 0..count {
            let me = from.life.node;
            let name = format!("n{to}");
            // Nodes of old generations that were apart for long stay so until one says something.
            let apart = || world.schedule.linked(me, to) && !from.node.node_is_up(&name);
            if me != to && world.schedule.reach(me, to) && (asks(me, to) || apart()) {
                let node = from.node.clone();
                tasks.spawn(async move {
                    match node
                        .cal::<(String,)>(&*name, &(ASKED,), Some(PATIENCE))
                        .await
                    {
                        Ok((who,)) if who == name => None,
                        Ok((who,)) => Some((me, to, format!("{who} answers"))),
                        Err(error) => Some((me, to, error.to_string())),
                    }
                });
            }
        }
    }
    let mut deaf: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
    deaf.sort();
    deaf
}

/// Some other node monitors each port.
fn watch(world: &World, living: &BTreeMap<u64, PortId>) {
    let count = world.schedule.nodes.len();
    for (port, id) in living {
        let owner = world.ports[port].owner.node;
        let others = (1..=count).map(|step| (owner + step) % count);
        let by = others.skip(*port as usize % count).chain([owner]);
        let by = by.into_iter().find(|by| world.schedule.reach(*by, owner));
        let program = &world.living[&by.unwrap_or(owner)];
        program.watch(id);
    }
}

/// Ends all that programs have.
async fn end_all(world: &World, living: &BTreeMap<u64, PortId>) {
    for (port, id) in living {
        world.living[&world.ports[port].owner.node].kill(id);
    }
    for program in programs(world) {
        for supervisor in program.take_supervisors() {
            supervisor.stop(Reason::normal()).await;
        }
    }
}

fn bare(world: &World) -> Vec<Bare> {
    let of = |program: &Arc<Program>| Bare {
        ports: program.node.stats().ports,
        gossip: gossips(world, program.life.node),
    };
    programs(world).map(of).collect()
}

/// How many nodes have a port on this one for their gossip: those of the old generations, or what
/// stands there for them.
fn gossips(world: &World, me: usize) -> usize {
    let schedule = &world.schedule;
    let old = |node: usize, number: u32| schedule.nodes[node].speaks.speaks(number);
    let is_bridged = schedule.is_bridged();
    let gossips = |other: &usize| {
        let common = (0..2).any(|number| old(me, number) && old(*other, number));
        let stands_in = is_bridged && (0..2).any(|number| old(me, number));
        schedule.linked(me, *other) && (common || stands_in)
    };
    (0..schedule.nodes.len()).filter(gossips).count()
}
