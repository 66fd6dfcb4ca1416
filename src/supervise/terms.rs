//! What the files of a supervisor call things alike: a child's key, the time, and how a length of
//! it is written. It stands below all of them, so that none has to ask another one for these.

use std::time::Duration;

/// A child, for life.
pub(crate) type Key = u64;

/// The time since the supervisor was started.
pub(crate) type Now = Duration;

/// A length of time for people.
pub(super) fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs_f64())
}
