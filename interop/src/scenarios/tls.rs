//! Links through TLS: who shares a certificate needs no secret, and who has another is kept out.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::ctx::{Ctx, Pair};
use crate::fault::{Fault, Result, ensure};
use crate::pairing::Side;
use crate::scenario::{Scenario, everywhere};
use crate::spec::Spec;

/// See [`good`].
pub const GOOD: Scenario = Scenario {
    name: "tls",
    about: "two nodes with one certificate and different secrets: values, a spawn and a megabyte pass through TLS; with a certificate on one side only and one secret they talk without TLS",
    not_in: everywhere,
    run: good,
};

/// See [`bad`].
pub const BAD: Scenario = Scenario {
    name: "tls-other-ca",
    about: "a node with the right secret and a certificate of its own making never comes up on either side, nor does one that has no certificate and another secret; a node with the right certificate carries on",
    not_in: everywhere,
    run: bad,
};

/// Makes a key and a certificate as the command `gencert` of Perl does, and gives the PEM.
fn certificate(folder: &Path, name: &str) -> Result<Value> {
    let [key, cert] = ["key", "cert"].map(|what| folder.join(format!("{name}-{what}.pem")));
    let mut command = Command::new("openssl");
    command.args(["req", "-new", "-nodes", "-x509", "-days", "3650"]);
    command.args(["-newkey", "rsa:2048", "-subj", "/CN=AnyEvent::MP"]);
    command.arg("-keyout").arg(&key).arg("-out").arg(&cert);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let status = command.status().map_err(Fault::io("openssl"))?;
    ensure(status.success(), || format!("openssl: {status}"))?;
    let read = |path| fs::read_to_string(path).map_err(Fault::io("certificate"));
    Ok(json!(read(&cert)? + &read(&key)?))
}

fn good(ctx: &mut Ctx) -> Result<()> {
    let pem = certificate(ctx.dir(), "shared")?;
    let Pair { alice, bob, proxy } = ctx.pair_with(
        |alice| *alice = alice.clone().cert(&pem).secret("eins"),
        |bob| *bob = bob.clone().cert(&pem).secret("zwei"),
    )?;
    for (one, other) in [(&alice, &bob), (&bob, &alice)] {
        super::echo::echoed(one, other)?;
        let me = one.port("record")?;
        let port = one.spawn(other.name(), "aemp_test::init", json!([me, "within tls"]))?;
        one.expect_msg(&me, &json!(["ready", port, "within tls"]))?;
        let sized = other.port("size")?;
        one.call("snd_big", json!({ "to": sized, "size": 1_000_000 }))?;
        let event = other.wait("the megabyte", |e| e["ev"] == "size" && e["port"] == sized)?;
        ensure(event["octets"] == 1_000_004, || format!("got {event}"))?;
    }
    ctx.step("with a certificate on one side only they talk without TLS");
    proxy.close();
    bob.quit()?;
    for (cert, name) in [(Some(&pem), "carol"), (None, "dave")] {
        let mut spec = Spec::new(name).listen();
        if let Some(pem) = cert {
            spec = spec.cert(pem);
        }
        let one = ctx.node(Side::A, &spec)?;
        let mut spec = Spec::new(&format!("{name}-friend")).seed(one.listener()?);
        if cert.is_none() {
            spec = spec.cert(&pem);
        }
        let other = ctx.node(Side::B, &spec)?;
        one.up(other.name())?;
        other.up(one.name())?;
        one.sync(other.name())?;
    }
    Ok(())
}

fn bad(ctx: &mut Ctx) -> Result<()> {
    let folder = ctx.dir().to_owned();
    let (pem, other) = (
        certificate(&folder, "shared")?,
        certificate(&folder, "other")?,
    );
    ctx.step("alice and bob connect");
    let alice = ctx.node(Side::A, &Spec::new("alice").listen().cert(&pem))?;
    let seed = alice.listener()?;
    let bob = ctx.node(Side::B, &Spec::new("bob").seed(&seed).cert(&pem))?;
    alice.up("bob")?;
    bob.up("alice")?;

    ctx.step("mallory tries with a certificate of its own, trudy with none");
    let proxies = [ctx.proxy(&seed)?, ctx.proxy(&seed)?];
    let spec = Spec::new("mallory").seed(proxies[0].address());
    let mallory = ctx.node(Side::B, &spec.cert(&other))?;
    let spec = Spec::new("trudy").seed(proxies[1].address());
    let trudy = ctx.node(Side::B, &spec.secret("falsch"))?;
    for proxy in &proxies {
        proxy.wait("a second try to be refused", ctx.limit(), |links| {
            links.len() > 1 && links[1].closed
        })?;
    }

    ctx.step("nobody sees them, nobody is disturbed");
    alice.sync("bob")?;
    bob.sync("alice")?;
    alice.connected_with(&["bob"], ctx.limit())?;
    for stranger in [&mallory, &trudy] {
        stranger.connected_with(&[], ctx.limit())?;
    }
    if [Side::A, Side::B]
        .iter()
        .any(|side| ctx.side(*side).is_rust())
    {
        // Who is the TLS client looks first, and may not tell the other why it goes.
        ctx.step("one of the two logs names the cause");
        let logs = [ctx.log("alice"), ctx.log("mallory")].map(|log| log.to_lowercase());
        let named = logs.iter().any(|log| log.contains("certificate"));
        ensure(named, || {
            "no line of the logs of alice and mallory has 'certificate'".to_owned()
        })?;
    }
    Ok(())
}
