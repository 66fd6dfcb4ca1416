//! `aemp-interop`: every scenario in every pairing of real Perl nodes and Rust nodes, as a table.

#[path = "../../cli/src/progress.rs"]
mod progress;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aemp_interop::ctx::Env;
use aemp_interop::demand::{self, Demand};
use aemp_interop::expected::Expected;
use aemp_interop::matrix::Cell;
use aemp_interop::peers::Peers;
use aemp_interop::python::Python;
use aemp_interop::run::{Done, run_all};
use aemp_interop::{matrix, peers, report, scenarios};
use clap::Parser;
use progress::{Progress, Shown};

/// Runs real AnyEvent::MP nodes and aemp nodes against each other and prints what works.
///
/// Exit status: 0 if nothing failed and a real node was played, 1 if a cell failed, 2 if what was
/// to be run could not be.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// Folder of AnyEvent::MP releases, one folder each [default: $AEMP_PERL_PEERS, else
    /// ~/aemp-peers]
    #[arg(long, value_name = "DIR")]
    peers: Option<PathBuf>,
    /// Only cells whose name (scenario/listener+connector) contains this; `*` matches anything; may
    /// be repeated
    #[arg(long, value_name = "PATTERN")]
    only: Vec<String>,
    /// Releases to run, separated by commas, or "all" [default: 0.95,1.0,1.21,1.24,1.26,1.30,2.02
    /// as far as they are there, else all]
    #[arg(long, value_name = "LIST")]
    releases: Option<String>,
    /// Releases without which the run has failed, separated by commas: each has to be found, and
    /// played in a cell
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    require: Vec<String>,
    /// Succeed even if no release of AnyEvent::MP was played, which is said
    #[arg(long)]
    allow_none: bool,
    /// Say nothing of how far the run has come, on standard error
    #[arg(long)]
    quiet: bool,
    /// Write the results to this file: JUnit XML if it ends in .xml, else JSON
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Name the cells and run nothing
    #[arg(long)]
    list: bool,
    /// How many cells to run at a time
    #[arg(long, value_name = "N", default_value_t = 2)]
    jobs: usize,
    /// The Rust node's driver [default: aemp-driver beside this program]
    #[arg(long, value_name = "FILE")]
    rust_driver: Option<PathBuf>,
    /// The Python that plays the Python node, or "none" [default: python3]
    #[arg(long, value_name = "PROGRAM", default_value = "python3")]
    python: String,
    /// Manifest of expected failures [default: the one built in]
    #[arg(long, value_name = "FILE")]
    expected: Option<PathBuf>,
    /// Where failed cells leave their logs [default: a new temporary folder]
    #[arg(long, value_name = "DIR")]
    logs: Option<PathBuf>,
    /// Keep the logs of cells that passed, too
    #[arg(long)]
    keep: bool,
    /// Save the recorded conversations of passed cells there, in the format of fixtures/
    #[arg(long, value_name = "DIR")]
    record: Option<PathBuf>,
    /// How many seconds a single wait may last
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0)]
    limit: f64,
    /// How many fault schedules the scenario `schedules` plays in each cell
    #[arg(long, value_name = "N", default_value_t = 4)]
    schedules: u64,
    /// Seed of the first fault schedule; the others follow it
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    seed: u64,
    /// Run everything so many times in a row
    #[arg(long, value_name = "N", default_value_t = 1)]
    repeat: usize,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(text) => {
            eprintln!("aemp-interop: {text}");
            ExitCode::from(2)
        }
    }
}

