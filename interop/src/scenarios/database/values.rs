//! Values, queries, registered ports.

use std::collections::BTreeMap;

use serde_json::{Map, json};

use super::nodes::spec;
use super::seen::family_is;
use crate::ctx::Ctx;
use crate::fault::Result;
use crate::pairing::Side;
use crate::scenario::{Scenario, only_2};

/// Values, queries, registered ports.
pub const SCENARIO: Scenario = Scenario {
    name: "db",
    about: "keys set by the global node and by its slave, before and after they met, are seen by both: keys, values of every type, changes, deletes; a registered port goes with its registration and with its end",
    not_in: only_2,
    run: values,
};

fn values(ctx: &mut Ctx) -> Result<()> {
    ctx.step("keys are set before the nodes meet");
    let alice = ctx.node(Side::A, &spec(ctx, "alice").listen())?;
    alice.db_set("early", "alice", json!("was here"))?;
    let proxy = ctx.proxy(&alice.listener()?)?;
    let bob = ctx.driver(Side::B, &spec(ctx, "bob"))?;
    bob.configure(&spec(ctx, "bob").listen().seed(proxy.address()))?;
    bob.db_set("early", "bob", json!("as well"))?;
    alice.up("bob")?;
    bob.up("alice")?;
    let early = json!({ "alice": "was here", "bob": "as well" });
    for node in [&alice, &bob] {
        family_is(node, "early", &early)?;
    }

    for (one, other) in [(&alice, &bob), (&bob, &alice)] {
        let family = format!("of_{}", one.name());
        ctx.step(format!("{} sets values of every type", one.name()));
        family_is(other, &family, &json!({}))?;
        let mut wanted = Map::new();
        for (key, value) in [
            ("null", json!(null)),
            ("number", json!(-7)),
            ("float", json!(1.5)),
            ("text", json!("caf\u{e9} \u{263a}")),
            ("empty", json!("")),
            ("list", json!([1, [null, "x"], {}])),
            ("hash", json!({ "k": { "\u{e9}": [] } })),
            ("caf\u{e9} \u{263a} \"key\"", json!("odd key")),
            ("0", json!("a key that is a number")),
        ] {
            one.db_set(&family, key, value.clone())?;
            wanted.insert(key.to_owned(), value);
        }
        for node in [one, other] {
            family_is(node, &family, &json!(wanted))?;
        }

        ctx.step(format!("{} changes one and deletes three", one.name()));
        // a text: a Perl node compares an old value with a new one as texts, which makes numbers
        // texts
        one.db_set(&family, "number", json!("eight"))?;
        wanted.insert("number".to_owned(), json!("eight"));
        one.db_del(&family, &["list", "null", "never set", "0"])?;
        for key in ["list", "null", "0"] {
            wanted.remove(key);
        }
        for node in [one, other] {
            family_is(node, &family, &json!(wanted))?;
        }

        ctx.step(format!(
            "{} cannot delete what {} has set",
            other.name(),
            one.name()
        ));
        other.db_del(&family, &["text"])?;
        other.sync(one.name())?;
        for node in [one, other] {
            family_is(node, &family, &json!(wanted))?;
        }

        ctx.step(format!("{} registers ports", one.name()));
        let group = format!("ports_of_{}", one.name());
        let (first, second) = (one.port("mute")?, one.port("mute")?);
        let reg = one.db_reg(&group, &first, json!({ "load": 3 }))?;
        one.db_reg(&group, &second, json!(null))?;
        let mut wanted = BTreeMap::from([(&first, json!({ "load": 3 })), (&second, json!(null))]);
        family_is(other, &group, &json!(wanted))?;
        one.grp_unreg(reg)?;
        wanted.remove(&first);
        family_is(other, &group, &json!(wanted))?;
        one.kil(&second, json!(["bad"]))?;
        for node in [one, other] {
            family_is(node, &group, &json!({}))?;
        }
    }
    Ok(())
}
