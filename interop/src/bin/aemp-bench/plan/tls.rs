//! Nodes that share a certificate, beside rustls without a node: the same configurations of it, and
//! the same octets.

use serde_json::{Value, json};

use super::one_way::{SIZES, messages};
use crate::bench::{About, Bench, Rounds, Teams};
use crate::certificate;
use crate::child::{Setup, Who, median_us, number, rate};
use crate::failure::Failure;
use crate::figures::{Better, Bound};

/// One way and round trips, each with the processor time that it takes.
pub fn measure(bench: &mut Bench) -> Result<(), Failure> {
    let who = bench.those(|who| !who.is_perl());
    let knows = |who: &&Who| bench.lists() || who.knows("server", "--cert");
    if let Some(old) = who.iter().find(|who| !knows(who)) {
        println!(
            "not measured: TLS: {} is a build from before it",
            old.name()
        );
        return Ok(());
    }
    let setup = Setup {
        cert: Some(certificate::generate()?),
        ..Setup::default()
    };
    one_way(bench, &who, setup, "")?;
    let cbor = Setup {
        framing: Some("cbor"),
        ..setup
    };
    one_way(bench, &who, cbor, ", cbor")?;
    round_trip(bench, &who, setup, "round trip over TLS")?;
    let close = Setup {
        cpu: Some(0),
        ..setup
    };
    round_trip(bench, &who, close, "round trip over TLS, both on one core")
}

fn one_way(bench: &mut Bench, who: &[Who], setup: Setup, framing: &str) -> Result<(), Failure> {
    let mut teams = Secured::new(bench, setup);
    for (what, size, count) in SIZES {
        let count = bench.count(count);
        let about = About::rate(format!("one way over TLS, {what}{framing}"));
        let about = about.bounds(&[Bound::OfBare(0.8)]);
        with_processor_time(bench, about, who, |who| {
            let answer = teams.ask(who, messages(size, count, 1))?;
            Ok((rate(&answer), answer))
        })?;
    }
    Ok(())
}

fn round_trip(bench: &mut Bench, who: &[Who], setup: Setup, name: &str) -> Result<(), Failure> {
    let mut teams = Secured::new(bench, setup);
    let count = bench.count(40_000);
    let about = About::micros(name).bounds(&[Bound::OfBare(1.2)]);
    with_processor_time(bench, about, who, |who| {
        let answer = teams.ask(who, json!({"do": "roundtrip", "count": count}))?;
        Ok((median_us(&answer), answer))
    })
}

/// A figure, and behind it the processor time of the very same messages.
fn with_processor_time(
    bench: &mut Bench,
    about: About,
    who: &[Who],
    mut take: impl FnMut(&Who) -> Result<(Option<f64>, Value), Failure>,
) -> Result<(), Failure> {
    let name = format!("{}, processor time of both", about.name);
    let mut times = Rounds::new();
    let measured = bench.figure(about, who, |who| {
        let (value, answer) = take(who)?;
        let each = number(&answer, "processor_seconds")? / number(&answer, "count")?;
        times.entry(who.name()).or_default().push(each * 1e6);
        Ok(value)
    })?;
    if measured.is_some() {
        bench.add(About::new(name, "µs", Better::Lower), times);
    }
    Ok(())
}

/// Processes whose links go through TLS, all in the same way.
struct Secured {
    teams: Teams,
    /// The version and the cipher suite.
    spoken: Option<String>,
}

impl Secured {
    fn new(bench: &Bench, setup: Setup) -> Self {
        Self {
            teams: bench.teams(setup),
            spoken: None,
        }
    }

    fn ask(&mut self, who: &Who, command: Value) -> Result<Value, Failure> {
        let connected = self.teams.ask(who, json!({"do": "connected"}))?;
        let Some(spoken) = connected["tls"].as_str() else {
            return Err("the link does not go through TLS".into());
        };
        let first = self.spoken.get_or_insert_with(|| spoken.to_owned());
        if first != spoken {
            return Err(format!("{spoken} can't be compared with {first}").into());
        }
        self.teams.ask(who, command)
    }
}
