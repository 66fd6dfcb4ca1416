//! What a handshake can fail of, and whose fault it is.

use crate::proto::generation::Generations;
use crate::proto::greeting::GreetingError;
use crate::proto::{Generation, NodeId};

/// Who has to change something for the next try to succeed.
///
/// ```
/// use aemp::proto::handshake::{Blame, HandshakeError};
/// let error = HandshakeError::WrongToken { method: "cleartext".into() };
/// assert_eq!(error.blame(), Blame::Peer);
/// assert_eq!(HandshakeError::NoSecret.blame(), Blame::Us);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Blame {
    /// Our own configuration.
    Us,
    /// The peer speaks something else: another version, other methods, no AEMP at all.
    Incompatible,
    /// The peer broke the protocol or could not prove what it claimed.
    Peer,
    /// The network, or nobody.
    Network,
}

/// Why a handshake failed.
///
/// ```
/// use aemp::proto::handshake::{Handshake, HandshakeError, Local};
/// let local = Local::new("ruth".into(), Some("geheim".into()));
/// let mut handshake = Handshake::accept(local.into(), &[1; 66], "127.0.0.1:50000");
/// let error = handshake.recv(b"aemp;7;a;cleartext;json\n", &mut Vec::new()).unwrap_err();
/// assert_eq!(error, HandshakeError::Version { ours: "0 or 1".into(), theirs: 7 });
/// assert_eq!(error.to_string(), "version mismatch (we: 0 or 1, they: 7)");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// A line of more than [`MAX_LINE`](super::MAX_LINE) octets.
    #[error("a handshake line is longer than {} octets", super::MAX_LINE)]
    LineTooLong,
    /// The first line is no greeting.
    #[error(transparent)]
    Greeting(#[from] GreetingError),
    /// The greeting is of a version that we don't speak.
    #[error("version mismatch (we: {ours}, they: {theirs})")]
    Version {
        /// The versions that we speak.
        ours: String,
        /// The peer's version.
        theirs: u32,
    },
    /// The greeting's version is right, but the peer is of a generation that we don't speak.
    #[error("generation mismatch (we: {ours}, they: {theirs})")]
    Generation {
        /// The generations that we speak.
        ours: Generations,
        /// The peer's generation.
        theirs: Generation,
    },
    /// The peer's node ID is ours: we reached ourselves, or somebody uses our name.
    #[error("I refuse to talk to myself (the other side calls itself {node}, too)")]
    OwnNodeId {
        /// Our node ID.
        node: NodeId,
        /// The nonce of the other side, if we connected to it: if we sent that ourselves, on
        /// another connection, it is us.
        nonce: Vec<u8>,
    },
    /// A node of that ID is connected already.
    #[error("{node} is already connected, not connecting again")]
    AlreadyConnected {
        /// The peer's node ID.
        node: NodeId,
    },
    /// We connected for a link, and the other side greets for a data connection.
    #[error("the other side greets for a data connection, and this is to be a link")]
    NoLink,
    /// The peer sent our own greeting back.
    #[error("our own greeting came back: an echo attack?")]
    Echo,
    /// The peer accepts no authentication method that we may use.
    #[error("no common authentication method: the peer accepts {theirs:?}, we offer {ours:?}")]
    NoCommonAuth {
        /// What the peer accepts.
        theirs: String,
        /// What we offer.
        ours: String,
    },
    /// The peer accepts no framing that we know.
    #[error("no common framing: the peer accepts {theirs:?}, we send {ours:?}")]
    NoCommonFraming {
        /// What the peer accepts.
        theirs: String,
        /// What we send.
        ours: String,
    },
    /// The peer does not speak TLS, and we refuse to talk without.
    #[error("the other side does not speak TLS, which our require_tls demands")]
    TlsRequired,
    /// No secret is configured.
    #[error("no shared secret is configured (try `aemp gensecret`)")]
    NoSecret,
    /// We have a certificate but no secret, and the peer does not speak TLS.
    #[error("the other side does not speak TLS, and without that a shared secret is needed")]
    NeitherTlsNorSecret,
    /// The token line has fewer than three fields, or is not UTF-8.
    #[error("the authentication line is malformed")]
    MalformedToken,
    /// The peer proved itself with a method that we don't accept.
    #[error("the peer used the authentication method {method:?}, which we did not offer")]
    MethodRefused {
        /// The method's name, at most 40 characters of it.
        method: String,
    },
    /// The peer's token is wrong.
    #[error("authentication failed: the other side does not have our shared secret ({method})")]
    WrongToken {
        /// The method that the peer used.
        method: String,
    },
    /// The peer's token is right for other greetings than those that we sent and received.
    #[error("authentication failed: the greetings were altered on the way ({method})")]
    AlteredGreeting {
        /// The method that the peer used.
        method: String,
    },
    /// The peer wants to send in a framing that we did not offer.
    #[error("the peer sends in the framing {framing:?}, which we did not offer")]
    FramingRefused {
        /// The framing's name, at most 40 characters of it.
        framing: String,
    },
}

