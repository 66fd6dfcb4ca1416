//! What the subcommands that talk to a network say of it.

use std::process::Stdio;

use serde_json::{Value, json};

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::time::timeout;

use super::{Home, LIMIT, stderr, stdout};

#[test]
fn the_seed_that_fails_is_named() {
    let home = Home::new();
    // Nobody listens there once this is dropped.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap().to_string();
    drop(nobody);
    home.network(&address);
    for args in [
        &["snd", "nowhere", "x"][..],
        &["cal", "nowhere", "x"],
        &["eval", "nowhere", "1"],
    ] {
        let error = stderr(home.aemp(args).code(1));
        let wanted = format!("; seed {address}: Connection refused");
        // The log has said it before, as soon as it was known.
        let last = error.lines().last().unwrap_or_default();
        assert!(
            last.starts_with("aemp: ") && last.contains(&wanted),
            "{error}"
        );
    }
    // A monitor fires when nobody was found for that long.
    let mut rc = home.config();
    rc["monitor_timeout"] = 1.into();
    home.write(&rc.to_string());
    let error = stderr(home.aemp(&["mon", "nowhere"]).code(1));
    let wanted = format!("can't be reached; seed {address}: Connection refused");
    assert!(error.contains(&wanted), "{error}");
    home.write(r#"{"secret": "geheim", "profile": {"aemp": {"binds": []}}}"#);
    let error = stderr(home.aemp(&["cal", "nowhere", "x"]).code(1));
    assert!(error.contains("no seeds are configured"), "{error}");
}

#[test]
fn a_seed_with_another_secret_is_named() {
    let home = Home::new();
    home.network("127.0.0.1:1");
    let node = home.run("worker");
    home.network(&node.listener);
    let mut rc = home.config();
    rc["secret"] = "another".into();
    home.write(&rc.to_string());
    let error = stderr(home.aemp(&["cal", "worker", "time"]).code(1));
    let wanted = format!("; seed {}: ", node.listener);
    assert!(
        error.contains(&wanted) && error.contains("secret"),
        "{error}"
    );
}

#[test]
fn several_ends_are_waited_for() {
    let home = Home::new();
    home.network("127.0.0.1:1");
    let node = home.run("worker");
    home.network(&node.listener);
    let said = stdout(home.aemp(&["mon", "worker#a", "worker#b"]).code(1));
    let mut lines: Vec<&str> = said.lines().collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "worker#a: no_such_port cannot monitor nonexistent port worker#a ",
            "worker#b: no_such_port cannot monitor nonexistent port worker#b ",
        ]
    );
    let assert = home.aemp(&["mon", "--json", "-v", "worker#a"]).code(1);
    let died: Value = serde_json::from_slice(&assert.get_output().stdout).unwrap();
    let reason = json!([
        "no_such_port",
        "cannot monitor nonexistent port",
        "worker#a"
    ]);
    assert_eq!(
        (&died["port"], &died["reason"]),
        (&json!("worker#a"), &reason)
    );
    assert!(
        died["seconds"].as_f64().unwrap() >= 0.0 && died["time"].is_string(),
        "{died}"
    );
    let said = stderr(assert);
    assert!(said.contains("waiting for the end of worker#a"), "{said}");
}

/// A port of this process ends normally, once the command watches it.
#[tokio::test(flavor = "multi_thread")]
async fn a_normal_end_is_no_failure() {
    let home = Home::new();
    let node = aemp::Node::builder()
        .no_rc()
        .nodeid("worker")
        .set("secret", "geheim")
        .binds(["127.0.0.1:0"])
        .start()
        .await
        .unwrap();
    home.network(&node.listeners()[0]);
    let port = node.port();
    let mut command = home.command();
    command.args(["mon", "-v", port.id().as_str()]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut command = tokio::process::Command::from(command);
    let mut watcher = command.kill_on_drop(true).spawn().unwrap();
    let ended = timeout(LIMIT, async {
        let mut log = BufReader::new(watcher.stderr.take().unwrap()).lines();
        while let Some(line) = log.next_line().await.unwrap()
            && !line.starts_with("waiting for the end of")
        {}
        let mut events = node.mon_nodes();
        while node.up_nodes().is_empty() {
            events.next().await;
        }
        // Its answer comes behind what it has sent before.
        let other = node.up_nodes()[0].clone();
        node.round_trip(&other, LIMIT).await.unwrap();
        port.kil(aemp::Reason::normal());
        watcher.wait_with_output().await.unwrap()
    });
    let ended = ended.await.unwrap();
    let said = String::from_utf8(ended.stdout).unwrap();
    assert_eq!(ended.status.code(), Some(0), "{said}");
    assert!(
        said.ends_with(&format!("{}: normal\n", port.id())),
        "{said}"
    );
}

#[test]
fn replies_as_json() {
    let home = Home::new();
    home.network("127.0.0.1:1");
    let node = home.run("worker");
    home.network(&node.listener);
    let read = |args: &[&str]| -> Vec<Value> {
        let said = stdout(home.aemp(args).success());
        said.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    assert_eq!(
        read(&["--json", "cal", "worker", "info"]),
        [json!({"reply": ["worker"]})]
    );
    let sent = json!({"port": "worker", "sent": true});
    assert_eq!(read(&["snd", "--json", "worker", "devnull"]), [sent]);
    let stats = read(&["stats", "--json", "worker"]);
    assert_eq!((stats.len(), &stats[0]["node"]), (1, &json!("worker")));
    let trace = read(&["trace", "--json", "worker"]);
    assert_eq!(
        (trace.len(), &trace[0]["node"], &trace[0]["nodes"]),
        (1, &json!("worker"), &json!([]))
    );
    let said = stderr(home.aemp(&["-v", "cal", "worker", "info"]).success());
    assert!(
        said.contains("this is node anon/") && said.contains(&node.listener),
        "{said}"
    );
}
