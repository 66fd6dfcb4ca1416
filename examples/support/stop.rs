//! When to stop.

use std::time::Duration;

/// Waits until the program is asked to end: SIGINT or, where there is one, SIGTERM. A harness may
/// bound its life by `AEMP_LIFE`, in seconds, so that it does not outlive a harness that was
/// killed.
pub async fn asked() -> std::io::Result<()> {
    let life = std::env::var("AEMP_LIFE");
    let life = life.ok().and_then(|secs| secs.parse().ok());
    let life = life.map_or(Duration::MAX, Duration::from_secs);
    tokio::time::timeout(life, signalled())
        .await
        .unwrap_or(Ok(()))
}

async fn signalled() -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            done = tokio::signal::ctrl_c() => done,
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}
