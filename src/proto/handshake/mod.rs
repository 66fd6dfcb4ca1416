//! The handshake, one type per state (PROTOCOL.md, "Handshake").
//!
//! ```text
//!                 greet()                recv: line 1          recv: nonce
//!   Opening ───────────────▶ AwaitGreeting ─────────▶ AwaitNonce ─────────▶ Authenticate
//!      │                                                  ▲                      │ begin()
//!      └──────────────── recv: line 1 ────────────────────┘                      ▼
//!        (the peer greeted first: we answer with its version)              AwaitToken
//!                                                                                │ recv: token
//!                                                         complete()             ▼
//!                                          Established ◀──────────────────── Verified
//! ```
//!
//! Every state is consumed by the call that leaves it. [`Handshake`] drives them all:
//!
//! ```
//! # use std::sync::Arc;
//! # use aemp::proto::handshake::*;
//! # use aemp::proto::*;
//! # fn local(node: &str) -> Arc<Local> {
//! #     Arc::new(Local::new(NodeId::new(node), Some("geheim".into())))
//! # }
//! let (mut out_a, mut out_b) = (Vec::new(), Vec::new());
//! let mut a = Handshake::connect(local("a"), &[1; 66], "127.0.0.1:4040");
//! let mut b = Handshake::accept(local("b"), &[2; 66], "127.0.0.1:50000");
//! a.greet(&mut out_a);
//! loop {
//!     // what one sends the other receives, in chunks of any size
//!     b.recv(&std::mem::take(&mut out_a), &mut out_b)?;
//!     a.recv(&std::mem::take(&mut out_b), &mut out_a)?;
//!     if a.is_verified() && b.is_verified() { break }
//!     if b.is_verified() { b.complete(&mut out_b); }
//! }
//! let (a, b) = (a.complete(&mut out_a).unwrap(), b.established().unwrap());
//! assert_eq!((a.peer.greeting.node.as_str(), b.peer.greeting.node.as_str()), ("b", "a"));
//! # Ok::<(), HandshakeError>(())
//! ```

mod drive;
mod error;
mod lines;
mod states;

#[cfg(test)]
mod tests;

pub use drive::Handshake;
pub use error::{Blame, HandshakeError};
pub use states::{
    Authenticate, AwaitGreeting, AwaitNonce, AwaitToken, Established, Opening, Peer, Role, Step,
    Verified,
};

use crate::proto::generation::Versions;
use crate::proto::{AuthMethod, Framing, Greeting, NodeId, Secret};

/// The most octets that a line of the handshake may have, its end included.
///
/// ```
/// use aemp::proto::{HandshakeError, handshake::{Handshake, Local, MAX_LINE, NONCE_LEN}};
/// let local = Local::new("a".into(), Some("geheim".into()));
/// let mut listener = Handshake::accept(local.into(), &[1; NONCE_LEN], "127.0.0.1:50000");
/// let error = listener.recv(&[b'x'; MAX_LINE + 1], &mut Vec::new()).unwrap_err();
/// assert_eq!(error, HandshakeError::LineTooLong);
/// ```
pub const MAX_LINE: usize = 4096;

/// The octets of randomness in a nonce line.
///
/// See [`Opening::new`] for an example.
pub const NONCE_LEN: usize = 66;

/// What this side brings to every handshake.
///
/// ```
/// use aemp::proto::generation::Versions;
/// use aemp::proto::handshake::Local;
/// let local = Local {
///     versions: Versions::Only(0),
///     timeout_secs: 20,
///     ..Local::new("ruth".into(), Some("geheim".into()))
/// };
/// assert_eq!(local.greeting(0, "127.0.0.1:4040").timeout_secs(), Some(20.0));
/// ```
#[derive(Debug, Clone)]
pub struct Local {
    /// Our node ID.
    pub node: NodeId,
    /// The greeting versions that we speak.
    pub versions: Versions,
    /// The methods that we may prove ourselves with.
    pub auth_offer: Vec<AuthMethod>,
    /// The methods that the peer may prove itself with, the most welcome first.
    pub auth_accept: Vec<AuthMethod>,
    /// The framings that we accept and send, the most welcome first.
    pub framings: Vec<Framing>,
    /// The shared secret. Without one no handshake succeeds.
    pub secret: Option<Secret>,
    /// The idle time-out that a generation 0 greeting announces, in whole seconds.
    pub timeout_secs: u64,
    /// Further `KEY=VALUE` pairs of the greeting.
    pub params: Vec<(String, String)>,
}

