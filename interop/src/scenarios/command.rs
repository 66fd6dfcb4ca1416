//! The command `aemp` of either side, against a node of the other: each is driven by the other's.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::chat_program::Program;
use crate::ctx::Ctx;
use crate::driver::Node;
use crate::fault::{Fault, Result, ensure, short};
use crate::pairing::{Impl, Side};
use crate::peers::Generation;
use crate::scenario::Scenario;
use crate::spec::Spec;

/// See [`run`].
pub const SCENARIO: Scenario = Scenario {
    name: "command",
    about: "the connector's command aemp asks a node: snd, cal, mon, eval, trace; what it prints",
    not_in: |pairing| without_its_command(&pairing.b),
    run,
};

/// See [`shell`].
pub const SHELL: Scenario = Scenario {
    name: "command-shell",
    about: "the connector's aemp shell on a node: lines that it evaluates, its nodes; in ours messages, a call, a monitor that fires",
    not_in: |pairing| match &pairing.b {
        Impl::Perl(release) if matches!(&*release.version, "0.95" | "1.0" | "1.1") => {
            Some("aemp shell came with 1.2")
        }
        connector => without_its_command(connector),
    },
    run: shell,
};

/// See [`restart`].
pub const RESTART: Scenario = Scenario {
    name: "command-restart",
    about: "a node of the listener's aemp run is restarted by the connector's aemp restart",
    not_in: |pairing| match (&pairing.a, pairing.b.generation()) {
        (Impl::Perl(release), _) if release.version == "0.95" => {
            Some("aemp run of 0.95 calls what AnyEvent::Watchdog has no more")
        }
        (_, Some(Generation::G0)) => Some("aemp restart came with 1.1"),
        // The node runs under its own command.
        (listener, _) => without_its_command(listener).or_else(|| without_its_command(&pairing.b)),
    },
    run: restart,
};

/// The peers of 2.x are its modules. (Ours is driven against them all the same.)
fn without_its_command(player: &Impl) -> Option<&'static str> {
    (player.generation() == Some(Generation::G2))
        .then_some("2.x is here without its command: its folder among the peers has no bin/aemp")
}

/// What the command finds in its configuration: a seed.
fn knows(seed: &str) -> Value {
    json!({ "profile": { "aemp": { "binds": [], "seeds": [seed] } } })
}

/// Starts the connector's command.
fn begin(ctx: &mut Ctx, seed: &Node, args: &[&str]) -> Result<Program> {
    let settings = knows(&seed.listener()?);
    let started = ctx.aemp(Side::B, &format!("aemp-{}", args[0]), &settings, args)?;
    Program::of(ctx, Side::B, "aemp", started)
}

/// Runs it to its end: its last line. Perl's status is that of its `die`, ours says whether it was
/// done.
fn prints(ctx: &mut Ctx, seed: &Node, args: &[&str]) -> Result<String> {
    let mut command = begin(ctx, seed, args)?;
    let line = command.line(&format!("what aemp {} prints", args[0]), |_| true)?;
    let status = command.done()?;
    ensure(status.success(), || {
        format!("aemp {} ended with {status}", args.join(" "))
    })?;
    Ok(line)
}

/// The last node that came up, which is that of the command.
fn came_up(seed: &Node) -> Result<String> {
    let event = seed.wait("the command's node to come up", |event| {
        event["ev"] == "node" && event["up"] == true
    })?;
    Ok(event["node"].as_str().unwrap_or_default().to_owned())
}

fn run(ctx: &mut Ctx) -> Result<()> {
    ctx.step("two nodes");
    let alice = ctx.node(Side::A, &Spec::new("alice").listen())?;
    let seed = alice.listener()?;
    let bob = ctx.node(Side::B, &Spec::new("bob").listen().seed(seed))?;
    alice.up("bob")?;
    bob.up("alice")?;

    ctx.step("aemp snd");
    let port = alice.port("record")?;
    let said = prints(ctx, &alice, &["snd", &port, "hello", "7"])?;
    ensure(said.trim_end() == "message sent successfully", || {
        format!("it printed '{said}'")
    })?;
    alice.expect_msg(&port, &json!(["hello", "7"]))?;

    ctx.step("aemp cal");
    let call = match ctx.side(Side::B).generation() {
        Some(Generation::G0) => "rpc",
        _ => "cal",
    };
    let answering = alice.port("answer")?;
    let said = prints(ctx, &alice, &[call, &answering, "x", "7"])?;
    ensure(said == r#""answered","x","7""#, || {
        format!("it printed '{said}'")
    })?;
    let said = prints(ctx, &alice, &[call, "alice", "time"])?;
    ensure(said.trim_matches('"').parse::<f64>().is_ok(), || {
        format!("it printed '{said}'")
    })?;

    ctx.step("aemp mon");
    alice.take(|event| event["ev"] == "node");
    let mut command = begin(ctx, &alice, &["mon", &port])?;
    let node = came_up(&alice)?;
    // It has asked for the monitor before anything else.
    alice.sync(&node)?;
    alice.kil(&port, json!(["custom", "why"]))?;
    command.line("the reason", |line| line.trim_end() == "custom why")?;
    let status = command.done()?;
    // To ours, such an end is none to be content with.
    let wanted = i32::from(ctx.side(Side::B).is_rust());
    ensure(status.code() == Some(wanted), || {
        format!("aemp mon ended with {status}")
    })?;

    ctx.step("aemp eval");
    match alice.has("eval") {
        true => {
            let said = prints(ctx, &alice, &["eval", "alice", "6", "*", "7"])?;
            ensure(said == "42", || format!("it printed '{said}'"))?;
        }
        false => {
            let command = begin(ctx, &alice, &["eval", "alice", "6 * 7"])?;
            let log = command.log().to_owned();
            let status = command.done()?;
            let text = ctx.log(&log);
            let good = !status.success() && text.contains("does not evaluate");
            ensure(good, || format!("it ended with {status}: {}", short(&text)))?;
        }
    }

    ctx.step("aemp trace");
    for node in [&alice, &bob] {
        let other = if node.name() == "alice" {
            "bob"
        } else {
            "alice"
        };
        node.connected_with(&[other], ctx.limit())?;
    }
    let mut command = begin(ctx, &alice, &["trace", "alice"])?;
    for wanted in ["seed alice", "alice bob", "bob alice"] {
        command.line(&format!("the line '{wanted}'"), |line| {
            let mut words: Vec<&str> = line.split(' ').collect();
            words[1..].sort_unstable();
            words.dedup();
            words.join(" ") == wanted
        })?;
    }
    let status = command.done()?;
    ensure(status.success(), || {
        format!("aemp trace ended with {status}")
    })
}

