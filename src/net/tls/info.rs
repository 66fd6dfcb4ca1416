//! What is known of the TLS of a link.

use serde::{Deserialize, Serialize};

/// The TLS that a link runs through.
///
/// See [`LinkStats::tls`](crate::LinkStats::tls), and [`PeerCertificate`] for an example.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TlsInfo {
    /// The version of the protocol, such as `TLSv1_3`.
    pub version: String,
    /// The cipher suite, such as `TLS13_AES_256_GCM_SHA384`.
    pub cipher: String,
    /// The certificate that the node at the other end has shown. It always has, unless the program
    /// has its own configuration of TLS (`Builder::rustls`) that does not ask for one.
    pub peer: Option<PeerCertificate>,
}

/// Who is at the other end of a link, as TLS has proved it.
///
/// ```
/// # fn show(stats: &aemp::LinkStats) {
/// if let Some(peer) = stats.tls.as_ref().and_then(|tls| tls.peer.as_ref()) {
///     println!("{} is {}, SHA256 Fingerprint={}", stats.node, peer.subject, peer.sha256);
/// }
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PeerCertificate {
    /// Whom the certificate is for, such as `CN=AnyEvent::MP`. Nothing is decided by it.
    pub subject: String,
    /// The certificate's SHA-256 fingerprint, as `openssl x509 -fingerprint -sha256` prints it.
    pub sha256: String,
    /// Its SHA-1 fingerprint, in the same form.
    pub sha1: String,
}
