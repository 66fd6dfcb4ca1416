//! What a walk through a network found, as data: nodes, links, and which links are missing.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Unbounded};

use aemp::{LinkStats, NodeId, NodeStats};

use crate::settings::as_perl_shows;

/// The nodes met and the links between them. Who walks is not in it.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Graph {
    pub(crate) nodes: BTreeMap<NodeId, Met>,
    /// By the two nodes, the lesser ID first.
    pub(crate) links: BTreeMap<Pair, Link>,
}

/// Two nodes, the lesser ID first.
pub(crate) type Pair = (NodeId, NodeId);

/// What is known of a node.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Met {
    /// Implementation and release, as it greets.
    pub(crate) provider: Option<String>,
    /// Its generation towards who looked, such as `1b`.
    pub(crate) generation: Option<String>,
    /// It is a seed of one of the others, or of who walks.
    pub(crate) is_seed: bool,
    /// It is a global node of generation 2.
    pub(crate) is_global: bool,
    /// It is a bridge between the generations of these numbers.
    pub(crate) bridge: Vec<u32>,
    /// Whom it knows, linked or not, if it says so.
    pub(crate) known: BTreeSet<NodeId>,
    /// It has said whom it is linked to.
    pub(crate) has_told: bool,
    /// After that many seconds of the walk it was done with.
    pub(crate) seconds: f64,
    /// Why it was not reached, if others know it only.
    pub(crate) lost: Option<String>,
}

/// What is known of a link.
#[derive(Debug, Default, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Link {
    /// The generation that it is in, such as `1b`.
    pub(crate) generation: Option<String>,
    /// The framings in which the node with the lesser ID sends, and the other.
    pub(crate) framings: Option<(String, String)>,
    /// Whether it goes through TLS.
    pub(crate) tls: Option<bool>,
}

/// Both, the lesser first.
pub(crate) fn pair(a: &NodeId, b: &NodeId) -> Pair {
    let (first, second) = if a <= b { (a, b) } else { (b, a) };
    (first.clone(), second.clone())
}

impl Graph {
    pub(crate) fn met(&mut self, id: &NodeId) -> &mut Met {
        self.nodes.entry(id.clone()).or_default()
    }

    /// A node has said whom it is linked to.
    pub(crate) fn told<'a>(&mut self, id: &NodeId, others: impl IntoIterator<Item = &'a NodeId>) {
        self.met(id).has_told = true;
        for other in others.into_iter().filter(|other| *other != id) {
            self.met(other);
            self.links.entry(pair(id, other)).or_default();
        }
    }

    /// What who walks sees of its own link to a node.
    pub(crate) fn seen(&mut self, link: &LinkStats) {
        let met = self.met(&link.node);
        met.provider.clone_from(&link.provider);
        met.generation = Some(link.generation.clone());
    }

    /// A node of this crate has answered with its statistics; of nodes that were not met nothing
    /// is taken over, so that who walks stays out.
    pub(crate) fn stats(&mut self, stats: NodeStats) {
        let NodeStats { node, links, .. } = stats;
        let met = self.met(&node);
        met.is_global |= stats.global;
        met.bridge = stats.bridge;
        met.known = stats.known.into_iter().collect();
        for seed in &stats.seeds {
            self.seed(seed);
        }
        for of_stats in links {
            let Some(other) = self.nodes.get_mut(&of_stats.node) else {
                continue;
            };
            if other.provider.is_none() {
                other.provider = of_stats.provider;
            }
            let both = pair(&node, &of_stats.node);
            let (sends, receives) = (of_stats.send_framing, of_stats.recv_framing);
            let framings = match node == both.0 {
                true => (sends, receives),
                false => (receives, sends),
            };
            // Older nodes do not say it.
            let is_said = !framings.0.is_empty() && !framings.1.is_empty();
            let link = self.links.entry(both).or_default();
            link.generation = Some(of_stats.generation);
            link.framings = is_said.then_some(framings);
            link.tls = Some(of_stats.tls.is_some());
        }
    }

    /// Nodes of Perl do not tell of what generation a link is, but each speaks only one.
    pub(crate) fn settle_generations(&mut self) {
        for ((a, b), link) in &mut self.links {
            let of = |id: &NodeId| {
                let met = self.nodes.get(id)?;
                let is_perl = met.provider.as_deref()?.starts_with("AE-");
                met.generation.clone().filter(|_| is_perl)
            };
            let known = match (of(a), of(b)) {
                // Releases of generation 1 that differ do what both can.
                (Some(first), Some(second)) => (first == second).then_some(first),
                (first, second) => first.or(second),
            };
            link.generation = link.generation.take().or(known);
        }
    }

    /// A node, if it was met, is a seed.
    pub(crate) fn seed(&mut self, id: &NodeId) {
        if let Some(met) = self.nodes.get_mut(id) {
            met.is_seed = true;
        }
    }

    /// A node, if it was met, is a global one.
    pub(crate) fn global(&mut self, id: &NodeId) {
        if let Some(met) = self.nodes.get_mut(id) {
            met.is_global = true;
        }
    }

    /// Pairs of nodes that both know of each other and have no link. Global nodes know of all
    /// global nodes, and have to have a link to each of them; one that tells nobody of its links
    /// may still have one.
    pub(crate) fn missing(&self) -> Vec<Pair> {
        let globals = self.nodes.iter().filter(|(_, met)| met.is_global);
        let globals: Vec<&NodeId> = globals.map(|(id, _)| id).collect();
        let mut missing = BTreeSet::new();
        for (id, met) in &self.nodes {
            let known = met.known.range::<NodeId, _>((Excluded(id), Unbounded));
            let know_both = known.filter(|other| {
                let other = self.nodes.get(*other);
                other.is_some_and(|other| other.known.contains(id))
            });
            let globals: &[&NodeId] = match met.is_global {
                true => &globals[globals.partition_point(|other| *other <= id)..],
                false => &[],
            };
            for other in know_both.chain(globals.iter().copied()) {
                let is_told = met.has_told || self.nodes[other].has_told;
                let both = pair(id, other);
                if is_told && !self.links.contains_key(&both) {
                    missing.insert(both);
                }
            }
        }
        missing.into_iter().collect()
    }

    /// Of each node that has links, as far as is known, who is at their other ends, in order.
    pub(crate) fn linked(&self) -> BTreeMap<&NodeId, Vec<(&NodeId, &Link)>> {
        let mut linked: BTreeMap<&NodeId, Vec<(&NodeId, &Link)>> = BTreeMap::new();
        for ((a, b), link) in &self.links {
            linked.entry(a).or_default().push((b, link));
            linked.entry(b).or_default().push((a, link));
        }
        linked
    }
}

