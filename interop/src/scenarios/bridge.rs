//! Nodes of generations that can't talk to each other, and a Rust node that is a bridge between
//! them.

use serde_json::json;

use super::echo::echoed;
use crate::ctx::Ctx;
use crate::driver::Node;
use crate::fault::{Fault, Result, ensure};
use crate::pairing::{Pairing, Side};
use crate::peers::Generation;
use crate::scenario::Scenario;
use crate::spec::Spec;

/// See [`run`].
pub const SCENARIO: Scenario = Scenario {
    name: "bridge",
    about: "a Rust node as bridge between a node of this release and one of each generation that this one can't talk to: values, calls, groups, monitors, kills and spawns across; a node killed and back; the bridge killed",
    not_in: only_a_rust_bridge,
    run,
};

pub(super) fn only_a_rust_bridge(pairing: &Pairing) -> Option<&'static str> {
    match (pairing.a.is_rust(), pairing.b.generation()) {
        (true, Some(_)) => None,
        _ => Some("needs a Rust bridge and Perl nodes"),
    }
}

/// 0, 1 or 2: what does not differ there can talk to each other.
pub(super) fn number(generation: Generation) -> u8 {
    match generation {
        Generation::G0 => 0,
        Generation::G1a | Generation::G1b => 1,
        Generation::G2 => 2,
    }
}

/// A node of one generation.
struct Player {
    node: Node,
    generation: Generation,
}

impl Player {
    fn start(ctx: &mut Ctx, name: &str, seed: &str) -> Result<Self> {
        let generation = ctx.side(Side::B).generation();
        Ok(Player {
            node: ctx.node(Side::B, &Spec::new(name).listen().seed(seed))?,
            generation: generation.unwrap_or(Generation::G1b),
        })
    }

    fn name(&self) -> &str {
        self.node.name()
    }

    /// In generation 2, nodes connect when they have something to say.
    fn waits_for(&self, other: &str) -> Result<()> {
        match self.generation {
            Generation::G2 => Ok(()),
            _ => self.node.up(other),
        }
    }
}

fn run(ctx: &mut Ctx) -> Result<()> {
    let first = ctx.side(Side::B).generation().map(number);
    ctx.step("a bridge and nodes that can't talk to each other");
    let spec = Spec::new("middle").listen().with("bridge", json!("all"));
    let middle = ctx.node(Side::A, &spec)?;
    let seed = middle.listener()?;
    let own = ctx.side(Side::B).clone();
    let mut players = vec![Player::start(ctx, "bob", &seed)?];
    let rest = (0..3).filter(|n| Some(*n) != first);
    for (n, name) in rest.zip(["carol", "dora"]) {
        if ctx.switch(Side::B, |g| number(g) == n).is_ok() {
            players.push(Player::start(ctx, name, &seed)?);
        }
    }
    if players.len() < 2 {
        return Err(Fault::NotHere(
            "the other releases that this needs are not here".to_owned(),
        ));
    }
    for one in &players {
        middle.up(one.name())?;
        for other in players.iter().filter(|other| other.name() != one.name()) {
            one.waits_for(other.name())?;
        }
    }

    groups(ctx, &players)?;
    for one in &players {
        for other in players.iter().filter(|other| other.name() != one.name()) {
            across(ctx, one, other)?;
        }
    }

    ctx.step("a node is killed");
    let bob = players.remove(0);
    let port = bob.node.port("record")?;
    let mut monitors = Vec::new();
    for one in &players {
        monitors.push(one.node.mon(&port)?);
        one.node.sync("bob")?;
    }
    bob.node.kill9()?;
    for (one, monitor) in players.iter().zip(monitors) {
        one.node.expect_lost(monitor, "bob")?;
        one.node.group_is("after", &[])?;
    }

    ctx.step("it comes back");
    ctx.pairing.b = own;
    let bob = Player::start(ctx, "bob", &seed)?;
    let port = bob.node.port("record")?;
    bob.node.grp_reg("after", &port)?;
    for one in &players {
        one.node.group_is("after", &[&port])?;
        one.waits_for("bob")?;
        bob.waits_for(one.name())?;
        one.node.sync("bob")?;
        bob.node.sync(one.name())?;
    }

    ctx.step("the bridge is killed");
    let mut monitors = Vec::new();
    for one in &players {
        let theirs = one.node.port("record")?;
        monitors.push((one.node.mon(&port)?, bob.node.mon(&theirs)?));
        one.node.sync("bob")?;
        bob.node.sync(one.name())?;
    }
    middle.kill9()?;
    for (one, (here, there)) in players.iter().zip(monitors) {
        one.node.expect_lost(here, "bob")?;
        bob.node.expect_lost(there, one.name())?;
    }
    Ok(())
}

