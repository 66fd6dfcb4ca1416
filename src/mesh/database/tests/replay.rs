//! What real nodes said to each other, played from either end: the state machine hears what the
//! other end said and has to say what the recorded node said, in this order.
//!
//! What the program of the recorded node did is told by what the node said: a `g_db_keys` is a
//! question, a `g_upd` that nothing else explains a change of its own keys.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::super::LISTENERS;
use super::super::terms::GLOBALS;
use super::recordings::{Capture, Line, load};
use super::*;

const KINDS: [Kind; 3] = [Kind::Family, Kind::Keys, Kind::Values];

/// A message as it is compared: Perl's lists of keys and values have no order, and an empty family
/// is a hash or undefined, as it happens.
fn plain(mut said: Vec<Value>) -> Vec<Value> {
    if said[0] == "g_reply"
        && let Value::Array(list) = &mut said[2]
    {
        list.sort_by_key(Value::to_string);
    }
    if said[0] == "g_chg1" && said[2].is_null() {
        said[2] = json!({});
    }
    said
}

/// Not compared: how often a seed is told to become a global node, and that a node of Perl looks
/// for its seed, because the first of these messages waits for the connection to the seed.
fn counts(said: &[Value], peer: &str) -> bool {
    *said != [json!("g_slave")] && *said != [json!("g_find"), json!(peer)]
}

/// What is played.
struct Player {
    state: State,
    own: String,
    /// What it said to a peer and what was not looked at.
    said: BTreeMap<String, VecDeque<Vec<Value>>>,
    monitors: BTreeMap<String, u64>,
    ids: u64,
    answers: u64,
    /// What monitors were told, all changes applied.
    told: BTreeMap<String, BTreeMap<String, Val>>,
    /// What it keeps locally, as far as the recording shows.
    keys: BTreeSet<(String, String)>,
    /// What peers keep: that can't be what the program did.
    of_peers: BTreeMap<String, BTreeSet<(String, String)>>,
    /// Some slaves and what they keep are not in the recording; it counts as the node's own.
    has_others: bool,
}

impl Player {
    fn new(own: &str) -> Self {
        Player {
            state: super::state(own),
            own: own.to_owned(),
            said: BTreeMap::new(),
            monitors: BTreeMap::new(),
            ids: 0,
            answers: 0,
            told: BTreeMap::new(),
            keys: BTreeSet::new(),
            of_peers: BTreeMap::new(),
            has_others: false,
        }
    }

    fn input(&mut self, input: Input) {
        for effect in self.state.handle(input) {
            match effect {
                Effect::Send(node, message) => {
                    let said = self.said.entry(node.to_string()).or_default();
                    if counts(&message.values(), node.as_str()) {
                        said.push_back(plain(message.values()));
                    }
                }
                Effect::Reply(..) => self.answers += 1,
                Effect::Changed { change, .. } => {
                    let told = self.told.entry(change.family).or_default();
                    told.retain(|key, _| !change.deleted.contains_key(key));
                    told.extend(change.added);
                    told.extend(change.changed);
                }
                _ => {}
            }
        }
    }

    fn set(&mut self, family: &str, map: &Value) {
        for (key, value) in map.as_object().into_iter().flatten() {
            let (family, key) = (family.to_owned(), key.clone());
            let at = (family.clone(), key.clone());
            let other = self.has_others || !self.of_peers.values().any(|keys| keys.contains(&at));
            assert!(other, "{}: {at:?} is a peer's", self.own);
            self.keys.insert(at);
            let value = value.clone();
            self.input(Input::Set { family, key, value });
        }
    }

    fn set_all(&mut self, db: &Value) {
        for (family, map) in db.as_object().unwrap() {
            self.set(family, map);
        }
    }

    fn del(&mut self, family: &str, list: &Value) {
        let keys = list.as_array().into_iter().flatten();
        let keys: Vec<String> = keys.map(|key| key.as_str().unwrap().to_owned()).collect();
        if !keys.is_empty() {
            let family = family.to_owned();
            self.input(Input::Del { family, keys });
        }
    }

    /// Takes a note of what a peer keeps.
    fn hears(&mut self, peer: &str, said: &[Value]) {
        let of_peer = self.of_peers.entry(peer.to_owned()).or_default();
        let keys = |family: &str, map: &Value| -> Vec<(String, String)> {
            let keys = map.as_object().into_iter().flat_map(|map| map.keys());
            keys.map(|key| (family.to_owned(), key.clone())).collect()
        };
        match said[0].as_str().unwrap() {
            "g_slave" | "g_set" => {
                for (family, map) in said.get(1).and_then(Value::as_object).into_iter().flatten() {
                    of_peer.extend(keys(family, map));
                }
            }
            "g_upd" => {
                let family = said[1].as_str().unwrap();
                of_peer.extend(keys(family, &said[2]));
                for key in said.get(3).and_then(Value::as_array).into_iter().flatten() {
                    let at = (family.to_owned(), key.as_str().unwrap().to_owned());
                    assert!(of_peer.remove(&at));
                }
            }
            _ => {}
        }
    }

