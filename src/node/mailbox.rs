//! Ports to receive from, in the manner of Coro::MP.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use atomic_waker::AtomicWaker;
use futures_core::Stream;

use super::port::PortCell;
use super::{Inner, Node};
use crate::proto::{Message, PortId, Reason};

/// Why nothing was received.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use aemp::{Node, Reason, RecvError};
/// let node = Node::local();
/// let mut inbox = node.mailbox();
/// node.kil(inbox.id(), Reason::normal());
/// assert_eq!(inbox.recv().await.unwrap_err(), RecvError::Dead);
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecvError {
    /// The port is dead, and no message that is wanted is left.
    #[error("the port is dead")]
    Dead,
    /// Nothing came in time.
    #[error("nothing came within {0:?}")]
    TimedOut(Duration),
}

/// A port whose messages wait until they are received, in any order that the program likes.
///
/// It is a [`Stream`] of its messages, too. The port dies when this is dropped, or its node stops,
/// which this does not keep [running](Node#what-keeps-it-running).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = aemp::Node::local();
/// let mut inbox = node.mailbox();
/// node.snd(inbox.id(), &("log", "a line"))?;
/// node.snd(inbox.id(), &("pong", 7))?;
/// let (n,): (u32,) = inbox.recv_tag("pong").await?.args()?;
/// assert_eq!(n, 7);
/// let (tag, text): (String, String) = inbox.recv().await?.args()?;
/// assert_eq!((tag.as_str(), text.as_str()), ("log", "a line"));
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Mailbox {
    node: Node,
    cell: Arc<PortCell>,
    /// Who receives.
    reader: Arc<AtomicWaker>,
}

impl Node {
    /// Creates a port to receive from.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let node = aemp::Node::local();
    /// let mut inbox = node.mailbox();
    /// assert!(inbox.try_recv().unwrap().is_none());
    /// # }
    /// ```
    pub fn mailbox(&self) -> Mailbox {
        Mailbox::new(self.inner())
    }
}

impl super::Context {
    /// Creates a port to receive from that dies with this port, and with the same reason.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let node = aemp::Node::local();
    /// let port = node.port();
    /// let mut inbox = None;
    /// port.peval(|cx| inbox = Some(cx.mailbox()));
    /// port.kil(aemp::Reason::normal());
    /// assert_eq!(inbox.unwrap().recv().await.unwrap_err(), aemp::RecvError::Dead);
    /// # }
    /// ```
    pub fn mailbox(&self) -> Mailbox {
        let mailbox = self.node().mailbox();
        let (node, id) = (self.node().clone(), mailbox.id().clone());
        self.mon(self.id(), move |reason| node.kil(&id, reason));
        mailbox
    }
}

impl Mailbox {
    fn new(node: &Arc<Inner>) -> Self {
        let cell = node.new_port();
        let reader = cell.become_mailbox();
        Mailbox {
            node: Node::from_inner(node.clone()),
            // A new port is alive: nobody knows its ID yet.
            reader: reader.unwrap_or_default(),
            cell,
        }
    }

    /// The port's ID.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let node = aemp::Node::local();
    /// let inbox = node.mailbox();
    /// assert!(node.port_is_local(inbox.id()));
    /// # }
    /// ```
    pub fn id(&self) -> &PortId {
        &self.cell.id
    }

    /// Receives the oldest message.
    ///
    /// # Errors
    ///
    /// [`RecvError::Dead`] if the port is dead and no message is left: what came before can still
    /// be received.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = aemp::Node::local();
    /// let mut inbox = node.mailbox();
    /// node.snd(inbox.id(), &("a", 1))?;
    /// let (tag, n): (String, u32) = inbox.recv().await?.args()?;
    /// assert_eq!((tag.as_str(), n), ("a", 1));
    /// # Ok(()) }
    /// ```
    pub async fn recv(&mut self) -> Result<Message, RecvError> {
        self.recv_where(|_| true).await
    }

    /// Receives the oldest message with this tag, without the tag; others stay.
    ///
    /// # Errors
    ///
    /// [`RecvError::Dead`] if the port is dead and no such message is left.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = aemp::Node::local();
    /// let mut inbox = node.mailbox();
    /// node.snd(inbox.id(), &("log", "a line"))?;
    /// node.snd(inbox.id(), &("pong", 7))?;
    /// assert_eq!(inbox.recv_tag("pong").await?.to_json(), "[7]");
    /// assert_eq!(inbox.recv().await?.to_json(), r#"["log","a line"]"#);
    /// # Ok(()) }
    /// ```
    pub async fn recv_tag(&mut self, tag: &str) -> Result<Message, RecvError> {
        let wanted = |message: &Message| message.tag().as_deref() == Some(tag);
        Ok(self.recv_where(wanted).await?.without_tag())
    }

