//! Strategies for proptest: what peers say, valid, nearly valid and hostile.
//!
//! Whoever has an implementation of the protocol, in whatever language, or a program with ports of
//! its own, can drive it with these: nothing but a socket is needed. What fails shrinks to a short
//! conversation that is well-formed all the same, so that its last flaw is the one that matters.
//!
//! ```
//! use std::io::{BufRead as _, BufReader, Read as _, Write as _};
//! use std::net::TcpStream;
//!
//! use aemp::fuzz::{Conversation, Quality, strategy};
//! use proptest::test_runner::{Config, TestRunner};
//!
//! /// Plays a conversation to whoever listens there. True if it was let in and is answered.
//! fn play(at: &str, conversation: &Conversation, ports: &[String]) -> std::io::Result<bool> {
//!     let mut stream = TcpStream::connect(at)?;
//!     stream.write_all(&conversation.opening.lines())?;
//!     let mut reader = BufReader::new(stream.try_clone()?);
//!     let mut heard = String::new();
//!     reader.read_line(&mut heard)?;
//!     reader.read_line(&mut heard)?;
//!     let Some(rest) = conversation.rest(&heard, &"geheim".into(), ports) else {
//!         return Ok(false); // the greeting was refused
//!     };
//!     stream.write_all(&rest)?;
//!     stream.shutdown(std::net::Shutdown::Write)?;
//!     let mut answer = Vec::new();
//!     reader.read_to_end(&mut answer)?;
//!     Ok(!answer.is_empty())
//! }
//!
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Here a node of this crate; it could be any program that listens.
//! let node = aemp::Node::builder().no_rc().nodeid("ruth").secret("geheim").binds(["127.0.0.1:0"]);
//! let node = node.start().await?;
//! let port = node.port();
//! let (at, ports) = (node.listeners()[0].clone(), vec![port.id().name().to_owned()]);
//!
//! tokio::task::spawn_blocking(move || {
//!     let mut runner = TestRunner::new(Config { cases: 8, failure_persistence: None, ..Config::default() });
//!     let serial = std::cell::Cell::new(0);
//!     runner.run(&strategy::conversation(Quality::Hostile), |hostile| {
//!         let _ = play(&at, &hostile, &ports); // whatever becomes of it,
//!         serial.set(serial.get() + 1);
//!         let honest = format!("honest.{}", serial.get());
//!         let honest = strategy::greeted(hostile.opening.generation, &honest);
//!         // an honest peer is served afterwards.
//!         assert!(play(&at, &honest, &ports).is_ok_and(|answered| answered));
//!         Ok(())
//!     })
//! })
//! .await??;
//! # node.shutdown().await;
//! # Ok(()) }
//! ```

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::made::{Conversation, Element, Flaw, Opening, Quality, Saying, Speaker};
use crate::proto::message::encode_in;
use crate::proto::{Framing, Generation};

/// A generation.
///
/// ```
/// let _any_of_four = aemp::fuzz::strategy::generation();
/// ```
pub fn generation() -> impl Strategy<Value = Generation> {
    select(vec![
        Generation::Gen2,
        Generation::Gen1b,
        Generation::Gen1a,
        Generation::Gen0,
    ])
}

/// What can be wrong with something: one flaw that costs nothing more, or any number of any.
fn flaws(quality: Quality) -> BoxedStrategy<Vec<Flaw>> {
    let at = any::<u16>;
    let small = prop_oneof![
        (at(), 0..8u8).prop_map(|(at, bit)| Flaw::Bent(at, bit)),
        (at(), any::<u8>()).prop_map(|(at, octet)| Flaw::Inserted(at, octet)),
        at().prop_map(Flaw::Missing),
        at().prop_map(Flaw::Cut),
    ];
    match quality {
        Quality::Valid => Just(Vec::new()).boxed(),
        Quality::NearlyValid => small.prop_map(|flaw| vec![flaw]).boxed(),
        Quality::Hostile => {
            let large = prop_oneof![
                at().prop_map(Flaw::Twice),
                (at(), 1..3000u16).prop_map(|(at, levels)| Flaw::Deep(at, levels)),
                (at(), 1..80u8).prop_map(|(at, times)| Flaw::Long(at, times)),
                at().prop_map(Flaw::Announced),
            ];
            vec(prop_oneof![small, large], 1..4).boxed()
        }
    }
}

