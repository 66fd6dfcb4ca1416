//! A network as it is usually set up.

use serde_json::{Map, Value, json};

use super::nodes::spec;
use super::seen::{agree, family_is};
use crate::ctx::Ctx;
use crate::driver::Node;
use crate::fault::Result;
use crate::pairing::Side;
use crate::scenario::{Scenario, only_2};
use crate::spec::Spec;

/// A network as it is usually set up.
pub const SCENARIO: Scenario = Scenario {
    name: "db-seeds",
    about: "four nodes with the same two seeds, two of which are these: all see each other's keys and talk; a seed alone on the net is a global node; one is killed and comes back",
    not_in: only_2,
    run: same_seeds,
};

/// All have set their name in the family, and all see it.
fn present(nodes: &[&Node]) -> Result<()> {
    let all: Map<String, Value> = nodes
        .iter()
        .map(|node| (node.name().to_owned(), json!("here")))
        .collect();
    for node in nodes {
        family_is(node, "presence", &json!(all))?;
    }
    Ok(())
}

fn same_seeds(ctx: &mut Ctx) -> Result<()> {
    ctx.step("a node that is its own seed");
    let (first, second) = (ctx.address()?, ctx.address()?);
    let seeds = |spec: Spec| spec.seed(first).seed(second);
    let n1 = ctx.node(Side::A, &seeds(spec(ctx, "n1").bind(first)))?;
    n1.db_set("presence", "n1", json!("here"))?;
    present(&[&n1])?;

    ctx.step("the others join");
    let n2 = ctx.node(Side::B, &seeds(spec(ctx, "n2").bind(second)))?;
    let n3 = ctx.node(Side::A, &seeds(spec(ctx, "n3").listen()))?;
    let n4 = ctx.node(Side::B, &seeds(spec(ctx, "n4").listen()))?;
    for node in [&n2, &n3, &n4] {
        node.db_set("presence", node.name(), json!("here"))?;
    }
    present(&[&n1, &n2, &n3, &n4])?;
    ctx.step("each is connected with the seeds");
    n1.connected_with(&["n2", "n3", "n4"], ctx.limit())?;
    n2.connected_with(&["n1", "n3", "n4"], ctx.limit())?;
    for node in [&n3, &n4] {
        node.connected_with(&["n1", "n2"], ctx.limit())?;
    }
    n3.sync("n4")?;
    n4.sync("n3")?;

    ctx.step("a seed is killed");
    for node in [&n2, &n3, &n4] {
        node.take(|e| e["ev"] == "node");
    }
    n1.kill9()?;
    for node in [&n2, &n3, &n4] {
        node.down("n1")?;
    }
    present(&[&n2, &n3, &n4])?;

    ctx.step("it comes back");
    let n1 = ctx.node(Side::A, &seeds(spec(ctx, "n1").bind(first)))?;
    n1.db_set("presence", "n1", json!("here"))?;
    present(&[&n1, &n2, &n3, &n4])?;
    for node in [&n2, &n3, &n4] {
        n1.sync(node.name())?;
        node.up("n1")?;
        node.sync("n1")?;
    }
    agree(&[&n1, &n2, &n3, &n4])
}
