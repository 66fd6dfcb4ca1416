//! A connection that is lost again and again.

use crate::ctx::Ctx;
use crate::fault::Result;
use crate::matrix::Side;
use crate::scenario::{Scenario, everywhere};
use crate::verbs::Spec;

/// See [`run`].
pub const SCENARIO: Scenario = Scenario {
    name: "nodes-come-and-go",
    about: "twenty nodes, one after the other, join the same seed under the same node ID and leave, in order or killed; the seed sees each come and go",
    not_in: everywhere,
    run,
};

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
