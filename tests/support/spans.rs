//! Where spans and events go that a test wants to see.

use std::sync::LazyLock;

use tracing::subscriber::DefaultGuard;
use tracing::{Dispatch, Subscriber};

/// Has the spans and events of this thread go there until the guard is dropped.
///
/// While a process has one subscriber alone, `tracing` judges what another thread comes by for the
/// first time by that thread's own, which is none, and it is off from then on for everybody. So
/// there are always two.
pub fn subscribe(subscriber: impl Subscriber + Send + Sync + 'static) -> DefaultGuard {
    static OTHER: LazyLock<Dispatch> =
        LazyLock::new(|| Dispatch::new(tracing_subscriber::registry()));
    LazyLock::force(&OTHER);
    tracing::subscriber::set_default(subscriber)
}
