//! What is known of the network, and what it looks like. Pure: it is told what was answered, and
//! when.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use aemp::{LinkStats, NodeId, PortId, Report};
use tokio::time::Instant;

use super::answer::{Answer, Told};
use super::shape::{DeathView, GroupView, LinkView, LossView, NodeView, Rate, View, told};
use super::watch::{Look, Place};
use crate::trace::graph::{Graph, Pair};

/// Reports that are less apart say too little of rates.
const APART: Duration = Duration::from_millis(200);

/// No more are shown.
const MOST_GROUPS: usize = 500;
const MOST_MEMBERS: usize = 50;
const MOST_EVENTS: usize = 50;

/// What is known of the nodes.
pub(super) struct Network {
    own: NodeId,
    place: Place,
    nodes: BTreeMap<NodeId, Known>,
}

/// What is known of a node.
#[derive(Default)]
struct Known {
    report: Option<Box<Report>>,
    /// One before that, from which rates are counted.
    before: Option<Box<Report>>,
    /// When the report came.
    at: Option<Instant>,
    /// Whom it is linked to, if it says so without a report.
    links: Option<Vec<NodeId>>,
    ports: Option<usize>,
    provider: Option<String>,
    generation: Option<String>,
    round_trip: Option<Duration>,
    silent: Option<String>,
}

/// What a node says of a link.
struct Side<'a> {
    link: &'a LinkStats,
    /// What it sends, and what it receives.
    rates: Option<(Rate, Rate)>,
}

/// What goes over all links of a node.
#[derive(Clone, Copy, Default)]
struct Traffic {
    links: usize,
    sends: Option<Rate>,
    receives: Option<Rate>,
}

impl Traffic {
    /// What goes over one more.
    fn add(&mut self, sends: Option<Rate>, receives: Option<Rate>) {
        self.links += 1;
        for (sum, rate) in [(&mut self.sends, sends), (&mut self.receives, receives)] {
            if let Some(rate) = rate {
                *sum.get_or_insert_default() += rate;
            }
        }
    }
}

/// What is known besides of what nodes answer.
pub(super) struct Surroundings {
    pub(super) time: String,
    pub(super) seeds: Vec<NodeId>,
    pub(super) globals: Vec<NodeId>,
    pub(super) groups: BTreeMap<String, Vec<PortId>>,
    pub(super) left_out: usize,
}

impl Known {
    /// A report has come. The one before may be of another life of the node.
    fn reported(&mut self, report: Box<Report>, now: Instant) {
        if let Some(last) = self.report.take() {
            match report.age.checked_sub(last.age) {
                None => self.before = None,
                Some(apart) if apart < APART => {}
                Some(_) => self.before = Some(last),
            }
        }
        self.report = Some(report);
        self.at = Some(now);
        self.links = None;
    }

    /// Whom it is linked to, if it says so.
    fn linked(&self) -> Option<Vec<&NodeId>> {
        match (&self.report, &self.links) {
            (Some(report), _) => Some(report.stats.links.iter().map(|link| &link.node).collect()),
            (None, Some(links)) => Some(links.iter().collect()),
            (None, None) => None,
        }
    }

    /// What it sends over a link a second, and what it receives. `old`: what it said of the link
    /// before.
    fn rates(&self, link: &LinkStats, old: Option<&LinkStats>) -> Option<(Rate, Rate)> {
        let (before, report) = (self.before.as_ref()?, self.report.as_ref()?);
        let seconds = report.age.checked_sub(before.age)?.as_secs_f64();
        // A link that was made anew counts from its own beginning.
        let old = old.filter(|old| {
            (old.reconnects, &old.remote) == (link.reconnects, &link.remote)
                && old.sent_octets <= link.sent_octets
                && old.received_octets <= link.received_octets
        });
        let rate = |messages, octets, old: Option<(u64, u64)>| {
            let (old_messages, old_octets) = old.unwrap_or_default();
            let since = |now: u64, then: u64| precise(now.saturating_sub(then)) / seconds;
            Rate {
                messages: since(messages, old_messages),
                octets: since(octets, old_octets),
            }
        };
        Some((
            rate(
                link.sent,
                link.sent_octets,
                old.map(|old| (old.sent, old.sent_octets)),
            ),
            rate(
                link.received,
                link.received_octets,
                old.map(|old| (old.received, old.received_octets)),
            ),
        ))
    }
}

