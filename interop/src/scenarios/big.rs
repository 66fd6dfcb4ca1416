//! Big messages.

use serde_json::json;

use crate::ctx::{Ctx, Pair};
use crate::fault::{Result, ensure};
use crate::scenario::{Scenario, everywhere};

/// 1 MB.
pub const ONE_MB: Scenario = Scenario {
    name: "big-1mb",
    about: "a message with a string of a million characters goes each way, small ones around it stay in order",
    not_in: everywhere,
    run: |ctx| run(ctx, 1_000_000),
};

/// 10 MB.
pub const TEN_MB: Scenario = Scenario {
    name: "big-10mb",
    about: "the same with ten million characters",
    not_in: everywhere,
    run: |ctx| run(ctx, 10_000_000),
};

fn run(ctx: &mut Ctx, size: usize) -> Result<()> {
    let Pair { alice, bob, .. } = ctx.pair()?;
    for (one, other) in [(&bob, &alice), (&alice, &bob)] {
        ctx.step(format!(
            "{} sends {size} characters to {}",
            one.name(),
            other.name()
        ));
        let port = other.port("size")?;
        other.rcv(&port, Some("small"), Some("record"))?;
        // with its tag the port has no other callback in 0.95 and 1.0
        other.rcv(&port, Some("big"), Some("size"))?;
        one.snd(&port, json!(["small", 1]))?;
        one.call(
            "snd_big",
            json!({ "to": port, "head": ["big"], "size": size, "fill": "x" }),
        )?;
        one.snd(&port, json!(["small", 2]))?;
        let mut seen = Vec::new();
        for _ in 0..3 {
            let event = other.wait("a message", |e| {
                e["port"] == port && (e["ev"] == "msg" || e["ev"] == "size")
            })?;
            seen.push(if event["ev"] == "msg" {
                event["msg"][0].clone()
            } else {
                event["octets"].clone()
            });
        }
        // the array's brackets and the quotes
        ensure(seen == [json!(1), json!(size + 4), json!(2)], || {
            format!("got {}", json!(seen))
        })?;
    }
    Ok(())
}
