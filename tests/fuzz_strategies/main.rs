//! What the strategies of `aemp::fuzz` make is as good as it is said to be, however it shrinks:
//! `cargo test --features fuzz --test fuzz_strategies`.

use std::collections::BTreeSet;
use std::sync::Arc;

use aemp::fuzz::{Conversation, Quality, Saying, strategy};
use aemp::proto::handshake::{Local, NONCE_LEN};
use aemp::proto::message::Incoming;
use aemp::proto::{Framing, Generation, Greeting, Handshake, Limits, Verb};
use arbitrary::{Arbitrary as _, Unstructured};
use bytes::BytesMut;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};

fn ports() -> Vec<String> {
    ["a.b", "a.c"].map(str::to_owned).to_vec()
}

/// Panics unless the messages are what a node of the generation says, each in its place.
fn is_well_formed(conversation: &Conversation) {
    let generation = conversation.opening.generation;
    let (mut monitored, mut spawned) = (BTreeSet::new(), BTreeSet::new());
    let mut ever_spawned = BTreeSet::new();
    for (name, elements) in conversation.values(&ports()) {
        if !name.is_empty() {
            let is_there = ports().contains(&name) || ever_spawned.contains(&name);
            assert!(is_there, "a message to {name}: {conversation:?}");
            continue;
        }
        let text = |n: usize| elements[n].as_str().unwrap().to_owned();
        let Some(verb) = Verb::parse(&text(0)) else {
            assert!(text(0).starts_with("fuzz::"), "{elements:?}");
            continue;
        };
        assert!(verb.known_in(generation), "{verb} in {generation}");
        match verb {
            Verb::Mon1 => drop(monitored.insert(text(1))),
            Verb::Mon0 => assert!(monitored.remove(&text(1)), "{conversation:?}"),
            Verb::Spawn => {
                assert!(ever_spawned.insert(text(1)), "{} twice", text(1));
                spawned.insert(text(1));
            }
            verb if generation.has_remote_kill() && verb == generation.kill_verb() => {
                assert!(spawned.remove(&text(1)), "{conversation:?}");
            }
            _ => {}
        }
    }
}

/// The messages of a conversation, read again.
fn read(conversation: &Conversation) -> usize {
    let stream = conversation.messages(&ports()).concat();
    let mut block = BytesMut::from(&stream[..]);
    let mut incoming = Incoming::new(conversation.opening.framing, Limits::default());
    let mut count = 0;
    while incoming.next(&mut block).unwrap().is_some() {
        count += 1;
    }
    assert!(block.is_empty(), "{} octets are left", block.len());
    count
}

/// What becomes of the handshake with a node of this crate.
fn is_let_in(conversation: &Conversation) -> bool {
    let local = Local::new("ruth".into(), Some("geheim".into()));
    let mut node = Handshake::accept(Arc::new(local), &[7; NONCE_LEN], "127.0.0.1:1");
    let mut heard = Vec::new();
    if node
        .recv(&conversation.opening.lines(), &mut heard)
        .is_err()
    {
        return false;
    }
    let heard = String::from_utf8(heard).unwrap();
    let Some(token) = conversation.opening.token(&heard, &"geheim".into()) else {
        return false;
    };
    node.recv(&token, &mut Vec::new()).is_ok() && node.is_verified()
}

#[test]
fn shrinking_keeps_conversations_well_formed() {
    let mut runner = TestRunner::deterministic();
    let mut steps = 0;
    for quality in [Quality::Valid, Quality::NearlyValid, Quality::Hostile] {
        let strategy = strategy::conversation(quality);
        for n in 0..60 {
            let mut tree = strategy.new_tree(&mut runner).unwrap();
            // Every third step back: so it does not only become nothing.
            for step in 0..200 {
                let conversation = tree.current();
                is_well_formed(&conversation);
                let least = match quality {
                    Quality::Valid => vec![Quality::Valid],
                    Quality::NearlyValid => vec![Quality::NearlyValid],
                    Quality::Hostile => vec![Quality::Hostile, Quality::NearlyValid],
                };
                assert!(least.contains(&conversation.quality()), "{conversation:?}");
                if quality == Quality::Valid {
                    assert!(is_let_in(&conversation), "{conversation:?}");
                    read(&conversation);
                }
                let goes_on = match (n + step) % 3 {
                    0 => tree.complicate(),
                    _ => tree.simplify(),
                };
                if !goes_on && !tree.simplify() {
                    break;
                }
                steps += 1;
            }
        }
    }
    assert!(steps > 1000, "only {steps} steps");
}

