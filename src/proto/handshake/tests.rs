use super::check::{Side, pass};
use super::*;
use crate::proto::greeting::GreetingError;
use proptest::prelude::*;
use std::sync::Arc;

fn local(node: &str) -> Local {
    Local::new(NodeId::new(node), Some(Secret::from("geheim")))
}

/// Lets both sides talk, in chunks of the given sizes; the connector greets first.
fn talk(a: Local, b: Local, chunks: &[usize]) -> (Side, Side) {
    let mut a = Side::new(Role::Connector, a);
    let mut b = Side::new(Role::Listener, b);
    a.handshake.greet(&mut a.out);
    let mut chunks = chunks.iter().copied().cycle();
    for _ in 0..10_000 {
        if a.out.is_empty() && b.out.is_empty() {
            break;
        }
        pass(&mut a, &mut b, chunks.next().unwrap_or(1), |_| {});
        pass(&mut b, &mut a, chunks.next().unwrap_or(1), |_| {});
    }
    (a, b)
}

fn errors(a: Local, b: Local) -> (Option<HandshakeError>, Option<HandshakeError>) {
    let (a, b) = talk(a, b, &[4096]);
    (a.error, b.error)
}

#[test]
fn success_in_each_version() {
    for (generations, generation) in [
        (Generations::Auto, crate::proto::Generation::Gen2),
        (Generations::Only(2), crate::proto::Generation::Gen2),
        (Generations::Only(1), crate::proto::Generation::Gen1b),
        (Generations::Only(0), crate::proto::Generation::Gen0),
    ] {
        let speaks = |node| Local {
            generations,
            ..local(node)
        };
        let (a, b) = talk(speaks("a"), local("b"), &[4096]);
        assert_eq!((&a.error, &b.error), (&None, &None));
        let (a, b) = (a.established().unwrap(), b.established().unwrap());
        assert_eq!(a.peer.greeting.node, "b");
        assert_eq!(b.peer.greeting.node, "a");
        assert_eq!(
            (a.peer.generation, b.peer.generation),
            (generation, generation)
        );
        assert!(
            (0..3).all(|number| a.peer.speaks(number)),
            "b says it speaks all"
        );
    }
}

#[test]
fn each_refusal_is_its_own_error() {
    let (a, b) = errors(local("same"), local("same"));
    assert!(matches!(b, Some(HandshakeError::OwnNodeId { .. })), "{b:?}");
    assert!(a.is_none_or(|a| matches!(a, HandshakeError::OwnNodeId { .. })));

    let only = |version, node| Local {
        generations: Generations::Only(version),
        ..local(node)
    };
    let (a, b) = errors(only(0, "a"), only(1, "b"));
    assert!(
        matches!(b, Some(HandshakeError::Version { theirs: 0, .. })),
        "{b:?}"
    );
    assert!(
        matches!(a, Some(HandshakeError::Version { theirs: 1, .. })),
        "{a:?}"
    );

    let mismatch = |ours, theirs| {
        Some(HandshakeError::Generation {
            ours: Generations::Only(ours),
            theirs,
        })
    };
    let (a, b) = errors(only(1, "a"), only(2, "b"));
    assert_eq!(a, mismatch(1, crate::proto::Generation::Gen2));
    assert_eq!(b, mismatch(2, crate::proto::Generation::Gen1b));

    let other = Local {
        secret: Some(Secret::from("other")),
        ..local("b")
    };
    let (_, b) = errors(local("a"), other);
    assert!(
        matches!(b, Some(HandshakeError::WrongToken { .. })),
        "{b:?}"
    );

    for secret in [None, Some(Secret::from(""))] {
        let without = Local {
            secret,
            ..local("b")
        };
        let (_, b) = errors(local("a"), without);
        assert_eq!(b, Some(HandshakeError::NoSecret));
    }

    let picky = Local {
        auth_accept: vec![AuthMethod::Cleartext],
        ..local("b")
    };
    let (a, _) = errors(local("a"), picky);
    assert!(
        matches!(a, Some(HandshakeError::NoCommonAuth { .. })),
        "{a:?}"
    );

    let silent = Local {
        framings: Vec::new(),
        ..local("b")
    };
    let (a, b) = errors(local("a"), silent);
    assert!(
        matches!(a, Some(HandshakeError::NoCommonFraming { .. })),
        "{a:?}"
    );
    assert!(
        matches!(b, Some(HandshakeError::NoCommonFraming { .. })),
        "{b:?}"
    );
}

#[test]
fn cleartext_only_when_configured() {
    let clear = |node| Local {
        auth_offer: vec![AuthMethod::Cleartext],
        ..local(node)
    };
    let (mut a, b) = talk(clear("a"), local("b"), &[4096]);
    assert_eq!((&a.error, &b.error), (&None, &None));
    a.out.clear();
    // By default the method that the peer accepts is not the one that we send.
    let accepts = Local {
        auth_accept: vec![AuthMethod::Cleartext, AuthMethod::HmacMd6],
        ..local("b")
    };
    let (a, b) = talk(local("a"), accepts, &[4096]);
    assert_eq!((&a.error, &b.error), (&None, &None));
}

