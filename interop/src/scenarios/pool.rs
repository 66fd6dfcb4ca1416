//! A group as a service: a call waits for the first member, goes to any, and goes on to another
//! one when a member dies of it.

use serde_json::{Value, json};

use crate::ctx::{Ctx, Pair};
use crate::driver::Node;
use crate::fault::{Result, ensure};
use crate::scenario::Scenario;

/// See [`run`].
pub const SCENARIO: Scenario = Scenario {
    name: "pool",
    about: "calls to a group of the other node's ports: the first member is waited for, each gets its turn, and when one dies of a call another one answers",
    not_in: |pairing| {
        let ours = pairing.a.is_rust() || pairing.b.is_rust();
        (!ours).then_some("Perl has no calls to a group")
    },
    run,
};

fn run(ctx: &mut Ctx) -> Result<()> {
    let Pair { alice, bob, .. } = ctx.pair()?;
    for (one, other) in [(&bob, &alice), (&alice, &bob)] {
        if one.has("cal_any") {
            calls(ctx, one, other)?;
        }
    }
    Ok(())
}

/// `one` calls what `other` has registered.
fn calls(ctx: &mut Ctx, one: &Node, other: &Node) -> Result<()> {
    let group = format!("pool of {}", other.name());
    let args = |n: u32| json!({ "group": group, "msg": ["job", n], "timeout": 20, "retries": 1 });
    let answered = |ok: &Value, n: u32| {
        ensure(ok["reply"] == json!(["answered", "job", n]), || {
            format!("got {ok}")
        })
    };

    ctx.step(format!("{} calls before there is a member", one.name()));
    let waits = one.send("cal_any", &args(1))?;
    one.sync(other.name())?;
    let well = other.port("answer")?;
    other.grp_reg(&group, &well)?;
    answered(&one.answer(waits, "cal_any")?, 1)?;

    ctx.step(format!("a member on {} dies of a call", other.name()));
    let mortal = other.port("kil")?;
    other.grp_reg(&group, &mortal)?;
    one.group_is(&group, &[&well, &mortal])?;
    // Which one is first is left to chance, so call until the other one was asked, too.
    for n in 2..100 {
        answered(&one.call("cal_any", args(n))?, n)?;
        if one.grp_get(&group)? == [well.as_str()] {
            break;
        }
    }
    one.group_is(&group, &[&well])
}
