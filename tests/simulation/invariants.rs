//! What holds after every schedule, once everything is healed and time has passed.

use std::collections::{BTreeMap, BTreeSet};

use aemp::PortId;
use serde_json::Value;

use crate::evidence::{Evidence, View, Wanted};
use crate::record::{Event, Life};

/// Something that has to hold: says how it does not, if it does not.
pub struct Invariant {
    pub name: &'static str,
    pub check: fn(&Evidence) -> Option<String>,
}

macro_rules! invariants {
    ($($name:ident,)*) => {
        pub const ALL: &[Invariant] = &[$(Invariant { name: stringify!($name), check: $name }),*];
    };
}

invariants! {
    the_mesh_is_whole,
    groups_are_whole,
    the_database_agrees,
    readers_see_what_there_is,
    changes_fit_each_other,
    all_nodes_answer,
    messages_come_once_and_in_order,
    no_message_comes_behind_a_lost_one,
    nothing_is_lost_in_silence,
    messages_come_to_their_port,
    monitors_fire_once,
    monitors_fire_for_a_death,
    ended_monitors_are_quiet,
    monitors_are_quiet_at_rest,
    calls_end,
    calls_are_answered_by_who_was_called,
    port_names_are_new,
    ports_are_removed,
    peers_are_forgotten,
    queues_are_empty,
    nothing_is_held,
    connections_are_finished,
    children_run,
    tasks_end,
    connections_end,
    nothing_panics,
    memory_is_given_back,
}

/// What is broken, each with its name.
pub fn broken(evidence: &Evidence) -> Vec<(&'static str, String)> {
    let check = |invariant: &Invariant| Some((invariant.name, (invariant.check)(evidence)?));
    ALL.iter().filter_map(check).collect()
}

/// Whether the network shows what it should, as far as that takes time.
pub fn as_wanted(views: &[View], wanted: &[Wanted]) -> bool {
    let pairs = || views.iter().zip(wanted);
    pairs().all(|(view, wanted)| {
        mesh_fault(view, wanted).is_none()
            && group_fault(view, wanted).is_none()
            && family_fault(view, wanted).is_none()
            && view.load.queued == 0
            && view.load.unfinished == 0
            && view.missing_children == 0
    })
}

/// The first fault of a node, with its name.
fn first(evidence: &Evidence, fault: impl Fn(&View, &Wanted) -> Option<String>) -> Option<String> {
    let pairs = evidence.views.iter().zip(&evidence.wanted).enumerate();
    pairs
        .filter_map(|(n, (view, wanted))| Some(format!("n{n} {}", fault(view, wanted)?)))
        .next()
}

fn mesh_fault(view: &View, wanted: &Wanted) -> Option<String> {
    let missing: Vec<_> = wanted.up.difference(&view.up).collect();
    (!missing.is_empty()).then(|| format!("has no link to the nodes {missing:?}"))
}

fn group_fault(view: &View, wanted: &Wanted) -> Option<String> {
    let different = |(group, seen): (&u64, &BTreeSet<PortId>)| {
        let due = &wanted.groups[group];
        (seen != due).then(|| format!("sees {seen:?} in group g{group}, and not {due:?}"))
    };
    view.groups.iter().find_map(different)
}

fn family_fault(view: &View, wanted: &Wanted) -> Option<String> {
    let nothing = BTreeMap::new();
    let different = |(family, seen): (&u64, &Option<BTreeMap<String, Value>>)| {
        let due = wanted.families.get(family).unwrap_or(&nothing);
        let Some(seen) = seen else {
            return Some(format!("gets no answer about family f{family}"));
        };
        let one_of = |key: &String, value: &Value| {
            let values = due.get(key);
            values.is_some_and(|values| value.as_u64().is_some_and(|v| values.contains(&v)))
        };
        let agrees = seen.len() == due.len() && seen.iter().all(|(key, v)| one_of(key, v));
        (!agrees).then(|| format!("sees {seen:?} in family f{family}, and not one of {due:?}"))
    };
    view.families.iter().find_map(different)
}

fn the_mesh_is_whole(evidence: &Evidence) -> Option<String> {
    first(evidence, mesh_fault)
}

fn groups_are_whole(evidence: &Evidence) -> Option<String> {
    first(evidence, group_fault)
}

fn the_database_agrees(evidence: &Evidence) -> Option<String> {
    first(evidence, family_fault)
}

