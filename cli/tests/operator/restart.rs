//! `aemp restart`, and what systemd is told meanwhile.

use std::os::unix::net::UnixDatagram;
use std::process::Command;

use serde_json::json;

use crate::support::{Home, LIMIT, Running, node};

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_node_starts_again_as_the_same_process() {
    let home = Home::new(json!({}));
    let socket = home.path("notify");
    let systemd = UnixDatagram::bind(&socket).unwrap();
    systemd.set_read_timeout(Some(LIMIT)).unwrap();
    let told = || {
        let mut octets = [0; 1000];
        let len = systemd.recv(&mut octets).unwrap();
        String::from_utf8_lossy(&octets[..len]).into_owned()
    };
    let mut command = home.command(["run", "nodeid", "r", "binds", "127.0.0.1:*"]);
    command.env("NOTIFY_SOCKET", &socket);
    let mut running = Running::start(command);
    let first = running.address();
    assert_eq!(told().trim(), "READY=1");
    let process = running.id();

    // What else there is to be evaluated is refused.
    let test = node("t", &first).await;
    let reply: Vec<String> = test.cal("r", &("eval", "1"), Some(LIMIT)).await.unwrap();
    assert!(reply[0].contains("does not evaluate"), "{reply:?}");
    test.shutdown().await;

    home.configure(json!({"profile": {"aemp": {"binds": [], "seeds": [first]}}}));
    let mut restart = home.start(&["restart", "r"]);
    assert!(restart.ends().success(), "{:?}", restart.rest());
    assert!(told().starts_with("RELOADING=1"));
    let second = running.address();
    assert_eq!(told().trim(), "READY=1");
    let test = node("t", &second).await;
    test.round_trip("r", LIMIT).await.unwrap();
    assert_eq!(running.id(), process);

    running.signal("-HUP");
    assert!(told().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    assert_eq!(told().trim(), "READY=1");
    running.signal("-TERM");
    assert_eq!(told().trim(), "STOPPING=1");
    assert!(running.ends().success());
}

/// Systemd is told that the node answers, if it wants to hear that of this very process.
#[test]
fn a_node_that_is_watched_says_that_it_answers() {
    let home = Home::new(json!({}));
    let socket = home.path("notify");
    let systemd = UnixDatagram::bind(&socket).unwrap();
    systemd.set_read_timeout(Some(LIMIT)).unwrap();
    let aemp = home.command(["run", "nodeid", "w", "binds", "127.0.0.1:*"]);
    let mut command = Command::new("sh");
    command.args(["-c", "WATCHDOG_PID=$$ exec \"$@\"", "sh"]);
    command.arg(aemp.get_program()).args(aemp.get_args());
    for (key, value) in aemp.get_envs() {
        match value {
            Some(value) => command.env(key, value),
            None => command.env_remove(key),
        };
    }
    command.env("NOTIFY_SOCKET", &socket);
    command.env("WATCHDOG_USEC", "100000");
    let mut running = Running::start(command);
    running.address();
    let mut octets = [0; 1000];
    let mut beats = 0;
    while beats < 3 {
        let len = systemd.recv(&mut octets).unwrap();
        match String::from_utf8_lossy(&octets[..len]).trim() {
            "WATCHDOG=1" => beats += 1,
            other => assert_eq!((other, beats), ("READY=1", 0)),
        }
    }
    running.signal("-TERM");
    assert!(running.ends().success());
}

#[test]
fn a_secure_node_is_not_restarted() {
    let home = Home::new(json!({"secure": 1}));
    let running = home.start(&["run", "nodeid", "r", "binds", "127.0.0.1:*"]);
    let first = running.address();
    home.configure(json!({"profile": {"aemp": {"binds": [], "seeds": [first]}}}));
    let mut restart = home.start(&["restart", "r"]);
    assert_eq!(restart.ends().code(), Some(1));
    running.says("eval");
}
