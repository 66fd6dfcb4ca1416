//! Where nodes listen, besides IP addresses with numbers.

use serde_json::json;

use crate::ctx::Ctx;
use crate::driver::Node;
use crate::fault::{Fault, Result, ensure};
use crate::pairing::Side;
use crate::scenario::{Scenario, everywhere};
use crate::spec::Spec;

/// See [`unix`].
pub const UNIX: Scenario = Scenario {
    name: "unix-sockets",
    about: "a bind and a seed `unix/:/path`: messages, monitors and 10 MB over it",
    not_in: everywhere,
    run: unix,
};

/// See [`names`].
pub const NAMES: Scenario = Scenario {
    name: "bind-names",
    about: "binds and seeds `localhost`, which is 127.0.0.1 and ::1, with the port as `aemp=NUMBER`",
    not_in: everywhere,
    run: names,
};

fn talk(one: &Node, other: &Node) -> Result<()> {
    let me = one.port("record")?;
    let echo = other.port("echo")?;
    one.snd(&echo, json!([me, "x", 1]))?;
    one.expect_msg(&me, &json!(["x", 1]))?;
    let victim = other.port("record")?;
    let mon = one.mon(&victim)?;
    one.sync(other.name())?;
    other.kil(&victim, json!(["why"]))?;
    one.expect_fired(mon, &json!(["why"]))
}

fn unix(ctx: &mut Ctx) -> Result<()> {
    // The path of a Unix socket must not be long.
    let folder = tempfile::tempdir().map_err(Fault::io("a folder for a socket"))?;
    let address = format!("unix/:{}", folder.path().join("s").display());
    ctx.step("two nodes connect by a Unix socket");
    let alice = ctx.node(Side::A, &Spec::new("alice").bind(&address))?;
    ensure(alice.listener()? == address, || {
        "it listens elsewhere".to_owned()
    })?;
    let bob = ctx.node(Side::B, &Spec::new("bob").seed(&address))?;
    alice.up("bob")?;
    bob.up("alice")?;
    ctx.step("they talk");
    talk(&alice, &bob)?;
    talk(&bob, &alice)?;
    ctx.step("ten megabytes");
    for (one, other) in [(&alice, &bob), (&bob, &alice)] {
        let size = other.port("size")?;
        one.call("snd_big", json!({ "to": size, "size": 10_000_000 }))?;
        other.wait("the big message", |e| {
            e["ev"] == "size" && e["port"] == size
        })?;
    }
    ctx.step("a node that ends leaves its peer told");
    let port = alice.port("record")?;
    let mon = bob.mon(&port)?;
    bob.sync("alice")?;
    alice.kill9()?;
    bob.expect_lost(mon, "alice")
}

fn names(ctx: &mut Ctx) -> Result<()> {
    let number = ctx.address()?.port();
    let name = format!("localhost:aemp={number}");
    ctx.step("two nodes connect by names");
    let alice = ctx.node(Side::A, &Spec::new("alice").bind(&name))?;
    let listeners = alice.call("listeners", json!({}))?["listeners"].clone();
    let wanted = json!([format!("127.0.0.1:{number}"), format!("[::1]:{number}")]);
    ensure(listeners == wanted, || format!("it listens on {listeners}"))?;
    let bob = ctx.node(Side::B, &Spec::new("bob").seed(&name))?;
    alice.up("bob")?;
    bob.up("alice")?;
    talk(&alice, &bob)?;
    talk(&bob, &alice)
}