/// Who has put together all changes has what there is.
fn readers_see_what_there_is(evidence: &Evidence) -> Option<String> {
    first(evidence, |view, _| {
        let followed = &view.followed;
        let up: BTreeSet<String> = view.up.iter().map(|n| format!("n{n}")).collect();
        if followed.up != up {
            return Some(format!(
                "has told of {:?} as up, and not of {up:?}",
                followed.up
            ));
        }
        let nothing = BTreeSet::new();
        for (group, seen) in &view.groups {
            let told = followed.groups.get(group).unwrap_or(&nothing);
            if told != seen {
                return Some(format!(
                    "has told of {told:?} in group g{group}, and not of {seen:?}"
                ));
            }
        }
        let nothing = BTreeMap::new();
        let families = view.families.iter();
        families
            .filter_map(|(family, seen)| Some((family, seen.as_ref()?)))
            .find_map(|(family, seen)| {
                let told = followed.families.get(family).unwrap_or(&nothing);
                (told != seen).then(|| {
                    format!("has told of {told:?} in family f{family}, and not of {seen:?}")
                })
            })
    })
}

fn changes_fit_each_other(evidence: &Evidence) -> Option<String> {
    evidence.events().find_map(|(_, event)| match event {
        Event::Misled(how) => Some(how.clone()),
        _ => None,
    })
}

fn all_nodes_answer(evidence: &Evidence) -> Option<String> {
    let (from, to, error) = evidence.deaf.first()?;
    Some(format!("n{to} does not answer n{from}: {error}"))
}

/// What became of the numbered messages behind one monitor.
#[derive(Debug, Default)]
struct Stretch {
    sent: u64,
    /// What came, unless the port was found not to be there yet.
    got: Vec<u64>,
}

/// By the numbers of the monitors, which are in the order of time for each flow.
fn stretches(evidence: &Evidence) -> BTreeMap<u64, Stretch> {
    let mut all: BTreeMap<u64, Stretch> = BTreeMap::new();
    let adrift: BTreeSet<(u64, u64)> = evidence
        .events()
        .filter_map(|(_, event)| match event {
            Event::Adrift { monitor, n } => Some((*monitor, *n)),
            _ => None,
        })
        .collect();
    // A port that another node was asked to make: what came before the request is lost, what comes
    // behind it arrives, and the answer to the monitor says the former but may take its time.
    let too_early: BTreeSet<u64> = evidence
        .events()
        .filter_map(|(_, event)| match event {
            Event::Fired { monitor, reason } if reason.kind() == Some("no_such_port") => {
                Some(*monitor)
            }
            _ => None,
        })
        .collect();
    for (_, event) in evidence.events() {
        match event {
            Event::Sent { monitor, n, .. } | Event::Got { monitor, n, .. }
                if adrift.contains(&(*monitor, *n)) => {}
            Event::Sent { monitor, .. } => {
                let stretch = all.entry(*monitor).or_default();
                stretch.sent += 1;
            }
            Event::Got { monitor, n, .. } => {
                let stretch = all.entry(*monitor).or_default();
                if !too_early.contains(monitor) {
                    stretch.got.push(*n);
                }
            }
            _ => {}
        }
    }
    all
}

fn messages_come_once_and_in_order(evidence: &Evidence) -> Option<String> {
    // The last message of each flow that came.
    let mut last: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    for (_, event) in evidence.events() {
        if let Event::Got {
            flow,
            monitor,
            n,
            at,
        } = event
        {
            let before = last.insert(*flow, (*monitor, *n));
            if before >= Some((*monitor, *n)) {
                let (m, k) = before.unwrap_or_default();
                return Some(format!(
                    "{at} gets number {n} of monitor {monitor} behind number {k} of monitor {m}"
                ));
            }
        }
    }
    None
}

fn no_message_comes_behind_a_lost_one(evidence: &Evidence) -> Option<String> {
    stretches(evidence).iter().find_map(|(monitor, stretch)| {
        let mut due = (0..).zip(&stretch.got);
        let (lost, got) = due.find(|(due, got)| *due < **got)?;
        Some(format!(
            "number {got} of monitor {monitor} came, and number {lost} did not"
        ))
    })
}

/// While the port lives and its monitor is silent all that was sent has come, once all is at rest.
fn nothing_is_lost_in_silence(evidence: &Evidence) -> Option<String> {
    let over = evidence.over();
    let by = monitors(evidence);
    stretches(evidence).iter().find_map(|(monitor, stretch)| {
        let watch = by.get(monitor)?;
        let (got, sent) = (stretch.got.len() as u64, stretch.sent);
        // Who stops while it sends need not hear of anything any more.
        let stays = over.get(&watch.by).is_none_or(|at| *at > evidence.settled);
        let fired = watch
            .fired
            .first()
            .is_some_and(|at| *at <= evidence.settled);
        (stays && watch.set <= evidence.settled && got < sent && !fired)
            .then(|| format!("{got} of {sent} messages came, and monitor {monitor} is silent"))
    })
}

