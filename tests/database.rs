//! The database of generation 2, and nodes of several generations, over real sockets on 127.0.0.1.

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use aemp::net::memory::Network;
use aemp::proto::generation::Generations;
use aemp::{Builder, DbChanges, DbError, Generation, Node, NodeEvent, PortId, Reason};
use serde_json::{Value, json};
use support::{LIMIT, capture_log, event, log, members, sync, within};
use tokio::sync::oneshot;

fn builder(id: &str, generations: Generations) -> Builder {
    let builder = support::builder(id).generation(generations);
    builder.binds(["127.0.0.1:0"])
}

/// A node of generation 2 alone.
async fn second(id: &str, seeds: &[&Node]) -> Node {
    let seeds: Vec<String> = seeds.iter().flat_map(|seed| seed.listeners()).collect();
    let builder = builder(id, Generations::Only(2)).seeds(seeds);
    builder.start().await.unwrap()
}

async fn all_down(nodes: impl IntoIterator<Item = Node>) {
    for node in nodes {
        node.shutdown().await;
    }
}

/// Asks until the family is this.
async fn family_is(node: &Node, family: &str, wanted: Value) {
    let mut changes = node.db_mon::<Value>(family);
    let mut now = BTreeMap::new();
    let what = format!("{} sees {family} as {wanted}", node.id());
    within(&what, async {
        loop {
            follow(&mut changes, &mut now).await;
            if json!(now) == wanted {
                break;
            }
        }
    })
    .await;
    let asked = within(&what, node.db_family::<Value>(family)).await;
    assert_eq!(json!(asked.unwrap().values), wanted);
}

/// Takes the next change in, which has to fit.
async fn follow(changes: &mut DbChanges, now: &mut BTreeMap<String, Value>) {
    let change = changes.next().await.expect("the node runs").unwrap();
    for (key, value) in change.added {
        assert!(now.insert(key, value).is_none());
    }
    for (key, value) in change.changed {
        assert!(now.insert(key, value).is_some());
    }
    for (key, value) in change.deleted {
        assert_eq!(now.remove(&key), Some(value));
    }
}

#[tokio::test]
async fn all_see_the_keys_of_all() {
    let seed = second("keys-seed", &[]).await;
    let early = second("keys-early", &[&seed]).await;
    early.db_set("f", "early", &[1, 2]).unwrap();
    family_is(&early, "f", json!({"early": [1, 2]})).await;
    assert!(seed.is_global() && !early.is_global());
    assert_eq!(early.master().as_ref(), Some(seed.id()));

    let late = builder("keys-late", Generations::Only(2)).seeds(seed.listeners());
    let late = late.start().await.unwrap();
    late.db_set("f", "late", "text").unwrap(); // before it has a master
    seed.db_set("f", "seed", &None::<()>).unwrap();
    let all = json!({"early": [1, 2], "late": "text", "seed": null});
    for node in [&seed, &early, &late] {
        family_is(node, "f", all.clone()).await;
        let keys = within("keys", node.db_keys("f")).await.unwrap();
        assert_eq!(keys, ["early", "late", "seed"]);
        let values = within("values", node.db_values::<Value>("f"))
            .await
            .unwrap();
        assert_eq!(values.len(), 3);
    }

    // A registered port goes with its end, a node takes along what it has set.
    let port = early.port();
    early.db_reg("ports", &port, &7).unwrap();
    family_is(&late, "ports", json!({ port.id().as_str(): 7 })).await;
    port.kil(Reason::normal());
    family_is(&late, "ports", json!({})).await;
    early.shutdown().await;
    family_is(&late, "f", json!({"late": "text", "seed": null})).await;
    all_down([late, seed]).await;
}

#[tokio::test]
async fn changes_come_once_and_in_order() {
    let seed = second("order-seed", &[]).await;
    let (writer, reader) = (
        second("order-writer", &[&seed]).await,
        second("order-reader", &[&seed]).await,
    );
    let mut changes = reader.db_mon::<u32>("n");
    let first = within("the first change", changes.next()).await;
    let first = first.unwrap().unwrap();
    assert!(first.added.is_empty() && first.changed.is_empty() && first.deleted.is_empty());
    // What is set before there is a master is told as it is by then.
    within("a master", writer.db_keys("n")).await.unwrap();
    for n in 0..500_u32 {
        writer.db_set("n", "key", &n).unwrap();
    }
    for n in 0..500_u32 {
        let change = within("a change", changes.next()).await.unwrap().unwrap();
        let now = if n == 0 { change.added } else { change.changed };
        assert_eq!(now, BTreeMap::from([("key".to_owned(), n)]));
    }
    all_down([reader, writer, seed]).await;
}

