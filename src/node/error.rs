//! Why something could not be sent, or has no answer.

use std::time::Duration;

use crate::proto::message::EncodeError;
use crate::proto::{ArgsError, Reason};

/// The node has stopped, so there is nothing to wait for any more.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let node = aemp::Node::local();
/// node.shutdown().await;
/// assert_eq!(node.wait_for_member("workers").await, Err(aemp::Stopped));
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the node has stopped")]
pub struct Stopped;

/// Why a message could not be sent. Delivery itself never fails here: see
/// [`Node::snd`](super::Node::snd).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use aemp::SendError;
/// let node = aemp::Node::local();
/// let error = node.snd(node.port(), &"no sequence").unwrap_err();
/// assert!(matches!(error, SendError::Encode(_)));
/// assert!(error.to_string().starts_with("a message must be a sequence of values"));
///
/// node.shutdown().await;
/// assert!(matches!(node.snd("other#a", &("test",)), Err(SendError::Stopped)));
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// What was to be sent does not serialise, or not as a sequence.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The node that was to send it has stopped.
    #[error("the node has stopped")]
    Stopped,
}

impl From<Stopped> for SendError {
    fn from(_: Stopped) -> Self {
        SendError::Stopped
    }
}

/// Why a call has no result.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use aemp::{CalError, Node};
/// let node = Node::local();
/// match node.cal::<u32>(node.id().port("nobody"), &("get",), None).await {
///     Err(CalError::Died(reason)) => assert_eq!(reason.kind(), Some("no_such_port")),
///     other => panic!("{other:?}"),
/// }
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CalError {
    /// The request could not be sent.
    #[error(transparent)]
    Send(SendError),
    /// This node has stopped, before the call or while it waited.
    #[error("the node has stopped")]
    Stopped,
    /// The port that was called died, or messages to it were lost.
    #[error("the called port died: {0}")]
    Died(Reason),
    /// A [`Service`](super::Service) had nobody to ask, in the group of that name.
    #[error("the group {0} has no members to ask")]
    NoMember(String),
    /// The reply is an error: see [`Context::answer`](super::Context::answer).
    #[error("the request was answered with an error: {0}")]
    Refused(Reason),
    /// No reply came in time.
    #[error("no reply within {0:?}")]
    TimedOut(Duration),
    /// The reply is not of the type that was asked for.
    #[error("the reply does not fit: {0}")]
    Reply(#[from] ArgsError),
}

impl From<SendError> for CalError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Stopped => CalError::Stopped,
            error => CalError::Send(error),
        }
    }
}

impl From<Stopped> for CalError {
    fn from(_: Stopped) -> Self {
        CalError::Stopped
    }
}