/// An element of a message.
///
/// ```
/// let _list = proptest::collection::vec(aemp::fuzz::strategy::element(), 0..4);
/// ```
pub fn element() -> impl Strategy<Value = Element> {
    let leaf = prop_oneof![
        Just(Element::Null),
        any::<bool>().prop_map(Element::Boolean),
        any::<i64>().prop_map(Element::Integer),
        any::<f64>().prop_map(Element::Float),
        any::<String>().prop_map(Element::Text),
        "[ -~]{0,8}".prop_map(Element::Text),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Element::List),
            vec(("[a-z]{0,4}", inner), 0..4).prop_map(Element::Map),
        ]
    })
}

/// A greeting line, without its end.
///
/// ```
/// use aemp::fuzz::{Quality, strategy};
/// use aemp::proto::Greeting;
/// use proptest::test_runner::TestRunner;
/// TestRunner::deterministic().run(&strategy::greeting(Quality::Valid), |line| {
///     assert!(Greeting::parse(&line).is_ok());
///     Ok(())
/// })?;
/// # Ok::<(), proptest::test_runner::TestError<Vec<u8>>>(())
/// ```
pub fn greeting(quality: Quality) -> impl Strategy<Value = Vec<u8>> {
    (opening(Quality::Valid), flaws(quality)).prop_map(|(opening, flaws)| {
        let mut line = opening.greeting().to_octets();
        for flaw in flaws {
            flaw.apply(&mut line);
        }
        line
    })
}

/// A handshake: the flaws are in the greeting, or in the proof.
///
/// ```
/// let _nearly = aemp::fuzz::strategy::opening(aemp::fuzz::Quality::NearlyValid);
/// ```
pub fn opening(quality: Quality) -> impl Strategy<Value = Opening> {
    let framing = select(vec![Framing::Json, Framing::Cbor]);
    let params = vec(("[a-z]{1,6}", "[ -~]{0,8}"), 0..3);
    let all = (generation(), framing, params, flaws(quality), any::<bool>());
    all.prop_map(|(generation, framing, params, flaws, in_proof)| {
        // A node of generation 0 or 1 knows no CBOR.
        let framing = match generation {
            Generation::Gen2 => framing,
            _ => Framing::Json,
        };
        let mut opening = Opening {
            params,
            ..Opening::new(generation, framing, "fuzz")
        };
        // Keys that mean something are said by the generation.
        opening.params.retain(|(key, _)| key.starts_with('x'));
        match in_proof {
            true => opening.token_flaws = flaws,
            false => opening.flaws = flaws,
        }
        opening
    })
}

/// A message of a framing to the port `a.b`.
///
/// ```
/// use aemp::fuzz::{Quality, strategy};
/// use aemp::proto::{Framing, Limits, message::Incoming};
/// use proptest::test_runner::TestRunner;
/// let messages = strategy::message(Framing::Storable, Quality::Valid);
/// TestRunner::deterministic().run(&messages, |octets| {
///     let mut block = bytes::BytesMut::from(&octets[..]);
///     let mut incoming = Incoming::new(Framing::Storable, Limits::default());
///     assert_eq!(incoming.next(&mut block).unwrap().unwrap().name.as_deref(), Some("a.b"));
///     Ok(())
/// })?;
/// # Ok::<(), proptest::test_runner::TestError<Vec<u8>>>(())
/// ```
pub fn message(framing: Framing, quality: Quality) -> impl Strategy<Value = Vec<u8>> {
    (vec(element(), 0..6), flaws(quality)).prop_map(move |(elements, flaws)| {
        let values: Vec<_> = elements.iter().map(Element::to_value).collect();
        let mut octets = Vec::new();
        // JSON values can be said in every framing.
        let _ = encode_in(&mut octets, framing, "a.b", &values);
        for flaw in flaws {
            flaw.apply(&mut octets);
        }
        octets
    })
}

