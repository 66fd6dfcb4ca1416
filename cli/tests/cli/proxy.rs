//! `aemp proxy`: what passes between two nodes is shown while it does.

use std::io::{Read as _, Write as _};

use serde_json::{Value, json};

use super::Home;
use super::perl_node::release;
use super::record::{Relay, certificate, perl_nodes, target};

/// A node, and a relay in front of it.
fn watched(home: &Home, more: &[&str]) -> (super::Running, Relay) {
    home.network("127.0.0.1:1");
    let node = home.run("ruth");
    let relay = Relay::start(home, "proxy", node.address(), more);
    home.network(&relay.address);
    (node, relay)
}

#[test]
fn messages_are_shown_and_counted() {
    let home = Home::new();
    let (_node, mut relay) = watched(&home, &["--secret", "geheim"]);
    home.aemp(&["cal", "ruth", "time"]).success();
    relay.says(&["1 begins"]);
    relay.says(&["1>", "token", "verified"]);
    let asked = relay.says(&["> ruth node port: asks the time", r#"["time","#]);
    assert!(asked.contains(" 1 "), "{asked}");
    relay.says(&["ruth > "]);
    relay.says(&["1 ends: ended"]);
    let all = relay.end().join("\n");
    for words in [
        "1 connection in ",
        "by nodes:",
        "by port:",
        "by tag:",
        "\n  time ",
    ] {
        assert!(all.contains(words), "{words}: {all}");
    }
}

#[test]
fn some_messages_are_chosen() {
    let home = Home::new();
    let chosen = [
        "--node", "ruth", "--port", "ruth#", "--tag", "ti*", "--json",
    ];
    let (_node, mut relay) = watched(&home, &chosen);
    home.aemp(&["cal", "ruth", "time"]).success();
    home.aemp(&["cal", "ruth", "info"]).success();
    let mut kinds = Vec::new();
    while kinds.iter().filter(|kind| *kind == "ends").count() < 2 {
        let line: Value = serde_json::from_str(&relay.line()).unwrap();
        if line["kind"] == "message" {
            assert_eq!((&line["port"], &line["to"]), (&json!(""), &json!("ruth")));
            assert_eq!(
                (&line["tag"], &line["message"][0]),
                (&json!("time"), &json!("time"))
            );
        }
        let kind = if line["kind"] == "connection" {
            &line["state"]
        } else {
            &line["kind"]
        };
        kinds.push(kind.as_str().unwrap().to_owned());
    }
    assert_eq!(kinds, ["begins", "message", "ends", "begins", "ends"]);
    let last: Value = serde_json::from_str(relay.end().last().unwrap()).unwrap();
    assert_eq!(
        (&last["kind"], &last["messages"]),
        (&json!("statistics"), &json!(1))
    );
    assert_eq!(last["tags"]["time"]["messages"], 1);
    assert_eq!(
        (&last["connections"], &last["undecoded"]),
        (&json!(2), &json!(0))
    );
    assert!(last["passed"].as_u64().unwrap() > last["octets"].as_u64().unwrap());
}

/// A connection in which nothing is as it should be is passed on, and that is said once.
#[test]
fn what_can_not_be_decoded_passes() {
    let home = Home::new();
    let (listener, address) = target();
    let mut relay = Relay::start(&home, "proxy", &address, &[]);
    let (mut connector, mut accepted) = relay.connect(&listener);
    // First of both no greeting; then a message that is none.
    for begin in ["GET / HTTP/1.0\n", ""] {
        if begin.is_empty() {
            (connector, accepted) = relay.connect(&listener);
            let greeting = "aemp;1;a;cleartext;json\nnonce\n";
            for side in [&mut connector, &mut accepted] {
                side.write_all(greeting.as_bytes()).unwrap();
                side.write_all(b"cleartext;6765;json\n").unwrap();
            }
            let mut input = vec![0; greeting.len() + 20];
            connector.read_exact(&mut input).unwrap();
            accepted.read_exact(&mut input).unwrap();
        }
        connector.write_all(begin.as_bytes()).unwrap();
        for _ in 0..50 {
            connector.write_all(b"[\"a\",}\xff\n").unwrap();
        }
        connector.shutdown(std::net::Shutdown::Write).unwrap();
        let mut heard = Vec::new();
        accepted.read_to_end(&mut heard).unwrap();
        assert_eq!(
            heard,
            [begin.as_bytes(), &b"[\"a\",}\xff\n".repeat(50)].concat()
        );
        accepted.shutdown(std::net::Shutdown::Both).unwrap();
        relay.says(&["WRONG"]);
        relay.says(&["not decoded: what ", "is passed on as it is"]);
        let next = relay.line();
        assert!(next.ends_with("ends: ended"), "{next}");
    }
    let all = relay.end().join("\n");
    assert!(
        all.contains("2 places could not be decoded or verified"),
        "{all}"
    );
}

/// Who says a message without end is passed on, and no longer decoded.
#[test]
fn memory_is_bounded() {
    let home = Home::new();
    let (listener, address) = target();
    let mut relay = Relay::start(&home, "proxy", &address, &["--max-memory", "1"]);
    let (mut connector, mut accepted) = relay.connect(&listener);
    let opening = "aemp;1;a;cleartext;json\nnonce\ncleartext;6765;json\n";
    for side in [&mut connector, &mut accepted] {
        side.write_all(opening.as_bytes()).unwrap();
    }
    let reader = std::thread::spawn(move || {
        let mut heard = Vec::new();
        accepted.read_to_end(&mut heard).unwrap();
        heard.len()
    });
    let begin = b"[\"a\",\"";
    let mut sent = opening.len() + begin.len();
    connector.write_all(begin).unwrap();
    for _ in 0..40 {
        connector.write_all(&[b'x'; 100_000]).unwrap();
        sent += 100_000;
    }
    relay.says(&["too long", "--max-memory"]);
    connector.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(reader.join().unwrap(), sent);
    relay.end();
}

/// Real Perl nodes, and TLS.
#[test]
fn perl_nodes_are_watched_within_tls() {
    for version in ["1.30", "2.02"] {
        let Some(modules) = release(version) else {
            continue;
        };
        let home = Home::new();
        let (pem, path) = certificate(&home, "network.pem");
        for (more, is_read) in [
            (&["--cert", path.to_str().unwrap()][..], true),
            (&[], false),
        ] {
            let start = |target: &str| Relay::start(&home, "proxy", target, more);
            let (mut alice, mut bob, mut relay, port) =
                perl_nodes(&home, &modules, [&pem, &pem], start);
            bob.ask("snd", &json!({"to": port, "msg": ["seen", 1]}));
            alice.said(|line| line["ev"] == "msg" && line["msg"] == json!(["seen", 1]));
            match is_read {
                true => drop(relay.says(&["bob > alice ", r#": message seen: ["seen",1]"#])),
                false => drop(relay.says(&["TLS: passed on as it is"])),
            }
            drop((alice, bob));
            relay.says(&["ends: "]);
            relay.end();
        }
    }
}
