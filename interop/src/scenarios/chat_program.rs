//! One of the tutorial's programs as a process: lines in, lines out. No scenario.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, Command, ExitStatus};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;

use crate::ctx::Ctx;
use crate::fault::{Fault, Result, ensure, short};
use crate::pairing::Side;
use crate::process::Process;
use crate::spec::Spec;
use crate::transcript::Transcript;

/// A running program. Dropping it kills it.
#[derive(Debug)]
pub struct Program {
    name: String,
    /// The log's name.
    log: String,
    is_rust: bool,
    // killed before its input is closed, which a Perl client would take for a flood of empty lines
    process: Process,
    stdin: Option<ChildStdin>,
    said: Arc<Said>,
    transcript: Transcript,
    limit: Duration,
}

/// The lines that were printed and not taken yet, and whether there will be more.
#[derive(Debug, Default)]
struct Said {
    lines: Mutex<(Vec<String>, bool)>,
    changed: Condvar,
}

impl Said {
    fn lock(&self) -> MutexGuard<'_, (Vec<String>, bool)> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Program {
    /// Starts it, as `side` has it.
    pub fn start(
        ctx: &mut Ctx,
        side: Side,
        spec: &Spec,
        program: &str,
        args: &[&str],
    ) -> Result<Self> {
        let started = ctx.program(side, spec, program, args)?;
        Self::of(ctx, side, &spec.name, started)
    }

    /// Starts what is about to be one: a command with its log, and the log's name.
    pub fn of(
        ctx: &Ctx,
        side: Side,
        name: &str,
        (command, file, log): (Command, File, String),
    ) -> Result<Self> {
        let what = format!("start {}", command.get_program().to_string_lossy());
        let mut process = Process::start_group(command, file).map_err(Fault::io(what))?;
        let stdin = process.child().stdin.take();
        let said = Arc::new(Said::default());
        if let Some(stdout) = process.child().stdout.take() {
            let (said, transcript, name) =
                (Arc::clone(&said), ctx.transcript().clone(), name.to_owned());
            std::thread::spawn(move || read_all(BufReader::new(stdout), &said, &transcript, &name));
        }
        Ok(Self {
            name: name.to_owned(),
            log,
            is_rust: ctx.side(side).is_rust(),
            process,
            stdin,
            said,
            transcript: ctx.transcript().clone(),
            limit: ctx.limit(),
        })
    }

    /// Is it ours?
    pub fn is_rust(&self) -> bool {
        self.is_rust
    }

    /// Types a line. A Perl client reads more than it handles, so only one at a time may be under
    /// way.
    pub fn say(&mut self, line: &str) -> Result<()> {
        self.transcript.write(&self.name, "typed", &json!(line));
        let text = format!("{line}\n");
        let written = self
            .stdin
            .as_mut()
            .map(|stdin| stdin.write_all(text.as_bytes()));
        ensure(matches!(written, Some(Ok(()))), || {
            format!("{} does not read its input", self.name)
        })
    }

    /// Forgets the lines not yet taken.
    pub fn forget(&self) {
        self.said.lock().0.clear();
    }

    /// Waits for this line.
    pub fn expect(&mut self, line: &str) -> Result<()> {
        self.line(&format!("the line '{line}'"), |l| l == line)
            .map(drop)
    }

