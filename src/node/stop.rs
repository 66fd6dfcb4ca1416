//! How a node ends.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Inner;
use crate::proto::Reason;

impl Inner {
    pub(crate) async fn shutdown(self: &Arc<Self>) {
        const PATIENCE: Duration = Duration::from_secs(1);
        let peers = self.peers.all();
        let flush = async {
            // What was to be killed before is told of before.
            self.kills.close();
            self.kills.wait().await;
            for peer in &peers {
                if peer.is_up() {
                    peer.wait_until_written().await;
                }
            }
        };
        let _ = tokio::time::timeout(PATIENCE, flush).await;
        self.stopping.store(true, Ordering::Release);
        self.stop.cancel();
        let _ = tokio::time::timeout(PATIENCE, self.halted.cancelled()).await;
        self.tasks.close();
        let _ = tokio::time::timeout(PATIENCE, self.tasks.wait()).await;
    }

    /// Ends everything: links are lost, monitors fire, ports die, and what the program gave us to
    /// call is dropped.
    pub(super) async fn halt(self: &Arc<Self>) {
        const PATIENCE: Duration = Duration::from_millis(500);
        self.stopping.store(true, Ordering::Release);
        let peers = self.peers.all();
        super::enter(&self.runtime, || {
            for peer in &peers {
                peer.disconnect(self, "node is shutting down");
            }
        });
        // Monitors may be firing on other threads.
        let settled = async {
            for peer in &peers {
                peer.settled().await;
            }
        };
        let _ = tokio::time::timeout(PATIENCE, settled).await;
        super::enter(&self.runtime, || {
            for port in self.ports.all() {
                port.die_of(self, Reason::normal());
            }
        });
        self.functions.clear();
        self.events.close();
        self.control.close();
        self.halted.cancel();
    }
}
