//! The clock of a test.

use std::panic::Location;
use std::time::Duration;

use tokio::time::Instant;

/// How long everything here waits unless told otherwise, in virtual time: longer than any time
/// limit that nodes have by default.
const PATIENCE: Duration = Duration::from_secs(300);

/// The same where time is real.
const REAL_PATIENCE: Duration = Duration::from_secs(20);

/// How long to wait for what should come.
pub(super) fn patience() -> Duration {
    match clock_is_paused() {
        true => PATIENCE,
        false => REAL_PATIENCE,
    }
}

/// Whether the clock of this runtime is paused, so that time is virtual.
///
/// ```
/// # let runtime = |paused| tokio::runtime::Builder::new_current_thread().enable_time().start_paused(paused).build();
/// assert!(runtime(true)?.block_on(async { aemp::testing::clock_is_paused() }));
/// assert!(!runtime(false)?.block_on(async { aemp::testing::clock_is_paused() }));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn clock_is_paused() -> bool {
    // tokio does not say so. A paused clock stands still while the real one goes on.
    let (real, before) = (std::time::Instant::now(), Instant::now());
    while real.elapsed() < Duration::from_micros(2) {
        std::hint::spin_loop();
    }
    Instant::now() == before
}

/// Lets virtual time pass: everything that is due within it happens, in its order.
///
/// # Panics
///
/// If the clock is not paused, as the test would wait for real then. The text says how to pause it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use aemp::testing::{Probe, pass};
/// let node = aemp::Node::local();
/// let mut probe = Probe::new(&node);
/// node.snd_after(Duration::from_secs(3600), probe.id(), &("alarm",))?;
/// pass(Duration::from_secs(3599)).await;
/// probe.expect_nothing().await;
/// pass(Duration::from_secs(1)).await;
/// probe.expect::<()>("alarm").await;
/// # Ok(()) }
/// ```
#[track_caller]
pub fn pass(time: Duration) -> impl Future<Output = ()> {
    let at = Location::caller();
    async move {
        assert!(
            clock_is_paused(),
            "the clock of this runtime is not paused, at {at}: use #[tokio::test(start_paused = \
             true)], or build a current-thread runtime with start_paused(true)"
        );
        // Not `advance`, which skips to the end and has all that was due happen there.
        tokio::time::sleep(time).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    #[should_panic(expected = "the clock of this runtime is not paused, at src/testing/clock.rs")]
    async fn real_time_does_not_pass() {
        pass(Duration::from_secs(3600)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_due_happens_in_its_order() {
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        for n in [3, 1, 2] {
            let tell = tell.clone();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_secs(n)).await;
                tell.send((n, Instant::now())).unwrap();
            });
        }
        let begun = Instant::now();
        pass(Duration::from_secs(3)).await;
        for n in 1..4 {
            assert_eq!(told.recv().await, Some((n, begun + Duration::from_secs(n))));
        }
    }
}
