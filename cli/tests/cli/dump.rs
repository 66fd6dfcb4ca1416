//! `aemp dump`: verifies what real nodes said, and finds the one bit that is wrong in it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use aemp::proto::message::Incoming;
use aemp::proto::{Framing, Limits};
use assert_cmd::assert::Assert;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

use super::Home;

fn fixtures() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
    let mut found = Vec::new();
    for folder in std::fs::read_dir(root).unwrap() {
        let Ok(files) = std::fs::read_dir(folder.unwrap().path()) else {
            continue;
        };
        let files = files.map(|file| file.unwrap().path());
        found.extend(files.filter(|file| file.extension().is_some_and(|end| end == "jsonl")));
    }
    found.sort();
    assert!(found.len() > 30, "there are fixtures");
    found
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fixtures")
        .join(name)
}

/// The secret of a conversation: the `.json` beside it says it, or it is that of all the others.
fn secret(file: &Path) -> String {
    let Ok(about) = std::fs::read(file.with_extension("json")) else {
        return "geheim".to_owned();
    };
    let about: Value = serde_json::from_slice(&about).unwrap();
    about["secret"].as_str().unwrap().to_owned()
}

/// A chunk of a fixture.
struct Chunk {
    row: Value,
    conn: u64,
    dir: String,
    octets: Vec<u8>,
}

fn load(file: &Path) -> Vec<Chunk> {
    let text = std::fs::read_to_string(file).unwrap();
    let rows = text.lines().map(|line| {
        let row: Value = serde_json::from_str(line).unwrap();
        let octets = match &row["text"] {
            Value::String(text) => text.clone().into_bytes(),
            _ => BASE64.decode(row["base64"].as_str().unwrap()).unwrap(),
        };
        Chunk {
            conn: row["conn"].as_u64().unwrap(),
            dir: row["dir"].as_str().unwrap().to_owned(),
            row,
            octets,
        }
    });
    rows.collect()
}

type Streams = BTreeMap<(u64, String), Vec<u8>>;

fn streams(chunks: &[Chunk]) -> Streams {
    let mut streams = Streams::new();
    for chunk in chunks {
        let stream = streams.entry((chunk.conn, chunk.dir.clone())).or_default();
        stream.extend_from_slice(&chunk.octets);
    }
    streams
}

/// Writes a capture, in which one bit of a direction is another.
fn with_flipped(path: &Path, chunks: &[Chunk], direction: &(u64, String), octet: usize, bit: u8) {
    let mut begin = 0;
    let mut text = String::new();
    for chunk in chunks {
        let mut octets = chunk.octets.clone();
        if (chunk.conn, &chunk.dir) == (direction.0, &direction.1) {
            if (begin..begin + octets.len()).contains(&octet) {
                octets[octet - begin] ^= 1 << bit;
            }
            begin += octets.len();
        }
        let mut row = chunk.row.clone();
        row.as_object_mut().unwrap().remove("text");
        row["base64"] = BASE64.encode(octets).into();
        text += &format!("{row}\n");
    }
    std::fs::write(path, text).unwrap();
}

/// Where the three lines of a handshake end, if they are all there.
fn line_ends(stream: &[u8]) -> Option<[usize; 3]> {
    let ends = (0..stream.len()).filter(|at| stream[*at] == b'\n');
    let ends: Vec<usize> = ends.take(3).collect();
    ends.try_into().ok()
}

fn dump(home: &Home, args: &[&str]) -> Assert {
    home.aemp(&[&["dump"], args].concat())
}

fn stdout(assert: &Assert) -> String {
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}

/// The events as JSON, without what differs from format to format.
fn events(assert: &Assert) -> Vec<Value> {
    let events = stdout(assert);
    let events = events.lines().map(|line| {
        let mut event: Value = serde_json::from_str(line).unwrap();
        for key in ["at", "file", "conn"] {
            event.as_object_mut().unwrap().remove(key);
        }
        event
    });
    events.collect()
}

#[test]
fn every_fixture_is_verified() {
    let home = Home::new();
    for file in fixtures() {
        let place = file.display();
        let args = ["--json", "--secret", &secret(&file), file.to_str().unwrap()];
        let events = events(&dump(&home, &args).success());
        let tokens = streams(&load(&file)).into_values();
        let tokens = tokens.filter(|stream| line_ends(stream).is_some()).count();
        let found: Vec<&Value> = events.iter().filter(|e| e["kind"] == "token").collect();
        assert_eq!(found.len(), tokens, "{place}");
        for token in found {
            let text = token["text"].as_str().unwrap();
            assert!(text.contains(", verified;"), "{place}: {text}");
        }
        assert!(
            events.iter().any(|event| event["kind"] == "message"),
            "{place}"
        );
    }
}