#[tokio::test]
async fn a_lost_seed_comes_back_with_everything() {
    let seed = second("back-seed", &[]).await;
    let address = seed.listeners();
    let (a, b) = (
        second("back-a", &[&seed]).await,
        second("back-b", &[&seed]).await,
    );
    a.db_set("f", "a", &1).unwrap();
    family_is(&b, "f", json!({"a": 1})).await;
    let (mut changes, mut now) = (b.db_mon::<Value>("f"), BTreeMap::new());
    within("what is there", follow(&mut changes, &mut now)).await;
    let mut events = b.mon_nodes();
    seed.shutdown().await;
    within("the loss", event(&mut events, |event| !event.is_up())).await;

    // Asked while there is nobody to ask, and set while there is nobody to tell.
    assert_eq!(b.master(), None);
    a.db_set("f", "meanwhile", &2).unwrap();
    let open = tokio::spawn({
        let b = b.clone();
        async move { b.db_family::<Value>("f").await }
    });
    let again = builder("back-seed", Generations::Only(2)).binds(address);
    let again = again.start().await.unwrap();
    let answered = within("an answer of the new master", open).await.unwrap();
    assert!(answered.is_ok());
    let all = json!({"a": 1, "meanwhile": 2});
    within("the content again", async {
        while json!(now) != all {
            follow(&mut changes, &mut now).await;
        }
    })
    .await;
    family_is(&again, "f", all).await;
    all_down([a, b, again]).await;
}

#[tokio::test]
async fn slaves_connect_when_there_is_something_to_say() {
    let seed = second("find-seed", &[]).await;
    let (a, b) = (
        second("find-a", &[&seed]).await,
        second("find-b", &[&seed]).await,
    );
    let port = b.port();
    port.rcv("ping", |cx, (reply,): (PortId,)| cx.snd(&reply, &("here",)));
    a.db_keys("x").await.unwrap();
    b.db_keys("x").await.unwrap(); // both have a master
    assert_eq!(a.up_nodes(), [seed.id().clone()]);
    let (word,): (String,) = within("the answer", a.cal(port.id(), &("ping",), Some(LIMIT)))
        .await
        .unwrap();
    assert_eq!(word, "here");
    assert_eq!(a.up_nodes(), [b.id().clone(), seed.id().clone()]);

    // A node that the database does not know is not waited for.
    let (sender, receiver) = oneshot::channel();
    a.mon("nobody#port", move |reason| drop(sender.send(reason)));
    let reason = within("the monitor", receiver).await.unwrap();
    assert_eq!(
        reason,
        Reason::transport_error("nobody", "no known address")
    );
    // Nor by a node that speaks all generations, where none of the older ones is there.
    let all = builder("find-all", Generations::Auto).seeds(seed.listeners());
    let all = all.start().await.unwrap();
    all.db_keys("x").await.unwrap();
    let (sender, receiver) = oneshot::channel();
    all.mon("nobody", move |reason| drop(sender.send(reason)));
    let reason = within("the other monitor", receiver).await.unwrap();
    assert_eq!(
        reason,
        Reason::transport_error("nobody", "no known address")
    );
    all_down([all, a, b, seed]).await;
}

