//! Who has the secret, and tells what is not so of nodes and groups (generations 0 and 1).

use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::attack::{ANY, Attack, Bar, MIB, Verdict, all_held, memory, one_peer, size};
use crate::framing::repeated;
use crate::peer::Peer;

/// Opens the way by which nodes tell each other of the mesh.
fn member(attack: &mut Attack, id: &str) -> Peer {
    let mut vandal = attack.vandal(id);
    let function = "AnyEvent::MP::Global::connect";
    let open = format!(r#"["","AnyEvent::MP::_spawn","v.g","{function}",0,"{id}"]"#);
    attack.send(&mut vandal, open);
    vandal
}

/// The most connections that a node may have to those whom a peer has told of.
const MOST: usize = 64;

/// So many nodes that there are not, all at the address of a third party which takes every
/// connection and says nothing.
fn false_nodes(name: &str, count: usize, leave: bool) {
    let third = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = third.local_addr().unwrap().to_string();
    let taken = Arc::new(Mutex::new(Vec::new()));
    let hold = taken.clone();
    std::thread::spawn(move || {
        for stream in third.incoming().flatten() {
            let mut held = hold.lock().unwrap();
            // The descriptors are needed by other tests, too.
            if held.len() < 4_000 {
                held.push(stream);
            }
        }
    });
    let mut attack = Attack::new(name);
    let mut vandal = member(&mut attack, "vandal");
    let nodes: Vec<String> = (0..count)
        .map(|n| format!(r#""false-{n}":["{address}"]"#))
        .collect();
    let message = format!(r#"["v.g","nodes",{{{}}}]"#, nodes.join(","));
    attack.send(&mut vandal, message);
    let vandal = (!leave).then_some(vandal);
    let started = Instant::now();
    let mut most = 0;
    while started.elapsed() < Duration::from_secs(size(3, 8) as u64) {
        most = most.max(attack.victim.connections_to(&address));
        std::thread::sleep(Duration::from_millis(10));
    }
    taken.lock().unwrap().clear();
    attack.figure(format!("{most} connections at once"));
    attack.expect(most < MOST, || {
        format!("{most} connections to a third party at once")
    });
    attack.rest_and_keep(
        vandal,
        Bar {
            ratio: f64::INFINITY,
            cpu: 20.0,
            ..ANY
        },
    );
}

#[test]
fn false_nodes_do_not_make_the_node_attack_others() {
    false_nodes("15,000 false nodes", size(1_000, 15_000), false);
}

#[test]
fn false_nodes_of_who_has_left() {
    false_nodes("100,000 false nodes, then gone", size(1_000, 100_000), true);
}

fn told(name: &str, message: impl AsRef<str>, peak: u64) -> Verdict {
    let message = message.as_ref();
    let mut attack = Attack::new(name);
    let mut vandal = member(&mut attack, "vandal");
    attack.send(&mut vandal, message);
    attack.verdict(memory(peak))
}

#[test]
fn many_groups() {
    let count = size(50_000, 1_000_000);
    // Each message is short enough to be looked at.
    let sets = (0..count).step_by(10_000).map(|begin| {
        let groups = (begin..begin + 10_000).map(|n| format!(r#""g{n}":["vandal#{n}"]"#));
        let groups: Vec<String> = groups.collect();
        format!(r#"["v.g","set",{{{}}}]"#, groups.join(","))
    });
    let set: String = sets.collect();
    let groups = (0..count).map(|n| format!(r#"["v.g","reg1","g{n}","vandal#{n}"]"#));
    let registered: String = groups.collect();
    all_held([
        told("1,000,000 groups in set", set, one_peer()),
        told("1,000,000 groups in reg1", registered, one_peer()),
    ]);
}

#[test]
fn many_addresses() {
    let messages = (0..size(50_000, 1_000_000)).step_by(10_000).map(|begin| {
        let addresses = (begin..begin + 10_000).map(|n| {
            format!(
                r#""127.1.{}.{}:{}""#,
                n / 250 % 250,
                n % 250,
                1000 + n / 62_500
            )
        });
        let addresses: Vec<String> = addresses.collect();
        format!(r#"["v.g","addr",[{}]]"#, addresses.join(","))
    });
    let messages: String = messages.collect();
    all_held([told("1,000,000 addresses", messages, one_peer())]);
}

#[test]
fn objects_in_gossip() {
    let octets = size(2 << 20, 20 << 20);
    let attacks = [
        ("addr", "[", "]]"),
        ("nodes", r#"{"n":["#, "]}]"),
        ("set", r#"{"g":["#, "]}]"),
        ("reg1", r#""g","#, "]"),
        ("find", r#""n","#, "]"),
    ];
    all_held(attacks.map(|(verb, begin, end)| {
        told(
            &format!("{{\"\":0}} in {verb}"),
            repeated(
                &format!(r#"["v.g","{verb}",{begin}"#),
                r#"{"":0}"#,
                end,
                octets,
            ),
            (40 * MIB + 3 * octets as u64).min(200_000_000),
        )
    }));
}