fn shell(ctx: &mut Ctx) -> Result<()> {
    ctx.step("a node and a shell on it");
    let alice = ctx.node(Side::A, &Spec::new("alice").listen())?;
    let mut shell = begin(ctx, &alice, &["shell", "alice"])?;
    let evaluates = alice.has("eval");

    ctx.step("a line is evaluated");
    shell.say("6 * 7")?;
    if ctx.side(Side::B).is_rust() {
        if evaluates {
            shell.expect("42")?;
        } else {
            shell.error(ctx, "line 1: this node does not evaluate expressions")?;
        }
        return our_commands(ctx, &alice, shell, evaluates);
    }
    let wanted = match evaluates {
        true => r#"  ["",42]"#,
        false => "  this node does not evaluate expressions ",
    };
    shell.line(wanted, |line| line.starts_with(wanted.trim_end()))?;

    ctx.step("the nodes");
    shell.say("=")?;
    // It reads more than it handles, so no line may be typed before the last one is answered.
    shell.line("the nodes", |line| {
        line.trim_start_matches("alice> ")
            .split(' ')
            .any(|node| node == "alice")
    })?;
    Ok(())
}

/// What our shell can do besides.
fn our_commands(ctx: &mut Ctx, alice: &Node, mut shell: Program, evaluates: bool) -> Result<()> {
    ctx.step("the nodes");
    shell.say("=")?;
    shell.line("a line of alice", |line| {
        line.starts_with("alice: connected, ")
    })?;

    ctx.step("a message, a call, a monitor");
    let (port, answering) = (alice.port("record")?, alice.port("answer")?);
    shell.say(&format!("snd {port} hello 7 [1.50,null]"))?;
    shell.expect("sent")?;
    alice.expect_msg(&port, &json!(["hello", 7, [1.5, null]]))?;
    shell.say(&format!("mon {port}"))?;
    shell.say(&format!("cal {answering} x 7"))?;
    shell.expect(r#""answered","x",7"#)?;

    ctx.step("functions, ports, and one that is spawned");
    shell.say("functions . aemp_test::")?;
    shell.expect("aemp_test::init")?;
    shell.say("port")?;
    let own = shell.line("a port", |line| {
        line.starts_with("anon/") && line.contains('#')
    })?;
    shell.say(&format!("spawn . aemp_test::init {own} 5"))?;
    let spawned = shell.line("its port", |line| line.starts_with("alice#"))?;
    shell.expect(&format!("{own} got \"ready\",\"{spawned}\",5"))?;
    if evaluates {
        shell.say("ports")?;
        shell.expect(&answering)?;
    }

    ctx.step("the monitors fire");
    alice.kil(&port, json!(["custom", "why"]))?;
    shell.expect(&format!("{port} died: custom why"))?;
    alice.kil(&spawned, json!([]))?;
    shell.expect(&format!("{spawned} died: normal"))?;

    ctx.step("the shell ends");
    let status = shell.done()?;
    ensure(status.success() == evaluates, || {
        format!("the shell ended with {status}")
    })
}

fn restart(ctx: &mut Ctx) -> Result<()> {
    let watchdog = |command: &mut Command| {
        let command = command.args(["-MAnyEvent::Watchdog", "-e1"]);
        let status = command.stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    if !ctx.side(Side::A).is_rust() && !watchdog(&mut Command::new("perl")) {
        return Err(Fault::NotHere("perl has no AnyEvent::Watchdog".to_owned()));
    }
    ctx.step("a node under aemp run");
    let address = ctx.address()?.to_string();
    let settings = json!({ "profile": { "served": { "nodeid": "served", "binds": [address] } } });
    let args = ["run", "profile", "served"];
    let started = ctx.aemp(Side::A, "aemp-run", &settings, &args)?;
    let _run = Program::of(ctx, Side::A, "served", started)?;
    let watcher = ctx.node(Side::B, &Spec::new("watcher").seed(&address))?;
    watcher.up("served")?;

    ctx.step("aemp restart");
    let started = ctx.aemp(
        Side::B,
        "aemp-restart",
        &knows(&address),
        &["restart", "served"],
    )?;
    let restart = Program::of(ctx, Side::B, "aemp-restart", started)?;
    let status = restart.done()?;
    // Ours answers before it goes. A Perl node does as soon as it has nothing else to do, and who
    // asked may see the link go before the answer.
    let answers = matches!(ctx.pairing.side(Side::A), Impl::Rust);
    ensure(status.success() || !answers, || {
        format!(
            "aemp restart ended with {status}: {}",
            short(&ctx.log("aemp-restart"))
        )
    })?;

    ctx.step("it is gone, and comes back");
    watcher.down("served")?;
    watcher.up("served")
}
