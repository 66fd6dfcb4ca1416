//! Two global nodes.

use serde_json::{Value, json};

use super::nodes::spec;
use super::seen::{agree, family_is};
use super::watch::Watch;
use crate::ctx::Ctx;
use crate::fault::Result;
use crate::pairing::Side;
use crate::scenario::{Scenario, only_2};

/// Two global nodes.
pub const SCENARIO: Scenario = Scenario {
    name: "db-globals",
    about: "two global nodes with a slave each: what is set at one is seen at the other; a delete uncovers what was set at the other; slaves find each other; a global node that is killed takes its slaves' keys along until they have found the other",
    not_in: only_2,
    run: globals,
};

fn globals(ctx: &mut Ctx) -> Result<()> {
    ctx.step("two global nodes with a slave each");
    let alice = ctx.node(Side::A, &spec(ctx, "alice").listen())?;
    let first = alice.listener()?;
    let proxy = ctx.proxy(&first)?;
    let second = ctx.address()?;
    let dave = spec(ctx, "dave").bind(second).seed(proxy.address());
    let dave = ctx.node(Side::B, &dave)?;
    dave.up("alice")?;
    alice.up("dave")?;
    let bob = ctx.node(Side::B, &spec(ctx, "bob").listen().seed(&first))?;
    bob.up("alice")?;
    // the first seed that is up becomes carol's master
    let carol = ctx.node(Side::A, &spec(ctx, "carol").listen().seed(second))?;
    carol.up("dave")?;
    alice.up("bob")?;
    dave.up("carol")?;

    ctx.step("a key set at one is seen at the other");
    let nodes = [&alice, &bob, &carol, &dave];
    for node in nodes {
        node.db_set("presence", node.name(), json!([node.name()]))?;
    }
    let everybody =
        json!({ "alice": ["alice"], "bob": ["bob"], "carol": ["carol"], "dave": ["dave"] });
    for node in nodes {
        family_is(node, "presence", &everybody)?;
    }

    ctx.step("the same key on both sides");
    let mut watches = Vec::new();
    for node in nodes {
        watches.push(Watch::start(node, "shared")?);
    }
    for watch in &mut watches {
        watch.next("the first report of a monitor")?;
    }
    let mut all = |wanted: Value| -> Result<()> {
        for watch in &mut watches {
            watch.becomes(&wanted)?;
        }
        for node in nodes {
            family_is(node, "shared", &wanted)?;
        }
        Ok(())
    };
    bob.db_set("shared", "k", json!("bob's"))?;
    all(json!({ "k": "bob's" }))?;
    carol.db_set("shared", "k", json!("carol's"))?;
    all(json!({ "k": "carol's" }))?;
    ctx.step("a delete uncovers what was set at the other");
    carol.db_del("shared", &["k"])?;
    all(json!({ "k": "bob's" }))?;
    bob.db_del("shared", &["k"])?;
    all(json!({}))?;

    ctx.step("slaves of different global nodes find each other");
    let (at_bob, at_carol) = (bob.port("record")?, carol.port("tags")?);
    bob.snd(&at_carol, json!(["echoed", at_bob, "hello"]))?;
    bob.expect_msg(&at_bob, &json!(["echoed", "hello"]))?;
    bob.up("carol")?;

    ctx.step("a slave with both seeds outlives its global node");
    let erna = ctx.node(
        Side::B,
        &spec(ctx, "erna").listen().seed(second).seed(&first),
    )?;
    erna.up("alice")?;
    erna.up("dave")?;
    erna.db_set("presence", "erna", json!(["erna"]))?;
    let mut now = everybody;
    now["erna"] = json!(["erna"]);
    for node in [&alice, &bob, &erna, &dave] {
        family_is(node, "presence", &now)?;
    }
    dave.kill9()?;
    alice.down("dave")?;
    erna.down("dave")?;
    let left = json!({ "alice": ["alice"], "bob": ["bob"], "erna": ["erna"] });
    for node in [&alice, &bob, &erna] {
        family_is(node, "presence", &left)?;
    }

    ctx.step("the other global node comes back, and so do the keys of its slave");
    let dave = ctx.node(Side::B, &spec(ctx, "dave").bind(second).seed(&first))?;
    carol.up("dave")?;
    dave.up("alice")?;
    let back = json!({ "alice": ["alice"], "bob": ["bob"], "carol": ["carol"], "erna": ["erna"] });
    for node in [&alice, &bob, &carol, &dave, &erna] {
        family_is(node, "presence", &back)?;
    }
    agree(&[&alice, &bob, &carol, &dave, &erna])
}
