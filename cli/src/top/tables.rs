//! What is seen, as tables: one definition for the screen and for plain text.

use aemp::log::printable;

use super::units::{UNKNOWN, known, number, octets, rate, size, time, traffic};
use crate::view::{DeathView, GroupView, LinkView, LossView, NodeView, View};

/// A table.
pub(super) struct Table {
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Row>,
    /// What to say if there are no rows.
    pub(super) none: &'static str,
}

#[derive(Clone, Copy)]
pub(super) struct Column {
    pub(super) title: &'static str,
    /// Figures are aligned at the right.
    pub(super) is_figure: bool,
}

pub(super) struct Row {
    pub(super) cells: Vec<String>,
    /// Something is wrong there.
    pub(super) is_bad: bool,
}

impl Table {
    /// One in which nothing is wrong with any row.
    fn plain(
        columns: impl Into<Vec<Column>>,
        rows: impl Iterator<Item = Vec<String>>,
        none: &'static str,
    ) -> Self {
        Table {
            columns: columns.into(),
            rows: rows
                .map(|cells| Row {
                    cells,
                    is_bad: false,
                })
                .collect(),
            none,
        }
    }
}

const fn text(title: &'static str) -> Column {
    Column {
        title,
        is_figure: false,
    }
}

const fn figure(title: &'static str) -> Column {
    Column {
        title,
        is_figure: true,
    }
}

/// What nodes can be sorted by: the columns of their table.
const NODES: [Column; 10] = [
    text("NODE"),
    text("RELEASE"),
    figure("TRIP"),
    figure("LINKS"),
    figure("PORTS"),
    figure("SENDS"),
    figure("RECEIVES"),
    figure("QUEUED"),
    figure("UNWRITTEN"),
    figure("DIED"),
];

/// How nodes are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sorting {
    /// The column of `NODES`.
    pub(super) by: usize,
    pub(super) is_reversed: bool,
}

impl Sorting {
    /// By name.
    pub(super) const FIRST: Sorting = Sorting {
        by: 0,
        is_reversed: false,
    };

    pub(super) const COLUMNS: usize = NODES.len();

