//! A message is the same whatever framing it came in and goes in.

use super::*;
use crate::proto::framing::cbor::tests::{stream, transcode::value};
use crate::proto::{Framing, Limits};

fn of_cbor(elements: &[Value]) -> Message {
    let mut octets = Vec::new();
    cbor::encode_elements(&mut octets, elements).unwrap();
    Message::from_cbor(octets.into())
}

/// The messages of a stream that comes in pieces of these sizes: names, JSON texts and lengths.
fn received(
    framing: Framing,
    octets: &[u8],
    sizes: &[usize],
) -> Vec<(Option<String>, String, usize)> {
    let mut incoming = Incoming::new(framing, Limits::default());
    let (mut block, mut got, mut at) = (BytesMut::new(), Vec::new(), 0);
    for size in sizes.iter().cycle() {
        let piece = &octets[at..octets.len().min(at + size)];
        at += piece.len();
        block.extend_from_slice(piece);
        while let Some(arrived) = incoming.next(&mut block).expect("sound") {
            let json = arrived.message.to_json().into_owned();
            got.push((arrived.name, json, arrived.octets));
        }
        if at == octets.len() {
            break;
        }
    }
    assert!(block.is_empty());
    got
}

fn first(framing: Framing, octets: &[u8]) -> Arrived {
    let mut incoming = Incoming::new(framing, Limits::default());
    incoming.next(&mut octets.into()).unwrap().unwrap()
}

fn sent<T: Serialize + ?Sized>(framing: Framing, name: &str, args: &T) -> Vec<u8> {
    let mut out = Vec::new();
    encode_in(&mut out, framing, name, args).unwrap();
    out
}

fn read<'a, T>(json: &'a Message, cbor: &'a Message)
where
    T: Deserialize<'a> + PartialEq + std::fmt::Debug,
{
    match (json.args::<T>(), cbor.args::<T>()) {
        (Ok(json), Ok(cbor)) => assert_eq!(json, cbor),
        // In CBOR whole floats are integers as well, and strings are borrowed where JSON has
        // escapes.
        (Err(_), _) => {}
        (Ok(_), Err(error)) => panic!("{error}: {cbor:?}"),
    }
}

#[test]
fn errors_name_the_element() {
    let message = of_cbor(&["add".into(), 1.into(), "two".into()]);
    let rest = message.without_tag();
    let error = rest.args::<(u32, u32)>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "argument 2: invalid type: string \"two\", expected u32"
    );
    let error = rest.args::<(u32, String, u8)>().unwrap_err();
    assert_eq!(error.to_string(), "argument 3: is missing");
    let none = rest.without_tag().without_tag();
    assert_eq!(none.tag(), None);
    assert_eq!(none.without_tag().to_json(), "[]");
    assert_eq!(
        none.args::<String>().unwrap_err().to_string(),
        "argument 1: is missing"
    );
    none.args::<()>().unwrap();
    // Nothing panics on elements that are not sound.
    let broken = Message::from_cbor(Bytes::from_static(b"\x83\x01"));
    assert!(broken.args::<(Vec<u8>,)>().is_err());
    assert_eq!((broken.tag(), broken.without_tag().size()), (None, 2));
    assert_eq!(
        (broken.elements().count(), broken.to_json().as_ref()),
        (0, "[]")
    );
}

