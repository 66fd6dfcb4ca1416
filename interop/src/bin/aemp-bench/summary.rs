//! Several runs as one table in Markdown, which is that of BENCHMARKS.md.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::failure::Failure;
use crate::figures::{Figure, Target};
use crate::stats::median;
use crate::table::value;

/// What `--json` wrote.
#[derive(Debug, Deserialize)]
struct Run {
    figures: Vec<Figure>,
}

/// Prints the table of the runs in these files.
pub fn print(files: &[PathBuf]) -> Result<(), Failure> {
    let runs: Result<Vec<Run>, Failure> = files.iter().map(|file| read(file)).collect();
    print!("{}", summary(&runs?));
    Ok(())
}

fn read(file: &Path) -> Result<Run, Failure> {
    let named = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let text = std::fs::read(file).map_err(|error| named(&error))?;
    Ok(serde_json::from_slice(&text).map_err(|error| named(&error))?)
}

fn summary(runs: &[Run]) -> String {
    let mut out = String::new();
    let Some(first) = runs.first() else {
        return out;
    };
    let releases: BTreeSet<&str> = first
        .figures
        .iter()
        .flat_map(|figure| figure.perl.keys().map(String::as_str))
        .collect();
    let (mut head, mut rule) = (
        "| figure | unit | aemp | bare | ratio (each run) |".to_owned(),
        "|---|---|---:|---:|---|".to_owned(),
    );
    for release in &releases {
        let _ = write!(head, " Perl {release} | times better |");
        rule.push_str("---:|---:|");
    }
    let _ = writeln!(out, "{head} target | met |\n{rule}---|---|");
    for figure in &first.figures {
        let same: Vec<&Figure> = runs
            .iter()
            .filter_map(|run| run.figures.iter().find(|other| other.name == figure.name))
            .collect();
        let middle = |get: &dyn Fn(&Figure) -> Option<f64>| {
            let values: Vec<f64> = same.iter().filter_map(|figure| get(figure)).collect();
            (median(values.clone()), values)
        };
        let (ratio, ratios) = middle(&|figure| figure.of_bare);
        let ratio = match ratio {
            Some(ratio) => {
                let all: Vec<_> = ratios.iter().map(|ratio| format!("{ratio:.2}")).collect();
                format!("{ratio:.2} ({})", all.join(", "))
            }
            None => "–".to_owned(),
        };
        let _ = write!(
            out,
            "| {} | {} | {} | {} | {ratio} |",
            figure.name,
            figure.unit,
            cell(middle(&|figure| figure.rust).0),
            cell(middle(&|figure| figure.bare).0),
        );
        for release in &releases {
            let (perl, _) = middle(&|figure| figure.perl.get(*release).copied());
            let (times, _) = middle(&|figure| figure.times_perl.get(*release).copied());
            let times = times.map_or("–".to_owned(), |times| format!("{times:.1}"));
            let _ = write!(out, " {} | {times} |", cell(perl));
        }
        let targets: Vec<&str> = figure.targets.iter().map(|t| t.text.as_str()).collect();
        let met = |target: &Target| {
            let mut of = same.iter().flat_map(|figure| &figure.targets);
            met(&mut of, target)
        };
        let met: Vec<_> = figure.targets.iter().map(met).collect();
        let _ = writeln!(out, " {} | {} |", targets.join("; "), met.join("; "));
    }
    out
}

/// In how many of the runs a target was met.
fn met(of: &mut dyn Iterator<Item = &Target>, target: &Target) -> String {
    let all: Vec<bool> = of
        .filter(|other| other.text == target.text)
        .filter_map(|target| target.met)
        .collect();
    let met = all.iter().filter(|met| **met).count();
    match met {
        _ if all.is_empty() => "not compared".to_owned(),
        _ if met == all.len() => "yes".to_owned(),
        0 => "**no**".to_owned(),
        _ => format!("**{met} of {}**", all.len()),
    }
}

fn cell(number: Option<f64>) -> String {
    match number {
        Some(_) => value(number),
        None => "–".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::{Better, Bound};
    use std::collections::BTreeMap;

    #[test]
    fn medians_of_runs() {
        let run = |rust: f64| {
            let rounds = BTreeMap::from([
                ("rust".to_owned(), vec![rust]),
                ("bare".to_owned(), vec![100.0]),
                ("perl-1.30".to_owned(), vec![10.0]),
            ]);
            let bounds = [Bound::OfBare(0.8), Bound::TimesPerl(5.0)];
            let figure = Figure::new("x", "/s", Better::Higher, rounds, &bounds);
            Run {
                figures: vec![figure],
            }
        };
        let text = summary(&[run(70.0), run(90.0), run(80.0)]);
        assert_eq!(
            text.lines().last(),
            Some(
                "| x | /s | 80.0 | 100 | 0.80 (0.70, 0.90, 0.80) | 10.0 | 8.0 | at least 0.8 x bare; \
                 5 x better than Perl 1.30 | **2 of 3**; yes |"
            )
        );
    }

    #[test]
    fn what_was_written_is_read() {
        let figure = Figure::new("x", "s", Better::Lower, BTreeMap::new(), &[]);
        let text = serde_json::json!({"figures": [figure]}).to_string();
        let run: Run = serde_json::from_str(&text).unwrap();
        assert_eq!(run.figures[0].unit, "s");
    }
}
