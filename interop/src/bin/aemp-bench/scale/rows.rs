//! What is measured, in which sizes, and what is asked of it.

/// A kind of measurement, by a process of its own for each size.
pub struct Row {
    /// What the process is told to do: see [`play`](super::play).
    pub what: &'static str,
    /// How many there are, of whatever it is; what is asked for counts with the last.
    pub sizes: &'static [u64],
    /// What it answers with.
    pub figures: &'static [Figure],
}

/// A figure of a measurement.
pub struct Figure {
    /// Its name in the answer.
    pub key: &'static str,
    /// Its name for people.
    pub name: &'static str,
    pub unit: &'static str,
    pub bound: Bound,
}

/// What is asked of a figure with the largest size.
#[derive(Clone, Copy)]
pub enum Bound {
    AtMost(f64),
    AtLeast(f64),
    /// Nothing; less is better.
    Less,
    /// Nothing; more is better.
    More,
}

const fn figure(key: &'static str, name: &'static str, unit: &'static str, bound: Bound) -> Figure {
    Figure {
        key,
        name,
        unit,
        bound,
    }
}

use Bound::{AtLeast, AtMost, Less, More};

const THOUSANDS: &[u64] = &[1_000, 10_000, 100_000];

pub const ROWS: &[Row] = &[
    Row {
        what: "register",
        sizes: THOUSANDS,
        figures: &[figure(
            "seconds",
            "ports registered in a group",
            "s",
            AtMost(0.3),
        )],
    },
    Row {
        what: "register-followed",
        sizes: THOUSANDS,
        figures: &[figure(
            "seconds",
            "ports registered in a group that somebody follows",
            "s",
            AtMost(0.3),
        )],
    },
    Row {
        what: "join-2",
        sizes: THOUSANDS,
        figures: &[figure(
            "ms",
            "one more member, generation 2",
            "ms",
            AtMost(5.0),
        )],
    },
    Row {
        what: "join-1",
        sizes: THOUSANDS,
        figures: &[figure(
            "ms",
            "one more member, generation 1",
            "ms",
            AtMost(5.0),
        )],
    },
    Row {
        what: "db-change",
        sizes: THOUSANDS,
        figures: &[figure(
            "ms",
            "db_mon, one change of a family",
            "ms",
            AtMost(1.0),
        )],
    },
    Row {
        what: "monitors",
        sizes: &[10_000, 100_000, 1_000_000],
        figures: &[
            figure(
                "octets",
                "monitors of remote ports, each",
                "octets",
                AtMost(400.0),
            ),
            figure(
                "with_port",
                "monitors of remote ports, each with its port",
                "octets",
                Less,
            ),
            figure(
                "seconds",
                "monitors of remote ports, fired",
                "s",
                AtMost(1.0),
            ),
        ],
    },
    Row {
        what: "mesh",
        sizes: &[25, 50, 100],
        figures: &[figure(
            "seconds",
            "full mesh, generation 1, one process",
            "s",
            AtMost(1.5),
        )],
    },
    Row {
        what: "globals",
        sizes: &[100, 300, 1_000],
        figures: &[
            figure(
                "seconds",
                "nodes of generation 2 around two global ones",
                "s",
                Less,
            ),
            figure(
                "octets",
                "nodes of generation 2 around two global ones, each",
                "octets",
                Less,
            ),
        ],
    },
    Row {
        what: "links-2",
        sizes: &[1_000, 3_000, 10_000],
        figures: &[
            figure(
                "accept_us",
                "links at one node, generation 2, to accept each",
                "µs",
                Less,
            ),
            figure(
                "octets",
                "links at one node, generation 2, each",
                "octets",
                Less,
            ),
            figure(
                "message_ms",
                "links at one node, generation 2, a message to each",
                "ms",
                Less,
            ),
        ],
    },
    Row {
        what: "links-1",
        sizes: &[1_000, 3_000, 10_000],
        figures: &[
            figure(
                "accept_us",
                "links at one node, generation 1, to accept each",
                "µs",
                Less,
            ),
            figure(
                "octets",
                "links at one node, generation 1, each",
                "octets",
                Less,
            ),
            figure(
                "message_ms",
                "links at one node, generation 1, a message to each",
                "ms",
                Less,
            ),
        ],
    },
    Row {
        what: "members",
        sizes: &[100, 1_000, 10_000],
        figures: &[figure(
            "ms",
            "a message to each member of a group",
            "ms",
            Less,
        )],
    },
    Row {
        what: "large",
        sizes: &[1, 8, 64],
        figures: &[
            figure("ms", "a message of so many MB", "ms", Less),
            figure(
                "sender",
                "a message of so many MB, most memory of its sender",
                "x",
                AtMost(2.01),
            ),
            figure(
                "receiver",
                "a message of so many MB, most memory of its receiver",
                "x",
                AtMost(2.01),
            ),
        ],
    },
    Row {
        what: "cal",
        sizes: &[1, 10, 100],
        figures: &[figure(
            "rate",
            "cal, so many in flight",
            "/s",
            AtLeast(564_000.0),
        )],
    },
    Row {
        what: "local",
        sizes: &[2_000_000],
        figures: &[
            figure("general", "local snd", "/s", More),
            figure("mpsc", "local, tokio's mpsc", "/s", More),
            figure(
                "general_of_mpsc",
                "local snd, beside tokio's mpsc",
                "x",
                AtLeast(0.65),
            ),
            figure("typed", "local snd to a typed port", "/s", More),
            figure(
                "typed_of_mpsc",
                "local snd to a typed port, beside tokio's mpsc",
                "x",
                AtLeast(0.8),
            ),
        ],
    },
    Row {
        what: "bridge",
        sizes: &[200_000],
        figures: &[
            figure("direct", "one way by a direct link", "/s", More),
            figure("bridged", "one way through a bridge", "/s", More),
            figure(
                "of_direct",
                "one way through a bridge, beside a direct link",
                "x",
                More,
            ),
        ],
    },
    Row {
        what: "accept",
        sizes: &[1_000],
        figures: &[
            figure("plain", "links accepted, without TLS, each", "µs", Less),
            figure("tls", "links accepted, with TLS, each", "µs", Less),
            figure("bare", "TLS accepted by rustls alone, each", "µs", Less),
            figure(
                "of_bare",
                "links accepted, with TLS, beside rustls alone",
                "x",
                AtMost(1.3),
            ),
        ],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_sizes_grow() {
        let names = || {
            ROWS.iter()
                .flat_map(|row| row.figures)
                .map(|figure| figure.name)
        };
        for (at, name) in names().enumerate() {
            assert!(names().skip(at + 1).all(|other| other != name), "{name}");
        }
        for row in ROWS {
            assert!(row.sizes.is_sorted(), "{}", row.what);
            // Of two sizes no exponent can be told.
            assert!(row.sizes.len() != 2, "{}", row.what);
        }
    }
}
