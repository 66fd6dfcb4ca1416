//! Telling people and machines what came of it.

use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use crate::pairing::Pairing;
use crate::run::{Done, Outcome};

/// One line about one cell.
pub fn line(done: &Done) -> String {
    let mut name = done.cell.name();
    if !done.others.is_empty() {
        let _ = write!(name, " with {}", done.others.join(", "));
    }
    let took = done.took.as_secs_f64();
    match &done.outcome {
        Outcome::Passed => format!("passed    {name} ({took:.1} s)"),
        Outcome::Failed { step, text, folder } => {
            format!(
                "FAILED    {name} ({took:.1} s)\n          step: {step}\n          {text}\n          logs: {}",
                folder.display()
            )
        }
        Outcome::ExpectedFailure { reason, text } => {
            format!("expected  {name} ({took:.1} s): {reason}\n          {text}")
        }
        Outcome::UnexpectedPass { reason } => {
            format!("UNEXPECTED PASS  {name}: the manifest says it fails: {reason}")
        }
        Outcome::NotRun { reason } => format!("not run   {name}: {reason}"),
    }
}

fn mark(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "ok",
        Outcome::Failed { .. } => "FAIL",
        Outcome::ExpectedFailure { .. } => "xf",
        Outcome::UnexpectedPass { .. } => "XPASS",
        Outcome::NotRun { .. } => "-",
    }
}

/// The column of a pairing: which release, and who listens to whom.
fn column(pairing: &Pairing) -> (String, String) {
    let who = format!("{}{}", pairing.a.letter(), pairing.b.letter());
    let others = if pairing.has_python() { "py" } else { "rust" };
    (
        pairing
            .release()
            .map_or_else(|| others.to_owned(), |r| r.version.clone()),
        who,
    )
}

/// The table: a row for each scenario, a column for each pairing; and the counts.
pub fn table(all: &[Done], took: Duration) -> String {
    let mut columns: Vec<(String, String)> = Vec::new();
    let mut rows: Vec<&str> = Vec::new();
    for done in all {
        let column = column(&done.cell.pairing);
        if !columns.contains(&column) {
            columns.push(column);
        }
        if !rows.contains(&done.cell.scenario.name) {
            rows.push(done.cell.scenario.name);
        }
    }
    let first = rows.iter().map(|r| r.len()).max().unwrap_or(0).max(8);
    let mut out = String::new();
    for part in 0..2 {
        let _ = write!(out, "{:first$}", if part == 1 { "scenario" } else { "" });
        for (release, who) in &columns {
            let _ = write!(out, " {:>5}", if part == 0 { release } else { who });
        }
        out.push('\n');
    }
    for row in rows {
        let _ = write!(out, "{row:first$}");
        for wanted in &columns {
            let cell = all
                .iter()
                .find(|d| d.cell.scenario.name == row && column(&d.cell.pairing) == *wanted);
            let _ = write!(out, " {:>5}", cell.map_or("", |d| mark(&d.outcome)));
        }
        out.push('\n');
    }
    out.push_str("\nPP: control, Perl with Perl. PR: Perl listens, Rust connects. RP: Rust listens, Perl connects. RR: Rust with Rust. Y: the Python node, empty where it does not play.\n");
    out.push_str("ok: passed. FAIL: failed. xf: failed as expected. XPASS: passed though expected to fail. -: not run.\n");
    let count = |name: &str| all.iter().filter(|d| mark(&d.outcome) == name).count();
    let _ = writeln!(
        out,
        "{} cells in {:.0} s: {} passed, {} failed, {} expected failures, {} unexpected passes, {} not run",
        all.len(),
        took.as_secs_f64(),
        count("ok"),
        count("FAIL"),
        count("xf"),
        count("XPASS"),
        count("-")
    );
    out
}

/// Writes a report file: JUnit XML if its name ends in `.xml`, else JSON. `unmet`: what was to be
/// run and was not, each of which is a failure.
pub fn write(path: &Path, all: &[Done], unmet: &[String], took: Duration) -> io::Result<()> {
    let text = if path.extension().is_some_and(|e| e == "xml") {
        junit(all, unmet, took)
    } else {
        json_report(all, unmet, took)
    };
    std::fs::write(path, text)
}

