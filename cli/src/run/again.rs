//! `aemp run --autorestart`: one process that does nothing but start the node again when it has
//! crashed.
//!
//! The node is told by the end of its standard input that this process is gone, whatever it died
//! of, and ends as well.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::Failure;
use crate::output::Status;
use crate::system::{self, Signals, Told};

/// Is set for the process that is the node.
pub(crate) const VARIABLE: &str = "AEMP_AUTORESTART";

/// What a Rust program ends with that panics.
const PANIC: i32 = 101;

/// How long to wait before the node is started again.
struct Backoff {
    next: Duration,
}

impl Backoff {
    const FIRST: Duration = Duration::from_secs(1);
    const MOST: Duration = Duration::from_secs(60);
    /// A node that ran for so long has not crashed for what it crashed for before.
    const STEADY: Duration = Duration::from_secs(60);

    fn new() -> Self {
        Backoff { next: Self::FIRST }
    }

    /// After it crashed, having run for that long.
    fn after(&mut self, ran: Duration) -> Duration {
        if ran >= Self::STEADY {
            self.next = Self::FIRST;
        }
        let now = self.next;
        self.next = (now * 2).min(Self::MOST);
        now
    }
}

/// Runs the command line that this process was started with, without the option, again and again.
pub(crate) async fn run() -> Result<(), Failure> {
    let program = std::env::current_exe()?;
    // The option stands before everything that is the node's.
    let arguments = std::env::args_os().skip(1);
    let mut left = Some("--autorestart");
    let arguments: Vec<_> = arguments
        .filter(|argument| left.take_if(|option| argument == *option).is_none())
        .collect();
    let mut signals = Signals::new()?;
    let mut backoff = Backoff::new();
    loop {
        let begun = Instant::now();
        // Its terminal is ours: it gets what we are sent, once, and not by the terminal as well.
        let mut command = Command::new(&program);
        command
            .args(&arguments)
            .env(VARIABLE, "1")
            .stdin(Stdio::piped());
        system::in_own_group(&mut command);
        let mut node = command.spawn()?;
        let (status, told) = hand_on_until_ended(&mut signals, &mut node).await?;
        if told || !has_crashed(status) {
            return end(status);
        }
        let wait = backoff.after(begun.elapsed());
        tracing::error!(
            target: "aemp",
            level = 1_u8,
            "the node crashed ({status}); starting it again in {wait:?}"
        );
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = signals.end() => return Ok(()),
        }
    }
}

/// A node that ends by itself has said why; one that was ended, or panicked, had no intention to.
fn has_crashed(status: ExitStatus) -> bool {
    match status.code() {
        Some(code) => code == PANIC,
        None => true,
    }
}

/// Ends as the node did.
fn end(status: ExitStatus) -> Result<(), Failure> {
    match system::code(status) {
        0 => Ok(()),
        code => Err(Status(u8::try_from(code).unwrap_or(1)).into()),
    }
}

/// Tells the node what we are told, until it has ended: how, and whether it was told to.
async fn hand_on_until_ended(
    signals: &mut Signals,
    node: &mut Child,
) -> std::io::Result<(ExitStatus, bool)> {
    // `wait` would close it, and so tell the node that we are gone.
    let _open = node.stdin.take();
    let mut ends = false;
    loop {
        let told = tokio::select! {
            status = node.wait() => return Ok((status?, ends)),
            told = signals.next() => told,
        };
        ends |= told != Told::Reload;
        system::hand_on(node, told);
    }
}

/// Waits until the process that would start this one again is gone; for ever, if there is none.
pub(super) async fn parent_is_gone() {
    use tokio::io::AsyncReadExt as _;
    if std::env::var_os(VARIABLE).is_none() {
        return std::future::pending().await;
    }
    let mut input = tokio::io::stdin();
    let mut octets = [0; 64];
    while matches!(input.read(&mut octets).await, Ok(1..)) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_waits_longer_each_time_until_the_node_is_steady() {
        let mut backoff = Backoff::new();
        let second = Duration::from_secs(1);
        let mut waits: Vec<u64> = Vec::new();
        for _ in 0..8 {
            waits.push(backoff.after(second).as_secs());
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(backoff.after(Backoff::STEADY), second);
        assert_eq!(backoff.after(second), 2 * second);
    }

    #[cfg(unix)]
    #[test]
    fn only_a_crash_is_one() {
        use std::os::unix::process::ExitStatusExt as _;

        for (raw, wanted) in [
            (0, false),
            (1 << 8, false),
            (101 << 8, true),
            (9, true),
            (6, true),
        ] {
            assert_eq!(has_crashed(ExitStatus::from_raw(raw)), wanted, "{raw}");
        }
    }
}
