//! What ends the program, or a process of a measurement.

/// What goes wrong ends the program, with a line that says what.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
