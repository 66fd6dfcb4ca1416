//! What the scanner must hold to, whatever the stream and however it is cut.

use proptest::prelude::*;
use serde_json::Value;

use super::super::{FramingError, Limits};
use super::check::{compare, scan};
use super::*;

mod oracle;
mod style;

/// Every sort of thing that stands in a message. Real ones first.
const SAMPLES: &[&str] = &[
    "[]",
    r#"["aBcD.b","ping",1]"#,
    r#"["","mon1","Hk3Dz9q.c"]"#,
    r#"["","g_upd","'l",{"node":["10.0.0.1:4040","[::1]:4040"]},[]]"#,
    r#"[12,null,true,false,[],{},[[{}]],{"":{"a":[1]}}]"#,
    "[0,-0,-0.0,1e+20,1E-5,0.5e1,18446744073709551615,-9223372036854775808,1e400]",
    r#"["\"\\\/\b\f\n\r\t\u0000\u00e9\uFFFF\ud83d\uDE00","\ud83d\udca9"]"#,
    "[\"\u{7f}\u{80}\u{ff}\u{7ff}\u{800}\u{ffff}\u{10000}\u{10ffff}\",{\"\u{e9}\":1}]",
    " \t\r\n[ \"a\" ,\n{ \"b\" : [ ] , \"c\" :\t{ } } ,\r1 ]",
    r#"["a",{"k":1,"k":2}]"#,
];

fn whole(stream: &[u8]) -> (Vec<Frame>, Option<FramingError>) {
    scan(Limits::default(), stream, &[stream.len()])
}

/// The error that the only message of `text` is refused with.
fn refused(text: &[u8]) -> FramingError {
    let (frames, error) = whole(text);
    assert_eq!(frames, [], "{}", text.escape_ascii());
    assert_eq!(scan(Limits::default(), text, &[1]), (frames, error.clone()));
    error.unwrap_or_else(|| panic!("not refused: {}", text.escape_ascii()))
}

#[test]
fn samples_are_found() {
    let glued = SAMPLES.concat();
    let (frames, error) = whole(glued.as_bytes());
    assert_eq!(error, None);
    let found: Vec<_> = frames.iter().map(|f| &glued[f.start..f.end]).collect();
    let sent: Vec<_> = SAMPLES.iter().map(|s| s.trim_start()).collect();
    assert_eq!(found, sent);
}

