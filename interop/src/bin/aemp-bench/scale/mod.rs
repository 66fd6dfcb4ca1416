//! How cost grows with the work: what holds n things is tried with n as large as it gets, and with
//! less, and the exponent of the growth is fitted.
//!
//! Each measurement is a process of its own ([`play`]), so that none finds memory that another one
//! has left. Which there are, and what is asked of them, stands in [`rows`].

mod fit;
pub mod play;
mod report;
mod rows;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::child::{Build, Who};
use crate::failure::Failure;
use crate::plan;
use clap::Args;
use report::Report;
use rows::{ROWS, Row};

/// What is measured, and how often.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Only figures whose name contains this; may be repeated
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
    /// How often each figure is taken; the median counts [default: 3, quick: 1]
    #[arg(long, value_name = "N", value_parser = plan::rounds)]
    rounds: Option<usize>,
    /// Once, and without the largest size of each figure
    #[arg(long)]
    quick: bool,
    /// A build to compare with, round by round in turn: an executable aemp-bench or its folder
    #[arg(long, value_name = "BEFORE")]
    before: Option<PathBuf>,
    /// Write the results to this file as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draw the growth into this file, as SVG
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Name the figures, and measure nothing
    #[arg(long)]
    list: bool,
}

/// The values of single rounds, by who and by figure and size.
type Taken = BTreeMap<String, BTreeMap<(&'static str, u64), Vec<f64>>>;

/// Measures what the options ask for, and prints it; false if something that is asked of a figure
/// does not hold.
pub fn run(options: &Options) -> Result<bool, Failure> {
    let wanted = |name: &str| {
        options.only.is_empty() || options.only.iter().any(|text| name.contains(text.as_str()))
    };
    let is_wanted = |row: &&Row| row.figures.iter().any(|figure| wanted(figure.name));
    let rows: Vec<&Row> = ROWS.iter().filter(is_wanted).collect();
    if rows.is_empty() {
        return Err("there is no such figure: --list names them".into());
    }
    if options.list {
        for figure in rows.iter().flat_map(|row| row.figures) {
            println!("{} ({})", figure.name, figure.unit);
        }
        return Ok(true);
    }
    let mut builds = vec![Who::own()?];
    if let Some(before) = &options.before {
        builds.push(Who::Rust(std::sync::Arc::new(Build {
            name: "before".to_owned(),
            program: crate::pair::program(before)?,
        })));
    }
    let rounds = options.rounds.unwrap_or(if options.quick { 1 } else { 3 });
    let (mut taken, start) = (Taken::new(), Instant::now());
    let mut failed = false;
    for row in &rows {
        let sizes = match options.quick && row.sizes.len() > 1 {
            true => &row.sizes[..row.sizes.len() - 1],
            false => row.sizes,
        };
        for round in 0..rounds {
            for &size in sizes {
                let in_turn = builds.iter().cycle().skip(round).take(builds.len());
                for who in in_turn {
                    // The others are of use without it.
                    if let Err(error) = measure(who, row, size, &mut taken) {
                        println!("not measured: {error} ({})", who.name());
                        failed = true;
                    }
                }
            }
        }
        eprint!("{}", Report::new(std::slice::from_ref(row), &taken).lines());
    }
    let report = Report::new(&rows, &taken);
    println!("{}", report.table());
    println!(
        "{} figures, medians of {rounds} rounds, in {:.0} s",
        report.len(),
        start.elapsed().as_secs_f64()
    );
    if let Some(path) = &options.json {
        std::fs::write(path, serde_json::to_string_pretty(&report.json(rounds))?)?;
    }
    if let Some(path) = &options.svg {
        std::fs::write(path, report.svg())?;
    }
    match failed {
        true => Err("not everything could be measured".into()),
        false => Ok(report.all_met()),
    }
}

/// Nothing takes longer than this.
const LIMIT: Duration = Duration::from_secs(120);

fn measure(who: &Who, row: &Row, size: u64, taken: &mut Taken) -> Result<(), Failure> {
    let size_text = size.to_string();
    let arguments = ["--row", row.what, "--size", &size_text].map(str::to_owned);
    let mut child = who.start("scale-row", &arguments)?;
    let answer = child.line_within(LIMIT);
    let answer = answer.map_err(|error| format!("{} with {size}: {error}", row.what))?;
    let of_build = taken.entry(who.name()).or_default();
    for figure in row.figures {
        // A build from before a figure has none.
        if let Some(value) = answer[figure.key].as_f64() {
            let values = of_build.entry((figure.name, size)).or_default();
            values.push(value);
        }
    }
    Ok(())
}
