//! A soak: pairs of nodes that talk for a long time while the connection between them is harmed,
//! and what their processes use meanwhile.
//!
//! Each pair has a stream of numbered messages each way (the driver's `stream`), which shows the
//! delivery guarantee: what is lost is reported by a monitor, and there are no holes besides. What
//! is measured is written down every few seconds; in the end it is judged whether the memory of
//! our nodes is flat. A Perl node that loses a monitor, which some do, begins anew with its
//! streams, and it is counted.

mod heard;
mod trend;

pub use trend::{Trend, trend};

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::ctx::{Ctx, Env, Pair};
use crate::driver::Node;
use crate::fault::{Fault, Result, ensure};
use crate::pairing::{Pairing, Side};
use crate::scenarios::schedules::{Random, check_behind, faults, settled, start};
use crate::spec::Spec;
use heard::Heard;

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
    /// How many monitors it has lost: the other node got messages behind a hole, and this one told
    /// its program of the loss of a link, but not by the monitor of the port behind it.
    pub monitors_lost: u64,
}

impl Row {
    /// The names of the columns of [`Row::columns`].
    pub const HEAD: &str = "seconds,pair,node,memory,processor,received,holes,queued,rounds,deaths,\
                            monitors_lost";

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
            monitors_lost,
            ..
        } = self;
        let queued = queued.map_or(String::new(), |octets| octets.to_string());
        format!(
            "{at:.1},{pair},{node},{memory},{processor:.2},{received},{holes},{queued},{rounds},{deaths},\
             {monitors_lost}"
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
    let mut ctx = Ctx::new("soak", pairing, env, &folder, secret)?;
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
            if row.holes > 0 {
                talk.excuse(side, pairing, &row)?;
                row.holes = 0;
            }
            // Whoever listened is gone: so is the soak.
            if rows.send(row).is_err() {
                return Ok(());
            }
        }
        talk.listen();
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
    /// What each has told.
    heard: [Heard; 2],
    /// How many monitors each has lost.
    monitors_lost: [u64; 2],
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
            heard: Default::default(),
            monitors_lost: [0; 2],
        };
        talk.stream()?;
        Ok(talk)
    }

    /// Begins with new streams.
    fn stream(&mut self) -> Result<()> {
        let Pair { alice, bob, .. } = &self.pair;
        self.ports = [alice.port("stream")?, bob.port("stream")?];
        self.streams = [start(alice, &self.ports[1])?, start(bob, &self.ports[0])?];
        self.heard.iter_mut().for_each(Heard::forget);
        Ok(())
    }

    /// Takes what both have told of their streams and of the link.
    fn listen(&mut self) {
        for (node, heard) in [&self.pair.alice, &self.pair.bob]
            .into_iter()
            .zip(&mut self.heard)
        {
            heard.hear(node.take(|event| event["ev"] == "node" || event["ev"] == "epoch"));
        }
    }

    /// A side has got messages behind a hole. If the other one is Perl and has lost a monitor, that
    /// is why, and both begin with new streams.
    fn excuse(&mut self, side: Side, pairing: &Pairing, row: &Row) -> Result<()> {
        let (index, from) = (side as usize, side.other());
        // What is told before an answer has come when that comes.
        count(self.node(from), &self.ports[1 - index])?;
        self.listen();
        let is_told = self.heard[1 - index].lost() > 0;
        ensure(!pairing.side(from).is_rust() && is_told, || {
            format!("{} got messages behind a hole: {row:?}", row.node)
        })?;
        self.monitors_lost[1 - index] += 1;
        self.stop(Side::A)?;
        self.stop(Side::B)?;
        self.stream()
    }

    /// Stops the stream of a side, and adds what has reached its port to what had before.
    fn stop(&mut self, side: Side) -> Result<()> {
        let (node, index) = (self.node(side), side as usize);
        let sent = node.call("stream_stop", json!({ "stream": self.streams[index] }))?;
        ensure(sent["doubles"] == 0, || {
            format!("{}: a monitor fired twice: {sent}", node.name())
        })?;
        self.before[index] += count(node, &self.ports[index])?;
        self.seen[index] = 0;
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
            let other = side.other();
            self.node(other).connected_with(&[], ctx.limit())?;
            self.stop(other)?;
            // Those of the last seconds are not known.
            self.before[index] += std::mem::take(&mut self.seen[index]);
            self.node(other).take(|_| true);
            self.heard.iter_mut().for_each(Heard::forget);
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
        row.monitors_lost = self.monitors_lost[index];
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

    fn end(mut self) -> Result<()> {
        settled(&self.pair.alice, &self.pair.bob)?;
        self.listen();
        let Pair { alice, bob, .. } = &self.pair;
        let [from_alice, from_bob] = self.heard.map(|heard| heard.ended);
        check_behind(alice, bob, &self.ports[1], self.streams[0], from_alice)?;
        check_behind(bob, alice, &self.ports[0], self.streams[1], from_bob)
    }
}

/// How many messages have reached a stream's port.
fn count(node: &Node, port: &str) -> Result<u64> {
    let state = node.call("counter", json!({ "port": port }))?;
    Ok(state["count"].as_u64().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_fit_their_head() {
        let row = Row {
            at: 10.0,
            pair: "rust+rust".to_owned(),
            node: "alice".to_owned(),
            is_rust: true,
            memory: 5_000_000,
            queued: Some(7),
            ..Row::default()
        };
        let columns = row.columns();
        assert_eq!(columns, "10.0,rust+rust,alice,5000000,0.00,0,0,7,0,0,0");
        assert_eq!(columns.split(',').count(), Row::HEAD.split(',').count());
    }
}