/// Each sees the ports of all, and that they go.
fn groups(ctx: &mut Ctx, players: &[Player]) -> Result<()> {
    ctx.step("groups of all");
    let (mut all, mut registrations) = (Vec::new(), Vec::new());
    for one in players {
        let port = one.node.port("record")?;
        registrations.push(one.node.grp_reg("g", &port)?);
        all.push(port);
    }
    let members: Vec<&str> = all.iter().map(String::as_str).collect();
    for one in players {
        one.node.group_is("g", &members)?;
    }

    ctx.step("one leaves the group, one is killed");
    players[0].node.grp_unreg(registrations[0])?;
    for one in players {
        one.node.group_is("g", &members[1..])?;
    }
    players[1].node.kil(&all[1], json!([]))?;
    for one in players {
        one.node.group_is("g", &members[2..])?;
    }
    Ok(())
}

/// What passes from one to the other and back.
fn across(ctx: &mut Ctx, one: &Player, other: &Player) -> Result<()> {
    let (kills, killed) = (one.generation, other.generation);
    let way = format!(
        "{} of {kills:?} to {} of {killed:?}",
        one.name(),
        other.name()
    );
    let (one, other) = (&one.node, &other.node);
    ctx.step(format!("values and back ({way})"));
    echoed(one, other)?;
    if one.has("cal") {
        ctx.step(format!("a call ({way})"));
        let args = json!({ "to": other.name(), "msg": ["time"], "timeout": ctx.limit().as_secs() });
        let reply = one.call("cal", args)?["reply"].clone();
        ensure(reply[0].as_f64().is_some(), || {
            format!("the time is {reply}")
        })?;
    }

    ctx.step(format!("a monitor ({way})"));
    let reason = json!(["because", "caf\u{e9} \u{263a}", 3, { "a": null }]);
    let port = other.port("mute")?;
    let monitor = one.mon(&port)?;
    one.sync(other.name())?;
    other.kil(&port, reason.clone())?;
    one.expect_fired(monitor, &reason)?;
    let monitor = one.mon(&format!("{}#nosuchport", other.name()))?;
    let got = one.fired(monitor)?;
    ensure(got.first() == Some(&json!("no_such_port")), || {
        format!(
            "the monitor of a port that is none fired with {}",
            json!(got)
        )
    })?;

    let has_kill = |generation| matches!(generation, Generation::G1b | Generation::G2);
    if has_kill(kills) && has_kill(killed) {
        ctx.step(format!("a kill ({way})"));
        let port = other.port("mute")?;
        let watch = other.mon(&port)?;
        one.kil(&port, reason.clone())?;
        other.expect_fired(watch, &reason)?;
    }

    ctx.step(format!("a spawn ({way})"));
    let me = one.port("record")?;
    let port = one.spawn(
        other.name(),
        "aemp_test::init",
        json!([me, "arg", { "k": "\u{e9}" }]),
    )?;
    one.expect_msg(&me, &json!(["ready", port, "arg", { "k": "\u{e9}" }]))?;
    let monitor = one.mon(&port)?;
    one.snd(&port, json!(["die", "oops"]))?;
    one.expect_fired(monitor, &json!(["die", "oops"]))
}
