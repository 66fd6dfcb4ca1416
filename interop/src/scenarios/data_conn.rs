//! Data connections, in all roles, with and without TLS, and what is said when there is none.

use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::tls::certificate;
use crate::ctx::{Ctx, Pair};
use crate::driver::Node;
use crate::fault::{Result, ensure};
use crate::pairing::Pairing;
use crate::peers::Generation;
use crate::scenario::Scenario;
use crate::spec::Spec;

/// See [`plain`].
pub const PLAIN: Scenario = Scenario {
    name: "data-conn",
    about: "a data connection that the connector opens, and one that the listener opens and has the connector make: 3 MB each way at once, octet by octet; then one that is opened again",
    not_in: has_none,
    run: plain,
};

/// See [`tls`].
pub const TLS: Scenario = Scenario {
    name: "data-conn-tls",
    about: "the same between nodes that share a certificate: it goes through TLS",
    not_in: has_none,
    run: tls,
};

/// See [`large`].
pub const LARGE: Scenario = Scenario {
    name: "data-conn-large",
    about: "100 MB each way by a data connection, octet by octet",
    not_in: |pairing| match pairing.release() {
        Some(release) if release.version != "1.30" || !pairing.has_rust() => {
            Some("takes its time, and shows no more than with 1.30")
        }
        _ => None,
    },
    run: large,
};

/// See [`fails`].
pub const FAILS: Scenario = Scenario {
    name: "data-conn-fails",
    about: "there is no data connection to a function that nobody has, to a node that does not answer, nor where no listener is known, and who opens it is told",
    not_in: tells_nothing,
    run: fails,
};

/// 2.02 brings the module along, but not what it takes addresses from: it is left with what it can
/// be asked for.
fn has_none(pairing: &Pairing) -> Option<&'static str> {
    let release = pairing.release()?;
    let version: f64 = release.version.parse().unwrap_or_default();
    if version < 1.24 {
        return Some("data connections came with 1.24");
    }
    let modern = release.generation == Generation::G2;
    (modern && (pairing.a.is_rust() || !pairing.b.is_rust()))
        .then_some("from 2.0 on a Perl node can't connect, it can just be connected to")
}

/// The same for what only nodes say that can be told that there will be no connection.
fn tells_nothing(pairing: &Pairing) -> Option<&'static str> {
    match pairing.generation() {
        Some(Generation::G1a) => {
            Some("before 1.26 no port can be killed from another node, as it is to be told")
        }
        _ => has_none(pairing),
    }
}

const SIZE: u64 = 3_000_000;

fn opens(one: &Node, other: &Node, function: &str, size: u64, timeout: f64) -> Result<Value> {
    let args = json!({
        "node": other.name(), "func": function, "timeout": timeout,
        "send": size, "receive": size + 7,
    });
    Ok(one.call("data_conn", args)?["conn"].clone())
}

/// `one` opens a connection to `other`, and all that is sent arrives.
fn passes(ctx: &mut Ctx, one: &Node, other: &Node, size: u64, secured: bool) -> Result<()> {
    ctx.step(format!("{} opens, {} takes", one.name(), other.name()));
    let conn = opens(one, other, "aemp_test::data", size, 10.0)?;
    // Perl makes and checks a few MB a second.
    let limit = ctx.limit() + Duration::from_micros(size);
    let end = |node: &Node, role: &str| {
        node.wait_for(&format!("the end of the {role}"), limit, |event| {
            (event["ev"] == "data" && event["role"] == role || event["ev"] == "data_failed")
                && event["conn"] == conn
        })
    };
    let opener = end(one, "opener")?;
    ensure(opener["ev"] == "data", || format!("got {opener}"))?;
    let taker = end(other, "taker")?;
    for (got, said, count) in [(&opener, &taker, size + 7), (&taker, &opener, size)] {
        let good = got["received"] == count
            && got["digest"] == said["sent"]
            && got.get("error").is_none()
            && got["tls"] == secured;
        ensure(good, || {
            format!("got {got}, and the other side says {said}")
        })?;
    }
    Ok(())
}

