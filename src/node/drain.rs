//! The end of a node that leaves nothing undone.
//!
//! There is nothing on the way of a message that tells when all of them are done: that would cost
//! each of them something. So a drain looks, now and then, at what ports, links and those who wait
//! still have to do. What is begun meanwhile is counted ([`Lifecycle::begun`]), and a look during
//! which something was is not believed.
//!
//! [`Lifecycle::begun`]: super::stop::Lifecycle::begun

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::{Inner, Node};

/// What was dropped when a node ended before everything was done: see [`Node::shutdown_within`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// let node = aemp::Node::local();
/// let inbox = node.mailbox(); // which nobody reads
/// node.snd(inbox.id(), &("hello",))?;
/// let left = node.shutdown_within(Duration::from_millis(5)).await.unwrap_err();
/// assert_eq!((left.messages, left.handlers, left.calls, left.octets), (1, 0, 0, 0));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unfinished {
    /// Messages that waited in ports of this node.
    pub messages: usize,
    /// Handlers, init functions and actions of monitors that were at work.
    pub handlers: usize,
    /// Calls of this node that waited for their answer, and sends that waited for room.
    pub calls: usize,
    /// Octets that were not written to other nodes, those for nodes without a link included. What
    /// was being written at a time counts as a whole.
    pub octets: usize,
}

impl Unfinished {
    fn is_nothing(&self) -> bool {
        *self == Unfinished::default()
    }
}

impl fmt::Display for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Unfinished {
            messages,
            handlers,
            calls,
            octets,
        } = self;
        write!(
            f,
            "the node ended before all was done: {messages} messages in ports, {handlers} handlers \
             at work, {calls} calls and {octets} octets to be written were dropped"
        )
    }
}

impl std::error::Error for Unfinished {}

impl Node {
    /// Stops the node when what it has to do is done, but after that time at the latest.
    ///
    /// First it *drains*. Its ports leave all groups, so that nobody new comes. No connection is
    /// accepted, no seed dialled, and nothing is spawned or [called by name](Self::function) for
    /// other nodes. Of what other nodes send, only mailboxes get something, which the answers to
    /// calls and whatever else is waited for go to: what is sent to handlers is lost from here on,
    /// and monitors tell who sent it when the links end. Monitors, kills, and news of
    /// [room](Self::snd_wait) still come by the links. Meanwhile
    ///
    /// - handlers that are at work, asynchronous ones too, end;
    /// - the messages that wait in ports are taken, and so are those that ports of this node send
    ///   each other, until none is left;
    /// - calls of this node get their answers, and sends that wait for room are sent;
    /// - everything is written to other nodes. What waits for a node without a link still gets one.
    ///
    /// Then the node stops as with [`shutdown`](Self::shutdown). What [`after`](Self::after) and
    /// [`snd_after`](Self::snd_after) have planned is not waited for, nor is what the program's own
    /// tasks do, with a message that they have received for example. Nor is what the node relays
    /// for others, if it is a `bridge`: that is lost with its links, and the monitors of who sent
    /// it fire.
    ///
    /// Dropping the future ends the node at once. A handler that awaits this waits for itself, for
    /// the whole time.
    ///
    /// # Errors
    ///
    /// [`Unfinished`] if the time was over, or another handle has stopped the node meanwhile; it
    /// says what was dropped.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// let node = aemp::Node::local();
    /// let (tell, told) = std::sync::mpsc::channel();
    /// let worker = node.port();
    /// worker.rcv_async("job", move |_, (n,): (u32,)| {
    ///     let tell = tell.clone();
    ///     async move {
    ///         tokio::time::sleep(Duration::from_millis(1)).await;
    ///         tell.send(n)
    ///     }
    /// });
    /// for n in 0..3 {
    ///     node.snd(&worker, &("job", n))?;
    /// }
    /// node.shutdown_within(Duration::from_secs(9)).await?;
    /// assert_eq!(told.iter().collect::<Vec<u32>>(), [0, 1, 2]);
    /// # Ok(()) }
    /// ```
    pub async fn shutdown_within(&self, time: Duration) -> Result<(), Unfinished> {
        let node = self.inner();
        let until = Instant::now() + time.min(LONGEST);
        let dropped = EndWhenDropped(node);
        let left = node.drain(until).await;
        node.end().await;
        drop(dropped);
        match left.is_nothing() {
            true => Ok(()),
            false => Err(left),
        }
    }

