//! What fuzzers begin with: what real nodes said to each other, in the form that each target takes.

use std::collections::BTreeSet;
use std::path::Path;

use aemp::fuzz::{TARGETS, Target};
use aemp::proto::message::{Incoming, json_in};
use aemp::proto::{Framing, Limits};
use base64::Engine as _;
use bytes::BytesMut;
use serde_json::Value;

/// Longer messages only make a fuzzer slow.
const MOST: usize = 400;
/// The secret of all recordings, as the method `cleartext` says it.
const CLEARTEXT: &str = "cleartext;67656865696d";

/// What one side of a connection said.
struct Said {
    greeting: String,
    nonce: String,
    framing: Framing,
    messages: Vec<Vec<u8>>,
}

/// Seeds as they are collected: each once, in the order of their making.
#[derive(Default)]
struct Seeds {
    seen: BTreeSet<Vec<u8>>,
    all: Vec<Vec<u8>>,
}

impl Seeds {
    fn add(&mut self, parts: &[&[u8]]) {
        let seed = parts.concat();
        if self.seen.insert(seed.clone()) {
            self.all.push(seed);
        }
    }
}

/// The octets of a direction of each connection in a recording.
fn streams(path: &Path) -> Vec<Vec<u8>> {
    let mut streams: Vec<((u64, String), Vec<u8>)> = Vec::new();
    for line in std::fs::read_to_string(path).unwrap().lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let octets = match (&row["text"], &row["base64"]) {
            (Value::String(text), _) => text.clone().into_bytes(),
            (_, Value::String(text)) => {
                let engine = base64::engine::general_purpose::STANDARD;
                engine.decode(text).unwrap()
            }
            _ => panic!("neither text nor base64: {line}"),
        };
        let key = (
            row["conn"].as_u64().unwrap(),
            row["dir"].as_str().unwrap().to_owned(),
        );
        match streams.iter_mut().find(|(other, _)| *other == key) {
            Some((_, stream)) => stream.extend(octets),
            None => streams.push((key, octets)),
        }
    }
    streams.into_iter().map(|(_, stream)| stream).collect()
}

fn read(stream: &[u8]) -> Option<Said> {
    let mut lines = stream.splitn(4, |octet| *octet == b'\n');
    let mut line = || Some(String::from_utf8(lines.next()?.to_vec()).unwrap());
    let (greeting, nonce, token) = (line()?, line()?, line()?);
    let framing = Framing::from_name(token.split(';').nth(2)?)?;
    let mut block = BytesMut::from(lines.next()?);
    let mut incoming = Incoming::new(framing, Limits::default());
    let mut messages = Vec::new();
    loop {
        let before = block.clone();
        let Ok(Some(arrived)) = incoming.next(&mut block) else {
            break;
        };
        messages.push(before[..arrived.octets].to_vec());
    }
    Some(Said {
        greeting,
        nonce,
        framing,
        messages,
    })
}

/// What everybody said in all recordings.
fn recorded() -> Vec<Said> {
    let mut all = Vec::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    for folder in super::files(&root) {
        for file in super::files(&folder) {
            if file.extension().is_some_and(|end| end == "jsonl") {
                all.extend(streams(&file).iter().filter_map(|stream| read(stream)));
            }
        }
    }
    assert!(all.len() > 40, "there are fixtures");
    all
}

/// What a message looks like, roughly: of those that look alike one is enough.
fn shape(message: &[u8]) -> Vec<u8> {
    let mut shape = Vec::new();
    for octet in message {
        let sort = match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'#' => b'a',
            other => *other,
        };
        if shape.last() != Some(&sort) {
            shape.push(sort);
        }
    }
    shape
}

/// A number for each framing, as in `Framing::ALL`.
fn number(framing: Framing) -> u8 {
    let at = Framing::ALL.iter().position(|other| *other == framing);
    at.unwrap() as u8
}

/// Configurations, as people write them.
const FILES: &[&str] = &[
    "{\"version\":1,\"secret\":\"geheim\",\"profile\":{\"seed\":{\"binds\":\"*:4040\",\"services\":[[\"f\",1]]}}}",
    "{ # mine\n \"nodeid\": \"ruth/%n\", \"seeds\": [\"doomed:4040\", \"[::1]:4040\"],\n \"monitor_timeout\": \"0.5\", }",
    "{\"profile\":{\"a\":{\"parent\":\"b\",\"generation\":\"1\"},\"b\":{\"parent\":\"a\"}},\"binds\":[]}",
    "{\"allow\":[\"call * from *\"],\"deny\":\"kill\",\"max_queue\":1e6,\"secure\":1,\"bridge\":null}",
    "[1,2,]",
];

