//! Four nodes around a seed, one of each kind without a listener.

use std::time::Duration;

use serde_json::json;

use crate::ctx::Ctx;
use crate::driver::Node;
use crate::fault::Result;
use crate::pairing::Side;
use crate::scenario::{Scenario, before_2};
use crate::spec::Spec;

/// The listening node joins before those without a listener.
pub const SCENARIO: Scenario = Scenario {
    name: "mesh",
    about: "n1 (seed, A), n2 (B), n3 (A, no listener), n4 (B, no listener) become fully meshed; groups are seen by all; a SIGKILL of any is noticed by all",
    not_in: before_2,
    run: |ctx| run(ctx, ["n2", "n3", "n4"]),
};

/// The nodes without a listener are there first and must be told of the one that comes.
pub const LATE: Scenario = Scenario {
    name: "mesh-late",
    about: "the same, but n2 joins last: the seed tells the nodes without a listener of it",
    not_in: before_2,
    run: |ctx| run(ctx, ["n4", "n3", "n2"]),
};

/// See [`eight`].
pub const EIGHT: Scenario = Scenario {
    name: "mesh-8",
    about: "eight listening nodes around one seed, A and B in turns, become fully meshed; all see each other's ports in a group; two are killed and noticed by all",
    not_in: before_2,
    run: eight,
};

fn eight(ctx: &mut Ctx) -> Result<()> {
    ctx.step("eight nodes start");
    let seed = ctx.node(Side::A, &Spec::new("n1").listen())?;
    let address = seed.listener()?;
    let mut nodes = vec![seed];
    for n in 2..=8 {
        let side = if n % 2 == 0 { Side::B } else { Side::A };
        nodes.push(ctx.node(side, &Spec::new(&format!("n{n}")).listen().seed(&address))?);
    }
    let limit = ctx.limit().max(Duration::from_secs(60));
    let mut ports = Vec::new();
    for node in &nodes {
        let port = node.port("mute")?;
        node.grp_reg("all", &port)?;
        ports.push(port);
    }
    for round in 0..3 {
        ctx.step(format!("all are connected with all, {} nodes", nodes.len()));
        for node in &nodes {
            let others = nodes.iter().filter(|other| other.name() != node.name());
            node.connected_with(&others.map(Node::name).collect::<Vec<_>>(), limit)?;
            node.group_is("all", &ports.iter().map(String::as_str).collect::<Vec<_>>())?;
        }
        if round < 2 {
            // one of each side
            let (gone, _) = (nodes.remove(nodes.len() - 1), ports.remove(ports.len() - 1));
            ctx.step(format!("{} is killed", gone.name()));
            gone.kill9()?;
            for node in &nodes {
                node.down(gone.name())?;
            }
        }
    }
    ctx.step("each talks with each");
    for one in &nodes {
        for other in nodes.iter().filter(|other| other.name() != one.name()) {
            one.sync(other.name())?;
        }
    }
    Ok(())
}

/// Whom each node can be connected with: all but two nodes without listeners.
const LINKS: [(&str, &[&str]); 4] = [
    ("n1", &["n2", "n3", "n4"]),
    ("n2", &["n1", "n3", "n4"]),
    ("n3", &["n1", "n2"]),
    ("n4", &["n1", "n2"]),
];

fn run(ctx: &mut Ctx, order: [&str; 3]) -> Result<()> {
    ctx.step("n1 starts");
    let n1 = ctx.node(Side::A, &Spec::new("n1").listen())?;
    let seed = n1.listener()?;
    let mut nodes = vec![n1];
    for name in order {
        ctx.step(format!("{name} joins"));
        let spec = Spec::new(name).seed(&seed);
        let (side, spec) = match name {
            "n2" => (Side::B, spec.listen()),
            "n3" => (Side::A, spec),
            _ => (Side::B, spec),
        };
        let node = ctx.node(side, &spec)?;
        node.up("n1")?;
        nodes[0].up(name)?;
        nodes.push(node);
    }
    nodes.sort_by(|a, b| a.name().cmp(b.name()));

    ctx.step("they become a mesh");
    let limit = ctx.limit().max(Duration::from_secs(30));
    for (node, (_, links)) in nodes.iter().zip(LINKS) {
        node.connected_with(links, limit)?;
    }
    talk(ctx, &nodes)?;
    groups(ctx, &nodes)?;

    for victim in [2, 1] {
        let gone = nodes.remove(victim);
        ctx.step(format!("{} is killed", gone.name()));
        let mut monitors = Vec::new();
        for node in nodes.iter().filter(|n| linked(n, &gone)) {
            monitors.push((node, node.mon(gone.name())?));
        }
        gone.kill9()?;
        for (node, mon) in monitors {
            node.expect_lost(mon, gone.name())?;
            node.down(gone.name())?;
        }
    }
    ctx.step("the others still talk");
    nodes[0].sync("n4")?;
    nodes[1].sync("n1")?;
    ctx.step("the seed is killed");
    let seed = nodes.remove(0);
    seed.kill9()?;
    nodes[0].down("n1").map(drop)
}

fn linked(a: &Node, b: &Node) -> bool {
    LINKS
        .iter()
        .any(|(name, links)| *name == a.name() && links.contains(&b.name()))
}

/// Every node talks with every other it can reach.
fn talk(ctx: &mut Ctx, nodes: &[Node]) -> Result<()> {
    for one in nodes {
        for other in nodes.iter().filter(|other| linked(one, other)) {
            ctx.step(format!("{} talks with {}", one.name(), other.name()));
            one.sync(other.name())?;
        }
    }
    Ok(())
}

/// Every node registers a port; every other it is linked with sees it, until it goes.
fn groups(ctx: &mut Ctx, nodes: &[Node]) -> Result<()> {
    ctx.step("groups are seen by all");
    let mut ports = Vec::new();
    for node in nodes {
        let port = node.port("mute")?;
        node.grp_reg("all", &port)?;
        ports.push((node, port));
    }
    // between Rust nodes there is the database, too, which shows all to all
    let all = ctx.pairing.generation().is_none() && !ctx.pairing.has_python();
    let members = |node: &Node, without: Option<&str>| -> Vec<String> {
        let seen = ports
            .iter()
            .filter(|(owner, _)| all || owner.name() == node.name() || linked(node, owner));
        seen.filter(|(owner, _)| Some(owner.name()) != without)
            .map(|(_, port)| port.clone())
            .collect()
    };
    for node in nodes {
        let wanted = members(node, None);
        node.group_is(
            "all",
            &wanted.iter().map(String::as_str).collect::<Vec<_>>(),
        )?;
    }
    ctx.step("a member that ends is gone for all");
    ports[1].0.kil(&ports[1].1, json!([]))?;
    for node in nodes {
        let wanted = members(node, Some("n2"));
        node.group_is(
            "all",
            &wanted.iter().map(String::as_str).collect::<Vec<_>>(),
        )?;
    }
    Ok(())
}
