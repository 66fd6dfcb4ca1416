//! The nodes that the scenarios are played with.

use serde_json::json;

use crate::ctx::Ctx;
use crate::driver::Node;
use crate::fault::Result;
use crate::pairing::Side;
use crate::spec::Spec;

/// Everything sent so far, directly or by way of `global`, has been worked off by all.
pub(super) fn settled(global: &Node, slaves: &[&Node]) -> Result<()> {
    // what a slave says is passed on at once, after what it said before
    for slave in slaves {
        slave.sync(global.name())?;
    }
    for slave in slaves {
        global.sync(slave.name())?;
    }
    Ok(())
}

/// A node. Rust nodes alone are told to speak generation 2 only: else they would form a full mesh
/// as well, in the way of the generations before. With Perl nodes around them they speak whatever
/// they like.
pub(super) fn spec(ctx: &Ctx, name: &str) -> Spec {
    match ctx.pairing.generation() {
        None => only_2nd(name),
        Some(_) => Spec::new(name),
    }
}

/// A node that speaks generation 2 only.
pub(super) fn only_2nd(name: &str) -> Spec {
    Spec::new(name).with("generation", json!(2))
}

/// A global node, `alice` of side A, and slaves of hers, each with its side; all listen.
pub(super) fn star(ctx: &mut Ctx, slaves: &[(Side, &str)]) -> Result<(Node, Vec<Node>)> {
    star_of(ctx, slaves, spec)
}

pub(super) fn star_of(
    ctx: &mut Ctx,
    slaves: &[(Side, &str)],
    spec: fn(&Ctx, &str) -> Spec,
) -> Result<(Node, Vec<Node>)> {
    ctx.step("nodes with one seed");
    let alice = ctx.node(Side::A, &spec(ctx, "alice").listen())?;
    let seed = alice.listener()?;
    let mut nodes = Vec::new();
    for (side, name) in slaves {
        let proxy = ctx.proxy(&seed)?;
        let node = ctx.node(*side, &spec(ctx, name).listen().seed(proxy.address()))?;
        node.up("alice")?;
        alice.up(name)?;
        nodes.push(node);
    }
    Ok((alice, nodes))
}
