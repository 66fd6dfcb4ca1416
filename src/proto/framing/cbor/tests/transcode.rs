//! CBOR to JSON and back.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn to_json(items: &[u8]) -> Result<String, CborError> {
    let mut json = b"x".to_vec();
    let result = cbor_to_json(&mut json, items);
    let json = String::from_utf8(json).unwrap();
    if result.is_err() {
        assert_eq!(json, "x");
    }
    result.map(|()| json[1..].to_owned())
}

fn to_cbor(json: &str) -> Result<Vec<u8>, CborError> {
    let mut items = b"x".to_vec();
    match json_to_cbor(&mut items, json.as_bytes()) {
        Ok(n) => {
            assert_eq!(Sequence::new(&items[1..]).count(), Ok(n), "{json}");
            Ok(items[1..].to_vec())
        }
        Err(error) => {
            assert_eq!(items, b"x");
            Err(error)
        }
    }
}

#[test]
fn to_json_octet_by_octet() {
    for (items, json) in [
        (&b""[..], "[]"),
        (b"\x40\x41a\x43a\"b\x43a\\b\x41\x7f\x41\x1f", "[\"\",\"a\",\"a\\\"b\",\"a\\\\b\",\"\u{7f}\",\"\\u001f\"]"),
        (b"\x44caf\xe9\x65caf\xc3\xa9\x63\xe2\x82\xac", r#"["café","café","€"]"#),
        (b"\x42\xc3\xa9", r#"["Ã©"]"#),
        (b"\x5f\x41a\x41\xe9\xff\x7f\x62\xc3\xa9\x61b\xff\x7f\xff", r#"["aé","éb",""]"#),
        (b"\x00\x17\x18\x18\x20\x3b\x7f\xff\xff\xff\xff\xff\xff\xff", "[0,23,24,-1,-9223372036854775808]"),
        (b"\x1b\xff\xff\xff\xff\xff\xff\xff\xff\x3b\xff\xff\xff\xff\xff\xff\xff\xff", "[18446744073709551615,-18446744073709551616]"),
        (b"\xfa\x40\x00\x00\x00\xfb\x3f\xb9\x99\x99\x99\x99\x99\x9a\xfa\x80\x00\x00\x00\xf9\x3c\x00", "[2.0,0.1,-0,1.0]"),
        (b"\xfa\x3d\xcc\xcc\xcd\xfb\x44\x15\xaf\x1d\x78\xb5\x8c\x40", "[0.10000000149011612,1e+20]"),
        (b"\xf9\x7e\x00\xf9\x7c\x00\xf9\xfc\x00\xf6\xf7\xf5\xf4", "[null,null,null,null,null,true,false]"),
        (b"\x80\x9f\xff\xa0\xbf\xff\x82\x01\x9f\x02\xff", "[[],[],{},{},[1,[2]]]"),
        (b"\xa2\x41\xe9\x01\x18\x20\x81\xa0\xbf\xf6\x02\xf5\x03\xff", r#"[{"é":1,"32":[{}]},{"":2,"1":3}]"#),
        (b"\xc1\x01\xd9\xd9\xf7\x41a\xd9\x56\x52\x80\xd8\x1a\x82\x41A\x01", r#"[1,"a",[],["A",1]]"#),
        (b"\xc2\x49\x01\x00\x00\x00\x00\x00\x00\x00\x00", "[18446744073709551616]"),
        (b"\xc3\x49\x01\x00\x00\x00\x00\x00\x00\x00\x00\xc3\x41\xff\xc2\x40\xc3\x40", "[-18446744073709551617,-256,0,-1]"),
        (b"\xc2\x5f\x41\x01\x41\x00\xff", "[256]"),
    ] {
        assert_eq!(to_json(items).as_deref(), Ok(json), "{}", items.escape_ascii());
        let value: Vec<Value> = serde_json::from_str(json).unwrap();
        assert_eq!(value.len(), Sequence::new(items).count().unwrap());
    }
    for bad in [
        &b"\xff"[..],
        b"\x82\x01",
        b"\x42a",
        b"\x61\xff",
        b"\xa1\x80\x01",
        b"\xa1\xf7\x01",
        b"\xd8\x19\x00",
        b"\xd8\x1d\x00",
        b"\xc2\x01",
        b"\x5f\x61a\xff",
        b"\xbf\x01\xff",
        b"\x9f",
        b"\x1c",
        b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x5b\xff\xff\xff\xff\xff\xff\xff\xff",
    ] {
        assert!(to_json(bad).is_err(), "{}", bad.escape_ascii());
    }
    let long = [&b"\xc2\x59\x01\x01"[..], &[1; 257]].concat();
    assert!(to_json(&long).is_err());
}

#[test]
fn to_cbor_octet_by_octet() {
    for (json, items) in [
        ("[]", &b""[..]),
        (" [ ] ", b""),
        (r#"["","a","é","\u00e9\n","€"]"#, b"\x40\x41a\x62\xc3\xa9\x63\xc3\xa9\n\x63\xe2\x82\xac"),
        ("[0,24,-1,-0,18446744073709551615,-9223372036854775808]", b"\x00\x18\x18\x20\xfa\x80\x00\x00\x00\x1b\xff\xff\xff\xff\xff\xff\xff\xff\x3b\x7f\xff\xff\xff\xff\xff\xff\xff"),
        ("[18446744073709551616,-9223372036854775809]", b"\x5418446744073709551616\x54-9223372036854775809"),
        ("[2.0,1e0,0.1,1E+20,1e999]", b"\xfa\x40\x00\x00\x00\xfa\x3f\x80\x00\x00\xfb\x3f\xb9\x99\x99\x99\x99\x99\x9a\xfb\x44\x15\xaf\x1d\x78\xb5\x8c\x40\xfa\x7f\x80\x00\x00"),
        (" [ true , false , null , [ ] , { } ] ", b"\xf5\xf4\xf6\x80\xa0"),
        (r#"[{"a":1,"é":[2,{"b":{}}]}]"#, b"\xa2\x41a\x01\x62\xc3\xa9\x82\x02\xa1\x41b\xa0"),
        (r#"["a\"]","\\"]"#, b"\x43a\"]\x41\\"),
    ] {
        assert_eq!(to_cbor(json).as_deref(), Ok(items), "{json}");
    }
    for bad in [
        "",
        " ",
        "1",
        "{}",
        "[",
        "]",
        "[}",
        "[[]",
        "[]]",
        "[][]",
        "[\"]",
        "[\"\\",
        "[{1:2}]",
        "[{\"a\"}]",
        "[x]",
        "[+1]",
        "[-]",
        "[nul]",
        "[\u{1}]",
        "[1e]",
        "[1-1]",
        "[0x1]",
    ] {
        assert!(to_cbor(bad).is_err(), "{bad}");
    }
    let many = format!("[{}1]", "[],".repeat(300));
    assert_eq!(to_cbor(&many).unwrap().len(), 301);
    let nested = format!("[[{}1]]", "1,".repeat(299));
    assert_eq!(&to_cbor(&nested).unwrap()[..3], b"\x99\x01\x2c");
}

#[test]
fn depth_does_not_matter() {
    for depth in [512, 200_000] {
        let (open, close) = ("[{\"k\":".repeat(depth), "}]".repeat(depth));
        let json = format!("[{open}0{close}]");
        let items = to_cbor(&json).unwrap();
        assert_eq!(items.len(), 4 * depth + 1);
        assert_eq!(to_json(&items).unwrap(), json);
        assert_eq!(Sequence::new(&items).count(), Ok(1));
        let open = b"\x9f".repeat(depth);
        let items = [&open[..], &b"\xff".repeat(depth)].concat();
        assert_eq!(to_json(&items).unwrap().len(), 2 * depth + 2);
    }
}

pub(crate) fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<f32>().prop_map(|f| Value::from(f64::from(f))),
        prop::sample::select(vec![json!(-0.0), json!(0.0), json!(1e20), json!(2.0)]),
        any::<String>().prop_map(Value::from),
        "[ -~]{0,30}".prop_map(Value::from),
        "[\u{80}-\u{ff}]{0,9}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 30, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..30).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..6)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

proptest! {
    /// Through all of it a message is the same, octet by octet where it was written here.
    #[test]
    fn there_and_back(elements in prop::collection::vec(value(), 0..30)) {
        let message = crate::Message::encode(&elements).unwrap();
        let items = to_cbor(&message.to_json()).unwrap();
        let mut encoded = Vec::new();
        prop_assert_eq!(encode_elements(&mut encoded, &elements).unwrap(), elements.len());
        prop_assert_eq!(&items, &encoded);
        let mut whole = b"x".to_vec();
        encode_to(&mut whole, "a.b", &elements).unwrap();
        let mut expected = b"x".to_vec();
        write_start(&mut expected, "a.b", elements.len());
        expected.extend_from_slice(&encoded);
        prop_assert_eq!(&whole, &expected);
        let mut of_message = b"x".to_vec();
        encode_to(&mut of_message, "a.b", &message).unwrap();
        prop_assert_eq!(&of_message, &expected);
        prop_assert_eq!(to_json(&items).unwrap(), message.to_json());
        let back = Vec::<Value>::deserialize(Sequence::new(&items)).unwrap();
        prop_assert_eq!(back, elements);
    }

    /// What is sound and has JSON comes back with the same JSON.
    #[test]
    fn by_way_of_json(stream in stream()) {
        let Ok(Some(frame)) = CborScanner::new(Limits::default()).next(&stream) else { return Ok(()) };
        let items = &stream[frame.elements()];
        let Ok(json) = to_json(items) else { return Ok(()) };
        let values: Vec<serde::de::IgnoredAny> = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(values.len(), Sequence::new(items).count().unwrap());
        let again = to_cbor(&json).unwrap();
        let once = to_json(&again).unwrap();
        prop_assert_eq!(to_json(&to_cbor(&once).unwrap()).unwrap(), once);
    }
}
