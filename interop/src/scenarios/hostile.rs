//! Attacks in bounded sizes: what each node survives. Ours has to; what Perl's do is noted.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;

use crate::ctx::Ctx;
use crate::driver::Node;
use crate::fault::{Result, ensure};
use crate::pairing::{Pairing, Side};
use crate::peers::Generation;
use crate::raw::Raw;
use crate::scenario::Scenario;
use crate::spec::Spec;

/// See [`run`].
pub const SCENARIO: Scenario = Scenario {
    name: "hostile",
    about: "silent connections, greetings of control characters, lies about who one is, messages that relay themselves, trees of nothing, names with control characters, false nodes, messages without an end: the node lives, serves its honest peer and a newcomer, and stays small",
    not_in,
    run,
};

/// A node is attacked by octets: who its honest peer is makes no difference, and neither does the
/// release within a generation.
fn not_in(pairing: &Pairing) -> Option<&'static str> {
    if pairing.a.is_rust() != pairing.b.is_rust() {
        return Some("the attacked node and its honest peer are of one kind");
    }
    pairing
        .release()
        .is_some_and(|release| !matches!(&*release.version, "1.0" | "1.30" | "2.02"))
        .then_some("one release of each generation is attacked")
}

/// The most memory that a node of ours may have had, whatever is done to it in these sizes.
const MOST: u64 = 300 << 20;

/// What the attacks need to know.
struct Scene<'a> {
    address: &'a str,
    generation: Option<Generation>,
    secret: String,
    limit: Duration,
}

impl Scene<'_> {
    /// A peer that knows the secret.
    fn vandal(&self, id: &str) -> Result<Raw> {
        let mut raw = Raw::connect(self.address)?;
        raw.join(self.generation, id, &self.secret, self.limit)?;
        Ok(raw)
    }
}