    /// Receives the oldest message that `wanted` agrees to; others stay.
    ///
    /// `wanted` must not use the mailbox. Dropping the future loses no message.
    ///
    /// # Errors
    ///
    /// [`RecvError::Dead`] if the port is dead and no such message is left.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = aemp::Node::local();
    /// let mut inbox = node.mailbox();
    /// node.snd(inbox.id(), &(1, "small"))?;
    /// node.snd(inbox.id(), &(100, "large"))?;
    /// let large = |message: &aemp::Message| message.args::<u32>().is_ok_and(|n| n > 9);
    /// assert_eq!(inbox.recv_where(large).await?.to_json(), r#"[100,"large"]"#);
    /// # Ok(()) }
    /// ```
    pub async fn recv_where(
        &mut self,
        mut wanted: impl FnMut(&Message) -> bool,
    ) -> Result<Message, RecvError> {
        let received = poll_fn(|cx| self.poll_take(cx, &mut wanted, || None::<()>)).await;
        received.map_err(|_| RecvError::Dead)
    }

    /// What is to be [woken](AtomicWaker::wake) of anything but a message that
    /// [`recv_unless`](Self::recv_unless) waits for.
    pub(super) fn reader(&self) -> Arc<AtomicWaker> {
        self.reader.clone()
    }

    /// Receives the oldest message. If none waits and `over` has something, that is the error; it
    /// is `None` if the port is dead.
    pub(super) async fn recv_unless<T>(
        &mut self,
        over: impl Fn() -> Option<T>,
    ) -> Result<Message, Option<T>> {
        poll_fn(|cx| self.poll_take(cx, &mut |_| true, &over)).await
    }

    /// Takes the first message that is wanted. If none waits and `over` has something, that is the
    /// error; it is `None` if the port is dead.
    fn poll_take<T>(
        &mut self,
        cx: &mut Context<'_>,
        wanted: &mut dyn FnMut(&Message) -> bool,
        over: impl Fn() -> Option<T>,
    ) -> Poll<Result<Message, Option<T>>> {
        // What comes after the first look, and before anybody is told to wake us, is found by the
        // second.
        for first in [true, false] {
            match self.cell.take(self.node.inner(), wanted) {
                Err(()) => return Poll::Ready(Err(None)),
                Ok(Some(message)) => return Poll::Ready(Ok(message)),
                Ok(None) => {}
            }
            if let Some(over) = over() {
                return Poll::Ready(Err(Some(over)));
            }
            if first {
                self.reader.register(cx.waker());
            }
        }
        Poll::Pending
    }

    /// Receives the oldest message within a time.
    ///
    /// # Errors
    ///
    /// [`RecvError`]: the port is dead and no message is left, or nothing came.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use std::time::Duration;
    /// let node = aemp::Node::local();
    /// let mut inbox = node.mailbox();
    /// let limit = Duration::from_millis(1);
    /// assert_eq!(inbox.recv_timeout(limit).await.unwrap_err(), aemp::RecvError::TimedOut(limit));
    /// # }
    /// ```
    pub async fn recv_timeout(&mut self, limit: Duration) -> Result<Message, RecvError> {
        let received = tokio::time::timeout(limit, self.recv()).await;
        received.unwrap_or(Err(RecvError::TimedOut(limit)))
    }

    /// The oldest message, if one waits.
    ///
    /// # Errors
    ///
    /// [`RecvError::Dead`] if the port is dead and no message is left.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = aemp::Node::local();
    /// let mut inbox = node.mailbox();
    /// assert!(inbox.try_recv()?.is_none());
    /// node.snd(inbox.id(), &("a", 1))?;
    /// assert!(inbox.try_recv()?.is_some());
    /// # Ok(()) }
    /// ```
    pub fn try_recv(&mut self) -> Result<Option<Message>, RecvError> {
        self.cell
            .take(self.node.inner(), &mut |_| true)
            .map_err(|()| RecvError::Dead)
    }
}

/// The messages, oldest first, until the port is dead and none is left.
impl Stream for Mailbox {
    type Item = Message;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        let taken = self.poll_take(cx, &mut |_| true, || None::<()>);
        taken.map(Result::ok)
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.node.kil(self.id(), Reason::normal());
    }
}