#[test]
fn a_flipped_bit_of_a_token_is_found() {
    let home = Home::new();
    let path = home.folder.path().join("flipped.jsonl");
    for (seed, file) in (0..).zip(fixtures()) {
        let mut random = StdRng::seed_from_u64(seed);
        let chunks = load(&file);
        let streams = streams(&chunks);
        let streams: Vec<_> = streams
            .iter()
            .filter_map(|(direction, stream)| Some((direction, stream, line_ends(stream)?)))
            .collect();
        let (direction, stream, [_, nonce, end]) = streams.choose(&mut random).unwrap();
        let line = &stream[nonce + 1..*end];
        let token: Vec<usize> = line.split(|o| *o == b';').map(<[u8]>::len).collect();
        let octet = nonce + 1 + token[0] + 1 + random.random_range(0..token[1]);
        let bit = random.random_range(0..8);
        with_flipped(&path, &chunks, direction, octet, bit);
        let assert = dump(&home, &["--secret", &secret(&file), path.to_str().unwrap()]).code(1);
        let ((conn, dir), named) = (direction, nonce + 1);
        let place = format!(" {conn}{dir} @{named:<6} WRONG at octet {named}: ");
        let said = stdout(&assert);
        assert!(
            said.contains(&place),
            "{} {octet}.{bit}: no {place:?} in {said}",
            file.display()
        );
    }
}

/// The bits of a message that say where it ends, and of each the octet that has to be named. The
/// lower bits of the first octet of a message in CBOR are none: they count its elements, and with
/// another count what follows may be as sound.
fn framing_bits(framing: Framing, message: &[u8], begin: usize) -> Vec<(usize, u8, usize)> {
    let last = begin + message.len() - 1;
    let octets = match framing {
        Framing::Json => vec![(begin, 0, begin), (last, 0, last)],
        Framing::Cbor => vec![(begin, 5, begin)],
        // The length, and behind it the format of the image.
        _ => {
            let format = message.iter().position(|octet| *octet < 0x80).unwrap() + 1;
            vec![(begin, 0, begin), (begin + format, 0, begin + format)]
        }
    };
    let octets = octets.into_iter();
    let bits = octets.flat_map(|(octet, first, named)| (first..8).map(move |b| (octet, b, named)));
    bits.collect()
}

#[test]
fn a_flipped_bit_of_a_framing_is_found() {
    let home = Home::new();
    let path = home.folder.path().join("flipped.jsonl");
    for (seed, file) in (0..).zip(fixtures()) {
        let mut random = StdRng::seed_from_u64(seed);
        let chunks = load(&file);
        let streams = streams(&chunks);
        let mut bits = Vec::new();
        for (direction, stream) in &streams {
            let connector = &streams[&(direction.0, ">".to_owned())];
            let Some([_, nonce, end]) = line_ends(stream) else {
                continue;
            };
            if connector.starts_with(b"aemp-dataconn") {
                continue;
            }
            let token = String::from_utf8(stream[nonce + 1..end].to_vec()).unwrap();
            let framing = Framing::from_name(token.split(';').nth(2).unwrap()).unwrap();
            let mut incoming = Incoming::new(framing, Limits::default());
            let mut block = bytes::BytesMut::from(&stream[end + 1..]);
            let mut begin = end + 1;
            while let Some(message) = incoming.next(&mut block).unwrap() {
                let octets = &stream[begin..begin + message.octets];
                let found = framing_bits(framing, octets, begin).into_iter();
                bits.extend(found.map(|bit| (direction, bit)));
                begin += message.octets;
            }
        }
        let (direction, (octet, bit, named)) = bits.choose(&mut random).unwrap();
        with_flipped(&path, &chunks, direction, *octet, *bit);
        let assert = dump(&home, &["--secret", &secret(&file), path.to_str().unwrap()]);
        let said = stdout(&assert);
        let (conn, dir) = direction;
        // An image of Storable is wrong as a whole if its length is: its first octet is named.
        let names = |line: &str| {
            line.contains(&format!(" {conn}{dir} @"))
                && (line.contains(&format!(" WRONG at octet {named}: "))
                    || line.contains(&format!(": the message at octet {named}, in storable: ")))
        };
        let place = format!("{} {octet}.{bit}", file.display());
        assert!(
            said.lines().any(names),
            "{place}: no octet {named} in {said}"
        );
        assert.code(1);
    }
}

/// A file of packets: IPv4 in Ethernet, as a network card has them.
struct Packets {
    big: bool,
    file: Vec<u8>,
    time: u32,
}

