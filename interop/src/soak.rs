//! A soak: pairs of nodes that talk for a long time while the connection between them is harmed,
//! and what their processes use meanwhile.
//!
//! Each pair has a stream of numbered messages each way (the driver's `stream`), which shows the
//! delivery guarantee: what is lost is reported by a monitor, and there are no holes besides. What
//! is measured is written down every few seconds; in the end it is judged whether the memory of our
//! nodes is flat.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::ctx::{Ctx, Env, Pair};
use crate::driver::Node;
use crate::fault::{Fault, Result, ensure};
use crate::pairing::{Pairing, Side};
use crate::scenarios::schedules::{Random, check, faults, settled, start};

/// The first part of a soak is not judged: caches fill, allocators find their size.
const WARMING: f64 = 0.3;

/// What a node's process used at a time, and what had reached the node.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Seconds since the beginning.
    pub at: f64,
    /// The pairing, such as `rust+perl-1.30`.
    pub pair: String,
    /// The node.
    pub node: String,
    /// Whether it is ours.
    pub is_rust: bool,
    /// The memory of its process, in octets.
    pub memory: u64,
    /// The processor time of its process so far, in seconds.
    pub processor: f64,
    /// How many messages have reached it.
    pub received: u64,
    /// How many of them were out of order or behind a hole that no monitor told of.
    pub holes: u64,
    /// How often the connection was harmed.
    pub rounds: u64,
}

impl Row {
    /// The names of the columns of [`Row::columns`].
    pub const HEAD: &str = "seconds,pair,node,memory,processor,received,holes,rounds";

    /// As a line of a table, separated by commas.
    pub fn columns(&self) -> String {
        let Row {
            at,
            pair,
            node,
            memory,
            processor,
            received,
            holes,
            rounds,
            ..
        } = self;
        format!("{at:.1},{pair},{node},{memory},{processor:.2},{received},{holes},{rounds}")
    }
}

/// Soaks one pair, and tells of it every `interval`.
///
/// # Errors
///
/// What the pair did that it should not have done, or why it could not be run.
pub fn soak(
    pairing: &Pairing,
    env: &Arc<Env>,
    (begun, until): (Instant, Instant),
    interval: Duration,
    seed: u64,
    rows: &Sender<Row>,
) -> Result<()> {
    let name = pairing.to_string();
    let folder = env.folder.join(format!("soak--{name}"));
    let secret = format!("soak-{}-{name}", std::process::id());
    let mut ctx = Ctx::new(pairing, env, &folder, secret)?;
    let Pair { alice, bob, proxy } = ctx.pair()?;
    for node in [&alice, &bob] {
        if !node.has("stream") {
            let text = format!("{}'s driver has no streams", node.name());
            return Err(Fault::NotHere(text));
        }
    }
    let (at_alice, at_bob) = (alice.port("stream")?, bob.port("stream")?);
    let forth = start(&alice, &at_bob)?;
    let back = start(&bob, &at_alice)?;
    let mut random = Random(seed);
    let (mut rounds, mut next) = (0, begun + interval);
    let of_nodes = [(&alice, &at_alice, Side::A), (&bob, &at_bob, Side::B)];
    while Instant::now() < until {
        faults(&proxy, &mut random);
        alice.connected_with(&["bob"], ctx.limit())?;
        bob.connected_with(&["alice"], ctx.limit())?;
        rounds += 1;
        if Instant::now() < next {
            continue;
        }
        next = Instant::now() + interval;
        for (node, port, side) in of_nodes {
            let row = row(
                node,
                port,
                begun,
                &name,
                pairing.side(side).is_rust(),
                rounds,
            )?;
            ensure(row.holes == 0, || {
                format!("{} got messages behind a hole: {row:?}", node.name())
            })?;
            // Whoever listened is gone: so is the soak.
            if rows.send(row).is_err() {
                return Ok(());
            }
        }
        // Nobody asks for these any more.
        for node in [&alice, &bob] {
            node.take(|event| event["ev"] == "node");
        }
    }
    settled(&alice, &bob)?;
    check(&alice, &bob, &at_bob, forth)?;
    check(&bob, &alice, &at_alice, back)
}

