//! A node or its connection is lost: everyone concerned hears of it once, and a seed is found
//! again.

use serde_json::json;

use crate::ctx::{Ctx, Pair};
use crate::driver::Node;
use crate::fault::{Result, ensure};
use crate::pairing::Side;
use crate::peers::Generation;
use crate::scenario::{Scenario, everywhere};
use crate::spec::Spec;

/// `kill -9`, each way.
pub const KILL9: Scenario = Scenario {
    name: "kill-9",
    about: "a node killed with SIGKILL: monitors of its ports and of the node fire once with transport_error, the node goes down",
    not_in: everywhere,
    run: |ctx| {
        for side in [Side::B, Side::A] {
            lost(ctx, side, |pair, side| {
                if side == Side::A {
                    pair.alice.kill9()
                } else {
                    pair.bob.kill9()
                }
            })?;
        }
        Ok(())
    },
};

/// An orderly end, each way.
pub const CLOSE: Scenario = Scenario {
    name: "clean-close",
    about: "the same for a node that ends in order",
    not_in: everywhere,
    run: |ctx| {
        for side in [Side::B, Side::A] {
            lost(ctx, side, |pair, side| {
                if side == Side::A {
                    pair.alice.quit()
                } else {
                    pair.bob.quit()
                }
            })?;
        }
        Ok(())
    },
};

/// The connection is reset, and made again.
pub const RESET: Scenario = Scenario {
    name: "reset",
    about: "a reset connection fires the monitors on both sides; the nodes connect again by themselves and everything works as before, three times",
    not_in: everywhere,
    run: reset,
};

/// The seed ends and comes back.
pub const SEED_BACK: Scenario = Scenario {
    name: "seed-back",
    about: "a seed that was killed and started again at the same address is found again, with its new registrations",
    not_in: everywhere,
    run: seed_back,
};

/// Monitors on a port, on a missing tag of it, and on the node itself.
fn watch_all(one: &Node, other: &Node) -> Result<Vec<u64>> {
    let port = other.port("mute")?;
    let monitors = vec![
        one.mon(&port)?,
        one.mon(&port)?,
        one.mon(other.name())?,
        one.mon(&other.port("mute")?)?,
    ];
    one.sync(other.name())?;
    Ok(monitors)
}

fn lost(ctx: &mut Ctx, side: Side, end: impl Fn(&Pair, Side) -> Result<()>) -> Result<()> {
    let pair = ctx.pair()?;
    let (left, gone) = if side == Side::A {
        (&pair.bob, &pair.alice)
    } else {
        (&pair.alice, &pair.bob)
    };
    ctx.step(format!("{} monitors {}", left.name(), gone.name()));
    let monitors = watch_all(left, gone)?;
    ctx.step(format!("{} ends", gone.name()));
    end(&pair, side)?;
    let reason = left.down(gone.name())?;
    ensure(reason.first() == Some(&json!("transport_error")), || {
        format!("down with reason {}", json!(reason))
    })?;
    for &mon in &monitors {
        left.expect_lost(mon, gone.name())?;
    }
    for mon in monitors {
        left.expect_quiet(mon)?;
    }
    ctx.step(format!("{} lives on", left.name()));
    let up = left.up_nodes()?;
    ensure(up.is_empty(), || {
        format!("{} is still connected with {up:?}", left.name())
    })
}

fn reset(ctx: &mut Ctx) -> Result<()> {
    let Pair { alice, bob, proxy } = ctx.pair()?;
    for round in 1..=3 {
        ctx.step(format!("monitors are set, round {round}"));
        let of_bob = watch_all(&alice, &bob)?;
        let of_alice = watch_all(&bob, &alice)?;
        ctx.step(format!("the connection is reset, round {round}"));
        proxy.reset();
        alice.down("bob")?;
        bob.down("alice")?;
        for mon in of_bob {
            alice.expect_lost(mon, "bob")?;
        }
        for mon in of_alice {
            bob.expect_lost(mon, "alice")?;
        }
        ctx.step(format!("they connect again, round {round}"));
        bob.up("alice")?;
        alice.up("bob")?;
        super::echo::echoed(&bob, &alice)?;
        super::echo::echoed(&alice, &bob)?;
    }
    Ok(())
}

fn seed_back(ctx: &mut Ctx) -> Result<()> {
    ctx.step("bob finds its seed");
    let address = ctx.address()?;
    let alice = ctx.node(Side::A, &Spec::new("alice").bind(address))?;
    alice.grp_reg("seeds", &alice.port("mute")?)?;
    let bob = ctx.node(Side::B, &Spec::new("bob").seed(address))?;
    bob.up("alice")?;
    alice.up("bob")?;
    ctx.step("the seed is killed");
    alice.kill9()?;
    bob.down("alice")?;
    // in generation 2 nobody but the seed knew the groups, and what bob had been told stays until
    // there is a new one
    if ctx.pairing.generation() != Some(Generation::G2) {
        bob.group_is("seeds", &[])?;
    }
    ctx.step("the seed comes back");
    let alice = ctx.node(Side::A, &Spec::new("alice").bind(address))?;
    let port = alice.port("tags")?;
    alice.grp_reg("seeds", &port)?;
    alice.up("bob")?;
    bob.up("alice")?;
    bob.group_is("seeds", &[&port])?;
    super::echo::echoed(&bob, &alice)?;
    super::echo::echoed(&alice, &bob)
}
