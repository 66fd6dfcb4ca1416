//! Several owners of a key.

use serde_json::{Value, json};

use super::nodes::{settled, star};
use super::seen::family_is;
use super::watch::Watch;
use crate::ctx::Ctx;
use crate::fault::Result;
use crate::pairing::Side;
use crate::scenario::{Scenario, only_2};

/// Several owners of a key.
pub const SCENARIO: Scenario = Scenario {
    name: "db-same-key",
    about: "several nodes set the same key: the last one is seen; a delete uncovers what another has set; a node that leaves or is killed takes along its own keys and no others",
    not_in: only_2,
    run: same_key,
};

fn same_key(ctx: &mut Ctx) -> Result<()> {
    let (alice, slaves) = star(ctx, &[(Side::B, "bob"), (Side::A, "carol")])?;
    let (bob, carol) = (&slaves[0], &slaves[1]);
    let mut watches = Vec::new();
    for node in [&alice, bob, carol] {
        watches.push(Watch::start(node, "shared")?);
    }
    let settle = || settled(&alice, &[bob, carol]);
    let mut all = |ctx: &mut Ctx, step: &str, wanted: Value, quiet: bool| -> Result<()> {
        ctx.step(step);
        settle()?;
        for watch in &mut watches {
            if quiet {
                watch.quiet()?;
            }
            watch.becomes(&wanted)?;
            watch.quiet()?;
        }
        for node in [&alice, bob, carol] {
            family_is(node, "shared", &wanted)?;
        }
        Ok(())
    };
    settle()?;
    bob.db_set("shared", "k", json!("bob's"))?;
    all(ctx, "bob sets a key", json!({ "k": "bob's" }), false)?;
    carol.db_set("shared", "k", json!("carol's"))?;
    all(
        ctx,
        "carol sets the same key",
        json!({ "k": "carol's" }),
        false,
    )?;
    carol.db_del("shared", &["k"])?;
    all(
        ctx,
        "carol's delete uncovers bob's value",
        json!({ "k": "bob's" }),
        false,
    )?;
    carol.db_set("shared", "k", json!("carol's"))?;
    all(ctx, "carol sets it again", json!({ "k": "carol's" }), false)?;
    bob.db_del("shared", &["k"])?;
    all(
        ctx,
        "what bob deletes was covered",
        json!({ "k": "carol's" }),
        true,
    )?;
    carol.db_del("shared", &["k"])?;
    all(ctx, "the last owner deletes it", json!({}), false)?;

    alice.db_set("shared", "k", json!("alice's"))?;
    settle()?;
    bob.db_set("shared", "k", json!("bob's"))?;
    bob.db_set("shared", "own", json!(1))?;
    settle()?;
    all(
        ctx,
        "the global node's own value is covered as well",
        json!({ "k": "bob's", "own": 1 }),
        false,
    )?;
    bob.db_del("shared", &["k"])?;
    all(
        ctx,
        "and uncovered",
        json!({ "k": "alice's", "own": 1 }),
        false,
    )?;
    bob.db_set("shared", "k", json!("bob's"))?;
    settle()?;
    carol.db_set("shared", "mine", json!("carol's"))?;
    all(
        ctx,
        "all have a key",
        json!({ "k": "bob's", "own": 1, "mine": "carol's" }),
        false,
    )?;
    drop(watches);

    ctx.step("bob is killed");
    let mut left = [
        Watch::start(carol, "shared")?,
        Watch::start(carol, "shared")?,
    ];
    for watch in &mut left {
        watch.becomes(&json!({ "k": "bob's", "own": 1, "mine": "carol's" }))?;
    }
    bob.kill9()?;
    alice.down("bob")?;
    let wanted = json!({ "k": "alice's", "mine": "carol's" });
    for watch in &mut left {
        watch.becomes(&wanted)?;
    }
    for node in [&alice, carol] {
        family_is(node, "shared", &wanted)?;
    }

    ctx.step("carol leaves");
    carol.quit()?;
    alice.down("carol")?;
    family_is(&alice, "shared", &json!({ "k": "alice's" }))
}
