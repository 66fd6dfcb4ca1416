//! The script that made the captures, unmodified, on both sides; what it prints is compared with
//! what two Perl nodes print.

use std::io::Read;
use std::process::Command;
use std::time::Duration;

use crate::ctx::Ctx;
use crate::fault::{Fault, Result, ensure, short};
use crate::pairing::{Impl, Side};
use crate::peers::Generation;
use crate::process::Process;
use crate::scenario::{Scenario, everywhere};

/// See [`run`].
pub const SCENARIO: Scenario = Scenario {
    name: "peer.pl",
    about: "the unmodified peer.pl as alice and as bob; bob prints what it prints between two Perl nodes (a Rust node plays it with --peer)",
    not_in: everywhere,
    run,
};

fn run(ctx: &mut Ctx) -> Result<()> {
    ctx.step("alice starts");
    let address = ctx.address()?;
    let port = address.port().to_string();
    let script = ("peer.pl", include_str!("../../perl/peer.pl"));
    let start = |ctx: &mut Ctx, side: Side, name: &str, args: &[&str]| -> Result<Process> {
        let mut all: Vec<&str> = if ctx.side(side).is_rust() {
            vec!["--peer"]
        } else {
            vec![]
        };
        all.extend(args);
        let (command, log) = ctx.command(side, name, (None, None), script, &all)?;
        let program = Command::get_program(&command)
            .to_string_lossy()
            .into_owned();
        Process::start(command, log).map_err(Fault::io(format!("start {program}")))
    };
    let mut alice = start(ctx, Side::A, "alice", &["listen", &port])?;
    listening(ctx, &mut alice, address)?;

    ctx.step("bob goes through every step");
    let proxy = ctx.proxy(&address.to_string())?;
    let seed = proxy.address().port().to_string();
    let mut bob = start(ctx, Side::B, "bob", &["connect", &port, &seed])?;
    let status = bob.wait(Duration::from_secs(30).max(ctx.limit()));
    let mut said = String::new();
    if status.is_some()
        && let Some(mut out) = bob.child().stdout.take()
    {
        out.read_to_string(&mut said)
            .map_err(Fault::io("bob's output"))?;
    }
    let _ = std::fs::write(ctx.dir().join("bob.out"), &said);
    ensure(status.is_some_and(|s| s.success()), || {
        format!(
            "bob ended with {status:?}, having printed: {}",
            short(&said)
        )
    })?;
    let log = ctx.log("bob");
    ensure(!log.lines().any(|line| line == "timeout"), || {
        format!("bob timed out, having printed: {}", short(&said))
    })?;

    ctx.step("bob has printed what it should");
    let wanted = expected(ctx);
    let got: Vec<String> = said.lines().map(masked).collect();
    for (at, wanted) in wanted.iter().enumerate() {
        let line = got.get(at).map_or("", String::as_str);
        ensure(line == wanted, || {
            format!("line {}: expected '{wanted}', got '{line}'", at + 1)
        })?;
    }
    ensure(got.len() == wanted.len(), || {
        format!("more lines than expected: {:?}", &got[wanted.len()..])
    })
}

/// Waits until something listens at the address.
fn listening(ctx: &Ctx, alice: &mut Process, address: std::net::SocketAddr) -> Result<()> {
    let deadline = std::time::Instant::now() + ctx.limit();
    loop {
        if std::net::TcpStream::connect(address).is_ok() {
            return Ok(());
        }
        if let Some(status) = alice.ended() {
            return Err(Fault::Ended {
                node: "alice".to_owned(),
                what: "starting".to_owned(),
                status: status.to_string(),
            });
        }
        if std::time::Instant::now() > deadline {
            return Err(Fault::Unexpected(format!(
                "alice does not listen after {:?}",
                ctx.limit()
            )));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// What bob prints between two Perl nodes, in the form of [`masked`]; it depends on the release of
/// alice.
fn expected(ctx: &Ctx) -> Vec<String> {
    let (old, kills) = match ctx.side(Side::A) {
        Impl::Perl(release) => (
            release.generation == Generation::G0,
            release.generation >= Generation::G1b,
        ),
        Impl::Rust | Impl::Python => match ctx.pairing.generation() {
            Some(generation) => (generation == Generation::G0, generation >= Generation::G1b),
            None => (false, true),
        },
    };
    let missing = if old { "" } else { " alice#nosuchport" };
    let mut lines = vec![
        "echoed: 19 values".to_owned(),
        "mon1 reason: <>".to_owned(),
        "ready: PORT arg 1".to_owned(),
        "spawned port died: <die oops>".to_owned(),
        format!("missing: <no_such_port cannot monitor nonexistent port{missing}>"),
    ];
    if kills {
        lines.push("remote kil: <remote kil>".to_owned());
    }
    let services: &[&str] = match ctx.pairing.generation() {
        Some(Generation::G2) => &["can: 1", "can: "],
        _ => &["info: alice", "known_nodes: alice bob", "up_nodes: bob"],
    };
    let all = [&["time: NUMBER"], services, &["eval:  42", "snd: "]].concat();
    lines.extend(all.into_iter().map(str::to_owned));
    lines
}

/// A printed line without what differs from run to run: port names, the time, the order of nodes
/// and how often one is named.
fn masked(line: &str) -> String {
    let (head, rest) = line.split_once(": ").unwrap_or((line, ""));
    match head {
        "ready" => match rest.split_once(' ') {
            Some((port, args)) if port.starts_with("alice#") => format!("ready: PORT {args}"),
            _ => line.to_owned(),
        },
        "time" if rest.parse::<f64>().is_ok() => "time: NUMBER".to_owned(),
        "known_nodes" => {
            let mut nodes: Vec<&str> = rest
                .split(' ')
                .filter(|n| !n.starts_with("anon/"))
                .collect();
            nodes.sort_unstable();
            nodes.dedup();
            format!("known_nodes: {}", nodes.join(" "))
        }
        // an answer without an evaluator is an error text and no value
        "eval" if rest != " 42" && !rest.trim().is_empty() => "eval:  42".to_owned(),
        _ => line.to_owned(),
    }
}
