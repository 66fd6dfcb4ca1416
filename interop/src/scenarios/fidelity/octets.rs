//! Node IDs beyond ASCII.

use serde_json::json;

use crate::ctx::Ctx;
use crate::fault::{Fault, Result};
use crate::pairing::Side;
use crate::scenario::{Scenario, everywhere};
use crate::spec::Spec;

/// See [`run`].
pub const SCENARIO: Scenario = Scenario {
    name: "octets",
    about: "node IDs with characters up to U+00FF, which are an octet each in greetings; messages, monitors and spawns by them",
    not_in: everywhere,
    run,
};

/// What a node typed as `ü` in a terminal is called, and one that is called that.
const ALICE: &str = "al\u{c3}\u{bc}ce";
const BOB: &str = "b\u{fc}b";

fn run(ctx: &mut Ctx) -> Result<()> {
    ctx.step("two nodes connect");
    let alice = ctx.node(Side::A, &Spec::new(ALICE).listen())?;
    let proxy = ctx.proxy(&alice.listener()?)?;
    let bob = ctx.node(Side::B, &Spec::new(BOB).seed(proxy.address()))?;
    alice.up(BOB)?;
    bob.up(ALICE)?;
    for (one, other) in [(&bob, &alice), (&alice, &bob)] {
        ctx.step(format!("{} talks to {}", one.name(), other.name()));
        let me = one.port("record")?;
        let port = one.spawn(other.name(), "aemp_test::init", json!([me, "\u{fc}"]))?;
        one.expect_msg(&me, &json!(["ready", port, "\u{fc}"]))?;
        let mon = one.mon(&port)?;
        one.snd(&port, json!(["die", "oops"]))?;
        one.expect_fired(mon, &json!(["die", "oops"]))?;
    }

    ctx.step("a character without an octet");
    for side in [Side::A, Side::B] {
        if !ctx.side(side).is_rust() {
            continue; // it starts, and dies when it connects
        }
        let spec = Spec::new("\u{263a}").listen();
        let node = ctx.driver(side, &spec)?;
        match node.configure(&spec) {
            Err(Fault::Command { text, .. }) if text.contains("beyond U+00FF") => {}
            other => {
                return Err(Fault::unexpected(format!("it became {other:?}")));
            }
        }
    }
    Ok(())
}
