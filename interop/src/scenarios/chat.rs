//! The tutorial's chat, in both its styles, with the releases' own programs and ours in any
//! mixture.
//!
//! Side A plays the server, side B the clients anna and cleo; the client bert is side A's, so that
//! a server has clients of both languages.

use crate::ctx::Ctx;
use crate::driver::Node;
use crate::fault::{Result, ensure};
use crate::pairing::Side;
use crate::scenario::{Scenario, everywhere};
use crate::spec::Spec;

use super::chat_program::Program;

/// Clients send messages to a port of the server.
pub const CHAT: Scenario = Scenario {
    name: "chat",
    about: "chat_server and chat_client of eg/ and of our examples: joins, lines relayed, a client killed, one that ends, the server killed and back",
    not_in: everywhere,
    run: |ctx| {
        run(
            ctx,
            &Style {
                server: "chat_server",
                client: "chat_client",
            },
        )
    },
};

/// Clients spawn a bridge head on the server's node.
pub const CHAT2: Scenario = Scenario {
    name: "chat2",
    about: "chat_server2 and chat_client2, whose clients spawn their port on the server's node: as chat",
    not_in: everywhere,
    run: |ctx| {
        run(
            ctx,
            &Style {
                server: "chat_server2",
                client: "chat_client2",
            },
        )
    },
};

/// Which programs.
struct Style {
    server: &'static str,
    client: &'static str,
}

fn run(ctx: &mut Ctx, style: &Style) -> Result<()> {
    ctx.step("the seed and the server start");
    let seed = ctx.node(Side::A, &Spec::new("seed").listen())?;
    let mut server = start_server(ctx, style, &seed)?;

    ctx.step("anna, bert and cleo join");
    let mut anna = join(ctx, style, &seed, Side::B, "anna")?;
    let mut bert = join(ctx, style, &seed, Side::A, "bert")?;
    anna.expect("bert (joins)")?;
    let mut cleo = join(ctx, style, &seed, Side::B, "cleo")?;
    anna.expect("cleo (joins)")?;
    bert.expect("cleo (joins)")?;

    ctx.step("everyone says something");
    for (speaker, line) in [
        (0, "good morning"),
        (1, "gr\u{fc}\u{df}e \u{263a}"),
        (2, ""),
    ] {
        let name = ["anna", "bert", "cleo"][speaker];
        [&mut anna, &mut bert, &mut cleo][speaker].say(line)?;
        for listener in [&mut anna, &mut bert, &mut cleo] {
            listener.expect(&format!("{name}: {line}"))?;
        }
    }

    ctx.step("the server has said what it relays");
    for line in [
        "anna (joins)",
        "cleo (joins)",
        "bert: gr\u{fc}\u{df}e \u{263a}",
    ] {
        server.expect(&format!("relaying: {line}"))?;
    }

    ctx.step("cleo is killed");
    cleo.kill9()?;
    for listener in [&mut anna, &mut bert] {
        quits(listener, "cleo", "transport_error cleo ")?;
    }
    quits_relayed(&mut server, "cleo")?;

    ctx.step("cleo comes back under the same node ID");
    let mut cleo = join(ctx, style, &seed, Side::B, "cleo")?;
    anna.expect("cleo (joins)")?;
    cleo.say("it's me")?;
    for listener in [&mut anna, &mut bert, &mut cleo] {
        listener.expect("cleo: it's me")?;
    }

    ctx.step("cleo leaves");
    leave(cleo, "cleo", &mut [&mut anna, &mut bert])?;

    ctx.step("the server is killed");
    for client in [&anna, &bert] {
        client.forget();
    }
    server.kill9()?;
    for client in [&mut anna, &mut bert] {
        let what = "to be disconnected from the server";
        client.line(what, |line| {
            line.starts_with("disconnected transport_error server ")
        })?;
    }

    ctx.step("the server starts again");
    let _server = start_server(ctx, style, &seed)?;
    for (client, name) in [(&mut anna, "anna"), (&mut bert, "bert")] {
        client.expect("connecting...")?;
        client.expect(&format!("{name} (joins)"))?;
    }

    ctx.step("the chat goes on");
    anna.say("where were we?")?;
    for listener in [&mut anna, &mut bert] {
        listener.expect("anna: where were we?")?;
    }
    bert.say("here")?;
    anna.expect("bert: here")?;

    ctx.step("anna is interrupted");
    let reason = if anna.is_rust() {
        "bye"
    } else {
        "transport_error anna "
    };
    anna.interrupt()?;
    quits(&mut bert, "anna", reason)
}

fn node(seed: &Node, name: &str) -> Result<Spec> {
    Ok(Spec::new(name).listen().seed(seed.listener()?))
}

fn start_server(ctx: &mut Ctx, style: &Style, seed: &Node) -> Result<Program> {
    let spec = node(seed, "server")?;
    let mut server = Program::start(ctx, Side::A, &spec, style.server, &[])?;
    server.logged(ctx, "server ready.")?;
    Ok(server)
}

/// Starts a client, whose nickname is its node ID, and waits until it has joined.
fn join(ctx: &mut Ctx, style: &Style, seed: &Node, side: Side, name: &str) -> Result<Program> {
    let spec = node(seed, name)?;
    let mut client = Program::start(ctx, side, &spec, style.client, &[name])?;
    client.expect("connecting...")?;
    client.expect(&format!("{name} (joins)"))?;
    Ok(client)
}

/// Has a client end as its kind ends normally: with its input; Perl's know no end but a signal.
fn leave(client: Program, name: &str, others: &mut [&mut Program]) -> Result<()> {
    let reason = if client.is_rust() {
        client.end_of_input()?;
        "bye".to_owned()
    } else {
        client.interrupt()?;
        format!("transport_error {name} ")
    };
    for other in others {
        quits(other, name, &reason)?;
    }
    Ok(())
}

/// Waits until a client sees another one quit, for a reason that begins so.
pub(super) fn quits(listener: &mut Program, name: &str, reason: &str) -> Result<()> {
    let head = format!("{name} (quits, ");
    let line = listener.line(&format!("'{head}...'"), |line| line.starts_with(&head))?;
    ensure(
        line[head.len()..].starts_with(reason) && line.ends_with(')'),
        || format!("expected '{head}{reason}...)', got '{line}'"),
    )
}

fn quits_relayed(server: &mut Program, name: &str) -> Result<()> {
    let head = format!("relaying: {name} (quits, ");
    server
        .line(&format!("'{head}...'"), |line| line.starts_with(&head))
        .map(drop)
}
