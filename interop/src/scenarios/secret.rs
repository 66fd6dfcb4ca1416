//! A node that does not know the secret is kept out, and only that one.

use crate::ctx::Ctx;
use crate::fault::{Result, ensure};
use crate::pairing::Side;
use crate::scenario::{Scenario, everywhere};
use crate::spec::Spec;

/// See [`run`].
pub const SCENARIO: Scenario = Scenario {
    name: "wrong-secret",
    about: "a node with another secret never comes up on either side; its connection is closed; a node with the right one carries on",
    not_in: everywhere,
    run,
};

fn run(ctx: &mut Ctx) -> Result<()> {
    ctx.step("alice and bob connect");
    let alice = ctx.node(Side::A, &Spec::new("alice").listen())?;
    let bob = ctx.node(Side::B, &Spec::new("bob").seed(alice.listener()?))?;
    alice.up("bob")?;
    bob.up("alice")?;

    ctx.step("mallory tries with another secret");
    let proxy = ctx.proxy(&alice.listener()?)?;
    let mallory = ctx.node(
        Side::B,
        &Spec::new("mallory").seed(proxy.address()).secret("falsch"),
    )?;
    proxy.wait("the connection to be refused", ctx.limit(), |links| {
        links.first().is_some_and(|l| l.closed)
    })?;
    let links = proxy.links();
    let tried = links[0].forth_lines >= 3 || links[0].back_lines >= 3;
    ensure(tried, || {
        format!("closed before any token was sent: {links:?}")
    })?;
    proxy.wait("a second try to be refused", ctx.limit(), |links| {
        links.len() > 1 && links[1].closed
    })?;

    ctx.step("nobody sees mallory, nobody is disturbed");
    alice.sync("bob")?;
    bob.sync("alice")?;
    alice.connected_with(&["bob"], ctx.limit())?;
    mallory.connected_with(&[], ctx.limit())?;
    for (node, other) in [(&alice, "mallory"), (&mallory, "alice")] {
        let events = node.pending(|e| e["ev"] == "node" && e["node"] == other && e["up"] == true);
        ensure(events.is_empty(), || {
            format!("{} saw {}", node.name(), events[0])
        })?;
    }
    if ctx.side(Side::A).is_rust() {
        ctx.step("alice's log names the cause");
        let log = ctx.log("alice").to_lowercase();
        ensure(
            log.contains("secret") || log.contains("authenticat"),
            || "no line of alice's log has 'secret' or 'authenticat'".to_owned(),
        )?;
    }
    Ok(())
}
