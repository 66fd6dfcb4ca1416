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
pub const MAX_LINE: usize = 4096;

/// The octets of randomness in a nonce line.
pub const NONCE_LEN: usize = 66;

/// What this side brings to every handshake.
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
pub const PROVIDER: &str = concat!("aemp-rs-", env!("CARGO_PKG_VERSION"));

impl Local {
    /// The defaults: every version, HMAC offered, HMAC and cleartext accepted, JSON.
    pub fn new(node: NodeId, secret: Option<Secret>) -> Self {
        Local {
            node,
            versions: Versions::Auto,
            auth_offer: vec![AuthMethod::HmacMd6],
            auth_accept: vec![AuthMethod::HmacMd6, AuthMethod::Cleartext],
            framings: vec![Framing::Json],
            secret,
            timeout_secs: 12,
            params: Vec::new(),
        }
    }

    /// The same, for a peer that is known to speak that version: there is nothing to wait for. The
    /// greeting still says which versions we speak.
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
pub const VERSIONS_KEY: &str = "versions";

fn names<T>(list: &[T], name: impl Fn(&T) -> &'static str) -> Vec<String> {
    list.iter().map(|item| name(item).to_owned()).collect()
}
