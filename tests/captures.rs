//! Replays every captured conversation of real nodes, from both ends, through our own handshake and
//! framing. Needs no Perl.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aemp::Message;
use aemp::proto::framing::json::JsonScanner;
use aemp::proto::handshake::{AwaitGreeting, Established, Local, Role};
use aemp::proto::message::encode_to;
use aemp::proto::{Framing, Generation, Greeting, Handshake, Limits, Secret};
use base64::Engine as _;
use serde_json::Value;

/// What a fixture says of itself.
struct About {
    secret: String,
    connector: Option<Generation>,
    listener: Option<Generation>,
}

/// The generation of a release such as `perl-1.26`; none of a node of this crate.
fn generation(name: &str) -> Option<Generation> {
    let release: f64 = name.strip_prefix("perl-")?.parse().unwrap();
    Some(match release {
        ..1.05 => Generation::Gen0,
        ..1.25 => Generation::Gen1a,
        _ => Generation::Gen1b,
    })
}

/// The `.json` beside a fixture says who spoke; without one, the folder does, for both sides.
fn about(file: &Path) -> About {
    if let Ok(text) = std::fs::read(file.with_extension("json")) {
        let about: Value = serde_json::from_slice(&text).unwrap();
        let side = |key: &str| generation(about[key].as_str().unwrap());
        return About {
            secret: about["secret"].as_str().unwrap().to_owned(),
            connector: side("connector"),
            listener: side("listener"),
        };
    }
    let folder = file.parent().unwrap().file_name().unwrap();
    let both = generation(folder.to_str().unwrap());
    assert!(both.is_some(), "{folder:?}: which release is that?");
    About {
        secret: "geheim".to_owned(),
        connector: both,
        listener: both,
    }
}

/// The octets of one connection, per direction.
#[derive(Default)]
struct Conversation {
    connector: Vec<u8>,
    listener: Vec<u8>,
}

fn load(path: &Path) -> BTreeMap<u64, Conversation> {
    let mut conversations: BTreeMap<u64, Conversation> = BTreeMap::new();
    for line in std::fs::read_to_string(path).unwrap().lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let octets = match (&row["text"], &row["base64"]) {
            (Value::String(text), _) => text.clone().into_bytes(),
            (_, Value::String(text)) => base64::engine::general_purpose::STANDARD
                .decode(text)
                .unwrap(),
            _ => panic!("{path:?}: neither text nor base64: {line}"),
        };
        let conversation = conversations
            .entry(row["conn"].as_u64().unwrap())
            .or_default();
        match row["dir"].as_str().unwrap() {
            ">" => conversation.connector.extend(octets),
            "<" => conversation.listener.extend(octets),
            dir => panic!("{path:?}: direction {dir:?}"),
        }
    }
    conversations
}

