//! Why TLS failed, and why a `cert` can't be used.

#[cfg(feature = "tls")]
use std::time::{Duration, UNIX_EPOCH};

#[cfg(feature = "tls")]
use rustls::{AlertDescription, CertificateError, Error};

#[cfg(feature = "tls")]
use crate::proto::handshake::Blame;

/// Why the setting `cert` can't be used.
///
/// ```
/// # #[cfg(feature = "tls")] {
/// use aemp::net::tls::{CertError, Identity};
/// assert!(matches!(Identity::from_pem("a file's name"), Err(CertError::NoKey)));
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertError {
    /// This build of the crate has no TLS.
    #[error("cert: this program was built without TLS (the feature `tls` of the crate aemp)")]
    NotBuilt,
    /// It is no PEM.
    #[error("cert: {0}")]
    Pem(String),
    /// There is no private key in it.
    #[error("cert: there is no private key in it (the setting is the PEM itself, no file's name)")]
    NoKey,
    /// The key is encrypted.
    #[error("cert: the private key is encrypted, and there is no setting for its password")]
    EncryptedKey,
    /// The private key can't be used.
    #[error("cert: the private key can't be used: {0}")]
    Key(String),
    /// There is no certificate in it.
    #[error("cert: there is no certificate in it")]
    NoCertificate,
    /// One of the certificates is none.
    #[error("cert: certificate {number} in it can't be read: {text}")]
    Certificate {
        /// Which one, counted from 1.
        number: usize,
        /// What is wrong with it.
        text: String,
    },
    /// The certificate that the key may belong to has no extensions, as those of version 1 and 2.
    #[error(
        "cert: certificate {number} in it is of version {version}, and TLS here takes version 3 only (make it with an extension, as basicConstraints)"
    )]
    Version {
        /// Which one, counted from 1.
        number: usize,
        /// The version that it says it is of.
        version: u32,
    },
    /// The key belongs to no certificate.
    #[error("cert: the private key belongs to none of the certificates in it")]
    Mismatch,
    /// The node was started without TLS, or with a configuration of the program.
    #[error("cert: the node was not started with one, so there is none to replace")]
    NotInUse,
    /// A node that requires TLS has no certificate.
    #[error("require_tls is set, but there is no cert: no link could ever be made")]
    Required,
}

/// What is wrong with a certificate.
///
/// ```
/// use aemp::net::tls::CertificateFault;
/// let fault = CertificateFault::UnknownIssuer;
/// assert_eq!(fault.to_string(), "it is neither in our cert nor issued by one that is");
/// ```
#[cfg(feature = "tls")]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateFault {
    /// It has expired.
    #[error("it has expired{}", at(.0))]
    Expired(Option<Duration>),
    /// It is not valid yet.
    #[error("it is not valid yet{}", at(.0))]
    NotValidYet(Option<Duration>),
    /// Neither it nor who issued it is in our `cert`.
    #[error("it is neither in our cert nor issued by one that is")]
    UnknownIssuer,
    /// It is not signed by the key of its issuer.
    #[error("its signature is wrong")]
    BadSignature,
    /// It is not for TLS, or not for this side of it.
    #[error("it is not meant for this use (key usage)")]
    Purpose,
    /// It, or one above it, can't be read.
    #[error("it can't be read")]
    Encoding,
    /// It, or one above it, demands what we can't do.
    #[error("it has a critical extension that is not known here")]
    Extension,
    /// It is of an old version, without extensions, in which rustls reads no key.
    #[error("it is of version {0}, and TLS here takes version 3 only")]
    Version(u32),
    /// It was issued by a certificate that must not issue any, or not so far down.
    #[error("it is issued by one that is no CA for it")]
    NotCa,
    /// Something else.
    #[error("{0}")]
    Other(String),
}

#[cfg(feature = "tls")]
fn at(since_epoch: &Option<Duration>) -> String {
    let Some(since_epoch) = since_epoch else {
        return String::new();
    };
    let time = UNIX_EPOCH.checked_add(*since_epoch).map(|time| {
        let secs = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        x509_parser::time::ASN1Time::from_timestamp(secs.as_secs().try_into().unwrap_or(i64::MAX))
    });
    match time {
        Some(Ok(time)) => format!(" ({time})"),
        _ => String::new(),
    }
}

