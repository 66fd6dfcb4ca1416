//! Ports that end, with and without a reason, by their own hand and by the other node's.

use serde_json::json;

use crate::ctx::{Ctx, Pair};
use crate::driver::Node;
use crate::fault::{Result, ensure};
use crate::pairing::{Impl, Side};
use crate::peers::Generation;
use crate::scenario::{Scenario, everywhere};

/// See [`run`].
pub const SCENARIO: Scenario = Scenario {
    name: "kill",
    about: "normal kil (empty reason), kil with a reason by the port's own node and by the other, all told to monitors; before 1.26 a remote kil has no effect",
    not_in: everywhere,
    run,
};

fn run(ctx: &mut Ctx) -> Result<()> {
    let Pair { alice, bob, .. } = ctx.pair()?;
    for (one, other, receiver) in [(&bob, &alice, Side::A), (&alice, &bob, Side::B)] {
        let way = format!("{}'s port, {} monitors", other.name(), one.name());
        local(ctx, one, other, &way)?;
        remote(ctx, one, other, receiver)?;
    }
    Ok(())
}

/// The port's own node kills it, or it kills itself.
fn local(ctx: &mut Ctx, one: &Node, other: &Node, way: &str) -> Result<()> {
    ctx.step(format!("normal kil ({way})"));
    let port = other.port("mute")?;
    let mon = one.mon(&port)?;
    one.sync(other.name())?;
    other.kil(&port, json!([]))?;
    one.expect_fired(mon, &json!([]))?;

    ctx.step(format!("kil with a reason ({way})"));
    let port = other.port("mute")?;
    let mon = one.mon(&port)?;
    one.sync(other.name())?;
    other.kil(
        &port,
        json!(["because", "caf\u{e9} \u{263a}", 3, { "a": null }]),
    )?;
    one.expect_fired(
        mon,
        &json!(["because", "caf\u{e9} \u{263a}", 3, { "a": null }]),
    )?;

    ctx.step(format!("a port kills itself ({way})"));
    let port = other.port("tags")?;
    let mon = one.mon(&port)?;
    one.snd(&port, json!(["kil", "self", "chosen"]))?;
    one.expect_fired(mon, &json!(["self", "chosen"]))?;

    ctx.step(format!("a port dies of its code ({way})"));
    let port = other.port("tags")?;
    let mon = one.mon(&port)?;
    one.snd(&port, json!(["die", "oops"]))?;
    one.expect_fired(mon, &json!(["die", "oops"]))
}

/// `one` kills a port of `other`.
fn remote(ctx: &mut Ctx, one: &Node, other: &Node, receiver: Side) -> Result<()> {
    for monitored in [true, false] {
        let how = if monitored {
            "monitored"
        } else {
            "not monitored"
        };
        ctx.step(format!(
            "{} kills a port of {}, {how}",
            one.name(),
            other.name()
        ));
        let port = other.port("tags")?;
        let watch = other.mon(&port)?;
        let mon = if monitored {
            Some(one.mon(&port)?)
        } else {
            None
        };
        one.kil(&port, json!(["remote", "kil"]))?;
        match delivered(ctx, receiver) {
            Some(true) => {
                other.expect_fired(watch, &json!(["remote", "kil"]))?;
                if let Some(mon) = mon {
                    one.expect_fired(mon, &json!(["remote", "kil"]))?;
                }
            }
            Some(false) => {
                one.sync(other.name())?;
                other.expect_quiet(watch)?;
                let me = one.port("record")?;
                one.snd(&port, json!(["echoed", me, "alive"]))?;
                one.expect_msg(&me, &json!(["echoed", "alive"]))?;
            }
            None => one.sync(other.name())?,
        }
    }
    ctx.step(format!(
        "{} kills a port that {} does not have",
        one.name(),
        other.name()
    ));
    one.kil(
        &format!("{}#nosuchport", other.name()),
        json!(["remote", "kil"]),
    )?;
    one.sync(other.name())?;
    let up = one.up_nodes()?;
    ensure(up == [other.name()], || {
        format!("{} is connected with {up:?}", one.name())
    })
}

/// Does a remote kil arrive there? Not at a Perl node before 1.26; another node that hears it from
/// one may do as it likes.
fn delivered(ctx: &Ctx, receiver: Side) -> Option<bool> {
    match ctx.side(receiver) {
        Impl::Perl(release) => Some(release.generation >= Generation::G1b),
        Impl::Rust | Impl::Python => match ctx.pairing.generation() {
            None | Some(Generation::G1b | Generation::G2) => Some(true),
            Some(_) => None,
        },
    }
}
