//! What a supervisor tells of its work.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;
use tokio::sync::broadcast::{Receiver, error::RecvError};

use crate::node::Polled;
use crate::proto::{PortId, Reason};

/// How many events wait for a slow reader.
pub(super) const WAITING: usize = 64;

/// Something that a supervisor did or saw: see [`SupervisorEvents`].
///
/// ```
/// use aemp::supervise::{SupervisorEvent, SupervisorEvents};
/// async fn follow(mut events: SupervisorEvents) {
///     while let Some(event) = events.next().await {
///         match event {
///             SupervisorEvent::Ended { child, reason, .. } => println!("{child}: {reason}"),
///             SupervisorEvent::GaveUp { reason } => println!("the end: {reason}"),
///             _ => {}
///         }
///     }
/// }
/// # let _ = follow;
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum SupervisorEvent {
    /// A child was started.
    Started {
        /// The child's name.
        child: Arc<str>,
        /// Its port.
        port: PortId,
    },
    /// A start failed.
    StartFailed {
        /// The child's name.
        child: Arc<str>,
        /// Why: `die` and a text.
        reason: Reason,
    },
    /// A remote child waits for a node.
    Waiting {
        /// The child's name.
        child: Arc<str>,
    },
    /// A child ended, by itself or because it was stopped.
    Ended {
        /// The child's name.
        child: Arc<str>,
        /// The port that it had.
        port: PortId,
        /// Why.
        reason: Reason,
    },
    /// A child will be started again after its end.
    Restarting {
        /// The child's name.
        child: Arc<str>,
        /// The time until then.
        after: Duration,
    },
    /// A child that was killed did not end in time; it counts as ended.
    Abandoned {
        /// The child's name.
        child: Arc<str>,
        /// Its port, if it had one.
        port: Option<PortId>,
    },
    /// A child is forgotten: it was removed, or was temporary and ended.
    Removed {
        /// The child's name.
        child: Arc<str>,
    },
    /// There were too many restarts: the supervisor stops its children and ends.
    GaveUp {
        /// The reason that it ends with.
        reason: Reason,
    },
    /// All children are stopped and the supervisor has ended. The last event.
    Stopped {
        /// The reason that it ended with.
        reason: Reason,
    },
    /// The reader was too slow, so that this many events are lost to it. What counts can be seen
    /// with [`Supervisor::children`](super::Supervisor::children).
    Missed(u64),
}

/// The events of a supervisor, from the call of [`events`](super::Supervisor::events) on. At most
/// 64 wait for the reader. A [`Stream`] of them, too.
#[derive(Debug)]
pub struct SupervisorEvents(Polled<Received, Receiver<SupervisorEvent>>);

type Received = Result<SupervisorEvent, RecvError>;

async fn receive(mut events: Receiver<SupervisorEvent>) -> (Received, Receiver<SupervisorEvent>) {
    (events.recv().await, events)
}

impl SupervisorEvents {
    pub(super) fn new(events: Receiver<SupervisorEvent>) -> Self {
        SupervisorEvents(Polled::new(receive(events)))
    }

    /// The next event. `None` when the supervisor has ended. Dropping the future loses nothing.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use aemp::{Node, Supervisor};
    /// use aemp::supervise::{Child, SupervisorEvent};
    ///
    /// let node = Node::local();
    /// let supervisor = Supervisor::builder("main").start(&node)?;
    /// let mut events = supervisor.events();
    /// supervisor.add(Child::local("a", |cx| cx.port_with(|_, _| {}))).await?;
    /// let event = events.next().await;
    /// assert!(matches!(event, Some(SupervisorEvent::Started { child, .. }) if &*child == "a"));
    /// # Ok(()) }
    /// ```
    pub async fn next(&mut self) -> Option<SupervisorEvent> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl Stream for SupervisorEvents {
    type Item = SupervisorEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<SupervisorEvent>> {
        let (received, events) = ready!(self.0.poll(cx));
        self.0.again(receive(events));
        Poll::Ready(match received {
            Ok(event) => Some(event),
            Err(RecvError::Lagged(missed)) => Some(SupervisorEvent::Missed(missed)),
            Err(RecvError::Closed) => None,
        })
    }
}
