//! Systems of the Unix family.

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use super::{How, Told};

/// The signals that this process takes, from now on.
pub(crate) struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

impl Signals {
    /// Takes them: none does what it would do by itself any more.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next one. Nothing is lost if this is dropped before.
    pub(crate) async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.interrupt.recv() => Told::End(How::Interrupt),
            _ = self.terminate.recv() => Told::End(How::Terminate),
            _ = self.hangup.recv() => Told::Reload,
        }
    }
}

/// Has what is begun be in a process group of its own: a signal from the terminal does not reach
/// it.
pub(crate) fn in_own_group(command: &mut Command) {
    command.process_group(0);
}

/// Tells a process what this one was told.
pub(crate) fn hand_on(child: &Child, told: Told) {
    let signal = match told {
        Told::End(How::Interrupt) => Signal::SIGINT,
        Told::End(How::Terminate) => Signal::SIGTERM,
        Told::Reload => Signal::SIGHUP,
    };
    if let Some(id) = id(child) {
        let _ = kill(id, signal);
    }
}

/// Asks a process and all of its group to end.
pub(crate) fn ask_group_to_end(child: &mut Child) {
    if let Some(group) = id(child) {
        let _ = killpg(group, Signal::SIGTERM);
    }
}

/// Ends a process and all of its group.
pub(crate) fn kill_group(child: &mut Child) {
    if let Some(group) = id(child) {
        let _ = killpg(group, Signal::SIGKILL);
    }
}

/// Its ID, which is its own until it has been waited for.
fn id(child: &Child) -> Option<Pid> {
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    id.map(Pid::from_raw)
}

/// The name of the signal that ended a process, or its number if it has no name.
pub(crate) fn signal_of(status: ExitStatus) -> Option<String> {
    let number = status.signal()?;
    let known = Signal::try_from(number);
    Some(known.map_or_else(|_| number.to_string(), |signal| signal.to_string()))
}

/// The status of a process as shells tell it: 128 and the signal, if one has ended it.
pub(crate) fn code(status: ExitStatus) -> i32 {
    let by_signal = || status.signal().map(|signal| signal + 128);
    status.code().or_else(by_signal).unwrap_or(1)
}

/// The program of a name without an ending, if it is there and may be executed.
pub(crate) fn program(path: &Path) -> Option<PathBuf> {
    let found = std::fs::metadata(path).ok()?;
    let is_one = found.is_file() && found.permissions().mode() & 0o111 != 0;
    is_one.then(|| path.to_owned())
}

/// Has this process be another program. Returns only if that fails.
pub(crate) fn become_program(
    program: &Path,
    arguments: impl Iterator<Item = OsString>,
) -> io::Error {
    std::process::Command::new(program).args(arguments).exec()
}

/// Whether somebody listens on a Unix socket.
pub(crate) fn is_listening(path: &Path) -> bool {
    std::os::unix::net::UnixStream::connect(path).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_what_shells_make_of_it() {
        for (raw, wanted) in [(0, 0), (3 << 8, 3), (9, 137), (15, 143)] {
            assert_eq!(code(ExitStatus::from_raw(raw)), wanted, "{raw}");
        }
    }
}
