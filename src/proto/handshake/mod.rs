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
//! Every state is consumed by the call that leaves it. [`Handshake`] drives them all; it stops at
//! `Authenticate` where TLS [begins](Handshake::begin_tls), and for a caller that
//! [asks](Handshake::pausing) for that.
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

#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod check;
mod drive;
mod error;
mod lines;
mod states;
mod tls;

#[cfg(test)]
mod tests;

pub use drive::Handshake;
pub use error::{Blame, HandshakeError};
pub use states::{
    Authenticate, AwaitGreeting, AwaitNonce, AwaitToken, Established, Opening, Peer, Role, Step,
    Verified,
};
pub use tls::{TlsRole, TlsUse};

use crate::proto::auth::Channel;
use crate::proto::generation::Generations;
use crate::proto::greeting::{
    DATA_ID_KEY, GENERATIONS_KEY, HOLD_KEY, MONITOR_KEY, Purpose, SERVICES_KEY, TLS_KEY,
    TLS_VERSION, TRACE_KEY,
};
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
/// use aemp::proto::generation::Generations;
/// use aemp::proto::handshake::Local;
/// let mut local = Local::new("ruth".into(), Some("geheim".into()));
/// local.generations = Generations::Only(0);
/// local.timeout_secs = 20;
/// assert_eq!(local.greeting(0, "127.0.0.1:4040").timeout_secs(), Some(20.0));
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Local {
    /// What the connection is made for, where we connect.
    pub purpose: Purpose,
    /// Our node ID.
    pub node: NodeId,
    /// The generations that we speak.
    pub generations: Generations,
    /// The version to greet with, if that is decided; see [`greeting_in`](Self::greeting_in).
    pub version: Option<u32>,
    /// The methods that we may prove ourselves with.
    pub auth_offer: Vec<AuthMethod>,
    /// The methods that the peer may prove itself with, the most welcome first. A greeting names
    /// those that the generations know which it is for.
    pub auth_accept: Vec<AuthMethod>,
    /// The framings that we accept and send, the most welcome first.
    pub framings: Vec<Framing>,
    /// The shared secret. Without one no handshake succeeds without TLS.
    pub secret: Option<Secret>,
    /// Whether we speak TLS.
    pub tls: TlsUse,
    /// The idle time-out that a generation 0 greeting announces, in whole seconds.
    pub timeout_secs: u64,
    /// Whether we take messages that say which trace they belong to.
    pub traces: bool,
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
    /// The defaults: every generation, no TLS, HMAC offered, HMAC and cleartext accepted, CBOR
    /// preferred to JSON.
    ///
    /// ```
    /// use aemp::proto::{AuthMethod, handshake::Local};
    /// let local = Local::new("ruth".into(), Some("geheim".into()));
    /// assert_eq!(local.auth_offer, AuthMethod::OFFERED);
    /// assert_eq!(local.auth_accept, AuthMethod::ACCEPTED);
    /// ```
    pub fn new(node: NodeId, secret: Option<Secret>) -> Self {
        Local {
            purpose: Purpose::Link,
            node,
            generations: Generations::Auto,
            version: None,
            auth_offer: AuthMethod::OFFERED.to_vec(),
            auth_accept: AuthMethod::ACCEPTED.to_vec(),
            framings: vec![Framing::Cbor, Framing::Json],
            secret,
            tls: TlsUse::Never,
            timeout_secs: 12,
            traces: false,
            params: Vec::new(),
        }
    }

    /// The same, for a peer that is known to greet with that version: there is nothing to wait for.
    /// The greeting still says which generations we speak.
    ///
    /// ```
    /// use aemp::proto::{greeting::GENERATIONS_KEY, handshake::Local};
    /// let local = Local::new("ruth".into(), None).greeting_in(0);
    /// assert!(!local.is_open());
    /// assert_eq!(local.greeting(0, "127.0.0.1:4040").param(GENERATIONS_KEY), Some("2,1,0"));
    /// ```
    pub fn greeting_in(&self, version: u32) -> Self {
        Local {
            version: Some(version),
            ..self.clone()
        }
    }

    /// The same, to connect with for the data connection of this ID (PROTOCOL.md, "Data
    /// connections").
    ///
    /// ```
    /// use aemp::proto::handshake::Local;
    /// let local = Local::new("ruth".into(), None).for_data("b@ruth");
    /// let line = local.greeting(1, "127.0.0.1:4040").to_line();
    /// assert!(line.starts_with("aemp-dataconn;1;ruth;") && line.contains(";dataconn_id=b@ruth"));
    /// ```
    pub fn for_data(&self, id: &str) -> Self {
        let mut local = self.clone();
        local.purpose = Purpose::Data;
        local.params.push((DATA_ID_KEY.to_owned(), id.to_owned()));
        local
    }

    /// Whether the other side's greeting can change what ours says.
    ///
    /// See [`greeting_in`](Self::greeting_in) for an example.
    pub fn is_open(&self) -> bool {
        self.version.is_none() && self.generations.is_open()
    }

    /// The version that we greet with when we greet first.
    ///
    /// ```
    /// use aemp::proto::handshake::Local;
    /// let local = Local::new("ruth".into(), None);
    /// assert_eq!((local.first_version(), local.greeting_in(0).first_version()), (1, 0));
    /// ```
    pub fn first_version(&self) -> u32 {
        self.version
            .unwrap_or_else(|| self.generations.preferred_version())
    }

    /// Whether we may greet with this version.
    ///
    /// ```
    /// use aemp::proto::handshake::Local;
    /// let local = Local::new("ruth".into(), None);
    /// assert!(local.allows_version(0) && !local.greeting_in(1).allows_version(0));
    /// ```
    pub fn allows_version(&self, version: u32) -> bool {
        match self.version {
            Some(only) => only == version,
            None => self.generations.allows_version(version),
        }
    }

    /// The numbers of the generations that a greeting of this version is for.
    fn generations_in(&self, version: u32) -> impl Iterator<Item = u32> {
        let ours = self.generations;
        let known = Generations::KNOWN.into_iter();
        known.filter(move |&number| ours.allows(number) && number.min(1) == version)
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
        if self.generations_in(version).any(|number| number == 2) {
            let keys = [MONITOR_KEY, SERVICES_KEY];
            params.extend(keys.map(|key| (key.to_owned(), "1".to_owned())));
        }
        if self.generations.is_open() {
            let known = Generations::KNOWN.map(|number| number.to_string());
            params.push((GENERATIONS_KEY.to_owned(), known.join(",")));
        }
        params.push((HOLD_KEY.to_owned(), "1".to_owned()));
        if self.traces {
            params.push((TRACE_KEY.to_owned(), "1".to_owned()));
        }
        if self.tls != TlsUse::Never {
            params.push((TLS_KEY.to_owned(), TLS_VERSION.to_owned()));
        }
        params.extend(self.params.iter().cloned());
        let accepted: Vec<AuthMethod> = self
            .auth_accept
            .iter()
            .copied()
            .filter(|method| self.generations_in(version).any(|n| method.is_known_in(n)))
            .filter(|method| self.tls != TlsUse::Never || method.works_over(Channel::Plain))
            .collect();
        Greeting {
            purpose: self.purpose,
            version,
            node: self.node.clone(),
            auths: names(&accepted, |method| method.name()),
            framings: names(&self.framings, |framing| framing.name()),
            params,
        }
    }
}

fn names<T>(list: &[T], name: impl Fn(&T) -> &'static str) -> Vec<String> {
    list.iter().map(|item| name(item).to_owned()).collect()
}
