//! Standard output and standard error. All subcommands write through here, and nowhere else.
//!
//! `println!` panics when whoever reads the pipe has gone, or the disk is full. Neither is a defect
//! of the command: here such an error is returned, and the command ends with it.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::Failure;

/// The exit status when nobody reads the output any more, as with `aemp --help | true`. It is the
/// one that shells report for programs in C, which SIGPIPE ends: so it tells a script that looks
/// (`set -o pipefail`) that not all was written, and nobody else has to read about it.
const NOBODY_READS: u8 = 128 + 13;

/// The exit status when the command line is wrong, which is clap's.
const USAGE: u8 = 2;

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
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    // What stays in the buffer is written when the process ends, and an error then goes unnoticed.
    Ok(out.flush()?)
}

/// Writes a line to standard output.
pub(crate) fn line(text: impl Display) -> Result<(), OutputError> {
    print(&format!("{text}\n"))
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
            let _ = writeln!(io::stderr().lock(), "aemp: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// What clap has to say in place of a command: the help and the version, which were asked for and
/// are output like any other, or what is wrong with the command line.
pub(crate) fn end_with_clap(said: &clap::Error) -> ExitCode {
    // clap knows whether it may use colours, so it has to write this itself.
    let written = said.print().and_then(|()| io::stdout().flush());
    match said.use_stderr() {
        true => ExitCode::from(USAGE),
        false => end(written.map_err(|error| OutputError(error).into())),
    }
}