#[test]
fn elements_are_found() {
    let text = br#" ["a\u0062" , {"x":[1]} ,2]"#;
    let frame = &whole(text).0[0];
    let (dest, tag) = (frame.dest.unwrap(), frame.tag.unwrap());
    assert_eq!((dest.range(), dest.kind), (3..10, ElementKind::Escaped));
    assert_eq!(dest.text(text), "ab");
    assert_eq!((tag.range(), tag.kind), (14..23, ElementKind::Other));
    assert_eq!(tag.text(text), r#"{"x":[1]}"#);

    for (text, expected, kind) in [
        ("[1,null]", Some("null"), ElementKind::Other),
        ("[1,-2e3]", Some("-2e3"), ElementKind::Number),
        ("[1, 2 ]", Some("2"), ElementKind::Number),
        (r#"[1,""]"#, Some(""), ElementKind::Plain),
        ("[1,[[2],3],4]", Some("[[2],3]"), ElementKind::Other),
        ("[1,[]]", Some("[]"), ElementKind::Other),
        ("[1]", None, ElementKind::Other),
    ] {
        let frame = &whole(text.as_bytes()).0[0];
        assert_eq!(frame.dest.unwrap().text(text.as_bytes()), "1");
        let tag = frame.tag;
        assert_eq!(tag.map(|t| t.text(text.as_bytes())).as_deref(), expected);
        assert!(tag.is_none_or(|t| t.kind == kind), "{text}");
    }
    assert!(whole(b"[ ]").0[0].is_keepalive());
}

#[test]
fn text_in_another_buffer_does_not_panic() {
    let frame = &whole(br#"["abc","d"]"#).0[0];
    assert_eq!(frame.tag.unwrap().text(b"short"), "");
    assert_eq!(frame.dest.unwrap().text(b"..\xff.."), "\u{fffd}..");
}

#[test]
fn broken_texts_are_refused_where_they_break() {
    for (text, expected) in [
        (&b"[01]"[..], 2),
        (b"[-]", 2),
        (b"[-01]", 3),
        (b"[1.]", 3),
        (b"[1.e5]", 3),
        (b"[1e]", 3),
        (b"[1e+]", 4),
        (b"[+1]", 1),
        (b"[.5]", 1),
        (b"[1 2]", 3),
        (b"[1-1]", 2),
        (b"[1.5.5]", 4),
        (b"[0x1]", 2),
        (b"[1,]", 3),
        (b"[,1]", 1),
        (b"[1,nul]", 6),
        (b"[1,nullx]", 7),
        (b"[1,True]", 3),
        (b"[1}", 2),
        (b"[1,{]", 4),
        (b"[1,{1:2}]", 4),
        (b"[1,{\"a\"}]", 7),
        (b"[1,{\"a\":}]", 8),
        (b"[1,{\"a\":1,}]", 10),
        (b"[1,{\"a\":1]", 9),
        (b"['a']", 1),
        (b"[\0]", 1),
        (b"[1\x0c]", 2),
        (b"[\xc2\xa01]", 1),
        (b"[#c\n1]", 1),
        (b"[\"\0\"]", 2),
        (b"[\"12345678\x1f\"]", 10),
        (b"[\"a\nb\"]", 3),
        (br#"["\x41"]"#, 3),
        (br#"["\u12G4"]"#, 6),
        (br#"["\ud800"]"#, 8),
        (br#"["\ud800\n"]"#, 9),
        (br#"["\ud800\ud800"]"#, 8),
        (br#"["a\udc00"]"#, 3),
        (b"[1,{\"\\q\":1}]", 6),
    ] {
        match refused(text) {
            FramingError::Syntax { offset, .. } => {
                assert_eq!(offset, expected, "{}", text.escape_ascii());
            }
            other => panic!("{}: {other:?}", text.escape_ascii()),
        }
    }
}

#[test]
fn bad_utf8_is_refused_where_it_starts() {
    for bad in [
        &b"\x80"[..],
        b"\xc0\x80",
        b"\xc1\xbf",
        b"\xc3\"",
        b"\xe0\x80\x80",
        b"\xe2\x82\"",
        b"\xed\xa0\x80",
        b"\xf0\x80\x80\x80",
        b"\xf4\x90\x80\x80",
        b"\xf8\x88\x80\x80\x80",
        b"\xff",
    ] {
        for before in [0, 1, 7, 8, 9] {
            let text = [b"[\"", &b"123456789"[..before], bad, b"\"]"].concat();
            let offset = 2 + before;
            assert_eq!(refused(&text), FramingError::Utf8 { offset });
        }
    }
}

#[test]
fn only_arrays_with_a_destination_are_messages() {
    for (text, found) in [
        ("{\"a\":1}", b'{'),
        ("\"a\"", b'"'),
        ("1", b'1'),
        ("null", b'n'),
        ("]", b']'),
        ("\u{feff}[1]", 0xef),
        ("\0[1]", 0),
        ("#[1]", b'#'),
    ] {
        let error = FramingError::NotAnArray { offset: 0, found };
        assert_eq!(refused(text.as_bytes()), error);
    }
    for first in ["null", "true", "false", "[]", "{}"] {
        let error = FramingError::BadDestination {
            offset: 2,
            found: first.as_bytes()[0],
        };
        assert_eq!(refused(format!("[ {first},1]").as_bytes()), error);
    }
}

#[test]
fn cut_samples_are_incomplete() {
    for sample in SAMPLES {
        for len in 0..sample.len() {
            let cut = &sample.as_bytes()[..len];
            assert_eq!(whole(cut), (vec![], None), "{}", cut.escape_ascii());
        }
    }
}

#[test]
fn long_messages_are_refused_in_time() {
    let max_message = 20;
    let limits = Limits {
        max_message,
        ..Limits::default()
    };
    let error = Some(FramingError::TooLong { limit: max_message });
    for sizes in [&[1][..], &[100], &[20], &[21], &[7, 20]] {
        let fits = format!("[\"{}\"] [\"{}\"]", "a".repeat(16), "b".repeat(15));
        let (frames, none) = scan(limits, fits.as_bytes(), sizes);
        assert_eq!((frames.len(), none), (2, None));
        for long in [
            format!("[\"{}\"]", "a".repeat(17)),
            format!("[\"{}", "a".repeat(19)),
            // What is wrong beyond the limit does not count.
            format!("[\"{}\0", "a".repeat(18)),
            format!("[\"{}\u{e9}", "a".repeat(17)),
            format!("[{}", "1".repeat(100)),
            " ".repeat(21),
        ] {
            assert_eq!(
                scan(limits, long.as_bytes(), sizes),
                (vec![], error.clone())
            );
        }
        assert_eq!(scan(limits, &[b' '; 20], sizes), (vec![], None));
    }
}

#[test]
fn nesting_is_limited_as_in_json_xs() {
    for (open, close) in [("[", "]"), ("{\"k\":", "}"), ("[1,{\"\":", "}]")] {
        let levels = if open.len() == 7 { 2 } else { 1 };
        let nest = |deep| format!("[1,{}0{}]", open.repeat(deep), close.repeat(deep));
        let most = 511 / levels;
        let (frames, error) = whole(nest(most).as_bytes());
        assert_eq!((frames.len(), error), (1, None));
        let too_deep = FramingError::TooDeep { limit: 512 };
        assert_eq!(refused(nest(most + 1).as_bytes()), too_deep);
        // The bits beyond the first 64 levels are kept as well: no wrong bracket passes.
        let good = nest(most);
        for at in good.len() - most * close.len()..good.len() {
            let mut bad = good.clone().into_bytes();
            bad[at] ^= b']' ^ b'}';
            assert!(matches!(refused(&bad), FramingError::Syntax { offset, .. } if offset == at));
        }
    }
    let none = Limits {
        max_depth: 0,
        ..Limits::default()
    };
    let error = Some(FramingError::TooDeep { limit: 0 });
    assert_eq!(scan(none, b"[]", &[2]), (vec![], error));
}

/// Each of these would take minutes if a call looked again at what earlier calls have seen.
#[test]
fn work_is_linear_one_octet_at_a_time() {
    let many = 400_000;
    for text in [
        format!("[\"{}\"]", "a".repeat(many)),
        format!("[\"{}\"]", "\u{e9}".repeat(many / 2)),
        format!("[\"{}\"]", r"\ud83d\udca9".repeat(many / 12)),
        format!("[1{}]", "0".repeat(many)),
        format!("[0.1{}]", "0".repeat(many)),
        format!("[1{}]", ",null".repeat(many / 5)),
        format!("{}[1{}]", " ".repeat(many / 2), " ".repeat(many / 2)),
        format!("[1,{}0{}]", "[".repeat(many / 2), "]".repeat(many / 2)),
    ] {
        let limits = Limits {
            max_depth: usize::MAX,
            ..Limits::default()
        };
        let (frames, error) = scan(limits, text.as_bytes(), &[1]);
        assert_eq!((frames.len(), error), (1, None), "{}", &text[..20]);
    }
}

proptest! {
    /// Written in any style, glued together and cut in any way, every message is found at
    /// its place, and so are its first two elements.
    #[test]
    fn messages_are_found_in_any_style(
        messages in prop::collection::vec(style::message(), 0..5),
        seed: u64,
        sizes in prop::collection::vec(1..40usize, 1..8),
    ) {
        let (stream, expected) = style::write(&messages, seed);
        let (frames, error) = scan(Limits::default(), &stream, &sizes);
        prop_assert_eq!(error, None);
        prop_assert_eq!(&frames, &expected);
        for (frame, message) in frames.iter().zip(&messages) {
            let found: Value = serde_json::from_slice(&stream[frame.start..frame.end]).unwrap();
            prop_assert_eq!(&found, message);
            let values = message.as_array().unwrap();
            for (element, value) in frame.dest.iter().chain(&frame.tag).zip(values) {
                if let Value::String(text) = value {
                    prop_assert_eq!(element.text(&stream), text.as_str());
                }
            }
        }
    }

    /// Mutated texts: serde_json is of the same opinion, and so is every way of cutting.
    #[test]
    fn verdicts_are_serde_jsons(
        messages in prop::collection::vec(style::message(), 1..3),
        seed: u64,
        mutations in prop::collection::vec(oracle::mutation(), 0..4),
        sizes in prop::collection::vec(1..40usize, 1..8),
    ) {
        let (mut stream, _) = style::write(&messages, seed);
        for mutation in &mutations {
            mutation.apply(&mut stream);
        }
        let all = whole(&stream);
        prop_assert_eq!(&scan(Limits::default(), &stream, &[1]), &all);
        prop_assert_eq!(&scan(Limits::default(), &stream, &sizes), &all);
        compare(&stream, &all.0, all.1.as_ref());
    }

    #[test]
    fn junk_does_not_panic(junk: Vec<u8>, sizes in prop::collection::vec(1..9usize, 1..4)) {
        let all = whole(&junk);
        prop_assert_eq!(scan(Limits::default(), &junk, &sizes), all);
        let inside = [b"[\"", &junk[..], b"\"]"].concat();
        let all = whole(&inside);
        prop_assert_eq!(scan(Limits::default(), &inside, &sizes), all.clone());
        compare(&inside, &all.0, all.1.as_ref());
        let _ = unescape(&junk);
    }

    #[test]
    fn strings_come_back(s: String, seed: u64) {
        let mut raw = Vec::new();
        write_str(&mut raw, &s);
        prop_assert_eq!(&raw, &serde_json::to_vec(&s).unwrap());
        prop_assert_eq!(unescape(&raw[1..raw.len() - 1]), s.as_str());
        let raw = style::string(&s, seed);
        prop_assert_eq!(unescape(&raw[1..raw.len() - 1]), s.as_str());
    }
}

#[test]
fn octets_below_space_are_escaped() {
    let all: String = (0..=0x100u32).filter_map(char::from_u32).collect();
    let mut raw = bytes::BytesMut::new();
    write_str(&mut raw, &all);
    assert_eq!(serde_json::from_slice::<String>(&raw).unwrap(), all);
    assert_eq!(raw, serde_json::to_vec(&all).unwrap());
}

#[test]
fn unescape_of_unchecked_text_replaces() {
    for (raw, text) in [
        (&b"\\"[..], "\u{fffd}"),
        (b"\\q1", "\u{fffd}1"),
        (b"\\u12", "\u{fffd}"),
        (b"\\ud800x", "\u{fffd}x"),
        (b"\\ud800\\u0041", "\u{fffd}A"),
        (b"\\udc00", "\u{fffd}"),
        (b"\xff\\n", "\u{fffd}\n"),
    ] {
        assert_eq!(unescape(raw), text, "{}", raw.escape_ascii());
    }
}