fn messages_come_to_their_port(evidence: &Evidence) -> Option<String> {
    let by = monitors(evidence);
    evidence.events().find_map(|(_, event)| match event {
        Event::Got { at, monitor, .. } => {
            let id = by.get(monitor).map(|watch| &watch.id);
            (id != Some(at)).then(|| format!("{at} gets a message to {id:?}"))
        }
        _ => None,
    })
}

/// A monitor of the program.
struct Watch {
    id: PortId,
    by: Life,
    by_message: bool,
    ended: bool,
    /// When it was set.
    set: u64,
    /// When it fired.
    fired: Vec<u64>,
}

fn monitors(evidence: &Evidence) -> BTreeMap<u64, Watch> {
    let mut all = BTreeMap::new();
    for (at, event) in evidence.events() {
        match event {
            Event::Watched {
                monitor,
                id,
                by,
                by_message,
            } => {
                let watch = Watch {
                    id: id.clone(),
                    by: *by,
                    by_message: *by_message,
                    ended: false,
                    set: at,
                    fired: Vec::new(),
                };
                all.insert(*monitor, watch);
            }
            Event::Unwatched { monitor } => {
                if let Some(watch) = all.get_mut(monitor) {
                    watch.ended = true;
                }
            }
            Event::Fired { monitor, .. } => {
                if let Some(watch) = all.get_mut(monitor) {
                    watch.fired.push(at);
                }
            }
            _ => {}
        }
    }
    all
}

/// At the end all nodes stop, so that every monitor fires.
fn monitors_fire_once(evidence: &Evidence) -> Option<String> {
    let over = evidence.over();
    monitors(evidence).iter().find_map(|(monitor, watch)| {
        let Watch { id, by, fired, .. } = watch;
        let times = fired.len();
        // The port that would have been told has ended with its node.
        let deaf = watch.by_message && over.contains_key(by);
        (times > 1 || (times == 0 && !watch.ended && !deaf))
            .then(|| format!("monitor {monitor} of {by} on {id} fires {times} times"))
    })
}

fn monitors_fire_for_a_death(evidence: &Evidence) -> Option<String> {
    let over = evidence.over();
    monitors(evidence).iter().find_map(|(monitor, watch)| {
        let Watch { id, by, fired, .. } = watch;
        let stays = over.get(by).is_none_or(|at| *at >= evidence.stopped);
        // Until when the port's death is to be known.
        let until = match evidence.living.contains(id) {
            true => evidence.stopped,
            false if watch.set > evidence.healed => evidence.stopped,
            false => evidence.settled,
        };
        let told = fired.first().is_some_and(|at| *at <= until);
        (stays && !watch.ended && !told)
            .then(|| format!("{id} is dead, and monitor {monitor} of {by} does not fire"))
    })
}

/// A monitor that was ended may still fire for a port that was dead by then.
fn ended_monitors_are_quiet(evidence: &Evidence) -> Option<String> {
    let (mut alive, mut ended) = (BTreeSet::new(), BTreeMap::new());
    let by = monitors(evidence);
    evidence.events().find_map(|(_, event)| match event {
        Event::Opened { id, .. } => {
            alive.insert(id);
            None
        }
        Event::Killed { id, .. } => {
            alive.remove(id);
            None
        }
        Event::Unwatched { monitor } => {
            let id = &by.get(monitor)?.id;
            // If it has not fired it is for a port that lives, as far as is known here.
            ended.insert(monitor, alive.contains(id));
            None
        }
        Event::Fired { monitor, reason } => {
            // What the network loses is told when that was noticed: that may have been before.
            let is_own = reason.kind() == Some("killed");
            (ended.get(monitor) == Some(&true) && is_own)
                .then(|| format!("monitor {monitor} was ended, and fires: {reason}"))
        }
        _ => None,
    })
}

fn monitors_are_quiet_at_rest(evidence: &Evidence) -> Option<String> {
    evidence.events().find_map(|(at, event)| match event {
        Event::Fired { monitor, reason } if at > evidence.settled && at < evidence.killed => {
            Some(format!("monitor {monitor} fires without a cause: {reason}"))
        }
        _ => None,
    })
}

