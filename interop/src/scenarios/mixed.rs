//! One Rust node with Perl nodes of all generations at once.

use super::bridge::number;
use crate::ctx::Ctx;
use crate::fault::{Fault, Result, ensure};
use crate::pairing::{Pairing, Side};
use crate::scenario::Scenario;
use crate::spec::Spec;

/// See [`run`].
pub const SCENARIO: Scenario = Scenario {
    name: "mixed",
    about: "a Rust seed with a node of this release and one of each generation that this one can't talk to: it talks with all, sees the groups of all and shows them its own; they are not told of each other",
    not_in: only_a_rust_seed,
    run,
};

fn only_a_rust_seed(pairing: &Pairing) -> Option<&'static str> {
    match (pairing.a.is_rust(), pairing.b.generation()) {
        (true, Some(_)) => None,
        _ => Some("needs a Rust seed and Perl nodes"),
    }
}

fn run(ctx: &mut Ctx) -> Result<()> {
    let first = ctx.side(Side::B).generation().map(number);
    ctx.step("a Rust seed and releases that can't talk to each other");
    let alice = ctx.node(Side::A, &Spec::new("alice").listen())?;
    let seed = alice.listener()?;
    let mut others = vec![ctx.node(Side::B, &Spec::new("bob").listen().seed(&seed))?];
    let rest = (0..3).filter(|n| Some(*n) != first);
    for (n, name) in rest.zip(["carol", "dora"]) {
        if ctx.switch(Side::B, |g| number(g) == n).is_ok() {
            others.push(ctx.node(Side::B, &Spec::new(name).listen().seed(&seed))?);
        }
    }
    if others.len() < 2 {
        return Err(Fault::NotHere(
            "the other releases that this needs are not here".to_owned(),
        ));
    }
    for node in &others {
        node.up("alice")?;
        alice.up(node.name())?;
        node.sync("alice")?;
        alice.sync(node.name())?;
    }

    ctx.step("groups of all");
    let own = alice.port("echo")?;
    alice.grp_reg("g", &own)?;
    let mut all = vec![own.clone()];
    for node in &others {
        let port = node.port("record")?;
        node.grp_reg("g", &port)?;
        all.push(port);
    }
    alice.group_is("g", &all.iter().map(String::as_str).collect::<Vec<_>>())?;
    for (node, port) in others.iter().zip(&all[1..]) {
        node.group_is("g", &[&own, port])?;
    }

    ctx.step("a message through the Rust node, from each release to each other");
    for (from, _) in others.iter().zip(&all[1..]) {
        for (to, port) in others.iter().zip(&all[1..]) {
            if to.name() != from.name() {
                from.snd(&own, serde_json::json!([port, "from", from.name()]))?;
                to.expect_msg(port, &serde_json::json!(["from", from.name()]))?;
            }
        }
    }

    ctx.step("they never hear of each other");
    for node in &others {
        let log = ctx.log(node.name());
        for other in others.iter().filter(|other| other.name() != node.name()) {
            let told = |line: &str| line.contains("knows about") && line.contains(other.name());
            ensure(!log.lines().any(told), || {
                format!("{} was told of {}", node.name(), other.name())
            })?;
        }
    }

    let bob = others.remove(0);
    let bobs = all.remove(1);
    ctx.step("one is lost, the others stay");
    let monitor = alice.mon(&bobs)?;
    bob.kill9()?;
    alice.expect_lost(monitor, "bob")?;
    alice.group_is("g", &all.iter().map(String::as_str).collect::<Vec<_>>())?;
    for node in &others {
        alice.sync(node.name())?;
    }
    Ok(())
}
