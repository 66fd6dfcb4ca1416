//! The usual run: this crate beside bare loops and Perl, as one table.

use std::path::PathBuf;

use aemp_interop::peers;
use clap::Args;
use serde_json::json;

use crate::bench::{Amount, Bench, Measured, Mode, machine};
use crate::child::Who;
use crate::failure::Failure;
use crate::figures::Figure;
use crate::{plan, table};

/// What is to be measured, and how long.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Fewer messages and rounds: about two minutes
    #[arg(long)]
    quick: bool,
    /// Only figures whose name, or whose section's name, contains this; may be repeated
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
    /// How often each figure is taken; the median counts [default: 5, quick: 3]
    #[arg(long, value_name = "N", value_parser = plan::rounds)]
    rounds: Option<usize>,
    /// Write the results to this file as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Folder of AnyEvent::MP releases [default: $AEMP_PERL_PEERS, else ~/aemp-peers]
    #[arg(long, value_name = "DIR")]
    peers: Option<PathBuf>,
    /// Releases to measure, separated by commas, "all", or "none" [default: all, quick: 1.30]
    #[arg(long, value_name = "LIST")]
    releases: Option<String>,
    /// Name the figures, below their sections, and measure nothing
    #[arg(long)]
    list: bool,
}

/// Measures what the options ask for, and prints it.
pub fn run(options: &Options) -> Result<(), Failure> {
    let default = if options.quick { "1.30" } else { "all" };
    let wanted = options.releases.as_deref().unwrap_or(default);
    let folder = options.peers.clone().or_else(peers::usual_folder);
    let found = peers::discover(folder.as_deref(), &|version| {
        wanted == "all" || wanted.split(',').any(|name| name == version)
    });
    if !options.list {
        for line in &found.missing {
            println!("not measured: {line}");
        }
    }
    let mut all = vec![Who::own()?, Who::Bare];
    if wanted != "none" {
        all.extend(found.releases.into_iter().map(Who::Perl));
    }
    let amount = Amount {
        quick: options.quick,
        rounds: options.rounds.unwrap_or(if options.quick { 3 } else { 5 }),
        only: options.only.clone(),
        list: options.list,
    };
    let rounds = amount.rounds;
    let mut bench = Bench::new(Mode::Table, amount, all, |measured| {
        eprint!("{}", table::line(&figure(measured)));
    });
    plan::measure(&mut bench)?;
    if options.list {
        print!("{}", plan::list(&bench));
        return Ok(());
    }
    let figures: Vec<Figure> = bench.measured().iter().map(figure).collect();
    print!("{}", table::table(&figures));
    if let Some(path) = &options.json {
        let all = json!({"machine": machine(), "rounds": rounds, "figures": figures});
        std::fs::write(path, serde_json::to_string_pretty(&all)?)?;
    }
    Ok(())
}

fn figure(measured: &Measured) -> Figure {
    let Measured { about, rounds } = measured;
    Figure::new(
        &about.name,
        about.unit,
        about.better,
        rounds.clone(),
        &about.bounds,
    )
}