#[tokio::test]
async fn two_global_nodes_find_each_other_and_share() {
    let one = second("globals-one", &[]).await;
    one.become_global();
    let two = second("globals-two", &[&one]).await;
    let (a, b) = (
        second("globals-a", &[&one]).await,
        second("globals-b", &[&two]).await,
    );
    assert!(two.db_keys("x").await.is_ok());
    for (node, key) in [(&a, "a"), (&b, "b"), (&one, "one"), (&two, "two")] {
        node.db_set("f", key, key).unwrap();
        node.db_set("f", "shared", key).unwrap();
    }
    for node in [&a, &b, &one, &two] {
        let mut changes = node.db_mon::<Value>("f");
        let mut now = BTreeMap::new();
        within("all keys", async {
            while now.len() < 5 {
                follow(&mut changes, &mut now).await;
            }
        })
        .await;
    }
    assert!(one.is_global() && two.is_global());
    b.shutdown().await;
    a.shutdown().await;
    for node in [&one, &two] {
        let mut changes = node.db_mon::<Value>("f");
        let mut now = BTreeMap::new();
        within("the keys of those who are left", async {
            loop {
                follow(&mut changes, &mut now).await;
                let keys: Vec<&String> = now.keys().collect();
                if keys == ["one", "shared", "two"] {
                    break;
                }
            }
        })
        .await;
        let shared = now["shared"].as_str().unwrap().to_owned();
        assert!(["one", "two"].contains(&&*shared), "{shared}");
    }
    all_down([two, one]).await;
}

/// Nodes that speak one generation each around one that speaks all.
#[tokio::test]
async fn one_node_is_in_all_networks_at_once() {
    let hub = builder("hub", Generations::Auto).start().await.unwrap();
    let mut others = Vec::new();
    for number in 0..3 {
        let id = format!("hub-{number}");
        let node = builder(&id, Generations::Only(number)).seeds(hub.listeners());
        others.push(node.start().await.unwrap());
    }
    for (node, generation) in
        others
            .iter()
            .zip([Generation::Gen0, Generation::Gen1b, Generation::Gen2])
    {
        support::up(&hub, node.id().as_str()).await;
        let stats = hub.stats();
        let link = stats.links.iter().find(|link| link.node == *node.id());
        assert_eq!(link.unwrap().generation, generation.name());
        sync(node, "hub").await;
    }
    let own = hub.port();
    hub.register("g", &own);
    let ports: Vec<_> = others.iter().map(|node| node.port()).collect();
    for (node, port) in others.iter().zip(&ports) {
        node.register("g", port);
    }
    assert_eq!(members(&hub, "g", 4).await.len(), 4);
    for node in &others {
        members(node, "g", 2).await;
    }
    // In the database there are the keys of those who have one: hub and the node of generation 2.
    let keys = within("the keys", hub.db_keys("g")).await.unwrap();
    let wanted = [own.id().to_string(), ports[2].id().to_string()];
    assert_eq!(keys, wanted);

    let mut events = hub.mon_nodes();
    let gone = others.pop().unwrap();
    gone.shutdown().await;
    let down = |event: &NodeEvent| !event.is_up() && event.node() == "hub-2";
    within("the loss", event(&mut events, down)).await;
    members(&hub, "g", 3).await;
    all_down(others.into_iter().chain([hub])).await;
}

/// The links are of generation 2, and the gossip of generation 1 goes over them as well.
#[tokio::test]
async fn nodes_of_all_generations_gossip_and_share_a_database() {
    let seed = builder("both-seed", Generations::Auto);
    let seed = seed.start().await.unwrap();
    let mut nodes = vec![seed.clone()];
    for id in ["both-a", "both-b"] {
        let node = builder(id, Generations::Auto).seeds(seed.listeners());
        nodes.push(node.start().await.unwrap());
    }
    // Nobody has anything to say to the other: this is the mesh.
    for node in &nodes {
        for other in &nodes {
            if node.id() != other.id() {
                support::up(node, other.id().as_str()).await;
            }
        }
        let links = node.stats().links;
        assert_eq!(links.len(), 2);
        assert!(links.iter().all(|link| link.generation == "2"), "{links:?}");
    }
    nodes[1].db_set("f", "key", &1).unwrap();
    family_is(&nodes[2], "f", json!({"key": 1})).await;
    assert!(seed.is_global() && !nodes[1].is_global());
    all_down(nodes.into_iter().rev()).await;
}

