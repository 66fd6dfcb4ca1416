//! Who has the secret, and fills the database (generation 2). The node is a global one.

use crate::attack::{Attack, all_held, many_peers, memory, one_peer, single, size};
use crate::framing::repeated;
use crate::peer::Peer;

/// A slave of the node's.
fn slave(attack: &mut Attack, id: &str) -> Peer {
    let mut vandal = attack.vandal(id);
    attack.send(&mut vandal, r#"["","g_slave",{}]"#);
    vandal
}

#[test]
fn objects_where_values_belong() {
    let octets = size(2 << 20, 20 << 20);
    let attacks = [
        ("g_upd", r#""f",{"k":["#, "]}]"),
        ("g_upd of no family", "", "]"),
        ("g_reply", r#""a","#, "]"),
        ("g_set", r#"{"f":{"k":["#, "]}}]"),
        ("g_slave", r#"{"f":{"k":["#, "]}}]"),
        ("g_found", r#""n",["#, "]]"),
        ("g_chg1", r#""f",{"k":["#, "]}]"),
        ("g_db_family", r#""f","#, "]"),
    ];
    all_held(attacks.map(|(verb, begin, end)| {
        let mut attack = Attack::on_global(&format!("{{\"\":0}} in {verb}"));
        let mut vandal = slave(&mut attack, "vandal");
        let verb = verb.split(' ').next().unwrap();
        let begin = format!(r#"["","{verb}",{begin}"#);
        let message = repeated(&begin, r#"{"":0}"#, end, octets);
        attack.send(&mut vandal, &message);
        attack.verdict(single(message.len()))
    }));
}

/// What is set by who is no slave is ignored.
#[test]
fn objects_of_who_is_no_slave() {
    let mut attack = Attack::on_global("{\"\":0} in g_upd of a stranger");
    let mut vandal = attack.vandal("vandal");
    let octets = size(2 << 20, 20 << 20);
    let message = repeated(r#"["","g_upd","f",{"k":["#, r#"{"":0}"#, "]}]", octets);
    attack.send(&mut vandal, &message);
    attack.rest_and_keep(vandal, single(message.len()));
}

#[test]
fn many_keys() {
    let mut attack = Attack::on_global("1,000,000 keys");
    let mut vandal = slave(&mut attack, "vandal");
    for begin in (0..size(50_000, 1_000_000)).step_by(1_000) {
        let keys: Vec<String> = (begin..begin + 1_000)
            .map(|n| format!(r#""k{n}":0"#))
            .collect();
        let message = format!(r#"["","g_upd","f",{{{}}}]"#, keys.join(","));
        attack.send(&mut vandal, message);
    }
    attack.rest_and_keep(vandal, memory(one_peer()));
}

#[test]
fn many_families() {
    let mut attack = Attack::on_global("1,000,000 families");
    let mut vandal = slave(&mut attack, "vandal");
    let families = (0..size(20_000, 1_000_000))
        .map(|n| format!(r#"["","g_upd","f{n}",{{"k":0}}]["","g_mon1","m{n}"]"#));
    let families: String = families.collect();
    attack.send(&mut vandal, families);
    attack.rest_and_keep(vandal, memory(one_peer()));
}

#[test]
fn monitors_of_long_names() {
    let mut attack = Attack::on_global("g_mon1 of 60 names of 10 MB");
    let mut vandal = slave(&mut attack, "vandal");
    let long = "n".repeat(size(1 << 20, 10 << 20));
    for n in 0..60 {
        attack.send(&mut vandal, format!(r#"["","g_mon1","{n}{long}"]"#));
        attack.send(&mut vandal, format!(r#"["","g_find","{n}{long}"]"#));
    }
    attack.rest_and_keep(vandal, memory(one_peer()));
}

/// Eight slaves that each set all they can.
#[test]
fn full_databases_of_many_peers() {
    let mut attack = Attack::on_global("8 nodes at the database's limit");
    let value = "v".repeat(1 << 20);
    let mut vandals = Vec::new();
    for n in 0..8 {
        let mut vandal = slave(&mut attack, &format!("vandal-{n}"));
        for key in 0..size(24, 100) {
            let message = format!(r#"["","g_upd","f",{{"{n}-{key}":"{value}"}}]"#);
            attack.send(&mut vandal, message);
        }
        vandals.push(vandal);
    }
    attack.rest_and_keep(vandals, memory(many_peers()));
}
