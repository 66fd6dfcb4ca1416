//! How a node ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::Inner;
use crate::proto::Reason;

/// What runs as long as the node does, and what its end waits for, in this order.
pub(crate) struct Lifecycle {
    /// Kills of ports that wait behind messages: a shutdown waits until they were told of.
    kills: TaskTracker,
    /// From here on nothing is sent, taken or begun any more, and no link comes up.
    stopping: AtomicBool,
    /// Ends the tasks that end with the node, and begins to [halt](Inner::halt) it.
    stop: CancellationToken,
    /// Everybody has been told that the node stopped: links are lost, monitors have fired, ports
    /// are dead.
    halted: CancellationToken,
    /// All tasks of the node: a shutdown waits for them at last.
    tasks: TaskTracker,
}

impl Lifecycle {
    /// Begins. `stop` is what the handles of the program stop the node with.
    pub(super) fn new(stop: CancellationToken) -> Self {
        Lifecycle {
            kills: TaskTracker::new(),
            stopping: AtomicBool::new(false),
            stop,
            halted: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// For a kill that waits: a shutdown waits for it until the token is dropped.
    pub(super) fn kill_waits(&self) -> TaskTrackerToken {
        self.kills.token()
    }

    fn begin_to_stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }
}

impl Inner {
    /// Runs a task that ends when the node stops.
    pub(crate) fn spawn_task(self: &Arc<Self>, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.lifecycle.stop.clone();
        // So that what is moved here and there until the task runs is little.
        let task = Box::pin(task);
        self.spawn_link_task(async move {
            tokio::select! {
                biased; // a node that stops begins nothing new
                () = stop.cancelled() => {}
                () = task => {}
            }
        });
    }

    /// Runs a task that ends by itself soon after the node stops.
    pub(crate) fn spawn_link_task(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.lifecycle.tasks.spawn_on(task, &self.runtime);
    }

    /// Runs a task of a port, which ends it.
    pub(crate) fn spawn_port_task(
        &self,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> AbortHandle {
        let task = self.lifecycle.tasks.spawn_on(task, &self.runtime);
        task.abort_handle()
    }

    pub(crate) async fn shutdown(self: &Arc<Self>) {
        const PATIENCE: Duration = Duration::from_secs(1);
        let peers = self.peers.all();
        let flush = async {
            // Ports that were to be killed before the end have died, and that is told, before links
            // are lost.
            self.lifecycle.kills.close();
            self.lifecycle.kills.wait().await;
            for peer in &peers {
                if peer.is_up() {
                    peer.wait_until_written().await;
                }
            }
        };
        let _ = tokio::time::timeout(PATIENCE, flush).await;
        self.lifecycle.begin_to_stop();
        self.lifecycle.stop.cancel();
        let _ = tokio::time::timeout(PATIENCE, self.lifecycle.halted.cancelled()).await;
        self.lifecycle.tasks.close();
        let _ = tokio::time::timeout(PATIENCE, self.lifecycle.tasks.wait()).await;
    }

    /// Ends everything: links are lost, monitors fire, ports die, and what the program gave us to
    /// call is dropped.
    pub(super) async fn halt(self: &Arc<Self>) {
        const PATIENCE: Duration = Duration::from_millis(500);
        self.lifecycle.begin_to_stop();
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
            let mut ports = self.ports.all();
            ports.sort_unstable_by(|a, b| a.id.cmp(&b.id));
            for port in ports {
                port.die_of(self, Reason::normal());
            }
        });
        self.functions.clear();
        self.events.close();
        self.control.close();
        self.lifecycle.halted.cancel();
    }
}
