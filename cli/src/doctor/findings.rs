//! What was found, a line each.

use std::fmt::Display;
use std::sync::Arc;

use anstyle::{AnsiColor, Style};
use serde_json::json;

use crate::output::{self, OutputError};
use crate::progress::Progress;

/// What was found so far. Each is written at once, as the next may take a while.
pub(super) struct Findings {
    /// How many things are wrong.
    pub(super) wrong: usize,
    /// How many may be meant in this way, or not.
    pub(super) odd: usize,
    progress: Arc<Progress>,
}

impl Findings {
    pub(super) fn new() -> Self {
        Findings {
            wrong: 0,
            odd: 0,
            progress: output::progress("doctor", None),
        }
    }

    /// So many things are looked at, one by one.
    pub(super) fn expect(&self, things: usize) {
        self.progress
            .set_steps(things.try_into().unwrap_or(u64::MAX));
    }

    /// This is looked at now.
    pub(super) fn look_at(&self, what: &str) {
        self.progress.doing(what);
    }

    /// It was.
    pub(super) fn looked(&self) {
        self.progress.done();
    }

    /// All is well with it.
    pub(super) fn fine(&mut self, what: &str, text: impl Display) -> Result<(), OutputError> {
        write("ok", what, text, None)
    }

    /// It may be meant in this way. `advice`: what to do if it is not.
    pub(super) fn odd(
        &mut self,
        what: &str,
        text: impl Display,
        advice: &str,
    ) -> Result<(), OutputError> {
        self.odd += 1;
        write("look", what, text, Some(advice))
    }

    /// It is wrong. `advice`: who has to change what.
    pub(super) fn wrong(
        &mut self,
        what: &str,
        text: impl Display,
        advice: &str,
    ) -> Result<(), OutputError> {
        self.wrong += 1;
        write("WRONG", what, text, Some(advice))
    }
}

fn write(
    verdict: &str,
    what: &str,
    text: impl Display,
    advice: Option<&str>,
) -> Result<(), OutputError> {
    let text = text.to_string();
    if output::is_json() {
        let verdict = verdict.to_lowercase();
        return output::line(json!({
            "verdict": verdict, "what": what, "text": text.trim_end(), "advice": advice,
        }));
    }
    let colour = match verdict {
        "ok" => AnsiColor::Green,
        "look" => AnsiColor::Yellow,
        _ => AnsiColor::Red,
    };
    let style = Style::new().fg_color(Some(colour.into()));
    let first = format!(
        "{style}{verdict}{style:#}{:1$}{what}: ",
        "",
        6 - verdict.len()
    );
    // What goes on in another line stands below the text.
    let mut lines = text.trim_end().lines();
    let mut shown = first + lines.next().unwrap_or_default();
    for line in lines.chain(advice) {
        shown.push_str("\n          ");
        shown.push_str(line);
    }
    output::styled_line(shown)
}
