//! Monitors: what happens when a port dies or messages to it were lost.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};

use serde::Serialize;

use super::code::panic_text;
use super::jobs::{self, Job};
use super::{Inner, SendError};
use crate::log::log_at;
use crate::proto::{Message, NodeId, PortId, Reason};

/// What a monitor does. There may be a million of them: it is small.
pub(crate) enum Action {
    Call(Box<dyn FnOnce(Reason) + Send>),
    /// Kill a port with the same reason, unless that is empty.
    Kill(Box<PortId>),
    /// Send the message to the port, with the reason appended.
    Send(Box<(PortId, Message)>),
}

impl Action {
    /// One that calls a function.
    pub(crate) fn call(function: impl FnOnce(Reason) + Send + 'static) -> Self {
        Action::Call(Box::new(function))
    }

    /// One that kills a port.
    pub(crate) fn kill(port: PortId) -> Self {
        Action::Kill(Box::new(port))
    }

    /// One that sends a message to a port.
    pub(crate) fn send(port: PortId, message: Message) -> Self {
        Action::Send(Box::new((port, message)))
    }
}

/// Who watches a local port.
pub(crate) enum Watcher {
    Local(Action),
    /// Another node, which is told.
    Node(NodeId),
}

/// A monitor that was set: see [`Node::mon`](super::Node::mon).
///
/// It stays in force when this is dropped; [`guard`](Self::guard) ties it to a scope.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = aemp::Node::local();
/// let port = node.port();
/// let (died, reason) = tokio::sync::oneshot::channel();
/// drop(node.mon(&port, |reason| drop(died.send(reason))));
/// port.kil(aemp::Reason::die("oops"));
/// assert_eq!(reason.await?.to_string(), "die oops");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Monitor {
    node: Weak<Inner>,
    port: PortId,
    serial: u64,
}

impl Monitor {
    pub(crate) fn new(node: &Arc<Inner>, port: PortId, serial: u64) -> Self {
        Monitor {
            node: Arc::downgrade(node),
            port,
            serial,
        }
    }

    /// Ends the monitor: its action will not run any more, unless the port is dead already.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let node = aemp::Node::local();
    /// let port = node.port();
    /// let (tell, told) = tokio::sync::oneshot::channel();
    /// let monitor = node.mon(&port, |reason| drop(tell.send(reason)));
    /// monitor.stop();
    /// assert!(told.await.is_err()); // the action was dropped, not run
    /// # }
    /// ```
    pub fn stop(&self) {
        if let Some(node) = self.node.upgrade() {
            node.unmonitor(&self.port, self.serial);
        }
    }

    /// A guard that ends the monitor when it is dropped.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let node = aemp::Node::local();
    /// let port = node.port();
    /// let (tell, told) = tokio::sync::oneshot::channel();
    /// {
    ///     let _guard = node.mon(&port, |reason| drop(tell.send(reason))).guard();
    /// }
    /// assert!(told.await.is_err()); // the action was dropped, not run
    /// # }
    /// ```
    #[must_use = "the monitor ends when the guard is dropped"]
    pub fn guard(self) -> MonitorGuard {
        MonitorGuard(self)
    }

    /// The port that is monitored.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let node = aemp::Node::local();
    /// let port = node.port();
    /// assert_eq!(node.mon(&port, |_| {}).port(), port.id());
    /// # }
    /// ```
    pub fn port(&self) -> &PortId {
        &self.port
    }
}

impl std::fmt::Debug for Monitor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Monitor({})", self.port)
    }
}

/// Ends a [`Monitor`] when it is dropped.
///
/// See [`Monitor::guard`] for an example.
#[derive(Debug)]
pub struct MonitorGuard(Monitor);

impl Drop for MonitorGuard {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Runs an action. The caller is on the runtime and holds no lock. Does not panic, whatever the
/// action does.
pub(crate) fn fire(node: &Arc<Inner>, action: Action, reason: Reason) {
    let run = AssertUnwindSafe(|| perform(node, action, reason));
    if let Err(panic) = catch_unwind(run) {
        log_at!(1, "a monitor's action panicked: {}", panic_text(&*panic));
    }
}

fn perform(node: &Arc<Inner>, action: Action, reason: Reason) {
    match action {
        Action::Call(call) => call(reason),
        Action::Kill(port) => {
            if !reason.is_normal() {
                node.kil(&port, reason);
            }
        }
        Action::Send(sent) => {
            let (port, message) = *sent;
            if let Err(error @ SendError::Encode(_)) =
                node.snd(&port, &WithReason(&message, &reason))
            {
                log_at!(1, "a monitor's message can't be sent: {error}");
            }
        }
    }
}

/// Has an action run soon, outside of the caller.
pub(crate) fn fire_soon(node: &Arc<Inner>, action: Action, reason: Reason) {
    let call = move |node: &Arc<Inner>| fire(node, action, reason);
    jobs::schedule(node, Job::Call(Box::new(call)));
}

/// A message with the reason's values behind its own.
struct WithReason<'a>(&'a Message, &'a Reason);

impl Serialize for WithReason<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeSeq as _;
        let mut seq = serializer.serialize_seq(None)?;
        for element in self.0.elements() {
            seq.serialize_element(&element)?;
        }
        for value in self.1.values() {
            seq.serialize_element(value)?;
        }
        seq.end()
    }
}
