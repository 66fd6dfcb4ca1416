//! Why a connection ended.

use std::time::Duration;

use crate::proto::handshake::Blame;
use crate::proto::{FramingError, HandshakeError};

/// Why a connection did not become a link, or a link ended.
///
/// ```
/// use aemp::net::LinkError;
/// use aemp::proto::handshake::Blame;
/// assert_eq!(LinkError::Closed.to_string(), "connection closed by the peer");
/// assert_eq!(LinkError::Closed.blame(), Blame::Network);
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The socket failed.
    #[error("{0}")]
    Io(std::io::Error),
    /// TLS failed.
    #[cfg(feature = "tls")]
    #[error("{0}")]
    Tls(super::tls::TlsError),
    /// The peer closed the connection.
    #[error("connection closed by the peer")]
    Closed,
    /// The handshake failed.
    #[error("{0}")]
    Handshake(#[from] HandshakeError),
    /// The peer was silent during the handshake.
    #[error("handshake timed out after {0:?} of silence")]
    HandshakeTimeout(Duration),
    /// The peer sent something that is no message.
    #[error("{0}")]
    Framing(#[from] FramingError),
    /// Nothing came from the peer for the whole time-out that it announced.
    #[error("nothing received for {0:?}, the time-out that the peer announced")]
    Silent(Duration),
    /// The peer closed the connection in place of proving itself, when it had seen our proof or was
    /// to see it. Nodes say no more than that to who is not let in.
    #[error(
        "{0} closed the connection when it was to prove itself: its `secret` is another one, or it \
         knows another node by our ID (`nodeid`)"
    )]
    Refused(crate::proto::NodeId),
    /// The peer has not answered a request within this time.
    #[error("no answer within {0:?}")]
    NoAnswer(Duration),
    /// What the peer has sent of a message would take too much memory.
    #[error(
        "{held} octets of a message that is not complete are more than its share of the {most} \
         (max_memory) that all nodes have"
    )]
    Memory {
        /// What the message takes by now, in octets.
        held: usize,
        /// What all peers may take together, in octets.
        most: usize,
    },
    /// The address can't be parsed.
    #[error("not a resolved address")]
    BadAddress,
    /// There is another connection to the same node.
    #[error("another connection to {0} was kept")]
    Duplicate(crate::proto::NodeId),
    /// A data connection was made to a node, and somebody else is there.
    #[error("this is {found}, and not {wanted}")]
    OtherNode {
        /// Who is there.
        found: crate::proto::NodeId,
        /// Who should be.
        wanted: crate::proto::NodeId,
    },
    /// On a data connection a node shows another certificate than on its link.
    #[error("{0} shows another certificate than on its link")]
    OtherCertificate(crate::proto::NodeId),
    /// A node made a data connection that is not expected, or not any longer.
    #[error("{0} opens the data connection {1:?}, which is not expected")]
    NoDataConn(crate::proto::NodeId, String),
    /// The peer may not have messages relayed to the node that this one, of a bridge, stands in
    /// for: see [`Rule`](crate::config::Rule).
    #[error("{0} may not relay to {1}")]
    NoRelay(crate::proto::NodeId, crate::proto::NodeId),
}

impl From<std::io::Error> for LinkError {
    fn from(error: std::io::Error) -> Self {
        // A stream through TLS has no other way to say what happened.
        #[cfg(feature = "tls")]
        let error = match error.downcast() {
            Ok(error) => return LinkError::Tls(error),
            Err(error) => error,
        };
        LinkError::Io(error)
    }
}

impl LinkError {
    /// Whose fault it is.
    ///
    /// ```
    /// use aemp::net::LinkError;
    /// use aemp::proto::{HandshakeError, handshake::Blame};
    /// assert_eq!(LinkError::from(HandshakeError::NoSecret).blame(), Blame::Us);
    /// assert_eq!(LinkError::from(HandshakeError::Echo).blame(), Blame::Peer);
    /// ```
    pub fn blame(&self) -> Blame {
        match self {
            LinkError::Handshake(error) => error.blame(),
            #[cfg(feature = "tls")]
            LinkError::Tls(error) => error.blame(),
            LinkError::Framing(_) | LinkError::HandshakeTimeout(_) | LinkError::Memory { .. } => {
                Blame::Peer
            }
            LinkError::BadAddress => Blame::Incompatible,
            LinkError::OtherNode { .. } | LinkError::OtherCertificate(_) => Blame::Peer,
            LinkError::NoRelay(..) => Blame::Us,
            _ => Blame::Network,
        }
    }

    /// A word for it, for counters: of a handshake that failed, [its own](HandshakeError::kind).
    ///
    /// ```
    /// use aemp::net::LinkError;
    /// use aemp::proto::HandshakeError;
    /// assert_eq!(LinkError::Closed.kind(), "closed");
    /// assert_eq!(LinkError::from(HandshakeError::NoSecret).kind(), "no_secret");
    /// ```
    pub fn kind(&self) -> &'static str {
        match self {
            LinkError::Io(_) => "io",
            #[cfg(feature = "tls")]
            LinkError::Tls(_) => "tls",
            LinkError::Closed => "closed",
            LinkError::Handshake(error) => error.kind(),
            LinkError::HandshakeTimeout(_) => "timeout",
            LinkError::Framing(_) => "framing",
            LinkError::Silent(_) => "silent",
            LinkError::Refused(_) => "refused",
            LinkError::NoAnswer(_) => "no_answer",
            LinkError::Memory { .. } => "memory",
            LinkError::BadAddress => "bad_address",
            LinkError::Duplicate(_) => "duplicate",
            LinkError::NoRelay(..) => "no_relay",
            LinkError::OtherNode { .. } => "other_node",
            LinkError::OtherCertificate(_) => "other_certificate",
            LinkError::NoDataConn(..) => "no_data_conn",
        }
    }

    /// Who has to change what, as far as the error tells: see [`HandshakeError::advice`].
    ///
    /// ```
    /// use aemp::net::LinkError;
    /// use aemp::proto::HandshakeError;
    /// assert_eq!(LinkError::from(HandshakeError::NoSecret).advice(), Some(HandshakeError::NoSecret.advice()));
    /// assert_eq!(LinkError::BadAddress.advice(), None);
    /// ```
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            LinkError::Handshake(error) => Some(error.advice()),
            #[cfg(feature = "tls")]
            LinkError::Tls(error) => Some(error.advice()),
            _ => None,
        }
    }

    /// Whether somebody should look at it, rather than that it just happens in a network.
    pub(crate) fn is_noteworthy(&self) -> bool {
        match self {
            LinkError::Handshake(HandshakeError::OwnNodeId { .. }) => false,
            // Peers that refuse us may say so by closing the connection.
            #[cfg(feature = "tls")]
            LinkError::Tls(_) => true,
            error => error.blame() != Blame::Network,
        }
    }
}