impl Packets {
    fn new(big: bool) -> Self {
        let mut packets = Packets {
            big,
            file: Vec::new(),
            time: 0,
        };
        packets.put(&[0xa1b2_c3d4]);
        let versions: [u16; 2] = [2, 4];
        for version in versions {
            packets.file.extend(match big {
                true => version.to_be_bytes(),
                false => version.to_le_bytes(),
            });
        }
        packets.put(&[0, 0, 65535, 1]);
        packets
    }

    fn put(&mut self, fields: &[u32]) {
        for field in fields {
            self.file.extend(match self.big {
                true => field.to_be_bytes(),
                false => field.to_le_bytes(),
            });
        }
    }

    fn packet(&mut self, dir: &str, ports: (u16, u16), flags: u8, sequence: u32, octets: &[u8]) {
        let (from, to) = match dir {
            ">" => ports,
            _ => (ports.1, ports.0),
        };
        let length = u16::try_from(40 + octets.len()).unwrap();
        let mut packet = [[2; 12].as_slice(), &[8, 0, 0x45, 0]].concat();
        packet.extend(length.to_be_bytes());
        packet.extend([0, 0, 0, 0, 64, 6, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1]);
        packet.extend(from.to_be_bytes());
        packet.extend(to.to_be_bytes());
        packet.extend(sequence.to_be_bytes());
        packet.extend([0, 0, 0, 0, 0x50, flags, 255, 255, 0, 0, 0, 0]);
        packet.extend(octets);
        self.time += 1;
        let length = u32::try_from(packet.len()).unwrap();
        self.put(&[1_700_000_000, self.time, length, length]);
        self.file.extend(packet);
    }

