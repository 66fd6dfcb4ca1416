//! Items as types and types as items.

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json, value::RawValue};

use super::*;

fn read<'de, T: Deserialize<'de>>(octets: &'de [u8]) -> Result<T, String> {
    let mut deserializer = Deserializer::new(octets);
    let value = T::deserialize(&mut deserializer).map_err(|e| e.to_string())?;
    assert!(deserializer.is_at_end(), "{}", octets.escape_ascii());
    Ok(value)
}

fn written<T: Serialize>(value: T) -> Vec<u8> {
    let mut out = Vec::new();
    value.serialize(Serializer::new(&mut out)).unwrap();
    out
}

#[test]
fn strings() {
    for ascii in [&b"\x42ab"[..], b"\x62ab"] {
        assert_eq!(read::<&str>(ascii).unwrap(), "ab");
        assert_eq!(read::<String>(ascii).unwrap(), "ab");
        assert_eq!(read::<Octets>(ascii).unwrap().0, b"ab");
    }
    for café in [
        &b"\x44caf\xe9"[..],
        b"\x65caf\xc3\xa9",
        b"\x5f\x43caf\x41\xe9\xff",
        b"\x7f\x63caf\x62\xc3\xa9\xff",
    ] {
        assert_eq!(read::<String>(café).unwrap(), "café");
        assert_eq!(read::<Value>(café).unwrap(), json!("café"));
        assert_eq!(read::<Octets>(café).unwrap().0, b"caf\xe9");
    }
    assert_eq!(read::<&str>(b"\x65caf\xc3\xa9").unwrap(), "café");
    let error = read::<&str>(b"\x44caf\xe9").unwrap_err();
    assert!(error.contains("expected a borrowed string"), "{error}");
    // Octets that happen to be UTF-8 are no text.
    assert_eq!(read::<String>(b"\x42\xc3\xa9").unwrap(), "Ã©");
    assert!(read::<Octets>(b"\x63\xe2\x82\xac").is_err());
    assert_eq!(read::<char>(b"\x41\xe9").unwrap(), 'é');
    assert_eq!(
        read::<crate::proto::message::Octets>(b"\x42\x00\xe9")
            .unwrap()
            .0,
        [0, 0xe9]
    );
}

/// As `serde_bytes` does it.
#[derive(Debug)]
struct Octets(Vec<u8>);

impl<'de> Deserialize<'de> for Octets {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Octets;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("octets")
            }
            fn visit_bytes<E>(self, v: &[u8]) -> Result<Octets, E> {
                Ok(Octets(v.to_vec()))
            }
        }
        d.deserialize_byte_buf(Visitor)
    }
}

#[test]
fn numbers() {
    for one in [
        &b"\x01"[..],
        b"\x18\x01",
        b"\x1b\x00\x00\x00\x00\x00\x00\x00\x01",
        b"\xf9\x3c\x00",
        b"\xfa\x3f\x80\x00\x00",
        b"\xfb\x3f\xf0\x00\x00\x00\x00\x00\x00",
        b"\xc1\x01",
        b"\xc2\x41\x01",
    ] {
        assert_eq!(read::<u8>(one).unwrap(), 1, "{}", one.escape_ascii());
        assert_eq!(read::<i64>(one).unwrap(), 1);
        assert_eq!(read::<u128>(one).unwrap(), 1);
        assert_eq!(read::<f32>(one).unwrap(), 1.0);
        assert_eq!(read::<f64>(one).unwrap(), 1.0);
    }
    for minus_two in [&b"\x21"[..], b"\xfa\xc0\x00\x00\x00", b"\xc3\x41\x01"] {
        assert_eq!(read::<i8>(minus_two).unwrap(), -2);
        assert!(read::<u64>(minus_two).is_err());
    }
    assert_eq!(
        read::<u8>(b"\x19\x01\x00").unwrap_err(),
        "invalid value: integer `256`, expected u8"
    );
    for no_integer in [
        &b"\xfa\x3f\xc0\x00\x00"[..],
        b"\xf9\x7c\x00",
        b"\xf9\x7e\x00",
        b"\xfa\x60\x00\x00\x00",
    ] {
        assert!(read::<i64>(no_integer).is_err());
    }
    assert_eq!(
        read::<u64>(b"\x1b\xff\xff\xff\xff\xff\xff\xff\xff").unwrap(),
        u64::MAX
    );
    assert_eq!(
        read::<i64>(b"\x3b\x7f\xff\xff\xff\xff\xff\xff\xff").unwrap(),
        i64::MIN
    );
    let below = b"\x3b\xff\xff\xff\xff\xff\xff\xff\xff";
    assert_eq!(read::<i128>(below).unwrap(), -(1 << 64));
    assert_eq!(read::<f64>(below).unwrap(), -18_446_744_073_709_551_616.0);
    assert_eq!(
        read::<Value>(below).unwrap(),
        json!(-18_446_744_073_709_551_616.0)
    );
    assert!(read::<i64>(below).is_err());
    let big = b"\xc2\x49\x01\x00\x00\x00\x00\x00\x00\x00\x00";
    assert_eq!(read::<u128>(big).unwrap(), 1 << 64);
    assert_eq!(read::<f64>(big).unwrap(), 18_446_744_073_709_551_616.0);
    // A float stays one where both fit.
    assert_eq!(read::<Value>(b"\xf9\x40\x00").unwrap(), json!(2.0));
    assert_eq!(read::<crate::Num<u8>>(b"\x42\x31\x30").unwrap().0, 10);
    assert_eq!(read::<crate::Text>(b"\x0a").unwrap().0, "10");
}

