//! The process of a program: begun with what it is to know, ended by degrees.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use aemp::{PortId, Reason};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::Program;
use super::input::Input;

/// How long a program may take to end when its input is closed, before it is sent SIGTERM.
const PAUSE: Duration = Duration::from_secs(1);

/// How long it may take after that, before it is sent SIGKILL.
const GRACE: Duration = Duration::from_secs(2);

/// Begins it, in a process group of its own: what it starts is ended with it, and a signal from the
/// terminal is for us to decide about.
pub(super) fn begin(program: &Program, port: &PortId) -> io::Result<Child> {
    Command::new(&program.command)
        .args(&program.args)
        .env("AEMP_PORT", port.as_str())
        .env("AEMP_NODE", port.node())
        .env("AEMP_FUNCTION", &program.function)
        .env("AEMP_ARGS", &*program.given.to_json())
        // These are about the node's process.
        .env_remove("NOTIFY_SOCKET")
        .env_remove(crate::run::again::VARIABLE)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

/// Ends it: closes its input, then SIGTERM, then SIGKILL, with some time after each.
pub(super) async fn end(child: &mut Child, input: &Input) {
    input.close().await;
    for (time, signal) in [(PAUSE, Signal::SIGTERM), (GRACE, Signal::SIGKILL)] {
        if timeout(time, child.wait()).await.is_ok() {
            return;
        }
        // Its ID is ours until it has been waited for.
        if let Some(id) = child.id().and_then(|id| i32::try_from(id).ok()) {
            let _ = killpg(Pid::from_raw(id), signal);
        }
    }
    let _ = child.wait().await;
}

/// What the port of a program dies of that ended like this.
pub(super) fn reason(status: ExitStatus) -> Reason {
    match (status.code(), status.signal()) {
        (Some(0), _) => Reason::normal(),
        (Some(code), _) => Reason::new([serde_json::Value::from("exit"), code.into()]),
        (None, signal) => {
            let number = signal.unwrap_or_default();
            let known = Signal::try_from(number);
            let name = known.map_or_else(|_| number.to_string(), |signal| signal.to_string());
            Reason::new(["signal".to_owned(), name])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_it_ended_is_the_reason() {
        for (raw, wanted) in [
            (0, ""),
            (3 << 8, "exit 3"),
            (255 << 8, "exit 255"),
            (9, "signal SIGKILL"),
            (15, "signal SIGTERM"),
            (64, "signal 64"),
        ] {
            let reason = reason(ExitStatus::from_raw(raw));
            assert_eq!(reason.to_string(), wanted, "{raw}");
        }
    }
}
