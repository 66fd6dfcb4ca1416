//! What there is to be seen, as data. Its JSON is documented in docs/live.md.
//!
//! All texts are of other nodes' choice: they are of one line, and not long.

use serde::Serialize;

use crate::trace::graph::shown;

/// The network at a time.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct View {
    /// The node that looks.
    pub(crate) node: String,
    /// Whether it is one of the nodes, and not there just to look.
    pub(crate) is_member: bool,
    /// When it looked.
    pub(crate) time: String,
    /// All links together.
    pub(crate) total: Rate,
    pub(crate) nodes: Vec<NodeView>,
    pub(crate) links: Vec<LinkView>,
    /// Pairs of nodes that both know of each other and have no link.
    pub(crate) missing: Vec<[String; 2]>,
    pub(crate) groups: Vec<GroupView>,
    /// The newest first.
    pub(crate) deaths: Vec<DeathView>,
    pub(crate) losses: Vec<LossView>,
    /// So many nodes more were not asked.
    pub(crate) nodes_left_out: usize,
}

/// A node. What it does not tell is missing.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct NodeView {
    pub(crate) node: String,
    pub(crate) provider: Option<String>,
    /// Its generation towards who looks.
    pub(crate) generation: Option<String>,
    /// `seed`, `global`, `bridge`.
    pub(crate) roles: Vec<&'static str>,
    /// Why nothing is known of it: it does not answer.
    pub(crate) silent: Option<String>,
    pub(crate) round_trip_seconds: Option<f64>,
    pub(crate) age_seconds: Option<f64>,
    pub(crate) links: usize,
    pub(crate) ports: Option<usize>,
    /// Of all its links together; by what others say, if it says nothing itself.
    pub(crate) sends: Option<Rate>,
    pub(crate) receives: Option<Rate>,
    pub(crate) queued: Option<usize>,
    pub(crate) queued_octets: Option<usize>,
    /// The most messages that wait in one port.
    pub(crate) longest_queue: Option<usize>,
    pub(crate) unwritten_octets: Option<usize>,
    /// Octets that other nodes make it hold.
    pub(crate) held_octets: Option<usize>,
    /// Ports that died of something else than their normal end, since it began.
    pub(crate) deaths: Option<u64>,
    /// Links, and attempts to get one, that were lost since then.
    pub(crate) losses: Option<u64>,
}

/// How much goes over a link a second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct Rate {
    pub(crate) messages: f64,
    pub(crate) octets: f64,
}

impl std::ops::AddAssign for Rate {
    fn add_assign(&mut self, other: Rate) {
        self.messages += other.messages;
        self.octets += other.octets;
    }
}

/// A link.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct LinkView {
    /// The two nodes, the lesser ID first.
    pub(crate) nodes: [String; 2],
    /// Generation, framings and TLS in words.
    pub(crate) about: String,
    /// What goes from the first to the second node, and back.
    pub(crate) there: Option<Rate>,
    pub(crate) back: Option<Rate>,
    /// Octets that wait in the first node to be written, and in the second.
    pub(crate) unwritten_octets: [Option<usize>; 2],
    /// How often it had to be made again.
    pub(crate) reconnects: Option<u64>,
}

/// A group.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct GroupView {
    pub(crate) group: String,
    /// How many members it has.
    pub(crate) count: usize,
    /// The first of them.
    pub(crate) members: Vec<String>,
}

/// A port that died of something else than its normal end.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct DeathView {
    pub(crate) seconds_ago: f64,
    pub(crate) port: String,
    pub(crate) reason: String,
}

/// A link, or an attempt to get one, that was lost.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct LossView {
    pub(crate) seconds_ago: f64,
    /// Who lost it.
    pub(crate) node: String,
    /// To whom.
    pub(crate) other: String,
    pub(crate) kind: String,
    pub(crate) reason: String,
}

/// The most characters of a text.
const LONGEST: usize = 200;

/// A text of another node's choice, as it may be shown anywhere.
pub(super) fn told(text: &str) -> String {
    // Cut first: a name may have 64 KiB.
    let start: String = text.chars().take(LONGEST + 1).collect();
    let text = shown(&start);
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => text[..at].to_owned() + "…",
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_of_one_line_and_not_long() {
        assert_eq!(told("a\nb\u{1b}[31m"), "a\u{fffd}b\u{fffd}[31m");
        assert_eq!(told("<script>"), "<script>");
        assert_eq!(told(&"ü".repeat(200)).chars().count(), 200);
        let long = told(&"x".repeat(1 << 16));
        assert_eq!(long.chars().count(), LONGEST + 1);
        assert!(long.ends_with("x…"));
    }
}