fn row(
    node: &Node,
    port: &str,
    begun: Instant,
    pair: &str,
    is_rust: bool,
    rounds: u64,
) -> Result<Row> {
    let state = node.call("counter", json!({ "port": port }))?;
    let number = |name: &str| state[name].as_u64().unwrap_or_default();
    let usage = node.usage();
    let usage = usage.ok_or_else(|| Fault::NotHere("this system has no /proc".to_owned()))?;
    Ok(Row {
        at: begun.elapsed().as_secs_f64(),
        pair: pair.to_owned(),
        node: node.name().to_owned(),
        is_rust,
        memory: usage.memory,
        processor: usage.processor,
        received: number("count"),
        holes: number("holes"),
        rounds,
    })
}

/// How the memory of a node went on.
#[derive(Debug, Clone, PartialEq)]
pub struct Trend {
    /// The memory that it has in the mean, in octets.
    pub mean: f64,
    /// By how much it grows, in octets an hour.
    pub an_hour: f64,
    /// How far off that may be: twice the standard error.
    pub noise: f64,
}

impl Trend {
    /// Whether it does not grow, as far as can be told; a few octets in a hundred an hour are no
    /// growth.
    pub fn is_flat(&self) -> bool {
        self.an_hour <= self.noise || self.an_hour <= 0.05 * self.mean
    }
}

/// The line that fits best through the memory of one node behind the warming. `None` if there is
/// too little to tell.
pub fn trend(rows: &[&Row]) -> Option<Trend> {
    let end = rows.iter().map(|row| row.at).fold(0.0, f64::max);
    let points: Vec<(f64, f64)> = rows
        .iter()
        .filter(|row| row.at >= WARMING * end)
        .map(|row| (row.at / 3600.0, row.memory as f64))
        .collect();
    let count = points.len() as f64;
    if points.len() < 4 {
        return None;
    }
    let mean_at = points.iter().map(|(at, _)| at).sum::<f64>() / count;
    let mean = points.iter().map(|(_, memory)| memory).sum::<f64>() / count;
    let spread: f64 = points.iter().map(|(at, _)| (at - mean_at).powi(2)).sum();
    let both = |(at, memory): &(f64, f64)| (at - mean_at) * (memory - mean);
    let an_hour = points.iter().map(both).sum::<f64>() / spread;
    let off = |(at, memory): &(f64, f64)| (memory - mean - an_hour * (at - mean_at)).powi(2);
    let variance = points.iter().map(off).sum::<f64>() / (count - 2.0);
    let noise = 2.0 * (variance / spread).sqrt();
    (spread > 0.0).then_some(Trend {
        mean,
        an_hour,
        noise,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(memory: impl Fn(u32) -> f64) -> Vec<Row> {
        let row = |n: u32| Row {
            at: f64::from(n) * 10.0,
            pair: "rust+rust".to_owned(),
            node: "alice".to_owned(),
            is_rust: true,
            memory: memory(n) as u64,
            processor: 0.0,
            received: 0,
            holes: 0,
            rounds: 0,
        };
        (0..100).map(row).collect()
    }

    fn trend_of(memory: impl Fn(u32) -> f64) -> Trend {
        let rows = rows(memory);
        trend(&rows.iter().collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn what_grows_is_told_from_noise() {
        let wave = |n: u32| 1e7 + if n.is_multiple_of(2) { 2e5 } else { -2e5 };
        assert!(trend_of(wave).is_flat());
        let leak = |n: u32| wave(n) + 2e4 * f64::from(n);
        let found = trend_of(leak);
        assert!(!found.is_flat(), "{found:?}");
        assert!((found.an_hour - 7.2e6).abs() < found.noise, "{found:?}");
        // What happens while it warms up does not count.
        let warming = |n: u32| if n < 30 { 1e6 * f64::from(n) } else { 3e7 };
        assert!(trend_of(warming).is_flat());
        assert_eq!(trend(&[]), None);
    }

    #[test]
    fn columns_fit_their_head() {
        let row = &rows(|_| 5e6)[1];
        let columns = row.columns();
        assert_eq!(columns, "10.0,rust+rust,alice,5000000,0.00,0,0,0");
        assert_eq!(columns.split(',').count(), Row::HEAD.split(',').count());
    }
}
