//! Ports that are slower than who sends to them.

use serde_json::json;

use crate::ctx::{Ctx, Pair};
use crate::driver::Node;
use crate::fault::{Result, ensure};
use crate::pairing::{Pairing, Side};
use crate::scenario::{Scenario, everywhere};

/// How many messages, how many milliseconds each takes, and how long their text is.
const COUNT: u64 = 1_500;
const PAUSE: u64 = 1;
const LENGTH: usize = 10_000;

/// Who waits for room goes at the pace of the port.
pub const PACE: Scenario = Scenario {
    name: "slow-port",
    about: "15 MB of messages to a port that takes 1 ms for each arrive without hole and in order, each way, and no monitor fires",
    not_in: everywhere,
    run: pace,
};

/// Who does not wait, and Perl can't, runs over the port's bounds.
pub const OVERFLOW: Scenario = Scenario {
    name: "slow-port-overflow",
    about: "a port of ours that can't hold what is sent to it dies of overflow; its monitor on the sending node says so, and the link and its other ports go on",
    not_in: |pairing: &Pairing| match pairing.side(Side::A).is_rust() {
        true => None,
        false => Some("Perl nodes hold whatever comes"),
    },
    run: overflow,
};

/// Sends to a slow port, with or without waiting for room.
fn send(from: &Node, to: &str, waits: bool) -> Result<u64> {
    let tail = ["x".repeat(LENGTH)];
    from.send(
        "snd_many",
        &json!({ "to": to, "head": [from.name()], "count": COUNT, "tail": tail, "wait": waits }),
    )
}

fn pace(ctx: &mut Ctx) -> Result<()> {
    let Pair { alice, bob, .. } = ctx.pair()?;
    for (one, other) in [(&alice, &bob), (&bob, &alice)] {
        ctx.step(format!("{} sends, {} is slow", one.name(), other.name()));
        let port = other.slow_counter(COUNT, PAUSE)?;
        let mon = one.mon(&port)?;
        let sending = send(one, &port, true)?;
        other.counted(&port, ctx.limit() * 2)?;
        one.answer(sending, "snd_many")?;
        one.expect_quiet(mon)?;
        one.sync(other.name())?;
    }
    Ok(())
}

fn overflow(ctx: &mut Ctx) -> Result<()> {
    let Pair { alice, bob, .. } = ctx.pair_with(
        |alice| *alice = alice.clone().with("max_queue", json!(1_000_000)),
        |_| {},
    )?;
    ctx.step("bob sends, alice is slow");
    let link = bob.mon(alice.name())?;
    let port = alice.slow_counter(COUNT, PAUSE)?;
    let mon = bob.mon(&port)?;
    let sending = send(&bob, &port, false)?;
    let reason = bob.fired(mon)?;
    ensure(reason.first() == Some(&json!("overflow")), || {
        format!("the monitor fired with {}", json!(reason))
    })?;
    bob.answer(sending, "snd_many")?;
    ctx.step("the link and its other ports go on");
    bob.sync("alice")?;
    alice.sync("bob")?;
    bob.expect_quiet(link)
}