#[test]
fn what_has_no_json() {
    // NaN, a reference to an earlier value.
    let message = Message::from_cbor(Bytes::from_static(b"\x41t\xf9\x7e\x00\xd8\x1d\x00\x01"));
    assert_eq!(message.to_json(), r#"["t",null,null,1]"#);
    assert_eq!(message.values()[2], Value::Null);
    assert!(serde_json::to_string(&message).is_err());
    let octets = sent(Framing::Cbor, "p", &message);
    assert_eq!(octets, b"\x85\x41p\x41t\xf9\x7e\x00\xd8\x1d\x00\x01");
    let mut out = b"x".to_vec();
    assert!(encode_in(&mut out, Framing::Json, "p", &message).is_err());
    assert_eq!(out, b"x");
}

#[test]
fn what_no_framing_holds() {
    let mut out = b"x".to_vec();
    for framing in Framing::ALL {
        for bad in [
            Value::from(1),
            "a".into(),
            Value::Object(Default::default()),
        ] {
            let error = encode_in(&mut out, framing, "p", &bad).unwrap_err();
            assert!(
                matches!(error, EncodeError::NotASequence { .. }),
                "{framing}: {error}"
            );
        }
        let broken = std::collections::HashMap::from([((1, 2), 3)]);
        let error = encode_in(&mut out, framing, "p", &(broken,)).unwrap_err();
        assert!(
            matches!(error, EncodeError::Unserialisable(_)),
            "{framing}: {error}"
        );
        assert_eq!(out, b"x");
    }
    // Keys that CBOR refuses by itself, and JSON has: it is sent all the same.
    let flags = (std::collections::BTreeMap::from([(true, 1)]),);
    let octets = sent(Framing::Cbor, "p", &flags);
    assert_eq!(
        first(Framing::Cbor, &octets).message.to_json(),
        r#"[{"true":1}]"#
    );
}

#[test]
fn octets_are_octets() {
    let octets = Octets(vec![0, 0x41, 0xe9]);
    assert_eq!(
        sent(Framing::Cbor, "", &(&octets,)),
        b"\x82\x40\x43\x00A\xe9"
    );
    for framing in Framing::ALL {
        let arrived = first(framing, &sent(framing, "p", &("t", &octets)));
        let read: (String, Octets) = arrived.message.args().unwrap();
        assert_eq!(read.1, octets, "{framing}");
    }
}

#[test]
fn storable_images_that_are_no_message() {
    for (octets, text) in [
        (
            &b"\x12\x05\x0b\x02\0\0\0\x01\x04\x11\x03Foo\x03\0\0\0\0"[..],
            "Foo",
        ),
        (b"\x08\x05\x0b\x02\0\0\0\x01\x05", "destination"),
        (b"\x07\x05\x0b\x03\0\0\0\0", "not an array"),
        (b"\x80", "leading zero"),
    ] {
        let mut incoming = Incoming::new(Framing::Storable, Limits::default());
        let error = incoming.next(&mut octets.into()).unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Read from CBOR, a message is what it is read from JSON.
    #[test]
    fn typed_alike(elements in prop::collection::vec(value(), 0..6)) {
        let (json, cbor) = (Message::encode(&elements).unwrap(), of_cbor(&elements));
        prop_assert_eq!(json.to_json(), cbor.to_json());
        prop_assert_eq!(json.values(), cbor.values());
        if !elements.first().is_some_and(Value::is_f64) {
            prop_assert_eq!(json.tag(), cbor.tag());
        }
        let (json_rest, cbor_rest) = (json.without_tag(), cbor.clone().into_without_tag());
        for (json, cbor) in [(&json, &cbor), (&json_rest, &cbor_rest)] {
            read::<()>(json, cbor);
            read::<Vec<Value>>(json, cbor);
            read::<Value>(json, cbor);
            read::<(String, Value)>(json, cbor);
            read::<&str>(json, cbor);
            read::<(Option<i64>, Option<Value>, Option<f64>)>(json, cbor);
            read::<(Text, Num<f64>)>(json, cbor);
            read::<(Value, crate::proto::NodeId)>(json, cbor);
            read::<std::collections::HashMap<String, Value>>(json, cbor);
        }
        prop_assert_eq!(cbor_rest.to_json(), json_rest.to_json());
        let as_json = |message: &Message| serde_json::to_string(message).unwrap();
        prop_assert_eq!(as_json(&json_rest), as_json(&cbor_rest));
        for (json, cbor) in json.elements().zip(cbor.elements()) {
            prop_assert_eq!(json.json(), cbor.json());
            prop_assert_eq!(json.read::<Value>().unwrap(), cbor.read::<Value>().unwrap());
            let both = (json.to_message(), cbor.to_message());
            prop_assert_eq!(both.0.map(|m| m.values()), both.1.map(|m| m.values()));
        }
        let compact = cbor.clone().compact();
        prop_assert_eq!(compact.to_json(), cbor.to_json());
    }

    /// Any chunking of a stream gives the same messages.
    #[test]
    fn cuts_do_not_matter(
        messages in prop::collection::vec(
            prop::option::weighted(0.9, ("[a-z.é]{0,5}", prop::collection::vec(value(), 0..4))),
            1..5,
        ),
        sizes in prop::collection::vec(1..40_usize, 1..6),
    ) {
        for framing in Framing::ALL {
            let mut octets = Vec::new();
            for message in &messages {
                match message {
                    Some((name, args)) => octets.extend(sent(framing, name, args)),
                    None => octets.extend_from_slice(framing.keepalive()),
                }
            }
            let whole = received(framing, &octets, &[octets.len()]);
            prop_assert_eq!(whole.iter().map(|got| got.2).sum::<usize>(), octets.len());
            let names: Vec<_> = whole.iter().map(|got| got.0.as_deref()).collect();
            let expected = messages.iter().map(|message| message.as_ref().map(|m| m.0.as_str()));
            prop_assert_eq!(names, expected.collect::<Vec<_>>());
            if framing != Framing::Storable {
                let texts: Vec<_> = whole.iter().map(|got| got.1.as_str()).collect();
                let text = |message: &Option<(String, Vec<Value>)>| match message {
                    Some((_, args)) => Message::encode(args).unwrap().to_json().into_owned(),
                    None => "[]".to_owned(),
                };
                prop_assert_eq!(texts, messages.iter().map(text).collect::<Vec<_>>());
            }
            prop_assert_eq!(&received(framing, &octets, &sizes), &whole);
            prop_assert_eq!(received(framing, &octets, &[1]), whole);
        }
    }

    /// What is sent on from one link to another arrives as it was sent; between links of the same
    /// framing it is the same octet by octet.
    #[test]
    fn relayed_alike(args in prop::collection::vec(value(), 1..5)) {
        for from in [Framing::Json, Framing::Cbor] {
            let octets = sent(from, "a.b", &args);
            let message = first(from, &octets).message;
            prop_assert_eq!(&sent(from, "a.b", &message), &octets);
            prop_assert_eq!(&sent(from, "a.b", &message.elements()), &octets);
            for to in [Framing::Json, Framing::Cbor] {
                prop_assert_eq!(&sent(to, "a.b", &message), &sent(to, "a.b", &args));
                let rest = message.without_tag();
                prop_assert_eq!(&sent(to, "a.b", &rest), &sent(to, "a.b", &args[1..]));
            }
            let storable = first(Framing::Storable, &sent(Framing::Storable, "a.b", &message));
            let direct = first(Framing::Storable, &sent(Framing::Storable, "a.b", &args));
            prop_assert_eq!(storable.message.values(), direct.message.values());
        }
    }

    /// A whole message is sent as its elements would be, with or without octets of its own, and one
    /// more string behind them makes it one longer.
    #[cfg(feature = "node")]
    #[test]
    fn whole_messages_are_sent_alike(
        name in prop_oneof!["[a-z.]{0,5}", any::<String>()],
        args in prop::collection::vec(value(), 0..5),
        more: String,
    ) {
        let json = Message::encode(&args).unwrap();
        let cbor = first(Framing::Cbor, &sent(Framing::Cbor, "p", &args)).message;
        for message in [&json, &cbor, &json.without_tag(), &cbor.without_tag()] {
            for framing in [Framing::Json, Framing::Cbor] {
                let mut out = b"x".to_vec();
                message.encode_in(&mut out, framing, &name).unwrap();
                prop_assert_eq!(&out[1..], sent(framing, &name, message));
            }
            let longer = message.with(&[&more]).unwrap();
            let mut values = message.values();
            values.push(more.clone().into());
            prop_assert_eq!(longer.values(), values);
            let mut local = b"x".to_vec();
            message.encode_local(&mut local).unwrap();
            prop_assert_eq!(Message::from_local(&local[1..]).values(), message.values());
        }
        let mut local = Vec::new();
        encode_local(&mut local, &args).unwrap();
        prop_assert_eq!(Message::from_local(&local).values(), json.values());
    }

    /// Between CBOR links even unusual encodings stay as they are.
    #[test]
    fn odd_cbor_stays(stream in stream()) {
        let mut scanner = cbor::CborScanner::new(Limits::default());
        let Ok(Some(frame)) = scanner.next(&stream) else { return Ok(()) };
        let elements = &stream[frame.elements()];
        let message = Message::from_cbor(Bytes::copy_from_slice(elements));
        let out = sent(Framing::Cbor, "p", &message);
        prop_assert!(out.ends_with(elements));
        let again = first(Framing::Cbor, &out);
        prop_assert_eq!(again.message.octets, elements);
    }
}
