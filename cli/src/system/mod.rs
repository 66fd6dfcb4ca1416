//! What differs between systems: signals, process groups, what can be executed.
//!
//! Everything else of the command is the same everywhere. On systems that are not of the Unix
//! family there are no signals between processes: what a console tells is taken for them, nothing
//! is handed on, and a program that does not end when its input does is killed.

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub(crate) use unix::*;

#[cfg(not(unix))]
mod other;
#[cfg(not(unix))]
pub(crate) use other::*;

/// What a process is told from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// End: SIGINT, SIGTERM and what stands for them elsewhere.
    End(How),
    /// Take over the configuration as it is by now: SIGHUP.
    Reload,
}

/// Who tells it to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// The user, at the terminal.
    Interrupt,
    /// The system, or who looks after the process.
    Terminate,
}

impl Signals {
    /// Waits until this process is told to end, and says by whom.
    pub(crate) async fn end(&mut self) -> How {
        loop {
            if let Told::End(how) = self.next().await {
                return how;
            }
        }
    }
}
