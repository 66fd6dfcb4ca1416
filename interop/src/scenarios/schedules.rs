//! The delivery guarantee under random faults, from seeds that are named when it fails.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::ctx::{Ctx, Pair};
use crate::driver::{Event, Node};
use crate::fault::{Fault, Result, ensure};
use crate::pairing::Side;
use crate::proxy::Proxy;
use crate::scenario::{Scenario, everywhere};
use crate::spec::Spec;

/// See [`run`].
pub const SCENARIO: Scenario = Scenario {
    name: "schedules",
    about: "numbered messages both ways while the proxy resets, closes, stalls, delays and splits by a seed's schedule: no hole, no reordering, nothing after a loss before the monitor fired, every monitor once",
    not_in: everywhere,
    run,
};

/// See [`kills`].
pub const KILLS: Scenario = Scenario {
    name: "schedules-kill",
    about: "the same, but in the end one of the two is killed and started again: what had arrived has no hole, and the other's monitor fired once for each loss",
    not_in: everywhere,
    run: kills,
};

/// A small generator (splitmix64): the same schedule for the same seed, everywhere.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }
}

fn run(ctx: &mut Ctx) -> Result<()> {
    let Pair { alice, bob, proxy } = ctx.pair()?;
    for node in [&alice, &bob] {
        if !node.has("stream") {
            return Err(Fault::NotHere(format!(
                "{}'s driver has no streams",
                node.name()
            )));
        }
    }
    for seed in ctx.schedules() {
        ctx.step(format!(
            "schedule of seed {seed} (--schedules 1 --seed {seed})"
        ));
        // streams of their own: epochs begin again
        let ends = [
            (&alice, &bob, bob.port("stream")?),
            (&bob, &alice, alice.port("stream")?),
        ];
        let mut streams = Vec::new();
        for (one, other, port) in &ends {
            streams.push((*one, *other, port, start(one, port)?));
        }
        faults(&proxy, &mut Random(seed));
        ctx.step(format!("the link after the schedule of seed {seed}"));
        alice.connected_with(&["bob"], ctx.limit())?;
        bob.connected_with(&["alice"], ctx.limit())?;
        settled(&alice, &bob)?;
        for (one, other, port, stream) in streams {
            check(one, other, port, stream)?;
        }
    }
    Ok(())
}

fn kills(ctx: &mut Ctx) -> Result<()> {
    ctx.step("alice starts");
    let alice = ctx.node(Side::A, &Spec::new("alice").listen())?;
    let proxy = ctx.proxy(&alice.listener()?)?;
    for seed in ctx.schedules() {
        ctx.step(format!("kill of seed {seed} (--schedules 1 --seed {seed})"));
        let bob = ctx.node(Side::B, &Spec::new("bob").seed(proxy.address()))?;
        if !alice.has("stream") || !bob.has("stream") {
            return Err(Fault::NotHere("a driver has no streams".to_owned()));
        }
        bob.up("alice")?;
        alice.connected_with(&["bob"], ctx.limit())?;
        let (at_alice, at_bob) = (alice.port("stream")?, bob.port("stream")?);
        let stream = start(&alice, &at_bob)?;
        start(&bob, &at_alice)?;
        let mut random = Random(seed);
        faults(&proxy, &mut random);
        std::thread::sleep(random.millis(0, 100)); // the moment of the kill
        bob.kill9()?;
        ctx.step(format!("after the kill of seed {seed}"));
        alice.connected_with(&[], ctx.limit())?;
        let sent = alice.call("stream_stop", json!({ "stream": stream }))?;
        let ended = alice.take(|e| e["ev"] == "epoch" && e["stream"] == stream);
        let fired = Some(ended.len() as u64) == sent["fired"].as_u64();
        ensure(fired && !ended.is_empty() && sent["doubles"] == 0, || {
            format!("alice: {} epochs ended, but {sent}", ended.len())
        })?;
        let state = alice.call("counter", json!({ "port": at_alice }))?;
        ensure(state["holes"] == 0, || {
            format!("what bob sent before he was killed arrived with holes: {state}")
        })?;
    }
    Ok(())
}