impl Met {
    /// What it is besides a node, in words.
    pub(crate) fn roles(&self) -> Vec<&'static str> {
        let roles = [
            (self.is_seed, "seed"),
            (self.is_global, "global"),
            (!self.bridge.is_empty(), "bridge"),
        ];
        let has = roles.into_iter().filter(|(has, _)| *has);
        has.map(|(_, role)| role).collect()
    }

    /// All of it in a line.
    pub(crate) fn words(&self) -> String {
        let mut words: Vec<String> = self.provider.iter().cloned().collect();
        if let Some(generation) = &self.generation {
            words.push(format!("generation {generation}"));
        }
        words.extend(self.roles().into_iter().map(|role| match role {
            "bridge" => {
                let joined: Vec<String> = self.bridge.iter().map(u32::to_string).collect();
                format!("bridge of {}", joined.join("+"))
            }
            other => other.to_owned(),
        }));
        match (&self.lost, self.has_told) {
            (Some(_), _) => words.push("not reached".into()),
            (None, false) => words.push("does not tell its links".into()),
            _ => {}
        }
        words.join(", ")
    }
}

impl Link {
    /// All of it in a line.
    pub(crate) fn words(&self) -> String {
        let mut words = match &self.generation {
            Some(generation) => vec![format!("generation {generation}")],
            None => vec!["details unknown".to_owned()],
        };
        match &self.framings {
            Some((first, second)) if first == second => words.push(first.clone()),
            Some((first, second)) => words.push(format!("{first} and {second}")),
            None => {}
        }
        if self.tls == Some(true) {
            words.push("TLS".into());
        }
        words.join(", ")
    }
}

