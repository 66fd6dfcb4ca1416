//! What every node port answers.

use serde_json::{Value, json};

use crate::ctx::{Ctx, Pair};
use crate::driver::Node;
use crate::fault::{Result, ensure};
use crate::peers::Generation;
use crate::scenario::{Scenario, everywhere};

/// See [`run`].
pub const SCENARIO: Scenario = Scenario {
    name: "services",
    about: "the node port's requests: time, info, known_nodes, up_nodes and snd_multiple (generation 2: can), devnull, eval, snd, a function by its name, nonsense",
    not_in: everywhere,
    run,
};

fn run(ctx: &mut Ctx) -> Result<()> {
    let Pair { alice, bob, .. } = ctx.pair()?;
    for (one, other) in [(&bob, &alice), (&alice, &bob)] {
        informational(ctx, one, other)?;
        relayed(ctx, one, other)?;
        odd(ctx, one, other)?;
    }
    Ok(())
}

/// Sends a request with a reply port and returns what is appended to `["tag", 7]`.
fn ask(one: &Node, other: &Node, request: &[Value]) -> Result<Vec<Value>> {
    let me = one.port("record")?;
    let mut msg = request.to_vec();
    msg.extend([json!(me), json!("tag"), json!(7)]);
    one.snd(other.name(), json!(msg))?;
    let got = one.msg(&me)?;
    ensure(got.len() >= 2 && got[0] == "tag" && got[1] == 7, || {
        format!("the reply lacks its own beginning: {}", json!(got))
    })?;
    one.kil(&me, json!([]))?;
    Ok(got[2..].to_vec())
}

fn informational(ctx: &mut Ctx, one: &Node, other: &Node) -> Result<()> {
    ctx.step(format!("{} asks {} for the time", one.name(), other.name()));
    let got = ask(one, other, &[json!("time")])?;
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0.0, |d| d.as_secs_f64());
    let near = got.len() == 1 && got[0].as_f64().is_some_and(|t| (t - now).abs() < 60.0);
    ensure(near, || format!("got {}, it is {now}", json!(got)))?;

    if ctx.pairing.generation() == Some(Generation::G2) {
        ctx.step(format!("{} asks what {} can do", one.name(), other.name()));
        for (request, can) in [
            ("kil1", true),
            ("time", true),
            ("info", false),
            ("nonsense", false),
        ] {
            let got = ask(one, other, &[json!("can"), json!(request)])?;
            // Perl's true and false: 1 and the empty string
            let said = got.len() == 1 && (got[0] == 1 || got[0] == "1" || got[0] == true);
            ensure(said == can, || format!("{request}: got {}", json!(got)))?;
        }
        return Ok(());
    }

    ctx.step(format!("{} asks {} for info", one.name(), other.name()));
    let got = ask(one, other, &[json!("info")])?;
    ensure(got == [json!(other.name())], || {
        format!("got {}", json!(got))
    })?;

    ctx.step(format!(
        "{} asks {} for its nodes",
        one.name(),
        other.name()
    ));
    let known = ask(one, other, &[json!("known_nodes")])?;
    ensure(
        [one.name(), other.name()]
            .iter()
            .all(|n| known.contains(&json!(n))),
        || format!("known: {}", json!(known)),
    )?;
    let up = ask(one, other, &[json!("up_nodes")])?;
    ensure(up == [json!(one.name())], || format!("up: {}", json!(up)))
}

fn relayed(ctx: &mut Ctx, one: &Node, other: &Node) -> Result<()> {
    ctx.step(format!(
        "{} relays messages for {}",
        other.name(),
        one.name()
    ));
    let me = one.port("record")?;
    one.snd(other.name(), json!(["snd", me, "x", [1, null]]))?;
    one.expect_msg(&me, &json!(["x", [1, null]]))?;
    let (theirs, at) = (other.port("record")?, other);
    one.snd(other.name(), json!(["snd", theirs, "to yourself"]))?;
    at.expect_msg(&theirs, &json!(["to yourself"]))?;
    if ctx.pairing.generation() == Some(Generation::G2) {
        return Ok(());
    }
    one.snd(
        other.name(),
        json!(["snd_multiple", [me, 1], [theirs, 2], [me, 3]]),
    )?;
    one.expect_msg(&me, &json!([1]))?;
    one.expect_msg(&me, &json!([3]))?;
    at.expect_msg(&theirs, &json!([2]))
}

fn odd(ctx: &mut Ctx, one: &Node, other: &Node) -> Result<()> {
    ctx.step(format!("{} evaluates for {}", other.name(), one.name()));
    let got = ask(one, other, &[json!("eval"), json!("6*7")])?;
    if other.has("eval") {
        ensure(got == [json!(""), json!(42)], || {
            format!("got {}", json!(got))
        })?;
        let got = ask(one, other, &[json!("eval"), json!("die qq(no\\n)")])?;
        ensure(got == [json!("no\n")], || format!("got {}", json!(got)))?;
    } else {
        let refused = got
            .first()
            .and_then(Value::as_str)
            .is_some_and(|text| !text.is_empty());
        ensure(refused, || {
            format!("expected an error text, got {}", json!(got))
        })?;
    }

    ctx.step(format!(
        "{} calls a function of {} by its name",
        one.name(),
        other.name()
    ));
    let me = one.port("record")?;
    one.call(
        "snd_to_func",
        json!({ "node": other.name(), "func": "aemp_test::call", "args": [me, "a", { "b": 1 }] }),
    )?;
    one.expect_msg(&me, &json!(["called", "a", { "b": 1 }]))?;

    ctx.step(format!("requests without effect on {}", other.name()));
    for msg in [
        json!(["devnull", 1, 2]),
        json!([""]),
        json!([]),
        json!(["no_such_request", 1]),
        json!(["no::such", 1]),
    ] {
        one.snd(other.name(), msg)?;
    }
    one.snd(&format!("{}#nosuchport", other.name()), json!(["x"]))?;
    one.sync(other.name())?;
    let up = one.up_nodes()?;
    ensure(up == [other.name()], || {
        format!("{} is connected with {up:?}", one.name())
    })
}
