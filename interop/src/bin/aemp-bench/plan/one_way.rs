//! Messages one way, as fast as they go.

use aemp_interop::peers::Generation;
use serde_json::{Value, json};

use crate::bench::{About, Bench};
use crate::child::{Setup, Who, number, rate};
use crate::failure::Failure;
use crate::figures::{Better, Bound};

/// The names of the sizes, the octets of the text (0: the usual one), and how many messages are
/// sent.
pub(super) const SIZES: [(&str, usize, u64); 3] = [
    ("small", 0, 4_000_000),
    ("1 KiB", 1024, 1_000_000),
    ("64 KiB", 64 * 1024, 40_000),
];

pub(super) fn messages(size: usize, count: u64, sinks: usize) -> Value {
    json!({"do": "oneway", "size": size, "count": count, "sinks": sinks})
}

/// Between two nodes.
pub fn one_link(bench: &mut Bench) -> Result<(), Failure> {
    let who = bench.everybody();
    sizes(bench, &who, Setup::default(), |what| {
        let about = About::rate(format!("one way, {what}"));
        match what {
            "small" => about.bounds(&[Bound::OfBare(0.8), Bound::TimesPerl(25.0)]),
            _ => about.bounds(&[Bound::OfBare(0.8)]),
        }
    })?;
    // In CBOR with those who know it: two of a kind, as all here.
    let knows = |who: &Who| match who {
        Who::Perl(release) => release.version.starts_with('2'),
        _ => true,
    };
    let cbor = Setup {
        framing: Some("cbor"),
        ..Setup::default()
    };
    sizes(bench, &bench.those(knows), cbor, |what| {
        About::rate(format!("one way, {what}, cbor")).bounds(&[Bound::OfBare(0.8)])
    })?;
    with_autocork(bench)?;
    as_enums(bench)?;
    many_ports(bench)
}

/// What it costs to say a message as a variant of an enum and to take it as one, beside tuples.
fn as_enums(bench: &mut Bench) -> Result<(), Failure> {
    let builds = bench.those(Who::is_rust);
    let count = bench.count(2_000_000);
    let mut teams = bench.teams(Setup::default());
    let about = About::new("one way, small, enums of tuples", "", Better::Higher);
    let about = about.bounds(&[Bound::Absolute(0.95)]);
    bench.figure(about, &builds, |who| {
        let command = json!({"do": "forms", "count": count});
        let Some(answer) = teams.ask_port(who, "forms", command)? else {
            return Ok(None);
        };
        Ok(Some(number(&answer, "tuples")? / number(&answer, "enums")?))
    })?;
    Ok(())
}

/// From several nodes in one process, each with a link of its own.
pub fn several_links(bench: &mut Bench) -> Result<(), Failure> {
    let who = bench.those(|who| !who.is_perl());
    for links in [8, 64] {
        let setup = Setup {
            links,
            ..Setup::default()
        };
        sizes(bench, &who, setup, |what| {
            About::rate(format!("one way, {links} links, {what}")).bounds(&[Bound::OfBare(0.8)])
        })?;
    }
    Ok(())
}

/// A figure for each size, of the same processes.
fn sizes(
    bench: &mut Bench,
    who: &[Who],
    setup: Setup,
    about: impl Fn(&'static str) -> About,
) -> Result<(), Failure> {
    let mut teams = bench.teams(setup);
    for (what, size, count) in SIZES {
        let count = bench.count(count);
        bench.figure(about(what), who, |who| {
            let answer = teams.ask(who, messages(size, who.count(count), 1))?;
            Ok(rate(&answer))
        })?;
    }
    Ok(())
}

/// Perl as it is when it gathers what it writes, as this crate does.
fn with_autocork(bench: &mut Bench) -> Result<(), Failure> {
    let mut who = bench.those(Who::is_rust);
    let builds = who.len();
    who.extend(bench.everybody().iter().filter_map(|who| match who {
        Who::Perl(release) if release.generation >= Generation::G1a => {
            (release.version.as_str() >= "1.24").then(|| Who::Autocork(release.clone()))
        }
        _ => None,
    }));
    if who.len() == builds {
        return Ok(());
    }
    let count = bench.count(4_000_000);
    let mut teams = bench.teams(Setup::default());
    let about = About::rate("one way, small, Perl with autocork");
    bench.figure(about, &who, |who| {
        let answer = teams.ask(who, messages(0, who.count(count), 1))?;
        Ok(rate(&answer))
    })?;
    Ok(())
}

/// To many ports in turn.
fn many_ports(bench: &mut Bench) -> Result<(), Failure> {
    let most = 10_000;
    let who = bench.those(|who| !who.is_perl());
    let mut teams = bench.teams(Setup {
        sinks: most,
        ..Setup::default()
    });
    for sinks in [10, 100, 1000, most] {
        let count = bench.count(4_000_000);
        let about = About::rate(format!("one way, {sinks} ports")).bounds(&[Bound::OfBare(0.8)]);
        bench.figure(about, &who, |who| {
            Ok(rate(&teams.ask(who, messages(0, count, sinks))?))
        })?;
    }
    Ok(())
}
