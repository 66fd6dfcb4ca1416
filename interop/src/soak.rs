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
use crate::spec::Spec;

/// The first part of a soak is not judged: caches fill, allocators find their size, in steps that
/// come ever more seldom.
const WARMING: f64 = 0.5;

/// What a node's process used at a time, and what had reached the node.
#[derive(Debug, Clone, Default, PartialEq)]
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
    /// The octets that wait in it for the other node. Perl nodes don't tell.
    pub queued: Option<u64>,
    /// How often the connection was harmed.
    pub rounds: u64,
    /// How often its process ended by itself and was started anew: Perl's only, one of ours that
    /// ends is what a soak looks for.
    pub deaths: u64,
}

impl Row {
    /// The names of the columns of [`Row::columns`].
    pub const HEAD: &str = "seconds,pair,node,memory,processor,received,holes,queued,rounds,deaths";

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
            queued,
            rounds,
            deaths,
            ..
        } = self;
        let queued = queued.map_or(String::new(), |octets| octets.to_string());
        format!(
            "{at:.1},{pair},{node},{memory},{processor:.2},{received},{holes},{queued},{rounds},{deaths}"
        )
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
    let mut talk = Talk::begin(&mut ctx)?;
    let mut random = Random(seed);
    let (mut rounds, mut next) = (0, begun + interval);
    while Instant::now() < until {
        faults(&talk.pair.proxy, &mut random);
        talk.replace_the_dead(&mut ctx, pairing)?;
        if let Err(fault) = talk.is_linked(&ctx) {
            // It may have died only now.
            if !talk.replace_the_dead(&mut ctx, pairing)? {
                return Err(fault);
            }
            continue;
        }
        rounds += 1;
        if Instant::now() < next {
            continue;
        }
        next = Instant::now() + interval;
        for side in [Side::A, Side::B] {
            let mut row = Row {
                at: begun.elapsed().as_secs_f64(),
                pair: name.clone(),
                is_rust: pairing.side(side).is_rust(),
                rounds,
                ..Row::default()
            };
            if talk.observe(side, &mut row)?.is_none() {
                continue;
            }
            ensure(row.holes == 0, || {
                format!("{} got messages behind a hole: {row:?}", row.node)
            })?;
            // Whoever listened is gone: so is the soak.
            if rows.send(row).is_err() {
                return Ok(());
            }
        }
        // Nobody asks for these any more.
        for node in [&talk.pair.alice, &talk.pair.bob] {
            node.take(|event| event["ev"] == "node");
        }
    }
    talk.end()
}

/// Two nodes with a stream each way.
struct Talk {
    pair: Pair,
    /// Where alice listens.
    address: String,
    /// What the streams end at: at alice, at bob.
    ports: [String; 2],
    /// The streams: from alice, from bob.
    streams: [u64; 2],
    /// How many messages had reached processes that have ended.
    before: [u64; 2],
    /// How many had reached the present ones when they were looked at.
    seen: [u64; 2],
    /// How many processes have ended by themselves.
    deaths: [u64; 2],
}

impl Talk {
    fn begin(ctx: &mut Ctx) -> Result<Self> {
        let pair = ctx.pair()?;
        for node in [&pair.alice, &pair.bob] {
            if !node.has("stream") {
                let text = format!("{}'s driver has no streams", node.name());
                return Err(Fault::NotHere(text));
            }
        }
        let mut talk = Talk {
            address: pair.alice.listener()?,
            pair,
            ports: Default::default(),
            streams: [0; 2],
            before: [0; 2],
            seen: [0; 2],
            deaths: [0; 2],
        };
        talk.stream()?;
        Ok(talk)
    }

    /// Begins with new streams.
    fn stream(&mut self) -> Result<()> {
        let Pair { alice, bob, .. } = &self.pair;
        self.ports = [alice.port("stream")?, bob.port("stream")?];
        self.streams = [start(alice, &self.ports[1])?, start(bob, &self.ports[0])?];
        Ok(())
    }

