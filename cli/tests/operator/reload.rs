//! SIGHUP.

use std::time::Duration;

use aemp::PortId;
use serde_json::json;

use crate::support::{Home, LIMIT, builder, death, is_refused, next, node};

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_can_be_is_taken_and_the_rest_is_named() {
    let home = Home::new(json!({}));
    home.program(
        "services/shop/till",
        "#!/bin/sh\necho \"[\\\"snd\\\",\\\"$1\\\",\\\"here\\\"]\"\ncat > /dev/null\n",
    );
    let path = home.path("services");
    let running = home.start(&["run", "nodeid", "r", "binds", "127.0.0.1:*"]);
    let address = running.address();
    let (friend, stranger) = (
        node("friend", &address).await,
        node("stranger", &address).await,
    );
    let spawn =
        |node: &aemp::Node, reply: &PortId| node.spawn("r", "shop::till", &(reply,)).unwrap();
    let inbox = friend.mailbox();
    let port = spawn(&friend, inbox.id());
    assert_eq!(death(&friend, &port).await.kind(), Some("no_such_port"));

    running.signal("-HUP");
    running.says("SIGHUP: nothing has changed");
    // A seed that is there, rules, folders; and something that is for the next start.
    let seed = builder("seed")
        .binds(["127.0.0.1:0"])
        .start()
        .await
        .unwrap();
    let settings = json!({
        "allow": ["friend spawn shop::*"],
        "seeds": seed.listeners(),
        "services_path": [path],
        "max_queue": 1_000_000,
        "monitor_timeout": 20,
    });
    home.configure(settings.clone());
    running.signal("-HUP");
    let line = running.says("SIGHUP:");
    let wanted =
        "SIGHUP: taken: allow, seeds, services_path; needs a restart: max_queue, monitor_timeout";
    assert!(line.ends_with(wanted), "{line}");
    let mut inbox = friend.mailbox();
    spawn(&friend, inbox.id());
    assert_eq!(next(&mut inbox).await, json!(["here"]));
    // The link was up before the rule was there.
    let inbox = stranger.mailbox();
    let port = spawn(&stranger, inbox.id());
    assert!(is_refused(&death(&stranger, &port).await));
    let mut events = seed.mon_nodes();
    while !seed.node_is_up("r") {
        tokio::time::timeout(LIMIT, events.next()).await.unwrap();
    }

    // What has been taken is not taken again; what has not is named again.
    running.signal("-HUP");
    let line = running.says("SIGHUP:");
    assert!(
        line.ends_with("SIGHUP: needs a restart: max_queue, monitor_timeout"),
        "{line}"
    );
    home.configure(json!({"allow": ["nonsense"]}));
    running.signal("-HUP");
    let line = running.says("SIGHUP:");
    assert!(
        line.contains("nonsense") && line.ends_with("all stays as it is"),
        "{line}"
    );
    let port = spawn(&stranger, stranger.mailbox().id());
    assert!(is_refused(&death(&stranger, &port).await));
    home.configure(json!({}));
    running.signal("-HUP");
    let line = running.says("SIGHUP:");
    assert!(line.contains("taken: allow, services_path"), "{line}");
    tokio::time::timeout(Duration::from_secs(20), stranger.round_trip("r", LIMIT))
        .await
        .unwrap()
        .unwrap();
}