/// Runs what is asked for; true if nothing failed.
fn run(options: &Options) -> Result<bool, String> {
    let expected = match &options.expected {
        Some(path) => {
            std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?
        }
        None => include_str!("../expected.toml").to_owned(),
    };
    let expected =
        Expected::parse(&expected).map_err(|e| format!("manifest of expected failures: {e}"))?;
    let demand = Demand {
        releases: options.require.clone(),
        none_is_enough: options.allow_none,
    };
    let python = match options.python.as_str() {
        "none" => None,
        program => Python::find(program)
            .inspect_err(|why| eprintln!("note: {why}: cells with the Python node are not run"))
            .ok(),
    };
    let (found, cells) = find(options, python.is_some());
    for missing in &found.missing {
        eprintln!("note: {missing}");
    }
    if options.list {
        for cell in &cells {
            println!("{}  {}", cell.name(), cell.scenario.about);
        }
        return Ok(true);
    }
    let versions: Vec<&str> = found.releases.iter().map(|r| r.version.as_str()).collect();
    let missing = demand.missing(&versions);
    if !missing.is_empty() {
        save(options, &[], &missing, Duration::ZERO)?;
        return Err(missing.join("\n"));
    }
    if cells.is_empty() {
        return Err("no cell matches".to_owned());
    }
    let rust_driver = driver(options, &cells)?;
    let logs = match &options.logs {
        Some(path) => path.clone(),
        None => tempfile::Builder::new()
            .prefix("aemp-interop-")
            .tempdir()
            .map_err(|e| format!("temporary folder: {e}"))?
            .keep(),
    };
    std::fs::create_dir_all(&logs).map_err(|e| format!("{}: {e}", logs.display()))?;
    let logs = logs
        .canonicalize()
        .map_err(|e| format!("{}: {e}", logs.display()))?;
    let env = Arc::new(Env {
        rust_driver,
        python: python.map(Arc::new),
        folder: logs.clone(),
        record: options.record.clone(),
        limit: Duration::from_secs_f64(options.limit),
        life: 120 + 10 * options.schedules,
        keep: options.keep,
        quiet: false,
        schedules: options.seed..options.seed.saturating_add(options.schedules),
        releases: found.releases.clone(),
        expected,
    });

    let mut good = true;
    let mut unmet = Vec::new();
    for round in 1..=options.repeat.max(1) {
        let begun = Instant::now();
        let all = run_and_tell(&cells, &env, options);
        println!("\n{}", report::table(&all, begun.elapsed()));
        good &= !all.iter().any(|done| done.outcome.is_bad());
        unmet = demand.unmet(&all);
        if round == options.repeat.max(1) {
            save(options, &all, &unmet, begun.elapsed())?;
        }
        if demand.none_is_enough && !demand::shows_something(&all) {
            println!(
                "*** NO REAL NODE: no release of AnyEvent::MP was played, so nothing is shown about \
                 any (--allow-none) ***"
            );
        }
    }
    if !options.keep && good {
        let _ = std::fs::remove_dir(&logs);
    } else {
        println!("logs: {}", logs.display());
    }
    match unmet.is_empty() {
        true => Ok(good),
        false => Err(unmet.join("\n")),
    }
}

/// All releases that there are, and the cells of those that are wanted.
fn find(options: &Options, has_python: bool) -> (Peers, Vec<Cell>) {
    let folder = options.peers.clone().or_else(peers::usual_folder);
    let found = peers::discover(folder.as_deref(), &|_| true);
    let is_usual = |version: &str| peers::USUAL.contains(&version);
    let usual_are_there = found.releases.iter().any(|r| is_usual(&r.version));
    let wanted = |version: &str| match options.releases.as_deref() {
        Some("all") => true,
        Some(list) => list.split(',').any(|v| v.trim() == version),
        None => !usual_are_there || is_usual(version),
    };
    let is_wanted = |version: &String| wanted(version) || options.require.contains(version);
    let releases = found.releases.iter().filter(|r| is_wanted(&r.version));
    let releases: Vec<_> = releases.cloned().collect();
    let mut cells = matrix::cells(&scenarios::all(), &releases, &options.only);
    if has_python {
        let theirs = matrix::python_cells(&scenarios::all(), &releases, &options.only);
        cells.extend(theirs);
    }
    (found, cells)
}

/// Where the Rust node's driver is, which has to be there if one of the cells needs it.
fn driver(options: &Options, cells: &[Cell]) -> Result<Option<PathBuf>, String> {
    let path = match &options.rust_driver {
        Some(path) => path.clone(),
        None => std::env::current_exe()
            .map_err(|e| format!("where this program is: {e}"))?
            .with_file_name("aemp-driver"),
    };
    let is_needed = cells.iter().any(|cell| cell.pairing.has_rust());
    match path.canonicalize() {
        Ok(path) if path.is_file() => Ok(Some(path)),
        _ if !is_needed => Ok(None),
        _ => Err(format!(
            "{}: there is no driver for Rust nodes (cargo build --package aemp-interop --bins makes \
             it, as cargo install does; --rust-driver FILE names another)",
            path.display()
        )),
    }
}

/// Runs all cells, and says of each how it went.
fn run_and_tell(cells: &[Cell], env: &Arc<Env>, options: &Options) -> Vec<Done> {
    let steps = cells.len().try_into().ok();
    let progress = Progress::start("matrix", steps, Shown::by_stderr(options.quiet));
    let out = Mutex::new(());
    let tell = |done: &Done| {
        let _one_at_a_time = out.lock().unwrap_or_else(PoisonError::into_inner);
        progress.aside(|| println!("{}", report::line(done)));
        progress.doing(format!("{} was the last", done.cell.name()));
        match done.outcome.is_bad() {
            true => progress.failed(),
            false => progress.done(),
        }
    };
    run_all(cells, env, options.jobs, &tell)
}

/// Writes the report, if one is wanted.
fn save(options: &Options, all: &[Done], unmet: &[String], took: Duration) -> Result<(), String> {
    let Some(path) = &options.report else {
        return Ok(());
    };
    report::write(path, all, unmet, took).map_err(|e| format!("{}: {e}", path.display()))
}
