//! The framings that a pair can agree on, also a different one each way.

use serde_json::json;

use crate::ctx::{Ctx, Pair};
use crate::fault::{Result, ensure};
use crate::pairing::Side;
use crate::scenario::{Scenario, everywhere, only_2};
use crate::spec::Spec;

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
    not_in: everywhere,
    run: |ctx| {
        let other = if has_database(ctx) { "cbor" } else { "json" };
        for (alice, bob) in [
            (&["storable"][..], &["storable"][..]),
            (&["storable", other], &[other, "storable"]),
        ] {
            talk(ctx, alice, bob)?;
        }
        Ok(())
    },
};

/// All of them, through TLS.
pub const TLS: Scenario = Scenario {
    name: "tls-framings",
    about: "two nodes with one certificate and no secret: what passes in each framing passes through TLS",
    not_in: everywhere,
    run: |ctx| {
        let pem = super::tls::certificate(ctx.dir(), "shared")?;
        let more: &[_] = if has_database(ctx) { &["cbor"] } else { &[] };
        for framing in ["json", "storable"].iter().chain(more) {
            let within = |spec: Spec, secret: &str| spec.cert(&pem).secret(secret);
            talk_as(ctx, &[framing], &[framing], within)?;
        }
        Ok(())
    },
};

fn has_database(ctx: &Ctx) -> bool {
    only_2(&ctx.pairing).is_none()
}

fn talk(ctx: &mut Ctx, of_alice: &[&str], of_bob: &[&str]) -> Result<()> {
    talk_as(ctx, of_alice, of_bob, |spec, _| spec)
}

/// Two nodes that have these framings, and are told more of by `configure`, which gets a secret
/// that only this node has.
fn talk_as(
    ctx: &mut Ctx,
    of_alice: &[&str],
    of_bob: &[&str],
    configure: impl Fn(Spec, &str) -> Spec,
) -> Result<()> {
    let configured = |spec: &mut Spec, framings: &[&str], secret: &str| {
        let with = spec.clone().with("framing_format", json!(framings));
        *spec = configure(with, secret);
    };
    let Pair { alice, bob, proxy } = ctx.pair_with(
        |alice| configured(alice, of_alice, "eins"),
        |bob| configured(bob, of_bob, "zwei"),
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
        if has_database(ctx) {
            one.db_set("of_all", one.name(), json!([text]))?;
        }
    }
    let wanted =
        json!({ "alice": ["caf\u{e9} \u{263a} \u{0}"], "bob": ["caf\u{e9} \u{263a} \u{0}"] });
    for node in [&alice, &bob].into_iter().filter(|_| has_database(ctx)) {
        node.poll("both keys", || {
            let got = node.db_family("of_all")?;
            Ok((got == wanted)
                .then_some(())
                .ok_or_else(|| format!("; they are {got}")))
        })?;
    }
    let links = proxy.links();
    // Ours may have greeted a busy node of generation 0 in another version first.
    let proved = links.iter().filter(|link| link.forth_lines > 2);
    ensure(proved.count() == 1, || {
        format!("connected again: {links:?}")
    })
}
