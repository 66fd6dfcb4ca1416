//! Greetings and handshakes.

use std::sync::Arc;

use arbitrary::{Arbitrary, Unstructured};

use super::input::Input;
use crate::proto::generation::Generations;
use crate::proto::handshake::check::{Side, pass};
use crate::proto::handshake::{Handshake, HandshakeError, Local, Role, TlsRole, TlsUse};
use crate::proto::{AuthMethod, Framing, Generation, Greeting};

/// A greeting line: what was read is written as something that reads the same, and whatever is
/// asked of it has an answer.
pub fn greeting(data: &[u8]) {
    let Ok(greeting) = Greeting::parse(data) else {
        return;
    };
    let again = Greeting::parse(&greeting.to_octets());
    assert_eq!(again.as_ref(), Ok(&greeting));
    for (key, _) in &greeting.params {
        assert!(greeting.param(key).is_some(), "{key:?}");
    }
    assert!(!greeting.is_perl() || greeting.perl_release().is_none_or(|(_, minor)| minor < 100));
    assert!(greeting.timeout_secs().is_none_or(|secs| secs > 0.0));
    let spoken = (0..3).filter(|number| greeting.speaks(*number));
    let spoken: Vec<u32> = spoken.collect();
    if let Some(generation) = Generation::of_greeting(&greeting) {
        assert_eq!(generation.greeting_version(), greeting.version);
    }
    for ours in [
        Generations::Auto,
        Generations::Only(0),
        Generations::Only(2),
    ] {
        if let Some(between) = Generation::between(ours, &greeting) {
            assert!(ours.allows(between.number()), "{between:?} of {ours:?}");
            assert!(spoken.contains(&between.number()) || !greeting.speaks(2));
        }
    }
}

/// How a side is configured.
#[derive(Debug, Clone, Copy, Arbitrary)]
struct Setup {
    generations: u8,
    tls: u8,
    secret: u8,
    framings: u8,
    offers_cleartext: bool,
}

const SECRET: &str = "geheim";

impl Setup {
    fn local(self, node: &str) -> Local {
        let secret = match self.secret % 8 {
            6 => None,
            7 => Some("other".into()),
            _ => Some(SECRET.into()),
        };
        let framings: &[Framing] = match self.framings % 6 {
            0 | 1 => &[Framing::Cbor, Framing::Json],
            2 => &[Framing::Json],
            3 => &[Framing::Storable, Framing::Json],
            4 => &[Framing::Cbor],
            _ => &[],
        };
        let mut local = Local {
            generations: match self.generations % 8 {
                5 => Generations::Only(0),
                6 => Generations::Only(1),
                7 => Generations::Only(2),
                _ => Generations::Auto,
            },
            tls: match self.tls % 4 {
                1 | 2 => TlsUse::Offered,
                3 => TlsUse::Required,
                _ => TlsUse::Never,
            },
            framings: framings.to_vec(),
            ..Local::new(node.into(), secret)
        };
        if self.offers_cleartext {
            local.auth_offer.insert(0, AuthMethod::Cleartext);
        }
        local
    }
}

/// What becomes of a side that gets these octets.
type Outcome = (
    Vec<u8>,
    Option<HandshakeError>,
    Option<TlsRole>,
    Option<(String, Framing, Framing, Vec<u8>)>,
);

fn outcome(
    local: &Arc<Local>,
    role: Role,
    greets: bool,
    pauses: bool,
    octets: &[u8],
    sizes: &[usize],
) -> Outcome {
    let mut handshake = match role {
        Role::Connector => Handshake::connect(local.clone(), &[1; 66], "127.0.0.1:4040"),
        Role::Listener => Handshake::accept(local.clone(), &[2; 66], "127.0.0.1:50000"),
    };
    if pauses {
        handshake = handshake.pausing();
    }
    let mut side = Side::of(handshake);
    if greets {
        side.handshake.greet(&mut side.out);
    }
    let mut at = 0;
    for size in sizes.iter().cycle() {
        if at == octets.len() {
            break;
        }
        let to = octets.len().min(at + size);
        side.recv(&octets[at..to]);
        at = to;
    }
    let (out, error, tls) = (side.out.clone(), side.error.clone(), side.tls);
    let done = side.established().map(|done| {
        let node = done.peer.greeting.node.to_string();
        (node, done.send_framing, done.recv_framing, done.rest)
    });
    (out, error, tls, done)
}