/// A node's ID as it was typed, in one line that every format can hold: control characters, which
/// XML does not allow at all, are shown by one that stands for what can't be shown.
pub(crate) fn shown(text: &str) -> String {
    let shown = as_perl_shows(text);
    let plain = |letter: char| match letter {
        letter if letter.is_control() => '\u{fffd}',
        '\u{2028}' | '\u{2029}' | '\u{fffe}' | '\u{ffff}' => '\u{fffd}',
        other => other,
    };
    shown.chars().map(plain).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde_json::{Value, json};

    pub(in super::super) fn id(name: &str) -> NodeId {
        NodeId::new(name)
    }

    fn ids(names: &[&str]) -> Vec<NodeId> {
        names.iter().copied().map(NodeId::new).collect()
    }

    fn link(node: &str, generation: &str, sends: &str, receives: &str) -> Value {
        json!({
            "node": node, "remote": "127.0.0.1:1", "generation": generation,
            "provider": format!("AE-of-{node}"), "send_framing": sends, "recv_framing": receives,
            "sent": 0, "sent_octets": 0, "received": 0, "received_octets": 0, "queued_octets": 0,
            "reconnects": 0,
        })
    }

    /// What a node of this crate says, as it comes.
    fn stats(node: &str, more: &Value, links: &[Value]) -> NodeStats {
        let mut stats = json!({"node": node, "ports": 1, "groups": 0, "links": links});
        for (key, value) in more.as_object().unwrap() {
            stats[key] = value.clone();
        }
        serde_json::from_value(stats).unwrap()
    }

    /// A seed with two others that know each other and have no link, and one that is not reached.
    pub(in super::super) fn example() -> Graph {
        let mut graph = Graph::default();
        graph.told(&id("hub"), &ids(&["a", "b", "gone"]));
        graph.told(&id("a"), &ids(&["hub"]));
        graph.told(&id("b"), &ids(&["hub"]));
        graph.met(&id("gone")).lost = Some("no route".into());
        let know = json!({"known": ["a", "b", "hub", "anon/1"], "seeds": ["hub"]});
        let of_a = [
            link("hub", "1b", "json", "cbor"),
            link("anon/1", "2", "cbor", "cbor"),
        ];
        graph.stats(stats("a", &know, &of_a));
        graph.stats(stats("b", &know, &[link("hub", "2", "cbor", "cbor")]));
        let of_hub = json!({"known": ["a", "b", "gone", "hub"], "global": true, "bridge": [1, 2]});
        graph.stats(stats("hub", &of_hub, &[]));
        graph
    }

    #[test]
    fn links_are_told_by_either_node() {
        let graph = example();
        let names: Vec<&str> = graph.nodes.keys().map(NodeId::as_str).collect();
        // Who walks is in nobody's picture.
        assert_eq!(names, ["a", "b", "gone", "hub"]);
        let link = &graph.links[&pair(&id("hub"), &id("a"))];
        assert_eq!(link.framings, Some(("json".into(), "cbor".into())));
        assert_eq!(link.words(), "generation 1b, json and cbor");
        let link = &graph.links[&pair(&id("gone"), &id("hub"))];
        assert_eq!(link.words(), "details unknown");
        let linked = graph.linked();
        let of = |name: &str| -> Vec<&str> {
            let others = linked[&id(name)].iter();
            others.map(|(id, _)| id.as_str()).collect()
        };
        assert_eq!(of("hub"), ["a", "b", "gone"]);
        assert_eq!(of("gone"), ["hub"]);
    }

    #[test]
    fn framings_are_those_of_each_direction_whoever_tells() {
        for (node, other, sends, receives) in
            [("a", "b", "json", "cbor"), ("b", "a", "cbor", "json")]
        {
            let mut graph = Graph::default();
            graph.told(&id(node), &ids(&[other]));
            graph.stats(stats(
                node,
                &json!({}),
                &[link(other, "2", sends, receives)],
            ));
            let link = &graph.links[&(id("a"), id("b"))];
            assert_eq!(link.framings, Some(("json".into(), "cbor".into())));
            assert_eq!(link.tls, Some(false));
        }
    }

    #[test]
    fn perls_nodes_speak_one_generation() {
        let mut graph = Graph::default();
        graph.told(&id("a"), &ids(&["b", "c", "d"]));
        for (name, provider, generation) in [
            ("a", "AE-1.30", "1b"),
            ("b", "AE-1.30", "1b"),
            ("c", "AE-1.21", "1a"),
            ("d", "aemp-rs-0.1.0", "2"),
        ] {
            let met = graph.met(&id(name));
            met.provider = Some(provider.into());
            met.generation = Some(generation.into());
        }
        graph.settle_generations();
        let of = |name: &str| graph.links[&pair(&id("a"), &id(name))].words();
        assert_eq!(of("b"), "generation 1b");
        assert_eq!(of("c"), "details unknown");
        assert_eq!(of("d"), "generation 1b");
    }

    #[test]
    fn roles_are_in_words() {
        let graph = example();
        let words = |name: &str| graph.nodes[&id(name)].words();
        assert_eq!(words("hub"), "AE-of-hub, seed, global, bridge of 1+2");
        assert_eq!(words("gone"), "not reached");
        let mut graph = Graph::default();
        graph.met(&id("safe"));
        assert_eq!(graph.nodes[&id("safe")].words(), "does not tell its links");
    }

    #[test]
    fn a_link_is_missing_where_both_know_of_each_other() {
        assert_eq!(example().missing(), [pair(&id("a"), &id("b"))]);
        let mut graph = example();
        graph.met(&id("a")).known.remove(&id("b"));
        assert_eq!(graph.missing(), []);
    }

    #[test]
    fn a_link_between_global_nodes_is_missing_if_one_of_them_tells() {
        let mut graph = Graph::default();
        for name in ["a", "b", "c"] {
            graph.met(&id(name));
            graph.global(&id(name));
        }
        assert_eq!(graph.missing(), []);
        graph.told(&id("a"), &ids(&["c"]));
        assert_eq!(graph.missing(), [pair(&id("a"), &id("b"))]);
        // Nobody is there by being a global node only.
        graph.global(&id("d"));
        graph.seed(&id("d"));
        assert_eq!(graph.nodes.len(), 3);
    }

    #[test]
    fn whatever_an_id_has_is_shown_in_a_line() {
        assert_eq!(shown("a\u{0}\n\u{85}b"), "a\u{fffd}\u{fffd}\u{fffd}b");
        assert_eq!(shown("caf\u{c3}\u{a9}"), "café");
    }
}
