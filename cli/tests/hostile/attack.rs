//! An attack from its start to the verdict.

use std::io::Write as _;
use std::time::{Duration, Instant};

use crate::address::free_address;
use crate::peer::{Friend, Peer, Release};
use crate::victim::Victim;

/// Whether the sizes are those of the full catalogue.
pub fn full() -> bool {
    std::env::var("AEMP_HOSTILE").is_ok_and(|sizes| sizes == "full")
}

/// The size for a quick run, or the full one.
pub fn size(quick: usize, in_full: usize) -> usize {
    if full() { in_full } else { quick }
}

pub const MIB: u64 = 1 << 20;

/// What an attack may cost.
#[derive(Debug, Clone, Copy)]
pub struct Bar {
    /// The most memory that the node may have had, in octets.
    pub peak: u64,
    /// The most processor time, as a multiple of what small honest messages of as many octets
    /// cost. What is below [`NOISE`] counts as nothing.
    pub ratio: f64,
    /// The most processor time in a release build, in seconds.
    pub cpu: f64,
    /// The most that it may log, in octets.
    pub log: u64,
    /// The longest that the honest peer may wait for an answer.
    pub patience: Duration,
}

/// The bar for a single message: what is held is a few times its octets, and never 200 MB.
pub fn single(octets: usize) -> Bar {
    Bar {
        peak: (40 * MIB + 3 * octets as u64).min(200_000_000),
        ..ANY
    }
}

/// The bar for everything that a peer does.
pub const ANY: Bar = Bar {
    peak: 512_000_000,
    ratio: 20.0,
    cpu: 60.0,
    log: 200_000,
    patience: Duration::from_secs(2),
};

/// A bar for the memory alone.
pub fn memory(peak: u64) -> Bar {
    Bar { peak, ..ANY }
}

/// What one peer may make a node hold. In quick size the node has little to give away.
pub fn one_peer() -> u64 {
    if full() { 512_000_000 } else { 128 * MIB }
}

/// What many peers may make it hold together: all of `max_memory`, and what it needs besides.
pub fn many_peers() -> u64 {
    if full() { 640_000_000 } else { 128 * MIB }
}

/// Processor time that is too little to be compared, in seconds.
const NOISE: f64 = 0.3;

/// How much processor time a node may take after the attack, beyond some times that of an honest
/// load of as many octets, before that is taken for a loop without end; in seconds. The clock would
/// say how much else the machine has to do.
fn rest_limit() -> f64 {
    size(15, 90) as f64
}

/// An attack on a node that has an honest peer.
pub struct Attack {
    pub victim: Victim,
    name: String,
    /// Who is linked with it all the time.
    friend: Option<Friend>,
    release: Release,
    /// Processor seconds for an octet of an honest load.
    honest: f64,
    /// Processor seconds and octets of log before the attack.
    before: (f64, u64),
    octets: usize,
    /// Whether the node was waited for after the attack.
    rested: bool,
    faults: Vec<String>,
    figures: Vec<String>,
}

impl Attack {
    /// On a node of generation 1.
    pub fn new(name: &str) -> Self {
        Self::on(name, Victim::start("victim", &[]), Release::Perl130)
    }

    /// On a global node of generation 2.
    pub fn on_global(name: &str) -> Self {
        let address = free_address();
        let settings = ["generation", "2", "seeds", &address];
        let victim = Victim::at("victim", &address, &settings);
        Self::on(name, victim, Release::Perl202)
    }

    /// On that node.
    pub fn on(name: &str, victim: Victim, release: Release) -> Self {
        let mut attack = Self::alone(name, victim, release);
        attack.friend = Some(Friend::start(attack.victim.address(), release));
        attack
    }

    /// On a node that nobody is linked with.
    pub fn alone(name: &str, victim: Victim, release: Release) -> Self {
        let honest = honest_cost(&victim, release);
        let before = (victim.cpu(), victim.log_size());
        Attack {
            victim,
            name: name.to_owned(),
            friend: None,
            release,
            honest,
            before,
            octets: 0,
            rested: false,
            faults: Vec::new(),
            figures: Vec::new(),
        }
    }

