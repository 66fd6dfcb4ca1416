//! Who has the secret, and has the node send on.

use crate::attack::{ANY, Attack, Bar, MIB, full, memory, one_peer, size};
use crate::peer::{Peer, Release};
use crate::victim::Victim;

#[test]
fn messages_for_unknown_nodes() {
    let mut attack = Attack::new("snd to 100,000 unknown nodes");
    let mut vandal = attack.vandal("vandal");
    let count = size(10_000, 100_000);
    let messages = (0..count).map(|n| format!(r#"["","snd","nobody-{n}#p","x"]"#));
    let messages: String = messages.collect();
    attack.send(&mut vandal, messages);
    let peak = if full() { 128 } else { 64 } * MIB;
    attack.rest_and_keep(vandal, memory(peak));
}

/// What waits for a node that never comes is bounded.
#[test]
fn much_for_an_unknown_node() {
    let mut attack = Attack::new("1 GB for unknown nodes");
    let mut vandal = attack.vandal("vandal");
    let text = "a".repeat(1 << 20);
    for n in 0..size(200, 1_000) {
        attack.send(
            &mut vandal,
            format!(r#"["","snd","nobody-{}#p","{text}"]"#, n % 10),
        );
    }
    let peak = one_peer();
    attack.rest_and_keep(vandal, memory(peak));
}

/// Who names many nodes that nobody knows has one share of the memory for what waits for them all:
/// an honest peer's long message still finds room.
#[test]
fn much_for_many_unknown_nodes() {
    let mut attack = Attack::new("1 GB for 100 unknown nodes");
    let mut vandal = attack.vandal("vandal");
    let text = "a".repeat(1 << 20);
    for n in 0..size(200, 1_000) {
        let nobody = n % 100;
        attack.send(
            &mut vandal,
            format!(r#"["","snd","nobody-{nobody}#p","{text}"]"#),
        );
    }
    let limit = crate::victim::LIMIT;
    let address = attack.victim.address();
    let mut honest = Peer::login(address, "honest", Release::Perl130).unwrap();
    let long = "b".repeat(size(4 << 20, 24 << 20));
    let asked = honest
        .send(format!(
            r#"["nobody","{long}"]["","time","honest#r","end"]"#
        ))
        .and_then(|()| honest.read_until(r#""end","#, limit));
    attack.expect(asked.is_ok(), || {
        format!("the link with a long message is lost: {asked:?}")
    });
    let peak = one_peer();
    attack.rest_and_keep((vandal, honest), memory(peak));
}

/// A message that two nodes send to each other comes to an end.
#[test]
fn a_message_between_two_nodes() {
    let victim = Victim::start("victim", &[]);
    let other = Victim::start("other", &["seeds", victim.address()]);
    let found = crate::greeting::is_up(&victim, "other", crate::victim::LIMIT);
    assert!(found, "the two nodes are linked");
    let mut attack = Attack::on("a message between two nodes", victim, Release::Perl130);
    let mut vandal = attack.vandal("vandal");
    let layers = size(2_000, 50_000);
    let round = r#""","snd","other#","snd","victim#","snd""#;
    let message = format!(
        r#"[{round}{}]"#,
        r#","other#","snd","victim#","snd""#.repeat(layers)
    );
    attack.send(&mut vandal, &message);
    let before = other.cpu();
    attack.figure(format!("{} layers", 2 * layers));
    // The other node has as much to do as this one, and no link of the vandal's.
    let mut honest = Peer::login(other.address(), "other-friend", Release::Perl130).unwrap();
    honest
        .send(r#"["","time","other-friend#r","end"]"#)
        .unwrap();
    let answer = honest.read_until(r#""end","#, std::time::Duration::from_secs(5));
    attack.expect(answer.is_ok(), || {
        "the other node does not answer".to_owned()
    });
    attack.rest_then(
        |attack| attack.figure(format!("the other took {:.2} s", other.cpu() - before)),
        Bar {
            cpu: 5.0,
            ratio: 100.0,
            ..ANY
        },
    );
}
