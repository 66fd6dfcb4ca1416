//! Rules about what other nodes may do, on a Rust node, as the other node sees them.

use serde_json::{Value, json};

use crate::ctx::{Ctx, Pair};
use crate::driver::Node;
use crate::fault::{Result, ensure};
use crate::pairing::{Pairing, Side};
use crate::peers::Generation;
use crate::scenario::Scenario;
use crate::spec::Spec;

/// See [`run`].
pub const SCENARIO: Scenario = Scenario {
    name: "rights",
    about: "what a Rust node's rules refuse (spawns, messages, monitors, kills, groups) does not happen, the other's monitors fire with `refused`, and what they allow works",
    not_in: without_rust,
    run,
};

fn without_rust(pairing: &Pairing) -> Option<&'static str> {
    let without = !pairing.has_rust();
    without.then_some("rules are this implementation's own")
}

fn run(ctx: &mut Ctx) -> Result<()> {
    let strict = |ctx: &Ctx, side| {
        let is_rust = ctx.side(side).is_rust();
        move |spec: &mut Spec| {
            if is_rust {
                let allow = json!(["* spawn aemp_test::init", "* call *"]);
                let deny = json!([
                    "* send @shut",
                    "* monitor @quiet",
                    "* kill @safe",
                    "* set forbidden",
                ]);
                *spec = spec.clone().with("allow", allow).with("deny", deny);
            }
        }
    };
    let (a, b) = (strict(ctx, Side::A), strict(ctx, Side::B));
    let Pair { alice, bob, .. } = ctx.pair_with(a, b)?;
    for (side, strict, other) in [(Side::A, &alice, &bob), (Side::B, &bob, &alice)] {
        if ctx.side(side).is_rust() {
            spawns(ctx, strict, other)?;
            ports(ctx, strict, other)?;
            // In generation 2 a node knows what its master says, whoever has set it.
            let before_2 = ctx
                .pairing
                .generation()
                .is_some_and(|generation| generation < Generation::G2);
            if before_2 || side == Side::A {
                groups(ctx, strict, other)?;
            }
            other.sync(strict.name())?;
        }
    }
    Ok(())
}

fn refused(reason: &[Value], what: &str) -> Result<()> {
    let as_said = matches!(reason, [word, text]
        if word == "refused" && text.as_str().is_some_and(|text| text.contains(what)));
    ensure(as_said, || {
        format!("refused for '{what}': {}", json!(reason))
    })
}

fn spawns(ctx: &mut Ctx, strict: &Node, other: &Node) -> Result<()> {
    ctx.step(format!(
        "{} spawns what it may on {}",
        other.name(),
        strict.name()
    ));
    let me = other.port("record")?;
    let port = other.spawn(strict.name(), "aemp_test::init", json!([me, "x"]))?;
    other.expect_msg(&me, &json!(["ready", port, "x"]))?;
    other.snd(&port, json!(["echoed", me, "y"]))?;
    other.expect_msg(&me, &json!(["echoed", "y"]))?;

    ctx.step(format!("{} spawns what it may not", other.name()));
    let port = other.spawn(strict.name(), "aemp_test::boom", json!([]))?;
    let mon = other.mon(&port)?;
    let reason = other.fired(mon)?;
    // A monitor that comes later finds nothing.
    match reason.first() {
        Some(word) if word == "no_such_port" => Ok(()),
        _ => refused(&reason, "not allowed: spawn aemp_test::boom"),
    }
}

fn ports(ctx: &mut Ctx, strict: &Node, other: &Node) -> Result<()> {
    ctx.step(format!("{} sends where it may not", other.name()));
    let shut = strict.port("tags")?;
    strict.grp_reg("shut", &shut)?;
    let me = other.port("record")?;
    let mon = other.mon(&shut)?;
    other.snd(&shut, json!(["echoed", me, "never"]))?;
    refused(&other.fired(mon)?, "not allowed: send")?;
    let watch = strict.mon(&shut)?;
    let local = strict.port("record")?;
    strict.snd(&shut, json!(["echoed", local, "here"]))?;
    strict.expect_msg(&local, &json!(["echoed", "here"]))?;

    ctx.step(format!("{} monitors what it may not", other.name()));
    let quiet = strict.port("tags")?;
    strict.grp_reg("quiet", &quiet)?;
    let mon = other.mon(&quiet)?;
    refused(&other.fired(mon)?, "not allowed: monitor")?;

    ctx.step(format!("{} kills what it may not", other.name()));
    strict.grp_reg("safe", &shut)?;
    other.kil(&shut, json!(["enough"]))?;
    other.sync(strict.name())?;
    strict.expect_quiet(watch)
}

fn groups(ctx: &mut Ctx, strict: &Node, other: &Node) -> Result<()> {
    ctx.step(format!(
        "{} registers in a group that it may not",
        other.name()
    ));
    let port = other.port("mute")?;
    other.grp_reg("forbidden", &port)?;
    other.grp_reg("permitted", &port)?;
    strict.group_is("permitted", &[&port])?;
    let members = strict.grp_get("forbidden")?;
    ensure(members.is_empty(), || {
        format!("members of forbidden: {members:?}")
    })
}
