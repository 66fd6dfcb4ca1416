//! Windows.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use tokio::process::{Child, Command};
use tokio::signal::windows::{CtrlBreak, CtrlC, CtrlClose, CtrlShutdown};
use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close, ctrl_shutdown};

use super::{How, Told};

/// What the console tells this process, from now on.
pub(crate) struct Signals {
    c: CtrlC,
    stop: CtrlBreak,
    close: CtrlClose,
    shutdown: CtrlShutdown,
}

impl Signals {
    /// Takes it: nothing of it does what it would do by itself any more.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Signals {
            c: ctrl_c()?,
            stop: ctrl_break()?,
            close: ctrl_close()?,
            shutdown: ctrl_shutdown()?,
        })
    }

    /// Waits for the next. Nothing is lost if this is dropped before. There is nothing that stands
    /// for SIGHUP: who wants other settings starts the node again.
    pub(crate) async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.c.recv() => Told::End(How::Interrupt),
            _ = self.stop.recv() => Told::End(How::Terminate),
            _ = self.close.recv() => Told::End(How::Terminate),
            _ = self.shutdown.recv() => Told::End(How::Terminate),
        }
    }
}

/// There are no such groups: all that are at a console are told what it has to tell.
pub(crate) fn in_own_group(_: &mut Command) {}

/// The console has told it as well.
pub(crate) fn hand_on(_: &Child, _: Told) {}

/// That can't be asked for, other than by the end of its input.
pub(crate) fn ask_group_to_end(_: &mut Child) {}

/// Ends a process.
pub(crate) fn kill_group(child: &mut Child) {
    let _ = child.start_kill();
}

/// No process ends by a signal.
pub(crate) fn signal_of(_: ExitStatus) -> Option<String> {
    None
}

/// The status of a process.
pub(crate) fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or(1)
}

/// The program of a name without an ending, if it is there.
pub(crate) fn program(path: &Path) -> Option<PathBuf> {
    let named = path.with_extension("exe");
    named.is_file().then_some(named)
}

/// Begins another program and ends with its status. Returns only if that fails.
pub(crate) fn become_program(
    program: &Path,
    arguments: impl Iterator<Item = OsString>,
) -> io::Error {
    let status = std::process::Command::new(program).args(arguments).status();
    match status {
        Ok(status) => std::process::exit(code(status)),
        Err(error) => error,
    }
}

/// There are no Unix sockets in the standard library.
pub(crate) fn is_listening(_: &Path) -> bool {
    false
}
