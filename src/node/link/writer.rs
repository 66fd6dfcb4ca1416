//! The writer of a link: writes what waits, as long as nobody flushes in its place.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use tokio::time::timeout;

use super::end::Half;
use super::{Link, Peer};
use crate::log::log_at;
use crate::net::WriteHalf;
use crate::node::{Inner, Loss, enter};
use crate::peering::Taken;

/// A buffer of more than this is not kept for the next write, in octets.
const SPARE_SIZE: usize = 1024 * 1024;

/// Nor one of more than this while there is nothing to write.
const IDLE_SIZE: usize = 4 * 1024;

/// Lets the tasks go first that are ready by now. Unlike tokio's `yield_now`, which means to let
/// the system go first too, this asks it nothing.
async fn step_aside() {
    let mut stepped = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut stepped, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// The idle rules of a link (PROTOCOL.md, "Idle links").
pub(super) struct Idle {
    /// The link is dead after so long without input.
    pub(super) silence: Option<Duration>,
    /// A keepalive is sent after so long without output.
    pub(super) keepalive: Option<Duration>,
}

pub(super) fn idle(node: &Inner, link: &Link) -> Idle {
    if link.generation().has_idle_timeout() {
        let announced = link.info.greeting.timeout_secs();
        let own = node.settings.idle_timeout();
        let least = Duration::from_secs(1);
        return Idle {
            silence: announced.map(|secs| Duration::from_secs_f64(secs.min(1e6))),
            keepalive: Some(own.saturating_sub(node.settings.network_latency).max(least)),
        };
    }
    // Nodes of this crate do so in every generation: it does no harm.
    let keeps = link.generation().hidden_keeps_alive() || !link.info.is_perl();
    let hidden = keeps && node.listeners.read().is_empty();
    Idle {
        silence: None,
        keepalive: hidden.then(|| node.settings.monitor_timeout()),
    }
}

/// Writes all of it. Somebody else may write to the socket as well, but not meanwhile.
async fn write_all(socket: &WriteHalf, mut octets: &[u8]) -> std::io::Result<()> {
    // However fast it goes, other tasks get their turn.
    tokio::task::coop::consume_budget().await;
    while !octets.is_empty() {
        match socket.try_write(octets) {
            Ok(0) => return Err(std::io::ErrorKind::WriteZero.into()),
            Ok(written) => octets = octets.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                socket.writable().await?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// However the writer ends, nobody writes any more.
impl Drop for Writer {
    fn drop(&mut self) {
        let socket = self.link.socket.lock().take();
        // This half sends the end of the stream when it is dropped; if the other side has closed
        // the connection, what closes ours does that as well.
        if self.link.closed_there.load(Ordering::Relaxed)
            && let Some(socket) = socket.and_then(Arc::into_inner)
        {
            socket.forget();
        }
    }
}

/// What the writer does when there is nothing to write. Before it sleeps and gives up the memory of
/// its buffers, whoever waits for room gets a turn, and may fill them again: first the other tasks,
/// then the future that the runtime itself runs.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// Lets the tasks go first that are ready by now.
    Aside,
    /// Lets the system go first, too.
    Yield,
    /// Waits.
    Sleep,
}

pub(super) struct Writer {
    pub(super) node: Arc<Inner>,
    pub(super) peer: Arc<Peer>,
    pub(super) link: Arc<Link>,
}

impl Writer {
    pub(super) async fn run(self, socket: Arc<WriteHalf>) {
        let writing = self.write(&socket);
        let result = self.link.end.unless_over(Half::Writer, writing).await;
        if let Some(Err(error)) = result {
            log_at!(9, "{} {error}", self.link.remote);
            let node = &self.node;
            enter(&node.runtime, || {
                self.peer
                    .fail(node, self.link.facts.serial, Loss::Io, &error.to_string());
            });
        }
        drop(socket); // the writer has it, too, until it is dropped
    }

    async fn write(&self, socket: &WriteHalf) -> std::io::Result<()> {
        let keepalive = idle(&self.node, &self.link).keepalive;
        let mut buffer = Vec::new();
        let mut step = Step::Sleep;
        while let Some(taken) = self.peer.take_output(&self.link, &mut buffer) {
            if taken == Taken::Octets {
                step = match buffer.capacity() > IDLE_SIZE {
                    true => Step::Aside,
                    false => Step::Sleep,
                };
                write_all(socket, &buffer).await?;
                let sent = &self.link.traffic.sent_octets;
                sent.fetch_add(buffer.len() as u64, Ordering::Relaxed);
                buffer.clear();
                if buffer.capacity() > SPARE_SIZE {
                    buffer = Vec::new();
                }
                crate::node::give_buffer(&mut buffer);
                continue;
            }
            match step {
                Step::Aside => {
                    step = Step::Yield;
                    step_aside().await;
                }
                Step::Yield => {
                    step = Step::Sleep;
                    tokio::task::yield_now().await;
                }
                Step::Sleep => {
                    buffer.shrink_to(IDLE_SIZE);
                    self.peer.writer_sleeps(IDLE_SIZE);
                    let ready = self.link.ready.notified();
                    match keepalive {
                        None => ready.await,
                        Some(after) => {
                            if timeout(after, ready).await.is_err() {
                                self.peer.poke();
                            }
                        }
                    }
                }
            }
        }
        Ok(())
    }
}
