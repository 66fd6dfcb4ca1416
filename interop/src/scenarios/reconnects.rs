//! A connection that is lost again and again.

use crate::ctx::{Ctx, Pair};
use crate::fault::Result;
use crate::pairing::Side;
use crate::peers::Generation;
use crate::scenario::{Scenario, everywhere};
use crate::spec::Spec;

/// See [`run`].
pub const SCENARIO: Scenario = Scenario {
    name: "nodes-come-and-go",
    about: "twenty nodes, one after the other, join the same seed under the same node ID and leave, in order or killed; the seed sees each come and go",
    not_in: everywhere,
    run,
};

/// See [`hundred`].
pub const HUNDRED: Scenario = Scenario {
    name: "reconnects-100",
    about: "the connection of two nodes is reset a hundred times (twenty where a Perl node of 1.1 or later connects, which waits for a second or two each time); each time the monitors on both sides fire once, the nodes connect again by themselves and talk",
    not_in: everywhere,
    run: hundred,
};

fn hundred(ctx: &mut Ctx) -> Result<()> {
    let Pair { alice, bob, proxy } = ctx.pair()?;
    let (at_alice, at_bob) = (alice.port("mute")?, bob.port("mute")?);
    let slow = ctx.side(Side::B).generation() >= Some(Generation::G1a);
    for round in 1..=if slow { 20 } else { 100 } {
        ctx.step(format!("round {round}: the connection is reset"));
        let monitors = [(&alice, alice.mon(&at_bob)?), (&bob, bob.mon(&at_alice)?)];
        alice.sync("bob")?;
        bob.sync("alice")?;
        proxy.reset();
        for (node, monitor) in monitors {
            let other = if node.name() == "alice" {
                "bob"
            } else {
                "alice"
            };
            node.expect_lost(monitor, other)?;
            node.down(other)?;
        }
        ctx.step(format!("round {round}: they connect again"));
        alice.up("bob")?;
        bob.up("alice")?;
    }
    Ok(())
}

fn run(ctx: &mut Ctx) -> Result<()> {
    ctx.step("the seed starts");
    let alice = ctx.node(Side::A, &Spec::new("alice").listen())?;
    let seed = alice.listener()?;
    for round in 1..=20 {
        ctx.step(format!("node {round} joins"));
        let bob = ctx.node(Side::B, &Spec::new("bob").seed(&seed))?;
        bob.up("alice")?;
        alice.up("bob")?;
        let port = bob.port("mute")?;
        bob.grp_reg("guests", &port)?;
        alice.group_is("guests", &[&port])?;
        let mon = alice.mon(&port)?;
        alice.sync("bob")?;
        ctx.step(format!("node {round} leaves"));
        if round % 2 == 0 {
            bob.kill9()?
        } else {
            bob.quit()?
        }
        alice.down("bob")?;
        alice.expect_lost(mon, "bob")?;
        alice.group_is("guests", &[])?;
    }
    Ok(())
}