pub(crate) fn start(node: &Node, to: &str) -> Result<u64> {
    let ok = node.call("stream", json!({ "to": to }))?;
    ok["stream"]
        .as_u64()
        .ok_or_else(|| Fault::unexpected("the driver gave no stream ID"))
}

/// Two to four faults, at random moments.
pub(crate) fn faults(proxy: &Proxy, random: &mut Random) {
    for _ in 0..2 + random.below(3) {
        std::thread::sleep(random.millis(5, 120)); // the moment of a fault, not a wait for anything
        match random.below(6) {
            0 | 1 => proxy.reset(),
            2 => proxy.close(),
            3 => {
                proxy.plan(|plan| plan.hold = true);
                std::thread::sleep(random.millis(5, 200));
                // what is held back is lost in half of the cases
                if random.below(2) == 0 {
                    proxy.reset();
                }
                proxy.plan(|plan| plan.hold = false);
            }
            4 => proxy.plan(|plan| plan.split = !plan.split),
            _ => {
                let delay = random.millis(0, 30);
                proxy.plan(|plan| {
                    plan.delay = if plan.delay.is_zero() {
                        delay
                    } else {
                        Duration::ZERO
                    }
                });
            }
        }
    }
    proxy.plan(|plan| {
        plan.split = false;
        plan.delay = Duration::ZERO;
    });
}

/// Waits until messages pass both ways: a link that is being replaced loses some, and says so.
pub(crate) fn settled(alice: &Node, bob: &Node) -> Result<()> {
    let deadline = Instant::now() + alice.limit();
    for (one, other) in [(alice, bob), (bob, alice)] {
        loop {
            let me = one.port("record")?;
            one.snd(other.name(), json!(["snd", me, "here"]))?;
            if one
                .wait_for("an answer", Duration::from_secs(2), |e| {
                    e["ev"] == "msg" && e["port"] == me
                })
                .is_ok()
            {
                break;
            }
            if Instant::now() > deadline {
                return Err(Fault::Unexpected(format!(
                    "{} gets no answer from {}",
                    one.name(),
                    other.name()
                )));
            }
        }
    }
    Ok(())
}

/// Stops a stream and compares what was sent with what was received.
pub(crate) fn check(one: &Node, other: &Node, port: &str, stream: u64) -> Result<()> {
    check_behind(one, other, port, stream, Vec::new())
}

/// The same for a stream of which some epochs were already told.
pub(crate) fn check_behind(
    one: &Node,
    other: &Node,
    port: &str,
    stream: u64,
    mut ended: Vec<Event>,
) -> Result<()> {
    let sent = one.call("stream_stop", json!({ "stream": stream }))?;
    one.sync(other.name())?;
    let state = other.call("counter", json!({ "port": port }))?;
    ensure(sent["doubles"] == 0, || {
        format!("{}: a monitor fired twice: {sent}", one.name())
    })?;
    ensure(state["holes"] == 0, || {
        format!(
            "{} to {}: sent {sent}, received {state}",
            one.name(),
            other.name()
        )
    })?;
    ended.extend(one.take(|e| e["ev"] == "epoch" && e["stream"] == stream));
    ensure(
        Some(ended.len() as u64) == sent["fired"].as_u64() && sent["fired"] == sent["epoch"],
        || format!("{}: {} epochs ended, but {sent}", one.name(), ended.len()),
    )?;
    let lost = ended.iter().find(|e| e["reason"][0] != "transport_error");
    ensure(lost.is_none(), || {
        format!(
            "{}: the monitor fired with {}",
            one.name(),
            lost.map_or(String::new(), Value::to_string)
        )
    })
}