fn fixtures() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mut found = Vec::new();
    for folder in std::fs::read_dir(root).unwrap() {
        let folder = folder.unwrap().path();
        if !folder.is_dir() {
            continue;
        }
        for file in std::fs::read_dir(folder).unwrap() {
            let file = file.unwrap().path();
            if file.extension().is_some_and(|end| end == "jsonl") {
                found.push(file);
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "there are no fixtures");
    found
}

/// The three lines of a side's handshake.
fn lines(octets: &[u8]) -> [String; 3] {
    let mut lines = octets.splitn(4, |octet| *octet == b'\n');
    std::array::from_fn(|_| String::from_utf8(lines.next().unwrap().to_vec()).unwrap())
}

/// Plays one side with what it said, against the octets of the other.
fn play(secret: &str, own: &[u8], peer: &[u8], role: Role, chunk: usize) -> Established {
    let [greeting, nonce, token] = lines(own);
    let greeting = Greeting::parse(greeting.as_bytes()).unwrap();
    let local = Arc::new(Local::new(
        greeting.node.clone(),
        Some(Secret::from(secret)),
    ));
    let mut out = Vec::new();
    let state = AwaitGreeting::said(local, &greeting, &nonce, &mut out);
    let mut handshake = Handshake::greeted(role, state);
    let mut chunks = peer.chunks(chunk);
    let mut rest = Vec::new();
    while let Some(octets) = chunks.next() {
        handshake.recv(octets, &mut out).unwrap();
        if handshake.is_verified() {
            rest = chunks.flatten().copied().collect();
            break;
        }
    }
    assert!(handshake.complete(&mut out).is_some(), "not verified");
    let ours = lines(&out);
    assert_eq!(ours[2], token, "our token is the recorded one");
    assert_eq!(out, own[..out.len()], "we say what was said");
    let mut done = handshake.established().unwrap();
    done.rest.extend(rest);
    done
}

/// Every message of a side, found for any chunking, and encoded again.
fn messages(octets: &[u8], chunk: usize) -> Vec<String> {
    let mut scanner = JsonScanner::new(Limits::default());
    let mut buffer = bytes::BytesMut::new();
    let mut found = Vec::new();
    for chunk in octets.chunks(chunk) {
        buffer.extend_from_slice(chunk);
        while let Some(frame) = scanner.next(&buffer).unwrap() {
            let octets = buffer.split_to(frame.end);
            let text = String::from_utf8(octets[frame.start..].to_vec()).unwrap();
            if let Some(dest) = frame.dest {
                let name = dest.text(&octets).into_owned();
                let message = Message::from_frame(octets, dest.end + 1);
                let mut again = Vec::new();
                encode_to(&mut again, &name, &message).unwrap();
                assert_eq!(String::from_utf8(again).unwrap(), text, "octet by octet");
                let values = message.values();
                let mut again = Vec::new();
                encode_to(&mut again, &name, &values).unwrap();
                let reread: Value = serde_json::from_slice(&again).unwrap();
                assert_eq!(reread, serde_json::from_str::<Value>(&text).unwrap());
            }
            found.push(text);
        }
    }
    assert!(buffer.is_empty(), "octets are left: {buffer:?}");
    found
}

#[test]
fn every_capture_replays_from_both_ends() {
    for file in fixtures() {
        let about = about(&file);
        for (conn, said) in load(&file) {
            if said.connector.is_empty() || said.listener.is_empty() {
                continue; // a connection that was refused before a word
            }
            let complete = |octets: &[u8]| octets.iter().filter(|o| **o == b'\n').count() >= 3;
            if !complete(&said.connector) || !complete(&said.listener) {
                continue; // a duplicate connection, given up during its handshake
            }
            for chunk in [1, 7, 64, 4096] {
                let (connector, listener) = (&said.connector, &said.listener);
                for (own, peer, role, want) in [
                    (connector, listener, Role::Connector, about.listener),
                    (listener, connector, Role::Listener, about.connector),
                ] {
                    let done = play(&about.secret, own, peer, role, chunk);
                    let place = format!("{} connection {conn}", file.display());
                    assert_eq!(done.peer.is_perl(), want.is_some(), "{place}");
                    if let Some(want) = want {
                        assert_eq!(done.peer.generation, want, "{place}");
                    }
                    assert_eq!(done.recv_framing, Framing::Json, "{place}");
                    let found = messages(&done.rest, chunk);
                    assert!(!found.is_empty(), "{place}: no messages");
                    assert_eq!(
                        found,
                        messages(&done.rest, 8192),
                        "{place}: chunking matters"
                    );
                }
            }
        }
    }
}

#[test]
fn the_nineteen_values_are_as_sent() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    for release in ["1.0", "1.21", "1.30"] {
        let said = load(&root.join(format!("perl-{release}/peer-json.jsonl")));
        let (own, peer) = (&said[&1].listener, &said[&1].connector);
        let done = play("geheim", own, peer, Role::Listener, 4096);
        let texts = messages(&done.rest, 4096);
        let echo = texts
            .iter()
            .find(|text| text.contains("\"echo\","))
            .unwrap();
        let list: Vec<Value> = serde_json::from_str(echo).unwrap();
        let values = &list[3..];
        assert_eq!(values.len(), 19, "{release}");
        assert_eq!(values[3], 9_007_199_254_740_993_u64);
        assert_eq!(values[6], 1e20);
        assert_eq!(values[8], "10");
        assert_eq!(values[10], "café");
        assert_eq!(values[13], "\u{0}\u{1f}\u{7f}");
        assert_eq!(values[14], Value::Null);
    }
}
