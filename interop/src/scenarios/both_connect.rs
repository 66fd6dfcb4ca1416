//! Two nodes that connect to each other at the same instant.

use std::time::Duration;

use crate::ctx::Ctx;
use crate::driver::Node;
use crate::fault::Fault;
use crate::fault::Result;
use crate::pairing::Side;
use crate::scenario::{Scenario, everywhere};
use crate::spec::Spec;

/// See [`run`].
pub const SCENARIO: Scenario = Scenario {
    name: "both-connect",
    about: "each node is the other's seed and both connections finish their handshake together: they settle, and nothing sent afterwards is lost",
    not_in: everywhere,
    run,
};

fn run(ctx: &mut Ctx) -> Result<()> {
    ctx.step("both start to connect");
    let (a, b) = (ctx.address()?, ctx.address()?);
    let (to_a, to_b) = (ctx.proxy(&a.to_string())?, ctx.proxy(&b.to_string())?);
    for proxy in [&to_a, &to_b] {
        proxy.plan(|plan| plan.hold = true);
    }
    let alice = ctx.node(Side::A, &Spec::new("alice").bind(a).seed(to_b.address()))?;
    let bob = ctx.node(Side::B, &Spec::new("bob").bind(b).seed(to_a.address()))?;
    ctx.step("both connections stand, greetings are held back");
    for proxy in [&to_a, &to_b] {
        proxy.wait("a connection", ctx.limit(), |links| {
            links.iter().any(|l| !l.closed)
        })?;
    }
    for proxy in [&to_a, &to_b] {
        proxy.plan(|plan| plan.hold = false);
    }
    ctx.step("they settle");
    settled(&alice, &bob)?;
    ctx.step("numbered messages both ways");
    let (at_alice, at_bob) = (alice.counter(500)?, bob.counter(500)?);
    let sent = [
        alice.snd_many(&at_bob, 500, &serde_json::json!([]))?,
        bob.snd_many(&at_alice, 500, &serde_json::json!([]))?,
    ];
    bob.counted(&at_bob, ctx.limit())?;
    alice.counted(&at_alice, ctx.limit())?;
    alice.answer(sent[0], "snd_many")?;
    bob.answer(sent[1], "snd_many").map(drop)
}

/// Waits until both see each other and nothing has changed for a second.
fn settled(alice: &Node, bob: &Node) -> Result<()> {
    const QUIET: Duration = Duration::from_secs(1);
    let node_event = |e: &serde_json::Value| e["ev"] == "node";
    let deadline = std::time::Instant::now() + alice.limit();
    loop {
        alice.connected_with(&["bob"], alice.limit())?;
        bob.connected_with(&["alice"], bob.limit())?;
        alice.take(node_event);
        bob.take(node_event);
        let quiet = alice.wait_for("a node event", QUIET, node_event).is_err()
            && bob.pending(node_event).is_empty();
        if quiet {
            return Ok(());
        }
        if std::time::Instant::now() > deadline {
            return Err(Fault::Unexpected(
                "the link keeps going up and down".to_owned(),
            ));
        }
    }
}