    /// Waits for the first line, among those not yet taken, that `good` accepts, and takes it.
    pub fn line(&mut self, what: &str, good: impl Fn(&str) -> bool) -> Result<String> {
        let deadline = Instant::now() + self.limit;
        let said = Arc::clone(&self.said);
        let mut lines = said.lock();
        loop {
            if let Some(at) = lines.0.iter().position(|line| good(line)) {
                return Ok(lines.0.remove(at));
            }
            if lines.1 {
                drop(lines);
                let status = self.process.wait(Duration::from_secs(2));
                return Err(Fault::Ended {
                    node: self.name.clone(),
                    what: format!("waiting for {what}"),
                    status: status.map_or_else(|| "it runs on".to_owned(), |s| s.to_string()),
                });
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Fault::Timeout {
                    what: format!("{}: {what}", self.name),
                    seconds: self.limit.as_secs_f64(),
                    seen: format!("; not taken so far: {}", short(&lines.0.join(" | "))),
                });
            }
            lines = said
                .changed
                .wait_timeout(lines, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Waits for a line on standard error.
    pub fn logged(&mut self, ctx: &Ctx, line: &str) -> Result<()> {
        self.logs(ctx, line, |l| l == line)
    }

    fn logs(&mut self, ctx: &Ctx, line: &str, good: impl Fn(&str) -> bool) -> Result<()> {
        let deadline = Instant::now() + self.limit;
        while !ctx.log(&self.log).lines().any(&good) {
            if let Some(status) = self.process.ended() {
                return Err(Fault::Ended {
                    node: self.name.clone(),
                    what: format!("waiting for '{line}'"),
                    status: status.to_string(),
                });
            }
            if Instant::now() > deadline {
                return Err(Fault::Timeout {
                    what: format!("{}: '{line}' on standard error", self.name),
                    seconds: self.limit.as_secs_f64(),
                    seen: String::new(),
                });
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Waits for a line on standard error with these words, be it in colour or with more.
    pub fn error(&mut self, ctx: &Ctx, words: &str) -> Result<()> {
        self.logs(ctx, words, |line| line.contains(words))
    }

    /// The name of its log.
    pub fn log(&self) -> &str {
        &self.log
    }

    /// Kills it with SIGKILL.
    pub fn kill9(mut self) -> Result<()> {
        self.process.signal(Signal::SIGKILL);
        self.gone("SIGKILL").map(drop)
    }

    /// Ends its input; it has to end with status 0.
    pub fn end_of_input(mut self) -> Result<()> {
        drop(self.stdin.take());
        self.clean_end("the end of its input")
    }

    /// Interrupts it; ours has to end with status 0, Perl's just end.
    pub fn interrupt(mut self) -> Result<()> {
        if self.is_rust {
            self.process.signal(Signal::SIGINT);
            return self.clean_end("SIGINT");
        }
        // a harness in the background ignores SIGINT, and so would its children
        self.process.signal(Signal::SIGTERM);
        self.gone("SIGTERM").map(drop)
    }

    fn clean_end(&mut self, why: &str) -> Result<()> {
        let status = self.gone(why)?;
        ensure(status.success(), || {
            format!("{} ended with {status} after {why}", self.name)
        })
    }

    /// Ends its input, and waits for its end.
    pub fn done(mut self) -> Result<ExitStatus> {
        drop(self.stdin.take());
        self.gone("the end of its input")
    }

    fn gone(&mut self, why: &str) -> Result<ExitStatus> {
        self.transcript.write(&self.name, "ended by", &json!(why));
        let status = self.process.wait(self.limit);
        status.ok_or_else(|| Fault::unexpected(format!("{} did not end after {why}", self.name)))
    }
}

/// Reads what is printed, to its end.
fn read_all(mut out: impl BufRead, said: &Said, transcript: &Transcript, name: &str) {
    let mut line = Vec::new();
    while matches!(out.read_until(b'\n', &mut line), Ok(1..)) {
        let text = seen(&line);
        transcript.write(name, "printed", &json!(text));
        said.lock().0.push(text);
        said.changed.notify_all();
        line.clear();
    }
    said.lock().1 = true;
    said.changed.notify_all();
}

/// A printed line as a person sees it: Perl's clients overwrite their prompt.
fn seen(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let text = text.trim_end_matches('\n');
    text.rsplit('\r').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::seen;

    #[test]
    fn prompts_are_overwritten() {
        assert_eq!(seen(b"\rconnecting...\n"), "connecting...");
        assert_eq!(seen(b"> > \r  \ranna: hello  \n"), "anna: hello  ");
        assert_eq!(seen(b"anna (joins)\n"), "anna (joins)");
    }
}