/// Makes the attack; the connections that it returns stay open until its effect was seen.
type Attack = fn(&Scene<'_>) -> Result<Vec<Raw>>;

const ATTACKS: &[(&str, Attack)] = &[
    ("silent connections", silent),
    ("bad greetings", bad_greetings),
    ("wrong proofs", wrong_proofs),
    ("claims to be its peer", claims),
    ("broken JSON", broken),
    ("a message that relays itself", relays_itself),
    ("objects in a request", objects),
    ("control characters in names", names),
    ("unknown functions", functions),
    ("an order to kill the node port", kill_node_port),
    ("messages for unknown nodes", unknown_nodes),
    ("incomplete messages", incomplete),
    ("false nodes", false_nodes),
];

fn run(ctx: &mut Ctx) -> Result<()> {
    let mut faults = Vec::new();
    for (at, (what, attack)) in ATTACKS.iter().enumerate() {
        ctx.step(format!("two nodes connect, before: {what}"));
        let (alice_id, bob_id) = (format!("alice{at}"), format!("bob{at}"));
        let alice = ctx.node(Side::A, &Spec::new(&alice_id).listen())?;
        let address = alice.listener()?;
        let bob = ctx.node(Side::B, &Spec::new(&bob_id).seed(&address))?;
        alice.up(&bob_id)?;
        bob.up(&alice_id)?;
        let before = ctx.log(&alice_id).len();
        ctx.step(format!("the attack: {what}"));
        let scene = Scene {
            address: &address,
            generation: ctx.pairing.generation(),
            secret: ctx.secret().to_owned(),
            limit: ctx.limit(),
        };
        let open = attack(&scene)?;
        ctx.step(format!("what is left of alice after: {what}"));
        let meanwhile = timed(|| bob.sync(&alice_id));
        let rests = rest(&alice);
        let newcomer = timed(|| scene.vandal("newcomer").map(drop));
        let served = timed(|| bob.sync(&alice_id));
        drop(open);
        let lost = bob.pending(|event| event["ev"] == "node" && event["up"] == false);
        let usage = alice.usage();
        let log = ctx.log(&alice_id);
        let raw = log[before..]
            .chars()
            .filter(|c| c.is_control() && *c != '\n');
        let raw = raw.count();
        let found = json!({
            "attack": what,
            "node": ctx.side(Side::A).to_string(),
            "alive": usage.is_some(),
            "honest peer meanwhile": meanwhile,
            "honest peer": served,
            "comes to rest": rests,
            "link kept": lost.is_empty(),
            "newcomer": newcomer,
            "peak MB": usage.map(|usage| usage.peak / 1_000_000),
            "processor s": usage.map(|usage| usage.processor),
            "log KB": (log.len() - before) / 1000,
            "raw control characters": raw,
        });
        ctx.note("survived", &found);
        let peak = usage.map_or(0, |usage| usage.peak);
        let holds = usage.is_some()
            && meanwhile.is_some()
            && served.is_some()
            && rests
            && lost.is_empty()
            && newcomer.is_some()
            && peak < MOST
            && raw == 0;
        if ctx.side(Side::A).is_rust() && !holds {
            faults.push(found.to_string());
        }
        stop(&alice);
        stop(&bob);
    }
    ensure(faults.is_empty(), || faults.join("\n"))
}

/// Waits until the node has worked off what it was sent: false if that does not come to an end.
fn rest(node: &Node) -> bool {
    let started = Instant::now();
    let processor = || node.usage().map_or(0.0, |usage| usage.processor);
    while started.elapsed() < node.limit() {
        let before = processor();
        std::thread::sleep(Duration::from_millis(400));
        // Reading on, however slowly, shows in a tick or more.
        if processor() - before < 0.02 {
            return true;
        }
    }
    false
}

/// A Perl node that is busy would not end when asked to.
fn stop(node: &Node) {
    node.signal(Signal::SIGKILL);
}

/// How long it takes, in seconds; none if it does not come to that.
fn timed(work: impl FnOnce() -> Result<()>) -> Option<f64> {
    let started = Instant::now();
    work().ok().map(|()| started.elapsed().as_secs_f64())
}

fn silent(scene: &Scene<'_>) -> Result<Vec<Raw>> {
    (0..900).map(|_| Raw::connect(scene.address)).collect()
}

/// Control characters as they are: in an ID, in a list, in place of a greeting.
const NOISE: &str = "\x1b[2J\x1b]0;x\x07\r\x08\x7f\x01";

fn bad_greetings(scene: &Scene<'_>) -> Result<Vec<Raw>> {
    let noise = NOISE.repeat(200);
    let greetings = [
        format!("aemp;77;x{noise};hmac_md6_64_256;json;provider=raw-1\nnonce\n"),
        format!("aemp;1;x;{noise};json;provider=raw-1\nnonce\n"),
        format!("{noise}\nnonce\n"),
    ];
    (0..150)
        .map(|n| {
            let mut raw = Raw::connect(scene.address)?;
            raw.send(greetings[n % greetings.len()].as_bytes());
            Ok(raw)
        })
        .collect()
}

fn wrong_proofs(scene: &Scene<'_>) -> Result<Vec<Raw>> {
    (0..100)
        .map(|n| {
            let mut raw = Raw::connect(scene.address)?;
            raw.greet(scene.generation, &format!("guesser{n}"));
            raw.send(b"cleartext;00ff;json\n");
            Ok(raw)
        })
        .collect()
}

fn claims(scene: &Scene<'_>) -> Result<Vec<Raw>> {
    // Each attack of a cell has nodes of its own; the IDs of all are claimed.
    let ids = (0..ATTACKS.len()).flat_map(|n| [format!("bob{n}"), format!("alice{n}")]);
    ids.map(|id| {
        let mut raw = Raw::connect(scene.address)?;
        raw.greet(scene.generation, &id);
        Ok(raw)
    })
    .collect()
}

/// A vandal that sends this.
fn sent(scene: &Scene<'_>, octets: &[u8]) -> Result<Vec<Raw>> {
    let mut raw = scene.vandal("vandal")?;
    raw.send(octets);
    Ok(vec![raw])
}

fn broken(scene: &Scene<'_>) -> Result<Vec<Raw>> {
    sent(scene, br#"["","devnull",}]["","devnull"]"#)
}

fn relays_itself(scene: &Scene<'_>) -> Result<Vec<Raw>> {
    // 1.0 takes memory and log with the square of their number: of 20,000, it took 19 GB.
    let layers = r#""","snd","#.repeat(2_000);
    sent(scene, format!(r#"[{layers}"","devnull"]"#).as_bytes())
}

fn objects(scene: &Scene<'_>) -> Result<Vec<Raw>> {
    let objects = vec![r#"{"":0}"#; 300_000].join(",");
    sent(scene, format!(r#"["","kil0","x",{objects}]"#).as_bytes())
}

fn names(scene: &Scene<'_>) -> Result<Vec<Raw>> {
    let noise = r"x\u001b[2J\nFORGED\r\u007f\u0008y";
    let requests = [
        format!(r#"["","{noise}"]"#),
        format!(r#"["","AnyEvent::MP::_spawn","v.{noise}","{noise}","{noise}"]"#),
        format!(r#"["","mon1","{noise}"]"#),
        format!(r#"["","kil0","{noise}","{noise}"]"#),
        format!(r#"["","snd","{noise}#{noise}","{noise}"]"#),
    ];
    sent(scene, requests.concat().as_bytes())
}

fn functions(scene: &Scene<'_>) -> Result<Vec<Raw>> {
    let requests =
        (0..5_000).map(|n| format!(r#"["","AnyEvent::MP::_spawn","v.{n}","no::such::function"]"#));
    sent(scene, requests.collect::<String>().as_bytes())
}

fn kill_node_port(scene: &Scene<'_>) -> Result<Vec<Raw>> {
    sent(scene, br#"["","kil1","","why"]["","kil","","why"]"#)
}

fn unknown_nodes(scene: &Scene<'_>) -> Result<Vec<Raw>> {
    let messages = (0..2_000).map(|n| format!(r#"["","snd","nobody{n}#p","x"]"#));
    sent(scene, messages.collect::<String>().as_bytes())
}

fn incomplete(scene: &Scene<'_>) -> Result<Vec<Raw>> {
    let begin = [br#"["p",""#.as_slice(), &vec![b'a'; 16 << 20]].concat();
    (0..4)
        .map(|n| {
            let mut raw = scene.vandal(&format!("vandal{n}"))?;
            raw.send(&begin);
            Ok(raw)
        })
        .collect()
}

fn false_nodes(scene: &Scene<'_>) -> Result<Vec<Raw>> {
    let nodes = (0..500).map(|n| format!(r#""false{n}":["127.0.0.1:9"]"#));
    let nodes = nodes.collect::<Vec<_>>().join(",");
    let open = r#"["","AnyEvent::MP::_spawn","v.g","AnyEvent::MP::Global::connect",0,"vandal"]"#;
    sent(
        scene,
        format!(r#"{open}["v.g","nodes",{{{nodes}}}]"#).as_bytes(),
    )
}
