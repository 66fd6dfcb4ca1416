//! This crate beside other systems that carry messages: Erlang, ZeroMQ, NATS, tonic and
//! ractor_cluster, as far as they are installed ([`systems`]).
//!
//! Each is measured in processes of its own (`interop/rivals/`), which take the same commands as
//! this crate's nodes, in rounds that go in turn through everybody.

mod building;
mod contender;
mod kind;
mod report;
pub mod rival;
mod systems;

use std::cell::RefCell;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;

use crate::bench::{Amount, Bench, Mode, Rounds};
use crate::failure::Failure;
use crate::plan;
use contender::Contender;
use kind::Kind;
use report::{Report, Row};

/// What is measured, and how often.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Shorter and fewer rounds
    #[arg(long)]
    quick: bool,
    /// Only figures whose name contains this; may be repeated
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
    /// How often each figure is taken of each; the median counts [default: 5, quick: 3]
    #[arg(long, value_name = "N", value_parser = plan::rounds)]
    rounds: Option<usize>,
    /// Systems to measure beside, separated by commas [default: all that are there]
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = systems::NAMES)]
    rivals: Vec<String>,
    /// Write the results to this file as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Name the figures and the systems, and what is missing, and measure nothing
    #[arg(long)]
    list: bool,
}

/// Measures what the options ask for, and prints it; false if something that is there could not be
/// measured.
pub fn run(options: &Options) -> Result<bool, Failure> {
    let found = systems::find(&options.rivals, !options.list)?;
    for line in &found.missing {
        eprintln!("not there: {line}");
    }
    for line in &found.failed {
        eprintln!("NOT MEASURED: {line}");
    }
    let mut contenders = Contender::own()?;
    contenders.extend(found.rivals.into_iter().map(Contender::rival));
    if options.list {
        print!("{}", report::list(&contenders));
        return Ok(found.failed.is_empty());
    }
    let amount = Amount {
        quick: options.quick,
        rounds: options.rounds.unwrap_or(if options.quick { 3 } else { 5 }),
        only: options.only.clone(),
        list: false,
    };
    let (rounds, start) = (amount.rounds, Instant::now());
    let seconds = if options.quick { 0.15 } else { 0.5 };
    let failed = RefCell::new(found.failed);
    let everybody = contenders.iter().map(|one| one.who.clone()).collect();
    let mut bench = Bench::new(Mode::Rivals, amount, everybody, |_| ());
    let mut rows = Vec::new();
    for kind in Kind::ALL {
        let those = contenders.iter().filter(|one| one.kinds.contains(&kind));
        let those: Vec<&Contender> = those.collect();
        let Some(taken) = measure(&mut bench, kind, &those, seconds, &failed)? else {
            continue;
        };
        let row = Row::new(kind, &those, &taken);
        eprint!("{}", row.lines());
        rows.push(row);
    }
    if rows.is_empty() {
        return Err("there is no such figure: --list names them".into());
    }
    let failed = failed.into_inner();
    let report = Report {
        rows,
        contenders: &contenders,
        missing: &found.missing,
        failed: &failed,
        rounds,
        took: start.elapsed(),
    };
    print!("{}", report.table());
    if let Some(path) = &options.json {
        std::fs::write(path, serde_json::to_string_pretty(&report.json())?)?;
    }
    Ok(failed.is_empty())
}

/// Takes a figure of all of them, round by round. Who fails once is not asked for it again, and has
/// none: the others go on.
fn measure(
    bench: &mut Bench,
    kind: Kind,
    those: &[&Contender],
    seconds: f64,
    failed: &RefCell<Vec<String>>,
) -> Result<Option<Rounds>, Failure> {
    let mut out: Vec<String> = Vec::new();
    let who: Vec<_> = those.iter().map(|one| one.who.clone()).collect();
    let taken = bench.figure(kind.about(), &who, |who| {
        let name = who.name();
        let contender = those.iter().find(|one| one.who.name() == name);
        let contender = contender.ok_or("nobody of that name")?;
        if out.contains(&name) {
            return Ok(None);
        }
        match contender.take(kind, seconds) {
            Ok(value) => Ok(Some(value)),
            Err(error) => {
                let line = format!("{name}: {}: {error}", kind.name());
                eprintln!("NOT MEASURED: {line}");
                failed.borrow_mut().push(line);
                out.push(name);
                Ok(None)
            }
        }
    })?;
    Ok(taken.map(|mut taken| {
        taken.retain(|name, _| !out.contains(name));
        taken
    }))
}
