//! What becomes of a request to a stand-in's node port (docs/bridge.md, "What passes, what does not").

use serde::Serialize;

use crate::mesh::CONNECT;
use crate::proto::message::RawElement;
use crate::proto::{Generation, Message, NodeId};

/// What is done with a request.
#[derive(Debug, Clone)]
pub(super) enum Passage {
    /// It is for the stand-in itself.
    Keep,
    /// It goes to the real node as it is.
    Pass,
    /// These go in its place.
    Instead(Vec<Message>),
    /// It cannot be put into words that the real node knows.
    Drop(&'static str),
}

/// The names that a stand-in keeps for itself.
pub(super) trait Own {
    /// Whether there is a port of that name on the stand-in.
    fn port(&self, name: &str) -> bool;

    /// Whether the stand-in monitors a port of that name on the node that the request is from.
    fn monitor(&self, name: &str) -> bool;
}

/// What nodes of generation 0 and 1 know, of what there is to ask for with `can`.
const OLD_VERBS: [&str; 11] = [
    "",
    "devnull",
    "mon0",
    "mon1",
    "kil",
    "snd",
    "snd_multiple",
    "info",
    "known_nodes",
    "up_nodes",
    "eval",
];

/// Decides on a request of a node of generation `from` to the stand-in of `real`, of generation `to`.
pub(super) fn request(
    message: &Message,
    from: Generation,
    to: Generation,
    real: &NodeId,
    own: &dyn Own,
) -> Passage {
    let Some(verb) = message.tag() else {
        return Passage::Keep; // a keepalive
    };
    let args = message.without_tag();
    let new = to == Generation::Gen2;
    match &*verb {
        "" | "devnull" => Passage::Keep,
        "AnyEvent::MP::_spawn" if from != Generation::Gen2 && spawns_gossip(&args) => Passage::Keep,
        "mon1" | "mon0" => match args.tag() {
            Some(name) if own.port(&name) => Passage::Keep,
            _ => Passage::Pass,
        },
        verb @ ("kil" | "kil0" | "kil1") => about_port(verb, &args, from, to, own),
        verb if from == Generation::Gen2 && verb.starts_with("g_") => Passage::Keep,
        "info" if new => match args.elements().is_empty() {
            true => Passage::Keep,
            false => joined("snd", &args.elements(), Some(real.as_str())),
        },
        "snd_multiple" if new => {
            let one = |element: RawElement| {
                let message = element.to_message()?;
                encoded("snd", &message.elements(), None)
            };
            let all: Option<Vec<Message>> = args.elements().into_iter().map(one).collect();
            all.map_or(Passage::Pass, Passage::Instead)
        }
        "can" if !new => match (args.tag(), args.elements()) {
            (Some(name), elements) if elements.len() > 1 => {
                let known = from_release(&name, to);
                joined("snd", &elements[1..], Some(if known { "1" } else { "" }))
            }
            _ => Passage::Keep,
        },
        _ => Passage::Pass,
    }
}

fn spawns_gossip(args: &Message) -> bool {
    args.without_tag().tag().as_deref() == Some(CONNECT)
}

fn from_release(verb: &str, to: Generation) -> bool {
    OLD_VERBS.contains(&verb) || verb == "time" || (verb == "kil0" && to == Generation::Gen1b)
}

/// The news of a port's death, or the order to kill one.
fn about_port(
    verb: &str,
    args: &Message,
    from: Generation,
    to: Generation,
    own: &dyn Own,
) -> Passage {
    // An empty name would make some Perl nodes deaf.
    let Some(name) = args.tag().filter(|name| !name.is_empty()) else {
        return Passage::Drop("it names no port");
    };
    let theirs = if verb == from.death_verb() {
        if own.monitor(&name) {
            return Passage::Keep;
        }
        to.death_verb()
    } else if verb == from.kill_verb() {
        if own.port(&name) {
            return Passage::Keep;
        }
        if !to.has_remote_kill() {
            return Passage::Drop("it can't be told to kill a port");
        }
        to.kill_verb()
    } else {
        return Passage::Drop("no node of its generation says so");
    };
    match theirs == verb {
        true => Passage::Pass,
        false => joined(theirs, &args.elements(), None),
    }
}

fn joined(verb: &str, elements: &[RawElement], last: Option<&str>) -> Passage {
    match encoded(verb, elements, last) {
        Some(message) => Passage::Instead(vec![message]),
        None => Passage::Drop("it can't be encoded"),
    }
}

/// A request of a verb, elements as they came, and maybe one more.
fn encoded(verb: &str, elements: &[RawElement], last: Option<&str>) -> Option<Message> {
    /// An element of either sort.
    #[derive(Serialize)]
    #[serde(untagged)]
    enum Part<'a> {
        Text(&'a str),
        Raw(&'a RawElement<'a>),
    }
    let mut all = vec![Part::Text(verb)];
    all.extend(elements.iter().map(Part::Raw));
    all.extend(last.map(Part::Text));
    Message::encode(&all).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use Generation::{Gen0, Gen1a, Gen1b, Gen2};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    /// Owns the port `own` and monitors the port `watched`.
    struct Some1;

    impl Own for Some1 {
        fn port(&self, name: &str) -> bool {
            name == "own"
        }

        fn monitor(&self, name: &str) -> bool {
            name == "watched"
        }
    }

    fn pass(request_: Value, from: Generation, to: Generation) -> Passage {
        let message = Message::from_values(request_.as_array().unwrap());
        request(&message, from, to, &NodeId::new("real"), &Some1)
    }

    /// What arrives at the real node.
    fn arrives(request: Value, from: Generation, to: Generation) -> Vec<Value> {
        match pass(request.clone(), from, to) {
            Passage::Pass => vec![request],
            Passage::Instead(all) => all.iter().map(|m| Value::Array(m.values())).collect(),
            Passage::Keep | Passage::Drop(_) => vec![],
        }
    }

    /// That the stand-in keeps it.
    fn keeps(request: Value, from: Generation, to: Generation) -> bool {
        matches!(pass(request, from, to), Passage::Keep)
    }

    const ALL: [Generation; 4] = [Gen0, Gen1a, Gen1b, Gen2];

    #[test]
    fn deaths_and_kills_get_the_right_verb() {
        for (from, to, verb, want) in [
            (Gen0, Gen1a, "kil", Some("kil")),
            (Gen0, Gen1b, "kil", Some("kil0")),
            (Gen0, Gen2, "kil", Some("kil0")),
            (Gen1a, Gen2, "kil", Some("kil0")),
            (Gen1b, Gen0, "kil0", Some("kil")),
            (Gen1b, Gen2, "kil0", Some("kil0")),
            (Gen1b, Gen2, "kil", Some("kil1")),
            (Gen1b, Gen0, "kil", None),
            (Gen2, Gen0, "kil0", Some("kil")),
            (Gen2, Gen1a, "kil0", Some("kil")),
            (Gen2, Gen1b, "kil0", Some("kil0")),
            (Gen2, Gen0, "kil1", None),
            (Gen2, Gen1a, "kil1", None),
            (Gen2, Gen1b, "kil1", Some("kil")),
            // What is no verb there must not become one here.
            (Gen0, Gen1b, "kil0", None),
            (Gen1b, Gen2, "kil1", None),
            (Gen2, Gen1b, "kil", None),
        ] {
            let got = arrives(json!([verb, "p", "why", {"a": 1}]), from, to);
            let want: Vec<Value> = want
                .map(|verb| json!([verb, "p", "why", {"a": 1}]))
                .into_iter()
                .collect();
            assert_eq!(got, want, "{verb} from {from} to {to}");
        }
    }

    #[test]
    fn what_is_the_stand_ins_own_is_kept() {
        for from in ALL {
            for to in ALL {
                for request in [
                    json!([]),
                    json!([""]),
                    json!(["mon1", "own"]),
                    json!(["mon0", "own"]),
                    json!([from.death_verb(), "watched", "x"]),
                ] {
                    assert!(keeps(request, from, to));
                }
                let spawn = json!(["AnyEvent::MP::_spawn", "n", CONNECT, 0, "y"]);
                assert_eq!(keeps(spawn, from, to), from != Gen2);
                let database = json!(["g_slave", {}]);
                assert_eq!(keeps(database, from, to), from == Gen2);
            }
        }
        assert!(keeps(json!(["kil1", "own"]), Gen2, Gen1b));
    }

    #[test]
    fn the_rest_passes_as_it_is() {
        for from in ALL {
            for to in ALL {
                for request in [
                    json!(["mon1", "p"]),
                    json!(["mon0", "p"]),
                    json!(["mon1", ""]),
                    json!(["AnyEvent::MP::_spawn", "n", "my::init", 1]),
                    json!(["eval", "6*7", "y#r"]),
                    json!(["snd", "y#r", "x"]),
                    json!(["time", "y#r"]),
                    json!(["my::function", null]),
                ] {
                    let passed = pass(request.clone(), from, to);
                    assert!(matches!(passed, Passage::Pass), "{request}: {passed:?}");
                }
            }
        }
    }

    #[test]
    fn some_requests_are_said_in_other_words() {
        assert_eq!(
            arrives(json!(["info", "y#r", 1]), Gen1b, Gen2),
            [json!(["snd", "y#r", 1, "real"])]
        );
        assert_eq!(
            arrives(json!(["snd_multiple", ["y#a", 1], ["y#b"]]), Gen0, Gen2),
            [json!(["snd", "y#a", 1]), json!(["snd", "y#b"])]
        );
        for (verb, known) in [("kil0", "1"), ("info", "1"), ("kil1", ""), ("can", "")] {
            assert_eq!(
                arrives(json!(["can", verb, "y#r", "t"]), Gen2, Gen1b),
                [json!(["snd", "y#r", "t", known])]
            );
        }
        assert!(keeps(json!(["can", "x"]), Gen2, Gen0));
        let same = pass(json!(["can", "x", "y#r"]), Gen2, Gen2);
        assert!(matches!(same, Passage::Pass));
    }

    #[test]
    fn nameless_kills_do_not_pass() {
        for request in [json!(["kil"]), json!(["kil", ""]), json!(["kil0", []])] {
            assert!(matches!(pass(request, Gen1b, Gen2), Passage::Drop(_)));
        }
    }

    proptest! {
        /// The news of a death comes back as it was.
        #[test]
        fn there_and_back(a in 0usize..4, b in 0usize..4, name in "[a-z.]{1,9}", text in ".*") {
            prop_assume!(name != "own" && name != "watched");
            let (a, b) = (ALL[a], ALL[b]);
            let news = json!([a.death_verb(), name, text, {"x": [1.5, null]}]);
            let there = arrives(news.clone(), a, b);
            prop_assert_eq!(there.len(), 1);
            prop_assert_eq!(arrives(there[0].clone(), b, a), [news]);
        }
    }
}
