//! Who may make which request, and whose fault it is that one fails.

use serde_json::{Value, json};

use super::error::Missing;
use super::*;
use crate::mesh::CONNECT;
use crate::node::Node;
use crate::proto::handshake::Blame;

/// A node without links, on which the function `known` is registered.
async fn node(secure: bool) -> Node {
    let builder = Node::builder().no_rc().nodeid("tested").secret("geheim");
    let builder = builder.binds([""; 0]).seeds([""; 0]);
    let node = builder.set("secure", secure).start().await.unwrap();
    node.function("known", |_, (): ()| ());
    node
}

fn message(request: &Value) -> Message {
    Message::from_values(request.as_array().unwrap())
}

/// Does something with a request of a peer of that generation, or of the node itself.
fn with<R>(node: &Node, generation: Option<Generation>, act: impl FnOnce(Source<'_>) -> R) -> R {
    let peer = node.inner().peer("peer");
    let rights = node.inner().gate.rights_of("peer", None);
    match generation {
        Some(generation) => act(Source::Peer(&Origin {
            peer: &peer,
            generation,
            rights: rights.as_deref(),
        })),
        None => act(Source::Local),
    }
}

/// What becomes of a request: the error's text, and whose fault it is.
fn outcome(
    node: &Node,
    generation: Option<Generation>,
    request: &Value,
) -> Result<(), (String, Blame)> {
    with(node, generation, |source| {
        let done = dispatch(node.inner(), source, &message(request));
        let done = done.and_then(|onward| match onward {
            Onward::List(parts) => act::first_part(&parts).map(drop),
            _ => Ok(()),
        });
        done.map_err(|error| (error.to_string(), error.blame(source)))
    })
}

const SOURCES: [Option<Generation>; 5] = [
    None,
    Some(Generation::Gen0),
    Some(Generation::Gen1a),
    Some(Generation::Gen1b),
    Some(Generation::Gen2),
];

/// Arguments that the request of every verb makes do with.
fn request_of(name: &str) -> Value {
    json!([name, "p", "known", {}])
}

#[tokio::test]
async fn a_secure_node_runs_nothing() {
    let (open, secure) = (node(false).await, node(true).await);
    let names = Verb::all().map(Verb::name).chain(["known", "unknown"]);
    for (name, generation) in names.flat_map(|name| SOURCES.map(|source| (name, source))) {
        let request = message(&request_of(name));
        let refused = |node: &Node| {
            with(node, generation, |source| {
                let request = NodeRequest::read(source, &request, name, 99, |_| false);
                let decided = request.map(|request| may(node.inner(), source, &request));
                matches!(decided, Ok(Err(_)))
            })
        };
        assert!(!refused(&open), "{name} of {generation:?}");
        let runs_something = match Verb::parse(name) {
            Some(Verb::Spawn | Verb::Eval) | None => true,
            // From ourselves it is the name of a function.
            Some(Verb::Database(_) | Verb::Hold | Verb::Go) => generation.is_none(),
            // It is opened before it is read as a request, where it was agreed on.
            Some(Verb::Traced) => true,
            Some(_) => false,
        };
        assert_eq!(refused(&secure), runs_something, "{name} of {generation:?}");
    }
}

#[tokio::test]
async fn peers_spawn_the_ports_of_the_mesh_even_so() {
    let node = node(true).await;
    let request = message(&json!(["AnyEvent::MP::_spawn", "p", CONNECT, 0, "peer"]));
    for generation in SOURCES {
        let allowed = with(&node, generation, |source| {
            let request =
                NodeRequest::read(source, &request, Verb::Spawn.name(), 99, |_| false).unwrap();
            may(node.inner(), source, &request).is_ok()
        });
        assert_eq!(allowed, generation.is_some(), "{generation:?}");
    }
}

#[tokio::test]
async fn every_error_has_its_text_and_one_to_blame() {
    let node = node(false).await;
    let _taken = node.inner().new_spawned_port("taken", None);
    let spawn = Verb::Spawn.name();
    for (request, text, of_a_peer) in [
        (
            json!(["no::such", 1]),
            "unable to resolve function 'no::such'",
            Blame::Incompatible,
        ),
        (
            json!(["g_later"]),
            "unable to resolve function 'g_later'",
            Blame::Incompatible,
        ),
        (
            json!([spawn, "p", "no::such"]),
            "unable to resolve function 'no::such'",
            Blame::Incompatible,
        ),
        (json!(["mon1"]), "the port's name is missing", Blame::Peer),
        (
            json!(["mon0", null]),
            "the port's name is missing",
            Blame::Peer,
        ),
        (
            json!(["kil", []]),
            "the port's name is missing",
            Blame::Peer,
        ),
        (json!(["can"]), "the request's name is missing", Blame::Peer),
        (json!([spawn]), "the port's name is missing", Blame::Peer),
        (
            json!([spawn, ""]),
            "a port can't be spawned without a name",
            Blame::Peer,
        ),
        (
            json!([spawn, "p"]),
            "the init function's name is missing",
            Blame::Peer,
        ),
        (
            json!([spawn, "taken", "known"]),
            "port taken exists already and can't be spawned",
            Blame::Peer,
        ),
        (json!(["eval"]), "there is nothing to evaluate", Blame::Peer),
        (json!(["snd_multiple", 1]), "1 is no message", Blame::Peer),
        (
            json!(["time", {}]),
            "{} is no port ID to reply to",
            Blame::Peer,
        ),
    ] {
        for generation in SOURCES {
            let blame = match generation {
                Some(_) => of_a_peer,
                None => Blame::Us,
            };
            assert_eq!(
                outcome(&node, generation, &request),
                Err((text.to_owned(), blame)),
                "{request} of {generation:?}"
            );
        }
    }
    assert_eq!(
        outcome(&node, Some(Generation::Gen2), &json!(["g_find", [7]])),
        Err((
            "g_find: a string was expected, not [7]".to_owned(),
            Blame::Peer
        ))
    );
    let unsendable = Message::encode(&7).map_err(crate::node::SendError::from);
    let unsendable = RequestError::from(unsendable.unwrap_err());
    with(&node, Some(Generation::Gen2), |source| {
        assert_eq!(unsendable.blame(source), Blame::Us);
    });
}

#[tokio::test]
async fn a_refusal_is_our_own_setting() {
    let node = node(true).await;
    for (request, generation) in ["known", "unknown", "eval", "AnyEvent::MP::_spawn"]
        .into_iter()
        .flat_map(|name| SOURCES.map(|source| (request_of(name), source)))
    {
        let (text, blame) = outcome(&node, generation, &request).unwrap_err();
        assert!(text.starts_with("remote execution not allowed: "), "{text}");
        assert_eq!(blame, Blame::Us);
    }
    // What can't be read is not even decided about.
    let source = Some(Generation::Gen1b);
    let text = Missing::PortName.to_string();
    let spawn = json!(["AnyEvent::MP::_spawn"]);
    assert_eq!(outcome(&node, source, &spawn), Err((text, Blame::Peer)));
    let refused = outcome(&node, source, &json!(["eval"])).unwrap_err();
    assert_eq!(refused.0, "remote execution not allowed: eval");
}

#[tokio::test]
async fn which_kill_is_meant_depends_on_the_source() {
    let node = node(false).await;
    let unknown = |name| {
        let text = format!("unable to resolve function '{name}'");
        Err((text, Blame::Incompatible))
    };
    for (verb, generation, kills) in [
        ("kil", None, Ok(true)),
        ("kil0", None, Ok(false)),
        ("kil1", None, Ok(true)),
        ("kil", Some(Generation::Gen0), Ok(false)),
        ("kil0", Some(Generation::Gen0), unknown("kil0")),
        ("kil1", Some(Generation::Gen0), unknown("kil1")),
        ("kil", Some(Generation::Gen1a), Ok(false)),
        ("kil0", Some(Generation::Gen1a), unknown("kil0")),
        ("kil", Some(Generation::Gen1b), Ok(true)),
        ("kil0", Some(Generation::Gen1b), Ok(false)),
        ("kil1", Some(Generation::Gen1b), unknown("kil1")),
        ("kil", Some(Generation::Gen2), unknown("kil")),
        ("kil0", Some(Generation::Gen2), Ok(false)),
        ("kil1", Some(Generation::Gen2), Ok(true)),
    ] {
        let port = node.port();
        let request = json!([verb, port.id().name(), "why"]);
        let killed =
            outcome(&node, generation, &request).map(|()| node.local_port(port.id()).is_none());
        assert_eq!(killed, kills, "{verb} of {generation:?}");
    }
}

#[tokio::test]
async fn can_tells_of_verbs_and_of_what_may_be_called() {
    for secure in [false, true] {
        let node = node(secure).await;
        for (name, known) in [
            ("", true),
            ("mon1", true),
            ("kil", false),
            ("kil1", true),
            ("info", false),
            ("can", true),
            ("g_db_keys", true),
            ("g_later", false),
            ("AnyEvent::MP::_spawn", false),
            ("known", !secure),
            ("unknown", false),
        ] {
            for generation in SOURCES {
                let mut inbox = node.mailbox();
                let request = json!(["can", name, inbox.id(), "end"]);
                outcome(&node, generation, &request).unwrap();
                let answer = inbox.recv().await.unwrap();
                let answer: (String, String) = answer.args().unwrap();
                let known = if known { "1" } else { "" };
                assert_eq!(answer, ("end".into(), known.into()), "{name}");
            }
        }
    }
}

/// A request that fails for a limit is counted, and once.
#[tokio::test]
async fn each_limit_that_is_met_is_counted_once() {
    let builder = Node::builder().no_rc().nodeid("tested").secret("geheim");
    let builder = builder.binds([""; 0]).seeds([""; 0]);
    let builder = builder.set("max_nodes", 1).set("max_name", 20);
    let node = builder.set("max_hops", 150).start().await.unwrap();
    let far: Vec<Value> = ["snd", "other#"]
        .repeat(20)
        .iter()
        .map(|word| json!(word))
        .collect();
    let requests = [
        ("max_name", json!(["f".repeat(21)])),
        ("max_name", json!(["snd", "d".repeat(41), "x"])),
        ("max_name", json!(["mon1", "p".repeat(21)])),
        ("max_nodes", json!(["snd", "other#p", "x"])),
        ("max_nodes", json!(["snd_multiple", ["other#p", "x"]])),
        // A list is a hop that counts as a hundred.
        (
            "max_hops",
            json!(["snd_multiple", ["", "snd_multiple", ["", "devnull"]]]),
        ),
        ("max_hops", Value::from(far)),
    ];
    for (limit, request) in requests {
        let met = || node.stats().limits.get(limit).copied().unwrap_or_default();
        let before = met();
        with(&node, Some(Generation::Gen1b), |source| {
            perform(node.inner(), source, message(&request));
        });
        assert_eq!(met() - before, 1, "{limit}: {request}");
    }
}
