//! Nodes that only know their global node.

use serde_json::json;

use super::nodes::{only_2nd, star_of};
use super::seen::agree;
use crate::ctx::Ctx;
use crate::fault::Result;
use crate::pairing::Side;
use crate::scenario::{Scenario, only_2};
use crate::scenarios::echo;

/// Nodes that only know their global node.
pub const SCENARIO: Scenario = Scenario {
    name: "db-slaves",
    about: "a slave finds another one through the global node and connects with it when there is something to send; one without listener and one that nobody knows cannot be found, and monitors say so",
    not_in: only_2,
    run: slaves,
};

fn slaves(ctx: &mut Ctx) -> Result<()> {
    // Rust nodes that speak all generations connect with each other at once, and go on hoping for a
    // node that the database does not know.
    let (alice, slaves) = star_of(
        ctx,
        &[(Side::B, "bob"), (Side::A, "carol"), (Side::B, "dora")],
        |_, name| only_2nd(name),
    )?;
    let (bob, carol, dora) = (&slaves[0], &slaves[1], &slaves[2]);
    let erna = ctx.node(Side::A, &only_2nd("erna").seed(alice.listener()?))?;
    erna.up("alice")?;
    alice.up("erna")?;

    ctx.step("slaves are connected with their global node alone");
    let nodes = [bob, carol, dora, &erna];
    for node in nodes {
        node.connected_with(&["alice"], node.limit())?;
    }
    alice.connected_with(&["bob", "carol", "dora", "erna"], alice.limit())?;

    ctx.step("bob finds carol by a group and writes to her");
    let (at_carol, at_bob) = (carol.port("tags")?, bob.port("record")?);
    carol.grp_reg("workers", &at_carol)?;
    bob.group_is("workers", &[&at_carol])?;
    bob.snd(&at_carol, json!(["echoed", at_bob, "hello"]))?;
    bob.expect_msg(&at_bob, &json!(["echoed", "hello"]))?;
    bob.up("carol")?;
    carol.up("bob")?;
    bob.connected_with(&["alice", "carol"], bob.limit())?;
    carol.connected_with(&["alice", "bob"], carol.limit())?;
    echo::echoed(carol, bob)?;

    ctx.step("a monitor and a spawn find a slave as well");
    let at_dora = dora.port("tags")?;
    let mon = carol.mon(&at_dora)?;
    carol.up("dora")?;
    carol.sync("dora")?;
    dora.kil(&at_dora, json!(["enough"]))?;
    carol.expect_fired(mon, &json!(["enough"]))?;
    let spawned = dora.spawn("bob", "aemp_test::init", json!([dora.port("record")?]))?;
    let mon = dora.mon(&spawned)?;
    dora.up("bob")?;
    dora.sync("bob")?;
    dora.expect_quiet(mon)?;

    ctx.step("a slave without listener finds others");
    erna.snd(&at_carol, json!(["echoed", erna.port("mute")?, "x"]))?;
    erna.up("carol")?;
    carol.sync("erna")?;

    ctx.step("nobody finds a slave without listener, nor a node that nobody knows");
    for (node, missing) in [(bob, "erna"), (dora, "nobody"), (&erna, "nobody")] {
        let mon = node.mon(&format!("{missing}#port"))?;
        node.expect_lost(mon, missing)?;
    }

    ctx.step("carol is killed");
    let mon = bob.mon(&at_carol)?;
    bob.sync("carol")?;
    carol.kill9()?;
    bob.expect_lost(mon, "carol")?;
    bob.group_is("workers", &[])?;
    alice.down("carol")?;
    bob.connected_with(&["alice", "dora"], bob.limit())?;
    let mon = dora.mon(&at_carol)?;
    dora.expect_lost(mon, "carol")?;
    agree(&[&alice, bob, dora, &erna])
}