/// A side of either role that gets any octets, in any pieces: how they are cut makes no difference,
/// and nobody gets in without the secret.
pub fn handshake(data: &[u8]) {
    let mut input = Input::new(data);
    let flags = input.octet();
    let role = match flags & 1 {
        0 => Role::Listener,
        _ => Role::Connector,
    };
    let (greets, pauses) = (role == Role::Connector || flags & 2 > 0, flags & 4 > 0);
    let side = Setup {
        generations: input.octet(),
        tls: input.octet(),
        secret: input.octet(),
        framings: input.octet(),
        offers_cleartext: flags & 8 > 0,
    };
    let local = Arc::new(side.local("tested"));
    let sizes = input.sizes();
    let octets = input.rest();

    let whole = outcome(&local, role, greets, pauses, octets, &[octets.len().max(1)]);
    for sizes in [&sizes[..], &[1]] {
        let cut = outcome(&local, role, greets, pauses, octets, sizes);
        assert_eq!(cut, whole, "read in pieces of {sizes:?}");
    }
    let (_, error, tls, done) = whole;
    assert!(error.is_none() || done.is_none());
    if let Some((node, send, recv, _)) = done {
        assert_ne!(node, "tested");
        assert!(local.framings.contains(&send) && local.framings.contains(&recv));
        assert!(tls.is_some() || local.tls != TlsUse::Required);
        // The token of a method that hides the secret can't be guessed.
        let clear: String = [SECRET, "other"][usize::from(side.secret % 8 == 7)]
            .bytes()
            .map(|octet| format!("{octet:02x}"))
            .collect();
        let said = String::from_utf8_lossy(octets).to_lowercase();
        assert!(said.contains(&clear), "in without the secret: {local:?}");
    }
}

/// Two sides, and what happens to what they say.
#[derive(Debug, Arbitrary)]
struct Pair {
    a: Setup,
    b: Setup,
    listener_greets: bool,
    sizes: [u8; 3],
    /// A bit of what the connector says, or the listener, is bent on the way.
    bent: Option<(bool, u16, u8)>,
    /// What the connector sends behind its token.
    behind: Vec<u8>,
}

/// Two sides that talk with each other: they come to the same result, and it is the one of their
/// configurations; who is told something else than was said believes nobody.
pub fn handshake_pair(data: &[u8]) {
    let Ok(pair) = Pair::arbitrary_take_rest(Unstructured::new(data)) else {
        return;
    };
    let mut a = Side::new(Role::Connector, pair.a.local("a"));
    let mut b = Side::new(Role::Listener, pair.b.local("b"));
    a.handshake.greet(&mut a.out);
    if pair.listener_greets {
        b.handshake.greet(&mut b.out);
    }
    let sizes = pair.sizes.map(|size| 1 + usize::from(size));
    let mut sizes = sizes.iter().copied().cycle();
    let mut said: [Vec<u8>; 2] = Default::default();
    let mut bent_at = None;
    let mut sent_behind = false;
    loop {
        if a.handshake.is_verified() && !sent_behind {
            sent_behind = true;
            a.out.extend_from_slice(&pair.behind);
        }
        if a.out.is_empty() && b.out.is_empty() {
            break;
        }
        let size = sizes.next().unwrap_or(1);
        for (n, said) in said.iter_mut().enumerate() {
            let (from, to) = match n {
                0 => (&mut a, &mut b),
                _ => (&mut b, &mut a),
            };
            pass(from, to, size, |octets| {
                let before = said.len();
                said.extend_from_slice(octets);
                let Some((of_b, at, bit)) = pair.bent else {
                    return;
                };
                let place = usize::from(at).checked_sub(before);
                let octet = place.and_then(|place| octets.get_mut(place));
                if let Some(octet) = octet.filter(|_| usize::from(of_b) == n) {
                    *octet ^= 1 << (bit % 8);
                    bent_at = Some((n, usize::from(at)));
                }
            });
        }
    }
    let (tls, errors) = ([a.tls, b.tls], [a.error.clone(), b.error.clone()]);
    let done = [a.established(), b.established()];
    if let Some((n, at)) = bent_at {
        let believed = done[1 - n].is_some();
        assert!(!believed || at >= covered(&said[n]), "{pair:?}");
        return;
    }
    let [Some(a), Some(b)] = &done else {
        // Somebody has said why.
        assert!(errors.iter().any(Option::is_some), "both wait: {pair:?}");
        return;
    };
    assert_eq!(errors, [None, None]);
    let names = [a, b].map(|side| side.peer.greeting.node.as_str());
    assert_eq!(names, ["b", "a"]);
    assert_eq!(a.peer.generation, b.peer.generation);
    assert_eq!(
        (a.send_framing, a.recv_framing),
        (b.recv_framing, b.send_framing)
    );
    assert_eq!(b.rest, pair.behind);
    assert!(a.rest.is_empty());
    match tls {
        [None, None] => {
            let wanted = [pair.a, pair.b].map(|side| side.tls % 4);
            assert!(wanted.contains(&0) && !wanted.contains(&3), "{pair:?}");
        }
        [Some(a), Some(b)] => assert_ne!(a, b),
        _ => panic!("one side goes on without TLS: {pair:?}"),
    }
}

/// How many octets of a side's handshake its token covers: all but the framing's name at the end,
/// or none if it says the secret itself.
fn covered(said: &[u8]) -> usize {
    let mut lines = said.splitn(4, |octet| *octet == b'\n');
    let (first, second, third) = (lines.next(), lines.next(), lines.next());
    let (Some(first), Some(second), Some(third)) = (first, second, third) else {
        return said.len();
    };
    if third.starts_with(b"cleartext;") {
        return 0;
    }
    let mut fields = third.split(|octet| *octet == b';');
    let token = fields.by_ref().take(2).map(|field| field.len() + 1);
    first.len() + 1 + second.len() + 1 + token.sum::<usize>()
}
