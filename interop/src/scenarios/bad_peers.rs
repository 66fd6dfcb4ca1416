//! Peers that do not behave: each loses its own connection, the node's other links carry on.

use std::time::Duration;

use crate::ctx::Ctx;
use crate::driver::Node;
use crate::fault::{Result, ensure};
use crate::pairing::{Pairing, Side};
use crate::peers::Generation;
use crate::raw::{Mirror, Raw};
use crate::scenario::{Scenario, everywhere};
use crate::spec::Spec;

/// Before the token.
pub const GREETING: Scenario = Scenario {
    name: "bad-greeting",
    about: "an unknown version, the node's own ID, an echoed greeting, a line over 4 KiB, a wrong token, no greeting at all: closed, logged, nothing else disturbed",
    not_in: everywhere,
    run: greeting,
};

/// After it.
pub const MESSAGES: Scenario = Scenario {
    name: "bad-messages",
    about: "broken JSON, nesting over the limit, a scalar where an array belongs, a port name that is none: closed, logged, nothing else disturbed",
    not_in: |pairing: &Pairing| {
        (!pairing.a.is_rust())
            .then_some("a Perl node goes half deaf on such messages instead of closing")
    },
    run: messages,
};

/// Alice, with bob as her good link.
fn start(ctx: &mut Ctx) -> Result<(Node, Node, String)> {
    ctx.step("two nodes connect");
    // 0.95 and 1.0 wait 3 s for a greeting whatever is configured
    let alice = ctx.node(
        Side::A,
        &Spec::new("alice")
            .listen()
            .with("monitor_timeout", serde_json::json!(3)),
    )?;
    let address = alice.listener()?;
    let bob = ctx.node(Side::B, &Spec::new("bob").seed(&address))?;
    alice.up("bob")?;
    bob.up("alice")?;
    Ok((alice, bob, address))
}

/// The connection closes; bob does not notice; a Rust node has said why.
fn refused(ctx: &Ctx, what: &str, peer: &mut Raw, alice: &Node, bob: &Node) -> Result<()> {
    peer.closed(ctx.limit().min(Duration::from_secs(12)))?;
    bob.sync("alice")?;
    alice.sync("bob")?;
    let lost = bob.pending(|e| e["ev"] == "node" && e["up"] == false);
    ensure(lost.is_empty(), || {
        format!("bob lost its link: {}", lost[0])
    })?;
    if ctx.side(Side::A).is_rust() {
        let address = peer.address();
        alice.poll(
            &format!("a line of her log that names {address} ({what})"),
            || {
                let named = ctx.log("alice").lines().any(|line| line.contains(&address));
                Ok(if named { Ok(()) } else { Err(String::new()) })
            },
        )?;
    }
    Ok(())
}

fn greeting(ctx: &mut Ctx) -> Result<()> {
    let (alice, bob, address) = start(ctx)?;
    let known = ctx.pairing.generation();
    type Misdeed = fn(&mut Raw, Option<Generation>, Duration) -> Result<()>;
    let misdeeds: [(&str, Misdeed); 7] = [
        ("an unknown version", |raw, known, _| {
            raw.greet_as("77", known, "raw");
            Ok(())
        }),
        ("the node's own ID", |raw, known, _| {
            raw.greet(known, "alice");
            Ok(())
        }),
        ("an ID that is connected", |raw, known, _| {
            raw.greet(known, "bob");
            Ok(())
        }),
        ("a line over 4 KiB", |raw, _, _| {
            raw.send(&[b'a'; 6000]);
            Ok(())
        }),
        ("not a greeting", |raw, _, _| {
            raw.send(b"GET / HTTP/1.0\r\n\r\n");
            Ok(())
        }),
        ("a wrong token", |raw, known, limit| {
            raw.greet(known, "raw");
            raw.line("its greeting", limit)?;
            raw.line("its nonce", limit)?;
            raw.send(match known {
                Some(Generation::G2) => b"hmac_sha3_512;0000;json\n".as_slice(),
                _ => b"hmac_md6_64_256;0000;json\n",
            });
            Ok(())
        }),
        ("silence", |_, _, _| Ok(())),
    ];
    for (what, misdeed) in misdeeds {
        ctx.step(format!("a peer comes with: {what}"));
        let mut raw = Raw::connect(&address)?;
        misdeed(&mut raw, known, ctx.limit())?;
        refused(ctx, what, &mut raw, &alice, &bob)?;
        alice.connected_with(&["bob"], ctx.limit())?;
    }
    ctx.step("carol's seed sends her own greeting back");
    let mirror = Mirror::start()?;
    let carol = ctx.node(Side::A, &Spec::new("carol").seed(mirror.address()))?;
    mirror.closed(ctx.limit())?;
    carol.connected_with(&[], ctx.limit())?;
    if ctx.side(Side::A).is_rust() {
        let address = mirror.address().to_string();
        carol.poll("a line of her log that names the mirror", || {
            let named = ctx.log("carol").lines().any(|line| line.contains(&address));
            Ok(if named { Ok(()) } else { Err(String::new()) })
        })?;
    }
    Ok(())
}

fn messages(ctx: &mut Ctx) -> Result<()> {
    let (alice, bob, address) = start(ctx)?;
    let deep = format!("[\"\",{}{}]", "[".repeat(600), "]".repeat(600));
    let misdeeds: [(&str, &[u8]); 6] = [
        ("broken JSON", b"[\"\",\"devnull\",}]"),
        ("nesting over the limit", deep.as_bytes()),
        ("a scalar where an array belongs", b"\"devnull\""),
        ("an object where an array belongs", b"{\"a\":1}"),
        ("a port name that is a list", b"[[1],2]"),
        (
            "octets that are not UTF-8",
            b"[\"\",\"devnull\",\"\xff\xfe\"]",
        ),
    ];
    for (at, (what, octets)) in misdeeds.into_iter().enumerate() {
        ctx.step(format!("a peer comes in order and sends: {what}"));
        let node = format!("raw{at}");
        let mut raw = Raw::connect(&address)?;
        raw.join(ctx.pairing.generation(), &node, ctx.secret(), ctx.limit())?;
        alice.up(&node)?;
        raw.send(octets);
        refused(ctx, what, &mut raw, &alice, &bob)?;
        alice.down(&node)?;
    }
    Ok(())
}
