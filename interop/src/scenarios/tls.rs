//! Links through TLS: who shares a certificate needs no secret, and who has another is kept out.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::ctx::{Ctx, Pair};
use crate::fault::{Fault, Result, ensure};
use crate::pairing::Side;
use crate::raw::Raw;
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

/// See [`broken`].
pub const BROKEN: Scenario = Scenario {
    name: "tls-broken",
    about: "where both greetings say TLS, plain text is not taken for a proof and none is sent, a connection that is cut within the handshake is forgotten, nodes with an expired certificate never come up; a node with a good one then does",
    not_in: everywhere,
    run: broken,
};

/// See [`no_certificate`].
pub const NO_CERTIFICATE: Scenario = Scenario {
    name: "tls-no-certificate",
    about: "a client of TLS that trusts the node's certificate, has none of its own and knows the secret is not let in, and nothing of the node's but the two lines comes outside of TLS; a node with a certificate then is",
    not_in: everywhere,
    run: no_certificate,
};

/// Makes a key and a certificate as the command `gencert` of Perl does, and gives the PEM.
pub(super) fn certificate(folder: &Path, name: &str) -> Result<Value> {
    let [key, cert] = ["key", "cert"].map(|what| folder.join(format!("{name}-{what}.pem")));
    let mut command = Command::new("openssl");
    command.args(["req", "-new", "-nodes", "-x509", "-days", "3650"]);
    command.args(["-newkey", "rsa:2048", "-subj", "/CN=AnyEvent::MP"]);
    command.arg("-keyout").arg(&key).arg("-out").arg(&cert);
    quietly(&mut command)?;
    let read = |path| fs::read_to_string(path).map_err(Fault::io("certificate"));
    Ok(json!(read(&cert)? + &read(&key)?))
}

/// The same, but the certificate ended yesterday.
fn expired(folder: &Path) -> Result<Value> {
    let path = |what: &str| folder.join(format!("expired-{what}.pem"));
    let [key, request, cert, extensions] = ["key", "request", "cert", "extensions"].map(path);
    // As `req` has them by default. Without any it would be a certificate of version 1.
    fs::write(&extensions, "basicConstraints=critical,CA:TRUE\n").map_err(Fault::io("file"))?;
    let mut command = Command::new("openssl");
    command.args(["req", "-new", "-nodes", "-newkey", "rsa:2048"]);
    command.args(["-subj", "/CN=AnyEvent::MP", "-keyout"]);
    command.arg(&key).arg("-out").arg(&request);
    quietly(&mut command)?;
    let mut command = Command::new("openssl");
    command.args(["x509", "-req", "-days", "-1", "-in"]);
    command.arg(&request).arg("-signkey").arg(&key);
    command.arg("-extfile").arg(&extensions);
    command.arg("-out").arg(&cert);
    quietly(&mut command)?;
    let read = |path| fs::read_to_string(path).map_err(Fault::io("certificate"));
    Ok(json!(read(&cert)? + &read(&key)?))
}

fn quietly(command: &mut Command) -> Result<()> {
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let status = command.status().map_err(Fault::io("openssl"))?;
    ensure(status.success(), || format!("openssl: {status}"))
}

/// What a record of TLS begins with: its type.
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;

fn broken(ctx: &mut Ctx) -> Result<()> {
    let folder = ctx.dir().to_owned();
    let pem = certificate(&folder, "shared")?;
    let alice = ctx.node(Side::A, &Spec::new("alice").listen().cert(&pem))?;
    let (seed, generation) = (alice.listener()?, ctx.pairing.generation());

    ctx.step("a peer that agreed to TLS goes on in plain text");
    let mut plain = Raw::connect(&seed)?;
    // Every node's nonce is higher than this one, so that this side is the client.
    plain.greet_tls(generation, "plain", "!");
    plain.line("its greeting", ctx.limit())?;
    plain.line("its nonce", ctx.limit())?;
    let secret: String = ctx.secret().bytes().map(|o| format!("{o:02x}")).collect();
    plain.send(format!("cleartext;{secret};json\n[\"\",\"time\",\"plain#x\"]").as_bytes());
    plain.closed(ctx.limit())?;
    let said = plain.octets(0, ctx.limit())?;
    ensure(said.first().is_none_or(|first| *first == ALERT), || {
        format!("in plain text it said {}", said.escape_ascii())
    })?;

    ctx.step("a connection is cut in the middle of the handshake");
    let mut cut = Raw::connect(&seed)?;
    // And lower than this one.
    cut.greet_tls(generation, "cut", "~");
    cut.line("its greeting", ctx.limit())?;
    cut.line("its nonce", ctx.limit())?;
    let said = cut.octets(5, ctx.limit())?;
    ensure(said.first() == Some(&HANDSHAKE), || {
        format!("behind its greeting it said {}", said.escape_ascii())
    })?;
    drop(cut);

    ctx.step("two nodes with an expired certificate");
    let old = expired(&folder)?;
    let carol = ctx.node(Side::A, &Spec::new("carol").listen().cert(&old))?;
    let proxy = ctx.proxy(&carol.listener()?)?;
    let dave = ctx.node(Side::B, &Spec::new("dave").seed(proxy.address()).cert(&old))?;
    proxy.wait("a second try to be refused", ctx.limit(), |links| {
        links.len() > 1 && links[1].closed
    })?;
    for stranger in [&carol, &dave] {
        stranger.connected_with(&[], ctx.limit())?;
    }

    ctx.step("nobody is disturbed");
    let bob = ctx.node(Side::B, &Spec::new("bob").seed(&seed).cert(&pem))?;
    alice.up("bob")?;
    bob.up("alice")?;
    alice.sync("bob")?;
    alice.connected_with(&["bob"], ctx.limit())
}

fn no_certificate(ctx: &mut Ctx) -> Result<()> {
    let pem = certificate(ctx.dir(), "shared")?;
    let alice = ctx.node(Side::A, &Spec::new("alice").listen().cert(&pem))?;
    let (seed, generation) = (alice.listener()?, ctx.pairing.generation());

    ctx.step("a client that shows no certificate");
    let mut nobody = Raw::connect(&seed)?;
    // Every node's nonce is higher than this one, so that this side is the client.
    nobody.greet_tls(generation, "nobody", "!");
    nobody.line("its greeting", ctx.limit())?;
    nobody.line("its nonce", ctx.limit())?;
    let secret: String = ctx.secret().bytes().map(|o| format!("{o:02x}")).collect();
    let wanted = format!("cleartext;{secret};json\n[\"\",\"time\",\"nobody#x\"]");
    let answer = nobody.within_tls(pem.as_str().unwrap_or_default(), &wanted, ctx.limit())?;
    // In TLS 1.3 the server has shown its own certificate, and may have said its proof, before it
    // sees that there is none of the client. It must have read nothing of what the client said.
    ensure(
        !answer.contains("nobody#x") && !answer.contains("[\"x\","),
        || format!("it answered {answer}"),
    )?;
    alice.connected_with(&[], ctx.limit())?;

    ctx.step("nobody is disturbed");
    let bob = ctx.node(Side::B, &Spec::new("bob").seed(&seed).cert(&pem))?;
    alice.up("bob")?;
    bob.up("alice")?;
    alice.sync("bob")?;
    alice.connected_with(&["bob"], ctx.limit())
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