impl HandshakeError {
    /// A word for it, for counters.
    ///
    /// ```
    /// use aemp::proto::HandshakeError;
    /// let error = HandshakeError::WrongToken { method: "cleartext".into() };
    /// assert_eq!(error.kind(), "wrong_token");
    /// ```
    pub fn kind(&self) -> &'static str {
        match self {
            HandshakeError::LineTooLong => "line_too_long",
            HandshakeError::Greeting(_) => "greeting",
            HandshakeError::Version { .. } => "version",
            HandshakeError::Generation { .. } => "generation",
            HandshakeError::OwnNodeId { .. } => "own_node_id",
            HandshakeError::AlreadyConnected { .. } => "already_connected",
            HandshakeError::NoLink => "no_link",
            HandshakeError::Echo => "echo",
            HandshakeError::NoCommonAuth { .. } => "no_common_auth",
            HandshakeError::NoCommonFraming { .. } => "no_common_framing",
            HandshakeError::TlsRequired => "tls_required",
            HandshakeError::NoSecret => "no_secret",
            HandshakeError::NeitherTlsNorSecret => "neither_tls_nor_secret",
            HandshakeError::MalformedToken => "malformed_token",
            HandshakeError::MethodRefused { .. } => "method_refused",
            HandshakeError::WrongToken { .. } => "wrong_token",
            HandshakeError::AlteredGreeting { .. } => "altered_greeting",
            HandshakeError::FramingRefused { .. } => "framing_refused",
        }
    }

    /// Who has to change what, in a sentence that names the setting: `here` is this node, `there`
    /// the other one.
    ///
    /// ```
    /// use aemp::proto::HandshakeError;
    /// assert!(HandshakeError::NoSecret.advice().contains("`secret`"));
    /// ```
    pub fn advice(&self) -> &'static str {
        match self {
            HandshakeError::Greeting(_) | HandshakeError::LineTooLong => {
                "what listens there is no node: correct `seeds`"
            }
            HandshakeError::Version { .. } | HandshakeError::Generation { .. } => {
                "`generation` here: aemp setgeneration auto; between Perl nodes of both, only a bridge helps"
            }
            HandshakeError::OwnNodeId { .. } => {
                "one of both needs another `nodeid` (aemp setnodeid)"
            }
            HandshakeError::AlreadyConnected { .. } => {
                "nothing, unless there are two nodes of that `nodeid`"
            }
            HandshakeError::Echo => "what listens there sends back what comes: correct `seeds`",
            HandshakeError::NoCommonAuth { .. } => {
                "`auth_offer` here and `auth_accept` there have nothing in common"
            }
            HandshakeError::MethodRefused { .. } => {
                "`auth_accept` here and `auth_offer` there have nothing in common"
            }
            HandshakeError::NoCommonFraming { .. } | HandshakeError::FramingRefused { .. } => {
                "`framing_format` here and there have nothing in common"
            }
            HandshakeError::TlsRequired => {
                "`cert` there: aemp setcert FILE, with the same file; or `require_tls` here: aemp delrequire_tls"
            }
            HandshakeError::NoSecret | HandshakeError::NeitherTlsNorSecret => {
                "`secret` here: aemp setsecret TEXT, with the secret of the node there"
            }
            HandshakeError::WrongToken { .. } => {
                "its `secret` is another one: set the same one here and there (aemp setsecret)"
            }
            HandshakeError::AlteredGreeting { .. } => {
                "something between both changes what is sent: a proxy that knows the protocol?"
            }
            HandshakeError::NoLink | HandshakeError::MalformedToken => {
                "what listens there does not keep to the protocol: which program is it?"
            }
        }
    }

    /// Whose fault it is.
    ///
    /// See [`Blame`] for an example.
    pub fn blame(&self) -> Blame {
        match self {
            HandshakeError::NoSecret | HandshakeError::OwnNodeId { .. } => Blame::Us,
            HandshakeError::NeitherTlsNorSecret => Blame::Incompatible,
            HandshakeError::AlreadyConnected { .. } => Blame::Network,
            HandshakeError::Greeting(_)
            | HandshakeError::NoLink
            | HandshakeError::Version { .. }
            | HandshakeError::Generation { .. }
            | HandshakeError::TlsRequired
            | HandshakeError::NoCommonAuth { .. }
            | HandshakeError::NoCommonFraming { .. } => Blame::Incompatible,
            _ => Blame::Peer,
        }
    }
}
