//! `aemp-soak`: real processes, Rust and Perl, under load and faults for a long time.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use aemp_interop::ctx::Env;
use aemp_interop::expected::Expected;
use aemp_interop::fault::Fault;
use aemp_interop::pairing::{Impl, Pairing};
use aemp_interop::soak::{Row, Trend, soak, trend};
use aemp_interop::{peers, plot};
use clap::Parser;

/// Lets pairs of nodes talk for a long time while the connections between them are harmed, and
/// writes down what they use. Exit status 1 if the memory of one of ours grows, or something was
/// lost that nobody told of.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// How long, in minutes
    minutes: f64,
    /// Folder of AnyEvent::MP releases, one folder each [default: $AEMP_PERL_PEERS, else
    /// ~/aemp-peers]
    #[arg(long, value_name = "DIR")]
    peers: Option<PathBuf>,
    /// Releases to talk to, separated by commas
    #[arg(long, value_name = "LIST", default_value = "1.0,1.30,2.02")]
    releases: String,
    /// Where the figures are written, a line for each node every few seconds
    #[arg(long, value_name = "FILE", default_value = "soak.csv")]
    csv: PathBuf,
    /// Where a plot of the memory is written, as SVG
    #[arg(long, value_name = "FILE", default_value = "soak.svg")]
    plot: PathBuf,
    /// Seconds between two lines
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0)]
    interval: f64,
    /// Seed of the faults
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    seed: u64,
    /// Where nodes leave their logs [default: a new temporary folder]
    #[arg(long, value_name = "DIR")]
    logs: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(text) => {
            eprintln!("aemp-soak: {text}");
            ExitCode::from(2)
        }
    }
}

/// Ours with ours, and with each release, the one that connects being Perl's in turns.
fn pairings(options: &Options) -> Vec<Pairing> {
    let folder = options.peers.clone().or_else(peers::usual_folder);
    let wanted = |version: &str| options.releases.split(',').any(|v| v.trim() == version);
    let found = peers::discover(folder.as_deref(), &wanted);
    for missing in &found.missing {
        eprintln!("note: {missing}");
    }
    let mut all = vec![Pairing {
        a: Impl::Rust,
        b: Impl::Rust,
    }];
    for (n, release) in found.releases.iter().enumerate() {
        let perl = Impl::Perl(Arc::clone(release));
        all.push(match n % 2 {
            0 => Pairing {
                a: Impl::Rust,
                b: perl,
            },
            _ => Pairing {
                a: perl,
                b: Impl::Rust,
            },
        });
    }
    all
}

/// True if all is well.
fn run(options: &Options) -> Result<bool, String> {
    let length = Duration::try_from_secs_f64(options.minutes * 60.0)
        .map_err(|error| format!("{} minutes: {error}", options.minutes))?;
    let interval = Duration::try_from_secs_f64(options.interval)
        .map_err(|error| format!("{} s: {error}", options.interval))?;
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let driver = own.with_file_name("aemp-driver");
    if !driver.is_file() {
        return Err(format!("{}: no such driver", driver.display()));
    }
    let logs = match &options.logs {
        Some(folder) => folder.clone(),
        None => tempfile::Builder::new()
            .prefix("aemp-soak-")
            .tempdir()
            .map_err(|error| error.to_string())?
            .keep(),
    };
    let pairings = pairings(options);
    let env = Arc::new(Env {
        rust_driver: Some(driver),
        python: None,
        folder: logs.clone(),
        record: None,
        limit: Duration::from_secs(60),
        // Nobody outlives a soak that was killed for long.
        life: length.as_secs() + 300,
        keep: true,
        quiet: true,
        schedules: 0..0,
        releases: Vec::new(),
        expected: Expected::default(),
    });
    let mut csv = fs::File::create(&options.csv)
        .map_err(|error| format!("{}: {error}", options.csv.display()))?;
    writeln!(csv, "{}", Row::HEAD).map_err(|error| error.to_string())?;
    let begun = Instant::now();
    let (tell, told) = mpsc::channel();
    let mut rows: Vec<Row> = Vec::new();
    let faults = std::thread::scope(|scope| {
        let all: Vec<_> = pairings
            .iter()
            .enumerate()
            .map(|(n, pairing)| {
                let (env, tell, seed) = (&env, tell.clone(), options.seed + n as u64);
                let times = (begun, begun + length);
                scope.spawn(move || (pairing, soak(pairing, env, times, interval, seed, &tell)))
            })
            .collect();
        drop(tell);
        for row in told {
            let _ = writeln!(csv, "{}", row.columns());
            rows.push(row);
        }
        let ended = all.into_iter().filter_map(|thread| thread.join().ok());
        ended.collect::<Vec<_>>()
    });
    let mut is_well = faults.len() == pairings.len();
    for (pairing, result) in &faults {
        match result {
            Ok(()) => {}
            Err(Fault::NotHere(reason)) => println!("{pairing}: not run: {reason}"),
            Err(fault) => {
                is_well = false;
                println!("{pairing}: FAILED: {fault}");
            }
        }
    }
    let mut lines: BTreeMap<(&str, &str), Vec<&Row>> = BTreeMap::new();
    for row in &rows {
        lines.entry((&row.pair, &row.node)).or_default().push(row);
    }
    for ((pair, node), rows) in &lines {
        is_well &= judge(pair, node, rows);
    }
    let series: Vec<plot::Series> = lines
        .iter()
        .map(|((pair, node), rows)| {
            let point = |row: &&Row| (row.at / 60.0, row.memory as f64 / 1e6);
            (format!("{pair}, {node}"), rows.iter().map(point).collect())
        })
        .collect();
    let title = format!("Memory in a soak of {} minutes", options.minutes);
    let svg = plot::plot(&title, ("minutes", "MB"), &series);
    fs::write(&options.plot, svg)
        .map_err(|error| format!("{}: {error}", options.plot.display()))?;
    println!(
        "{} and {}; logs: {}",
        options.csv.display(),
        options.plot.display(),
        logs.display()
    );
    Ok(is_well)
}

/// Says how a node went on; false if it is one of ours and its memory grows.
fn judge(pair: &str, node: &str, rows: &[&Row]) -> bool {
    let Some(last) = rows.last() else {
        return true;
    };
    let rate = last.received as f64 / last.at;
    let mut head = format!(
        "{pair}, {node}: {rate:.0} messages /s, {} rounds of faults, {} holes",
        last.rounds, last.holes
    );
    if last.deaths > 0 {
        head += &format!(
            ", {} times started anew after it had ended by itself",
            last.deaths
        );
    }
    if last.monitors_lost > 0 {
        head += &format!(
            ", {} monitors lost: the link went, and they did not fire",
            last.monitors_lost
        );
    }
    // What belongs to another process says nothing of this one.
    let rows: Vec<&Row> = rows
        .iter()
        .filter(|row| row.deaths == last.deaths)
        .copied()
        .collect();
    let Some(found) = trend(&rows) else {
        println!("{head}; too short to tell how its memory goes on");
        return true;
    };
    let Trend {
        mean,
        an_hour,
        steadiness,
        ..
    } = found;
    let is_flat = found.is_flat();
    println!(
        "{head}; {:.1} MB, {:+.2} MB an hour (steadiness {:.2}): {}",
        mean / 1e6,
        an_hour / 1e6,
        steadiness,
        if is_flat { "flat" } else { "GROWS" }
    );
    is_flat || !last.is_rust
}
