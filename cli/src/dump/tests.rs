//! Nothing that a file may hold has the command panic.

use std::path::Path;

use aemp::proto::Secret;
use proptest::prelude::*;

use super::capture::{Direction, read};
use super::decode::decode;

/// All that the command would say of a file.
fn all_of(file: &[u8]) -> usize {
    let capture = read(file);
    let secret = Secret::from("geheim");
    let mut said = capture.unreadable.len();
    for conversation in &capture.conversations {
        for secret in [None, Some(&secret)] {
            for event in decode(conversation, secret) {
                said += event.text(conversation.number).len();
                said += event
                    .json(Some("file"), conversation.number)
                    .to_string()
                    .len();
            }
        }
    }
    said
}

fn fixture(name: &str) -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
    std::fs::read(root.join(name)).unwrap()
}

/// What stands in front, so that more than the first octet is looked at: of pcap, for each type of
/// link and either order, a header and that of a packet of 64 octets.
fn starts() -> Vec<Vec<u8>> {
    let mut starts: Vec<Vec<u8>> = vec![
        vec![],
        b"{\"conn\":1,\"dir\":\">\",\"text\":\"aemp;1".to_vec(),
        b"aemp;1;a;cleartext;json\nnonce\ncleartext;x;json\n".to_vec(),
        b"aemp;1;a;cleartext;cbor\nnonce\ncleartext;x;cbor\n".to_vec(),
        b"aemp;1;a;cleartext;storable\nnonce\ncleartext;x;storable\n".to_vec(),
        b"aemp-dataconn;1;a;cleartext;json\nnonce\ncleartext;x;json\n".to_vec(),
        b"aemp;1;a;cleartext;json;tls=1.0\nnonce\n\x16\x03".to_vec(),
    ];
    for link in [0_u32, 1, 101, 113, 276] {
        let fields = [0xa1b2_c3d4, 0x0002_0004, 0, 0, 65535, link, 1, 1, 64, 64];
        starts.push(
            fields
                .iter()
                .flat_map(|field: &u32| field.to_be_bytes())
                .collect(),
        );
        let fields = [0xa1b2_c3d4, 0x0004_0002, 0, 0, 65535, link, 1, 1, 64, 64];
        starts.push(
            fields
                .iter()
                .flat_map(|field: &u32| field.to_le_bytes())
                .collect(),
        );
    }
    starts
}

/// A direction of a fixture, as it passed.
fn raw(name: &str, direction: Direction) -> Vec<u8> {
    let capture = read(&fixture(name));
    let chunks = capture.conversations[0].chunks.iter();
    let chunks = chunks.filter(|chunk| chunk.direction == direction);
    chunks.flat_map(|chunk| chunk.octets.clone()).collect()
}

const NAMES: [&str; 5] = [
    "perl-1.30/peer-json.jsonl",
    "perl-1.30/peer-storable.jsonl",
    "perl-1.30/data-connection.jsonl",
    "perl-2.02/pair-cbor.jsonl",
    "perl-2.02/tls-both-plain.jsonl",
];

proptest! {
    #[test]
    fn any_octets_are_said_something_of(
        start in prop::sample::select(starts()),
        octets in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let file = [start, octets].concat();
        prop_assert!(all_of(&file) > 0);
    }

    #[test]
    fn any_bits_of_a_file_may_be_flipped(
        name in prop::sample::select(&NAMES[..]),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0..8_u8), 1..8),
    ) {
        let mut file = fixture(name);
        for (place, bit) in flips {
            let place = place.index(file.len());
            file[place] ^= 1 << bit;
        }
        prop_assert!(all_of(&file) > 0);
    }

    #[test]
    fn any_bits_of_a_conversation_may_be_flipped(
        name in prop::sample::select(&NAMES[..]),
        direction in prop::sample::select(&[Direction::Forth, Direction::Back][..]),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0..8_u8), 1..8),
    ) {
        let mut octets = raw(name, direction);
        for (place, bit) in flips {
            let place = place.index(octets.len());
            octets[place] ^= 1 << bit;
        }
        prop_assert!(all_of(&octets) > 0);
    }
}