/// Counts that anybody looks at are far from where this is not exact.
#[allow(clippy::cast_precision_loss)]
fn precise(count: u64) -> f64 {
    count as f64
}

impl Network {
    pub(super) fn new(own: NodeId, place: Place) -> Self {
        Network {
            own,
            place,
            nodes: BTreeMap::new(),
        }
    }

    /// What our own node says.
    pub(super) fn own(&mut self, report: Report, now: Instant) {
        let own = self.nodes.entry(self.own.clone()).or_default();
        own.reported(Box::new(report), now);
    }

    /// What another one has answered, or why it has not.
    pub(super) fn answered(&mut self, id: &NodeId, answer: Result<Answer, String>, now: Instant) {
        let known = self.nodes.entry(id.clone()).or_default();
        match answer {
            Ok(answer) => {
                known.provider = answer.provider;
                known.generation = Some(answer.generation);
                known.round_trip = Some(answer.round_trip);
                known.silent = None;
                match answer.told {
                    Told::Report(mut report) => {
                        // Whoever answers, this is the node that was asked.
                        report.stats.node = id.clone();
                        known.reported(report, now);
                    }
                    Told::Links(links, ports) => {
                        (known.report, known.before) = (None, None);
                        (known.links, known.ports) = (Some(links), ports);
                    }
                    Told::Nothing => {
                        (known.report, known.before) = (None, None);
                        (known.links, known.ports) = (None, None);
                    }
                }
            }
            Err(why) => {
                *known = Known {
                    provider: known.provider.take(),
                    generation: known.generation.take(),
                    silent: Some(why),
                    ..Known::default()
                };
            }
        }
    }

    /// The nodes that are found by following links from our own node on, which is one of them if it
    /// is to be shown; so many at the most, the nearest, and how many there are more.
    pub(super) fn reachable(&self, most: usize) -> (BTreeSet<NodeId>, usize) {
        let mut found = HashSet::from([&self.own]);
        let mut edge = vec![&self.own];
        let mut kept = BTreeSet::new();
        if self.place == Place::Member {
            kept.insert(self.own.clone());
        }
        let mut left_out = 0;
        while !edge.is_empty() {
            let mut next = Vec::new();
            for id in edge {
                let known = self.nodes.get(id);
                for other in known.and_then(Known::linked).unwrap_or_default() {
                    if !found.insert(other) {
                        continue;
                    }
                    if kept.len() < most {
                        kept.insert(other.clone());
                        next.push(other);
                    } else {
                        left_out += 1;
                    }
                }
            }
            edge = next;
        }
        (kept, left_out)
    }

    /// Whether a node has told of links to others than these.
    pub(super) fn tells_of_more(&self, id: &NodeId, than: &BTreeSet<NodeId>) -> bool {
        let linked = self.nodes.get(id).and_then(Known::linked);
        let mut linked = linked.unwrap_or_default().into_iter();
        linked.any(|other| *other != self.own && !than.contains(other))
    }

    /// Forgets all other nodes. Of these, who has not answered yet is there all the same.
    pub(super) fn retain(&mut self, nodes: &BTreeSet<NodeId>) {
        for id in nodes {
            let unheard = || Known {
                silent: Some("no answer yet".to_owned()),
                ..Known::default()
            };
            self.nodes.entry(id.clone()).or_insert_with(unheard);
        }
        self.nodes
            .retain(|id, _| nodes.contains(id) || *id == self.own);
    }

    /// What it looks like.
    pub(super) fn look(&self, surroundings: Surroundings, now: Instant) -> Look {
        let graph = self.graph(&surroundings);
        let links = self.links(&graph);
        let mut total = Rate::default();
        for link in &links {
            [link.there, link.back]
                .into_iter()
                .flatten()
                .for_each(|rate| total += rate);
        }
        let view = View {
            node: told(self.own.as_str()),
            is_member: self.place == Place::Member,
            time: surroundings.time,
            total,
            nodes: self.nodes(&graph, &links),
            missing: graph
                .missing()
                .iter()
                .map(|(a, b)| [told(a.as_str()), told(b.as_str())])
                .collect(),
            links,
            groups: self.groups(surroundings.groups),
            deaths: self.deaths(now),
            losses: self.losses(now),
            nodes_left_out: surroundings.left_out,
        };
        Look { view, graph }
    }