/// Why TLS failed.
///
/// ```
/// use aemp::net::tls::TlsError;
/// use aemp::proto::handshake::Blame;
/// assert_eq!(TlsError::NoCertificate.blame(), Blame::Peer);
/// ```
#[cfg(feature = "tls")]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The peer's certificate is not to be trusted.
    #[error("TLS: the peer's certificate is refused: {0}")]
    Certificate(CertificateFault),
    /// The peer has shown no certificate.
    #[error("TLS: the peer presented no certificate")]
    NoCertificate,
    /// The peer has refused ours, or the handshake.
    #[error("TLS: the peer refused: it says {alert}")]
    Refused {
        /// Its alert, such as `UnknownCA`.
        alert: String,
    },
    /// What came is no TLS.
    #[error("TLS was agreed, but what came is no TLS ({0})")]
    NoTls(String),
    /// The peer sent more than a handshake may take.
    #[error("TLS: more than {0} octets came in the handshake")]
    TooLong(usize),
    /// The peer ended the connection behind the greetings, before anything of TLS came from it.
    /// Nodes say no more than that to whom they refuse for what is in the greeting.
    #[error(
        "TLS: the peer closed the connection behind the greetings, before TLS began: it refuses this \
         node for its greeting, or has another connection to it"
    )]
    NotBegun,
    /// The connection was closed in the middle of the handshake.
    #[error(
        "TLS: the connection was closed in the middle of the handshake, as by a peer that does not take \
         our certificate"
    )]
    Cut,
    /// There is nothing that both sides speak.
    #[error("TLS: nothing in common with the peer: {0}")]
    Incompatible(String),
    /// Our own configuration is at fault.
    #[error("TLS: {0}")]
    Local(String),
    /// The peer broke the protocol, or what it sent was altered on the way.
    #[error("TLS: {0}")]
    Misbehaved(String),
}

#[cfg(feature = "tls")]
impl TlsError {
    /// Who has to change what, in a sentence that names the setting: `here` is this node, `there`
    /// the other one.
    ///
    /// ```
    /// assert!(aemp::net::tls::TlsError::NoCertificate.advice().contains("`cert`"));
    /// ```
    pub fn advice(&self) -> &'static str {
        match self {
            TlsError::Certificate(_) | TlsError::NoCertificate => {
                "the node there has another `cert`: the same file has to be in both (aemp setcert)"
            }
            TlsError::Refused { .. } | TlsError::Cut => {
                "the node there does not take our `cert`: the same file has to be in both (aemp setcert)"
            }
            TlsError::NotBegun => {
                "there: the log of that node says why, if it is for something in our greeting (`nodeid`, `generation`)"
            }
            TlsError::Local(_) => "`cert` here: aemp setcert FILE",
            TlsError::NoTls(_)
            | TlsError::TooLong(_)
            | TlsError::Incompatible(_)
            | TlsError::Misbehaved(_) => "what listens there, or is in between, speaks another TLS",
        }
    }

    /// Whose fault it is.
    ///
    /// See [`TlsError`] for an example.
    pub fn blame(&self) -> Blame {
        match self {
            TlsError::Cut | TlsError::NotBegun => Blame::Network,
            TlsError::Refused { .. } | TlsError::Incompatible(_) => Blame::Incompatible,
            TlsError::Local(_) => Blame::Us,
            _ => Blame::Peer,
        }
    }
}

#[cfg(feature = "tls")]
impl From<Error> for TlsError {
    fn from(error: Error) -> Self {
        match error {
            Error::InvalidCertificate(fault) => TlsError::Certificate(fault.into()),
            Error::NoCertificatesPresented => TlsError::NoCertificate,
            Error::AlertReceived(alert) => TlsError::Refused {
                alert: explained(alert),
            },
            Error::InvalidMessage(what) => TlsError::NoTls(format!("{what:?}")),
            Error::PeerIncompatible(what) => TlsError::Incompatible(format!("{what:?}")),
            Error::General(text) => TlsError::Local(text),
            Error::FailedToGetCurrentTime | Error::FailedToGetRandomBytes => {
                TlsError::Local(error.to_string())
            }
            error => TlsError::Misbehaved(error.to_string()),
        }
    }
}

#[cfg(feature = "tls")]
fn explained(alert: AlertDescription) -> String {
    let meaning = match alert {
        AlertDescription::UnknownCA => "it does not trust our certificate",
        AlertDescription::CertificateExpired => "our certificate has expired",
        AlertDescription::CertificateRequired => "it wants a certificate",
        AlertDescription::BadCertificate | AlertDescription::CertificateUnknown => {
            "it does not accept our certificate"
        }
        _ => return format!("{alert:?}"),
    };
    format!("{alert:?}, {meaning}")
}

#[cfg(feature = "tls")]
impl From<CertificateError> for CertificateFault {
    fn from(error: CertificateError) -> Self {
        let since_epoch = |time: rustls::pki_types::UnixTime| Duration::from_secs(time.as_secs());
        match error {
            CertificateError::Expired => CertificateFault::Expired(None),
            CertificateError::ExpiredContext { not_after, .. } => {
                CertificateFault::Expired(Some(since_epoch(not_after)))
            }
            CertificateError::NotValidYet => CertificateFault::NotValidYet(None),
            CertificateError::NotValidYetContext { not_before, .. } => {
                CertificateFault::NotValidYet(Some(since_epoch(not_before)))
            }
            CertificateError::UnknownIssuer => CertificateFault::UnknownIssuer,
            CertificateError::BadSignature => CertificateFault::BadSignature,
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                CertificateFault::Purpose
            }
            CertificateError::BadEncoding => CertificateFault::Encoding,
            CertificateError::UnhandledCriticalExtension => CertificateFault::Extension,
            CertificateError::Other(other) => {
                let fault = other.0.downcast_ref::<CertificateFault>().cloned();
                fault.unwrap_or_else(|| CertificateFault::Other(other.to_string()))
            }
            error => CertificateFault::Other(error.to_string()),
        }
    }
}
