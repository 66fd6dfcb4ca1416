//! Who connects and says little or nothing.

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::attack::{ANY, Attack, Bar, size};
use crate::peer::{Peer, Release};
use crate::victim::Victim;

/// Connections that are held open, each made again when the node closes it, until dropped.
struct Holders {
    stop: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Holders {
    /// `count` of them, each of which says `word` first.
    fn start(address: &str, count: usize, word: &'static [u8]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let address = address.to_owned();
        let told = stop.clone();
        let (ready, all) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let connect = || {
                let mut peer = Peer::connect(&address).ok()?;
                peer.send(word).ok()?;
                Some(peer)
            };
            let mut held: Vec<Option<Peer>> = (0..count).map(|_| connect()).collect();
            ready.send(()).unwrap();
            while !told.load(Ordering::Relaxed) {
                for place in &mut held {
                    if place.as_mut().is_none_or(Peer::is_closed) {
                        *place = connect();
                    }
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        all.recv().unwrap();
        Holders {
            stop,
            threads: vec![thread],
        }
    }
}

impl Drop for Holders {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Time is no measure of the work here: what is sent is next to nothing, and each connection costs
/// a greeting of the node's.
const BAR: Bar = Bar {
    ratio: f64::INFINITY,
    cpu: 20.0,
    log: 2_000_000,
    ..ANY
};

/// Who connects and is silent does not take the last of the files that the process may have open.
#[test]
fn files_are_left_for_others() {
    let victim = Victim::with_files("few-files", 256);
    let mut attack = Attack::on(
        "silence where 256 files may be open",
        victim,
        Release::Perl130,
    );
    let holders = Holders::start(attack.victim.address(), 400, b"");
    attack.honest_logins(size(5, 15));
    let log = attack.victim.log_text();
    attack.expect(log.contains("128 is the bound"), || log.clone());
    drop(holders);
    attack.judge(BAR);
}

fn held(name: &str, word: &'static [u8]) {
    let mut attack = Attack::new(name);
    let count = size(1_200, 2_040);
    let holders = Holders::start(attack.victim.address(), count, word);
    attack.count(count * word.len());
    attack.honest_logins(size(5, 15));
    drop(holders);
    attack.judge(BAR);
}

#[test]
fn silent_connections_do_not_keep_others_out() {
    held("silent connections", b"");
}

#[test]
fn half_a_line_does_not_keep_others_out() {
    held("half a first line", b"aemp;1;slow");
}

#[test]
fn half_a_greeting_does_not_keep_others_out() {
    held(
        "a greeting without a nonce",
        b"aemp;1;slow;hmac_md6_64_256;json;provider=AE-1.30\n",
    );
}

#[test]
fn greetings_without_a_proof_do_not_keep_others_out() {
    held(
        "a greeting without a proof",
        b"aemp;1;slow;hmac_md6_64_256;json;provider=AE-1.30\nnonce\n",
    );
}

/// A node of all generations waits for the peer's greeting before its own.
#[test]
fn silence_does_not_keep_others_out_of_a_node_of_all_generations() {
    let victim = Victim::start("victim", &["generation", "auto"]);
    let mut attack = Attack::on("silent, all generations", victim, Release::Perl130);
    let holders = Holders::start(attack.victim.address(), size(1_200, 2_040), b"");
    attack.honest_logins(size(5, 15));
    drop(holders);
    attack.judge(BAR);
}

#[test]
fn connections_that_come_and_go_do_not_keep_others_out() {
    let mut attack = Attack::new("connect and close");
    let address = attack.victim.address().to_owned();
    let count = size(3_000, 20_000);
    let coming = std::thread::spawn(move || {
        let started = Instant::now();
        for _ in 0..count {
            drop(TcpStream::connect(&address));
            if started.elapsed() > Duration::from_secs(20) {
                break;
            }
        }
    });
    attack.honest_logins(size(5, 15));
    coming.join().unwrap();
    attack.judge(BAR);
}
