//! Standard output and standard error. All subcommands write through here, and nowhere else.
//!
//! `println!` panics when whoever reads the pipe has gone, or the disk is full. Neither is a defect
//! of the command: here such an error is returned, and the command ends with it.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::{Arc, OnceLock, Weak};

use anstyle::{AnsiColor, Style};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use parking_lot::{Mutex, RwLock};

use crate::progress::{Progress, Shown};
use crate::settings::SettingsError;
use crate::{Failure, definition};

/// The exit status when nobody reads the output any more, as with `aemp --help | true`. It is the
/// one that shells report for programs in C, which SIGPIPE ends: so it tells a script that looks
/// (`set -o pipefail`) that not all was written, and nobody else has to read about it.
const NOBODY_READS: u8 = 128 + 13;

/// The exit status when the command line is wrong, which is clap's.
const USAGE: u8 = 2;

/// How much is written, and in which form.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct Options {
    /// Write JSON, one object a line (cal, doctor, dump, record, proxy, mon, eval, trace, shell,
    /// top, stats, snd, showconfig, showprofile)
    #[arg(long, global = true)]
    json: bool,
    /// Say more: who is waited for and how long it took, on standard error; with mon and trace
    /// times, with showconfig where each value comes from
    #[arg(short, long, global = true)]
    verbose: bool,
    /// Say nothing on standard error but errors: no status line, not who is waited for
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
}

static OPTIONS: OnceLock<Options> = OnceLock::new();

/// The work that is under way, of which the status line tells.
static WORK: Mutex<Weak<Progress>> = Mutex::new(Weak::new());

/// Says for the whole process what the command line asks for.
pub(crate) fn set(options: Options) {
    let _ = OPTIONS.set(options);
}

fn options() -> Options {
    OPTIONS.get().copied().unwrap_or_default()
}

/// Whether the output is to be JSON, one object a line.
pub(crate) fn is_json() -> bool {
    options().json
}

/// Whether more is to be said.
pub(crate) fn is_verbose() -> bool {
    options().verbose
}

/// Where a terminal is being written to by others, who must be asked to leave room.
pub(crate) trait Screen: Send + Sync {
    /// Shows whole lines, each with its end.
    fn show(&self, lines: &str) -> io::Result<()>;
}

static SCREEN: RwLock<Option<Arc<dyn Screen>>> = RwLock::new(None);

/// Has all that is written to standard output and standard error shown there, until it is `None`.
pub(crate) fn divert(to: Option<Arc<dyn Screen>>) {
    *SCREEN.write() = to;
}

fn screen() -> Option<Arc<dyn Screen>> {
    SCREEN.read().clone()
}

/// Writes a line besides the output. Nothing depends on it.
pub(crate) fn aside(text: impl Display) {
    let _ = match screen() {
        Some(screen) => screen.show(&format!("{text}\n")),
        None => around_work(|| writeln!(anstream::stderr().lock(), "{text}")),
    };
}

/// Writes a line of the log, which has its end.
pub(crate) fn log(line: &str) {
    let _ = match screen() {
        Some(screen) => screen.show(line),
        None => around_work(|| io::stderr().lock().write_all(line.as_bytes())),
    };
}

/// Says something besides the output, if that is asked for.
pub(crate) fn note(text: impl Display) {
    if is_verbose() {
        aside(text);
    }
}

/// Work of so many steps, if that is known, of which it is said how far it is.
pub(crate) fn progress(what: &'static str, steps: Option<u64>) -> Arc<Progress> {
    let shown = Shown::by_stderr(options().json || options().quiet);
    let progress = Arc::new(Progress::start(what, steps, shown));
    *WORK.lock() = Arc::downgrade(&progress);
    progress
}

/// Writes something while the status line of work is not in the way.
fn around_work<T>(write: impl FnOnce() -> T) -> T {
    let work = WORK.lock().upgrade();
    match work {
        Some(work) => work.aside(write),
        None => write(),
    }
}

/// The same, also if somebody sits at a terminal and would wonder what goes on.
pub(crate) fn status(text: impl Display) {
    if is_verbose() || io::stderr().is_terminal() && !options().quiet {
        aside(text);
    }
}

/// Standard output took not all of what was to be written.
#[derive(Debug, thiserror::Error)]
#[error("can't write the output: {0}")]
pub(crate) struct OutputError(#[from] io::Error);

/// Ends the command with a status of its own, and without a word.
#[derive(Debug, thiserror::Error)]
#[error("status {0}")]
pub(crate) struct Status(pub(crate) u8);

/// Writes a text to standard output, and does not keep any of it back.
pub(crate) fn print(text: &str) -> Result<(), OutputError> {
    if let Some(screen) = screen() {
        return Ok(screen.show(text)?);
    }
    around_work(|| {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        // What stays in the buffer is written when the process ends, and an error then goes
        // unnoticed.
        Ok(out.flush()?)
    })
}

/// Writes a line to standard output.
pub(crate) fn line(text: impl Display) -> Result<(), OutputError> {
    print(&format!("{text}\n"))
}

/// Writes a line with styles in it, which are left out where standard output is no terminal.
pub(crate) fn styled_line(text: impl Display) -> Result<(), OutputError> {
    let mut out = anstream::stdout().lock();
    writeln!(out, "{text}")?;
    Ok(out.flush()?)
}

/// Ends the process: says on standard error what the command failed with, if anything, and returns
/// the exit status.
pub(crate) fn end(result: Result<(), Failure>) -> ExitCode {
    let Err(failure) = result else {
        return ExitCode::SUCCESS;
    };
    if let Some(Status(status)) = failure.downcast_ref() {
        return ExitCode::from(*status);
    }
    match failure.downcast_ref() {
        Some(OutputError(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::from(NOBODY_READS)
        }
        _ => {
            // Where standard error can't be written either, the status is all there is to say.
            complain(&failure);
            let is_usage = failure.downcast_ref().is_some_and(SettingsError::is_usage);
            match is_usage {
                true => ExitCode::from(USAGE),
                false => ExitCode::FAILURE,
            }
        }
    }
}

/// Says what went wrong, as clap writes its own: in colour where standard error is a terminal.
pub(crate) fn complain(failure: impl Display) {
    let red = Style::new().bold().fg_color(Some(AnsiColor::Red.into()));
    aside(format_args!("{red}aemp:{red:#} {failure}"));
}

/// What clap has to say in place of a command: the help and the version, which were asked for and
/// are output like any other, or what is wrong with the command line.
pub(crate) fn end_with_clap(said: &clap::Error) -> ExitCode {
    if said.kind() == ErrorKind::InvalidSubcommand
        && let Some(ContextValue::String(name)) = said.get(ContextKind::InvalidSubcommand)
    {
        return end(Err(definition::unknown(name).into()));
    }
    let written = print_clap(said);
    match said.use_stderr() {
        true => ExitCode::from(USAGE),
        false => end(written.map_err(Into::into)),
    }
}

/// Writes it where it belongs. clap knows whether it may use colours, so it has to do that itself.
pub(crate) fn print_clap(said: &clap::Error) -> Result<(), OutputError> {
    Ok(said.print().and_then(|()| io::stdout().flush())?)
}
