//! How a node ends.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::Inner;
use crate::proto::Reason;

/// How long each step of the end may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// What runs as long as the node does, and what its end waits for, in this order.
pub(crate) struct Lifecycle {
    /// How far the node is, as a [`Phase`].
    phase: AtomicU8,
    /// What a [drain](super::drain) waits for.
    work: Work,
    /// From here on nobody new is let in.
    closing: CancellationToken,
    /// Kills of ports that wait behind messages: a shutdown waits until they were told of.
    kills: TaskTracker,
    /// Ends the tasks that end with the node, and begins to [halt](Inner::halt) it.
    stop: CancellationToken,
    /// Everybody has been told that the node stopped: links are lost, monitors have fired, ports
    /// are dead.
    halted: CancellationToken,
    /// All tasks of the node: a shutdown waits for them at last.
    tasks: TaskTracker,
}

/// How far a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Phase {
    Runs,
    /// What there is is brought to its end, and nothing new is begun for others.
    Drains,
    /// Nothing is sent, taken or begun any more, and no link comes up.
    Stops,
}

/// What there is to be brought to its end, besides what ports and links hold.
#[derive(Default)]
struct Work {
    /// Pieces of work that were put on a thread's list.
    jobs: AtomicUsize,
    /// Whoever waits for the answer to a call, or for room to send.
    waits: AtomicUsize,
    /// Counts what was begun since the drain has.
    begun: AtomicU64,
    /// Nothing was left when the node stopped.
    done: AtomicBool,
    /// Until when the halves of closed links wait for the other side.
    until: OnceLock<Instant>,
}

/// Somebody waits, until this is dropped.
pub(crate) struct WaitGuard<'a>(&'a AtomicUsize);

impl Drop for WaitGuard<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Lifecycle {
    /// Begins. `stop` is what the handles of the program stop the node with.
    pub(super) fn new(stop: CancellationToken) -> Self {
        Lifecycle {
            phase: AtomicU8::new(Phase::Runs as u8),
            work: Work::default(),
            closing: CancellationToken::new(),
            kills: TaskTracker::new(),
            stop,
            halted: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }
    }

    #[inline]
    fn is(&self, phase: Phase) -> bool {
        self.phase.load(Ordering::Acquire) == phase as u8
    }

    #[inline]
    pub(super) fn is_stopping(&self) -> bool {
        self.is(Phase::Stops)
    }

    /// Whether what others want done is begun.
    #[inline]
    pub(super) fn is_open(&self) -> bool {
        self.is(Phase::Runs)
    }

    /// Whether what there is is brought to its end, and nothing new begun for others.
    #[inline]
    pub(super) fn is_draining(&self) -> bool {
        self.is(Phase::Drains)
    }

    /// For a kill that waits: a shutdown waits for it until the token is dropped.
    pub(super) fn kill_waits(&self) -> TaskTrackerToken {
        self.kills.token()
    }

    /// Somebody waits for an answer or for room.
    pub(super) fn waits(&self) -> WaitGuard<'_> {
        self.work.waits.fetch_add(1, Ordering::AcqRel);
        WaitGuard(&self.work.waits)
    }

    /// How many do.
    pub(super) fn waiting(&self) -> usize {
        self.work.waits.load(Ordering::Acquire)
    }

    /// A piece of work is put on a list.
    pub(super) fn job_begins(&self) {
        self.work.jobs.fetch_add(1, Ordering::AcqRel);
        if self.is_draining() {
            self.begins();
        }
    }

    /// It is done.
    pub(super) fn job_ended(&self) {
        self.work.jobs.fetch_sub(1, Ordering::AcqRel);
    }

    /// How many are to be done.
    pub(super) fn jobs(&self) -> usize {
        self.work.jobs.load(Ordering::Acquire)
    }

    /// Something was begun while the node drains.
    #[cold]
    pub(super) fn begins(&self) {
        self.work.begun.fetch_add(1, Ordering::AcqRel);
    }

    /// Counts what was begun while the node drains: a look at everything, one after the other, is
    /// as good as one at a single moment if this is the same before and after.
    pub(super) fn begun(&self) -> u64 {
        self.work.begun.load(Ordering::Acquire)
    }

    /// Resolves when nobody new is let in any more.
    pub(super) fn closing(&self) -> CancellationToken {
        self.closing.clone()
    }

    /// Resolves when the node begins to stop.
    pub(super) fn stopping(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Resolves when the node has stopped.
    pub(super) fn halted(&self) -> CancellationToken {
        self.halted.clone()
    }

    /// How long the reader of a closed link waits for the other side: that long, or as long as a
    /// drain has time.
    pub(super) fn patience(&self, least: Duration) -> Duration {
        let until = self.work.until.get();
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        left.unwrap_or_default().max(least)
    }

    /// What there is is brought to its end until then. Nothing happens if the node stops already.
    pub(super) fn begin_to_drain(&self, until: Instant) {
        let (runs, drains) = (Phase::Runs as u8, Phase::Drains as u8);
        let order = (Ordering::AcqRel, Ordering::Acquire);
        let _ = (self.phase).compare_exchange(runs, drains, order.0, order.1);
        let _ = self.work.until.set(until);
        self.closing.cancel();
    }

    /// Nothing is left to be done.
    pub(super) fn has_drained(&self) {
        self.work.done.store(true, Ordering::Release);
    }

    /// Whether nothing was left when the node stopped.
    pub(super) fn left_nothing(&self) -> bool {
        self.work.done.load(Ordering::Acquire)
    }

    fn begin_to_stop(&self) {
        self.phase.store(Phase::Stops as u8, Ordering::Release);
        self.closing.cancel();
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

    pub(super) async fn shutdown(self: &Arc<Self>) {
        let peers = self.peers.all();
        let flush = async {
            self.told_of_kills().await;
            for peer in &peers {
                if peer.is_up() {
                    peer.wait_until_written().await;
                }
            }
        };
        let _ = tokio::time::timeout(PATIENCE, flush).await;
        self.end().await;
    }

    /// Waits until ports that were to be killed before the end have died, and that is told: before
    /// links are lost.
    pub(super) async fn told_of_kills(&self) {
        self.lifecycle.kills.close();
        self.lifecycle.kills.wait().await;
    }

    /// Stops the node, whatever there is to be done.
    pub(super) async fn end(&self) {
        self.lifecycle.begin_to_stop();
        self.lifecycle.stop.cancel();
        let _ = tokio::time::timeout(PATIENCE, self.lifecycle.halted.cancelled()).await;
        self.lifecycle.tasks.close();
        let _ = tokio::time::timeout(PATIENCE, self.lifecycle.tasks.wait()).await;
    }

    /// Ends everything: links are lost, monitors fire, ports die, and what the program gave us to
    /// call is dropped.
    pub(super) async fn halt(self: &Arc<Self>) {
        /// So that the rest is done while a shutdown waits for it.
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
        self.data.clear();
        self.events.close();
        self.control.close();
        self.lifecycle.halted.cancel();
    }
}