    /// All nodes that are to be shown.
    fn shown(&self) -> impl Iterator<Item = (&NodeId, &Known)> {
        let is_shown = |id: &NodeId| self.place == Place::Member || *id != self.own;
        self.nodes.iter().filter(move |(id, _)| is_shown(id))
    }

    fn graph(&self, surroundings: &Surroundings) -> Graph {
        let mut graph = Graph::default();
        let shown: BTreeSet<&NodeId> = self.shown().map(|(id, _)| id).collect();
        for (id, known) in self.shown() {
            graph.met(id);
            if let Some(links) = known.linked() {
                graph.told(id, links.into_iter().filter(|other| shown.contains(other)));
            }
        }
        for (id, known) in self.shown() {
            let met = graph.met(id);
            met.provider.clone_from(&known.provider);
            met.generation.clone_from(&known.generation);
            met.lost.clone_from(&known.silent);
        }
        for (_, known) in self.shown() {
            if let Some(report) = &known.report {
                graph.stats(report.stats.clone());
            }
        }
        graph.settle_generations();
        surroundings.seeds.iter().for_each(|id| graph.seed(id));
        surroundings.globals.iter().for_each(|id| graph.global(id));
        graph
    }

    /// What nodes say of their links to each other, by who says it and to whom the link is.
    fn sides(&self) -> HashMap<(&NodeId, &NodeId), Side<'_>> {
        let mut sides = HashMap::new();
        for (id, known) in &self.nodes {
            let Some(report) = &known.report else {
                continue;
            };
            let before = known.before.iter().flat_map(|before| &before.stats.links);
            let before = before.map(|link| (&link.node, link));
            let before: HashMap<&NodeId, &LinkStats> = before.collect();
            for link in &report.stats.links {
                if self.nodes.contains_key(&link.node) {
                    let old = before.get(&link.node).copied();
                    let side = Side {
                        link,
                        rates: known.rates(link, old),
                    };
                    sides.entry((id, &link.node)).or_insert(side);
                }
            }
        }
        sides
    }

    /// The links of the graph, in its order.
    fn links(&self, graph: &Graph) -> Vec<LinkView> {
        let sides = self.sides();
        let view = |((a, b), link): (&Pair, &crate::trace::graph::Link)| {
            let both = [sides.get(&(a, b)), sides.get(&(b, a))];
            let [by_a, by_b] = both.map(|side| side.and_then(|side| side.rates));
            LinkView {
                nodes: [told(a.as_str()), told(b.as_str())],
                about: told(&link.words()),
                // Who sends knows it best.
                there: by_a
                    .map(|(sends, _)| sends)
                    .or(by_b.map(|(_, receives)| receives)),
                back: by_b
                    .map(|(sends, _)| sends)
                    .or(by_a.map(|(_, receives)| receives)),
                unwritten_octets: both.map(|side| side.map(|side| side.link.queued_octets)),
                reconnects: both
                    .into_iter()
                    .flatten()
                    .map(|side| side.link.reconnects)
                    .max(),
            }
        };
        graph.links.iter().map(view).collect()
    }

    /// All nodes that are to be shown. The links are those of the graph, in its order.
    fn nodes(&self, graph: &Graph, links: &[LinkView]) -> Vec<NodeView> {
        let mut traffic: HashMap<&NodeId, Traffic> = HashMap::new();
        for ((a, b), link) in graph.links.keys().zip(links) {
            traffic.entry(a).or_default().add(link.there, link.back);
            traffic.entry(b).or_default().add(link.back, link.there);
        }
        let mut all = Vec::new();
        for (id, known) in self.shown() {
            let Some(met) = graph.nodes.get(id) else {
                continue;
            };
            let traffic = traffic.get(id).copied().unwrap_or_default();
            let report = known.report.as_deref();
            let metrics = report.map(|report| &report.metrics);
            all.push(NodeView {
                provider: met.provider.as_deref().map(told),
                generation: met.generation.as_deref().map(told),
                roles: met.roles(),
                silent: known.silent.as_deref().map(told),
                round_trip_seconds: known.round_trip.map(|time| time.as_secs_f64()),
                age_seconds: report.map(|report| report.age.as_secs_f64()),
                links: traffic.links,
                ports: metrics.map(|metrics| metrics.ports).or(known.ports),
                sends: traffic.sends,
                receives: traffic.receives,
                queued: metrics.map(|metrics| metrics.queued),
                queued_octets: metrics.map(|metrics| metrics.queued_octets),
                longest_queue: metrics.map(|metrics| metrics.longest_queue),
                unwritten_octets: metrics.map(|metrics| metrics.unwritten_octets),
                held_octets: report.map(|report| report.stats.held_octets),
                deaths: metrics.map(|metrics| {
                    let all = metrics.deaths.iter();
                    sum(all
                        .filter(|(kind, _)| *kind != "normal")
                        .map(|(_, count)| count))
                }),
                losses: metrics.map(|metrics| sum(metrics.losses.values())),
                node: told(id.as_str()),
            });
        }
        all
    }

    /// The groups that our own node knows, and those that nodes say their ports are in.
    fn groups(&self, own: BTreeMap<String, Vec<PortId>>) -> Vec<GroupView> {
        let mut all: BTreeMap<&str, BTreeSet<&PortId>> = BTreeMap::new();
        let reports = self
            .nodes
            .values()
            .filter_map(|known| known.report.as_ref());
        let told_by_nodes = reports.flat_map(|report| &report.groups);
        for (group, ports) in own.iter().chain(told_by_nodes) {
            all.entry(group).or_default().extend(ports);
        }
        let view = |(group, ports): (&str, BTreeSet<&PortId>)| GroupView {
            group: told(group),
            count: ports.len(),
            members: ports
                .iter()
                .take(MOST_MEMBERS)
                .map(|port| told(port.as_str()))
                .collect(),
        };
        all.into_iter().take(MOST_GROUPS).map(view).collect()
    }

    /// Reports, how old they are, and whose.
    fn reports(&self, now: Instant) -> impl Iterator<Item = (&NodeId, &Report, Duration)> {
        self.shown().filter_map(move |(id, known)| {
            let old = now.saturating_duration_since(known.at?);
            Some((id, known.report.as_deref()?, old))
        })
    }

    fn deaths(&self, now: Instant) -> Vec<DeathView> {
        let mut all = Vec::new();
        for (_, report, old) in self.reports(now) {
            all.extend(report.deaths.iter().map(|death| DeathView {
                seconds_ago: death.ago.saturating_add(old).as_secs_f64(),
                port: told(death.port.as_str()),
                reason: told(&death.reason),
            }));
        }
        newest(all, |death| death.seconds_ago)
    }

    fn losses(&self, now: Instant) -> Vec<LossView> {
        let mut all = Vec::new();
        for (id, report, old) in self.reports(now) {
            all.extend(report.losses.iter().map(|loss| LossView {
                seconds_ago: loss.ago.saturating_add(old).as_secs_f64(),
                node: told(id.as_str()),
                other: told(loss.node.as_str()),
                kind: told(&loss.kind),
                reason: told(&loss.reason),
            }));
        }
        newest(all, |loss| loss.seconds_ago)
    }
}

/// The sum of counts that may be anything.
fn sum<'a>(counts: impl Iterator<Item = &'a u64>) -> u64 {
    counts.fold(0, |sum, count| sum.saturating_add(*count))
}

/// The newest of them, in that order.
fn newest<T>(mut all: Vec<T>, seconds_ago: impl Fn(&T) -> f64) -> Vec<T> {
    all.sort_by(|a, b| seconds_ago(a).total_cmp(&seconds_ago(b)));
    all.truncate(MOST_EVENTS);
    all
}

#[cfg(test)]
mod tests;
