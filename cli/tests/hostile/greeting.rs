//! Who greets, and lies or talks nonsense.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::address::free_address;
use crate::attack::{ANY, Attack, Bar, size};
use crate::peer::{Peer, Release, greeting};
use crate::victim::Victim;

/// What is sent is short-lived connections, which cost more than messages do.
const BAR: Bar = Bar {
    ratio: f64::INFINITY,
    cpu: 20.0,
    log: 2_000_000,
    ..ANY
};

/// Sends each of these on a connection of its own, in turn, and waits for its end.
fn flood(name: &str, count: usize, words: &[&[u8]]) {
    flood_on(name, Victim::start("victim", &[]), count, words);
}

fn flood_on(name: &str, victim: Victim, count: usize, words: &[&[u8]]) {
    let mut attack = Attack::on(name, victim, Release::Perl130);
    for n in 0..count {
        let word = words[n % words.len()];
        if let Ok(mut peer) = Peer::connect(attack.victim.address()) {
            attack.send(&mut peer, word);
            let _ = peer.read_until("\0", Duration::from_millis(5));
        }
    }
    attack.honest_logins(size(3, 15));
    attack.clean_log();
    attack.judge(BAR);
}

/// A greeting that nobody takes, with control characters in one of its parts.
fn with_controls(part: usize) -> Vec<u8> {
    let mut parts = ["77", "a", "hmac_md6_64_256", "json", "provider="].map(str::to_owned);
    parts[part] += &"\x1b[2J\x1b]0;x\x07\rFORGED\u{9b}31m\u{202e}\x01\x02".repeat(120);
    if part > 0 {
        parts[0] = "1".to_owned();
    }
    format!("aemp;{}\nnonce\n", parts.join(";")).into()
}

#[test]
fn greetings_of_control_characters_fill_no_log() {
    let noise = ["\x1b[31m\x08\x7f".repeat(500), "\n".to_owned()].concat();
    let mut words: Vec<Vec<u8>> = (0..5).map(with_controls).collect();
    words.push(noise.into());
    let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
    flood("bad greetings of 4 KB", size(600, 20_000), &words);
    let verbose = Victim::verbose("victim");
    flood_on(
        "bad greetings, every step logged",
        verbose,
        size(600, 20_000),
        &words,
    );
}

#[test]
fn lines_without_an_end_are_cut_off() {
    let long = vec![b'a'; 64 << 10];
    let unnamed = [b"aemp;1;".as_slice(), &[b'x'; 4000]].concat();
    flood("endless first lines", size(300, 5_000), &[&long, &unnamed]);
}

#[test]
fn other_protocols_are_turned_away() {
    let words: [&[u8]; 3] = [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.9\r\n",
    ];
    flood("other protocols", size(300, 5_000), &words);
}

/// An unproved claim to be the node itself changes nothing: neither on a connection to the node,
/// nor at the address of one of its seeds.
#[test]
fn a_claim_to_be_the_node_itself_changes_nothing() {
    let seed_address = free_address();
    let fake = TcpListener::bind(&seed_address).unwrap();
    let victim = Victim::start("victim", &["seeds", &seed_address]);
    // It is asked for before the honest peer comes, whose log-in the node would wait with for
    // nothing.
    let (stream, _) = fake.accept().unwrap();
    let mut attack = Attack::on(
        "the node's ID at a seed's address",
        victim,
        Release::Perl130,
    );
    let mut liar = Peer::on(stream);
    attack.send(&mut liar, greeting("victim", Release::Perl130, "json"));
    let _ = liar.read_until("\0", Duration::from_secs(2));
    drop((liar, fake));
    let seed = Victim::at("seed", &seed_address, &["generation", "1"]);
    let started = Instant::now();
    let found = is_up(&attack.victim, seed.id(), Duration::from_secs(10));
    let after = started.elapsed();
    attack.figure(format!("found again: {found} after {after:.1?}"));
    attack.expect(found, || {
        "the seed is not found again within 10 s".to_owned()
    });
    attack.judge(BAR);
}

/// Whether the node is linked with that one, at the latest after that time.
pub fn is_up(victim: &Victim, other: &str, limit: Duration) -> bool {
    let mut peer = Peer::login(victim.address(), "asker", Release::Perl130).unwrap();
    let started = Instant::now();
    while started.elapsed() < limit {
        peer.send(r#"["","up_nodes","asker#r","up"]"#).unwrap();
        let other = format!("\"{other}\"");
        let answered = peer.read_until(&other, Duration::from_millis(100));
        if answered.is_ok() {
            return true;
        }
    }
    false
}
