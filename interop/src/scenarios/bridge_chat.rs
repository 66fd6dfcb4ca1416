//! The tutorial's chat between generations, by a bridge.

use serde_json::json;

use super::bridge::{number, only_a_rust_bridge};
use super::chat::quits;
use super::chat_program::Program;
use crate::ctx::Ctx;
use crate::fault::{Fault, Result};
use crate::pairing::Side;
use crate::scenario::Scenario;
use crate::spec::Spec;

/// See [`run`].
pub const SCENARIO: Scenario = Scenario {
    name: "bridge-chat",
    about: "chat_server of this release (2.x has none: our example in its generation) with a chat_client of each other generation, by a Rust bridge: joins, lines relayed, a client killed, the server killed and back",
    not_in: only_a_rust_bridge,
    run,
};

/// Starts a program of one generation: that of side B's release, but for generation 2, which comes
/// without it, ours.
fn start(
    ctx: &mut Ctx,
    seed: &str,
    (name, program): (&str, &str),
    args: &[&str],
    generation: u8,
) -> Result<Program> {
    let spec = Spec::new(name).listen().seed(seed);
    match generation {
        2 => {
            let spec = spec.with("generation", json!(2));
            Program::start(ctx, Side::A, &spec, program, args)
        }
        _ => Program::start(ctx, Side::B, &spec, program, args),
    }
}

fn run(ctx: &mut Ctx) -> Result<()> {
    let own = ctx.side(Side::B).clone();
    let served = own.generation().map_or(1, number);
    ctx.step("the bridge and the server start");
    let spec = Spec::new("middle").listen().with("bridge", json!("all"));
    let middle = ctx.node(Side::A, &spec)?;
    let seed = middle.listener()?;
    let serve = ("server", "chat_server");
    let mut server = start(ctx, &seed, serve, &[], served)?;
    server.logged(ctx, "server ready.")?;

    ctx.step("a client of each other generation joins");
    let mut clients: Vec<(&str, Program)> = Vec::new();
    for (n, name) in [(0, "anna"), (1, "bert"), (2, "cleo")] {
        if n == served || n < 2 && ctx.switch(Side::B, |g| number(g) == n).is_err() {
            continue;
        }
        let mut client = start(ctx, &seed, (name, "chat_client"), &[name], n)?;
        client.expect("connecting...")?;
        client.expect(&format!("{name} (joins)"))?;
        for (_, other) in &mut clients {
            other.expect(&format!("{name} (joins)"))?;
        }
        clients.push((name, client));
    }
    let [(one, first), (other, second)] = &mut clients[..] else {
        let text = "the other releases that this needs are not here";
        return Err(Fault::NotHere(text.to_owned()));
    };

    ctx.step("both say something");
    first.say("gr\u{fc}\u{df}e \u{263a}")?;
    let line = format!("{one}: gr\u{fc}\u{df}e \u{263a}");
    first.expect(&line)?;
    second.expect(&line)?;
    second.say("good morning")?;
    let line = format!("{other}: good morning");
    first.expect(&line)?;
    second.expect(&line)?;
    server.expect(&format!("relaying: {line}"))?;

    ctx.step("the server is killed");
    server.kill9()?;
    for client in [&mut *first, &mut *second] {
        let lost = "disconnected transport_error server ";
        client.line("to lose the server", |line| line.starts_with(lost))?;
    }

    ctx.step("the server starts again");
    ctx.pairing.b = own;
    let _server = start(ctx, &seed, serve, &[], served)?;
    for (name, client) in [(*one, &mut *first), (*other, &mut *second)] {
        client.expect("connecting...")?;
        client.expect(&format!("{name} (joins)"))?;
    }
    first.forget();
    second.say("where were we?")?;
    first.expect(&format!("{other}: where were we?"))?;

    ctx.step("a client is killed");
    let (name, client) = clients.remove(1);
    client.kill9()?;
    let reason = format!("transport_error {name} ");
    quits(&mut clients[0].1, name, &reason)
}
