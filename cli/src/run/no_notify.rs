//! There is no systemd on this system that would have to be told.

/// The node runs.
pub(super) fn ready() {}

/// It starts again.
pub(super) fn reloading() {}

/// It answers.
pub(super) fn beat(_: &aemp::Node) {}

/// It ends.
pub(super) fn stopping() {}