/// Messages that the types of `arguments` take, or nearly.
const ARGUMENTS: [&str; 16] = [
    r#"["a.b","stop"]"#,
    r#"["a.b","name","x"]"#,
    r#"["a.b","move",-7,255,1.5]"#,
    r#"["a.b","move",-7,256,1e300]"#,
    r#"["a.b","say","ruth",null]"#,
    r#"["a.b","say",7]"#,
    r#"["a.b","also this",[true,false],9]"#,
    r#"["a.b","g_upd",[]]"#,
    r#"["a.b","lists",[[1,"2"],[]],{"a":"b","c":1}]"#,
    r#"["a.b","to","ruth#a.b"]"#,
    r#"["a.b","raw","\u00e9a","c"]"#,
    r#"["a.b","within",{"Both":[1,2]}]"#,
    r#"["a.b","within",["Named",true]]"#,
    r#"["a.b","nothing",null]"#,
    r#"["a.b","One",{"Two":"x"},{"Named":{"a":true}}]"#,
    r#"["a.b",1,"2",["3"]]"#,
];

/// A report as `aemp::report` sends it: of a node with a link, a group, and what was lost.
const REPORT: &str = r#"["a.b",{"age":{"secs":9,"nanos":1},"stats":{"node":"a","ports":2,"groups":1,"links":[{"node":"b",
    "remote":"127.0.0.1:1","generation":"1b","provider":"AE-1.30","send_framing":"json","recv_framing":"json","sent":1,
    "sent_octets":2,"received":3,"received_octets":4,"queued_octets":5,"reconnects":6}],"known":["a","b"],"seeds":["b"]},
    "metrics":{"node":"a","ports":2,"links":1,"links_made":1,"sent":0,"sent_octets":0,"received":0,"received_octets":0,
    "unwritten_octets":5,"losses":{"io":2},"refused_handshakes":{},"deaths":{"normal":9,"die":4},"queued":6,"queued_octets":60,
    "longest_queue":5,"longest_queue_ever":5,"limits":{},"refused":{},"handled":0,"handler_time":{"secs":0,"nanos":0},
    "longest_handler":{"secs":0,"nanos":0}},"groups":{"g":["a#x"]},"deaths":[{"port":"a#y","reason":"die oops",
    "ago":{"secs":3,"nanos":0}}],"losses":[{"node":"c","kind":"io","reason":"broken","ago":{"secs":4,"nanos":0}}]}]"#;

/// How `arbitrary` draws an operation that calls a function which tells of a node, and one that is
/// relayed: they are the last of twelve, and the one before.
const TELL: &[u8] = b"\xff\xff\xff\xff";
const RELAYED: &[u8] = b"\x00\x00\x00\xe0";

/// What broke a rule once, or what a target made of one, with the target's name.
const FOUND: &[(&str, &[u8])] = &[
    // A list with a number that no Rust number holds was read as a string.
    ("transcode", b"\x01[\"a.b\",[\r1e400]]"),
    // The tag of a message is text as its framing writes it, and none if CBOR has tagged it.
    ("transcode", b"\x01[\"a.b\",11e400]"),
    ("transcode", b"\x00\x82\x43a.b\xfbA\xda\xc0\xf8\xb8\xe6\xa8\xac"),
    ("transcode", b"\x00\x83\x40\xd9\xd9\xf7\x45g_set\xa0"),
    // More digits than a float has.
    ("transcode", b"\x01[\"a.b\",900719925474093.51]"),
    // ciborium has no integers of more than 128 bits.
    ("cbor", b"\x06\x28\x00\x82\x40\xc3\xc3\x50\xf8\xf8\xf8\xf8\xf8\xf8\xf8\xf8\xf8\xf8\xf8\xf8\xf8\xf8\xf8\x08"),
    // .. whatever the length of the head of their tag.
    ("cbor", b"\x06\x28\x00\x82\x40\xd8\x03\x50\xfc\x00\x06\x00\x00\x00\x00\x84\x06\x00\x00\x00\x00\x84\x40\xd8"),
    ("cbor", b"\x06\x28\x00\x82\x40\xd9\x00\x03\xd9\x00\x03\x50\xfc\x00\x06\x00\x00\x00\x00\x84\x06\x00\x00\x00\x00\x84\x40\xd8"),
    // A port that is spawned and takes no messages ends; between ports there is no order.
    ("requests", b"\x00\x02\x32\x01"),
    ("requests", b"\x01\x01\x2f\x01\x89\x89\x8d\x89\x89\x89\x89\x89\x65\x2f"),
    // A question is open that has the same number as another one.
    ("database", b"\xff\x0411"),
    // More connections than the schedule opens are needed to come to rest.
    ("peering", b"\xfb\xff\xff\x09\xf1\xff\xcf\x07\x00\x00;\xff#\x04\x02g_find\x00\xbf\x01\x07\x00\x00\x00\x00\"dskkkk\
        kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk\
        kkkkkkkkkkkkkkkkkkkkkkkkkkkkkk\x00\"dskkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk\
        kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk\"binds\":\xc8\",\""),
];

