//! Images to JSON and back, and the stream that they come in.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::{FramingError, Limits};
use super::check::{perls, scan, to_image, to_json};
use super::*;

/// An array of `n` items.
fn array(n: u8, items: &[u8]) -> Vec<u8> {
    [b"\x05\x0b\x02\0\0\0", &[n][..], items].concat()
}

#[test]
fn to_json_item_by_item() {
    for (n, items, json) in [
        (0, &b""[..], "[]"),
        (4, b"\x0a\x00\x0a\x04caf\xe9\x17\x03\xe2\x98\xba\x01\0\0\0\x01a", r#"["","café","☺","a"]"#),
        (1, b"\x18\0\0\0\x02\xc3\xa9", r#"["é"]"#),
        (1, b"\x0a\x02\"\x01", r#"["\"\u0001"]"#),
        (5, b"\x08\x80\x08\x00\x08\xff\x09\x7f\xff\xff\xff\x09\x80\0\0\0", "[0,-128,127,2147483647,-2147483648]"),
        (3, b"\x05\x0e\x1f", "[null,null,null]"),
        (4, b"\x0f\x10\x22\x23", "[true,false,true,false]"),
        (2, b"\x04\x02\0\0\0\x01\x08\x81\x04\x02\0\0\0\0", "[[1],[]]"),
        (3, b"\x04\x0a\x01s\x04\x04\x0a\x01s\x1b\x02\0\0\0\0", r#"["s","s",[]]"#),
        (1, b"\x04\x03\0\0\0\x02\x08\x81\0\0\0\x01a\x04\x03\0\0\0\x01\x05\0\0\0\x01\xe9\0\0\0\x01b", r#"[{"a":1,"b":{"é":null}}]"#),
        (1, b"\x04\x19\0\0\0\0\x03\x08\x81\0\0\0\0\x01a\x08\x82\x01\0\0\0\x03\xe2\x98\xba\x08\x83\x02\0\0\0\x01\xe9", r#"[{"a":1,"☺":2,"é":3}]"#),
        // Pairs that are not there.
        (1, b"\x04\x19\x01\0\0\0\x03\x0e\x10\0\0\0\x01a\x08\x81\x04\0\0\0\x01b\x04\x02\0\0\0\0\x10\0\0\0\x01c", r#"[{"b":1}]"#),
        // The same array twice, the same scalar twice, a hash with all of it twice.
        (2, b"\x04\x02\0\0\0\x01\x08\x81\x04\0\0\0\0\x02", "[[1],[1]]"),
        (2, b"\x04\x0a\x01x\x04\0\0\0\0\x02", r#"["x","x"]"#),
        (3, b"\x04\x03\0\0\0\x01\x04\x02\0\0\0\x01\x08\x81\0\0\0\x01k\x04\0\0\0\0\x02\x04\0\0\0\0\x04", r#"[{"k":[1]},{"k":[1]},[1]]"#),
        // Booleans: named, by number, and the same again.
        (3, b"\x14\x11\x11JSON::PP::Boolean\x08\x81\x14\x12\x00\x08\x80\x14\0\0\0\0\x02", "[true,false,true]"),
    ] {
        let image = array(n, items);
        assert_eq!(to_json(&image).as_deref(), Ok(json), "{}", image.escape_ascii());
        for len in 0..image.len() {
            assert!(to_json(&image[..len]).is_err());
        }
        assert!(to_json(&[&image[..], b"\x05"].concat()).is_err());
    }
}

#[test]
fn what_is_no_message_is_named() {
    for (n, items, offset, what) in [
        (
            1,
            &b"\x04\x11\x03Foo\x03\0\0\0\0"[..],
            8,
            "object of the class 'Foo'",
        ),
        (
            1,
            b"\x04\x11\x80\0\0\0\x03Foo\x05",
            8,
            "object of the class 'Foo'",
        ),
        (
            1,
            b"\x04\x12\0\x05",
            8,
            "object of a class that was not named",
        ),
        (
            1,
            b"\x14\x11\x11JSON::PP::Boolean\x11\x11JSON::PP::Boolean\x05",
            8,
            "object in an object",
        ),
        (1, b"\x04\x13\x00", 8, "object with a hook of its own"),
        (1, b"\x04\x1a\x05", 8, "code"),
        (1, b"\x04\x0b\x05", 8, "tied value"),
        (1, b"\x0c", 7, "tied value"),
        (1, b"\x0d", 7, "tied value"),
        (1, b"\x04\x20\x00", 8, "regular expression"),
        (1, b"\x1d\x02v1\x0a\x01\x01", 7, "version string"),
        (1, b"\x06\0\0\0\0\0\0\0\0", 7, "number not in network order"),
        (1, b"\x07\0\0\0\0\0\0\0\0", 7, "number not in network order"),
        (1, b"\x21\0", 7, "item of more than 2 GiB"),
        (1, b"\x63", 7, "item of an unknown kind, 99,"),
        (1, b"\x04\0\0\0\0\0", 8, "item that contains itself"),
        (1, b"\x04\0\0\0\0\x01", 8, "item that contains itself"),
        (
            1,
            b"\x04\0\0\0\0\x02",
            8,
            "repetition of an item that was not there",
        ),
        (
            2,
            b"\x04\x02\0\0\0\x01\x04\x04\0\0\0\0\x02\x05",
            15,
            "item that contains itself",
        ),
        (1, b"\x17\x02\xc3x", 9, "text that is not UTF-8"),
        (1, b"\x01\xff\xff\xff\xff", 12, "image cut off"),
        (
            1,
            b"\x04\x02\xff\xff\xff\xff",
            9,
            "more items than there are octets",
        ),
        (
            1,
            b"\x04\x03\x40\0\0\0",
            9,
            "more items than there are octets",
        ),
        (
            1,
            b"\x04\x19\0\0\0\0\x01\x05\x08\0\0\0\0",
            15,
            "key that is no string",
        ),
        (
            1,
            b"\x02\0\0\0\0",
            7,
            "array or hash without a reference to it",
        ),
        (
            2,
            b"\x04\x02\0\0\0\0\0\0\0\0\x02",
            8,
            "array or hash without a reference to it",
        ),
        (0, b"\x05", 7, "octets behind the message"),
    ] {
        let image = array(n, items);
        let error = to_json(&image).unwrap_err();
        assert_eq!(
            (error.offset, &*error.what),
            (offset, what),
            "{}",
            image.escape_ascii()
        );
    }
    for (image, offset, what) in [
        (&b""[..], 0, "no image of format 2"),
        (
            b"\x04\x0b\x0812345678\x04\x08\x08\x08\x02",
            0,
            "image not in network order",
        ),
        (b"\x05\x0b\x03\0\0\0\0", 2, "no array"),
        (b"\x05\x0b\x0a\x01a", 2, "no array"),
    ] {
        let error = to_json(image).unwrap_err();
        assert_eq!((error.offset, &*error.what), (offset, what));
    }
}

#[test]
fn to_image_item_by_item() {
    for (json, n, items) in [
        (" [ ] ", 0, &b""[..]),
        (r#"["","caf\u00e9","☺","\u263a"]"#, 4, b"\x0a\x00\x0a\x04caf\xe9\x17\x03\xe2\x98\xba\x17\x03\xe2\x98\xba"),
        ("[0,-128,127,-129,128,2147483647,-2147483648]", 7, b"\x08\x80\x08\x00\x08\xff\x09\xff\xff\xff\x7f\x09\0\0\0\x80\x09\x7f\xff\xff\xff\x09\x80\0\0\0"),
        ("[2147483648,-2147483649,18446744073709551616]", 3, b"\x0a\x0a2147483648\x0a\x0b-2147483649\x0a\x1418446744073709551616"),
        ("[2.0,1.5,0.1,1e+20,-0,-0.0,1e15,0.30000000000000004]", 8, b"\x08\x82\x0a\x031.5\x0a\x030.1\x0a\x051e+20\x08\x80\x08\x80\x0a\x101000000000000000\x0a\x130.30000000000000004"),
        ("[true,false,null]", 3, b"\x08\x81\x08\x80\x05"),
        ("[[1],[],{}]", 3, b"\x04\x02\0\0\0\x01\x08\x81\x04\x02\0\0\0\0\x04\x03\0\0\0\0"),
        (r#"[{"a":1,"é":{"b":null}}]"#, 1, b"\x04\x03\0\0\0\x02\x08\x81\0\0\0\x01a\x04\x03\0\0\0\x01\x05\0\0\0\x01b\0\0\0\x01\xe9"),
        (r#"[{"a":1,"☺":2,"é":3}]"#, 1, b"\x04\x19\0\0\0\0\x03\x08\x81\0\0\0\0\x01a\x08\x82\x01\0\0\0\x03\xe2\x98\xba\x08\x83\0\0\0\0\x01\xe9"),
    ] {
        let image = array(n, items);
        let got = to_image(json).unwrap();
        assert_eq!(got.escape_ascii().to_string(), image.escape_ascii().to_string(), "{json}");
    }
    let long = format!("[\"{}\"]", "x".repeat(256));
    assert_eq!(&to_image(&long).unwrap()[7..13], b"\x01\0\0\x01\0x");
    let long = format!("[\"{}\"]", "☺".repeat(86));
    assert_eq!(&to_image(&long).unwrap()[7..12], b"\x18\0\0\x01\x02");
    for bad in ["", "1", "{}", "[", "[}", "[x]", "[{1:2}]", "[\"a]", "[1-1]"] {
        assert!(to_image(bad).is_err(), "{bad}");
    }
}

#[test]
fn depth_and_length() {
    let depth = 200_000;
    let (open, close) = ("[{\"k\":".repeat(depth), "}]".repeat(depth));
    let json = format!("[{open}0{close}]");
    let image = to_image(&json).unwrap();
    let limits = Limits {
        max_depth: 2 * depth + 1,
        ..Limits::default()
    };
    let mut back = Vec::new();
    storable_to_json(&mut back, &image, limits).unwrap();
    assert!(back == json.as_bytes());
    for (depth, is_ok) in [(511, true), (512, false)] {
        let image = [
            &b"\x05\x0b\x02\0\0\0\x01"[..],
            &b"\x04\x02\0\0\0\x01".repeat(depth - 1),
            b"\x04\x02\0\0\0\0",
        ]
        .concat();
        assert_eq!(to_json(&image).is_ok(), is_ok);
    }
    // Each level refers twice to the one before: 2^60 items in few octets.
    let mut items = b"\x04\x02\0\0\0\0".to_vec();
    let (mut tag, mut n) = (2_u32, 1);
    let mut counted = tag;
    for _ in 0..60 {
        items.extend(b"\x04\x02\0\0\0\x02");
        for _ in 0..2 {
            items.extend(b"\x04\0");
            items.extend(tag.to_be_bytes());
        }
        tag = counted + 2;
        counted += 4;
        n += 1;
    }
    let limits = Limits {
        max_message: 10_000,
        ..Limits::default()
    };
    let error = storable_to_json(&mut Vec::new(), &array(n, &items), limits).unwrap_err();
    assert_eq!(error.what, "repetitions make the message too long");
}

#[test]
fn lengths() {
    let limits = Limits {
        max_message: 300,
        max_depth: 9,
    };
    for (stream, expected) in [
        (
            &b"\x80\x07"[..],
            FramingError::Syntax {
                offset: 0,
                what: "length with a leading zero",
            },
        ),
        (b"\x82\x2d", FramingError::TooLong { limit: 300 }),
        (b"\x83\x80", FramingError::TooLong { limit: 300 }),
        (
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            FramingError::TooLong { limit: 300 },
        ),
        (
            b"\x07\x06",
            FramingError::Syntax {
                offset: 1,
                what: "no Storable image of format 2",
            },
        ),
        (
            b"\x07\x04",
            FramingError::Syntax {
                offset: 1,
                what: "Storable image not in network order",
            },
        ),
        (
            b"\x07\x05\x0b\x03",
            FramingError::NotAnArray {
                offset: 3,
                found: 3,
            },
        ),
        (
            b"\x06\x05\x0b\x02",
            FramingError::Syntax {
                offset: 0,
                what: "length too short for an array",
            },
        ),
        (
            b"\x00",
            FramingError::Syntax {
                offset: 0,
                what: "length too short for an array",
            },
        ),
    ] {
        assert_eq!(scan(limits, stream, &[1]).1, Some(expected.clone()));
        assert_eq!(scan(limits, stream, &[99]).1, Some(expected));
    }
    for len in [0, 1, 120, 121, 127, 128, 16_000, 17_000] {
        let mut stream = Vec::new();
        write_message(&mut stream, json!(["x".repeat(len)]).to_string().as_bytes()).unwrap();
        write_message(&mut stream, b"[]").unwrap();
        let (frames, error) = scan(Limits::default(), &stream, &[7]);
        assert_eq!((frames.len(), error), (2, None), "{len}");
        assert_eq!(frames[1].end, stream.len());
    }
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[\u{80}-\u{ff}]{0,9}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 10, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..9).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..6)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn there_and_back(values in prop::collection::vec(value(), 0..9)) {
        let values = Value::from(values);
        let image = to_image(&values.to_string()).unwrap();
        let back: Value = serde_json::from_str(&to_json(&image).unwrap()).unwrap();
        prop_assert_eq!(&back, &perls(&values));
        // From then on it stays what it is.
        prop_assert_eq!(to_image(&back.to_string()).unwrap(), image);
    }

    #[test]
    fn numbers_keep_their_value(f: f64) {
        prop_assume!(f.is_finite());
        let image = to_image(&json!([f]).to_string()).unwrap();
        let back: (crate::Num<f64>,) = serde_json::from_str(&to_json(&image).unwrap()).unwrap();
        prop_assert_eq!(back.0.0, f);
    }

    #[test]
    fn noise_does_no_harm(
        values in prop::collection::vec(value(), 0..5),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0u8..40), 1..4),
        sizes in prop::collection::vec(1usize..9, 1..6),
    ) {
        let mut stream = Vec::new();
        write_message(&mut stream, Value::from(values).to_string().as_bytes()).unwrap();
        for (at, octet) in changes {
            let at = at.index(stream.len());
            stream[at] = octet;
        }
        let limits = Limits { max_message: 1 << 20, max_depth: 6 };
        let (frames, error) = scan(limits, &stream, &[stream.len()]);
        prop_assert_eq!(scan(limits, &stream, &sizes), (frames.clone(), error));
        for frame in frames {
            let mut json = Vec::new();
            if storable_to_json(&mut json, &stream[frame.start..frame.end], limits).is_ok() {
                serde_json::from_slice::<Value>(&json).unwrap();
            }
        }
    }
}
