//! Receiving by tag: set, replaced and removed while messages come in; ports without a callback.

use serde_json::json;

use crate::ctx::{Ctx, Pair};
use crate::fault::{Result, ensure};
use crate::pairing::Side;
use crate::peers::Generation;
use crate::scenario::{Scenario, everywhere};

/// See [`run`].
pub const SCENARIO: Scenario = Scenario {
    name: "tags",
    about: "messages reach the callback of their tag; tags are added, replaced, removed; a message to a port without callback kills it",
    not_in: everywhere,
    run,
};

fn run(ctx: &mut Ctx) -> Result<()> {
    let Pair { alice, bob, .. } = ctx.pair()?;
    for (one, other, side) in [(&bob, &alice, Side::A), (&alice, &bob, Side::B)] {
        ctx.step(format!("{} sends by tag to {}", one.name(), other.name()));
        let (me, port) = (one.port("record")?, other.port("mute")?);
        for tag in ["one", "caf\u{e9} \u{263a}", ""] {
            other.rcv(&port, Some(tag), Some("record"))?;
            one.snd(&port, json!([tag, "data", 1]))?;
            // the tag itself is taken off
            other.expect_msg(&port, &json!(["data", 1]))?;
        }
        ctx.step(format!("{} replaces and removes a tag", other.name()));
        other.rcv(&port, Some("one"), Some("echo"))?;
        one.snd(&port, json!(["one", me, "back"]))?;
        one.expect_msg(&me, &json!(["back"]))?;
        other.rcv(&port, Some("one"), None)?;
        other.rcv(&port, Some("two"), Some("record"))?;
        one.snd(&port, json!(["one", me, "back"]))?;
        one.snd(&port, json!(["two", 2]))?;
        other.expect_msg(&port, &json!([2]))?;
        one.snd(other.name(), json!(["snd", me, "sync"]))?;
        one.expect_msg(&me, &json!(["sync"]))?;

        ctx.step(format!(
            "a port of {} without callback gets a message",
            other.name()
        ));
        let port = other.port("none")?;
        let mon = one.mon(&port)?;
        one.snd(&port, json!(["x"]))?;
        let reason = one.fired(mon)?;
        // who has the port says why it died
        let wanted = match ctx.pairing.side(side).generation() {
            Some(Generation::G2) => "unhandled_message",
            _ => "die",
        };
        ensure(reason.first() == Some(&json!(wanted)), || {
            format!("it ended with {}", json!(reason))
        })?;
    }
    Ok(())
}
