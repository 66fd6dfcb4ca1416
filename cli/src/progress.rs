//! Says how far long work has come: on a terminal in a status line, elsewhere in a line now and
//! then.
//!
//! Also the harness in `interop/` has this file, so that there is one way to do it.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::Duration;

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

/// How often the status line is drawn anew, so that one sees that the work goes on.
const TICK: Duration = Duration::from_millis(200);

/// How often a line is written where there is no terminal.
const EVERY: Duration = Duration::from_secs(15);

/// Where it is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    Nowhere,
    /// In the status line of the terminal that standard error is.
    StatusLine,
    /// In a line on standard error, so often.
    Lines(Duration),
}

impl Shown {
    /// As standard error is. `is_quiet`: nowhere at all.
    pub(crate) fn by_stderr(is_quiet: bool) -> Self {
        match (is_quiet, io::stderr().is_terminal()) {
            (true, _) => Shown::Nowhere,
            (false, true) => Shown::StatusLine,
            (false, false) => Shown::Lines(EVERY),
        }
    }
}

/// Work that is under way. When this is dropped, its status line goes.
pub(crate) struct Progress {
    state: Arc<State>,
    /// Dropping it ends the lines.
    _lines: Option<Sender<()>>,
}

struct State {
    what: &'static str,
    bar: ProgressBar,
    failed: AtomicU64,
}

impl Progress {
    /// Work that has so many steps, if that is known.
    pub(crate) fn start(what: &'static str, steps: Option<u64>, shown: Shown) -> Self {
        let target = match shown {
            Shown::StatusLine => ProgressDrawTarget::stderr(),
            Shown::Nowhere | Shown::Lines(_) => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(steps, target);
        if let Some(style) = style(steps) {
            bar.set_style(style);
        }
        bar.set_prefix(what);
        let state = Arc::new(State {
            what,
            bar,
            failed: AtomicU64::new(0),
        });
        let lines = match shown {
            Shown::Nowhere => None,
            Shown::StatusLine => {
                state.bar.enable_steady_tick(TICK);
                None
            }
            Shown::Lines(every) => write_lines(state.clone(), every),
        };
        Progress {
            state,
            _lines: lines,
        }
    }

    /// Says what is being done now.
    pub(crate) fn doing(&self, step: impl Into<String>) {
        self.state.bar.set_message(step.into());
    }

    /// It turns out that there are so many steps.
    #[allow(dead_code, reason = "the harness knows it from the start")]
    pub(crate) fn set_steps(&self, steps: u64) {
        self.state.bar.set_length(steps);
        if let Some(style) = style(Some(steps)) {
            self.state.bar.set_style(style);
        }
    }

    /// A step is done.
    pub(crate) fn done(&self) {
        self.state.bar.inc(1);
    }

    /// A step is done, and failed.
    pub(crate) fn failed(&self) {
        let failed = self.state.failed.fetch_add(1, Ordering::Relaxed) + 1;
        self.state
            .bar
            .set_prefix(format!("{}, {failed} failed", self.state.what));
        self.done();
    }

    /// Writes to the terminal without the status line in between.
    pub(crate) fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        self.state.bar.suspend(write)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.state.bar.finish_and_clear();
    }
}

/// What the status line shows. The template is a sound one.
fn style(steps: Option<u64>) -> Option<ProgressStyle> {
    let template = match steps {
        Some(_) => "{prefix}: {pos} of {len} done, {elapsed}{left}: {wide_msg}",
        None => "{spinner} {prefix}: {elapsed}: {wide_msg}",
    };
    let style = ProgressStyle::with_template(template).ok()?;
    let show = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
        if let Some(left) = left(state.elapsed(), state.pos(), state.len()) {
            let _ = write!(out, ", about {} left", HumanDuration(left));
        }
    };
    Some(style.with_key("left", show))
}

/// How long the rest takes, if each step takes as long as those did that are done. Steps may take
/// from a moment to minutes, so the pace of the last ones says nothing.
fn left(elapsed: Duration, done: u64, steps: Option<u64>) -> Option<Duration> {
    let rest = steps?.saturating_sub(done);
    let each = elapsed.as_secs_f64() / done as f64;
    Duration::try_from_secs_f64(each * rest as f64).ok()
}

/// Has a line written so often, until what this gives is dropped.
fn write_lines(state: Arc<State>, every: Duration) -> Option<Sender<()>> {
    let (end, ended) = mpsc::channel();
    let writes = move || {
        while ended.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
            // Nothing depends on it.
            let _ = writeln!(io::stderr().lock(), "{}", state.line());
        }
    };
    let started = std::thread::Builder::new().spawn(writes);
    started.is_ok().then_some(end)
}

impl State {
    fn line(&self) -> String {
        let (bar, what) = (&self.bar, self.what);
        let seconds = bar.elapsed().as_secs();
        let mut line = match bar.length() {
            Some(steps) => format!("{what}: {} of {steps} done", bar.position()),
            None => format!("{what}: still at work"),
        };
        let failed = self.failed.load(Ordering::Relaxed);
        if failed > 0 {
            let _ = write!(line, ", {failed} failed");
        }
        let _ = write!(line, ", {seconds} s");
        if let Some(left) = left(bar.elapsed(), bar.position(), bar.length()) {
            let _ = write!(line, ", about {} s left", left.as_secs());
        }
        match bar.message() {
            message if message.is_empty() => line,
            message => format!("{line}: {message}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_takes_as_long_as_the_steps_before() {
        let minute = Duration::from_secs(60);
        assert_eq!(left(minute, 3, Some(4)), Some(Duration::from_secs(20)));
        assert_eq!(left(minute, 4, Some(4)), Some(Duration::ZERO));
        assert_eq!(left(minute, 5, Some(4)), Some(Duration::ZERO));
        assert_eq!(left(minute, 0, Some(4)), None);
        assert_eq!(left(minute, 3, None), None);
    }

    #[test]
    fn a_line_says_how_far_it_is() {
        let progress = Progress::start("matrix", Some(4), Shown::Nowhere);
        assert_eq!(progress.state.line(), "matrix: 0 of 4 done, 0 s");
        progress.doing("echo/rust+rust");
        progress.done();
        progress.failed();
        let line = progress.state.line();
        let (done, left) = line.split_once(", about ").unwrap();
        assert_eq!(done, "matrix: 2 of 4 done, 1 failed, 0 s");
        assert!(left.ends_with(" s left: echo/rust+rust"), "{line}");
        let progress = Progress::start("doctor", None, Shown::Nowhere);
        progress.doing("seed");
        assert_eq!(progress.state.line(), "doctor: still at work, 0 s: seed");
        progress.set_steps(2);
        assert_eq!(progress.state.line(), "doctor: 0 of 2 done, 0 s: seed");
        assert_eq!(progress.aside(|| 7), 7);
    }
}
