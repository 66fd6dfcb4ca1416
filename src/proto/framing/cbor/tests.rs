//! What the scanner must hold to, whatever the stream and however it is cut.

use proptest::prelude::*;

use super::super::{FramingError, Limits};
use super::check::scan;
use super::*;

mod oracle;
pub(crate) mod transcode;
mod typed;

/// Every sort of thing that stands in a message. Real ones first.
const SAMPLES: &[&[u8]] = &[
    b"\x80",
    b"\x83\x4aZbEd6QplUb\x44test\x1a\x6b\x02\xc8\xab",
    b"\x84\x40\x46g_chg1\x4ceg_receivers\xa1\x56eg_receiver#ZbEd6QplUb\xf6",
    b"\x98\x1c\x4aZbEd6QplUb\x45types\xf6\x00\x01\x17\x18\x18\x18\xff\x19\x01\x00\x1a\x00\x01\x00\x00\
      \x1b\x00\x00\x00\x01\x00\x00\x00\x00\x20\x38\x63\xfa\x3f\xc0\x00\x00\
      \xfb\x3f\xb9\x99\x99\x99\x99\x99\x9a\x45ascii\x40\x44t\xe9xt\x66\xe2\x82\xacuro\x42\x34\x32\
      \x80\x82\x01\x81\x02\xa0\xa1\x41a\xf6\xf5\xf4\xf7\xa1\x01\x02",
    b"\xd9\xd9\xf7\x9f\x40\x9f\xff\xbf\xff\xff",
    b"\x9f\xff",
    b"\x9f\x5f\x42aB\x40\x41c\xff\x7f\x62\xc3\xa9\xff\xbf\x01\xbf\x02\xc1\x03\xff\x5f\xff\x80\xff\xff",
    b"\x84\xf9\x3c\x00\xc1\xd9\xd9\xf7\x82\x01\x02\xc2\x43\x01\x02\x03\xa2\x41a\x80\x41a\xa0",
    b"\x82\x7a\x00\x00\x00\x04\xf0\x9f\x92\xa9\x5b\x00\x00\x00\x00\x00\x00\x00\x02\xff\xfe",
    b"\x83\x00\x3b\xff\xff\xff\xff\xff\xff\xff\xff\xd8\x1a\x82\x41A\x00",
];

fn whole(stream: &[u8]) -> (Vec<Frame>, Option<FramingError>) {
    scan(Limits::default(), stream, &[stream.len()])
}

/// The error that the only message of `octets` is refused with.
fn refused(octets: &[u8]) -> FramingError {
    let (frames, error) = whole(octets);
    assert_eq!(frames, [], "{}", octets.escape_ascii());
    assert_eq!(
        scan(Limits::default(), octets, &[1]),
        (frames, error.clone())
    );
    error.unwrap_or_else(|| panic!("not refused: {}", octets.escape_ascii()))
}

#[test]
fn samples_are_found() {
    let glued = SAMPLES.concat();
    for sizes in [&[glued.len()][..], &[1], &[7]] {
        let (frames, error) = scan(Limits::default(), &glued, sizes);
        assert_eq!(error, None);
        let found: Vec<_> = frames.iter().map(|f| &glued[f.start..f.end]).collect();
        let sent: Vec<_> = SAMPLES
            .iter()
            .map(|s| s.strip_prefix(b"\xd9\xd9\xf7").unwrap_or(s))
            .collect();
        assert_eq!(found, sent);
    }
}

#[test]
fn elements_are_found() {
    use ElementKind::{Chunks, Number, Octets, Other, Text};
    for (octets, dest, tag, rest) in [
        (&b"\x81\x40"[..], ("", Octets), None, &b""[..]),
        (
            b"\x82\x61a\xf6",
            ("a", Text),
            Some(("null", Other)),
            b"\xf6",
        ),
        (
            b"\x82\x41\xe9\x20",
            ("é", Octets),
            Some(("-1", Number)),
            b"\x20",
        ),
        (
            b"\x82\x5f\x41a\x41b\xff\x41c",
            ("ab", Chunks),
            Some(("c", Octets)),
            b"\x41c",
        ),
        (
            b"\x9f\xfa\x3f\xc0\x00\x00\x80\xff",
            ("1.5", Number),
            Some(("[]", Other)),
            b"\x80",
        ),
        (
            b"\x83\x01\x82\x81\x02\x03\x04",
            ("1", Number),
            Some(("[[2],3]", Other)),
            b"\x82\x81\x02\x03\x04",
        ),
        (
            b"\x82\x01\xc1\xc1\x41a",
            ("1", Number),
            Some(("\"a\"", Other)),
            b"\xc1\xc1\x41a",
        ),
        (
            b"\x82\x01\xc1\x9f\x41a\xff",
            ("1", Number),
            Some(("[\"a\"]", Other)),
            b"\xc1\x9f\x41a\xff",
        ),
        (
            b"\x82\x01\xc1\x5f\x41a\xff",
            ("1", Number),
            Some(("\"a\"", Other)),
            b"\xc1\x5f\x41a\xff",
        ),
        (
            b"\x82\x01\x7f\xff",
            ("1", Number),
            Some(("", Chunks)),
            b"\x7f\xff",
        ),
    ] {
        for size in [octets.len(), 1] {
            let frame = &scan(Limits::default(), octets, &[size]).0[0];
            let show = |element: Element| (element.text(octets).into_owned(), element.kind);
            assert_eq!(show(frame.dest.unwrap()), (dest.0.to_owned(), dest.1));
            let tag = tag.map(|(text, kind): (&str, _)| (text.to_owned(), kind));
            assert_eq!(frame.tag.map(show), tag, "{}", octets.escape_ascii());
            assert_eq!(&octets[frame.elements()], rest);
            assert_eq!(frame.first, 1);
        }
    }
    for keepalive in [&b"\x80"[..], b"\x9f\xff", b"\x98\x00", b"\xd9\xd9\xf7\x80"] {
        let frame = &whole(keepalive).0[0];
        assert!(frame.is_keepalive());
        assert_eq!(&keepalive[frame.elements()], b"");
    }
    let frame = &whole(b"\x82\x43abc\x41d").0[0];
    assert_eq!(frame.tag.unwrap().text(b"short"), "");
}

