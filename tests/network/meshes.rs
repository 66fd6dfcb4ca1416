//! Meshes of nodes, their groups and seeds.

use std::time::Duration;

use aemp::{Node, Reason};

use crate::support::{builder, capture_log, event, joining, listening, log, members, up, within};

#[tokio::test]
async fn a_mesh_that_heals() {
    let seed = listening("mesh-seed").await;
    let address = seed.listeners();
    let mut nodes = Vec::new();
    for n in 1..=3 {
        let node = joining(&format!("mesh-{n}"), &seed).await;
        node.register("mesh", node.port());
        nodes.push(node);
    }
    let hidden = builder("mesh-hidden")
        .binds([""; 0])
        .seeds(seed.listeners());
    let hidden = hidden.start().await.unwrap();
    hidden.register("mesh", hidden.port());
    nodes.push(hidden);
    for node in &nodes {
        for other in nodes.iter().chain([&seed]) {
            if other.id() != node.id() {
                up(node, other.id().as_str()).await;
            }
        }
        members(node, "mesh", 4).await;
    }
    // One goes: all others notice.
    let gone = nodes.remove(0);
    gone.shutdown().await;
    for node in nodes.iter().chain([&seed]) {
        members(node, "mesh", 3).await;
        assert!(!node.node_is_up("mesh-1"));
    }
    // The seed goes and comes back at its address.
    seed.shutdown().await;
    for node in &nodes {
        let mut events = node.mon_nodes();
        if node.node_is_up("mesh-seed") {
            within("the loss", event(&mut events, |e| !e.is_up())).await;
        }
    }
    let seed = builder("mesh-seed").binds(address).start().await.unwrap();
    for node in &nodes {
        up(node, "mesh-seed").await;
    }
    members(&seed, "mesh", 3).await;
    for node in nodes.into_iter().chain([seed]) {
        node.shutdown().await;
    }
}

#[tokio::test]
async fn groups_follow_ports() {
    let a = listening("groups-a").await;
    let b = joining("groups-b", &a).await;
    up(&b, "groups-a").await;
    let mut changes = b.mon_group("g");
    let (one, two) = (a.port(), a.port());
    let registration = a.register("g", &one);
    a.register("g", &two);
    a.register("g", &two); // has no effect
    members(&b, "g", 2).await;
    // One change or two: what happens between two calls comes as one.
    let mut added = Vec::new();
    while added.len() < 2 {
        added.extend(within("a change", changes.next()).await.unwrap().added);
    }
    assert_eq!(added, [one.id().clone(), two.id().clone()]);
    registration.unregister();
    assert_eq!(members(&b, "g", 1).await, [two.id().clone()]);
    two.kil(Reason::normal());
    members(&b, "g", 0).await;
    a.register("g", a.id());
    assert_eq!(members(&b, "g", 1).await, [a.id().node_port()]);
    a.shutdown().await;
    members(&b, "g", 0).await;
    b.shutdown().await;
}

#[tokio::test]
async fn no_change_of_a_group_is_overlooked() {
    let node = Node::local();
    let port = node.port();
    node.register("g", &port);
    let mut changes = node.mon_group("g");
    assert_eq!(node.members("g").len(), 1);
    // It goes before anybody has asked for a change.
    port.kil(Reason::normal());
    within("the change", async {
        while !node.members("g").is_empty() {
            changes.next().await.unwrap();
        }
    })
    .await;
    let mut late = node.mon_group("g");
    let again = node.port();
    node.register("g", &again);
    let change = within("the change", late.next()).await.unwrap();
    assert_eq!(change.added, [again.id().clone()]);
    assert_eq!((change.members.len(), change.removed.len()), (1, 0));
}

#[tokio::test]
async fn a_seed_that_is_ourselves_is_forgotten() {
    // Bound and not listening, it keeps the address for who asks for it by its number, as the node
    // does.
    let reserved = tokio::net::TcpSocket::new_v4().unwrap();
    reserved.set_reuseaddr(true).unwrap();
    reserved.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = reserved.local_addr().unwrap().to_string();
    // From here on nobody else has the address.
    capture_log();
    let node = builder("narcissus").binds([&address]).seeds([&address]);
    let node = node.set("connect_interval", 0.01).start().await.unwrap();
    let tried = format!("trying connect to seed node {address}.");
    let refused = format!("{address} I refuse to talk to myself");
    let count = |text: &str| log().iter().filter(|l| l.contains(text)).count();
    within("the refusal", async {
        while count(&refused) == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // The next rounds would come after a second each.
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(count(&tried), 1);
    assert!(node.up_nodes().is_empty());
    node.shutdown().await;
}
