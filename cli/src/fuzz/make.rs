//! What is said: conversations of each stage, made of a seed. The same seed makes the same one.

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Map, Value, json};

use super::conversation::{Conversation, Step};
use super::wire::About;

/// What is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Stage {
    /// Greetings and proofs, without the secret.
    Handshake,
    /// Octets that are almost messages.
    Messages,
    /// Requests to the node port, and messages to other ports.
    Requests,
    /// What nodes of generations 0 and 1 tell each other of the mesh.
    Gossip,
    /// The database of generation 2.
    Database,
}

/// Names of functions that somebody may have: those of the protocol, and some that Perl nodes have
/// as well because other modules brought them.
const FUNCTIONS: &[&str] = &[
    "AnyEvent::MP::_spawn",
    "AnyEvent::MP::Global::connect",
    "AnyEvent::MP::Kernel::known_nodes",
    "AnyEvent::MP::kil",
    "AnyEvent::MP::port",
    "AnyEvent::MP::Global::",
    "AnyEvent::postpone",
    "POSIX::_exit",
    "POSIX::abort",
    "POSIX::pause",
    "POSIX::close",
    "Carp::croak",
    "Scalar::Util::weaken",
    "aemp::stats",
    "::nobody",
    "",
    "x",
];

/// The verbs of the node port, those of all generations.
const VERBS: &[&str] = &[
    "",
    "snd",
    "snd_multiple",
    "kil",
    "kil0",
    "kil1",
    "mon0",
    "mon1",
    "eval",
    "time",
    "info",
    "can",
    "known_nodes",
    "up_nodes",
    "devnull",
    "lport",
    "seed",
    "AnyEvent::MP::_spawn",
];

const GOSSIP: &[&str] = &[
    "addr", "nodes", "set", "setup", "reg0", "reg1", "find", "seedme0", "seedme1", "x",
];

const DATABASE: &[&str] = &[
    "g_slave",
    "g_set",
    "g_upd",
    "g_chg1",
    "g_chg2",
    "g_mon0",
    "g_mon1",
    "g_find",
    "g_found",
    "g_reply",
    "g_db_family",
    "g_db_keys",
    "g_db_values",
    "g_x",
];

/// Octets that mean something to those who read messages.
const WORDS: &[&[u8]] = &[
    b"[",
    b"]",
    b"{",
    b"}",
    b"\"",
    b"\\",
    b"\\u",
    b"\\ud800",
    b"\\u0000",
    b",",
    b":",
    b"null",
    b"true",
    b"1e999",
    b"-",
    b"-0",
    b"1.5",
    b"18446744073709551616",
    b"\n",
    b"\r\n",
    b" ",
    b"\0",
    b"\xff",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"[]",
    b"[[]]",
    b"{\"\":0}",
    b";",
    b"tls=1.0",
    b"aemp;",
    b"\x16\x03\x01\x00\x05",
    b"\x7f",
    b"\x1b[2J",
];

/// The port for our gossip.
const PORT: &str = "vandal.g";

struct Maker<'a> {
    rng: SmallRng,
    about: &'a About,
    /// Who we say that we are.
    name: String,
}

/// The conversation of a seed, with a node that is as `about` says.
pub(super) fn conversation(seed: u64, stages: &[Stage], about: &About) -> (Stage, Conversation) {
    let mut maker = Maker {
        rng: SmallRng::seed_from_u64(seed),
        about,
        name: format!("vandal-{seed}"),
    };
    let stage = *maker.one(stages);
    let login = Step::Login(maker.name.clone());
    let said = match stage {
        Stage::Handshake => return (stage, Conversation(maker.handshake())),
        Stage::Messages => maker.some(1, 6, Maker::almost_a_message),
        Stage::Requests => maker.some(1, 8, Maker::request),
        Stage::Gossip => {
            let mut all = vec![maker.mesh_port()];
            all.extend(maker.some(1, 8, Maker::gossip));
            all
        }
        Stage::Database => maker.some(1, 8, Maker::database),
    };
    let steps = std::iter::once(login).chain(said.into_iter().map(Step::Say));
    (stage, Conversation(steps.collect()))
}

