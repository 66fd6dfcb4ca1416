//! What comes behind a schedule: all is healed, time passes until the network is at rest, and it is
//! looked at; then everything that programs have is ended, and looked at once more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use aemp::{Node, PortId, Reason, supervise::ChildState};
use serde_json::Value;

use crate::evidence::{Bare, Evidence, View, Wanted};
use crate::program::Program;
use crate::world::World;

/// Between two looks at the network.
const LOOK: Duration = Duration::from_secs(10);

/// It is at rest when nothing has happened for so many looks, which is longer than each time-out
/// of the nodes.
const QUIET: usize = 7;

/// After so many it is judged as it is.
const MOST_LOOKS: usize = 120;

/// How long a node may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Of a network that is not small, each node asks so many others.
const ASKED: usize = 6;

pub async fn examine(mut world: World) -> Evidence {
    world.heal().await;
    let healed = world.record.now();
    if let Some(meddle) = &world.fault.meddle {
        meddle(&world);
    }
    settle(&world).await;
    let settled = world.record.now();
    let (views, wanted) = (views(&world).await, wanted(&world));
    let deaf = trips(&world).await;
    let living = living(&world);
    world.mark("ports are monitored");
    let examined = watch(&world, &living);
    tokio::time::sleep(PATIENCE).await;
    let killed = world.record.now();
    world.mark("all ports are killed");
    end_all(&world, &living).await;
    tokio::time::sleep(PATIENCE).await;
    let bare = bare(&world);
    let metrics = tokio::runtime::Handle::current().metrics();
    let (bare_tasks, bare_connections) = (metrics.num_alive_tasks(), world.network.connections());
    world.mark("all nodes are stopped");
    for node in 0..world.schedule.nodes.len() {
        world.stop(node).await;
    }
    tokio::time::sleep(PATIENCE).await;
    Evidence {
        entries: world.record.take(),
        healed,
        settled,
        views,
        wanted,
        deaf,
        living: living.into_values().collect(),
        examined,
        killed,
        bare,
        bare_tasks,
        bare_connections,
        tasks_left: metrics.num_alive_tasks(),
        connections_left: world.network.connections(),
        panics: 0,
        schedule: world.schedule,
    }
}

fn programs(world: &World) -> impl Iterator<Item = &Arc<Program>> {
    world.living.values()
}

/// Waits until the network shows what it should, and nothing happens any more.
async fn settle(world: &World) {
    let (mut quiet, mut seen) = (0, 0);
    for _ in 0..MOST_LOOKS {
        tokio::time::sleep(LOOK).await;
        let entries = world.record.len();
        quiet = if entries == seen { quiet + 1 } else { 0 };
        seen = entries;
        // Ports may die meanwhile: what is wanted is what is wanted now.
        if quiet >= QUIET && crate::invariants::as_wanted(&views(world).await, &wanted(world)) {
            return;
        }
    }
}

/// The ports of programs that are there, by their numbers.
fn living(world: &World) -> BTreeMap<u64, PortId> {
    let lives = |node: usize| world.living.get(&node).map(|program| program.life);
    let all = world.ports.iter();
    let there = all.filter(|(_, place)| {
        lives(place.owner.node) == Some(place.owner)
            && node(world, place.owner.node)
                .local_port(&place.id)
                .is_some()
    });
    there
        .map(|(port, place)| (*port, place.id.clone()))
        .collect()
}

fn node(world: &World, number: usize) -> &Node {
    &world.living[&number].node
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
                joined.is_some_and(|groups| groups.contains(&group)) && schedule.reach(me, owner)
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
    let mut views = Vec::new();
    for program in programs(world) {
        views.push(view(world, program).await);
    }
    views
}

async fn view(world: &World, program: &Program) -> View {
    let node = &program.node;
    let number = |id: &str| id.strip_prefix('n').and_then(|number| number.parse().ok());
    let stats = node.stats();
    let members = |group: u64| node.members(&format!("g{group}")).into_iter().collect();
    let mut families = BTreeMap::new();
    if world.schedule.nodes[program.life.node].speaks.speaks(2) {
        for family in 0..2 {
            let name = format!("f{family}");
            let answer = node.db_family::<Value>(&name);
            let answer = tokio::time::timeout(PATIENCE, answer).await;
            families.insert(family, answer.ok().and_then(Result::ok));
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
        queued: stats.links.iter().map(|link| link.queued_octets).sum(),
        held: stats.held_octets,
        unfinished: stats.dials + stats.unproved,
        missing_children: missing.count(),
    }
}

/// Each node asks others for the time; who got no answer from whom.
async fn trips(world: &World) -> Vec<(usize, usize, String)> {
    let count = world.schedule.nodes.len();
    let asks = move |from: usize, to: usize| {
        let distance = (to + count - from) % count;
        count <= 12 || distance <= ASKED
    };
    let mut tasks = tokio::task::JoinSet::new();
    for from in programs(world) {
        for to in 0..count {
            let me = from.life.node;
            if me != to && asks(me, to) && world.schedule.reach(me, to) {
                let node = from.node.clone();
                tasks.spawn(async move {
                    let trip = node.round_trip(format!("n{to}"), PATIENCE).await;
                    trip.err().map(|error| (me, to, error.to_string()))
                });
            }
        }
    }
    let mut deaf: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
    deaf.sort();
    deaf
}

/// Some other node monitors each port.
fn watch(world: &World, living: &BTreeMap<u64, PortId>) -> BTreeMap<u64, PortId> {
    let count = world.schedule.nodes.len();
    let mut examined = BTreeMap::new();
    for (port, id) in living {
        let owner = world.ports[port].owner.node;
        let others = (1..=count).map(|step| (owner + step) % count);
        let by = others.skip(*port as usize % count).chain([owner]);
        let by = by.into_iter().find(|by| world.schedule.reach(*by, owner));
        let program = &world.living[&by.unwrap_or(owner)];
        examined.insert(program.watch(id), id.clone());
    }
    examined
}

/// Ends all that programs have.
async fn end_all(world: &World, living: &BTreeMap<u64, PortId>) {
    for (port, id) in living {
        world.living[&world.ports[port].owner.node].kill(id);
    }
    for program in programs(world) {
        let supervisors = std::mem::take(&mut *program.supervisors.lock().unwrap());
        for supervisor in supervisors {
            supervisor.stop(Reason::normal()).await;
        }
    }
}

fn bare(world: &World) -> Vec<Bare> {
    let of = |program: &Arc<Program>| {
        let stats = program.node.stats();
        let old = |link: &&aemp::LinkStats| !link.generation.starts_with('2');
        Bare {
            ports: stats.ports,
            gossip: stats.links.iter().filter(old).count(),
            links: stats.links.len(),
        }
    };
    programs(world).map(of).collect()
}