/// What a peer says once it has proved itself.
///
/// ```
/// let _many = proptest::collection::vec(aemp::fuzz::strategy::saying(), 0..20);
/// ```
pub fn saying() -> impl Strategy<Value = Saying> {
    let elements = || vec(element(), 0..4);
    let n = any::<u8>;
    let name = || prop_oneof!["[a-z:]{0,6}", any::<String>()];
    prop_oneof![
        1 => Just(Saying::Keepalive),
        4 => (n(), elements()).prop_map(|(n, elements)| Saying::Message(n, elements)),
        3 => n().prop_map(Saying::Monitor),
        2 => n().prop_map(Saying::Unmonitor),
        2 => (name(), elements()).prop_map(|(name, elements)| Saying::Spawn(name, elements)),
        1 => n().prop_map(Saying::Kill),
        1 => n().prop_map(Saying::Died),
        1 => (n(), elements()).prop_map(|(n, elements)| Saying::SendOn(n, elements)),
        1 => n().prop_map(Saying::Time),
        1 => (name(), elements()).prop_map(|(name, elements)| Saying::Call(name, elements)),
        1 => n().prop_map(Saying::Listens),
        2 => (name(), name()).prop_map(|(group, key)| Saying::Sets(group, key)),
    ]
}

/// A request of a generation to the node port, as the elements of the message.
///
/// ```
/// use aemp::{Generation, fuzz::strategy, proto::Verb};
/// use proptest::test_runner::TestRunner;
/// TestRunner::deterministic().run(&strategy::request(Generation::Gen0), |request| {
///     let verb = Verb::parse(request[0].as_str().unwrap());
///     assert!(verb.is_none_or(|verb| verb.known_in(Generation::Gen0)));
///     Ok(())
/// })?;
/// # Ok::<(), proptest::test_runner::TestError<Vec<serde_json::Value>>>(())
/// ```
pub fn request(generation: Generation) -> impl Strategy<Value = Vec<serde_json::Value>> {
    saying().prop_filter_map("no request", move |saying| {
        let mut speaker = Speaker::new(generation, "fuzz", &["a.b".to_owned()]);
        // Some need another before them.
        if let Saying::Unmonitor(n) = saying {
            speaker.say(&Saying::Monitor(n));
        }
        if let Saying::Kill(_) = saying {
            speaker.say(&Saying::Spawn("f".to_owned(), Vec::new()));
        }
        let (name, request) = speaker.say(&saying)?;
        name.is_empty().then_some(request)
    })
}

/// A whole conversation.
///
/// A valid one has no flaw, a nearly valid one has one, in the handshake or in what is said last. A
/// hostile one has any, and octets that are no messages.
///
/// See [the module](self) for an example.
pub fn conversation(quality: Quality) -> impl Strategy<Value = Conversation> {
    let sayings = vec(saying(), 0..12);
    let last = (saying(), flaws(quality), vec(any::<u8>(), 0..40));
    let openings = (opening(Quality::Valid), opening(quality));
    let choice = 0..4u8;
    (openings, sayings, last, choice).prop_map(move |(openings, sayings, last, choice)| {
        let mut sayings: Vec<_> = sayings.into_iter().map(|saying| (saying, vec![])).collect();
        let (saying, flaws, octets) = last;
        let (sound, flawed) = openings;
        // The last flaw is where nothing sound is behind it.
        let opening = match (quality, choice) {
            (Quality::NearlyValid | Quality::Hostile, 0) => flawed,
            (Quality::Hostile, 1) => {
                sayings.push((Saying::Octets(octets), flaws));
                sound
            }
            _ => {
                sayings.push((saying, flaws));
                sound
            }
        };
        Conversation { opening, sayings }
    })
}

/// A valid conversation of the node `node`, in which nothing is said.
///
/// ```
/// use aemp::{Generation, fuzz::{Quality, strategy}};
/// assert_eq!(strategy::greeted(Generation::Gen1b, "honest").quality(), Quality::Valid);
/// ```
pub fn greeted(generation: Generation, node: &str) -> Conversation {
    Conversation {
        opening: Opening::new(generation, Framing::Json, node),
        sayings: Vec::new(),
    }
}