    /// Stops the node now: what waits to be sent is sent (for at most a second), listeners and
    /// links are closed, so that peers notice at once, all monitors fire, all ports end. Handlers
    /// at work are dropped, unlike with [`shutdown_within`](Self::shutdown_within). From then on
    /// whatever sends is an error, whatever waited ends, and monitors of other nodes' ports fire at
    /// once.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let node = aemp::Node::local();
    /// let port = node.port();
    /// node.shutdown().await;
    /// assert!(!port.is_alive());
    /// # }
    /// ```
    pub async fn shutdown(&self) {
        self.inner().shutdown().await;
    }

    /// Waits until the node has stopped, whoever has stopped it: its links are closed, its monitors
    /// have fired, its ports are dead.
    ///
    /// The future is no handle of the node: it does not keep it running.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let node = aemp::Node::local();
    /// let closed = tokio::spawn(node.closed());
    /// drop(node); // the last handle
    /// closed.await.unwrap();
    /// # }
    /// ```
    pub fn closed(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        self.inner().lifecycle.halted().cancelled_owned()
    }
}

/// As long as any drain may take: what is longer could not be added to the time.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Nobody is left waiting for the end of a drain that nobody awaits any more.
struct EndWhenDropped<'a>(&'a Arc<Inner>);

impl Drop for EndWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.lifecycle.stopping().cancel();
    }
}

impl Inner {
    /// Brings everything to its end, and says what is left of it then.
    async fn drain(self: &Arc<Self>, until: Instant) -> Unfinished {
        /// How long to wait before the next look: the longer it lasts the longer.
        const FIRST: Duration = Duration::from_millis(1);
        const LONGEST: Duration = Duration::from_millis(20);
        /// A look at so many ports takes a small part of a millisecond.
        const PORTS_PER_MILLISECOND: usize = 10_000;
        self.lifecycle.begin_to_drain(until);
        if self.is_stopping() {
            return Unfinished::default(); // somebody else has seen to it, or to nothing
        }
        self.control.leave_groups(self);
        let _ = timeout_at(until, self.told_of_kills()).await;
        let stopping = self.lifecycle.stopping();
        let mut pause = FIRST;
        loop {
            let begun = self.lifecycle.begun();
            let left = self.left();
            if self.is_stopping() {
                return match self.lifecycle.left_nothing() {
                    true => Unfinished::default(),
                    false => left,
                };
            }
            if left.is_nothing() && begun == self.lifecycle.begun() {
                self.lifecycle.has_drained();
                return left;
            }
            if Instant::now() >= until {
                return left;
            }
            let ports = self.ports.len() / PORTS_PER_MILLISECOND;
            let next = pause.max(Duration::from_millis(ports as u64));
            pause = (pause * 2).min(LONGEST);
            let at = until.min(Instant::now() + next);
            let _ = timeout_at(at, stopping.cancelled()).await;
        }
    }

    /// What is still to be done. It is looked at in this order: each may lead to what comes behind
    /// it, and what leads back is counted as begun.
    fn left(&self) -> Unfinished {
        let mut left = Unfinished::default();
        for port in self.ports.all() {
            let (messages, at_work) = port.at_work();
            left.messages += messages;
            left.handlers += usize::from(at_work);
        }
        left.handlers += self.lifecycle.jobs();
        left.calls = self.lifecycle.waiting();
        left.octets = self.peers.all().iter().map(|peer| peer.unwritten()).sum();
        left
    }
}