#[test]
fn the_rest() {
    for nothing in [&b"\xf6"[..], b"\xf7", b"\xc1\xf6"] {
        assert_eq!(read::<Option<u8>>(nothing).unwrap(), None);
        read::<()>(nothing).unwrap();
        assert_eq!(read::<Value>(nothing).unwrap(), Value::Null);
    }
    assert_eq!(read::<Option<u8>>(b"\x01").unwrap(), Some(1));
    assert!(read::<bool>(b"\xf5").unwrap() && !read::<bool>(b"\xf4").unwrap());
    for list in [&b"\x82\x01\x02"[..], b"\x9f\x01\x02\xff"] {
        assert_eq!(read::<Vec<u8>>(list).unwrap(), [1, 2]);
        assert_eq!(read::<(u8, u8)>(list).unwrap(), (1, 2));
        assert!(read::<[u8; 1]>(list).is_err());
        assert!(read::<[u8; 3]>(list).is_err());
    }
    for map in [
        &b"\xa2\x41a\x01\x05\x02"[..],
        b"\xbf\x61a\x01\x61\x35\x02\xff",
    ] {
        let map: BTreeMap<String, u8> = read(map).unwrap();
        assert_eq!(map, BTreeMap::from([("a".into(), 1), ("5".into(), 2)]));
    }
    let map: HashMap<u16, &str> = read(b"\xa2\x42\x31\x32\x41a\x0d\x41b").unwrap();
    assert_eq!((map[&12], map[&13]), ("a", "b"));
    let value: Value = read(b"\xa3\xf6\x01\xfa\x3f\xc0\x00\x00\x02\x41\xe9\x03").unwrap();
    assert_eq!(value, json!({"": 1, "1.5": 2, "é": 3}));
    assert!(read::<Value>(b"\xa1\x80\x01").is_err());
    assert!(read::<Value>(b"\xd8\x1d\x00").is_err());

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Shape {
        Point,
        Circle(f64),
        Rect(u8, u8),
        Named { name: String },
    }
    let shapes = [
        Shape::Point,
        Shape::Circle(1.5),
        Shape::Rect(1, 2),
        Shape::Named { name: "é".into() },
    ];
    for shape in shapes {
        let octets = written(&shape);
        assert_eq!(read::<Shape>(&octets).unwrap(), shape);
        let json = serde_json::to_value(&shape).unwrap();
        assert_eq!(read::<Value>(&octets).unwrap(), json);
    }
    assert_eq!(
        read::<Shape>(b"\xbf\x66Circle\x01\xff").unwrap(),
        Shape::Circle(1.0)
    );

    let raw: Box<RawValue> =
        read(b"\x82\x41\xe9\xa1\x41a\xfb\x3f\xb9\x99\x99\x99\x99\x99\x9a").unwrap();
    assert_eq!(raw.get(), r#"["é",{"a":0.1}]"#);
    assert_eq!(
        written(&raw),
        b"\x82\x62\xc3\xa9\xa1\x41a\xfb\x3f\xb9\x99\x99\x99\x99\x99\x9a"
    );
    let raw: Box<RawValue> = Box::<RawValue>::deserialize(Sequence::new(b"\x01\x02")).unwrap();
    assert_eq!(raw.get(), "[1,2]");
}

#[test]
fn written_as_cbor_xs_would() {
    assert_eq!(
        written(("a", "", "é", 'b')),
        b"\x84\x41a\x40\x62\xc3\xa9\x41b"
    );
    assert_eq!(
        written([0, 23, 24, 255, 256, -1, -256, -257]),
        b"\x88\x00\x17\x18\x18\x18\xff\x19\x01\x00\x20\x38\xff\x39\x01\x00"
    );
    assert_eq!(written((1.5, 0.1, 2.0, f64::NAN, f64::INFINITY, -0.0)), b"\x86\xfa\x3f\xc0\x00\x00\xfb\x3f\xb9\x99\x99\x99\x99\x99\x9a\xfa\x40\x00\x00\x00\xfb\x7f\xf8\x00\x00\x00\x00\x00\x00\xfa\x7f\x80\x00\x00\xfa\x80\x00\x00\x00");
    assert_eq!(
        written((true, false, None::<u8>, ())),
        b"\x84\xf5\xf4\xf6\xf6"
    );
    assert_eq!(
        written((u64::MAX, i64::MIN)),
        b"\x82\x1b\xff\xff\xff\xff\xff\xff\xff\xff\x3b\x7f\xff\xff\xff\xff\xff\xff\xff"
    );
    assert_eq!(written((1u128 << 64, i128::MIN)).len(), 1 + 21 + 42);
    let map = BTreeMap::from([("a", vec![1]), ("é", vec![])]);
    assert_eq!(written(map), b"\xa2\x41a\x81\x01\x62\xc3\xa9\x80");
    // Of unknown length.
    struct Lazy(usize);
    impl Serialize for Lazy {
        fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
            use serde::ser::SerializeSeq;
            let mut seq = s.serialize_seq(None)?;
            for _ in 0..self.0 {
                seq.serialize_element(&1)?;
            }
            seq.end()
        }
    }
    for n in [0, 1, 23, 24, 300] {
        assert_eq!(written(Lazy(n)), written(vec![1; n]));
    }
    let broken = HashMap::from([((1, 2), 3)]);
    let mut out = b"x".to_vec();
    assert!(encode_elements(&mut out, &(broken,)).is_err());
    assert!(encode_to(&mut out, "p", &5).is_err());
    assert_eq!(out, b"x");
    for n in [0, 22, 23, 24, 300] {
        out.clear();
        encode_to(&mut out, "p", &vec![1; n]).unwrap();
        let frame = CborScanner::new(Limits::default())
            .next(&out)
            .unwrap()
            .unwrap();
        assert_eq!((frame.end, frame.elements().len()), (out.len(), n));
        let mut relayed = Vec::new();
        write_start(&mut relayed, "p", n);
        relayed.extend_from_slice(&out[frame.elements()]);
        assert_eq!(relayed, out);
    }
}