    fn is_linked(&self, ctx: &Ctx) -> Result<()> {
        let Pair { alice, bob, .. } = &self.pair;
        alice.connected_with(&["bob"], ctx.limit())?;
        bob.connected_with(&["alice"], ctx.limit())
    }

    fn node(&self, side: Side) -> &Node {
        match side {
            Side::A => &self.pair.alice,
            Side::B => &self.pair.bob,
        }
    }

    /// Starts a Perl node anew whose process has ended, with streams from their beginning. True if
    /// there was one.
    fn replace_the_dead(&mut self, ctx: &mut Ctx, pairing: &Pairing) -> Result<bool> {
        for side in [Side::A, Side::B] {
            if pairing.side(side).is_rust() || self.node(side).usage().is_some() {
                continue;
            }
            let index = side as usize;
            let other = match side {
                Side::A => &self.pair.bob,
                Side::B => &self.pair.alice,
            };
            other.connected_with(&[], ctx.limit())?;
            let sent = other.call("stream_stop", json!({ "stream": self.streams[1 - index] }))?;
            ensure(sent["doubles"] == 0, || {
                format!("{}: a monitor fired twice: {sent}", other.name())
            })?;
            self.before[1 - index] += count(other, &self.ports[1 - index])?;
            // Those of the last seconds are not known.
            self.before[index] += std::mem::take(&mut self.seen[index]);
            other.take(|_| true);
            self.deaths[index] += 1;
            match side {
                Side::A => {
                    let spec = Spec::new("alice").bind(&self.address);
                    self.pair.alice = ctx.node(side, &spec)?;
                }
                Side::B => {
                    let spec = Spec::new("bob").seed(self.pair.proxy.address());
                    self.pair.bob = ctx.node(side, &spec)?;
                }
            }
            self.is_linked(ctx)?;
            self.stream()?;
            return Ok(true);
        }
        Ok(false)
    }

    /// Writes down what a node uses. None if its process has ended, and is a Perl node's.
    fn observe(&mut self, side: Side, row: &mut Row) -> Result<Option<()>> {
        let (node, index) = (self.node(side), side as usize);
        node.name().clone_into(&mut row.node);
        row.deaths = self.deaths[index];
        let state = match node.call("counter", json!({ "port": self.ports[index] })) {
            Err(Fault::Ended { .. }) if !row.is_rust => return Ok(None),
            state => state?,
        };
        let number = |name: &str| state[name].as_u64().unwrap_or_default();
        let Some(usage) = node.usage() else {
            return Ok(None);
        };
        row.memory = usage.memory;
        row.processor = usage.processor;
        row.received = self.before[index] + number("count");
        row.holes = number("holes");
        if row.is_rust {
            row.queued = node.call("queued", json!({}))?["octets"].as_u64();
        }
        self.seen[index] = number("count");
        Ok(Some(()))
    }

    fn end(&self) -> Result<()> {
        let Pair { alice, bob, .. } = &self.pair;
        settled(alice, bob)?;
        check(alice, bob, &self.ports[1], self.streams[0])?;
        check(bob, alice, &self.ports[0], self.streams[1])
    }
}

/// How many messages have reached a stream's port.
fn count(node: &Node, port: &str) -> Result<u64> {
    let state = node.call("counter", json!({ "port": port }))?;
    Ok(state["count"].as_u64().unwrap_or_default())
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
            queued: Some(7),
            ..Row::default()
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
        let warming = |n: u32| if n < 50 { 1e6 * f64::from(n) } else { 5e7 };
        assert!(trend_of(warming).is_flat());
        assert_eq!(trend(&[]), None);
    }

    #[test]
    fn columns_fit_their_head() {
        let row = &rows(|_| 5e6)[1];
        let columns = row.columns();
        assert_eq!(columns, "10.0,rust+rust,alice,5000000,0.00,0,0,7,0,0");
        assert_eq!(columns.split(',').count(), Row::HEAD.split(',').count());
    }
}
