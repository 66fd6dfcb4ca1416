//! `aemp run --autorestart`.

use serde_json::json;

use crate::support::{Home, LIMIT, node, send};

/// The process that is the node, which tells its ID by a program that is its child.
const PARENT: &str = "#!/bin/sh\necho \"node is $PPID\" >&2\ncat > /dev/null\n";

const RUN: [&str; 6] = [
    "run",
    "--autorestart",
    "nodeid",
    "a",
    "binds",
    "127.0.0.1:*",
];

/// Where that program is a service.
fn home_with_parent() -> Home {
    let home = Home::new(json!({}));
    home.program("services/parent", PARENT);
    home.configure(json!({"services_path": [home.path("services")], "services": ["parent"]}));
    home
}

fn node_process(line: &str) -> u32 {
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_node_that_crashes_is_started_again() {
    let home = home_with_parent();
    let mut running = home.start(&RUN);
    let first = node_process(&running.says("node is "));
    running.address();
    assert_ne!(first, running.id());
    send(first, "-KILL");
    running.says("the node crashed (signal: 9 (SIGKILL)); starting it again in 1s");
    let second = node_process(&running.says("node is "));
    assert_ne!(first, second);
    let test = node("t", &running.address()).await;
    test.round_trip("a", LIMIT).await.unwrap();
    // What it is sent is handed on.
    running.signal("-HUP");
    running.says("SIGHUP: nothing has changed");
    running.signal("-TERM");
    assert!(running.ends().success());
}

#[test]
fn a_node_that_can_not_run_is_not_tried_again() {
    let home = Home::new(json!({"binds": ["127.0.0.1:99999"]}));
    let mut running = home.start(&["run", "--autorestart", "nodeid", "a"]);
    assert_eq!(running.ends().code(), Some(1));
    running.says("99999");
    assert!(running.rest().iter().all(|line| !line.contains("again")));
}

/// The node ends when nobody would start it again.
#[test]
fn the_node_ends_with_the_process_that_watches_it() {
    let home = home_with_parent();
    let mut command = home.command(RUN);
    command.env("PERL_ANYEVENT_MP_WARNLEVEL", "7");
    let running = crate::support::Running::start(command);
    running.says("node is ");
    running.address();
    running.signal("-KILL");
    running.says("ending within");
}