/// What our greetings say we are.
///
/// ```
/// assert!(aemp::proto::handshake::PROVIDER.starts_with("aemp-rs-"));
/// ```
pub const PROVIDER: &str = concat!("aemp-rs-", env!("CARGO_PKG_VERSION"));

impl Local {
    /// The defaults: every version, HMAC offered, HMAC and cleartext accepted, CBOR
    /// preferred to JSON.
    ///
    /// ```
    /// use aemp::proto::{AuthMethod, handshake::Local};
    /// let local = Local::new("ruth".into(), Some("geheim".into()));
    /// assert_eq!(local.auth_offer, [AuthMethod::HmacMd6]);
    /// assert_eq!(local.auth_accept, [AuthMethod::HmacMd6, AuthMethod::Cleartext]);
    /// ```
    pub fn new(node: NodeId, secret: Option<Secret>) -> Self {
        Local {
            node,
            versions: Versions::Auto,
            auth_offer: vec![AuthMethod::HmacMd6],
            auth_accept: vec![AuthMethod::HmacMd6, AuthMethod::Cleartext],
            framings: vec![Framing::Cbor, Framing::Json],
            secret,
            timeout_secs: 12,
            params: Vec::new(),
        }
    }

    /// The same, for a peer that is known to speak that version: there is nothing to wait for. The
    /// greeting still says which versions we speak.
    ///
    /// ```
    /// use aemp::proto::{generation::Versions, handshake::{Local, VERSIONS_KEY}};
    /// let local = Local::new("ruth".into(), None).greeting_in(0);
    /// assert_eq!(local.versions, Versions::Only(0));
    /// assert_eq!(local.greeting(0, "127.0.0.1:4040").param(VERSIONS_KEY), Some("1,0"));
    /// ```
    pub fn greeting_in(&self, version: u32) -> Self {
        let mut local = self.clone();
        local.params.extend(self.all_versions());
        local.versions = Versions::Only(version);
        local
    }

    /// The greeting's key for those who speak several versions.
    fn all_versions(&self) -> Option<(String, String)> {
        let known = Versions::KNOWN.map(|version| version.to_string());
        let open = self.versions.is_open();
        open.then(|| (VERSIONS_KEY.to_owned(), known.join(",")))
    }

    /// Our greeting of that version to the peer at `peeraddr`.
    ///
    /// ```
    /// let local = aemp::proto::handshake::Local::new("ruth".into(), None);
    /// let greeting = local.greeting(1, "127.0.0.1:4040");
    /// assert_eq!((greeting.version, greeting.node.as_str()), (1, "ruth"));
    /// assert_eq!(greeting.param("peeraddr"), Some("127.0.0.1:4040"));
    /// ```
    pub fn greeting(&self, version: u32, peeraddr: &str) -> Greeting {
        let mut params = vec![
            ("provider".to_owned(), PROVIDER.to_owned()),
            ("peeraddr".to_owned(), peeraddr.to_owned()),
        ];
        if version == 0 {
            params.push(("timeout".to_owned(), self.timeout_secs.to_string()));
        }
        params.extend(self.all_versions());
        params.extend(self.params.iter().cloned());
        Greeting {
            version,
            node: self.node.clone(),
            auths: names(&self.auth_accept, |method| method.name()),
            framings: names(&self.framings, |framing| framing.name()),
            params,
        }
    }
}

/// The greeting key in which a node of this crate lists the greeting versions that it speaks.
///
/// Perl nodes ignore it. It keeps the gossip from telling a node of addresses of nodes that it
/// can't talk to (PROTOCOL.md, "Mixed meshes").
///
/// ```
/// use aemp::proto::handshake::{Local, VERSIONS_KEY};
/// let greeting = Local::new("ruth".into(), None).greeting(1, "127.0.0.1:4040");
/// assert_eq!(greeting.param(VERSIONS_KEY), Some("1,0"));
/// ```
pub const VERSIONS_KEY: &str = "versions";

fn names<T>(list: &[T], name: impl Fn(&T) -> &'static str) -> Vec<String> {
    list.iter().map(|item| name(item).to_owned()).collect()
}
