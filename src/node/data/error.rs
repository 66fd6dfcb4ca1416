//! Why there is no data connection.

use std::time::Duration;

use super::super::SendError;
use crate::net::LinkError;
use crate::node::Stopped;
use crate::proto::handshake::Blame;
use crate::proto::message::EncodeError;
use crate::proto::{NodeId, Reason};

/// Why there is no data connection: see [`Node::data_conn`](crate::Node::data_conn).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use std::time::Duration;
/// use aemp::{DataConnError, proto::handshake::Blame};
/// # let node = |id: &str| aemp::Node::builder().no_rc().nodeid(id).secret("geheim").binds(["127.0.0.1:0"]);
/// let a = node("a").start().await?;
/// let b = node("b").seeds(a.listeners()).start().await?;
/// let error = b.data_conn("a", Duration::from_secs(9), "MyApp::nothing", &()).await.unwrap_err();
/// assert!(matches!(error, DataConnError::Failed { .. }));
/// assert_eq!(error.to_string(), "a: unable to resolve function 'MyApp::nothing'");
/// assert_eq!(error.blame(), Blame::Peer);
/// # Ok(()) }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataConnError {
    /// The arguments can't be sent.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// This node has stopped.
    #[error("the node has stopped")]
    Stopped,
    /// The other node is of a release without data connections.
    #[error("{node} runs AnyEvent::MP {release}, which has no data connections")]
    Unsupported {
        /// The other node.
        node: NodeId,
        /// Its release.
        release: String,
    },
    /// Neither of the two nodes listens where the other could connect.
    #[error("{node}: no listeners found, and this node has none either")]
    NoListeners {
        /// The other node.
        node: NodeId,
    },
    /// No connection could be made to the other node.
    #[error("{node}: can't connect to {address}: {error}")]
    Unreachable {
        /// The other node.
        node: NodeId,
        /// The last address that was tried.
        address: String,
        /// What became of that.
        error: LinkError,
    },
    /// The other node refused the connection, or could not make it, and says so.
    #[error("{text}")]
    Failed {
        /// The other node.
        node: NodeId,
        /// What it says.
        text: String,
    },
    /// The link to the other node was lost, or there is none.
    #[error("{node}: {reason}")]
    Lost {
        /// The other node.
        node: NodeId,
        /// Why.
        reason: Reason,
    },
    /// It took too long.
    #[error("{node}: unable to establish connection within {limit:?}")]
    TimedOut {
        /// The other node.
        node: NodeId,
        /// How long it might take.
        limit: Duration,
    },
}

impl DataConnError {
    /// Whose fault it is.
    ///
    /// See [`DataConnError`] for an example.
    pub fn blame(&self) -> Blame {
        match self {
            DataConnError::Encode(_)
            | DataConnError::Stopped
            | DataConnError::NoListeners { .. } => Blame::Us,
            DataConnError::Unsupported { .. } => Blame::Incompatible,
            DataConnError::Failed { .. } => Blame::Peer,
            DataConnError::Unreachable { error, .. } => error.blame(),
            DataConnError::Lost { .. } | DataConnError::TimedOut { .. } => Blame::Network,
        }
    }
}

impl From<Stopped> for DataConnError {
    fn from(_: Stopped) -> Self {
        DataConnError::Stopped
    }
}

impl From<SendError> for DataConnError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Encode(error) => DataConnError::Encode(error),
            SendError::Stopped => DataConnError::Stopped,
        }
    }
}
