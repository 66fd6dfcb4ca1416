//! What becomes of a request to a stand-in's node port (docs/bridge.md, "What passes, what does
//! not").

use serde::ser::{Serialize, SerializeSeq as _, Serializer};

use crate::mesh::CONNECT;
use crate::proto::message::RawElement;
use crate::proto::verb::Fate;
use crate::proto::{Generation, Message, NodeId, Verb};

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

    /// Whether the real node waits when it is told to.
    fn waits_when_told(&self) -> bool;
}

/// Decides on a request of a node of generation `from` to the stand-in of `real`, of generation
/// `to`.
pub(super) fn request(
    message: &Message,
    from: Generation,
    to: Generation,
    real: &NodeId,
    own: &dyn Own,
) -> Passage {
    let Some(name) = message.tag() else {
        return Passage::Keep; // a keepalive
    };
    let args = message.without_tag();
    match Verb::parse(&name) {
        Some(Verb::Empty | Verb::Devnull) => Passage::Keep,
        Some(Verb::Mon1 | Verb::Mon0) => match args.tag() {
            Some(port) if own.port(&port) => Passage::Keep,
            _ => Passage::Pass,
        },
        Some(verb @ (Verb::Kil | Verb::Kil0 | Verb::Kil1)) => {
            about_port(verb, &args, from, to, own)
        }
        Some(Verb::Spawn) => match from != Generation::Gen2 && spawns_gossip(&args) {
            true => Passage::Keep,
            false => Passage::Pass,
        },
        // Every generation knows these, or there are no other words for them.
        Some(Verb::Snd | Verb::KnownNodes | Verb::UpNodes | Verb::Time | Verb::Eval) => {
            Passage::Pass
        }
        Some(verb @ (Verb::Info | Verb::SndMultiple | Verb::Can)) if verb.known_in(to) => {
            Passage::Pass
        }
        Some(Verb::Info) => match args.elements().next().is_none() {
            true => Passage::Keep,
            false => joined(Verb::Snd, args.elements(), Some(real.as_str())),
        },
        Some(Verb::SndMultiple) if args.elements().nth(MOST_AT_ONCE).is_some() => {
            Passage::Drop("it is too many messages in one")
        }
        Some(Verb::SndMultiple) => {
            let one = |element: RawElement| {
                let message = element.to_message()?;
                encoded(Verb::Snd, message.elements(), None)
            };
            let all: Option<Vec<Message>> = args.elements().map(one).collect();
            all.map_or(Passage::Pass, Passage::Instead)
        }
        Some(Verb::Can) => match (args.tag(), args.elements().skip(1)) {
            (Some(name), reply) if reply.clone().next().is_some() => {
                let known = Verb::parse(&name).is_some_and(|verb| verb.told_by_can(to));
                let known = if known { "1" } else { "" };
                joined(Verb::Snd, reply, Some(known))
            }
            _ => Passage::Keep,
        },
        // Where the real node does not wait, what comes from it does, in the stand-in's twin.
        Some(Verb::Hold | Verb::Go) => match own.waits_when_told() {
            true => Passage::Pass,
            false => Passage::Keep,
        },
        // A stand-in does not greet as one that knows it.
        Some(Verb::Traced) => Passage::Keep,
        // A stand-in answers for itself in the database, also to what a later release may ask.
        Some(Verb::Database(_)) | None => {
            match from == Generation::Gen2 && name.starts_with("g_") {
                true => Passage::Keep,
                false => Passage::Pass,
            }
        }
    }
}

/// So many messages in one are taken apart.
const MOST_AT_ONCE: usize = 10_000;

fn spawns_gossip(args: &Message) -> bool {
    args.without_tag().tag().as_deref() == Some(CONNECT)
}

/// The news of a port's death, or the order to kill one.
fn about_port(
    verb: Verb,
    args: &Message,
    from: Generation,
    to: Generation,
    own: &dyn Own,
) -> Passage {
    // An empty name would make some Perl nodes deaf.
    let Some(name) = args.tag().filter(|name| !name.is_empty()) else {
        return Passage::Drop("it names no port");
    };
    let theirs = match verb.fate(from) {
        Some(Fate::Died) if own.monitor(&name) => return Passage::Keep,
        Some(Fate::Died) => to.death_verb(),
        Some(Fate::Kill) if own.port(&name) => return Passage::Keep,
        Some(Fate::Kill) if !to.has_remote_kill() => {
            return Passage::Drop("it can't be told to kill a port");
        }
        Some(Fate::Kill) => to.kill_verb(),
        None => return Passage::Drop("no node of its generation says so"),
    };
    match theirs == verb {
        true => Passage::Pass,
        false => joined(theirs, args.elements(), None),
    }
}

fn joined<'a>(
    verb: Verb,
    elements: impl Iterator<Item = RawElement<'a>> + Clone,
    last: Option<&str>,
) -> Passage {
    match encoded(verb, elements, last) {
        Some(message) => Passage::Instead(vec![message]),
        None => Passage::Drop("it can't be encoded"),
    }
}

/// A request of a verb, elements as they came, and maybe one more.
fn encoded<'a>(
    verb: Verb,
    elements: impl Iterator<Item = RawElement<'a>> + Clone,
    last: Option<&str>,
) -> Option<Message> {
    let joined = Joined {
        verb,
        elements,
        last,
    };
    Message::encode(&joined).ok()
}

struct Joined<'a, I> {
    verb: Verb,
    elements: I,
    last: Option<&'a str>,
}

impl<'e, I: Iterator<Item = RawElement<'e>> + Clone> Serialize for Joined<'_, I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(None)?;
        seq.serialize_element(&self.verb)?;
        for element in self.elements.clone() {
            seq.serialize_element(&element)?;
        }
        if let Some(last) = self.last {
            seq.serialize_element(last)?;
        }
        seq.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Generation::{Gen0, Gen1a, Gen1b, Gen2};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    /// Owns the port `own` and monitors the port `watched`.
    struct Some1(bool);

    impl Own for Some1 {
        fn port(&self, name: &str) -> bool {
            name == "own"
        }

        fn monitor(&self, name: &str) -> bool {
            name == "watched"
        }

        fn waits_when_told(&self) -> bool {
            self.0
        }
    }

    fn pass(request_: Value, from: Generation, to: Generation) -> Passage {
        let message = Message::from_values(request_.as_array().unwrap());
        request(&message, from, to, &NodeId::new("real"), &Some1(true))
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
                let later = json!(["g_later", {}]);
                assert_eq!(keeps(later, from, to), from == Gen2);
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
        let many = |n: usize| {
            let mut request = vec![json!("snd_multiple")];
            request.resize(n + 1, json!(["y#a"]));
            pass(Value::Array(request), Gen0, Gen2)
        };
        assert!(matches!(many(MOST_AT_ONCE), Passage::Instead(all) if all.len() == MOST_AT_ONCE));
        assert!(matches!(many(MOST_AT_ONCE + 1), Passage::Drop(_)));
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
    fn who_waits_is_told_and_for_others_the_stand_in_waits() {
        for verb in ["aemp_hold", "aemp_go"] {
            let message = Message::from_values(json!([verb, "p"]).as_array().unwrap());
            let real = NodeId::new("real");
            let passage = |waits| request(&message, Gen1b, Gen2, &real, &Some1(waits));
            assert!(matches!(passage(true), Passage::Pass));
            assert!(matches!(passage(false), Passage::Keep));
        }
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
