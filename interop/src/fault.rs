//! Why something did not work, in one sentence for a person.

/// What went wrong in a step of a scenario, or in the machinery around it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The nodes did something else than the scenario expects.
    #[error("{0}")]
    Unexpected(String),
    /// Something was waited for and did not come in time.
    #[error("waited {seconds:.1} s for {what}{seen}")]
    Timeout {
        /// What was waited for.
        what: String,
        /// For how long.
        seconds: f64,
        /// What came instead, ready to be appended.
        seen: String,
    },
    /// A driver answered a command with an error.
    #[error("{node}: command {command} failed: {text}")]
    Command {
        /// The node's name in the scenario.
        node: String,
        /// The command.
        command: String,
        /// The driver's words.
        text: String,
    },
    /// A process ended that should not have.
    #[error("{node} ended unexpectedly while {what}: {status}")]
    Ended {
        /// The node's name in the scenario.
        node: String,
        /// What was under way.
        what: String,
        /// Exit status or signal.
        status: String,
    },
    /// The operating system refused something.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// The system's words.
        source: std::io::Error,
    },
    /// This pairing cannot play this scenario; not a failure.
    #[error("{0}")]
    NotHere(String),
}

/// Shorthand used throughout.
pub type Result<T> = std::result::Result<T, Fault>;

impl Fault {
    /// A fault of the nodes' behaviour.
    pub fn unexpected(text: impl Into<String>) -> Self {
        Self::Unexpected(text.into())
    }

    /// Wraps an I/O error with what was being done.
    pub fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

/// Fails with what `text` says unless `good`.
pub fn ensure(good: bool, text: impl FnOnce() -> String) -> Result<()> {
    if good {
        Ok(())
    } else {
        Err(Fault::Unexpected(text()))
    }
}

/// At most 300 characters of a text: a fault names a message, but does not print a megabyte of it.
pub fn short(text: &str) -> String {
    if text.chars().count() <= 300 {
        return text.to_owned();
    }
    text.chars().take(297).chain("...".chars()).collect()
}
