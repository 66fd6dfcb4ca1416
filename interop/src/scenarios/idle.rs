//! Links on which nothing is said, and a peer that no longer answers.

use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::json;

use crate::ctx::{Ctx, Pair};
use crate::fault::{Result, ensure};
use crate::pairing::Pairing;
use crate::peers::Generation;
use crate::scenario::{Scenario, everywhere};

/// Keepalives.
pub const IDLE: Scenario = Scenario {
    name: "idle",
    about: "with a monitor_timeout of 4 s, 9 s of silence do not end the link; the keepalives of the generation are sent",
    not_in: everywhere,
    run: idle,
};

/// SIGSTOP past the time-out.
pub const STOPPED: Scenario = Scenario {
    name: "stopped",
    about: "a node stopped (SIGSTOP) past the time-out of generation 0 is given up by the other, and found again when it goes on",
    not_in: |pairing: &Pairing| match pairing.generation() {
        Some(Generation::G0) => None,
        _ => Some("only generation 0 gives up a silent peer; later ones rely on TCP"),
    },
    run: stopped,
};

fn pair(ctx: &mut Ctx) -> Result<Pair> {
    ctx.pair_with(
        |alice| *alice = alice.clone().with("monitor_timeout", json!(4)),
        |bob| *bob = bob.clone().with("monitor_timeout", json!(4)),
    )
}

fn idle(ctx: &mut Ctx) -> Result<()> {
    let Pair { alice, bob, proxy } = pair(ctx)?;
    let mons = (alice.mon("bob")?, bob.mon("alice")?);
    alice.sync("bob")?;
    bob.sync("alice")?;
    ctx.step("nobody says anything");
    let before = proxy.links();
    // the silence is the test; a link that ends breaks it off
    let ended = proxy.wait("the link to end", Duration::from_secs(9), |links| {
        links.iter().any(|l| l.closed)
    });
    let after = proxy.links();
    ensure(ended.is_err() && after.len() == 1, || {
        format!("the link ended: {after:?}")
    })?;
    let (forth, back) = (
        after[0].forth - before[0].forth,
        after[0].back - before[0].back,
    );
    // generation 2 leaves it to TCP
    if ctx.pairing.generation() != Some(Generation::G2) {
        ensure(forth >= 2, || {
            "bob, who has no listener, sent no keepalive".to_owned()
        })?;
    }
    if ctx.pairing.generation() == Some(Generation::G0) {
        ensure(back >= 2, || "alice sent no keepalive".to_owned())?;
    }
    ctx.step("the link is as before");
    alice.sync("bob")?;
    bob.sync("alice")?;
    alice.expect_quiet(mons.0)?;
    bob.expect_quiet(mons.1)
}

fn stopped(ctx: &mut Ctx) -> Result<()> {
    let Pair { alice, bob, .. } = pair(ctx)?;
    for (left, stops) in [(&alice, &bob), (&bob, &alice)] {
        ctx.step(format!("{} stops", stops.name()));
        let mon = left.mon(stops.name())?;
        left.sync(stops.name())?;
        stops.signal(Signal::SIGSTOP);
        left.expect_lost(mon, stops.name())?;
        left.down(stops.name())?;
        ctx.step(format!("{} goes on", stops.name()));
        stops.signal(Signal::SIGCONT);
        stops.down(left.name())?;
        left.up(stops.name())?;
        stops.up(left.name())?;
        super::echo::echoed(left, stops)?;
    }
    Ok(())
}
