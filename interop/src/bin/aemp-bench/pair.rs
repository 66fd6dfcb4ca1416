//! Two builds of this crate compared in one run.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde_json::json;

use crate::bench::{Amount, Bench, Measured, Mode, machine};
use crate::child::{Build, Who};
use crate::compared::{self, AFTER, BEFORE, Compared};
use crate::failure::Failure;
use crate::plan;

/// What is compared, and how.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// The build that is compared with
    #[arg(value_name = "BEFORE")]
    pub before: PathBuf,
    /// The build that is compared
    #[arg(value_name = "AFTER")]
    pub after: PathBuf,
    /// A quarter of the messages, and fewer rounds
    #[arg(long)]
    pub quick: bool,
    /// Only figures whose name, or whose section's name, contains this; may be repeated
    #[arg(long, value_name = "TEXT")]
    pub only: Vec<String>,
    /// How often each figure is taken of each build; an even number is fair to both [default: 6,
    /// quick: 4]
    #[arg(long, value_name = "N", value_parser = plan::rounds)]
    pub rounds: Option<usize>,
    /// A figure whose median ratio is below this is marked, and the exit status is 1
    #[arg(long, value_name = "RATIO", value_parser = ratio, default_value = "0.95")]
    pub at_least: f64,
    /// Write the results to this file as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Name the figures, below their sections, and measure nothing
    #[arg(long)]
    pub list: bool,
}

fn ratio(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(ratio) if ratio.is_finite() && ratio > 0.0 => Ok(ratio),
        _ => Err("a ratio, above 0".to_owned()),
    }
}

/// Measures both and prints what came of it; false if a figure is below the bound.
pub fn run(options: &Options) -> Result<bool, Failure> {
    let at_least = options.at_least;
    let (before, after) = (program(&options.before)?, program(&options.after)?);
    let amount = Amount {
        quick: options.quick,
        rounds: options.rounds.unwrap_or(if options.quick { 4 } else { 6 }),
        only: options.only.clone(),
        list: options.list,
    };
    let rounds = amount.rounds;
    let all = builds(&before, &after);
    let mut bench = Bench::new(Mode::Pair, amount, all, move |measured| {
        if let Ok(one) = compare(measured, at_least) {
            eprint!("{}", compared::line(&one, at_least));
        }
    });
    plan::measure(&mut bench)?;
    if options.list {
        print!("{}", plan::list(&bench));
        return Ok(true);
    }
    // What a build from before a figure can't do is compared with nothing.
    let is_of_both = |one: &&Measured| {
        let is_there = |build| {
            one.rounds
                .get(build)
                .is_some_and(|rounds| !rounds.is_empty())
        };
        let both = is_there(BEFORE) && is_there(AFTER);
        if !both {
            println!(
                "not compared, as one build has no such figure: {}",
                one.about.name
            );
        }
        both
    };
    let figures = bench.measured().iter().filter(is_of_both);
    let figures: Result<Vec<Compared>, Failure> =
        figures.map(|one| compare(one, at_least)).collect();
    let figures = figures?;
    print!("{}", compared::table(&figures, at_least));
    if let Some(path) = &options.json {
        let all = json!({
            "machine": machine(),
            "rounds": rounds,
            "before": before,
            "after": after,
            "at_least": at_least,
            "figures": figures,
        });
        std::fs::write(path, serde_json::to_string_pretty(&all)?)?;
    }
    Ok(figures.iter().all(|figure| figure.met))
}

fn builds(before: &Path, after: &Path) -> Vec<Who> {
    let build = |(name, program): (&str, &Path)| {
        Who::Rust(Arc::new(Build {
            name: name.to_owned(),
            program: program.to_owned(),
        }))
    };
    [(BEFORE, before), (AFTER, after)].map(build).to_vec()
}

fn compare(measured: &Measured, at_least: f64) -> Result<Compared, Failure> {
    let Measured { about, rounds } = measured;
    Compared::new(&about.name, about.unit, about.better, rounds, at_least)
}

/// The executable that is meant by a file or by the folder it is in.
pub fn program(path: &Path) -> Result<PathBuf, Failure> {
    let file = match path.is_dir() {
        true => path.join("aemp-bench"),
        false => path.to_owned(),
    };
    let found = file.canonicalize();
    let found = found.map_err(|error| format!("{}: {error}", file.display()))?;
    match found.is_file() {
        true => Ok(found),
        false => Err(format!("{}: no executable", file.display()).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_a_file_or_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("aemp-bench");
        assert!(program(folder.path()).is_err(), "nothing was built");
        std::fs::write(&file, "").unwrap();
        let file = file.canonicalize().unwrap();
        assert_eq!(program(folder.path()).unwrap(), file);
        assert_eq!(program(&file).unwrap(), file);
        assert!(program(&folder.path().join("other")).is_err());
    }

    #[test]
    fn all_figures_of_nodes_are_compared_and_no_others() {
        let amount = Amount {
            quick: false,
            rounds: 1,
            only: Vec::new(),
            list: true,
        };
        let all = builds(Path::new("before"), Path::new("after"));
        let mut bench = Bench::new(Mode::Pair, amount, all, |_| ());
        plan::measure(&mut bench).unwrap();
        let names: Vec<&str> = bench
            .names()
            .iter()
            .map(|(_, name)| name.as_str())
            .collect();
        for name in [
            "one way, small",
            "one way, 1 KiB",
            "one way, 64 KiB",
            "one way, small, cbor",
            "one way, 10000 ports",
            "one way, 64 links, small",
            "round trip",
            "round trip, both on one core",
            "round trip under half load, p99",
            "one way over TLS, 1 KiB, cbor",
            "round trip over TLS",
            "cal, 100 at a time, each",
            "mon and kil of a remote port",
            "local snd, small, 2 thread(s)",
            "links opened and authenticated, one core",
            "memory of an idle port",
            "memory of a port with a handler",
            "memory of an idle link",
            "mesh of 50 nodes around one seed",
        ] {
            assert!(names.contains(&name), "{name}: {names:?}");
        }
        for part in ["Perl", "pauses"] {
            assert!(!names.iter().any(|name| name.contains(part)), "{part}");
        }
    }
}
