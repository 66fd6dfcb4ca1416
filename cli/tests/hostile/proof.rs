//! Who greets in order, and has no secret.

use std::time::Duration;

use crate::attack::{ANY, Attack, Bar, size};
use crate::peer::{Peer, Release, greeting};

const BAR: Bar = Bar {
    ratio: f64::INFINITY,
    cpu: 20.0,
    log: 500_000,
    ..ANY
};

/// Greets under that ID and sends that as its third line, again and again.
fn flood(name: &str, id: &str, proof: &str) {
    let mut attack = Attack::new(name);
    for _ in 0..size(300, 5_000) {
        let Ok(mut peer) = Peer::connect(attack.victim.address()) else {
            continue;
        };
        attack.send(&mut peer, greeting(id, Release::Perl130, "json"));
        attack.send(&mut peer, proof);
        // The answer to a whole line is the end of the connection.
        let patience = if proof.ends_with('\n') { 200 } else { 5 };
        let _ = peer.read_until("\0", Duration::from_millis(patience));
    }
    attack.honest_logins(size(3, 15));
    attack.clean_log();
    attack.judge(BAR);
}

#[test]
fn wrong_proofs_cost_little() {
    flood("wrong proofs", "guesser", "hmac_md6_64_256;00ff;json\n");
}

#[test]
fn wrong_secrets_in_plain_text_cost_little() {
    flood("wrong plain secrets", "guesser", "cleartext;00ff;json\n");
}

#[test]
fn a_proof_in_control_characters_is_not_shown_as_such() {
    let proof = "\x1b[2J\rFORGED;\x1b]0;\x07;\x7f\x08\n";
    flood("proofs of control characters", "guess\x1b[1mer", proof);
}

/// The honest peer has the link, and keeps it.
#[test]
fn who_claims_to_be_the_honest_peer_takes_nothing_from_it() {
    flood(
        "the honest peer's ID",
        "friend",
        "hmac_md6_64_256;00ff;json\n",
    );
}

/// Without a proof no message is looked at.
#[test]
fn messages_before_the_proof_are_nothing() {
    let messages = r#"["","AnyEvent::MP::_spawn","a.b","nothing"]"#;
    flood("messages in place of a proof", "guesser", messages);
}