#[tokio::test]
async fn nodes_of_generations_1_and_2_refuse_each_other_and_say_why() {
    capture_log();
    let one = builder("apart-1", Generations::Only(1));
    let one = one.start().await.unwrap();
    let two = second("apart-2", &[&one]).await;
    within("both log lines", async {
        loop {
            let lines = log();
            let said = |text: &str| lines.iter().any(|line| line.contains(text));
            if said("generation mismatch (we: 2, they: 1b)")
                && said("generation mismatch (we: 1, they: 2)")
            {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await; // a look again, not a wait
        }
    })
    .await;
    assert!(two.up_nodes().is_empty());
    all_down([two, one]).await;
}

/// A node of a network in memory. The first one may be the seed of the others.
fn in_memory(network: &Network, id: &str) -> Builder {
    let builder = Node::builder().no_rc().nodeid(id).secret("geheim");
    let builder = builder.network(&network.host(id));
    builder.binds([format!("{id}:4040")]).seeds([""; 0])
}

/// What is answered without the clock being put forward.
async fn at_once<T>(answer: impl Future<Output = T>) -> T {
    let begun = tokio::time::Instant::now();
    let answer = within("an answer", answer).await;
    assert_eq!(begun.elapsed(), Duration::ZERO);
    answer
}

#[tokio::test(start_paused = true)]
async fn a_node_alone_answers_at_once() {
    let network = Network::new(1);
    for (number, generations) in [
        Generations::Auto,
        Generations::Only(1),
        Generations::Only(2),
    ]
    .into_iter()
    .enumerate()
    {
        let builder = in_memory(&network, &format!("alone{number}"));
        let node = builder.generation(generations).start().await.unwrap();
        assert!(at_once(node.db_keys("f")).await.unwrap().is_empty());
        node.db_set("f", "key", &7).unwrap();
        assert_eq!(at_once(node.db_keys("f")).await.unwrap(), ["key"]);
        assert_eq!(at_once(node.db_family::<u8>("f")).await.unwrap()["key"], 7);
        assert_eq!(at_once(node.db_values::<u8>("f")).await.unwrap()[..], [7]);
        let mut changes = node.db_mon::<u8>("f");
        let first = at_once(changes.next()).await.unwrap().unwrap();
        assert_eq!(first.added["key"], 7);
        node.db_del("f", ["key"]);
        let second = at_once(changes.next()).await.unwrap().unwrap();
        assert_eq!(second.deleted["key"], 7);
        assert!(!node.is_global() && node.master().is_none());
        node.shutdown().await;
    }
    // Whatever seeds are configured: in generation 1 none is asked.
    let builder = in_memory(&network, "old").seeds(["nowhere:1"]);
    let node = builder.generation(Generations::Only(1));
    let node = node.start().await.unwrap();
    assert!(at_once(node.db_keys("f")).await.unwrap().is_empty());
    node.shutdown().await;
}

/// The seed of others has answered itself until the first of them came.
#[tokio::test(start_paused = true)]
async fn a_node_that_was_alone_sees_who_comes() {
    let network = Network::new(1);
    let seed = in_memory(&network, "seed").start().await.unwrap();
    seed.db_set("f", "seed", &1).unwrap();
    let (mut changes, mut now) = (seed.db_mon::<Value>("f"), BTreeMap::new());
    follow(&mut changes, &mut now).await;
    let late = in_memory(&network, "late").seeds(["seed:4040"]);
    let late = late.start().await.unwrap();
    late.db_set("f", "late", &2).unwrap();
    within("the other's key", async {
        while json!(now) != json!({"seed": 1, "late": 2}) {
            follow(&mut changes, &mut now).await;
        }
    })
    .await;
    let keys = within("the keys", late.db_keys("f")).await.unwrap();
    assert_eq!(keys, ["late", "seed"]);
    all_down([late, seed]).await;
}

#[tokio::test(start_paused = true)]
async fn without_a_global_node_there_are_errors() {
    capture_log();
    const PATIENCE: Duration = Duration::from_secs(10);
    let network = Network::new(1);
    let seed = || in_memory(&network, "the-seed").start();
    let node = in_memory(&network, "searcher").seeds(["the-seed:4040"]);
    let node = node.set("monitor_timeout", 10).start().await.unwrap();
    let warned = || {
        let mut lines = log();
        lines.retain(|line| line.contains("no global node to ask about the database for 10s"));
        lines.len()
    };
    let no_global = |result: Result<Vec<String>, DbError>| match result {
        Err(DbError::NoGlobalNode) => {}
        other => panic!("{other:?}"),
    };
    // The seed is not there: who has asked before the time is over is told then, who asks later at
    // once, and so is who monitors what nobody has told.
    let begun = tokio::time::Instant::now();
    let mut changes = node.db_mon::<Value>("f");
    no_global(within("an error", node.db_keys("f")).await);
    assert!(begun.elapsed() >= PATIENCE - Duration::from_secs(1));
    assert!(begun.elapsed() <= PATIENCE, "{:?}", begun.elapsed());
    no_global(at_once(node.db_keys("f")).await);
    let change = at_once(changes.next()).await.unwrap();
    assert!(matches!(change, Err(DbError::NoGlobalNode)), "{change:?}");
    assert_eq!(warned(), 1);

    // It comes, is lost, and comes again in time.
    let first = seed().await.unwrap();
    first.db_set("f", "key", &1).unwrap();
    support::up(&node, "the-seed").await;
    assert_eq!(
        within("the keys", node.db_keys("f")).await.unwrap(),
        ["key"]
    );
    let change = within("the content", changes.next()).await.unwrap();
    assert_eq!(change.unwrap().added["key"], 1);
    first.shutdown().await;
    let asked = tokio::spawn({
        let node = node.clone();
        async move { node.db_keys("f").await }
    });
    tokio::time::sleep(PATIENCE / 2).await;
    let second = seed().await.unwrap();
    let keys = within("the keys", asked).await.unwrap().unwrap();
    assert!(keys.is_empty(), "{keys:?}");

    // It is lost for good. What the monitor knows stays.
    let change = within("the new content", changes.next()).await.unwrap();
    assert_eq!(change.unwrap().deleted["key"], 1);
    let mut events = node.mon_nodes();
    second.shutdown().await;
    within("the loss", event(&mut events, |event| !event.is_up())).await;
    let begun = tokio::time::Instant::now();
    let asked = tokio::join!(node.db_keys("f"), node.db_keys("g"));
    assert_eq!(begun.elapsed().as_secs(), PATIENCE.as_secs());
    no_global(asked.0);
    no_global(asked.1);
    no_global(at_once(node.db_keys("f")).await);
    assert_eq!(warned(), 2);
    let told = tokio::time::timeout(PATIENCE, changes.next()).await;
    assert!(told.is_err(), "{told:?}");
    node.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_hides_nothing() {
    let node = Node::local();
    let mut changes = node.db_mon::<u32>("f");
    assert!(changes.next().await.unwrap().unwrap().added.is_empty());
    let mut next = async || within("a change", changes.next()).await.unwrap().unwrap();
    node.db_set("f", "good", &1).unwrap();
    assert_eq!(next().await.added["good"], 1);
    node.db_set("f", "bad", "text").unwrap();
    let change = next().await;
    assert!(change.added.is_empty());
    assert_eq!(change.unfit["bad"].json(), "\"text\"");
    assert!(change.unfit["bad"].to_string().contains("expected u32"));
    // A good value becomes a bad one, a bad one a good one.
    node.db_set("f", "good", &-1).unwrap();
    node.db_set("f", "bad", &2).unwrap();
    let change = next().await;
    assert!(change.changed.is_empty() && change.unfit.contains_key("good"));
    assert_eq!(next().await.changed["bad"], 2);
    node.db_set("f", "other", &3).unwrap();
    next().await;

    let family = node.db_family::<u32>("f").await.unwrap();
    assert_eq!(json!(family.values), json!({"bad": 2, "other": 3}));
    assert_eq!(family.unfit.keys().collect::<Vec<_>>(), ["good"]);
    let error = family.all().unwrap_err();
    assert!(
        error.to_string().starts_with("family f, key \"good\": "),
        "{error}"
    );
    let mut values = node.db_values::<u32>("f").await.unwrap();
    values.values.sort();
    assert_eq!((&values[..], values.unfit.len()), (&[2, 3][..], 1));

    // A monitor that begins sees both at once; and both go.
    let mut late = node.db_mon::<u32>("f");
    let first = late.next().await.unwrap().unwrap();
    assert_eq!((first.added.len(), first.unfit.len()), (2, 1));
    node.db_del("f", ["good", "bad"]);
    let change = next().await;
    assert_eq!(json!(change.deleted), json!({"bad": 2}));
    assert_eq!(change.unfit_deleted["good"].json(), "-1");
    node.shutdown().await;
}
