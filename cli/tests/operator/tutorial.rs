//! The tutorial of AnyEvent::MP, followed from its first command to its last with our `aemp` in the
//! place of Perl's. Its programs are written in shell and Python, and where Perl is there, its own
//! take part as well.
//!
//! What differs from its words: addresses are on 127.0.0.1 and have ports that are free, so
//! `127.0.0.1:*` is where nodes listen that are told nothing else.

use std::process::{Command, Stdio};

use serde_json::json;

use crate::address::free_address;
use crate::perl::{perl, releases};
use crate::support::{Home, LIMIT, Running, members, next, repository};

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_tutorial_from_gensecret_to_services() {
    if Command::new("python3").arg("--version").output().is_err() {
        eprintln!("skipped: no python3");
        return;
    }
    let home = Home(tempfile::tempdir().unwrap());
    let aemp = |line: &str| {
        let mut done = home.start(&line.split(' ').collect::<Vec<_>>());
        assert!(done.ends().success(), "aemp {line}: {:?}", done.rest());
    };
    let run = |line: &str| {
        let mut command = home.command(line.split(' '));
        command.env("PERL_ANYEVENT_MP_SERVICES", repository("examples/services"));
        Running::start(command)
    };
    let program = |name: &str| repository(&format!("examples/programs/{name}"));

    // System Requirements and System Setup
    aemp("gensecret");
    aemp("binds 127.0.0.1:*");

    // Splitting Network Configuration and Application Code
    let seed = free_address();
    aemp(&format!("profile seed binds {seed}"));
    aemp(&format!("seeds {seed} nodeid anon/"));
    let seed_node = run("run profile seed");
    assert_eq!(seed_node.address(), seed);

    // Part 1: receivers and a sender that find each other
    let receiver = run(&format!("exec -- sh {}", program("receiver.sh").display()));
    let sender = run(&format!(
        "exec -- python3 {}",
        program("sender.py").display()
    ));
    receiver.says("Received data: 1");
    let perls = releases(&["1.30"]);
    for release in &perls {
        let mut command = perl(release, &home);
        command.arg("-e").arg("$| = 1; do shift");
        command.arg(release.join("eg/simple_example_receiver"));
        let perls_receiver = Running::start(command);
        assert!(perls_receiver.prints().starts_with("Received data: 1"));
    }
    drop((receiver, sender));

    // Part 3: services
    aemp("profile mysrvnode services mymod::service::");
    let server = run("run profile mysrvnode");
    server.says("server ready.");
    let test = aemp::Node::builder()
        .no_rc()
        .nodeid("test")
        .binds(["127.0.0.1:*"])
        .seeds([&*seed]);
    let secret = std::fs::read(home.rc()).unwrap();
    let secret: serde_json::Value = serde_json::from_slice(&secret).unwrap();
    let test = test.secret(secret["secret"].as_str().unwrap());
    let test = test.start().await.unwrap();
    let found = members(&test, "eg_chat_server2", 1).await.remove(0);
    let mut client = test.mailbox();
    let arguments = (client.id(), "nick1");
    let head = test
        .spawn(&found, "mymod::service::client_connect", &arguments)
        .unwrap();
    assert_eq!(next(&mut client).await, json!(["nick1 (joins)"]));
    for release in &perls {
        // The tutorial's own client.
        let mut command = perl(release, &home);
        command.arg(release.join("eg/chat_client2")).arg("nick2");
        command.stdin(Stdio::piped());
        let perls_client = Running::start(command);
        assert_eq!(next(&mut client).await, json!(["nick2 (joins)"]));
        test.snd(&head, &("hello",)).unwrap();
        assert_eq!(next(&mut client).await, json!(["nick1: hello"]));
        while !perls_client.prints().contains("nick1: hello") {}
        drop(perls_client);
        let left = next(&mut client).await;
        let left = left[0].as_str().unwrap().to_owned();
        assert!(left.starts_with("nick2 (quits, transport_error"), "{left}");
    }

    aemp("profile ruth addservice BK::Backend::IRC::");
    let _ruth = run("run profile ruth");
    let backend = members(&test, "irc_backends", 1).await.remove(0);
    let (tag, names): (String, u32) = test.cal(&backend, &("names",), Some(LIMIT)).await.unwrap();
    assert_eq!((tag.as_str(), names), ("names", 1));
    test.shutdown().await;
}
