//! Groups: registered before and after the nodes meet, seen by the other, gone with guard, port and
//! node.

use serde_json::{Value, json};

use crate::ctx::Ctx;
use crate::driver::Node;
use crate::fault::{Result, ensure};
use crate::pairing::Side;
use crate::scenario::{Scenario, everywhere};
use crate::spec::Spec;

/// See [`run`].
pub const SCENARIO: Scenario = Scenario {
    name: "groups",
    about: "registered ports are found by the other node, whether registered before or after they met; they go with their guard, their port, their node; monitors see it",
    not_in: everywhere,
    run,
};

fn run(ctx: &mut Ctx) -> Result<()> {
    ctx.step("register before the nodes meet");
    let alice = ctx.node(Side::A, &Spec::new("alice").listen())?;
    let early = alice.port("mute")?;
    alice.grp_reg("early", &early)?;
    let proxy = ctx.proxy(&alice.listener()?)?;
    let bob = ctx.node(Side::B, &Spec::new("bob").seed(proxy.address()))?;
    alice.up("bob")?;
    bob.up("alice")?;
    bob.group_is("early", &[&early])?;
    bob.sync("alice")?;
    alice.sync("bob")?;

    for (one, other) in [(&alice, &bob), (&bob, &alice)] {
        members(ctx, one, other)?;
    }

    ctx.step("bob's members go with bob");
    let (kept, lost) = (alice.port("mute")?, bob.port("mute")?);
    alice.grp_reg("both", &kept)?;
    bob.grp_reg("both", &lost)?;
    alice.group_is("both", &[&kept, &lost])?;
    let watch = watch(&alice, "both")?;
    bob.kill9()?;
    alice.group_is("both", &[&kept])?;
    watched(&alice, watch, &[&kept])
}

/// `one` registers, `other` looks.
fn members(ctx: &mut Ctx, one: &Node, other: &Node) -> Result<()> {
    let group = format!("caf\u{e9} \u{263a} of {}", one.name());
    let group = group.as_str();
    let looking = watch(other, group)?;

    ctx.step(format!("{} registers two ports", one.name()));
    let (first, second) = (one.port("mute")?, one.port("mute")?);
    one.grp_reg(group, &first)?;
    let reg = one.grp_reg(group, &second)?;
    for node in [one, other] {
        node.group_is(group, &[&first, &second])?;
    }
    watched(other, looking, &[&first, &second])?;

    ctx.step(format!("{} ends a registration", one.name()));
    one.grp_unreg(reg)?;
    other.group_is(group, &[&first])?;
    watched(other, looking, &[&first])?;

    ctx.step(format!("a registered port of {} is killed", one.name()));
    one.kil(&first, json!([]))?;
    for node in [one, other] {
        node.group_is(group, &[])?;
    }
    watched(other, looking, &[])?;

    ctx.step(format!(
        "{} registers its other port in two groups",
        one.name()
    ));
    one.grp_reg(group, &second)?;
    one.grp_reg("another", &second)?;
    other.group_is(group, &[&second])?;
    other.group_is("another", &[&second])?;
    one.kil(&second, json!(["bad"]))?;
    other.group_is(group, &[])?;
    other.group_is("another", &[])
}

/// Starts to monitor a group, where the release can.
fn watch(node: &Node, group: &str) -> Result<Option<u64>> {
    if !node.has("grp_mon") {
        return Ok(None);
    }
    let ok = node.call("grp_mon", json!({ "group": group }))?;
    Ok(ok["watch"].as_u64())
}

/// Takes the monitor's events up to the one that shows these members; every event must follow from
/// the one before.
fn watched(node: &Node, watch: Option<u64>, members: &[&str]) -> Result<()> {
    let Some(watch) = watch else { return Ok(()) };
    let mut wanted: Vec<Value> = members.iter().map(|m| json!(m)).collect();
    wanted.sort_by_key(ToString::to_string);
    loop {
        let event = node.wait(
            &format!("the group's monitor to show {}", json!(wanted)),
            |e| e["ev"] == "group" && e["watch"] == watch,
        )?;
        let list = |name: &str| event[name].as_array().cloned().unwrap_or_default();
        let ports = list("ports");
        ensure(list("add").iter().all(|p| ports.contains(p)), || {
            format!("an added port is not a member: {event}")
        })?;
        ensure(list("del").iter().all(|p| !ports.contains(p)), || {
            format!("a removed port is still a member: {event}")
        })?;
        if ports == wanted {
            return Ok(());
        }
    }
}