#[test]
fn broken_items_are_refused_where_they_break() {
    for (octets, expected) in [
        (&b"\x82\x41a\x1c"[..], 3),
        (b"\x82\x41a\x1f", 3),
        (b"\x82\x41a\x3f", 3),
        (b"\x82\x41a\x5c", 3),
        (b"\x82\x41a\x7e", 3),
        (b"\x82\x41a\x9d", 3),
        (b"\x82\x41a\xbe", 3),
        (b"\x82\x41a\xdf", 3),
        (b"\x82\x41a\xfe", 3),
        (b"\x82\x41a\xf8\x20", 3),
        (b"\x82\x41a\xf8\x14", 3),
        (b"\x82\x41a\xe0", 3),
        (b"\x82\x41a\xf3", 3),
        (b"\x82\x41a\xff", 3),
        (b"\x82\x41a\xa1\xff", 4),
        (b"\x81\xff", 1),
        (b"\x9f\xc1\xff", -1),
        (b"\x9f\x41a\xc1\xff", 4),
        (b"\x82\x41a\xbf\x01\xff", 5),
        (b"\x82\x41a\xbf\x01\xc1\xff", 6),
        (b"\x82\x41a\x5f\x61a\xff", 4),
        (b"\x82\x41a\x7f\x41a\xff", 4),
        (b"\x82\x41a\x5f\x5f\xff\xff", 4),
        (b"\x82\x41a\x7f\xc1\x61a", 4),
        (b"\x82\x41a\x5f\x01\xff", 4),
    ] {
        match refused(octets) {
            FramingError::Syntax { offset, .. } => {
                assert_eq!(offset as i32, expected, "{}", octets.escape_ascii());
            }
            FramingError::BadDestination { offset: 1, .. } if expected == -1 => {}
            other => panic!("{}: {other:?}", octets.escape_ascii()),
        }
    }
}

#[test]
fn bad_utf8_is_refused_where_it_starts() {
    for bad in [
        &b"\x80"[..],
        b"\xc0\x80",
        b"\xc3x",
        b"\xe0\x80\x80",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xff",
    ] {
        for before in [0, 1, 7, 8] {
            let len = 0x60 + before as u8 + bad.len() as u8;
            let text = [&[0x81, len], &b"12345678"[..before], bad].concat();
            let offset = 2 + before;
            assert_eq!(refused(&text), FramingError::Utf8 { offset });
        }
    }
    // A character may not be split: not by the end, not over two chunks.
    assert_eq!(refused(b"\x81\x61\xc3"), FramingError::Utf8 { offset: 2 });
    let chunks = b"\x82\x41a\x7f\x61\xc3\x61\xa9\xff";
    assert_eq!(refused(chunks), FramingError::Utf8 { offset: 5 });
}

#[test]
fn only_arrays_with_a_destination_are_messages() {
    for found in [0x00, 0x20, 0x40, 0x60, 0xa0, 0xbf, 0xc1, 0xf5, 0xf6, 0xff] {
        let error = FramingError::NotAnArray { offset: 0, found };
        assert_eq!(refused(&[found, 0, 0]), error);
        let error = FramingError::NotAnArray { offset: 3, found };
        assert_eq!(refused(&[0xd9, 0xd9, 0xf7, found, 0, 0]), error);
    }
    for found in [0x80, 0xa0, 0x9f, 0xbf, 0xc1, 0xf4, 0xf5, 0xf6, 0xf7] {
        let error = FramingError::BadDestination { offset: 1, found };
        assert_eq!(refused(&[0x82, found, 0, 0]), error);
    }
}

