//! The verbs that have no scenario of their own: after, psub or peval, cal.

use serde_json::json;

use crate::ctx::{Ctx, Pair};
use crate::driver::Node;
use crate::fault::{Result, ensure};
use crate::peers::Generation;
use crate::scenario::{Scenario, everywhere};

/// See [`run`].
pub const SCENARIO: Scenario = Scenario {
    name: "verbs",
    about: "after sends later; code that fails in a port's context kills it; cal brings the answer, or none when the port dies or the time is over",
    not_in: everywhere,
    run,
};

fn run(ctx: &mut Ctx) -> Result<()> {
    let Pair { alice, bob, .. } = ctx.pair()?;
    for (one, other) in [(&bob, &alice), (&alice, &bob)] {
        ctx.step(format!(
            "{} sends after 0.1 s to {}",
            one.name(),
            other.name()
        ));
        let there = other.port("record")?;
        one.call(
            "after",
            json!({ "seconds": 0.1, "msg": [there, "later", 1] }),
        )?;
        one.snd(&there, json!(["now"]))?;
        other.expect_msg(&there, &json!(["now"]))?;
        other.expect_msg(&there, &json!(["later", 1]))?;

        ctx.step(format!(
            "code runs in the context of a port of {}",
            other.name()
        ));
        let port = other.port("mute")?;
        let me = one.port("record")?;
        let mon = one.mon(&port)?;
        one.sync(other.name())?;
        other.call(
            "in_port",
            json!({ "port": port, "do": "snd", "msg": [me, "I am"] }),
        )?;
        one.expect_msg(&me, &json!(["I am", port]))?;
        other.call(
            "in_port",
            json!({ "port": port, "do": "die", "text": "in context" }),
        )?;
        one.expect_fired(mon, &json!(["die", "in context"]))?;

        if one.has("cal") {
            cal(ctx, one, other)?;
        }
    }
    Ok(())
}

fn cal(ctx: &mut Ctx, one: &Node, other: &Node) -> Result<()> {
    ctx.step(format!("{} calls a port of {}", one.name(), other.name()));
    let echo = other.port("tags")?;
    // cal puts its reply port last; the node port's `info` takes it so, and from generation 2 on
    // its `can`
    let (msg, reply) = match ctx.pairing.generation() {
        // Perl's true
        Some(Generation::G2) => (json!(["can", "devnull"]), json!(["1"])),
        _ => (json!(["info"]), json!([other.name()])),
    };
    for timeout in [json!(20), json!(null)] {
        let ok = one.call(
            "cal",
            json!({ "to": other.name(), "msg": msg, "timeout": timeout }),
        )?;
        ensure(ok["reply"] == reply, || format!("got {ok}"))?;
    }

    ctx.step(format!("{} calls in vain", one.name()));
    let ok = one.call(
        "cal",
        json!({ "to": echo, "msg": ["no such tag"], "timeout": 0.2 }),
    );
    // a Perl port without that tag dies; either way there is no reply
    ensure(ok.as_ref().is_ok_and(|ok| ok["reply"].is_null()), || {
        format!("got {ok:?}")
    })?;
    let ok = one.call(
        "cal",
        json!({ "to": format!("{}#nosuchport", other.name()), "msg": ["x"] }),
    )?;
    let reply = &ok["reply"];
    ensure(reply.is_null() || reply[0] == "no_such_port", || {
        format!("got {ok}")
    })
}