/// Feeds lines to a listener and gives the error that ends it.
fn listener_error(lines: &[u8]) -> Option<HandshakeError> {
    let mut side = Side::new(Role::Listener, local("b"));
    side.recv(lines);
    side.error
}

#[test]
fn bad_lines() {
    let error = listener_error(&[b'x'; MAX_LINE + 1]);
    assert_eq!(error, Some(HandshakeError::LineTooLong));
    let mut line = vec![b'x'; MAX_LINE];
    line.push(b'\n');
    assert_eq!(listener_error(&line), Some(HandshakeError::LineTooLong));
    assert!(matches!(
        listener_error(b"hello\n"),
        Some(HandshakeError::Greeting(GreetingError::NotAemp { .. }))
    ));
    let greeted = "aemp;1;a;hmac_md6_64_256;json\nnonce\n";
    for (token, check) in [
        ("x\n", HandshakeError::MalformedToken),
        (
            "rot13;x;json\n",
            HandshakeError::MethodRefused {
                method: "rot13".into(),
            },
        ),
        (
            "tls_anon;;json\n",
            HandshakeError::MethodRefused {
                method: "tls_anon".into(),
            },
        ),
        (
            "hmac_md6_64_256;x;json\n",
            HandshakeError::WrongToken {
                method: "hmac_md6_64_256".into(),
            },
        ),
        (
            "cleartext;67656865696d;morse\n",
            HandshakeError::FramingRefused {
                framing: "morse".into(),
            },
        ),
    ] {
        let error = listener_error(format!("{greeted}{token}").as_bytes());
        assert_eq!(error, Some(check), "{token}");
    }
    assert_eq!(
        listener_error(format!("{greeted}cleartext;67656865696d;json\n").as_bytes()),
        None
    );
}

/// Lines as they come from a peer that ends them so.
fn with_cr(lines: &[u8]) -> Vec<u8> {
    String::from_utf8_lossy(lines)
        .replace('\n', "\r\n")
        .into_bytes()
}

#[test]
fn lines_may_end_in_cr_lf() {
    // In one piece, and octet by octet, so that the two come one after the other.
    for chunk in [4096, 1] {
        let mut a = Side::new(Role::Connector, local("a"));
        let mut b = Side::new(Role::Listener, local("b"));
        a.handshake.greet(&mut a.out);
        while !a.out.is_empty() || !b.out.is_empty() {
            for octets in with_cr(&std::mem::take(&mut a.out)).chunks(chunk) {
                b.recv(octets);
            }
            for octets in with_cr(&std::mem::take(&mut b.out)).chunks(chunk) {
                a.recv(octets);
            }
        }
        // So the tokens were good: they are made of the lines with an LF, whatever came.
        assert_eq!((&a.error, &b.error), (&None, &None));
        let established = [a, b].map(|side| side.established().unwrap());
        for (side, peer) in established.iter().zip(["b", "a"]) {
            assert_eq!(side.peer.greeting.node, peer);
            assert!(side.rest.is_empty());
        }
    }
}

#[test]
fn only_the_cr_before_the_lf_is_of_the_line_end() {
    let greeted = "aemp;1;a;hmac_md6_64_256;json\r\nno\rnce\r\ncleartext;67656865696d;";
    assert_eq!(
        listener_error(format!("{greeted}json\r\n").as_bytes()),
        None
    );
    let framing = "json\r".to_owned();
    assert_eq!(
        listener_error(format!("{greeted}json\r\r\n").as_bytes()),
        Some(HandshakeError::FramingRefused { framing })
    );
}

#[test]
fn unknown_keys_and_further_fields_are_ignored() {
    let plain = "aemp;1;a;hmac_md6_64_256;json;provider=AE-1.30;peeraddr=x:1";
    let more =
        "aemp;1;a;hmac_md6_64_256;json;colour=blue;provider=AE-1.30;shape;=x;;peeraddr=x:1;a=b=c";
    let [plain, more] = [(plain, "json"), (more, "json;later;colour=blue")].map(|(line, last)| {
        let mut side = Side::new(Role::Listener, local("b"));
        side.recv(format!("{line}\nnonce\ncleartext;67656865696d;{last}\n").as_bytes());
        assert_eq!(side.error, None, "{line}");
        side.established().unwrap()
    });
    assert_eq!(more.peer.generation, plain.peer.generation);
    assert_eq!(more.send_framing, plain.send_framing);
    assert_eq!(more.recv_framing, plain.recv_framing);
    for key in ["provider", "peeraddr"] {
        let (more, plain) = (&more.peer.greeting, &plain.peer.greeting);
        assert_eq!(more.param(key), plain.param(key), "{key}");
    }
    let read = &more.peer.greeting;
    assert_eq!(
        (read.param("shape"), read.param("a")),
        (Some(""), Some("b=c"))
    );
}

