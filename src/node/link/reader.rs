//! The reader of a link: hands the messages that come by it to their ports.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use tokio::io::AsyncReadExt as _;
use tokio::time::{Instant, timeout};
use tracing::Instrument as _;

use super::end::Half;
use super::output::Cause;
use super::writer::{self, Writer};
use super::{Link, Peer};
use crate::log::{LINE, Shown, log_at};
use crate::net::{Intake, LinkError, ReadHalf, Stream};
use crate::node::held::{Full, Level};
use crate::node::watched::Watched;
use crate::node::{FastPath, Inner, Loss, enter, enter_task, forget, request};
use crate::proto::message::{Arrived, Incoming, are_plain};
use crate::proto::{Framing, FramingError};

/// After so many octets of input, what was sent meanwhile is written, so that answers do not wait
/// for the end of a large block.
const FLUSHED: usize = 16 * 1024;

/// Behind a message that is not yet complete and already longer than this, in octets, so many are
/// taken the usual way: trying to read such a message at once is in vain most of the time.
const LARGE: usize = 4 * 1024;
const LARGE_IN_A_ROW: u32 = 16;

/// After so much work, or so many octets, other tasks get their turn, even if more has come: who
/// sends without a pause must not keep other links waiting. Turns of few octets would cost a tenth
/// of the throughput where many links are busy, turns of many last too long where each message is
/// much work. Where time is virtual the octets decide alone.
const TURN: Duration = Duration::from_micros(500);
const MOST_OF_TURN: usize = 1024 * 1024;

/// The work of shorter blocks is not timed, in octets: who sends without a pause fills longer ones.
const TIMED: usize = 16 * 1024;

/// A message of more octets than this has its memory for itself, if little came behind it: it goes
/// with the message, as soon as nobody needs that any more.
const ALONE: usize = 512 * 1024;

/// How long a connection that we close is read from, so that what we wrote last still arrives.
const LINGER: Duration = Duration::from_millis(500);

/// Starts both halves. `rest` is what followed the handshake.
pub(super) fn start(
    node: &Arc<Inner>,
    peer: &Arc<Peer>,
    link: Arc<Link>,
    stream: Stream,
    rest: Vec<u8>,
) {
    let (read, write) = stream.into_split();
    let reader = Reader {
        node: node.clone(),
        peer: peer.clone(),
        link: link.clone(),
        incoming: Incoming::new(link.recv_framing, node.settings.limits),
        intake: Intake::new(&rest),
        input: peer.account.level(),
        large: 0,
    };
    let write = Arc::new(write);
    *link.socket.lock() = Some(write.clone());
    let writer = Writer {
        node: node.clone(),
        peer: peer.clone(),
        link,
    };
    let span = tracing::info_span!(target: "aemp", "link", node = %Shown(&node.id, LINE),
        peer = %Shown(&peer.id, LINE), remote = %writer.link.remote,
        generation = %writer.link.generation());
    node.spawn_link_task(writer.run(write).instrument(span.clone()));
    node.spawn_link_task(reader.run(read).instrument(span));
}

struct Reader {
    node: Arc<Inner>,
    peer: Arc<Peer>,
    link: Arc<Link>,
    incoming: Incoming,
    intake: Intake,
    /// What the intake holds of a message that is not complete.
    input: Level,
    /// So many messages more are expected to be [`LARGE`].
    large: u32,
}

impl Reader {
    async fn run(mut self, mut socket: ReadHalf) {
        let link = self.link.clone();
        let reading = self.read(&mut socket);
        let result = link.end.unless_over(Half::Reader, reading).await;
        let ended = matches!(result, Some(Err(LinkError::Closed)));
        if ended {
            link.closed_there.store(true, Ordering::Relaxed);
        }
        if let Some(Err(error)) = result {
            self.node.limits.ended(&error);
            let (peer, remote) = (&self.peer.id, &self.link.remote);
            match error.is_noteworthy() {
                true => log_at!(
                    2,
                    [peer.as_str()],
                    "{peer} ({remote}): {error}; closing the connection"
                ),
                false => log_at!(9, "{remote} {error}"),
            }
            let node = &self.node;
            enter(&node.runtime, || {
                self.peer.fail(
                    node,
                    self.link.facts.serial,
                    (&error).into(),
                    &error.to_string(),
                );
            });
        }
        if ended {
            return;
        }
        // Closing a socket with input in it would discard what the peer has not read yet.
        drop(self.intake.take());
        let drain = async move {
            let mut rest = [0; 1024];
            while matches!(socket.read(&mut rest).await, Ok(1..)) {}
        };
        let patience = self.node.lifecycle.patience(LINGER);
        self.node.runtime.spawn(timeout(patience, drain));
    }

