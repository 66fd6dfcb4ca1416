use super::super::check::{self, Some2};
use super::super::*;
use crate::proto::framing::cbor::encode_to;
use crate::proto::framing::cbor::tests::{octet, stream, transcode::value};
use proptest::prelude::*;
use serde_json::Value;

/// In CBOR.
fn both<T>(octets: &[u8], limits: Limits) -> Option<T>
where
    T: for<'de> Deserialize<'de> + PartialEq + std::fmt::Debug,
{
    check::both(Framing::Cbor, octets, limits)
}

fn all(octets: &[u8], limits: Limits) {
    check::all(Framing::Cbor, octets, limits);
}

#[test]
fn usual_messages() {
    let limits = Limits::default();
    let small = b"\x85\x4aserver#a.b\x41m\x11\x4bhello world\xa1\x41k\x83\x01\x02\x03\x82";
    let read: (u64, String, Value) = both(small, limits).unwrap();
    assert_eq!((read.0, read.1.as_str()), (17, "hello world"));
    both::<()>(b"\x82\x41a\x44ping\x80", limits).unwrap();
    both::<()>(b"\x82\x61a\x64ping", limits).unwrap();
    both::<(Option<u8>,)>(b"\x82\x41a\x44ping", limits).unwrap();
    both::<(u8,)>(b"\x85\x41a\x41x\x01\xa1\x41m\x81\x80\xf6", limits).unwrap();
    both::<(String,)>(b"\x83\x41a\x41x\x44caf\xe9", limits).unwrap();
    both::<(String,)>(b"\x83\x41a\x41x\x7f\x61a\x61b\xff", limits).unwrap();
    let map = b"\x83\x41a\x41x\xa3\x41a\x01\x41c\x81\xa0\x41b\x41y";
    let some: (Some2,) = both(map, limits).unwrap();
    assert_eq!(some.0.b.as_deref(), Some("y"));
}

#[test]
fn gives_up() {
    let limits = Limits::default();
    for octets in [
        &b"\x83\x41a\x41x"[..],
        b"\x83\x41a\x41x\x18",
        b"\x84\x41a\x41x\x01",
        b"\x83\x41a\x41x\xf9\x3e\x00", // 1.5
        b"\x83\x41a\x41x\x411",
        b"\x82\x41a\x41x",
        b"\x84\x41a\x41x\x01\x61\xff",
        b"\x84\x41a\x41x\x01\xbf\x01\xff",
        b"\x84\x41a\x41x\x01\xff",
        b"\x84\x41a\x41x\x01\x1c",
        b"\x83\x41\xe9\x41x\x01",
        b"\x83\x41a\x07\x01",
        b"\x9f\x41a\x41x\x01\xff",
        b"\x80\x83\x41a\x41x\x01",
    ] {
        let read = both::<(u8,)>(octets, limits);
        assert_eq!(read, None, "{}", octets.escape_ascii());
    }
    let nested = [&b"\x84\x41a\x41x\x01"[..], &[0x81; 600], b"\x80"].concat();
    assert_eq!(both::<(u8,)>(&nested, limits), None);
    let long = |max_message| Limits {
        max_message,
        ..limits
    };
    let message = b"\x83\x41a\x41x\x18\x7b";
    assert_eq!(both::<(u8,)>(message, long(7)), Some((123,)));
    assert_eq!(both::<(u8,)>(message, long(6)), None);
    let shallow = |max_depth| Limits {
        max_depth,
        ..limits
    };
    let message = b"\x83\x41a\x41x\x81\x81\x01";
    assert!(both::<(Vec<[u8; 1]>,)>(message, shallow(3)).is_some());
    for depth in 0..3 {
        all(message, shallow(depth));
        assert_eq!(both::<(Vec<[u8; 1]>,)>(message, shallow(depth)), None);
    }
}

/// An item, mostly a sound one.
fn item() -> impl Strategy<Value = Vec<u8>> {
    let odd: &[&[u8]] = &[
        b"\x9f\x01\xff",
        b"\xbf\x41a\x01\xff",
        b"\xbf\x41a\xff",
        b"\x5f\x41a\xff",
        b"\x7f\x62\xc3\xa9\xff",
        b"\x7f\x61\xc3\x61\xa9\xff",
        b"\x44caf\xe9",
        b"\x61\xff",
        b"\xc1\x01",
        b"\xc2\x42\x01\x00",
        b"\xc2\x01",
        b"\xd8\x1d\x00",
        b"\xf9\x3c\x00",
        b"\xf7",
        b"\xa1\xf7\x01",
        b"\xf8\x20",
        b"\xff",
        b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff",
    ];
    let sound = value().prop_map(|value| {
        let mut out = Vec::new();
        crate::proto::framing::cbor::encode_elements(&mut out, &(value,)).unwrap();
        out
    });
    let odd = prop::sample::select(odd.to_vec()).prop_map(<[u8]>::to_vec);
    prop_oneof![3 => sound, 1 => odd]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever comes, the quick way gives what the usual way gives, or gives up.
    #[test]
    fn never_differs(
        items in prop::collection::vec(item(), 0..5),
        rest in prop::collection::vec(octet(), 0..5),
        cut in prop::option::weighted(0.3, any::<prop::sample::Index>()),
        damage in prop::option::weighted(0.3, (any::<prop::sample::Index>(), octet())),
        max_depth in prop_oneof![Just(512_usize), 0..10_usize],
        max_message in prop_oneof![Just(1_usize << 20), 1..80_usize],
    ) {
        let start = [&[0x82 + items.len() as u8], &b"\x43a.b\x41x"[..]].concat();
        let mut octets = [start, items.concat(), rest].concat();
        if let Some((at, octet)) = damage {
            let at = at.index(octets.len());
            octets[at] = octet;
        }
        if let Some(cut) = cut {
            octets.truncate(cut.index(octets.len() + 1));
        }
        all(&octets, Limits { max_message, max_depth });
    }

    /// The same for messages of every other sort.
    #[test]
    fn never_differs_on_samples(stream in stream(), tag in any::<bool>()) {
        let start: &[u8] = if tag { b"\x84\x41a\x41x" } else { b"" };
        all(&[start, &stream].concat(), Limits::default());
    }

    /// A sound message of usual values is always read quickly.
    #[test]
    fn usual_ones_are_quick(n: u64, text: String, list: Vec<i16>) {
        let mut octets = Vec::new();
        encode_to(&mut octets, "a.b", &("m", n, &text, &list)).unwrap();
        let read: (u64, String, Vec<i16>) = both(&octets, Limits::default()).unwrap();
        prop_assert_eq!(read, (n, text, list));
    }
}
