//! The process of a program: begun with what it is to know, ended by degrees.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use aemp::{PortId, Reason};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::Program;
use super::input::Input;
use crate::system;

/// How long a program may take to end when its input is closed, before it is sent SIGTERM.
const PAUSE: Duration = Duration::from_secs(1);

/// How long it may take after that, before it is sent SIGKILL.
const GRACE: Duration = Duration::from_secs(2);

/// Begins it, in a process group of its own: what it starts is ended with it, and a signal from the
/// terminal is for us to decide about.
pub(super) fn begin(program: &Program, port: &PortId) -> io::Result<Child> {
    let mut command = Command::new(&program.command);
    command
        .args(&program.args)
        .env("AEMP_PORT", port.as_str())
        .env("AEMP_NODE", port.node())
        .env("AEMP_FUNCTION", &program.function)
        .env("AEMP_ARGS", &*program.given.to_json())
        // These are about the node's process.
        .env_remove("NOTIFY_SOCKET")
        .env_remove("WATCHDOG_USEC")
        .env_remove("WATCHDOG_PID")
        .env_remove(crate::run::again::VARIABLE)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    system::in_own_group(&mut command);
    command.spawn()
}

/// Ends it: closes its input, then SIGTERM, then SIGKILL, with some time after each.
pub(super) async fn end(child: &mut Child, input: &Input) {
    input.close().await;
    if timeout(PAUSE, child.wait()).await.is_ok() {
        return;
    }
    system::ask_group_to_end(child);
    if timeout(GRACE, child.wait()).await.is_ok() {
        return;
    }
    system::kill_group(child);
    let _ = child.wait().await;
}

/// What the port of a program dies of that ended like this.
pub(super) fn reason(status: ExitStatus) -> Reason {
    match status.code() {
        Some(0) => Reason::normal(),
        Some(code) => Reason::new([serde_json::Value::from("exit"), code.into()]),
        None => {
            let name = system::signal_of(status).unwrap_or_else(|| "unknown".to_owned());
            Reason::new(["signal".to_owned(), name])
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

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