    async fn read(&mut self, socket: &mut ReadHalf) -> Result<(), LinkError> {
        let silence = writer::idle(&self.node, &self.link).silence;
        let mut block = self.intake.take();
        let (mut turn, mut work) = (0, Duration::ZERO);
        loop {
            let begun = (block.len() >= TIMED).then(Instant::now);
            let handed_out = self.hand_out_all(&mut block);
            work += begun.map_or(Duration::ZERO, |begun| begun.elapsed());
            self.intake.keep(block);
            handed_out?;
            if self.link.end.is_over() {
                return Ok(()); // what is left of the block is no further reason for that
            }
            self.input.set(self.intake.held()).map_err(|Full| {
                let held = self.intake.held();
                LinkError::Memory {
                    held,
                    most: self.node.memory.most(),
                }
            })?;
            self.wait_for_other_side().await;
            if turn >= MOST_OF_TURN || work >= TURN {
                // Here, where nothing is kept that belongs to the thread.
                (turn, work) = (0, Duration::ZERO);
                tokio::task::yield_now().await;
            }
            let fill = self.intake.fill(socket);
            let (filled, read) = match silence {
                Some(limit) => timeout(limit, fill)
                    .await
                    .map_err(|_| LinkError::Silent(limit))??,
                None => fill.await?,
            };
            if read == 0 {
                return Err(LinkError::Closed);
            }
            block = filled;
            turn += read;
        }
    }

    /// Waits, in a bridge, until the other side has taken enough of what came.
    async fn wait_for_other_side(&self) {
        let full = |relay: &Arc<dyn crate::node::Relay>| relay.target(&self.peer.id);
        if let Some((peer, most)) = self.node.relay.as_ref().and_then(full) {
            peer.wait_until_fewer(most).await;
        }
    }

    /// Hands out every complete message in the block.
    fn hand_out_all(&mut self, block: &mut BytesMut) -> Result<(), FramingError> {
        let (node, peer, link) = (self.node.clone(), self.peer.clone(), self.link.clone());
        peer.read_turn(&link, || {
            enter_task(&node.runtime, || {
                let mut fast = FastPath::new(&node);
                let result = self.hand_out_block(&node, block, &mut fast);
                fast.end(&node);
                result
            })
        })
    }

    fn hand_out_block(
        &mut self,
        node: &Arc<Inner>,
        block: &mut BytesMut,
        fast: &mut FastPath,
    ) -> Result<(), FramingError> {
        let rights = self.link.rights();
        let watched = Watched::now(node).any();
        let quick = !crate::trace::enabled()
            && !watched
            && rights.is_none_or(|rights| request::leave_ports_alone(&rights));
        let framing = self.link.recv_framing;
        let plain = quick && framing == Framing::Json && are_plain(block);
        let (mut at, mut messages, mut flushed) = (0, 0, 0);
        while at < block.len() && !self.link.end.is_over() {
            let tried = quick && self.large == 0 && self.incoming.is_between();
            let octets = &mut block[at..];
            let taken = match tried {
                true => fast
                    .deliver(node, framing, octets, plain)
                    .or_else(|| match node.relay {
                        None => request::perform_quick(node, &self.peer, framing, octets, plain),
                        Some(_) => None,
                    }),
                false => None,
            };
            if let Some(len) = taken {
                at += len;
                messages += 1;
                if at - flushed >= FLUSHED {
                    flushed = at;
                    self.peer.flush(&self.link, Cause::Came);
                }
                continue;
            }
            flushed = 0;
            fast.release(node);
            self.count(std::mem::take(&mut messages), at);
            block.advance(std::mem::take(&mut at));
            let Some(arrived) = self.incoming.next(block)? else {
                if tried && block.len() > LARGE {
                    self.large = LARGE_IN_A_ROW;
                }
                break;
            };
            self.large = self.large.saturating_sub(1);
            self.count(1, arrived.octets);
            // What it makes the node hold is counted where it goes.
            self.input.force(0);
            if arrived.octets > ALONE && block.len() <= LARGE {
                *block = BytesMut::from(&block[..]);
            }
            self.hand_out(arrived);
        }
        self.count(messages, at);
        block.advance(at);
        Ok(())
    }

    fn count(&self, messages: u64, octets: usize) {
        let traffic = &self.link.traffic;
        traffic.received.fetch_add(messages, Ordering::Relaxed);
        let octets = octets as u64;
        traffic.received_octets.fetch_add(octets, Ordering::Relaxed);
    }

    fn hand_out(&mut self, arrived: Arrived) {
        let Some(name) = arrived.name else {
            return; // a keepalive
        };
        let message = arrived.message;
        if crate::trace::enabled() {
            crate::trace::received(self.peer.id.as_str(), &name, &message);
        }
        if let Some(relay) = &self.node.relay
            && relay.pass(&self.node, &self.peer, &self.link, &name, &message)
        {
            return;
        }
        let rights = self.link.rights();
        let origin = request::Origin {
            peer: &self.peer,
            generation: self.link.generation(),
            rights: rights.as_deref(),
        };
        let (name, message) = match self.link.facts.traces {
            true => match request::open_traced(&self.node, &origin, name, message) {
                Some(opened) => opened,
                None => return,
            },
            false => (name, message),
        };
        if name.is_empty() {
            request::perform(&self.node, request::Source::Peer(&origin), message);
        } else if request::may_send(&self.node, &origin, &name) {
            self.node.deliver_now(&self.peer, &name, message);
        }
    }
}

/// However the reader ends, the link ends with it.
impl Drop for Reader {
    fn drop(&mut self) {
        forget();
        if !self.link.end.is_over() && !self.node.is_stopping() {
            self.peer.fail(
                &self.node,
                self.link.facts.serial,
                Loss::Other,
                "the reader ended",
            );
        }
    }
}
