//! Who has the secret, and asks for what costs much.

use std::time::Duration;

use crate::attack::{ANY, Attack, Bar, all_held, many_peers, memory, one_peer, single, size};
use crate::framing::repeated;
use crate::peer::Release;
use crate::victim::Victim;

/// A message that sends itself on, to this very node, so often.
fn layers(count: usize) -> String {
    repeated("[", r#""","snd""#, r#","","devnull"]"#, count * 9)
}

fn nested(name: &str, count: usize, cpu: f64) {
    let mut attack = Attack::new(name);
    let mut vandal = attack.vandal("vandal");
    let message = layers(count);
    attack.send(&mut vandal, &message);
    attack.judge(Bar {
        cpu,
        ..single(message.len())
    });
}

#[test]
fn a_message_that_sends_itself_on() {
    nested("50,000 layers of snd", size(20_000, 50_000), 0.5);
}

#[test]
fn a_long_message_that_sends_itself_on() {
    nested("1,000,000 layers of snd", size(100_000, 1_000_000), 5.0);
}

#[test]
fn many_messages_in_one() {
    let mut attack = Attack::new("snd_multiple of many");
    let mut vandal = attack.vandal("vandal");
    let octets = size(1 << 20, 16 << 20);
    let message = repeated(r#"["","snd_multiple","#, r#"["victim#x",0]"#, "]", octets);
    attack.send(&mut vandal, &message);
    attack.judge(single(message.len()));
}

/// Objects in requests that the node then ignores.
#[test]
fn objects_where_nobody_asked_for_them() {
    let verbs = ["kil", "kil0", "kil1", "mon1", "info", "no::such::function"];
    all_held(verbs.map(|verb| {
        let mut attack = Attack::new(&format!("{{\"\":0}} in {verb}"));
        let mut vandal = attack.vandal("vandal");
        let octets = size(2 << 20, 20 << 20);
        let message = repeated(&format!(r#"["","{verb}","x","#), r#"{"":0}"#, "]", octets);
        attack.send(&mut vandal, &message);
        attack.verdict(single(message.len()))
    }));
}

/// The names of both nodes, in their order, are a request whose answer is that request again.
/// Whoever else is linked would come in between, so nobody is.
#[test]
fn a_request_that_is_answered_to_a_node_port() {
    let victim = Victim::start("victim", &[]);
    let mut attack = Attack::alone("known_nodes for ever", victim, Release::Perl130);
    let mut vandal = attack.vandal("known_nodes");
    attack.send(&mut vandal, r#"["","known_nodes","victim"]"#);
    attack.rest_and_keep(vandal, memory(one_peer()));
}

#[test]
fn names_with_control_characters() {
    let victim = Victim::verbose("victim");
    let mut attack = Attack::on("control characters in names", victim, Release::Perl130);
    let mut vandal = attack.vandal("vandal");
    let noise = r"x\u001b[2J\nFORGED\r\u007f\u0008\u009b1m\u202ey";
    for request in [
        format!(r#"["","{noise}"]"#),
        format!(r#"["","AnyEvent::MP::_spawn","v.{noise}","{noise}","{noise}"]"#),
        format!(r#"["","AnyEvent::MP::_spawn","v.a","{noise}"]"#),
        format!(r#"["","mon1","{noise}"]"#),
        format!(r#"["","kil","{noise}","{noise}","{noise}"]"#),
        format!(r#"["","kil0","{noise}","{noise}","{noise}"]"#),
        format!(r#"["","snd","{noise}","{noise}"]"#),
        format!(r#"["","snd","{noise}#{noise}","{noise}"]"#),
        format!(r#"["","eval","{noise}"]"#),
        format!(r#"["{noise}","{noise}"]"#),
        format!(r#"["","AnyEvent::MP::_spawn","v.g","AnyEvent::MP::Global::connect",0,"{noise}"]"#),
        format!(r#"["v.g","nodes",{{"{noise}":["{noise}"]}}]"#),
        format!(r#"["v.g","set",{{"{noise}":["{noise}"]}}]"#),
        format!(r#"["v.g","addr",["{noise}"]]"#),
        format!(r#"["v.g","reg1","{noise}","{noise}"]"#),
        // At last something for which the node closes the link, and says why.
        format!(r#"{{"{noise}":0}}"#),
    ] {
        attack.send(&mut vandal, request);
    }
    attack.rest_then(|attack| attack.clean_log(), ANY);
}

/// Ports that are said to have no room are names that the node keeps: a bounded number.
#[test]
fn ports_without_room() {
    let mut attack = Attack::new("names of ports without room");
    let mut vandal = attack.vandal("vandal");
    let name = "x".repeat(size(1_000, 4_000));
    let requests = (0..size(10_000, 100_000)).map(|n| format!(r#"["","aemp_hold","{n}{name}"]"#));
    let requests: String = requests.collect();
    attack.send(&mut vandal, &requests);
    attack.rest_and_keep(vandal, memory(one_peer()));
}

#[test]
fn a_name_of_many_octets() {
    let mut attack = Attack::new("a function name of 30 MB");
    let mut vandal = attack.vandal("vandal");
    let message = repeated(r#"["",""#, "function", r#""]"#, size(2 << 20, 30 << 20));
    attack.send(&mut vandal, &message);
    attack.judge(Bar {
        log: 10_000,
        ..single(message.len())
    });
}

/// What the log costs, at 200,000 lines, would show as processor time.
#[test]
fn unknown_functions() {
    let mut attack = Attack::new("spawns of unknown functions");
    let mut vandal = attack.vandal("vandal");
    let requests = (0..size(20_000, 200_000))
        .map(|n| format!(r#"["","AnyEvent::MP::_spawn","v.{n}","no::such::function"]"#));
    let requests: String = requests.collect();
    attack.send(&mut vandal, &requests);
    attack.judge(Bar {
        log: 100_000,
        ..ANY
    });
}

/// Each is answered by a kill, which the vandal reads or does not read.
#[test]
fn monitors_of_ports_that_are_not_there() {
    let mut attack = Attack::new("monitors of missing ports");
    let mut vandal = attack.vandal("vandal");
    let requests = (0..size(20_000, 400_000)).map(|n| format!(r#"["","mon1","v.{n}"]"#));
    let requests: String = requests.collect();
    attack.send(&mut vandal, &requests);
    attack.judge(ANY);
}

/// Ports of the vandal's, each of which the node keeps.
#[test]
fn ports_of_the_mesh() {
    let mut attack = Attack::new("ports spawned for the mesh");
    let mut vandal = attack.vandal("vandal");
    let function = "AnyEvent::MP::Global::connect";
    let requests = (0..size(10_000, 200_000))
        .map(|n| format!(r#"["","AnyEvent::MP::_spawn","v.{n}","{function}",0,"vandal"]"#));
    let requests: String = requests.collect();
    attack.send(&mut vandal, &requests);
    attack.judge(ANY);
}

/// Who asks for much, and does not read the answers, does not fill the node.
#[test]
fn peers_that_read_nothing() {
    let mut attack = Attack::new("20 peers that read nothing");
    let echo = repeated(r#"["","snd","ID#p",""#, "aaaaaaa", r#""]"#, 1 << 20);
    let mut vandals = Vec::new();
    for n in 0..20 {
        let id = format!("vandal-{n}");
        let mut vandal = attack.silent_vandal(&id, "json");
        vandal.give_up_after(Duration::from_millis(500));
        let echo = echo.replacen("ID", &id, 1);
        for _ in 0..size(16, 60) {
            if !attack.send(&mut vandal, &echo) {
                break;
            }
        }
        vandals.push(vandal);
    }
    let peak = many_peers();
    attack.rest_and_keep(vandals, memory(peak));
}

/// All that one peer can do, one after the other on one link or the next.
#[test]
fn all_floods_of_one_peer_together() {
    let mut attack = Attack::new("all floods of one peer");
    let octets = size(1 << 20, 16 << 20);
    let objects = |begin: &str| repeated(begin, r#"{"":0}"#, "]", octets);
    let numbered =
        |part: &dyn Fn(usize) -> String| -> String { (0..size(5_000, 50_000)).map(part).collect() };
    let mesh = r#"["","AnyEvent::MP::_spawn","v.g","AnyEvent::MP::Global::connect",0,"vandal"]"#;
    let floods = [
        objects(r#"["","kil","x","#),
        objects(r#"["x","#),
        layers(size(10_000, 50_000)),
        numbered(&|n| format!(r#"["","snd","nobody-{n}#p",0]"#)),
        numbered(&|n| format!(r#"["","mon1","v.{n}"]"#)),
        numbered(&|n| format!(r#"["","no::such::function::{n}"]"#)),
        mesh.to_owned(),
        numbered(&|n| format!(r#"["v.g","reg1","g{n}","vandal#{n}"]"#)),
        numbered(&|n| format!(r#"["v.g","nodes",{{"n{n}":["127.0.0.1:9"]}}]"#)),
        format!("{}]", objects(r#"["v.g","addr",["#)),
        repeated(r#"["x",""#, "incomplete", "", octets),
    ];
    let mut vandal = attack.vandal("vandal");
    for flood in floods {
        if !attack.send(&mut vandal, &flood) {
            drop(vandal);
            vandal = attack.vandal("vandal");
        }
    }
    attack.rest_and_keep(vandal, memory(one_peer()));
}

/// On a node with a single thread, whoever sends without a pause has no more than a turn at a time.
#[test]
fn floods_of_many_peers_on_one_thread() {
    let victim = Victim::on_one_thread("victim");
    let mut attack = Attack::on("8 floods on one thread", victim, Release::Perl130);
    let octets = size(4 << 20, 32 << 20);
    let floods = [
        r#"["nobody","message",1]"#,
        r#"["","info","victim#nobody"]"#,
        r#"["","no::such::function"]"#,
        r#"["","mon1","nobody"]"#,
    ];
    let vandals: Vec<_> = (0..8)
        .map(|n| attack.vandal(&format!("vandal-{n}")))
        .zip(floods.into_iter().cycle())
        .map(|(mut vandal, flood)| {
            std::thread::spawn(move || {
                let block = flood.repeat((64 << 10) / flood.len());
                for _ in 0..octets / block.len() {
                    vandal
                        .send(&block)
                        .expect("the node takes what is in order");
                }
                vandal
            })
        })
        .collect();
    let vandals: Vec<_> = vandals
        .into_iter()
        .map(|vandal| vandal.join().unwrap())
        .collect();
    attack.count(8 * octets);
    // Without turns it is 600 ms in a release build; other tests run beside this one in others.
    let patience = Duration::from_millis(if cfg!(debug_assertions) { 1000 } else { 250 });
    attack.rest_and_keep(vandals, Bar { patience, ..ANY });
}
