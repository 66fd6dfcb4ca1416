//! One Rust node with Perl nodes of both greeting versions at once.

use crate::ctx::Ctx;
use crate::fault::{Result, ensure};
use crate::matrix::{Pairing, Side};
use crate::peers::Generation;
use crate::scenario::{Scenario, before_2};
use crate::verbs::Spec;

/// See [`run`].
pub const SCENARIO: Scenario = Scenario {
    name: "mixed",
    about: "a Rust seed with a node of this release and one of the other greeting version: it talks with both, sees the groups of both and shows them its own; the two are not told of each other",
    not_in: only_a_rust_seed,
    run,
};

fn only_a_rust_seed(pairing: &Pairing) -> Option<&'static str> {
    match (pairing.a.is_rust(), pairing.b.generation()) {
        (true, Some(Generation::G2)) => before_2(pairing),
        (true, Some(_)) => None,
        _ => Some("needs a Rust seed and Perl nodes"),
    }
}

fn run(ctx: &mut Ctx) -> Result<()> {
    let first = ctx.side(Side::B).generation();
    ctx.step("a Rust seed and two releases that can't talk to each other");
    let alice = ctx.node(Side::A, &Spec::new("alice").listen())?;
    let seed = alice.listener()?;
    let bob = ctx.node(Side::B, &Spec::new("bob").listen().seed(&seed))?;
    ctx.switch(Side::B, |g| {
        (g == Generation::G0) != (first == Some(Generation::G0))
    })?;
    let carol = ctx.node(Side::B, &Spec::new("carol").listen().seed(&seed))?;
    for node in [&bob, &carol] {
        node.up("alice")?;
        alice.up(node.name())?;
        node.sync("alice")?;
        alice.sync(node.name())?;
    }

    ctx.step("groups of both");
    let own = alice.port("echo")?;
    alice.grp_reg("g", &own)?;
    let (bobs, carols) = (bob.port("record")?, carol.port("record")?);
    bob.grp_reg("g", &bobs)?;
    carol.grp_reg("g", &carols)?;
    alice.group_is("g", &[&own, &bobs, &carols])?;
    bob.group_is("g", &[&own, &bobs])?;
    carol.group_is("g", &[&own, &carols])?;

    ctx.step("a message through the Rust node, from one release to the other");
    bob.snd(&own, serde_json::json!([carols, "from bob"]))?;
    carol.expect_msg(&carols, &serde_json::json!(["from bob"]))?;

    ctx.step("the two never hear of each other");
    for (node, other) in [(&bob, "carol"), (&carol, "bob")] {
        let log = ctx.log(node.name());
        let told = |line: &str| line.contains("knows about") && line.contains(other);
        ensure(!log.lines().any(told), || {
            format!("{} was told of {other}", node.name())
        })?;
    }

    ctx.step("one is lost, the other stays");
    let monitor = alice.mon(&bobs)?;
    bob.kill9()?;
    alice.expect_lost(monitor, "bob")?;
    alice.group_is("g", &[&own, &carols])?;
    alice.sync("carol")
}
