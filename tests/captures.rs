//! Replays every captured conversation of real nodes, from both ends, through our own handshake and
//! framing. Needs no Perl.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aemp::proto::greeting::Purpose;
use aemp::proto::handshake::{AwaitGreeting, Established, Local, Role, TlsUse};
use aemp::proto::message::{Incoming, encode_in};
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
        ..1.95 => Generation::Gen1b,
        _ => Generation::Gen2,
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

/// What a connection was made for, as its connector says.
fn purpose(connector: &[u8]) -> Purpose {
    let [greeting, ..] = lines(connector);
    Greeting::parse(greeting.as_bytes()).unwrap().purpose
}

/// The framing that a side says it sends in.
fn framing(token: &str) -> Framing {
    Framing::from_name(token.split(';').nth(2).unwrap()).unwrap()
}

/// Plays one side with what it said, against the octets of the other.
fn play(secret: &str, own: &[u8], peer: &[u8], role: Role, chunk: usize) -> Established {
    let [greeting, nonce, token] = lines(own);
    let greeting = Greeting::parse(greeting.as_bytes()).unwrap();
    let framings = greeting.framings.iter();
    let mut local = Local::new(greeting.node.clone(), Some(Secret::from(secret)));
    local.purpose = greeting.purpose;
    local.framings = framings.filter_map(|f| Framing::from_name(f)).collect();
    if greeting.wants_tls() {
        local.tls = TlsUse::Offered;
    }
    let local = Arc::new(local);
    let mut out = Vec::new();
    let state = AwaitGreeting::said(local, &greeting, &nonce, &mut out);
    let mut handshake = Handshake::greeted(role, state);
    let mut chunks = peer.chunks(chunk);
    let mut rest = Vec::new();
    while let Some(octets) = chunks.next() {
        handshake.recv(octets, &mut out).unwrap();
        // What passed through TLS was recorded as it went in and came out.
        if let Some((_, inside)) = handshake.begin_tls() {
            handshake.resume(&mut out).unwrap();
            handshake.recv(&inside, &mut out).unwrap();
        }
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

/// A message of a recorded stream.
#[derive(Debug, PartialEq)]
struct Found {
    octets: Vec<u8>,
    name: Option<String>,
    values: Vec<Value>,
}

/// Every message of a side, found for any chunking, and encoded again.
fn messages(framing: Framing, stream: &[u8], chunk: usize) -> Vec<Found> {
    let mut incoming = Incoming::new(framing, Limits::default());
    let mut block = bytes::BytesMut::new();
    let mut found = Vec::new();
    let mut at = 0;
    for chunk in stream.chunks(chunk) {
        block.extend_from_slice(chunk);
        while let Some(arrived) = incoming.next(&mut block).unwrap() {
            let octets = stream[at..at + arrived.octets].to_vec();
            at += arrived.octets;
            let values = arrived.message.values();
            if let Some(name) = &arrived.name {
                let mut again = Vec::new();
                encode_in(&mut again, framing, name, &arrived.message).unwrap();
                let text = |octets: &[u8]| octets.escape_ascii().to_string();
                assert_eq!(text(&again), text(&octets), "octet by octet");
                let mut again = Vec::new();
                encode_in(&mut again, framing, name, &values).unwrap();
                let mut reread = Incoming::new(framing, Limits::default());
                let reread = reread.next(&mut again[..].into()).unwrap().unwrap();
                assert_eq!(reread.message.values(), values);
            } else {
                assert_eq!(octets, framing.keepalive());
            }
            found.push(Found {
                octets,
                name: arrived.name,
                values,
            });
        }
    }
    assert!(block.is_empty(), "octets are left: {block:?}");
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
                    assert_eq!(done.send_framing, framing(&lines(own)[2]), "{place}");
                    assert_eq!(done.recv_framing, framing(&lines(peer)[2]), "{place}");
                    if purpose(connector) == Purpose::Data {
                        let behind = peer.splitn(4, |octet| *octet == b'\n').last();
                        assert_eq!(Some(&*done.rest), behind, "{place}: the program's octets");
                        continue;
                    }
                    let found = messages(done.recv_framing, &done.rest, chunk);
                    assert!(!found.is_empty(), "{place}: no messages");
                    assert_eq!(
                        found,
                        messages(done.recv_framing, &done.rest, 8192),
                        "{place}: chunking matters"
                    );
                }
            }
        }
    }
}