    /// A peer that knows the secret. What the node says to it is thrown away.
    pub fn vandal(&self, id: &str) -> Peer {
        self.vandal_in(id, "json")
    }

    /// The same with a framing.
    pub fn vandal_in(&self, id: &str, framing: &str) -> Peer {
        let peer = self.silent_vandal(id, framing);
        peer.drain();
        peer
    }

    /// A peer that knows the secret and reads nothing.
    pub fn silent_vandal(&self, id: &str, framing: &str) -> Peer {
        let limit = Duration::from_secs(30);
        let address = self.victim.address();
        let mut peer = Peer::login_in(address, id, self.release, framing, limit)
            .unwrap_or_else(|error| panic!("{id} logs in: {error}"));
        peer.give_up_after(Duration::from_secs(size(15, 90) as u64));
        peer
    }

    /// Sends octets of the attack. That the node closes the connection is its right.
    pub fn send(&mut self, peer: &mut Peer, octets: impl AsRef<[u8]>) -> bool {
        self.octets += octets.as_ref().len();
        peer.send(octets).is_ok()
    }

    /// Counts octets of the attack that were sent otherwise.
    pub fn count(&mut self, octets: usize) {
        self.octets += octets;
    }

    /// Something that is to hold.
    pub fn expect(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.faults.push(what());
        }
    }

    /// A figure of the table.
    pub fn figure(&mut self, figure: String) {
        self.figures.push(figure);
    }

    /// So many honest peers log in one after the other, each within two seconds.
    pub fn honest_logins(&mut self, count: usize) {
        let (mut good, mut slowest) = (0, Duration::ZERO);
        for n in 0..count {
            let limit = Duration::from_secs(2);
            let started = Instant::now();
            let address = self.victim.address();
            let id = format!("honest-{n}");
            let peer = Peer::login_in(address, &id, self.release, "json", limit);
            slowest = slowest.max(started.elapsed());
            good += usize::from(peer.is_ok() && started.elapsed() <= limit);
        }
        self.figure(format!("logins {good}/{count} {slowest:.1?}"));
        self.expect(good == count, || {
            format!("{good} of {count} honest logins within 2 s, the slowest took {slowest:?}")
        });
    }

    /// No control character is in the log as such: nothing that peers say moves a cursor or begins
    /// a line.
    pub fn clean_log(&mut self) {
        let log = self.victim.log();
        let bad = log
            .iter()
            .filter(|o| (**o < 32 && **o != b'\n') || **o == 127);
        let raw = bad.count();
        self.expect(raw == 0, || {
            format!("{raw} raw control characters in the log")
        });
        let text = String::from_utf8_lossy(&log);
        let forged = text
            .lines()
            .filter(|line| line.starts_with("FORGED"))
            .count();
        self.expect(forged == 0, || format!("{forged} forged lines in the log"));
        let directing = |c: char| matches!(c, '\u{80}'..='\u{9f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        let directing = text.chars().filter(|c| directing(*c)).count();
        self.expect(directing == 0, || {
            format!("{directing} characters in the log that control how text is shown")
        });
    }

    /// Waits until the node is idle again.
    fn rest(&mut self) {
        if std::mem::replace(&mut self.rested, true) {
            return;
        }
        let most = self.victim.cpu() + rest_limit() + 4.0 * self.honest * self.octets as f64;
        loop {
            let before = self.victim.cpu();
            let pause = Duration::from_millis(250);
            std::thread::sleep(pause);
            // The honest peer goes on meanwhile, which costs next to nothing.
            if self.victim.cpu() - before < 0.1 * pause.as_secs_f64() {
                return;
            }
            if self.victim.cpu() > most {
                return self.faults.push("it is busy without an end".to_owned());
            }
        }
    }

    /// [`Attack::judge`] while these connections are kept open.
    pub fn rest_and_keep<T>(self, connections: T, bar: Bar) {
        let verdict = self.verdict(bar);
        drop(connections);
        all_held([verdict]);
    }

    /// [`Attack::judge`] with something that is looked at when the node has worked all off.
    pub fn rest_then(mut self, look: impl FnOnce(&mut Self), bar: Bar) {
        self.rest();
        look(&mut self);
        self.judge(bar);
    }

    /// Waits until the node has worked all off; it must have held.
    pub fn judge(self, bar: Bar) {
        all_held([self.verdict(bar)]);
    }

    /// Waits until the node has worked all off, and says how it did not hold, if so.
    pub fn verdict(mut self, bar: Bar) -> Verdict {
        self.rest();
        if self.victim.is_alive() {
            self.honest_logins(1);
        } else {
            self.faults.push("it ended".to_owned());
        }
        let noticed = self.friend.map(Friend::stop).unwrap_or_default();
        let (slowest, lost) = (noticed.slowest, noticed.lost);
        let mut faults = self.faults;
        if let Some(how) = &lost {
            faults.push(format!("the honest peer lost its link: {how}"));
        }
        let patience = bar.patience * if cfg!(debug_assertions) { 3 } else { 1 };
        if slowest > patience {
            faults.push(format!("the honest peer waited {slowest:?} for an answer"));
        }
        let peak = self.victim.peak();
        if peak > bar.peak {
            let (peak, most) = (peak / MIB, bar.peak / MIB);
            faults.push(format!("{peak} MiB of memory, and {most} are the most"));
        }
        let cpu = self.victim.cpu() - self.before.0;
        let ratio = cpu / (self.honest * self.octets as f64);
        // Without optimisation it is the depth of calls that counts, and that differs.
        let most = bar.ratio * if cfg!(debug_assertions) { 2.0 } else { 1.0 };
        if cpu > NOISE && ratio > most {
            faults.push(format!(
                "{ratio:.1} times the processor time of an honest load, and {most} are the most"
            ));
        }
        if !cfg!(debug_assertions) && cpu > bar.cpu {
            let most = bar.cpu;
            faults.push(format!("{cpu:.2} s of processor, and {most} are the most"));
        }
        let log = self.victim.log_size() - self.before.1;
        if log > bar.log {
            let most = bar.log;
            faults.push(format!("{log} octets of log, and {most} are the most"));
        }
        let verdict = if faults.is_empty() { "holds" } else { "FALLS" };
        let line = format!(
            "| {} | {:.1} MB | {:.0} MB | {cpu:.2} s | {ratio:.1} | {log} | {slowest:.1?} | {} | {verdict} |",
            self.name,
            self.octets as f64 / 1e6,
            peak as f64 / 1e6,
            self.figures.join(", "),
        );
        println!("{line}");
        if let Ok(table) = std::env::var("AEMP_HOSTILE_TABLE") {
            let options = std::fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(table);
            writeln!(options.unwrap(), "{line}").unwrap();
        }
        if faults.is_empty() {
            return Verdict(None);
        }
        let mut log = self.victim.log();
        log.truncate(2000);
        let log = String::from_utf8_lossy(&log);
        let (name, faults) = (&self.name, faults.join("; "));
        Verdict(Some(format!(
            "{name}: {faults}\nits log begins: {}",
            log.escape_debug()
        )))
    }
}

/// How a node did not hold, if so.
#[must_use]
pub struct Verdict(Option<String>);

/// None of these attacks has had success.
pub fn all_held(verdicts: impl IntoIterator<Item = Verdict>) {
    let faults: Vec<String> = verdicts
        .into_iter()
        .filter_map(|verdict| verdict.0)
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Processor seconds that the node needs for an octet of small honest messages.
fn honest_cost(victim: &Victim, release: Release) -> f64 {
    let mut peer = Peer::login(victim.address(), "honest", release).expect("an honest login");
    let message = r#"["","devnull","honest",[1,2,3]]"#;
    let octets = size(256 << 10, 4 << 20);
    let load = message.repeat(octets / message.len());
    let before = victim.cpu();
    peer.send(&load).unwrap();
    peer.send(r#"["","time","honest#r","end"]"#).unwrap();
    let limit = crate::victim::LIMIT;
    peer.read_until(r#""end","#, limit)
        .expect("the end of the honest load");
    (victim.cpu() - before) / load.len() as f64
}
