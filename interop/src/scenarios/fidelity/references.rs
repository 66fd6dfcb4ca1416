//! References to scalars, which Perl has and JSON and Rust's types have not.

use serde_json::json;

use crate::ctx::{Ctx, Pair};
use crate::fault::Result;
use crate::scenario::{Scenario, everywhere};

/// See [`run`].
pub const SCENARIO: Scenario = Scenario {
    name: "references",
    about: "a reference to a scalar that a Perl node sends comes back as one from a port that hands its message on, and by the request `snd`",
    not_in: everywhere,
    run,
};

fn run(ctx: &mut Ctx) -> Result<()> {
    let Pair { alice, bob, .. } = ctx.pair()?;
    for (one, other) in [(&bob, &alice), (&alice, &bob)] {
        if !one.has("reference") {
            continue;
        }
        let way = format!("{} by way of {}", one.name(), other.name());
        ctx.step(format!("handed on by a port ({way})"));
        let (me, echo) = (one.port("record")?, other.port("echo")?);
        one.call("snd_reference", json!({ "to": echo, "msg": [me, "x"] }))?;
        // JSON::XS writes a reference to 1 as `true`.
        one.expect_msg(&me, &json!(["x", true]))?;
        ctx.step(format!("sent on by the node ({way})"));
        let msg = json!(["snd", me, "y"]);
        one.call("snd_reference", json!({ "to": other.name(), "msg": msg }))?;
        one.expect_msg(&me, &json!(["y", true]))?;
    }
    Ok(())
}
