//! A slow, chopped, stalled wire, and a peer that stops for a while: nothing is lost.

use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::json;

use crate::ctx::{Ctx, Pair};
use crate::fault::Result;
use crate::pairing::Side;
use crate::proxy::Plan;
use crate::scenario::{Scenario, everywhere};
use crate::spec::Spec;

/// Every octet by itself.
pub const SPLIT: Scenario = Scenario {
    name: "split",
    about: "every octet, from the greeting on, passes by itself: handshake, values and numbered messages as ever",
    not_in: everywhere,
    run: |ctx| through(ctx, |plan| plan.split = true, 200),
};

/// A wire with 40 ms on the way.
pub const DELAY: Scenario = Scenario {
    name: "delay",
    about: "every chunk takes 40 ms: handshake, values and numbered messages as ever",
    not_in: everywhere,
    run: |ctx| through(ctx, |plan| plan.delay = Duration::from_millis(40), 1000),
};

/// A reader that stops for a while.
pub const SLOW_READER: Scenario = Scenario {
    name: "slow-reader",
    about: "a node is stopped (SIGSTOP) while 20 MB are sent to it, then goes on (SIGCONT): all of it arrives in order",
    not_in: everywhere,
    run: slow_reader,
};

fn through(ctx: &mut Ctx, change: impl Fn(&mut Plan), count: u64) -> Result<()> {
    ctx.step("two nodes connect");
    let alice = ctx.node(Side::A, &Spec::new("alice").listen())?;
    let proxy = ctx.proxy(&alice.listener()?)?;
    proxy.plan(change);
    let bob = ctx.node(Side::B, &Spec::new("bob").seed(proxy.address()))?;
    alice.up("bob")?;
    bob.up("alice")?;
    ctx.step("values pass");
    super::echo::echoed(&alice, &bob)?;
    super::echo::echoed(&bob, &alice)?;
    ctx.step(format!("{count} numbered messages each way"));
    let (at_alice, at_bob) = (alice.counter(count)?, bob.counter(count)?);
    let sent = (
        alice.snd_many(&at_bob, count, &json!(["\u{263a}"]))?,
        bob.snd_many(&at_alice, count, &json!(["\u{263a}"]))?,
    );
    bob.counted(&at_bob, ctx.limit())?;
    alice.counted(&at_alice, ctx.limit())?;
    alice.answer(sent.0, "snd_many")?;
    bob.answer(sent.1, "snd_many").map(drop)
}

fn slow_reader(ctx: &mut Ctx) -> Result<()> {
    let Pair { alice, bob, proxy } = ctx.pair()?;
    const COUNT: u64 = 1000;
    for (sender, reader) in [(&alice, &bob), (&bob, &alice)] {
        ctx.step(format!(
            "{} sends while {} is stopped",
            sender.name(),
            reader.name()
        ));
        let port = reader.counter(COUNT)?;
        reader.signal(Signal::SIGSTOP);
        let sent = sender.snd_many(&port, COUNT, &json!(["x".repeat(20_000)]))?;
        sender.answer(sent, "snd_many")?;
        ctx.step(format!("{} goes on", reader.name()));
        reader.signal(Signal::SIGCONT);
        reader.counted(&port, ctx.limit())?;
        sender.sync(reader.name())?;
    }
    let links = proxy.links();
    crate::fault::ensure(links.len() == 1, || {
        format!("the connection was lost on the way: {links:?}")
    })
}
