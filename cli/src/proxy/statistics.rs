//! How much has passed: in all, and by nodes, ports and tags.

use std::collections::HashMap;
use std::time::Instant;

use serde_json::{Map, Value, json};

use crate::dump::printable;
use crate::output;

/// So many names are counted by themselves in each table; those that come behind are one.
const MOST: usize = 1000;

/// So many characters of a name tell it from others.
const NAME: usize = 120;

/// So many names are shown of a table, and of the rates.
const SHOWN: usize = 10;
const SHOWN_RATES: usize = 3;

/// Messages that have passed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Count {
    messages: u64,
    octets: u64,
}

impl Count {
    fn add(&mut self, octets: usize) {
        self.messages += 1;
        self.octets += u64::try_from(octets).unwrap_or(u64::MAX);
    }

    fn since(self, before: Count) -> Count {
        Count {
            messages: self.messages - before.messages,
            octets: self.octets - before.octets,
        }
    }

    fn json(self) -> Value {
        json!({"messages": self.messages, "octets": self.octets})
    }
}

#[derive(Debug, Clone, Default)]
struct Table {
    counts: HashMap<String, Count>,
    others: Count,
}

impl Table {
    fn add(&mut self, name: &str, octets: usize) {
        let name: String = name.chars().take(NAME).collect();
        let has_room = self.counts.len() < MOST;
        match self.counts.get_mut(&name) {
            Some(count) => count.add(octets),
            None if has_room => self.counts.entry(name).or_default().add(octets),
            None => self.others.add(octets),
        }
    }

    /// The names, most messages first.
    fn sorted(&self) -> Vec<(&str, Count)> {
        let counts = self.counts.iter();
        let mut all: Vec<(&str, Count)> = counts.map(|(name, count)| (&**name, *count)).collect();
        all.sort_by(|a, b| b.1.messages.cmp(&a.1.messages).then_with(|| a.0.cmp(b.0)));
        all
    }

    fn lines(&self, title: &str, seconds: f64, lines: &mut Vec<String>) {
        let all = self.sorted();
        if all.is_empty() {
            return;
        }
        lines.push(format!("{title}:"));
        let shown = &all[..all.len().min(SHOWN)];
        let names = shown.iter().map(|(name, _)| name.chars().count());
        let width = names.max().unwrap_or(0);
        for (name, count) in shown {
            let Count { messages, octets } = count;
            let rate = per_second(*messages, seconds);
            let line = format!(
                "  {name:width$} {messages:>9} messages {octets:>11} octets {rate:>9.1} /s"
            );
            lines.push(printable(&line));
        }
        if all.len() > SHOWN {
            lines.push(format!("  and {} more", all.len() - SHOWN));
        }
        if self.others.messages > 0 {
            let messages = self.others.messages;
            lines.push(format!(
                "  further names, not counted one by one: {messages} messages"
            ));
        }
    }

    fn json(&self) -> Value {
        let mut object: Map<String, Value> = self
            .sorted()
            .into_iter()
            .map(|(name, count)| (name.to_owned(), count.json()))
            .collect();
        if self.others.messages > 0 {
            object.insert(String::new(), self.others.json());
        }
        object.into()
    }
}

/// All that is counted.
#[derive(Debug)]
pub(super) struct Statistics {
    begun: Instant,
    connections: u64,
    /// All octets, also those that are no messages, and those that were not chosen.
    passed: u64,
    undecoded: u64,
    total: Count,
    nodes: Table,
    ports: Table,
    tags: Table,
    /// When rates were told, and what had passed by then.
    told: (Instant, Count, HashMap<String, Count>),
}

impl Statistics {
    pub(super) fn new(now: Instant) -> Self {
        Statistics {
            begun: now,
            connections: 0,
            passed: 0,
            undecoded: 0,
            total: Count::default(),
            nodes: Table::default(),
            ports: Table::default(),
            tags: Table::default(),
            told: (now, Count::default(), HashMap::new()),
        }
    }

    pub(super) fn connected(&mut self) {
        self.connections += 1;
    }

    pub(super) fn passed(&mut self, octets: usize) {
        self.passed += u64::try_from(octets).unwrap_or(u64::MAX);
    }

    /// Something could not be decoded or verified.
    pub(super) fn undecoded(&mut self) {
        self.undecoded += 1;
    }

    /// A message that is chosen. An empty name is the node port.
    pub(super) fn message(
        &mut self,
        from: &str,
        to: &str,
        port: &str,
        tag: Option<&str>,
        octets: usize,
    ) {
        self.total.add(octets);
        self.nodes.add(&format!("{from} > {to}"), octets);
        match port {
            "" => self.ports.add(to, octets),
            _ => self.ports.add(&format!("{to}#{port}"), octets),
        }
        self.tags.add(tag.unwrap_or("(none)"), octets);
    }

