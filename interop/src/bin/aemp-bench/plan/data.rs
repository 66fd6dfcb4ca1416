//! Octets by a data connection, beside a bare socket.

use serde_json::json;

use crate::bench::{About, Bench};
use crate::certificate;
use crate::child::{Setup, rate};
use crate::failure::Failure;
use crate::figures::Bound;

/// 100 MB at a time, each octet of which is looked at when it arrives.
pub fn measure(bench: &mut Bench) -> Result<(), Failure> {
    let who = bench.those(|who| !who.is_perl());
    let octets = bench.count(100_000_000);
    let secured = Setup {
        cert: Some(certificate::generate()?),
        ..Setup::default()
    };
    for (setup, name) in [
        (Setup::default(), "octets by a data connection"),
        (secured, "octets by a data connection over TLS"),
    ] {
        let mut teams = bench.teams(setup);
        let about = About::rate(name).bounds(&[Bound::OfBare(0.5)]);
        bench.figure(about, &who, |who| {
            let command = json!({"do": "data", "octets": octets});
            let answer = teams.ask_port(who, "data", command)?;
            Ok(answer.as_ref().and_then(rate))
        })?;
    }
    Ok(())
}