    /// What the program did so that the node says this.
    fn explain(&mut self, said: &[Value]) {
        let text = |at: usize| said[at].as_str().unwrap().to_owned();
        self.ids += 1;
        let id = self.ids;
        let kind = KINDS.into_iter().find(|kind| said[0] == kind.verb().name());
        match said[0].as_str().unwrap() {
            "g_upd" | "g_chg2" => {
                let nothing = Value::Null;
                self.set(&text(1), &said[2]);
                self.del(&text(1), said.get(3).unwrap_or(&nothing));
            }
            "g_mon1" => {
                self.monitors.insert(text(1), id);
                self.input(Input::Monitor {
                    id,
                    family: text(1),
                });
            }
            "g_mon0" => {
                let id = self.monitors.remove(&text(1)).unwrap();
                self.input(Input::Unmonitor {
                    id,
                    family: text(1),
                });
            }
            "g_find" => self.input(Input::Find(NodeId::new(text(1)))),
            _ => {
                let kind = kind.unwrap_or_else(|| panic!("{}: why that: {said:?}", self.own));
                self.input(Input::Query {
                    id,
                    kind,
                    family: text(1),
                });
            }
        }
    }

    /// The recorded node said this.
    fn recorded(&mut self, peer: &str, said: &[Value]) {
        let wanted = plain(said.to_vec());
        let here = |player: &mut Player| {
            let queue = player.said.entry(peer.to_owned()).or_default();
            let same = queue.front() == Some(&wanted);
            same.then(|| queue.pop_front()).flatten().is_some()
        };
        if !here(self) {
            let before = self.said[peer].clone();
            self.explain(said);
            let after = self.said[peer].clone();
            assert!(
                here(self),
                "{} to {peer}: {wanted:?}, not {before:?} {after:?}",
                self.own
            );
        }
    }
}

/// Before a question or a monitor of a peer comes, the program has seen to what is answered.
fn prepare(player: &mut Player, question: &[Value], later: &[&Line]) {
    let answer = |start: &[Value]| {
        let mut later = later.iter();
        later
            .find(|line| line.said.starts_with(start))
            .map(|line| line.said[2].clone())
    };
    let (family, wanted) = match question[0].as_str() {
        Some("g_mon1") => (
            &question[1],
            answer(&[json!("g_chg1"), question[1].clone()]),
        ),
        Some("g_db_family") => (
            &question[1],
            answer(&[json!("g_reply"), question[2].clone()]),
        ),
        Some("g_find") => {
            let found = answer(&[json!("g_found"), question[1].clone()]);
            let node = question[1].as_str().unwrap();
            if let Some(list @ Value::Array(_)) = found {
                player.set(LISTENERS, &json!({ node: list }));
            }
            return;
        }
        _ => return,
    };
    let family = family.as_str().unwrap();
    let wanted = wanted
        .and_then(|wanted| wanted.as_object().cloned())
        .unwrap_or_default();
    let now: BTreeMap<String, Value> = match &player.state.global {
        Some(global) => global
            .family(family)
            .map(|(k, v)| (k.clone(), v.read().unwrap()))
            .collect(),
        None => BTreeMap::new(),
    };
    for (key, value) in &wanted {
        if now.get(key) != Some(value) {
            player.set(family, &json!({ key.as_str(): value }));
        }
    }
    let own = |key: &&String| player.keys.contains(&(family.to_owned(), (*key).clone()));
    let gone = now
        .keys()
        .filter(|key| !wanted.contains_key(*key))
        .filter(own);
    let gone: Vec<&String> = gone.collect();
    player.del(family, &json!(gone));
}

/// Plays `own`, which is an end of all these connections, each that many seconds after the first.
fn play(own: &str, captures: &[(&str, f64)]) -> Player {
    play_with(Player::new(own), captures)
}