#[test]
fn limits_hold() {
    let limits = Limits {
        max_message: 20,
        max_depth: 3,
    };
    let too_long = Some(FramingError::TooLong { limit: 20 });
    for (stream, expected) in [
        (&b"\x82\x40\x51pppppppppppppppppp"[..20], None),
        (b"\x82\x40\x51ppppppppppppppppp\x80", None),
        // As soon as the length is there, whatever the length.
        (b"\x82\x40\x52", too_long.clone()),
        (
            b"\x82\x40\x5b\xff\xff\xff\xff\xff\xff\xff\xff",
            too_long.clone(),
        ),
        (
            b"\x82\x40\x7b\x7f\xff\xff\xff\xff\xff\xff\xff",
            too_long.clone(),
        ),
        (
            b"\x82\x40\x9b\xff\xff\xff\xff\xff\xff\xff\xff",
            too_long.clone(),
        ),
        (
            b"\x82\x40\xbb\x80\x00\x00\x00\x00\x00\x00\x00",
            too_long.clone(),
        ),
        (b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff", too_long.clone()),
        (b"\x82\x40\xaa", too_long.clone()),
        (b"\x82\x40\x5f\x4ePPPPPPPPPPPPPP\x41p", None),
        (b"\x82\x40\x5f\x4ePPPPPPPPPPPPPP\x41pp", too_long.clone()),
        (
            b"\x9f\x40\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\xff",
            too_long.clone(),
        ),
        (
            b"\x9f\x40\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\xff",
            None,
        ),
        (b"\x82\x40\x81\x81\x01", None),
        (
            b"\x82\x40\x81\x81\x80",
            Some(FramingError::TooDeep { limit: 3 }),
        ),
        (
            b"\x82\x40\x81\xbf\x01\x9f",
            Some(FramingError::TooDeep { limit: 3 }),
        ),
        (b"\x82\x40\xc1\xc1\xc1\xc1\xc1\xc1\x01", None),
    ] {
        for size in [stream.len(), 1, 3] {
            let (_, error) = scan(limits, stream, &[size]);
            assert_eq!(error, expected, "{} by {size}", stream.escape_ascii());
        }
    }
    assert_eq!(
        scan(
            Limits {
                max_message: 9,
                max_depth: 0
            },
            b"\x80",
            &[1]
        )
        .1,
        Some(FramingError::TooDeep { limit: 0 })
    );
}

pub(crate) fn octet() -> impl Strategy<Value = u8> {
    let special =
        b"\x00\x01\x18\x19\x1c\x20\x38\x40\x41\x42\x5f\x60\x61\x62\x7f\x80\x81\x82\x9f\xa0\xa1\xbf\
                    \xc1\xc2\xd9\xf4\xf5\xf6\xf7\xf8\xf9\xfa\xff\xc3\xa9\x58";
    prop_oneof![3 => prop::sample::select(special.to_vec()), 1 => any::<u8>()]
}

/// Streams of samples with some octets changed.
pub(crate) fn stream() -> impl Strategy<Value = Vec<u8>> {
    let samples = prop::collection::vec(prop::sample::select(SAMPLES.to_vec()), 1..4);
    let changes = prop::collection::vec((any::<prop::sample::Index>(), octet(), 0..3), 0..4);
    (samples, changes).prop_map(|(samples, changes)| {
        let mut stream = samples.concat();
        for (at, octet, what) in changes {
            let at = at.index(stream.len());
            match what {
                0 => stream[at] = octet,
                1 => stream.insert(at, octet),
                _ if stream.len() > 1 => drop(stream.remove(at)),
                _ => {}
            }
        }
        stream
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn cuts_do_not_matter(
        stream in stream(),
        sizes in prop::collection::vec(1usize..9, 1..6),
        max_message in prop_oneof![Just(usize::MAX), 0usize..80],
        max_depth in 0usize..5,
    ) {
        let limits = Limits { max_message, max_depth };
        let at_once = scan(limits, &stream, &[stream.len()]);
        prop_assert_eq!(&scan(limits, &stream, &sizes), &at_once);
        prop_assert_eq!(scan(limits, &stream, &[1]), at_once);
    }

    #[test]
    fn noise_does_no_harm(stream in prop::collection::vec(octet(), 0..60)) {
        let (frames, _) = whole(&[b"\x82\x41a", &stream[..]].concat());
        prop_assert!(frames.len() <= stream.len() + 1);
        let mut json = Vec::new();
        let _ = cbor_to_json(&mut json, &stream);
        let _ = Sequence::new(&stream).count();
        let _ = serde_json::Value::deserialize(Sequence::new(&stream));
        let _ = json_to_cbor(&mut json, &stream);
    }
}

use serde::Deserialize;
