//! Functions that every node can be asked to call by name.

use serde_json::{Value, json};

use crate::ctx::{Ctx, Pair};
use crate::driver::Node;
use crate::fault::{Result, ensure};
use crate::peers::Generation;
use crate::scenario::{Scenario, everywhere};

/// See [`run`].
pub const SCENARIO: Scenario = Scenario {
    name: "named",
    about: "functions by their Perl names on the other node: snd, snd_on, snd_to_func, eval_on, kil, spawn, mon, group and database; `::f` is `main::f`; who asked",
    not_in: everywhere,
    run,
};

fn run(ctx: &mut Ctx) -> Result<()> {
    let Pair { alice, bob, .. } = ctx.pair()?;
    for (one, other) in [(&bob, &alice), (&alice, &bob)] {
        ports(ctx, one, other)?;
        registered(ctx, one, other)?;
        who(ctx, one, other)?;
    }
    Ok(())
}

/// Has `other` call a function.
fn call(one: &Node, other: &Node, function: &str, args: Value) -> Result<()> {
    let function = format!("AnyEvent::MP::{function}");
    one.call(
        "snd_to_func",
        json!({ "node": other.name(), "func": function, "args": args }),
    )?;
    one.sync(other.name())
}

fn ports(ctx: &mut Ctx, one: &Node, other: &Node) -> Result<()> {
    let way = format!("{} asks {}", one.name(), other.name());
    ctx.step(format!("messages ({way})"));
    let (mine, theirs) = (one.port("record")?, other.port("record")?);
    call(one, other, "snd", json!([mine, "x", 1]))?;
    one.expect_msg(&mine, &json!(["x", 1]))?;
    call(one, other, "Kernel::snd", json!([theirs, "y"]))?;
    other.expect_msg(&theirs, &json!(["y"]))?;
    call(
        one,
        other,
        "Kernel::snd_on",
        json!([one.name(), theirs, "on"]),
    )?;
    other.expect_msg(&theirs, &json!(["on"]))?;
    let args = json!([other.name(), "aemp_test::call", mine, 7]);
    call(one, other, "Kernel::snd_to_func", args)?;
    one.expect_msg(&mine, &json!(["called", 7]))?;

    ctx.step(format!("ports are spawned and killed ({way})"));
    let args = json!([other.name(), "::test_main", mine, "arg"]);
    call(one, other, "spawn", args)?;
    let told = one.msg(&mine)?;
    let port = told
        .get(1)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    ensure(told == [json!("main"), json!(port), json!("arg")], || {
        format!("the spawned port said {}", json!(told))
    })?;
    let victim = other.port("record")?;
    for port in [&port, &victim] {
        let mon = other.mon(port)?;
        call(one, other, "kil", json!([port, "enough", 7]))?;
        other.expect_fired(mon, &json!(["enough", 7]))?;
    }
    one.spawn(other.name(), "::test_main", json!([mine, "direct"]))?;
    let told = one.msg(&mine)?;
    ensure(told.last() == Some(&json!("direct")), || {
        format!("the spawned port said {}", json!(told))
    })?;

    ctx.step(format!("monitors ({way})"));
    let (watched, linked) = (other.port("record")?, other.port("record")?);
    let mon = other.mon(&linked)?;
    call(one, other, "mon", json!([watched, mine, "gone"]))?;
    call(one, other, "mon", json!([watched, linked]))?;
    other.kil(&watched, json!(["die", "oops"]))?;
    one.expect_msg(&mine, &json!(["gone", "die", "oops"]))?;
    other.expect_fired(mon, &json!(["die", "oops"]))
}

fn registered(ctx: &mut Ctx, one: &Node, other: &Node) -> Result<()> {
    ctx.step(format!("{} asks {} to register", one.name(), other.name()));
    let member = other.port("record")?;
    let group = format!("by-{}", one.name());
    match ctx.pairing.generation() {
        Some(Generation::G0) => {
            call(one, other, "Global::register", json!([member, group]))?;
            one.group_is(&group, &[&member])
        }
        Some(Generation::G2) => {
            call(one, other, "db_reg", json!([group, member, 3]))?;
            call(
                one,
                other,
                "Kernel::db_set",
                json!([group, "key", { "a": 1 }]),
            )?;
            let wanted = json!({ member.clone(): 3, "key": { "a": 1 } });
            family_is(one, &group, &wanted)?;
            call(one, other, "Kernel::db_del", json!([group, "key"]))?;
            other.kil(&member, json!([]))?;
            family_is(one, &group, &json!({}))
        }
        _ => {
            call(one, other, "Global::grp_reg", json!([group, member]))?;
            one.group_is(&group, &[&member])
        }
    }
}

fn family_is(node: &Node, family: &str, wanted: &Value) -> Result<()> {
    node.poll(&format!("{family} to be {wanted}"), || {
        let found = node.db_family(family)?;
        Ok(match found == *wanted {
            true => Ok(()),
            false => Err(format!("; it is {found}")),
        })
    })
}

/// Perl's older nodes do not say who asked.
fn who(ctx: &mut Ctx, one: &Node, other: &Node) -> Result<()> {
    ctx.step(format!("{} knows that {} asked", other.name(), one.name()));
    let mine = one.port("record")?;
    one.call(
        "snd_to_func",
        json!({ "node": other.name(), "func": "aemp_test::who", "args": [mine] }),
    )?;
    let said = one.msg(&mine)?;
    let known = said == [json!("who"), json!(one.name())];
    let older = ctx.pairing.generation().is_some_and(|g| g < Generation::G2);
    let unknown = older && other.has("eval") && said == [json!("who"), Value::Null];
    ensure(known || unknown, || format!("it said {}", json!(said)))
}