#[test]
fn who_connects_says_what_for() {
    // For data, and octets come right behind the token.
    let (a, mut b) = talk(local("a").for_data("b@a"), local("b"), &[1, 7]);
    assert_eq!((&a.error, &b.error), (&None, &None));
    b.recv(b"blabla");
    let (a, b) = (a.established().unwrap(), b.established().unwrap());
    assert_eq!(b.peer.greeting.data_id(), Some("b@a"));
    assert_eq!(a.peer.greeting.purpose, Purpose::Link);
    assert_eq!(b.rest, b"blabla");

    // Who accepts does not.
    let (a, b) = talk(local("a"), local("b").for_data("b@a"), &[4096]);
    assert_eq!(a.error, Some(HandshakeError::NoLink));
    assert!(!b.handshake.is_verified());
}

#[test]
fn an_echo_is_told_from_a_namesake() {
    let generations = Generations::Only(1);
    let mut side = Side::new(
        Role::Listener,
        Local {
            generations,
            ..local("b")
        },
    );
    side.handshake.greet(&mut side.out);
    let echo = std::mem::take(&mut side.out);
    side.recv(&echo);
    assert_eq!(side.error, Some(HandshakeError::Echo));
}

#[test]
fn every_truncation_waits_for_more() {
    let (mut a, mut b) = (Vec::new(), Vec::new());
    let mut connector = Handshake::connect(Arc::new(local("a")), &[1; 66], "x");
    let mut listener = Handshake::accept(Arc::new(local("b")), &[2; 66], "y");
    connector.greet(&mut a);
    listener.recv(&a, &mut b).unwrap();
    let greeting = a.len();
    connector.recv(&b, &mut a).unwrap();
    for len in 0..a.len() {
        let mut listener = Handshake::accept(Arc::new(local("b")), &[2; 66], "y");
        let mut out = Vec::new();
        listener.recv(&a[..len], &mut out).unwrap();
        assert!(!listener.is_verified(), "after {len} of {} octets", a.len());
        assert_eq!(
            out.is_empty(),
            len < a.iter().position(|o| *o == b'\n').unwrap() + 1
        );
        assert!(len < greeting || listener.peer().is_some());
        assert!(listener.complete(&mut out).is_none());
    }
}

proptest! {
    #[test]
    fn any_chunking_gives_the_same(chunks in prop::collection::vec(1usize..200, 1..20)) {
        let (whole_a, whole_b) = talk(local("a"), local("b"), &[4096]);
        let (a, b) = talk(local("a"), local("b"), &chunks);
        prop_assert_eq!(&a.error, &None);
        prop_assert_eq!(&b.error, &None);
        for (one, other) in [(whole_a, a), (whole_b, b)] {
            let (one, other) = (one.established(), other.established());
            let (one, other) = (one.unwrap(), other.unwrap());
            prop_assert_eq!(one.peer.greeting, other.peer.greeting);
            prop_assert_eq!(one.rest, other.rest);
        }
    }

    #[test]
    fn any_octets_end_in_an_error_or_wait(octets: Vec<u8>, chunk in 1usize..50) {
        for role in [Role::Connector, Role::Listener] {
            let mut side = Side::new(role, local("b"));
            for octets in octets.chunks(chunk) {
                side.recv(octets);
            }
            prop_assert!(!side.handshake.is_verified());
        }
    }

    #[test]
    fn a_bent_octet_never_authenticates(at in 0usize..200, bit in 0u8..8) {
        let (mut a, mut b) = (Vec::new(), Vec::new());
        let mut connector = Handshake::connect(Arc::new(local("a")), &[1; 66], "x");
        let mut listener = Handshake::accept(Arc::new(local("b")), &[2; 66], "y");
        connector.greet(&mut a);
        listener.recv(&a, &mut b).unwrap();
        connector.recv(&b, &mut a).unwrap();
        // The framing's name is not covered by the token; everything before it is.
        let covered = a.len() - "json\n".len();
        let at = at % covered;
        a[at] ^= 1 << bit;
        let mut side = Side::new(Role::Listener, local("b"));
        side.recv(&a);
        prop_assert!(side.error.is_some() || !side.handshake.is_verified());
    }

    #[test]
    fn what_follows_the_token_is_kept(rest: Vec<u8>) {
        let greeting = "aemp;1;a;hmac_md6_64_256;json\nnonce\ncleartext;67656865696d;json\n";
        let mut side = Side::new(Role::Listener, local("b"));
        side.recv(&[greeting.as_bytes(), &rest].concat());
        prop_assert_eq!(&side.error, &None);
        prop_assert_eq!(side.established().unwrap().rest, rest);
    }
}

/// Node IDs beyond ASCII are an octet each, in what is sent and in what the tokens prove.
#[test]
fn node_ids_are_octets() {
    let (a, b) = talk(local("b\u{fc}"), local("\u{c3}\u{bc}"), &[1]);
    assert_eq!((&a.error, &b.error), (&None, &None));
    let (a, b) = (a.established().unwrap(), b.established().unwrap());
    assert_eq!(a.peer.greeting.node, "\u{c3}\u{bc}");
    assert_eq!(b.peer.greeting.node, "b\u{fc}");

    let mut out = Vec::new();
    Handshake::connect(local("b\u{fc}").into(), &[1; NONCE_LEN], "127.0.0.1:1").greet(&mut out);
    assert!(out.starts_with(b"aemp;1;b\xfc;"));
}
