//! Whether TLS is spoken, and who begins (PROTOCOL.md, "TLS").

use super::HandshakeError;
use crate::proto::Greeting;
use crate::proto::auth::Channel;

/// Whether this side speaks TLS.
///
/// ```
/// use aemp::proto::handshake::{Local, TlsUse};
/// assert_eq!(Local::new("ruth".into(), None).tls, TlsUse::Never);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TlsUse {
    /// It does not: there is no certificate.
    Never,
    /// With whoever does as well.
    Offered,
    /// Always: others are refused.
    Required,
}

/// Which side of TLS we are. It does not depend on who opened the connection.
///
/// See [`begin_tls`](super::Handshake::begin_tls) for an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TlsRole {
    /// Our nonce line is the smaller one, octet by octet.
    Client,
    /// The peer's is.
    Server,
}

impl TlsUse {
    /// Who we are in TLS with a peer that greets so, if TLS follows at all. What was said and heard
    /// are both lines of either side.
    pub(super) fn role(
        self,
        theirs: &Greeting,
        said: &str,
        heard: &str,
    ) -> Result<Option<TlsRole>, HandshakeError> {
        match (self, theirs.wants_tls()) {
            (TlsUse::Never, _) | (TlsUse::Offered, false) => return Ok(None),
            (TlsUse::Required, false) => return Err(HandshakeError::TlsRequired),
            (TlsUse::Offered | TlsUse::Required, true) => {}
        }
        let nonce = |lines: &str| lines.lines().nth(1).unwrap_or_default().to_owned();
        match nonce(said).cmp(&nonce(heard)) {
            std::cmp::Ordering::Less => Ok(Some(TlsRole::Client)),
            std::cmp::Ordering::Greater => Ok(Some(TlsRole::Server)),
            // Nobody draws our nonce by chance, and neither side would begin.
            std::cmp::Ordering::Equal => Err(HandshakeError::Echo),
        }
    }
}

/// What the tokens pass through.
pub(super) fn channel(role: Option<TlsRole>) -> Channel {
    match role {
        Some(_) => Channel::Tls,
        None => Channel::Plain,
    }
}