/// The deepest message that is let in fits on the stack of a thread, in unoptimised code, too.
#[test]
fn depth_is_limited() {
    let nested = |depth: usize| [&b"\x81".repeat(depth - 1)[..], b"\x80"].concat();
    let thread = std::thread::Builder::new().stack_size(2 << 20);
    let deep = nested(512);
    let read_deep = move || read::<Value>(&deep).map(|value| value.to_string().len());
    assert_eq!(thread.spawn(read_deep).unwrap().join().unwrap(), Ok(1024));
    assert_eq!(read::<Value>(&nested(513)).unwrap_err(), "nested too deep");
    let deeper = nested(513);
    let mut deserializer = Deserializer::new(&deeper).max_depth(513);
    assert!(Value::deserialize(&mut deserializer).is_ok());
}

#[test]
fn elements_can_be_passed_over() {
    use serde::de::SeqAccess;
    let mut elements = Sequence::new(b"\x41a\x82\x01\x9f\xff\x05");
    assert_eq!(elements.next_element::<&str>().unwrap(), Some("a"));
    elements.next_element::<serde::de::IgnoredAny>().unwrap();
    assert_eq!(elements.next_element::<u8>().unwrap(), Some(5));
    assert_eq!(elements.next_element::<u8>().unwrap(), None);
    assert_eq!(Sequence::new(b"\x41a\x82\x01\x9f\xff\x05").count(), Ok(3));
    assert!(Sequence::new(b"\x41").count().is_err());
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Sample {
    text: String,
    int: i64,
    float: f64,
    single: f32,
    list: Vec<Option<u64>>,
    map: BTreeMap<String, (bool, char)>,
    none: (),
}

fn sample() -> impl Strategy<Value = Sample> {
    let list = prop::collection::vec(any::<Option<u64>>(), 0..30);
    let map = prop::collection::btree_map(any::<String>(), any::<(bool, char)>(), 0..30);
    (any::<String>(), any::<(i64, f64, f32)>(), list, map).prop_map(
        |(text, (int, float, single), list, map)| Sample {
            text,
            int,
            float,
            single,
            list,
            map,
            none: (),
        },
    )
}

proptest! {
    #[test]
    fn values_survive(sample in sample()) {
        let octets = written(&sample);
        prop_assert_eq!(read::<Sample>(&octets).unwrap(), sample.clone());
        let (value, _): (ciborium::Value, ()) = (ciborium::from_reader(&octets[..]).unwrap(), ());
        prop_assert!(value.is_map());
        let mut message = Vec::new();
        encode_to(&mut message, "p", &(&sample, 1)).unwrap();
        let frame = CborScanner::new(Limits::default()).next(&message).unwrap().unwrap();
        let back = <(Sample, u8)>::deserialize(Sequence::new(&message[frame.elements()])).unwrap();
        prop_assert_eq!(back, (sample, 1));
    }
}

#[test]
fn what_is_a_message() {
    #[derive(Serialize)]
    struct Pair(u8, Option<u8>);
    #[derive(Serialize)]
    struct Wrapped<T>(T);
    #[derive(Serialize)]
    enum Kind {
        Unit,
        Tuple(u8, u8),
    }
    fn sent<T: Serialize>(args: T) -> Option<Vec<u8>> {
        let mut out = b"\x80".to_vec();
        match encode_to(&mut out, "p", &args) {
            Ok(()) => Some(out.split_off(1)),
            Err(_) => {
                assert_eq!(out, b"\x80");
                None
            }
        }
    }
    let two = Some(b"\x83\x41p\x01\xf6".to_vec());
    assert_eq!(sent(Pair(1, None)), two);
    assert_eq!(sent(Some(Wrapped(Pair(1, None)))), two);
    assert_eq!(sent(Wrapped(vec![Some(1), None])), two);
    for none in [sent(()), sent(None::<u8>), sent([0; 0]), sent(Wrapped(()))] {
        assert_eq!(none.as_deref(), Some(&b"\x81\x41p"[..]));
    }
    let nested = sent((Wrapped((1,)), (), [[2]]));
    assert_eq!(
        nested.as_deref(),
        Some(&b"\x84\x41p\x81\x01\xf6\x81\x81\x02"[..])
    );
    let long = sent(vec![7; 300]).unwrap();
    assert_eq!(long[..6], *b"\x99\x01\x2d\x41p\x07");
    assert_eq!((long.len(), sent([7; 22]).unwrap()[0]), (305, 0x97));
    assert_eq!(sent([7; 23]).unwrap()[..2], *b"\x98\x18");
    for no in [
        sent(1),
        sent("text"),
        sent(1.5),
        sent(true),
        sent(Kind::Unit),
        sent(Kind::Tuple(1, 2)),
        sent(json!({"a": 1})),
        sent(json!({})),
        sent(Wrapped("x")),
    ] {
        assert_eq!(no, None);
    }
}