    /// Names begin with the first, figures with the largest.
    fn apply(self, nodes: &mut [&NodeView]) {
        let figure = |node: &NodeView| -> Option<f64> {
            let count = |count: usize| Some(f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
            match NODES[self.by].title {
                "TRIP" => node.round_trip_seconds,
                "LINKS" => count(node.links),
                "PORTS" => node.ports.and_then(count),
                "SENDS" => node.sends.map(|rate| rate.messages),
                "RECEIVES" => node.receives.map(|rate| rate.messages),
                "QUEUED" => node.queued.and_then(count),
                "UNWRITTEN" => node.unwritten_octets.and_then(count),
                "DIED" => node
                    .deaths
                    .map(|count| count.to_string().parse().unwrap_or(0.0)),
                _ => None,
            }
        };
        nodes.sort_by(|a, b| {
            let order = match NODES[self.by].title {
                "NODE" => a.node.cmp(&b.node),
                "RELEASE" => a.provider.cmp(&b.provider),
                // What is not known is less than anything.
                _ => figure(b)
                    .unwrap_or(-1.0)
                    .total_cmp(&figure(a).unwrap_or(-1.0)),
            };
            let order = if self.is_reversed {
                order.reverse()
            } else {
                order
            };
            order.then_with(|| a.node.cmp(&b.node))
        });
    }
}

pub(super) fn nodes(view: &View, sorting: Sorting) -> Table {
    let mut nodes: Vec<&NodeView> = view.nodes.iter().collect();
    sorting.apply(&mut nodes);
    let row = |node: &&NodeView| {
        let count = |count: Option<usize>| known(count, |count| count.to_string());
        let about = match &node.silent {
            Some(why) => why.clone(),
            None => {
                let words = node.provider.iter().map(String::as_str);
                let words: Vec<&str> = words.chain(node.roles.iter().copied()).collect();
                words.join(", ")
            }
        };
        Row {
            cells: vec![
                printable(&node.node),
                printable(&about),
                known(node.round_trip_seconds, time),
                node.links.to_string(),
                count(node.ports),
                known(node.sends, rate),
                known(node.receives, rate),
                count(node.queued),
                known(node.unwritten_octets, size),
                known(node.deaths, |count| count.to_string()),
            ],
            is_bad: node.silent.is_some(),
        }
    };
    Table {
        columns: NODES.to_vec(),
        rows: nodes.iter().map(row).collect(),
        none: "no node has answered yet",
    }
}

/// The links, those with the most messages first, then those that are missing.
pub(super) fn links(view: &View) -> Table {
    let mut links: Vec<&LinkView> = view.links.iter().collect();
    let both = |link: &LinkView| {
        let rates = [link.there, link.back].into_iter().flatten();
        rates.map(|rate| rate.messages).sum::<f64>()
    };
    links.sort_by(|a, b| both(b).total_cmp(&both(a)));
    let row = |link: &&LinkView| {
        let [first, second] = &link.nodes;
        let unwritten = link.unwritten_octets.iter().flatten().copied();
        let unwritten = unwritten.reduce(usize::saturating_add);
        Row {
            cells: vec![
                printable(&format!("{first} – {second}")),
                known(link.there, rate),
                known(link.back, rate),
                known(link.there, traffic),
                known(link.back, traffic),
                known(unwritten, size),
                known(link.reconnects, |count| count.to_string()),
                printable(&link.about),
            ],
            is_bad: false,
        }
    };
    let missing = |[first, second]: &[String; 2]| Row {
        cells: [
            &*printable(&format!("{first} – {second}")),
            UNKNOWN,
            UNKNOWN,
            UNKNOWN,
            UNKNOWN,
            UNKNOWN,
            UNKNOWN,
            "missing, though both know of each other",
        ]
        .map(str::to_owned)
        .to_vec(),
        is_bad: true,
    };
    let rows = links.iter().map(row);
    Table {
        columns: vec![
            text("LINK"),
            figure("→"),
            figure("←"),
            figure("→ OCTETS"),
            figure("← OCTETS"),
            figure("UNWRITTEN"),
            figure("AGAIN"),
            text("HOW"),
        ],
        rows: rows.chain(view.missing.iter().map(missing)).collect(),
        none: "there are no links",
    }
}

pub(super) fn groups(view: &View) -> Table {
    let row = |group: &GroupView| {
        vec![
            printable(&group.group),
            group.count.to_string(),
            printable(&group.members.join(" ")),
        ]
    };
    Table::plain(
        [text("GROUP"), figure("MEMBERS"), text("PORTS")],
        view.groups.iter().map(row),
        "nobody is in a group",
    )
}

pub(super) fn deaths(view: &View) -> Table {
    let row = |death: &DeathView| {
        vec![
            time(death.seconds_ago),
            printable(&death.port),
            printable(&death.reason),
        ]
    };
    Table::plain(
        [figure("AGO"), text("PORT"), text("DIED OF")],
        view.deaths.iter().map(row),
        "no port has died of something else than its normal end",
    )
}

pub(super) fn losses(view: &View) -> Table {
    let row = |loss: &LossView| {
        vec![
            time(loss.seconds_ago),
            printable(&format!("{} → {}", loss.node, loss.other)),
            printable(&loss.kind),
            printable(&loss.reason),
        ]
    };
    Table::plain(
        [figure("AGO"), text("LINK"), text("WHY"), text("REASON")],
        view.losses.iter().map(row),
        "no link was lost",
    )
}

/// A line about all of it.
pub(super) fn summary(view: &View) -> String {
    let counted = |count: usize, what: &str| match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    };
    let left_out = match view.nodes_left_out {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    format!(
        "{}{left_out}, {}, {} missing, {} messages/s, {}/s",
        counted(view.nodes.len(), "node"),
        counted(view.links.len(), "link"),
        view.missing.len(),
        number(view.total.messages),
        octets(view.total.octets)
    )
}