impl Maker<'_> {
    fn below(&mut self, end: usize) -> usize {
        self.rng.random_range(0..end.max(1))
    }

    /// Once in so many times.
    fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn one<'t, T>(&mut self, all: &'t [T]) -> &'t T {
        &all[self.below(all.len())]
    }

    fn some<T>(
        &mut self,
        least: usize,
        most: usize,
        mut one: impl FnMut(&mut Self) -> T,
    ) -> Vec<T> {
        let count = least + self.below(most - least + 1);
        (0..count).map(|_| one(self)).collect()
    }

    // Values

    fn text(&mut self) -> String {
        match self.below(12) {
            0 => String::new(),
            1 => self.name.clone(),
            2 => self.about.id.clone(),
            3 => format!("{}#x", self.about.id),
            4 => format!("{}#p", self.name),
            5 => "\u{1b}[31m\n\r\u{0}\u{7f}".to_owned(),
            6 => "\u{e9}\u{263a}\u{1f600}\u{202e}".to_owned(),
            7 => "a".repeat(1 << self.below(17)),
            8 => "127.0.0.1:1".to_owned(),
            9 => (*self.one(FUNCTIONS)).to_owned(),
            10 => (*self.one(VERBS)).to_owned(),
            _ => self.below(1000).to_string(),
        }
    }

    fn value(&mut self, depth: usize) -> Value {
        match self.below(if depth == 0 { 6 } else { 9 }) {
            0 => Value::Null,
            1 => json!(self.once_in(2)),
            2 => json!(*self.one(&[0_i64, 1, -1, 3, 255, 65536, i64::MAX, i64::MIN])),
            3 => json!(*self.one(&[0.5, -0.0, 1e300, 5e-324])),
            4 | 5 => json!(self.text()),
            6 | 7 => self.some(0, 5, |maker| maker.value(depth - 1)).into(),
            _ => {
                let pairs = self.some(0, 5, |maker| (maker.text(), maker.value(depth - 1)));
                pairs.into_iter().collect::<Map<_, _>>().into()
            }
        }
    }

    fn values(&mut self) -> Vec<Value> {
        self.some(0, 4, |maker| maker.value(3))
    }

    fn array(first: &[&str], rest: Vec<Value>) -> Vec<u8> {
        let first = first.iter().map(|text| json!(text));
        let all: Vec<Value> = first.chain(rest).collect();
        Value::from(all).to_string().into_bytes()
    }

    // Messages

    /// A request to the node port; now and then one to another port.
    fn request(&mut self) -> Vec<u8> {
        let rest = self.values();
        match self.below(8) {
            0..=2 => Self::array(&["", *self.one(VERBS)], rest),
            3 | 4 => Self::array(&["", *self.one(FUNCTIONS)], rest),
            5 => {
                let (port, function) = (self.text(), *self.one(FUNCTIONS));
                Self::array(&["", "AnyEvent::MP::_spawn", &port, function], rest)
            }
            6 => {
                // One that has the node send another one.
                let to = self.text();
                let (verb, inner) = (*self.one(VERBS), *self.one(&["snd", "time", "info"]));
                Self::array(&["", inner, &to, verb], rest)
            }
            _ => {
                let port = self.text();
                Self::array(&[&port], rest)
            }
        }
    }

    /// Has the node make the port that takes our gossip.
    fn mesh_port(&mut self) -> Vec<u8> {
        let name = if self.once_in(8) { "other" } else { &self.name };
        let rest = vec![json!(0), json!(name)];
        let spawn = [
            "",
            "AnyEvent::MP::_spawn",
            PORT,
            "AnyEvent::MP::Global::connect",
        ];
        Self::array(&spawn, rest)
    }

    fn gossip(&mut self) -> Vec<u8> {
        let verb = *self.one(GOSSIP);
        let rest = match self.below(3) {
            0 => self.values(),
            1 => {
                let pairs = self.some(0, 4, |maker| (maker.text(), json!([maker.text()])));
                vec![pairs.into_iter().collect::<Map<_, _>>().into()]
            }
            _ => self.some(0, 3, |maker| json!(maker.text())),
        };
        Self::array(&[PORT, verb], rest)
    }

    fn database(&mut self) -> Vec<u8> {
        let verb = *self.one(DATABASE);
        let family = *self.one(&["f", "'l", "'g", ""]);
        let rest = match self.below(3) {
            0 => self.values(),
            1 => vec![json!(family), self.value(2), self.value(2)],
            _ => {
                let pairs = self.some(0, 4, |maker| (maker.text(), maker.value(1)));
                let set = pairs.into_iter().collect::<Map<_, _>>();
                let del = self.some(0, 2, |maker| json!(maker.text()));
                vec![json!(family), set.into(), del.into()]
            }
        };
        Self::array(&["", verb], rest)
    }

    // Octets

    /// A message that is spoilt somewhere, or deep, or nothing of the kind.
    fn almost_a_message(&mut self) -> Vec<u8> {
        match self.below(10) {
            0 => b"[".repeat(1 << self.below(18)),
            1 => {
                let depth = 1 << self.below(12);
                [
                    b"[\"\",".to_vec(),
                    b"[".repeat(depth),
                    b"]".repeat(depth),
                    b"]".to_vec(),
                ]
                .concat()
            }
            2 => self.some(1, 40, |maker| *maker.one(WORDS)).concat(),
            3 => self.some(1, 200, |maker| maker.rng.random::<u8>()),
            4 => self.value(3).to_string().into_bytes(),
            _ => {
                let mut octets = self.request();
                let times = 1 + self.below(3);
                for _ in 0..times {
                    self.spoil(&mut octets);
                }
                octets
            }
        }
    }

    /// Changes octets somewhere.
    fn spoil(&mut self, octets: &mut Vec<u8>) {
        let at = self.below(octets.len() + 1);
        let end = (at + 1 + self.below(8)).min(octets.len());
        match self.below(5) {
            0 => octets.truncate(at),
            1 => drop(octets.drain(at..end)),
            2 => {
                let part = octets[at..end].to_vec();
                octets.splice(at..at, part);
            }
            3 if at < octets.len() => octets[at] = self.rng.random(),
            _ => {
                let word = *self.one(WORDS);
                octets.splice(at..at, word.iter().copied());
            }
        }
    }

    /// A handshake that is right, but for what is wrong with it.
    fn handshake(&mut self) -> Vec<Step> {
        let version = *self.one(&[
            "0",
            "1",
            "1",
            "1",
            "2",
            "-1",
            "01",
            "99999999999999999999",
            "",
        ]);
        let id = match self.below(4) {
            0 => self.text(),
            1 => self.about.id.clone(),
            _ => format!("vandal-{}", self.below(1000)),
        };
        let auth = *self.one(&[
            "hmac_md6_64_256",
            "hmac_sha3_512",
            "cleartext",
            "tls_anon",
            "x",
            "",
        ]);
        let framing = *self.one(&["json", "cbor", "storable", "json,cbor", "x", ""]);
        let parameters = self.some(0, 4, |maker| {
            let name = *maker.one(&[
                "provider",
                "peeraddr",
                "tls",
                "timeout",
                "mproto",
                "gproto",
                "generations",
            ]);
            let value = maker.text().replace(['\n', '\r'], "");
            if maker.once_in(3) {
                format!("{name}=1.0")
            } else {
                format!("{name}={value}")
            }
        });
        let parameters: String = parameters.iter().map(|one| format!(";{one}")).collect();
        let greeting = format!("aemp;{version};{id};{auth};{framing}{parameters}\n");
        let nonce = format!("{}\n", self.text().replace('\n', ""));
        let token = *self.one(&["", "00", "67656865696d", "x"]);
        let proof = format!("{auth};{token};{framing}\n");
        let mut steps: Vec<Vec<u8>> = [greeting, nonce, proof].map(String::into_bytes).to_vec();
        if self.once_in(2) {
            steps.push(self.request());
        }
        let at = self.below(steps.len() * 2);
        if let Some(step) = steps.get_mut(at) {
            self.spoil(step);
        }
        if self.once_in(6) {
            let at = self.below(steps.len());
            steps[at] = b"a".repeat(1 << self.below(17));
        }
        steps.into_iter().map(Step::Say).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum as _;

    fn about() -> About {
        About {
            id: "node".to_owned(),
            version: "1".to_owned(),
            provider: "AE-1.30".to_owned(),
            is_new: false,
            framings: vec!["json".to_owned()],
            greets_first: true,
        }
    }

    #[test]
    fn a_seed_makes_the_same_conversation_and_others_make_others() {
        let all = Stage::value_variants();
        let make = |seed| conversation(seed, all, &about()).1;
        let made: Vec<Conversation> = (0..200).map(make).collect();
        assert_eq!(made, (0..200).map(make).collect::<Vec<_>>());
        let mut different = made.clone();
        different.sort_by_key(|conversation| format!("{conversation:?}"));
        different.dedup();
        assert!(different.len() > 190, "{}", different.len());
    }

    #[test]
    fn each_stage_is_what_it_says() {
        for stage in Stage::value_variants() {
            for seed in 0..200 {
                let (made, conversation) = conversation(seed, &[*stage], &about());
                assert_eq!(made, *stage);
                let logs_in = matches!(conversation.0[0], Step::Login(_));
                assert_eq!(logs_in, *stage != Stage::Handshake);
                let whole = [Stage::Requests, Stage::Gossip, Stage::Database].contains(stage);
                for step in &conversation.0 {
                    let Step::Say(octets) = step else { continue };
                    let array = serde_json::from_slice::<Vec<Value>>(octets);
                    assert!(!whole || array.is_ok(), "{}", octets.escape_ascii());
                }
            }
        }
    }
}
