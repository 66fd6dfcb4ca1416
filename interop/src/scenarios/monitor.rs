//! The forms of a monitor, its end, and what it says of a port that never was.

use serde_json::json;

use crate::ctx::{Ctx, Pair};
use crate::driver::Node;
use crate::fault::{Result, ensure};
use crate::pairing::{Impl, Side};
use crate::peers::Generation;
use crate::scenario::{Scenario, everywhere};

/// See [`run`].
pub const SCENARIO: Scenario = Scenario {
    name: "monitor",
    about: "callback, kill, self and message forms; several monitors of one port, fired once each; unmonitor; a missing port",
    not_in: everywhere,
    run,
};

fn run(ctx: &mut Ctx) -> Result<()> {
    let Pair { alice, bob, .. } = ctx.pair()?;
    for (one, other, owner) in [(&bob, &alice, Side::A), (&alice, &bob, Side::B)] {
        missing(ctx, one, other, owner)?;
        unmonitor(ctx, one, other)?;
        forms(ctx, one, other)?;
        from_spawned(ctx, one, other)?;
    }
    Ok(())
}

/// A port that does not exist: two elements from 0.95 and 1.0, three from later releases.
fn missing(ctx: &mut Ctx, one: &Node, other: &Node, owner: Side) -> Result<()> {
    ctx.step(format!(
        "{} monitors a missing port of {}",
        one.name(),
        other.name()
    ));
    let port = format!("{}#nosuchport", other.name());
    let mon = one.mon(&port)?;
    let got = one.fired(mon)?;
    let short = got
        == [
            json!("no_such_port"),
            json!("cannot monitor nonexistent port"),
        ];
    let long = got
        == [
            json!("no_such_port"),
            json!("cannot monitor nonexistent port"),
            json!(port),
        ];
    let good = match ctx.side(owner) {
        Impl::Perl(release) if release.generation == Generation::G0 => short,
        Impl::Perl(_) => long,
        Impl::Rust | Impl::Python => short || long,
    };
    ensure(good, || format!("the monitor fired with {}", json!(got)))
}

/// A monitor that was ended does not fire; others on the same port still do.
fn unmonitor(ctx: &mut Ctx, one: &Node, other: &Node) -> Result<()> {
    ctx.step(format!(
        "{} monitors and unmonitors a port of {}",
        one.name(),
        other.name()
    ));
    let port = other.port("mute")?;
    let mon = one.mon(&port)?;
    one.sync(other.name())?;
    one.unmon(mon)?;
    one.sync(other.name())?;
    other.kil(&port, json!(["late"]))?;
    one.sync(other.name())?;
    one.expect_quiet(mon)?;

    ctx.step(format!(
        "one of three monitors of a port of {} is ended",
        other.name()
    ));
    let port = other.port("mute")?;
    let (a, b, c) = (one.mon(&port)?, one.mon(&port)?, one.mon(&port)?);
    one.sync(other.name())?;
    one.unmon(b)?;
    one.sync(other.name())?;
    other.kil(&port, json!(["now"]))?;
    one.expect_fired(a, &json!(["now"]))?;
    one.expect_fired(c, &json!(["now"]))?;
    one.sync(other.name())?;
    for mon in [a, b, c] {
        one.expect_quiet(mon)?;
    }

    ctx.step(format!(
        "a port of {} is monitored again after all monitors were ended",
        other.name()
    ));
    let port = other.port("mute")?;
    let first = one.mon(&port)?;
    one.unmon(first)?;
    let second = one.mon(&port)?;
    one.sync(other.name())?;
    other.kil(&port, json!(["second"]))?;
    one.expect_fired(second, &json!(["second"]))?;
    one.expect_quiet(first)
}

/// Kill another port, kill the own port, send a message.
fn forms(ctx: &mut Ctx, one: &Node, other: &Node) -> Result<()> {
    for (form, ports) in [("kill", ["mute", "mute"]), ("self", ["mute", "mute"])] {
        ctx.step(format!(
            "{} in the form '{form}' on a port of {}",
            one.name(),
            other.name()
        ));
        let [normal, failing] = ports.map(|kind| other.port(kind));
        let (normal, failing) = (normal?, failing?);
        let (spared, killed) = (one.port("mute")?, one.port("mute")?);
        let (spared_ends, killed_ends) = (one.mon(&spared)?, one.mon(&killed)?);
        one.mon_form(json!({ "form": form, "port": normal, "target": spared }))?;
        one.mon_form(json!({ "form": form, "port": failing, "target": killed }))?;
        one.sync(other.name())?;
        other.kil(&normal, json!([]))?;
        other.kil(&failing, json!(["bad", "luck"]))?;
        one.expect_fired(killed_ends, &json!(["bad", "luck"]))?;
        one.sync(other.name())?;
        one.expect_quiet(spared_ends)?;
    }
    ctx.step(format!(
        "{} in the form 'msg' on a port of {}",
        one.name(),
        other.name()
    ));
    let me = one.port("record")?;
    for reason in [json!([]), json!(["bad", "luck"])] {
        let port = other.port("mute")?;
        one.mon_form(json!({ "form": "msg", "port": port, "msg": [me, "gone", 1] }))?;
        one.sync(other.name())?;
        other.kil(&port, reason.clone())?;
        let mut msg = vec![json!("gone"), json!(1)];
        msg.extend(reason.as_array().into_iter().flatten().cloned());
        one.expect_msg(&me, &json!(msg))?;
    }
    Ok(())
}

/// A port spawned on the other node monitors a port of its creator.
fn from_spawned(ctx: &mut Ctx, one: &Node, other: &Node) -> Result<()> {
    ctx.step(format!(
        "a port spawned on {} monitors a port of {}",
        other.name(),
        one.name()
    ));
    let (me, mine) = (one.port("record")?, one.port("mute")?);
    let watcher = one.spawn(other.name(), "aemp_test::watch", json!([mine, me]))?;
    one.expect_msg(&me, &json!(["watching", watcher]))?;
    let tied = one.spawn(other.name(), "aemp_test::tied", json!([mine, me]))?;
    one.expect_msg(&me, &json!(["tied", tied]))?;
    let mon = one.mon(&tied)?;
    one.sync(other.name())?;
    other.sync(one.name())?;
    one.kil(&mine, json!(["creator", "left"]))?;
    one.expect_msg(&me, &json!(["fired", "creator", "left"]))?;
    one.expect_fired(mon, &json!(["creator", "left"]))
}
