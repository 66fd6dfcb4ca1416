//! TLS as nodes of AnyEvent::MP use it (PROTOCOL.md, "TLS").
//!
//! The nodes of a network share one PEM file with a key and certificates. It is the identity of
//! each of them, and it is all that they trust: who shows a certificate of that file, or one that is
//! issued by one, is let in. Both sides show theirs. Names in certificates mean nothing.
//!
//! | file | what it does |
//! |---|---|
//! | [`info`] | what is known of the TLS of a link |
//! | [`error`] | why TLS failed, why a `cert` can't be used |
//! | [`certificate`] | certificates: who, until when, and their fingerprints |
//! | [`identity`] | reads the PEM file |
//! | [`chain`] | the rule: whether a certificate is to be trusted |
//! | [`verifier`] | the same for rustls |
//! | [`context`] | the settings of rustls, which may change while a node runs |
//! | [`session`] | a stream through TLS, and its halves |
//!
//! The cryptography is `ring`'s: it builds with a C compiler alone, runs wherever Rust does, and
//! its licence asks for nothing that the rest does not.

mod error;
mod info;

#[cfg(feature = "tls")]
mod certificate;
#[cfg(feature = "tls")]
mod chain;
#[cfg(feature = "tls")]
mod context;
#[cfg(feature = "tls")]
mod identity;
#[cfg(feature = "tls")]
mod session;
#[cfg(feature = "tls")]
mod verifier;

#[cfg(all(test, feature = "tls"))]
mod tests;

#[cfg(not(feature = "tls"))]
mod absent;

pub use error::CertError;
#[cfg(feature = "tls")]
pub use error::{CertificateFault, TlsError};
pub use info::{PeerCertificate, TlsInfo};

#[cfg(not(feature = "tls"))]
pub(crate) use absent::Tls;
#[cfg(feature = "tls")]
pub use certificate::Certificate;
#[cfg(feature = "tls")]
pub(crate) use context::Tls;
#[cfg(feature = "tls")]
pub use identity::Identity;
#[cfg(feature = "tls")]
pub(crate) use session::{ReadHalf, Stream, WriteHalf};
