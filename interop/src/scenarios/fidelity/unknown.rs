//! A node that nobody knows.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::ctx::Ctx;
use crate::fault::{Result, ensure};
use crate::pairing::Side;
use crate::scenario::{Scenario, only_2};
use crate::spec::Spec;

/// See [`run`].
pub const SCENARIO: Scenario = Scenario {
    name: "unknown-node",
    about: "a monitor of a port on a node that nobody knows fires at once in a network of generation 2",
    not_in: |pairing| match (pairing.generation(), only_2(pairing)) {
        (None, _) => Some("nodes of this crate alone speak all generations, and wait for gossip"),
        (_, left_out) => left_out,
    },
    run,
};

/// Connecting in vain takes 2 s in Perl and 30 s here.
const SOON: Duration = Duration::from_millis(1500);

fn run(ctx: &mut Ctx) -> Result<()> {
    ctx.step("a global node and one with a master");
    // Anybody is global who is somebody's seed.
    let alice = ctx.node(Side::A, &Spec::new("alice").listen())?;
    let bob = ctx.node(Side::B, &Spec::new("bob").listen().seed(alice.listener()?))?;
    bob.up("alice")?;
    bob.db_keys("any")?;
    ctx.step("a node that nobody knows");
    let begun = Instant::now();
    let mon = bob.mon("nobody#port")?;
    let reason = bob.fired(mon)?;
    ensure(begun.elapsed() < SOON, || {
        format!("it took {:?}", begun.elapsed())
    })?;
    ensure(
        reason
            == [
                json!("transport_error"),
                json!("nobody"),
                json!("no known address"),
            ],
        || format!("the reason is {}", json!(reason)),
    )
}
