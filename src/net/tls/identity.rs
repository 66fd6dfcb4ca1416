//! Reads the PEM that is a node's identity and all that it trusts.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{PemObject as _, SectionKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};

use super::{CertError, Certificate};

/// What a node's setting `cert` holds: a key, the certificate that belongs to it, and further
/// certificates that are trusted, all in PEM and in any order.
///
/// ```
/// use aemp::net::tls::{CertError, Identity};
/// let no_key = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
/// assert_eq!(Identity::from_pem(no_key).unwrap_err(), CertError::NoKey);
/// ```
#[derive(Debug, Clone)]
pub struct Identity {
    pub(super) key: Arc<CertifiedKey>,
    /// All certificates, in their order: these are trusted.
    pub(super) trusted: Vec<CertificateDer<'static>>,
}

/// The cryptography, see the [room](super).
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// All certificates and private keys of a PEM, in their order.
fn sections(
    pem: &str,
) -> Result<(Vec<CertificateDer<'static>>, Vec<PrivateKeyDer<'static>>), CertError> {
    let (mut certificates, mut keys) = (Vec::new(), Vec::new());
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem.as_bytes()) {
        let (kind, der) = section.map_err(|error| CertError::Pem(error.to_string()))?;
        match kind {
            SectionKind::Certificate => certificates.push(CertificateDer::from(der)),
            SectionKind::PrivateKey => keys.push(PrivateKeyDer::Pkcs8(der.into())),
            SectionKind::RsaPrivateKey => keys.push(PrivateKeyDer::Pkcs1(der.into())),
            SectionKind::EcPrivateKey => keys.push(PrivateKeyDer::Sec1(der.into())),
            _ => {}
        }
    }
    Ok((certificates, keys))
}

impl Identity {
    /// Reads a PEM: the text itself, not a file's name.
    ///
    /// # Errors
    ///
    /// [`CertError`] says what is missing or wrong.
    ///
    /// See [`Identity`] and [`certificates`](Self::certificates) for examples.
    pub fn from_pem(pem: &str) -> Result<Identity, CertError> {
        let (certificates, keys) = sections(pem)?;
        let Some(key) = keys.into_iter().next() else {
            return Err(
                match pem.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") {
                    true => CertError::EncryptedKey,
                    false => CertError::NoKey,
                },
            );
        };
        let mut old = None;
        for (at, der) in certificates.iter().enumerate() {
            let number = at + 1;
            let read = Certificate::from_der(der);
            let read = read.map_err(|text| CertError::Certificate { number, text })?;
            let version = read.version;
            if version != 3 && old.is_none() {
                old = Some(CertError::Version { number, version });
            }
        }
        if certificates.is_empty() {
            return Err(CertError::NoCertificate);
        }
        let key = provider()
            .key_provider
            .load_private_key(key)
            .map_err(|error| CertError::Key(error.to_string()))?;
        // The key's own certificate goes first, those that issued it may follow.
        let own = |first: &CertificateDer<'static>| {
            let others = certificates.iter().filter(|other| *other != first);
            let shown = std::iter::once(first).chain(others).cloned().collect();
            let shown = CertifiedKey::new(shown, key.clone());
            let matches = match shown.keys_match() {
                Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => true,
                Err(_) => false,
            };
            matches.then(|| Arc::new(shown))
        };
        let key = certificates.iter().find_map(own);
        Ok(Identity {
            // In an old one rustls does not find the key, so that may be why none matches.
            key: key.ok_or(old.unwrap_or(CertError::Mismatch))?,
            trusted: certificates,
        })
    }

    /// All certificates, that of the node first.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use aemp::net::tls::Identity;
    /// let pem = std::fs::read_to_string("fixtures/tls/perl.pem")?;
    /// let own = &Identity::from_pem(&pem)?.certificates()[0];
    /// assert_eq!((&*own.subject, &own.issuer), ("CN=AnyEvent::MP", &own.subject));
    /// assert!(own.sha1.starts_with("AA:") || own.sha1.len() == 59);
    /// # Ok(()) }
    /// ```
    pub fn certificates(&self) -> Vec<Certificate> {
        let shown = self.key.cert.iter();
        shown
            .filter_map(|der| Certificate::from_der(der).ok())
            .collect()
    }

    /// The certificates of a PEM in their order, with or without a key.
    ///
    /// # Errors
    ///
    /// [`CertError`]: there is none, or one can't be read.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use aemp::net::tls::Identity;
    /// let pem = std::fs::read_to_string("fixtures/tls/perl.pem")?;
    /// assert_eq!(Identity::certificates_of(&pem)?.len(), 1);
    /// # Ok(()) }
    /// ```
    pub fn certificates_of(pem: &str) -> Result<Vec<Certificate>, CertError> {
        let (certificates, _) = sections(pem)?;
        if certificates.is_empty() {
            return Err(CertError::NoCertificate);
        }
        let read = |(at, der): (usize, &CertificateDer<'static>)| {
            Certificate::from_der(der).map_err(|text| CertError::Certificate {
                number: at + 1,
                text,
            })
        };
        certificates.iter().enumerate().map(read).collect()
    }
}
