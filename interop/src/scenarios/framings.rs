//! The framings that a pair can agree on, also a different one each way.

use serde_json::json;

use crate::ctx::{Ctx, Pair};
use crate::fault::{Result, ensure};
use crate::pairing::Side;
use crate::scenario::{Scenario, only_2};

/// CBOR and JSON.
pub const TEXT: Scenario = Scenario {
    name: "framings",
    about: "cbor both ways, json both ways, cbor one way and json the other: values of every type, a spawn, a megabyte and a key of the database pass",
    not_in: only_2,
    run: |ctx| {
        for (alice, bob) in [
            (&["cbor"][..], &["cbor"][..]),
            (&["json"], &["json"]),
            // each says what it wants to receive
            (&["json", "cbor"], &["cbor", "json"]),
            (&["cbor", "json"], &["json", "cbor"]),
            // one has no choice
            (&["json"], &["cbor", "json"]),
            (&["nonsense", "json"], &["cbor", "json"]),
        ] {
            // ours says so at once if it is to speak a framing that it does not know
            if alice[0] == "nonsense" && ctx.side(Side::A).is_rust() {
                continue;
            }
            talk(ctx, alice, bob)?;
        }
        Ok(())
    },
};

/// Storable, which only Perl nodes need to have.
pub const STORABLE: Scenario = Scenario {
    name: "framing-storable",
    about: "the same with storable both ways, and one way",
    not_in: only_2,
    run: |ctx| {
        for (alice, bob) in [
            (&["storable"][..], &["storable"][..]),
            (&["storable", "cbor"], &["cbor", "storable"]),
        ] {
            talk(ctx, alice, bob)?;
        }
        Ok(())
    },
};

fn talk(ctx: &mut Ctx, of_alice: &[&str], of_bob: &[&str]) -> Result<()> {
    let Pair { alice, bob, proxy } = ctx.pair_with(
        |alice| *alice = alice.clone().with("framing_format", json!(of_alice)),
        |bob| *bob = bob.clone().with("framing_format", json!(of_bob)),
    )?;
    ctx.step(format!("alice has {of_alice:?}, bob {of_bob:?}"));
    for (one, other) in [(&alice, &bob), (&bob, &alice)] {
        super::echo::echoed_as(one, other, of_alice.contains(&"storable"))?;
        let me = one.port("record")?;
        let text = "caf\u{e9} \u{263a} \u{0}";
        let port = one.spawn(
            other.name(),
            "aemp_test::init",
            json!([me, text, { text: [text] }]),
        )?;
        one.expect_msg(&me, &json!(["ready", port, text, { text: [text] }]))?;
        let sized = other.port("size")?;
        one.call("snd_big", json!({ "to": sized, "size": 1_000_000 }))?;
        let event = other.wait("the megabyte", |e| e["ev"] == "size" && e["port"] == sized)?;
        ensure(event["octets"] == 1_000_004, || format!("got {event}"))?;
        one.db_set("of_all", one.name(), json!([text]))?;
    }
    let wanted =
        json!({ "alice": ["caf\u{e9} \u{263a} \u{0}"], "bob": ["caf\u{e9} \u{263a} \u{0}"] });
    for node in [&alice, &bob] {
        node.poll("both keys", || {
            let got = node.db_family("of_all")?;
            Ok((got == wanted)
                .then_some(())
                .ok_or_else(|| format!("; they are {got}")))
        })?;
    }
    let links = proxy.links();
    ensure(links.len() == 1, || format!("connected again: {links:?}"))
}