/// The seeds of each target that takes octets as they come.
pub fn all() -> Vec<(&'static Target, Vec<Vec<u8>>)> {
    let said = recorded();
    let of = |target: &'static Target| (target, seeds(target.name, &said));
    TARGETS.iter().map(of).collect()
}

fn seeds(target: &str, said: &[Said]) -> Vec<Vec<u8>> {
    let mut seeds = Seeds::default();
    // Two sizes of pieces, and the default limits.
    let (sizes, default) = ([6, 40], [0]);
    let mut shapes = BTreeSet::new();
    let mut messages = Vec::new();
    for said in said {
        for message in &said.messages {
            if message.len() <= MOST && shapes.insert(shape(message)) {
                messages.push((said.framing, &message[..]));
            }
        }
    }
    let mut of_framing = |framing| {
        for (_, message) in messages.iter().filter(|message| message.0 == framing) {
            seeds.add(&[&sizes, &default, message]);
        }
    };
    match target {
        "greeting" => {
            for said in said {
                seeds.add(&[said.greeting.as_bytes()]);
            }
        }
        "handshake" => {
            for (n, said) in said.iter().enumerate() {
                let side = [n as u8 & 7, 0, n as u8 % 4, 0, 0];
                let framing = said.framing.name();
                let lines = [&said.greeting, &said.nonce, CLEARTEXT].join("\n");
                let lines = format!("{lines};{framing}\n[]");
                seeds.add(&[&side, &sizes, lines.as_bytes()]);
            }
        }
        "json" => of_framing(Framing::Json),
        "cbor" => of_framing(Framing::Cbor),
        "storable" => of_framing(Framing::Storable),
        "quick" => {
            for (framing, message) in &messages {
                match framing {
                    Framing::Json => seeds.add(&[&[0], &default, message]),
                    Framing::Cbor => seeds.add(&[&[1], &default, message]),
                    _ => {}
                }
            }
        }
        "transcode" | "reading" => {
            for (framing, message) in &messages {
                seeds.add(&[&[number(*framing)], message]);
            }
            for to in Framing::ALL.into_iter().filter(|_| target == "reading") {
                let mut octets = Vec::new();
                json_in(&mut octets, to, REPORT.as_bytes()).unwrap();
                seeds.add(&[&[number(to)], &octets]);
            }
        }
        "requests" => {
            // For each of the functions that tell of a node: a call, and one by way of `snd`.
            for which in 0..3 {
                seeds.add(&[&[3], TELL, &[which, 0], RELAYED, TELL, &[which, 1]]);
            }
        }
        "arguments" => {
            for (framing, message) in &messages {
                seeds.add(&[&[number(*framing)], message]);
            }
            for message in ARGUMENTS {
                for to in Framing::ALL {
                    let mut octets = Vec::new();
                    json_in(&mut octets, to, message.as_bytes()).unwrap();
                    seeds.add(&[&[number(to)], &octets]);
                }
            }
        }
        "md6" => {
            for (n, said) in said.iter().take(8).enumerate() {
                seeds.add(&[&sizes, &[n as u8 * 4], said.greeting.as_bytes()]);
            }
        }
        "rc" => {
            for file in FILES {
                seeds.add(&[file.as_bytes()]);
            }
        }
        // Those that take a structure begin with nothing: a fuzzer finds the rest.
        _ => seeds.add(&[&[]]),
    }
    for (_, found) in FOUND.iter().filter(|(name, _)| *name == target) {
        seeds.add(&[found]);
    }
    // serde_json would go no deeper than 127 levels.
    if target == "json" {
        seeds.add(&[&sizes, &default, b"[\"\",", &[b'['; 140]]);
    }
    // A message that came in JSON is a good one in the others, too.
    if target == "storable" {
        for (_, message) in messages
            .iter()
            .filter(|(framing, _)| *framing == Framing::Json)
        {
            let mut image = Vec::new();
            json_in(&mut image, Framing::Storable, message.trim_ascii()).unwrap();
            seeds.add(&[&sizes, &default, &image]);
        }
    }
    seeds.all
}