fn json_report(all: &[Done], unmet: &[String], took: Duration) -> String {
    let cells: Vec<_> = all
        .iter()
        .map(|done| {
            let mut row = json!({
                "cell": done.cell.name(),
                "scenario": done.cell.scenario.name,
                "listener": done.cell.pairing.a.to_string(),
                "connector": done.cell.pairing.b.to_string(),
                "seconds": done.took.as_secs_f64(),
                "others": done.others,
            });
            let (outcome, more) = match &done.outcome {
                Outcome::Passed => ("passed", json!({})),
                Outcome::Failed { step, text, folder } => (
                    "failed",
                    json!({ "step": step, "text": text, "logs": folder }),
                ),
                Outcome::ExpectedFailure { reason, text } => (
                    "expected failure",
                    json!({ "reason": reason, "text": text }),
                ),
                Outcome::UnexpectedPass { reason } => {
                    ("unexpected pass", json!({ "reason": reason }))
                }
                Outcome::NotRun { reason } => ("not run", json!({ "reason": reason })),
            };
            row["outcome"] = json!(outcome);
            if let (Some(row), Some(more)) = (row.as_object_mut(), more.as_object()) {
                row.extend(more.clone());
            }
            row
        })
        .collect();
    format!(
        "{:#}\n",
        json!({ "seconds": took.as_secs_f64(), "cells": cells, "unmet": unmet })
    )
}

fn junit(all: &[Done], unmet: &[String], took: Duration) -> String {
    let bad = all.iter().filter(|d| d.outcome.is_bad()).count() + unmet.len();
    let skipped = all
        .iter()
        .filter(|d| {
            matches!(
                d.outcome,
                Outcome::NotRun { .. } | Outcome::ExpectedFailure { .. }
            )
        })
        .count();
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"aemp-interop\" tests=\"{}\" failures=\"{bad}\" skipped=\"{skipped}\" time=\"{:.3}\">\n",
        all.len() + unmet.len(),
        took.as_secs_f64()
    );
    for (number, text) in unmet.iter().enumerate() {
        let _ = writeln!(
            out,
            "  <testcase classname=\"required\" name=\"{}\"><failure message=\"{}\"/></testcase>",
            number + 1,
            escape(text)
        );
    }
    for done in all {
        let _ = write!(
            out,
            "  <testcase classname=\"{}\" name=\"{}\" time=\"{:.3}\"",
            escape(&done.cell.pairing.to_string()),
            escape(done.cell.scenario.name),
            done.took.as_secs_f64()
        );
        let inner = match &done.outcome {
            Outcome::Passed => None,
            Outcome::Failed { step, text, folder } => Some(format!(
                "<failure message=\"{}\">{}\nlogs: {}</failure>",
                escape(&format!("{step}: {text}")),
                escape(text),
                escape(&folder.display().to_string())
            )),
            Outcome::UnexpectedPass { reason } => Some(format!(
                "<failure message=\"{}\"/>",
                escape(&format!("passed, but the manifest says it fails: {reason}"))
            )),
            Outcome::ExpectedFailure { reason, text } => Some(format!(
                "<skipped message=\"{}\"/>",
                escape(&format!("expected to fail: {reason} ({text})"))
            )),
            Outcome::NotRun { reason } => {
                Some(format!("<skipped message=\"{}\"/>", escape(reason)))
            }
        };
        match inner {
            Some(inner) => {
                let _ = writeln!(out, ">{inner}</testcase>");
            }
            None => out.push_str("/>\n"),
        }
    }
    out.push_str("</testsuite>\n");
    out
}

/// Text for XML; characters that XML does not have become U+FFFD.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' | '\r' => {
                let _ = write!(out, "&#{};", u32::from(c));
            }
            c if c < ' ' || c == '\u{fffe}' || c == '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::{Cell, pairings};
    use crate::scenarios;

    #[test]
    fn what_was_not_run_is_skipped_and_what_was_to_be_run_has_failed() {
        let done = Done {
            cell: Cell {
                scenario: scenarios::all()[0],
                pairing: pairings(&[]).remove(0),
            },
            outcome: Outcome::NotRun {
                reason: "no perl <5>".to_owned(),
            },
            took: Duration::ZERO,
            others: Vec::new(),
        };
        let unmet = ["AnyEvent::MP 2.02 is \"required\"".to_owned()];
        let text = junit(&[done], &unmet, Duration::ZERO);
        for wanted in [
            "tests=\"2\" failures=\"1\" skipped=\"1\"",
            "><skipped message=\"no perl &lt;5&gt;\"/></testcase>",
            "><failure message=\"AnyEvent::MP 2.02 is &quot;required&quot;\"/></testcase>",
        ] {
            assert!(text.contains(wanted), "{text}");
        }
    }

    #[test]
    fn xml_text() {
        assert_eq!(
            escape("<a & \"b\"\n\u{0}>"),
            "&lt;a &amp; &quot;b&quot;&#10;\u{fffd}&gt;"
        );
    }
}