/// Each of the two opens one. Where Perl connects it forgets where it has connected to, so each way
/// has nodes of its own.
fn each_way(ctx: &mut Ctx, cert: Option<&Value>, size: u64) -> Result<()> {
    let modern = ctx.pairing.generation() == Some(Generation::G2);
    for connector_opens in [true, false] {
        if modern && !connector_opens {
            continue; // see `has_none`
        }
        let with = |spec: &mut Spec| {
            if let Some(cert) = cert {
                *spec = spec.clone().cert(cert);
            }
        };
        let Pair { alice, bob, proxy } = ctx.pair_with(with, with)?;
        alice.sync("bob")?;
        bob.sync("alice")?;
        let (one, other) = match connector_opens {
            true => (&bob, &alice),
            false => (&alice, &bob),
        };
        passes(ctx, one, other, size, cert.is_some())?;
        // Only Perl forgets.
        if !bob.is_perl() {
            passes(ctx, one, other, 1000, cert.is_some())?;
        }
        alice.sync("bob")?;
        bob.quit()?;
        proxy.close();
        alice.quit()?;
    }
    Ok(())
}

fn plain(ctx: &mut Ctx) -> Result<()> {
    each_way(ctx, None, SIZE)
}

fn large(ctx: &mut Ctx) -> Result<()> {
    each_way(ctx, None, 100_000_000)
}

fn tls(ctx: &mut Ctx) -> Result<()> {
    let pem = certificate(ctx.dir(), "shared")?;
    each_way(ctx, Some(&pem), SIZE)
}

/// The text of a failure.
fn failure(one: &Node, conn: &Value) -> Result<String> {
    let event = one.wait("the failure", |event| {
        event["ev"] == "data_failed" && event["conn"] == *conn
    })?;
    Ok(event["reason"][1].as_str().unwrap_or_default().to_owned())
}

fn fails(ctx: &mut Ctx) -> Result<()> {
    let Pair { alice, bob, .. } = ctx.pair()?;
    alice.sync("bob")?;
    bob.sync("alice")?;

    ctx.step("a function that nobody has");
    let conn = opens(&bob, &alice, "aemp_test::nothing", 10, 5.0)?;
    if alice.is_perl() {
        // It has connected by then, and finds the end of the stream.
        let event = bob.wait("the end", |event| {
            event["ev"] == "data" && event["conn"] == conn
        })?;
        ensure(event["received"] == 0, || format!("got {event}"))?;
    } else {
        let said = failure(&bob, &conn)?;
        let wanted = "alice: unable to resolve function 'aemp_test::nothing'";
        ensure(said == wanted, || format!("got {said:?}"))?;
    }

    if bob.is_perl() {
        ctx.step("no listener of alice is known any more, and bob has none");
        // Perl takes off each address that it connects to, a turn of its loop after it has looked
        // whether there is one.
        bob.sync("alice")?;
        bob.sync("alice")?;
        let conn = opens(&bob, &alice, "aemp_test::data", 10, 5.0)?;
        let said = failure(&bob, &conn)?;
        ensure(said == "bob: no listeners found", || {
            format!("got {said:?}")
        })?;
    }

    ctx.step("alice does not answer");
    alice.signal(Signal::SIGSTOP);
    let conn = opens(&bob, &alice, "aemp_test::data", 10, 1.0)?;
    let said = failure(&bob, &conn)?;
    alice.signal(Signal::SIGCONT);
    let wanted = "alice: unable to establish connection within 1";
    ensure(said.starts_with(wanted), || format!("got {said:?}"))?;

    ctx.step("nobody is disturbed");
    alice.sync("bob")?;
    bob.sync("alice")?;
    Ok(())
}
