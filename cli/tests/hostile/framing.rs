//! Who has the secret, and sends messages that are none, never end, or are nothing but structure.

use crate::attack::{Attack, Bar, many_peers, memory, single, size};
use crate::peer::Peer;

/// The octets of a large message.
fn large() -> usize {
    size(4 << 20, 60 << 20)
}

/// One message: how it begins, what is repeated in it up to that size, how it ends.
pub fn repeated(begin: &str, part: &str, end: &str, octets: usize) -> String {
    let count = octets / (part.len() + 1);
    [begin, &vec![part; count].join(","), end].concat()
}

/// A vandal sends this one message.
fn one(name: &str, message: &[u8]) {
    in_framing(name, "json", message);
}

fn in_framing(name: &str, framing: &str, message: &[u8]) {
    let mut attack = Attack::new(name);
    let mut vandal = attack.vandal_in("vandal", framing);
    attack.send(&mut vandal, message);
    attack.judge(single(message.len()));
}

#[test]
fn a_long_string() {
    one(
        "one long string",
        repeated(r#"["p",""#, "aaaaaaa", r#""]"#, large()).as_bytes(),
    );
}

#[test]
fn many_small_elements() {
    one(
        "1-octet elements",
        repeated(r#"["p","#, "0", "]", large()).as_bytes(),
    );
}

#[test]
fn many_small_elements_for_the_node_port() {
    let message = repeated(r#"["","devnull","#, "0", "]", large());
    one("1-octet elements to the node port", message.as_bytes());
}

#[test]
fn objects_for_a_port() {
    one(
        "{\"\":0} to a port",
        repeated(r#"["p","#, r#"{"":0}"#, "]", large()).as_bytes(),
    );
}

#[test]
fn white_space() {
    let blank = " ".repeat(large());
    one("white space between messages", blank.as_bytes());
}

#[test]
fn keepalives() {
    one("keepalives", "[]".repeat(large() / 8).as_bytes());
}

#[test]
fn broken_messages() {
    one(
        "broken JSON",
        repeated(r#"["p","#, "[0]", "}", large()).as_bytes(),
    );
    one("nesting without end", "[".repeat(large()).as_bytes());
}

#[test]
fn cbor_of_small_elements() {
    let count = large() as u32;
    let mut message = b"\x9a".to_vec();
    message.extend((count + 1).to_be_bytes());
    message.extend(b"\x41p");
    message.resize(message.len() + count as usize, 0);
    in_framing("CBOR, 1-octet elements", "cbor", &message);
}

#[test]
fn cbor_of_small_maps() {
    let count = size(1 << 20, 10 << 20) / 3;
    let mut message = b"\x9a".to_vec();
    message.extend((count as u32 + 3).to_be_bytes());
    message.extend(b"\x40\x43kil\x41x");
    message.extend(b"\xa1\x40\x00".repeat(count));
    in_framing("CBOR, a1 40 00 in kil", "cbor", &message);
}

/// Lengths that are announced, and not sent.
#[test]
fn announced_lengths() {
    in_framing(
        "CBOR, a length of 60 MB",
        "cbor",
        b"\x82\x41p\x5a\x03\xc0\0\0abc",
    );
    in_framing(
        "CBOR, 2^32 elements",
        "cbor",
        b"\x9a\xff\xff\xff\xff\x41p\0\0\0",
    );
    in_framing(
        "CBOR, a map of 2^32",
        "cbor",
        b"\x82\x41p\xba\xff\xff\xff\xff\0\0",
    );
}

/// What is there of a message is not gone through again with each octet that comes.
#[test]
fn a_message_in_small_pieces() {
    let mut attack = Attack::new("a message in pieces of 512 octets");
    let mut vandal = attack.vandal("vandal");
    let message = repeated(r#"["p","#, r#"{"a":[0]}"#, "]", size(1 << 20, 16 << 20));
    for piece in message.as_bytes().chunks(512) {
        attack.send(&mut vandal, piece);
    }
    attack.judge(Bar {
        ratio: 40.0,
        ..single(message.len())
    });
}

#[test]
fn incomplete_messages_of_many_peers() {
    let mut attack = Attack::new("20 incomplete messages");
    let part = [
        r#"["p",""#.as_bytes(),
        &vec![b'a'; size(12 << 20, 60 << 20)],
    ]
    .concat();
    let peers = (0..20).map(|n| {
        let mut vandal = attack.vandal(&format!("vandal-{n}"));
        attack.send(&mut vandal, &part);
        vandal
    });
    let peers: Vec<Peer> = peers.collect();
    attack.rest_and_keep(peers, memory(many_peers()));
}
