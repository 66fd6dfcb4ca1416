//! A certificate: whom it is for, until when, and its fingerprints.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::CertificateDer;
use sha2::Digest as _;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::PeerCertificate;

/// A certificate, for those who want to show it.
///
/// See [`Identity::certificates`](super::Identity::certificates) for an example.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Certificate {
    /// Whom it is for, such as `CN=AnyEvent::MP`.
    pub subject: String,
    /// Who issued it: itself, if it says the same.
    pub issuer: String,
    /// From when on it is valid.
    pub not_before: SystemTime,
    /// Until when it is valid.
    pub not_after: SystemTime,
    /// The version of its form: 3, or 1 if it is without extensions.
    pub version: u32,
    /// Its SHA-256 fingerprint, as `openssl x509 -fingerprint -sha256` prints it.
    pub sha256: String,
    /// Its SHA-1 fingerprint, as `openssl x509 -fingerprint -sha1` prints it.
    pub sha1: String,
}

impl Certificate {
    /// Reads one in DER; the error says what is wrong.
    pub(super) fn from_der(der: &[u8]) -> Result<Self, String> {
        let (rest, parsed) = X509Certificate::from_der(der).map_err(|error| error.to_string())?;
        if !rest.is_empty() {
            return Err("there is something behind it".to_owned());
        }
        let validity = parsed.validity();
        Ok(Certificate {
            subject: parsed.subject().to_string(),
            issuer: parsed.issuer().to_string(),
            not_before: system_time(validity.not_before.timestamp()),
            not_after: system_time(validity.not_after.timestamp()),
            version: parsed.version().0.saturating_add(1),
            sha256: fingerprint(&sha2::Sha256::digest(der)),
            sha1: fingerprint(&sha1::Sha1::digest(der)),
        })
    }
}

/// What is kept of the certificate that a peer has shown.
pub(super) fn of_peer(der: &CertificateDer<'_>) -> Option<PeerCertificate> {
    let Certificate {
        subject,
        sha256,
        sha1,
        ..
    } = Certificate::from_der(der).ok()?;
    Some(PeerCertificate {
        subject,
        sha256,
        sha1,
    })
}

fn system_time(timestamp: i64) -> SystemTime {
    let distance = Duration::from_secs(timestamp.unsigned_abs());
    let time = match timestamp < 0 {
        true => UNIX_EPOCH.checked_sub(distance),
        false => UNIX_EPOCH.checked_add(distance),
    };
    time.unwrap_or(UNIX_EPOCH)
}

/// As `openssl` prints it: `AB:CD:..`.
fn fingerprint(hash: &[u8]) -> String {
    let mut text = String::with_capacity(hash.len() * 3);
    for octet in hash {
        let colon = if text.is_empty() { "" } else { ":" };
        let _ = write!(text, "{colon}{octet:02X}");
    }
    text
}
