//! Whatever is read quickly is what the usual way gives: JSON here, CBOR below.

mod cbor;

use super::check::{self, Some2};
use super::*;
use proptest::prelude::*;
use serde_json::Value;

/// In JSON.
fn both<T>(octets: &[u8], limits: Limits) -> Option<T>
where
    T: for<'de> Deserialize<'de> + PartialEq + std::fmt::Debug,
{
    check::both(Framing::Json, octets, limits)
}

#[test]
fn a_head_is_a_name_and_a_tag() {
    let json = br#"["a.b","add",1,2]["a.b","#;
    let head = Head::find(Framing::Json, json).unwrap();
    assert_eq!((head.name, head.tag), (&b"a.b"[..], &b"add"[..]));
    assert!(Head::find(Framing::Json, br#"[ "a.b","ping"]"#).is_none());
    let cbor = b"\x83\x43a.b\x44ping\x11\x80";
    let head = Head::find(Framing::Cbor, cbor).unwrap();
    assert_eq!((head.name, head.tag), (&b"a.b"[..], &b"ping"[..]));
    let head = Head::of_array(b"\x82\x44ping\x11").unwrap();
    assert_eq!((head.name, head.tag), (&b""[..], &b"ping"[..]));
}

#[test]
fn the_rest_is_found_by_the_length_of_the_head() {
    let mut octets = br#"["a.b","add",1,2]["a.b","#.to_vec();
    let head = Head::find(Framing::Json, &octets).unwrap();
    let (at, rest) = (head.octets(&octets).len(), head.rest());
    assert_eq!(RestAt::behind(Framing::Json, &octets, at), Some(rest));
    let quick = rest.open(&mut octets, true, Limits::default());
    assert_eq!(quick.read::<(u8, u8)>(), Some((1, 2)));
    assert_eq!(rest.end(quick.used()), Some(br#"["a.b","add",1,2]"#.len()));
}

#[test]
fn plain_is_ascii_that_nothing_escapes() {
    assert!(are_plain(br#"["a.b","ping",17]["#));
    assert!(!are_plain("[\"\u{e9}\"]".as_bytes()) && !are_plain(br#"["\n"]"#));
}

#[test]
fn usual_messages() {
    let limits = Limits::default();
    let small = br#"["server#a.b","m",17,"hello world",{"k":[1,2,3]}]["#;
    let read: (u64, String, Value) = both(small, limits).unwrap();
    assert_eq!((read.0, read.1.as_str()), (17, "hello world"));
    both::<()>(br#"["a","ping"]["a","#, limits).unwrap();
    both::<(Option<u8>,)>(br#"["a","ping"]"#, limits).unwrap();
    both::<(u8,)>(br#"["a","x",1,{"more":[[]]},null]"#, limits).unwrap();
    both::<(String,)>("[\"a\",\"x\",\"caf\u{e9}\"]".as_bytes(), limits).unwrap();
    both::<(String,)>(br#"["a","x","tab\t"]"#, limits).unwrap();
    let some: (Some2,) = both(br#"["a","x",{"a":1,"c":[{}],"b":"y"}]"#, limits).unwrap();
    assert_eq!(some.0.b.as_deref(), Some("y"));
}

#[test]
fn gives_up() {
    let limits = Limits::default();
    for octets in [
        &br#"["a","x",1"#[..],
        br#"["a","x",1,"#,
        br#"["a","x",1.0]"#,
        br#"["a","x","1"]"#,
        br#"["a","x"]"#,
        br#"["a","x",1,"\ud800"]"#,
        b"[\"a\",\"x\",1,\"\xff\"]",
        b"[\"a\",\"x\",1,\"\x01\"]",
        br#"["a\u0041","x",1]"#,
        br#"["a",7,1]"#,
        br#"[]["a","x",1]"#,
    ] {
        assert_eq!(
            both::<(u8,)>(octets, limits),
            None,
            "{}",
            octets.escape_ascii()
        );
    }
    for octets in [
        &br#"["a","x",]"#[..],
        br#"["a","x", ]"#,
        b"[\"a\",\"x\",\n]",
    ] {
        assert_eq!(both::<()>(octets, limits), None);
    }
    let nested = format!(r#"["a","x",1,{}{}]"#, "[".repeat(600), "]".repeat(600));
    assert_eq!(both::<(u8,)>(nested.as_bytes(), limits), None);
    let long = Limits {
        max_message: 12,
        ..limits
    };
    assert_eq!(both::<(u8,)>(br#"["a","x",1]"#, long), Some((1,)));
    assert_eq!(both::<(u8,)>(br#"["a","x",10]"#, long), Some((10,)));
    assert_eq!(both::<(u8,)>(br#"["a","x",100]"#, long), None);
}

fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f64>().prop_map(|n| serde_json::to_string(&n).unwrap()),
        ".{0,12}".prop_map(|text| serde_json::to_string(&text).unwrap()),
        r#"[ -~]{0,4}"#.prop_map(|text| format!("\"{text}\"")),
        Just(r#""\u00e9\ud83d\ude00""#.to_owned()),
        Just(r#""\ud83d""#.to_owned()),
        Just("1e999".to_owned()),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4)
                .prop_map(|all| format!("[{}]", all.join(","))),
            prop::collection::vec(("[a-c]{0,2}", inner), 0..4).prop_map(|all| {
                let all: Vec<_> = all
                    .iter()
                    .map(|(key, value)| format!("\"{key}\":{value}"))
                    .collect();
                format!("{{{}}}", all.join(","))
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever comes, the quick way gives what the usual way gives, or gives up.
    #[test]
    fn never_differs(
        name in "[a-zA-Z0-9.]{0,5}",
        tag in "[a-z ]{0,4}",
        values in prop::collection::vec(json(), 0..4),
        rest in prop_oneof![Just(String::new()), Just("[\"b\",".to_owned()), ".{0,5}"],
        cut in any::<prop::sample::Index>(),
        whole in any::<bool>(),
        damage in prop::option::weighted(0.3, (any::<prop::sample::Index>(), any::<u8>())),
        max_depth in prop_oneof![Just(512_usize), 1..140_usize],
        max_message in prop_oneof![Just(1_usize << 20), 1..80_usize],
    ) {
        let values: String = values.iter().map(|value| format!(",{value}")).collect();
        let mut octets = format!("[\"{name}\",\"{tag}\"{values}]{rest}").into_bytes();
        if let Some((at, octet)) = damage {
            let at = at.index(octets.len());
            octets[at] = octet;
        }
        if !whole {
            octets.truncate(cut.index(octets.len() + 1));
        }
        let limits = Limits { max_message, max_depth };
        check::all(Framing::Json, &octets, limits);
    }

    /// A sound message of plain values is always read quickly.
    #[test]
    fn usual_ones_are_quick(n: u64, text in "[a-z ]{0,20}", list: Vec<i16>) {
        let mut octets = Vec::new();
        crate::proto::message::encode_to(&mut octets, "a.b", &("m", n, &text, &list)).unwrap();
        let read: (u64, String, Vec<i16>) = both(&octets, Limits::default()).unwrap();
        prop_assert_eq!(read, (n, text, list));
    }
}