    fn write(&self, home: &Home) -> String {
        let path = home.folder.path().join("network.pcap");
        std::fs::write(&path, &self.file).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

const SYN: u8 = 2;
const ACK: u8 = 16;

/// The packets of a connection. Its sequence numbers begin again behind the highest one.
fn packets(big: bool, chunks: &[Chunk], leave_out: Option<usize>, disturb: bool) -> Packets {
    let mut packets = Packets::new(big);
    let ports = (40000, 4040);
    let mut next: BTreeMap<&str, u32> = BTreeMap::from([(">", u32::MAX - 300), ("<", 7)]);
    packets.packet(">", ports, SYN, next[">"].wrapping_sub(1), b"");
    packets.packet("<", ports, SYN | ACK, next["<"].wrapping_sub(1), b"");
    for (number, chunk) in chunks.iter().enumerate() {
        let dir = &*chunk.dir;
        let sequence = next[dir];
        let count = u32::try_from(chunk.octets.len()).unwrap();
        next.insert(
            if dir == ">" { ">" } else { "<" },
            sequence.wrapping_add(count),
        );
        if leave_out == Some(number) {
            continue;
        }
        let (first, second) = chunk.octets.split_at(chunk.octets.len() / 2);
        let middle = sequence.wrapping_add(u32::try_from(first.len()).unwrap());
        match disturb {
            // The second half overtakes the first one, and then all comes once more.
            true => {
                packets.packet(dir, ports, ACK, middle, second);
                packets.packet(dir, ports, ACK, sequence, first);
                packets.packet(dir, ports, ACK, sequence, &chunk.octets);
            }
            false => packets.packet(dir, ports, ACK, sequence, &chunk.octets),
        }
    }
    packets
}

#[test]
fn pcap_is_decoded_alike() {
    let home = Home::new();
    for name in ["perl-1.30/peer-json.jsonl", "perl-2.02/pair-cbor.jsonl"] {
        let file = fixture(name);
        let chunks = load(&file);
        let args = ["--json", "--secret", "geheim", file.to_str().unwrap()];
        let expected = events(&dump(&home, &args).success());
        for (big, disturb) in [(false, false), (true, false), (false, true), (true, true)] {
            let path = packets(big, &chunks, None, disturb).write(&home);
            let args = ["--json", "--secret", "geheim", &path];
            let found = events(&dump(&home, &args).success());
            assert_eq!(
                found, expected,
                "{name}, big-endian: {big}, disturbed: {disturb}"
            );
        }
    }
}

#[test]
fn a_packet_that_is_missing_is_told() {
    let home = Home::new();
    let chunks = load(&fixture("perl-1.30/peer-json.jsonl"));
    let left_out = chunks
        .iter()
        .position(|c| c.dir == ">" && c.octets.starts_with(b"[\"HY"));
    let left_out = left_out.unwrap();
    let before = chunks[..left_out].iter().filter(|chunk| chunk.dir == ">");
    let before: usize = before.map(|chunk| chunk.octets.len()).sum();
    let path = packets(false, &chunks, Some(left_out), false).write(&home);
    let said = stdout(&dump(&home, &["--secret", "geheim", &path]).code(1));
    assert!(
        said.contains(&format!("WRONG at octet {before}: octets are missing")),
        "{said}"
    );
}

/// A network carries other things as well.
#[test]
fn what_is_no_aemp_is_passed_over() {
    let home = Home::new();
    let chunks = load(&fixture("perl-1.30/peer-json.jsonl"));
    let mut with = packets(false, &chunks, None, false);
    let web = (50000, 80);
    with.packet(">", web, SYN, 0, b"");
    with.packet(">", web, ACK, 1, b"GET / HTTP/1.1\r\n\r\n");
    let said = stdout(&dump(&home, &["--secret", "geheim", &with.write(&home)]).success());
    assert!(said.contains("2> @0      not AEMP: 18 octets"), "{said}");
    let mut without = Packets::new(false);
    without.packet(">", web, SYN, 0, b"");
    without.packet(">", web, ACK, 1, b"GET / HTTP/1.1\r\n\r\n");
    let said = stdout(&dump(&home, &[&without.write(&home)]).code(1));
    assert!(said.contains("no AEMP conversation"), "{said}");
}

#[test]
fn raw_octets_are_one_direction() {
    let home = Home::new();
    let path = home.folder.path().join("raw");
    for name in [
        "perl-1.30/peer-storable.jsonl",
        "perl-2.02/json-to-cbor.jsonl",
    ] {
        let file = fixture(name);
        for (direction, octets) in streams(&load(&file)) {
            std::fs::write(&path, octets).unwrap();
            let path = path.to_str().unwrap();
            let found = events(&dump(&home, &["--json", path]).success());
            let whole = dump(&home, &["--json", file.to_str().unwrap()]).success();
            let messages = |events: Vec<Value>, dir: &str| -> Vec<Value> {
                let messages = events.into_iter();
                let messages = messages.filter(|e| e["kind"] == "message" && e["dir"] == dir);
                messages
                    .map(|e| json!([e["offset"], e["port"], e["message"]]))
                    .collect()
            };
            let expected = messages(events(&whole), &direction.1);
            assert_eq!(messages(found, "-"), expected, "{name}");
            // The other side's greeting, of which the token was made, is not there.
            let said = stdout(&dump(&home, &["--secret", "geheim", path]).code(1));
            assert!(
                said.contains("the other side's greeting is missing"),
                "{said}"
            );
        }
    }
}

#[test]
fn tls_is_named() {
    let home = Home::new();
    let path = home.folder.path().join("tls.jsonl");
    let mut text = String::new();
    for chunk in load(&fixture("perl-1.30/tls-both-plain.jsonl")) {
        if chunk.row.get("inside_tls").is_none() && !chunk.octets.is_empty() {
            text += &format!("{}\n", chunk.row);
        }
    }
    let record = BASE64.encode([0x16, 3, 1, 0, 4, 1, 2, 3, 4]);
    for dir in [">", "<"] {
        text += &format!("{}\n", json!({"conn": 1, "dir": dir, "base64": record}));
    }
    std::fs::write(&path, text).unwrap();
    let said = stdout(&dump(&home, &[path.to_str().unwrap()]).code(1));
    assert_eq!(
        said.matches("TLS from here on: 9 octets, not decoded")
            .count(),
        2,
        "{said}"
    );
}

#[test]
fn what_is_wrong_with_a_file_is_told() {
    let home = Home::new();
    let path = home.folder.path().join("file");
    for (content, said) in [
        ("", "the file is empty"),
        ("hello", "neither a capture, nor a greeting, nor a message"),
        (
            "{\"conn\":1}",
            "WRONG at octet 0 of the file: a line that is no chunk",
        ),
        ("aemp;1;a", "WRONG at octet 0: the greeting has no end"),
        ("aemp;x;a\n", "WRONG at octet 0: the greeting's version"),
        (
            "[\"\",\"time\"]\n[\"a\"",
            "WRONG at octet 11: a part of a message",
        ),
    ] {
        std::fs::write(&path, content).unwrap();
        let found = stdout(&dump(&home, &[path.to_str().unwrap()]).code(1));
        assert!(found.contains(said), "{content}: {found}");
    }
    std::fs::remove_file(&path).unwrap();
    dump(&home, &[path.to_str().unwrap()]).code(1);
}

/// What a node wrote does nothing to the terminal of who reads it.
#[test]
fn control_characters_are_escaped() {
    let home = Home::new();
    let path = home.folder.path().join("raw");
    std::fs::write(&path, b"\x82\x61a\x62\x1b[").unwrap();
    let said = stdout(&dump(&home, &[path.to_str().unwrap()]).success());
    assert!(
        !said.contains('\u{1b}') && said.contains("\\u001b"),
        "{said}"
    );
}