fn calls_end(evidence: &Evidence) -> Option<String> {
    let mut open = BTreeMap::new();
    for (at, event) in evidence.events() {
        match event {
            Event::Called { call, id, by } => {
                open.insert(call, (id, by));
            }
            Event::Answered { call, .. } if at <= evidence.killed => {
                open.remove(call);
            }
            // Nobody waits for what the calls of a node that is gone give.
            Event::Over(life, _) if at <= evidence.killed => open.retain(|_, (_, by)| *by != life),
            _ => {}
        }
    }
    let (call, (id, by)) = open.first_key_value()?;
    Some(format!("call {call} of {by} to {id} does not end"))
}

fn calls_are_answered_by_who_was_called(evidence: &Evidence) -> Option<String> {
    evidence.events().find_map(|(_, event)| match event {
        Event::Answered { call, how } if how.starts_with("answered by") => {
            Some(format!("call {call} is {how}"))
        }
        _ => None,
    })
}

fn port_names_are_new(evidence: &Evidence) -> Option<String> {
    let mut seen = BTreeSet::new();
    evidence.events().find_map(|(_, event)| match event {
        Event::Opened { id, .. } => (!seen.insert(id)).then(|| format!("{id} is there twice")),
        _ => None,
    })
}

fn ports_are_removed(evidence: &Evidence) -> Option<String> {
    let nodes = evidence.bare.iter().enumerate();
    let fault = |(n, bare): (usize, &crate::evidence::Bare)| {
        (bare.ports > bare.gossip).then(|| {
            let (ports, gossip) = (bare.ports, bare.gossip);
            format!("n{n} has {ports} ports when all were killed, {gossip} of them for gossip")
        })
    };
    nodes.filter_map(fault).next()
}

fn peers_are_forgotten(evidence: &Evidence) -> Option<String> {
    first(evidence, |view, wanted| {
        let may: BTreeSet<String> = wanted.may_be_up.iter().map(|n| format!("n{n}")).collect();
        let more: Vec<_> = view.known.difference(&may).collect();
        (!more.is_empty()).then(|| format!("still keeps something for {more:?}"))
    })
}

fn queues_are_empty(evidence: &Evidence) -> Option<String> {
    first(evidence, |view, _| {
        (view.load.queued > 0).then(|| format!("has {} octets to write", view.load.queued))
    })
}

fn nothing_is_held(evidence: &Evidence) -> Option<String> {
    /// What a peer is counted for goes up and down in steps.
    const STEP: usize = 64 * 1024;
    first(evidence, |view, _| {
        let most = (view.known.len() + 1) * STEP;
        (view.load.held > most).then(|| format!("holds {} octets for others", view.load.held))
    })
}

fn connections_are_finished(evidence: &Evidence) -> Option<String> {
    first(evidence, |view, _| {
        let unfinished = view.load.unfinished;
        (unfinished > 0).then(|| format!("has {unfinished} connections that are not finished"))
    })
}

fn children_run(evidence: &Evidence) -> Option<String> {
    first(evidence, |view, _| {
        let missing = view.missing_children;
        (missing > 0).then(|| format!("has {missing} children that do not run"))
    })
}

fn tasks_end(evidence: &Evidence) -> Option<String> {
    let left = evidence.tasks_left;
    (left > 0).then(|| format!("{left} tasks are left when all nodes have stopped"))
}

fn connections_end(evidence: &Evidence) -> Option<String> {
    let left = evidence.connections_left;
    (left > 0).then(|| format!("{left} connections are left when all nodes have stopped"))
}

fn nothing_panics(evidence: &Evidence) -> Option<String> {
    let panics = evidence.panics;
    (panics > 0).then(|| format!("there are {panics} panics"))
}

fn memory_is_given_back(evidence: &Evidence) -> Option<String> {
    /// What a table that stays with its thread may have grown by.
    const KEPT: i64 = 4 * 1024;
    let left = evidence.heap_left;
    (left > KEPT).then(|| format!("{left} octets are not given back when all nodes have stopped"))
}

/// No invariant, as it is so by the protocol of generations 0 and 1: nodes that lost each other for
/// longer than an attempt takes stay apart until one has something to say to the other.
pub fn apart(evidence: &Evidence) -> Option<String> {
    let pairs = evidence.alone.iter().zip(&evidence.wanted).enumerate();
    let fault = |(n, (view, wanted))| Some(format!("n{n} {}", mesh_fault(view, wanted)?));
    pairs.filter_map(fault).next()
}