    /// What has passed since rates were told, if anything has.
    pub(super) fn rates(&mut self, now: Instant) -> Option<String> {
        let nodes = self.nodes.counts.clone();
        let (then, total, before) = std::mem::replace(&mut self.told, (now, self.total, nodes));
        let seconds = now.saturating_duration_since(then).as_secs_f64();
        let new = self.total.since(total);
        if new.messages == 0 {
            return None;
        }
        let mut by_nodes: Vec<(&str, u64)> = self
            .nodes
            .counts
            .iter()
            .map(|(name, count)| {
                let old = before.get(name).copied().unwrap_or_default();
                (&**name, count.since(old).messages)
            })
            .filter(|(_, messages)| *messages > 0)
            .collect();
        by_nodes.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        let messages = per_second(new.messages, seconds);
        let octets = per_second(new.octets, seconds);
        if output::is_json() {
            let by_nodes: Map<String, Value> = by_nodes
                .into_iter()
                .map(|(name, count)| (name.to_owned(), per_second(count, seconds).into()))
                .collect();
            let object = json!({
                "kind": "rates", "seconds": seconds, "messages": messages, "octets": octets,
                "nodes": by_nodes,
            });
            return Some(object.to_string());
        }
        let shown = by_nodes
            .iter()
            .take(SHOWN_RATES)
            .map(|(name, count)| format!("{name} {:.1}", per_second(*count, seconds)));
        let shown: Vec<String> = shown.collect();
        let more = if by_nodes.len() > SHOWN_RATES {
            ", .."
        } else {
            ""
        };
        let shown = shown.join(", ");
        Some(printable(&format!(
            "rates over {seconds:.0} s: {messages:.1} messages/s, {octets:.0} octets/s; {shown}{more}"
        )))
    }

    /// All of it, in lines.
    pub(super) fn all(&self, now: Instant) -> Vec<String> {
        let seconds = now.saturating_duration_since(self.begun).as_secs_f64();
        let Count { messages, octets } = self.total;
        let (connections, passed) = (self.connections, self.passed);
        if output::is_json() {
            let object = json!({
                "kind": "statistics", "seconds": seconds, "connections": connections,
                "passed": passed, "messages": messages, "octets": octets,
                "undecoded": self.undecoded, "nodes": self.nodes.json(),
                "ports": self.ports.json(), "tags": self.tags.json(),
            });
            return vec![object.to_string()];
        }
        let rate = per_second(messages, seconds);
        let connections = count(connections, "connection");
        let mut lines = vec![format!(
            "{connections} in {seconds:.1} s; {passed} octets have passed; {messages} messages \
             of {octets} octets, {rate:.1} /s"
        )];
        if self.undecoded > 0 {
            let places = count(self.undecoded, "place");
            lines.push(format!("{places} could not be decoded or verified"));
        }
        self.nodes.lines("by nodes", seconds, &mut lines);
        self.ports.lines("by port", seconds, &mut lines);
        self.tags.lines("by tag", seconds, &mut lines);
        lines
    }
}

fn count(number: u64, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}

fn per_second(number: u64, seconds: f64) -> f64 {
    match seconds > 0.0 {
        true => number as f64 / seconds,
        false => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn names_without_end_take_no_memory_without_end() {
        let mut statistics = Statistics::new(Instant::now());
        for n in 0..5_000 {
            let (name, tag) = (n.to_string(), "x".repeat(5_000) + &n.to_string());
            statistics.message(&name, "hub", &name, Some(&tag), 10);
        }
        assert_eq!(statistics.nodes.counts.len(), MOST);
        let others = Count {
            messages: 4_000,
            octets: 40_000,
        };
        assert_eq!(statistics.ports.others, others);
        // Cut, they are one.
        assert_eq!(statistics.tags.counts.len(), 1);
        assert_eq!(statistics.total.messages, 5_000);
        // Who is known is counted on.
        statistics.message("7", "hub", "7", None, 1);
        assert_eq!(statistics.nodes.counts["7 > hub"].messages, 2);
    }

    #[test]
    fn rates_are_of_what_is_new() {
        let begun = Instant::now();
        let mut statistics = Statistics::new(begun);
        let at = |seconds| begun + Duration::from_secs(seconds);
        for _ in 0..20 {
            statistics.message("a", "b", "log", Some("warn"), 50);
        }
        statistics.message("b", "a", "", Some("mon1"), 50);
        let first = statistics.rates(at(10));
        let wanted = "rates over 10 s: 2.1 messages/s, 105 octets/s; a > b 2.0, b > a 0.1";
        assert_eq!(first.as_deref(), Some(wanted));
        assert_eq!(statistics.rates(at(20)), None);
        statistics.message("b", "a", "", Some("mon1"), 50);
        let second = statistics.rates(at(30)).unwrap();
        assert!(second.ends_with("; b > a 0.1"), "{second}");
        let all = statistics.all(at(30)).join("\n");
        for line in [
            "  b#log        20 messages",
            "  a             2 messages",
            "  mon1",
        ] {
            assert!(all.contains(line), "{all}");
        }
    }
}
