//! Numbered messages both ways at once: all arrive, in order.

use serde_json::json;

use crate::ctx::{Ctx, Pair};
use crate::fault::Result;
use crate::scenario::{Scenario, everywhere};

/// 1000 each way.
pub const FEW: Scenario = Scenario {
    name: "numbered",
    about: "1000 numbered messages each way at once arrive without hole and in order",
    not_in: everywhere,
    run: |ctx| run(ctx, 1_000),
};

/// 100,000 each way.
pub const MANY: Scenario = Scenario {
    name: "numbered-100000",
    about: "100,000 numbered messages each way at once arrive without hole and in order",
    not_in: everywhere,
    run: |ctx| run(ctx, 100_000),
};

fn run(ctx: &mut Ctx, count: u64) -> Result<()> {
    let Pair { alice, bob, .. } = ctx.pair()?;
    ctx.step(format!("{count} messages each way"));
    let (at_alice, at_bob) = (alice.counter(count)?, bob.counter(count)?);
    let tail = json!(["hello world", { "k": [1, 2, 3] }]);
    let from_alice = alice.snd_many(&at_bob, count, &tail)?;
    let from_bob = bob.snd_many(&at_alice, count, &tail)?;
    let limit = ctx.limit() * 2;
    bob.counted(&at_bob, limit)?;
    alice.counted(&at_alice, limit)?;
    alice.answer(from_alice, "snd_many")?;
    bob.answer(from_bob, "snd_many")?;
    ctx.step("the link is as before");
    alice.sync("bob")?;
    bob.sync("alice")
}