/// A failure shrinks to what matters.
#[test]
fn a_conversation_shrinks_to_its_monitors() {
    let mut runner = TestRunner::new(Config {
        failure_persistence: None,
        ..Config::default()
    });
    let ends_a_monitor = |conversation: &Conversation| {
        let values = conversation.values(&ports());
        values
            .iter()
            .any(|(_, elements)| elements.first() == Some(&"mon0".into()))
    };
    let failed = runner.run(&strategy::conversation(Quality::Valid), |conversation| {
        prop_assert!(!ends_a_monitor(&conversation));
        Ok(())
    });
    let Err(proptest::test_runner::TestError::Fail(_, least)) = failed else {
        panic!("no conversation ends a monitor: {failed:?}");
    };
    is_well_formed(&least);
    let said: Vec<_> = least
        .values(&ports())
        .into_iter()
        .map(|(_, all)| all)
        .collect();
    assert!(said.len() <= 3 && ends_a_monitor(&least), "{said:?}");
}

/// Whatever octets decide, a conversation comes of it, and the requests in it are its generation's.
#[test]
fn arbitrary_conversations_are_well_formed() {
    let mut runner = TestRunner::deterministic();
    let mut said = 0;
    for _ in 0..300 {
        let octets = prop::collection::vec(any::<u8>(), 0..600);
        let octets = octets.new_tree(&mut runner).unwrap().current();
        let made = Conversation::arbitrary(&mut Unstructured::new(&octets));
        let conversation = made.unwrap();
        is_well_formed(&conversation);
        said += conversation.messages(&ports()).len();
    }
    assert!(said > 300, "only {said} messages");
}

proptest! {
    #[test]
    fn flaws_are_noticed_or_harmless(
        line in strategy::greeting(Quality::Hostile),
        nearly in strategy::opening(Quality::NearlyValid),
    ) {
        let _ = Greeting::parse(&line);
        // A proof is of what was said: who hears something else refuses it.
        let conversation = Conversation {
            opening: nearly.clone(),
            sayings: Vec::new(),
        };
        let mut sound = nearly.clone();
        sound.flaws.clear();
        let changed = nearly.lines() != sound.lines();
        prop_assert!(!changed || !is_let_in(&conversation), "{nearly:?}");
    }

    #[test]
    fn messages_of_each_framing_are_read(
        (framing, octets) in prop::sample::select(Framing::ALL.to_vec()).prop_flat_map(|framing| {
            (Just(framing), strategy::message(framing, Quality::Valid))
        }),
        hostile in strategy::message(Framing::Cbor, Quality::Hostile),
    ) {
        let mut block = BytesMut::from(&octets[..]);
        let arrived = Incoming::new(framing, Limits::default()).next(&mut block).unwrap();
        let name = arrived.unwrap().name;
        prop_assert_eq!(name.as_deref(), Some("a.b"));
        let mut block = BytesMut::from(&hostile[..]);
        let mut incoming = Incoming::new(Framing::Cbor, Limits::default());
        while let Ok(Some(_)) = incoming.next(&mut block) {}
    }

    #[test]
    fn requests_are_of_their_generation(
        (generation, request) in strategy::generation().prop_flat_map(|generation| {
            (Just(generation), strategy::request(generation))
        }),
    ) {
        let verb = Verb::parse(request[0].as_str().unwrap());
        prop_assert!(verb.is_none_or(|verb| verb.known_in(generation)), "{request:?}");
    }
}

#[test]
fn kills_are_said_where_there_are_any() {
    let spawn = Saying::Spawn("f".into(), vec![]);
    let said = |generation: Generation| {
        let mut conversation = strategy::greeted(generation, "fuzz");
        conversation.sayings = vec![(spawn.clone(), vec![]), (Saying::Kill(3), vec![])];
        conversation.values(&ports()).len()
    };
    let all = [Generation::Gen0, Generation::Gen1b, Generation::Gen2];
    assert_eq!(all.map(said), [1, 2, 2]);
}
