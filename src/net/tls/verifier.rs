//! The rule of whom to trust, for rustls.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme,
};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::CertificateFault;
use super::chain::{Search, Shower};

/// Trusts what leads to one of these certificates, see [`Search`].
#[derive(Debug)]
pub(super) struct Verifier {
    trusted: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

/// The most certificates of a peer that are looked at.
const MOST_SHOWN: usize = 16;

impl Verifier {
    pub(super) fn new(
        trusted: Vec<CertificateDer<'static>>,
        provider: Arc<CryptoProvider>,
    ) -> Arc<Self> {
        Arc::new(Verifier { trusted, provider })
    }

    pub(super) fn verify(
        &self,
        first: &CertificateDer<'_>,
        shown: &[CertificateDer<'_>],
        shower: Shower,
        now: UnixTime,
    ) -> Result<(), CertificateFault> {
        let parse = |der| match X509Certificate::from_der(der) {
            Ok((_, parsed)) => Some(parsed),
            Err(_) => None,
        };
        let first = parse(first).ok_or(CertificateFault::Encoding)?;
        let trusted: Vec<_> = self.trusted.iter().filter_map(|der| parse(der)).collect();
        let shown = shown.iter().take(MOST_SHOWN);
        let shown: Vec<_> = shown.filter_map(|der| parse(der)).collect();
        let search = Search {
            shown: &shown,
            trusted: &trusted,
            shower,
            now: now.as_secs().try_into().unwrap_or(i64::MAX),
        };
        search.trusts(&first)
    }
}

/// The fault as rustls tells it to the peer, by the alert that fits.
fn rustls_error(fault: CertificateFault, now: UnixTime) -> Error {
    let since_epoch = UnixTime::since_unix_epoch;
    Error::InvalidCertificate(match fault {
        CertificateFault::Expired(Some(not_after)) => CertificateError::ExpiredContext {
            time: now,
            not_after: since_epoch(not_after),
        },
        CertificateFault::NotValidYet(Some(not_before)) => CertificateError::NotValidYetContext {
            time: now,
            not_before: since_epoch(not_before),
        },
        CertificateFault::Expired(None) => CertificateError::Expired,
        CertificateFault::NotValidYet(None) => CertificateError::NotValidYet,
        CertificateFault::UnknownIssuer => CertificateError::UnknownIssuer,
        CertificateFault::BadSignature => CertificateError::BadSignature,
        CertificateFault::Purpose => CertificateError::InvalidPurpose,
        CertificateFault::Encoding => CertificateError::BadEncoding,
        CertificateFault::Extension => CertificateError::UnhandledCriticalExtension,
        fault => CertificateError::Other(OtherError(Arc::new(fault))),
    })
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.verify(end_entity, intermediates, Shower::Server, now);
        verified.map_err(|fault| rustls_error(fault, now))?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let known = &self.provider.signature_verification_algorithms;
        known.supported_schemes()
    }
}

impl ClientCertVerifier for Verifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.verify(end_entity, intermediates, Shower::Client, now);
        verified.map_err(|fault| rustls_error(fault, now))?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        ServerCertVerifier::verify_tls12_signature(self, message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        ServerCertVerifier::verify_tls13_signature(self, message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ServerCertVerifier::supported_verify_schemes(self)
    }
}
