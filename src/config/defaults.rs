//! Built-in defaults that are needed twice: among the untyped settings, where `aemp showconfig`
//! shows them as Perl does, and in the typed configuration of a node that was given none.

use std::time::Duration;

use serde_json::{Value, json};

use crate::proto::generation::Generations;
use crate::proto::{AuthMethod, Framing};

/// Framings offered and accepted, best first.
pub(super) const FRAMING_FORMAT: [Framing; 2] = [Framing::Cbor, Framing::Json];
/// How long one address is tried before the next one.
pub(super) const CONNECT_INTERVAL: Duration = Duration::from_secs(2);

/// How long without success a node counts as reachable, to a node that speaks these generations.
pub(crate) const fn monitor_timeout(generations: Generations) -> Duration {
    match generations {
        Generations::Only(0) => Duration::from_secs(15),
        _ => Duration::from_secs(30),
    }
}

/// The settings that a node of these generations has if nobody makes them, as they are shown: ways
/// to authenticate that none of its generations knows are left out.
pub(super) fn of(generations: Generations) -> [(&'static str, Value); 5] {
    let methods = |all: &[AuthMethod]| {
        let is_known = |method: &&AuthMethod| {
            (0..=2).any(|number| generations.allows(number) && method.is_known_in(number))
        };
        let known = all.iter().filter(is_known).map(|method| method.name());
        Value::from_iter(known)
    };
    [
        (
            "monitor_timeout",
            json!(monitor_timeout(generations).as_secs()),
        ),
        ("connect_interval", json!(CONNECT_INTERVAL.as_secs())),
        ("framing_format", json!(FRAMING_FORMAT.map(Framing::name))),
        ("auth_offer", methods(&AuthMethod::OFFERED)),
        ("auth_accept", methods(&AuthMethod::ACCEPTED)),
    ]
}
