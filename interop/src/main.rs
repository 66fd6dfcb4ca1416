//! `aemp-interop`: every scenario in every pairing of real Perl nodes and Rust nodes, as a table.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aemp_interop::ctx::Env;
use aemp_interop::expected::Expected;
use aemp_interop::python::Python;
use aemp_interop::run::{Done, run_all};
use aemp_interop::{matrix, peers, report, scenarios};
use clap::Parser;

/// Runs real AnyEvent::MP nodes and aemp nodes against each other and prints what works.
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

    let folder = options.peers.clone().or_else(peers::usual_folder);
    let usual_are_there = folder
        .as_ref()
        .is_some_and(|f| peers::USUAL.iter().any(|v| f.join(v).is_dir()));
    let wanted = |version: &str| match options.releases.as_deref() {
        Some("all") => true,
        Some(list) => list.split(',').any(|v| v.trim() == version),
        None => !usual_are_there || peers::USUAL.contains(&version),
    };
    let found = peers::discover(folder.as_deref(), &wanted);
    for missing in &found.missing {
        eprintln!("note: {missing}");
    }
    let mut cells = matrix::cells(&scenarios::all(), &found.releases, &options.only);
    let python = match options.python.as_str() {
        "none" => None,
        program => Python::find(program)
            .inspect_err(|why| eprintln!("note: {why}: cells with the Python node are not run"))
            .ok(),
    };
    if python.is_some() {
        cells.extend(matrix::python_cells(
            &scenarios::all(),
            &found.releases,
            &options.only,
        ));
    }
    if options.list {
        for cell in &cells {
            println!("{}  {}", cell.name(), cell.scenario.about);
        }
        return Ok(true);
    }
    if cells.is_empty() {
        return Err("no cell matches".to_owned());
    }

    let rust_driver = match &options.rust_driver {
        Some(path) if path.is_file() => Some(path.clone()),
        Some(path) => return Err(format!("{}: no such driver", path.display())),
        None => std::env::current_exe()
            .ok()
            .map(|exe| exe.with_file_name("aemp-driver"))
            .filter(|p| p.is_file()),
    };
    if rust_driver.is_none() {
        eprintln!("note: no aemp-driver beside this program: cells with Rust nodes are not run");
    }
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
        rust_driver: rust_driver.and_then(|p| p.canonicalize().ok()),
        python: python.map(Arc::new),
        folder: logs.clone(),
        record: options.record.clone(),
        limit: Duration::from_secs_f64(options.limit),
        life: 120 + 10 * options.schedules,
        keep: options.keep,
        quiet: false,
        schedules: options.seed..options.seed.saturating_add(options.schedules),
        releases: found.releases.clone(),
    });

    let out = Mutex::new(());
    let tell = |done: &Done| {
        let _one_at_a_time = out.lock().unwrap_or_else(PoisonError::into_inner);
        println!("{}", report::line(done));
    };
    let mut good = true;
    for round in 1..=options.repeat.max(1) {
        let begun = Instant::now();
        let all = run_all(&cells, &env, &expected, options.jobs, &tell);
        println!("\n{}", report::table(&all, begun.elapsed()));
        good &= !all.iter().any(|done| done.outcome.is_bad());
        if let Some(path) = &options.report
            && round == options.repeat.max(1)
        {
            report::write(path, &all, begun.elapsed())
                .map_err(|e| format!("{}: {e}", path.display()))?;
        }
    }
    if !options.keep && good {
        let _ = std::fs::remove_dir(&logs);
    } else {
        println!("logs: {}", logs.display());
    }
    Ok(good)
}