#[test]
fn every_framing_and_generation_is_among_them() {
    let mut seen = Vec::new();
    for file in fixtures() {
        let about = about(&file);
        for said in load(&file).into_values() {
            for (octets, generation) in [
                (&said.connector, about.connector),
                (&said.listener, about.listener),
            ] {
                if octets.iter().filter(|o| **o == b'\n').count() >= 3 {
                    seen.push((generation, framing(&lines(octets)[2])));
                }
            }
        }
    }
    for want in [
        (Generation::Gen0, Framing::Json),
        (Generation::Gen1a, Framing::Json),
        (Generation::Gen1b, Framing::Json),
        (Generation::Gen1b, Framing::Storable),
        (Generation::Gen2, Framing::Json),
        (Generation::Gen2, Framing::Cbor),
    ] {
        assert!(seen.contains(&(Some(want.0), want.1)), "{want:?}");
    }
}

/// Both ways to a data connection, and what passed by it.
#[test]
fn data_connections_are_among_them() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/perl-1.30");
    for (file, id, listens) in [
        ("data-connection.jsonl", "b@bob", "alice"),
        ("data-connection-back.jsonl", "b@alice", "alice"),
    ] {
        let said = &load(&root.join(file))[&2];
        let [greeting, ..] = lines(&said.connector);
        let greeting = Greeting::parse(greeting.as_bytes()).unwrap();
        assert_eq!(greeting.data_id(), Some(id), "{file}");
        let (own, peer) = (&said.listener, &said.connector);
        let done = play("geheim", own, peer, Role::Listener, 4096);
        assert_eq!(done.peer.greeting.node, "bob", "{file}");
        let [greeting, ..] = lines(own);
        let greeting = Greeting::parse(greeting.as_bytes()).unwrap();
        assert_eq!(greeting.node, listens, "{file}");
        assert_eq!(greeting.purpose, Purpose::Link, "{file}");
        assert!(!done.rest.is_empty(), "{file}: nothing passed");
    }
}

/// The nineteen values of `peer.pl`, as alice hears them.
fn nineteen(file: &str) -> Vec<Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let said = load(&root.join(file));
    let (own, peer) = (&said[&1].listener, &said[&1].connector);
    let done = play("geheim", own, peer, Role::Listener, 4096);
    let messages = messages(done.recv_framing, &done.rest, 4096);
    let echo = messages.into_iter().find_map(|found| {
        (found.values.len() == 21 && found.values[0] == "echo").then_some(found.values)
    });
    echo.unwrap()[2..].to_vec()
}

#[test]
fn the_nineteen_values_are_as_sent() {
    for file in [
        "perl-1.0/peer-json.jsonl",
        "perl-1.21/peer-json.jsonl",
        "perl-1.30/peer-json.jsonl",
        "perl-1.30/peer-storable.jsonl",
        "perl-2.02/peer.pl--perl-2.02+perl-2.02.jsonl",
    ] {
        let values = nineteen(file);
        // Storable sends numbers that are not of 32 bits as their text.
        let number = |text: &str| match file.contains("storable") {
            true => Value::from(text),
            false => serde_json::from_str(text).unwrap(),
        };
        assert_eq!(values.len(), 19, "{file}");
        assert_eq!(values[3], number("9007199254740993"), "{file}");
        assert_eq!(values[6], number("1e+20"), "{file}");
        assert_eq!(values[8], "10", "{file}");
        assert_eq!(values[10], "café", "{file}");
        assert_eq!(values[13], "\u{0}\u{1f}\u{7f}", "{file}");
        assert_eq!(values[14], Value::Null, "{file}");
    }
}
