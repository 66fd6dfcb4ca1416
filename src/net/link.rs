//! The two halves of a link: a reader that hands messages to ports, a writer that sends what waits.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;
use tracing::Instrument as _;

use super::LinkError;
use crate::log::log_at;
use crate::node::peer::{Link, Peer};
use crate::node::{Inner, enter, request};
use crate::proto::framing::json::{ElementKind, Frame, JsonScanner};
use crate::proto::{FramingError, Message};

/// How much is read at once, in octets.
const READ_SIZE: usize = 64 * 1024;

/// With less room than this a new block is begun, in octets.
const LEAST_READ: usize = 4 * 1024;

/// How long a connection that we close is read from, so that what we wrote last still arrives.
const LINGER: Duration = Duration::from_millis(500);

/// A buffer of more than this is not kept for the next write.
const SPARE_SIZE: usize = 256 * 1024;

/// Starts both halves. `rest` is what followed the handshake.
pub(super) fn start(
    node: &Arc<Inner>,
    peer: &Arc<Peer>,
    link: Arc<Link>,
    stream: TcpStream,
    rest: Vec<u8>,
) {
    let (read, write) = stream.into_split();
    let reader = Reader {
        node: node.clone(),
        peer: peer.clone(),
        link: link.clone(),
        scanner: JsonScanner::new(node.settings.limits),
        buffer: BytesMut::from(&rest[..]),
    };
    let writer = Writer {
        node: node.clone(),
        peer: peer.clone(),
        link,
    };
    let span = tracing::info_span!(target: "aemp", "link", node = %node.id, peer = %peer.id,
        remote = %writer.link.remote, generation = %writer.link.info.generation);
    node.spawn_task(writer.run(write).instrument(span.clone()));
    node.spawn_task(reader.run(read).instrument(span));
}

/// The idle rules of a link (PROTOCOL.md, "Idle links").
struct Idle {
    /// The link is dead after so long without input.
    silence: Option<Duration>,
    /// A keepalive is sent after so long without output.
    keepalive: Option<Duration>,
}

fn idle(node: &Inner, link: &Link) -> Idle {
    if link.info.generation.has_idle_timeout() {
        let announced = link.info.greeting.timeout_secs();
        let own = node.settings.idle_timeout();
        let least = Duration::from_secs(1);
        return Idle {
            silence: announced.map(|secs| Duration::from_secs_f64(secs.min(1e6))),
            keepalive: Some(own.saturating_sub(node.settings.network_latency).max(least)),
        };
    }
    let hidden = node.listeners.read().is_empty();
    Idle {
        silence: None,
        keepalive: hidden.then(|| node.settings.monitor_timeout()),
    }
}

struct Reader {
    node: Arc<Inner>,
    peer: Arc<Peer>,
    link: Arc<Link>,
    scanner: JsonScanner,
    buffer: BytesMut,
}

impl Reader {
    async fn run(mut self, mut socket: OwnedReadHalf) {
        let closed = self.link.closed.clone();
        let result = tokio::select! {
            result = self.read(&mut socket) => result,
            () = closed.cancelled() => Ok(()),
        };
        if let Err(error) = result {
            let (peer, remote) = (&self.peer.id, &self.link.remote);
            match error.is_noteworthy() {
                true => log_at!(2, "{peer} ({remote}): {error}; closing the connection"),
                false => log_at!(9, "{remote} {error}"),
            }
            let node = &self.node;
            enter(&node.runtime, || {
                self.peer.fail(node, self.link.serial, &error.to_string());
            });
        }
        // Closing a socket with input in it would discard what the peer has not read yet.
        self.buffer = BytesMut::new();
        let drain = async move {
            let mut rest = [0; 1024];
            while matches!(socket.read(&mut rest).await, Ok(1..)) {}
        };
        self.node.runtime.spawn(timeout(LINGER, drain));
    }

    async fn read(&mut self, socket: &mut OwnedReadHalf) -> Result<(), LinkError> {
        let silence = idle(&self.node, &self.link).silence;
        loop {
            self.take()?;
            if self.buffer.capacity() - self.buffer.len() < LEAST_READ {
                self.buffer.reserve(READ_SIZE);
            }
            let read = socket.read_buf(&mut self.buffer);
            let read = match silence {
                Some(limit) => timeout(limit, read)
                    .await
                    .map_err(|_| LinkError::Silent(limit))??,
                None => read.await?,
            };
            if read == 0 {
                return Err(LinkError::Closed);
            }
        }
    }

    /// Hands out every complete message in the buffer.
    fn take(&mut self) -> Result<(), FramingError> {
        let node = self.node.clone();
        enter(&node.runtime, || {
            while let Some(frame) = self.scanner.next(&self.buffer)? {
                self.hand_out(frame);
                if self.link.closed.is_cancelled() {
                    break;
                }
            }
            Ok(())
        })
    }

    fn hand_out(&mut self, frame: Frame) {
        let octets = self.buffer.split_to(frame.end);
        let traffic = &self.link.traffic;
        traffic.received.fetch_add(1, Ordering::Relaxed);
        let size = octets.len() as u64;
        traffic.received_octets.fetch_add(size, Ordering::Relaxed);
        let Some(dest) = frame.dest else {
            return; // a keepalive
        };
        let name = dest.text(&octets).into_owned();
        let quote = usize::from(!matches!(dest.kind, ElementKind::Number));
        let message = Message::from_frame(octets, dest.end + quote);
        if crate::trace::enabled() {
            crate::trace::received(self.peer.id.as_str(), &name, &message);
        }
        if name.is_empty() {
            let origin = request::Origin {
                peer: &self.peer,
                generation: self.link.info.generation,
            };
            request::perform(&self.node, Some(&origin), message);
        } else {
            self.node.deliver(&name, message);
        }
    }
}

/// However the reader ends, the link ends with it.
impl Drop for Reader {
    fn drop(&mut self) {
        if !self.link.closed.is_cancelled() && !self.node.is_stopping() {
            self.peer
                .fail(&self.node, self.link.serial, "the reader ended");
        }
    }
}

struct Writer {
    node: Arc<Inner>,
    peer: Arc<Peer>,
    link: Arc<Link>,
}

impl Writer {
    async fn run(self, mut socket: OwnedWriteHalf) {
        let closed = self.link.closed.clone();
        let result = tokio::select! {
            result = self.write(&mut socket) => result,
            () = closed.cancelled() => Ok(()),
        };
        if let Err(error) = result {
            log_at!(9, "{} {error}", self.link.remote);
            let node = &self.node;
            enter(&node.runtime, || {
                self.peer.fail(node, self.link.serial, &error.to_string());
            });
        }
        // Dropping this half sends the end of the stream.
    }

    async fn write(&self, socket: &mut OwnedWriteHalf) -> std::io::Result<()> {
        let keepalive = idle(&self.node, &self.link).keepalive;
        let mut spare = Vec::new();
        loop {
            let Some(mut taken) = self.peer.take_output(&self.link, spare) else {
                return Ok(());
            };
            if taken.is_empty() {
                spare = taken;
                let ready = self.link.ready.notified();
                match keepalive {
                    None => ready.await,
                    Some(after) => {
                        if timeout(after, ready).await.is_err() {
                            socket.write_all(b"[]").await?;
                        }
                    }
                }
                continue;
            }
            socket.write_all(&taken).await?;
            let sent = &self.link.traffic.sent_octets;
            sent.fetch_add(taken.len() as u64, Ordering::Relaxed);
            taken.clear();
            if taken.capacity() > SPARE_SIZE {
                taken = Vec::new();
            }
            spare = taken;
        }
    }
}