fn play_with(mut player: Player, captures: &[(&str, f64)]) -> Player {
    let own = player.own.clone();
    let captures: Vec<(Capture, f64)> = captures
        .iter()
        .map(|(name, at)| (load(name), *at))
        .collect();
    let mut all: Vec<(f64, String, bool, &Line)> = Vec::new();
    for (capture, after) in &captures {
        let is_connector = capture.connector == player.own;
        assert!(is_connector || capture.listener == player.own);
        let peer = if is_connector {
            &capture.listener
        } else {
            &capture.connector
        };
        for line in &capture.lines {
            let by_us = line.by_connector == is_connector;
            all.push((line.at + after, peer.clone(), by_us, line));
        }
    }
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    // What it had before.
    let ours = || all.iter().filter(|line| line.2).map(|line| &line.3.said);
    let first = |verb: &str| {
        ours()
            .find(|said| said[0] == verb && said.len() > 1)
            .cloned()
    };
    let start = first("g_slave").or_else(|| first("g_set"));
    let first_said = |said: &str| ours().position(|line| line[0] == said);
    if let Some(mut db) = start.map(|said| said[1].clone()) {
        db.as_object_mut().unwrap().remove(GLOBALS);
        player.set_all(&db);
    }
    // It is global from the start, or asks to have a master first.
    if ours().all(|said| said[0] != "g_slave" || said.len() == 1)
        && first_said("g_global").is_some()
    {
        player.input(Input::BecomeGlobal);
    }
    let mut up = BTreeSet::new();
    for (at, (_, peer, by_us, line)) in all.iter().enumerate() {
        if up.insert(peer.clone()) {
            let of_peer = |line: &&(f64, String, bool, &Line)| line.1 == *peer;
            let seed = all
                .iter()
                .filter(of_peer)
                .any(|line| line.2 && line.3.said[0] == "g_slave");
            let node = NodeId::new(peer.as_str());
            player.input(Input::Up { node, seed });
        }
        let rest = &all[at + 1..];
        if *by_us {
            if !counts(&line.said, peer) {
                continue;
            }
            let has_to_be_global =
                line.said[0] == "g_upd" && line.said.len() == 4 && line.said[2].is_object();
            if has_to_be_global && !player.state.is_global() {
                player.input(Input::BecomeGlobal);
            }
            // Who says nothing any more is gone, if that explains it.
            let waits = player.said.get(peer).is_some_and(|said| !said.is_empty());
            let quiet = up
                .iter()
                .find(|other| rest.iter().all(|line| line.1 != **other) && *other != peer);
            if let Some(gone) = quiet.cloned()
                && !waits
                && player.state.peers.contains_key(gone.as_str())
                && line.said[0] == "g_chg2"
            {
                player.of_peers.remove(&gone);
                player.input(Input::Down(NodeId::new(gone)));
            }
            player.recorded(peer, &line.said);
        } else {
            let later: Vec<&Line> = rest
                .iter()
                .filter(|line| line.2 && line.1 == *peer)
                .map(|line| line.3)
                .collect();
            if player.state.is_global() {
                prepare(&mut player, &line.said, &later);
            }
            player.hears(peer, &line.said);
            let from = NodeId::new(peer.as_str());
            let request = heard(&player.state, &from, &Message::from_values(&line.said));
            player.input(Input::Request(from, request));
        }
    }
    for (peer, said) in &player.said {
        assert!(said.is_empty(), "{own} said more to {peer}: {said:?}");
    }
    player
}

#[test]
fn an_ordinary_node_and_its_master() {
    for (name, slave, master) in [
        ("pair-cbor", "eg_sender", "eg_receiver"),
        ("pair-json", "eg_sender", "eg_receiver"),
        ("peer.pl--perl-2.02+perl-2.02", "bob", "alice"),
        ("db--perl-2.02+perl-2.02", "bob", "alice"),
        ("groups--perl-2.02+perl-2.02", "bob", "alice"),
    ] {
        let player = play(slave, &[(name, 0.0)]);
        let questions = |said: &[Value]| KINDS.iter().any(|kind| said[0] == kind.verb().name());
        let asked = load(name)
            .lines
            .iter()
            .filter(|line| questions(&line.said))
            .count();
        assert_eq!(player.answers, asked as u64);
        assert_eq!(*player.state.master().unwrap(), *master);
        // Those that came to an end are empty in the end.
        for (family, told) in player.told {
            assert!(
                told.is_empty() || family == "early" || family == "eg",
                "{family}: {told:?}"
            );
        }
        play(master, &[(name, 0.0)]);
    }
}

/// The values are those of whoever set them last, or are uncovered; a node that is killed takes its
/// keys along.
#[test]
fn two_nodes_with_the_same_keys_and_their_master() {
    // From when the first says what the second is told, by the clock of each recording.
    let (bob, carol) = (
        ("db-same-key--perl-2.02+perl-2.02-1", 0.0),
        ("db-same-key--perl-2.02+perl-2.02-2", 0.0502),
    );
    for (name, one) in [("bob", bob), ("carol", carol)] {
        let player = play(name, &[(one.0, 0.0)]);
        assert_eq!(player.told.len(), 1);
    }
    let player = play("alice", &[bob, carol]);
    assert!(!player.state.peers.contains_key("bob"));
    let global = player.state.global.unwrap();
    assert_eq!(global.value("shared", "k"), Some(&json!("alice's").into()));
    assert_eq!(global.value("shared", "own"), None);
}

#[test]
fn global_nodes() {
    for (name, one, other) in [
        ("two-seeds", "eg_sender", "eg_receiver"),
        ("db-globals--perl-2.02+perl-2.02", "dave", "alice"),
    ] {
        for own in [one, other] {
            let mut player = Player::new(own);
            player.has_others = true;
            let player = play_with(player, &[(name, 0.0)]);
            assert!(player.state.is_global(), "{own}");
            let peer = if own == one { other } else { one };
            let global = player.state.global.unwrap();
            assert!(global.value(LISTENERS, peer).is_some());
            assert!(global.value(GLOBALS, peer).is_some());
        }
    }
    // The connector is global and has the other one for a master, which this crate's nodes don't
    // do.
    let player = play("eg_receiver", &[("two-globals-json", 0.0)]);
    let global = player.state.global.unwrap();
    assert!(global.value(LISTENERS, "eg_sender").is_some());
    assert!(global.value(GLOBALS, "eg_sender").is_some());
}
