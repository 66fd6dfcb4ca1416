//! Spawning on the other node: arguments arrive, the port works, its failures are told.

use serde_json::json;

use crate::ctx::{Ctx, Pair};
use crate::driver::Node;
use crate::fault::{Result, ensure};
use crate::scenario::{Scenario, everywhere};

/// See [`run`].
pub const SCENARIO: Scenario = Scenario {
    name: "spawn",
    about: "a port spawned on the other node gets its arguments, answers, dies with `die` and its text; unknown functions and early deaths are told",
    not_in: everywhere,
    run,
};

fn run(ctx: &mut Ctx) -> Result<()> {
    let Pair { alice, bob, .. } = ctx.pair()?;
    for (one, other) in [(&bob, &alice), (&alice, &bob)] {
        let way = format!("{} on {}", one.name(), other.name());
        spawned(ctx, one, other, &way)?;
        bad(ctx, one, other, &way)?;
    }
    Ok(())
}

/// Spawn with arguments, use, let it die.
fn spawned(ctx: &mut Ctx, one: &Node, other: &Node, way: &str) -> Result<()> {
    ctx.step(format!("spawn with arguments ({way})"));
    let me = one.port("record")?;
    let port = one.spawn(
        other.name(),
        "aemp_test::init",
        json!([me, "arg", 1, { "k": [null, "\u{e9}\u{0}\u{263a}"] }]),
    )?;
    ensure(port.starts_with(&format!("{}#", other.name())), || {
        format!("spawn returned {port}")
    })?;
    one.expect_msg(
        &me,
        &json!(["ready", port, "arg", 1, { "k": [null, "\u{e9}\u{0}\u{263a}"] }]),
    )?;
    let event = other.wait("the spawned port's report", |e| {
        e["ev"] == "spawned" && e["port"] == port
    })?;
    ensure(event["args"][1] == "arg", || {
        format!("the spawned function saw {event}")
    })?;

    ctx.step(format!("the spawned port answers ({way})"));
    one.snd(&port, json!(["echoed", me, "x"]))?;
    one.expect_msg(&me, &json!(["echoed", "x"]))?;

    ctx.step(format!("the spawned port dies ({way})"));
    let mon = one.mon(&port)?;
    one.snd(&port, json!(["die", "oops \u{e9}\u{263a}"]))?;
    one.expect_fired(mon, &json!(["die", "oops \u{e9}\u{263a}"]))?;

    ctx.step(format!("it is gone ({way})"));
    one.snd(&port, json!(["echoed", me, "x"]))?;
    let mon = one.mon(&port)?;
    let reason = one.fired(mon)?;
    ensure(reason.first() == Some(&json!("no_such_port")), || {
        format!("monitor of a dead port: {}", json!(reason))
    })
}

/// A function that nobody has, and one that fails at once.
fn bad(ctx: &mut Ctx, one: &Node, other: &Node, way: &str) -> Result<()> {
    for (what, func) in [
        ("a function nobody has", "aemp_test::nosuch"),
        ("a function that dies at once", "aemp_test::boom"),
    ] {
        ctx.step(format!("spawn of {what} ({way})"));
        let port = one.spawn(other.name(), func, json!(["boom"]))?;
        let mon = one.mon(&port)?;
        let reason = one.fired(mon)?;
        // a Perl node has forgotten the port by the time the monitor's request arrives; telling the
        // cause is as good
        let told = reason
            .first()
            .is_some_and(|v| v == "no_such_port" || v == "die");
        ensure(told, || format!("the monitor fired with {}", json!(reason)))?;
        one.sync(other.name())?;
    }
    Ok(())
}
