//! Two nodes find each other, talk, and part in order.

use serde_json::json;

use crate::ctx::{Ctx, Pair};
use crate::fault::{Result, ensure};
use crate::scenario::{Scenario, everywhere};

/// See [`run`].
pub const SCENARIO: Scenario = Scenario {
    name: "handshake",
    about: "two nodes connect, each sees the other come up, one connection carries it all; one leaves in order and the other sees it go",
    not_in: everywhere,
    run,
};

fn run(ctx: &mut Ctx) -> Result<()> {
    let Pair { alice, bob, proxy } = ctx.pair()?;
    ctx.step("each lists the other");
    alice.connected_with(&["bob"], ctx.limit())?;
    bob.connected_with(&["alice"], ctx.limit())?;

    ctx.step("messages pass both ways");
    alice.sync("bob")?;
    bob.sync("alice")?;
    let links = proxy.links();
    ensure(links.len() == 1 && !links[0].closed, || {
        format!("expected one open connection, the proxy saw {links:?}")
    })?;

    ctx.step("bob leaves");
    let mon = alice.mon("bob")?;
    bob.quit()?;
    let reason = alice.down("bob")?;
    ensure(reason.first() == Some(&json!("transport_error")), || {
        format!("down with reason {}", json!(reason))
    })?;
    alice.expect_lost(mon, "bob")
}
