//! The rule of whom to trust, which is the one that OpenSSL follows when it is given the PEM of a
//! network as its only store.
//!
//! A certificate is trusted if a chain leads from it to a self-signed one in that PEM. Unlike on
//! the web, the certificate that is shown may be that self-signed one, with all marks of a CA: it
//! is what Perl's `gencert` makes.

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::oid_registry::{OID_PKCS1_SHA1WITHRSA, OID_SHA1_WITH_RSA};
use x509_parser::x509::{X509Name, X509Version};

use super::CertificateFault;

/// The longest chain, in certificates; and the most signatures that are checked to find one.
const MOST_DEEP: usize = 8;
const MOST_SIGNATURES: usize = 32;

/// Which side of TLS shows the certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shower {
    Client,
    Server,
}

/// A certificate's place in its chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// It is the one that is shown.
    First,
    /// It issues others; so many CAs stand between it and the first.
    Issuer(usize),
}

/// What a chain is sought among.
pub(super) struct Search<'a> {
    /// What else the peer has shown.
    pub(super) shown: &'a [X509Certificate<'a>],
    pub(super) trusted: &'a [X509Certificate<'a>],
    pub(super) shower: Shower,
    /// Seconds since the epoch.
    pub(super) now: i64,
}

impl Search<'_> {
    /// Whether the certificate that the peer has shown is to be trusted.
    pub(super) fn trusts(&self, first: &X509Certificate<'_>) -> Result<(), CertificateFault> {
        let mut signatures = MOST_SIGNATURES;
        self.follow(first, Place::First, 1, &mut signatures)
    }

    /// Whether a chain leads from this certificate to one that is trusted. The fault is the one of
    /// the chain that was followed first.
    fn follow(
        &self,
        certificate: &X509Certificate<'_>,
        place: Place,
        depth: usize,
        signatures: &mut usize,
    ) -> Result<(), CertificateFault> {
        self.check(certificate, place)?;
        let is_trusted = self
            .trusted
            .iter()
            .any(|trusted| trusted.as_raw() == certificate.as_raw());
        let is_self_issued = same_name(certificate.issuer(), certificate.subject());
        if is_self_issued && is_trusted {
            return Ok(());
        }
        let mut fault = CertificateFault::UnknownIssuer;
        if depth == MOST_DEEP {
            return Err(fault);
        }
        let above = match place {
            Place::First => Place::Issuer(0),
            // Those that issue themselves a new key do not count for the length.
            Place::Issuer(below) => Place::Issuer(below + usize::from(!is_self_issued)),
        };
        let mut found = false;
        for issuer in self.trusted.iter().chain(self.shown) {
            let is_itself = issuer.as_raw() == certificate.as_raw();
            if is_itself || !may_have_issued(issuer, certificate) {
                continue;
            }
            *signatures = match signatures.checked_sub(1) {
                Some(left) => left,
                None => return Err(fault),
            };
            let step = signed_by(certificate, issuer)
                .and_then(|()| self.follow(issuer, above, depth + 1, signatures));
            match step {
                Ok(()) => return Ok(()),
                // One of the same name that signs itself has another key: it is a stranger.
                Err(CertificateFault::BadSignature) if is_self_issued => {}
                Err(first) if !found => (found, fault) = (true, first),
                Err(_) => {}
            }
        }
        Err(fault)
    }

    /// Checks a certificate by itself.
    fn check(
        &self,
        certificate: &X509Certificate<'_>,
        place: Place,
    ) -> Result<(), CertificateFault> {
        let seconds = |time: i64| u64::try_from(time).ok().map(std::time::Duration::from_secs);
        let validity = certificate.validity();
        let (from, until) = (
            validity.not_before.timestamp(),
            validity.not_after.timestamp(),
        );
        if self.now < from {
            return Err(CertificateFault::NotValidYet(seconds(from)));
        }
        if self.now > until {
            return Err(CertificateFault::Expired(seconds(until)));
        }
        for extension in certificate.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::UnsupportedExtension { .. } if extension.critical => {
                    return Err(CertificateFault::Extension);
                }
                // Names mean nothing here; but who limits them wants that to be looked after.
                ParsedExtension::NameConstraints(_) => return Err(CertificateFault::Extension),
                ParsedExtension::ParseError { .. } => return Err(CertificateFault::Encoding),
                _ => {}
            }
        }
        self.check_purpose(certificate, place)?;
        match place {
            Place::First if certificate.version() != X509Version::V3 => {
                let version = certificate.version().0.saturating_add(1);
                Err(CertificateFault::Version(version))
            }
            Place::First => Ok(()),
            Place::Issuer(below) => check_issuer(certificate, below),
        }
    }

    fn check_purpose(
        &self,
        certificate: &X509Certificate<'_>,
        place: Place,
    ) -> Result<(), CertificateFault> {
        let encoding = |_| CertificateFault::Encoding;
        let extended = certificate.extended_key_usage().map_err(encoding)?;
        let is_for = extended.is_none_or(|usage| match self.shower {
            Shower::Client => usage.value.client_auth,
            Shower::Server => usage.value.server_auth,
        });
        let usage = certificate.key_usage().map_err(encoding)?;
        let may_sign = usage.is_none_or(|usage| {
            let usage = usage.value;
            match (place, self.shower) {
                (Place::Issuer(_), _) => usage.key_cert_sign(),
                (Place::First, Shower::Client) => {
                    usage.digital_signature() || usage.key_agreement()
                }
                (Place::First, Shower::Server) => {
                    usage.digital_signature() || usage.key_encipherment() || usage.key_agreement()
                }
            }
        });
        match is_for && may_sign {
            true => Ok(()),
            false => Err(CertificateFault::Purpose),
        }
    }
}

/// Whether the certificate may issue others, with so many CAs between it and the first.
fn check_issuer(certificate: &X509Certificate<'_>, below: usize) -> Result<(), CertificateFault> {
    let constraints = certificate.basic_constraints();
    let constraints = constraints.map_err(|_| CertificateFault::Encoding)?;
    let may = match constraints {
        Some(constraints) => {
            let longest = constraints.value.path_len_constraint;
            constraints.value.ca && longest.is_none_or(|longest| below <= longest as usize)
        }
        // Certificates of version 1 can't say what they are.
        None => {
            same_name(certificate.issuer(), certificate.subject()) && certificate.version().0 == 0
        }
    };
    match may {
        true => Ok(()),
        false => Err(CertificateFault::NotCa),
    }
}

fn signed_by(
    certificate: &X509Certificate<'_>,
    issuer: &X509Certificate<'_>,
) -> Result<(), CertificateFault> {
    let algorithm = &certificate.signature_algorithm.algorithm;
    if *algorithm == OID_PKCS1_SHA1WITHRSA || *algorithm == OID_SHA1_WITH_RSA {
        return Err(CertificateFault::Other(
            "it is signed by way of SHA-1".to_owned(),
        ));
    }
    let verified = certificate.verify_signature(Some(issuer.public_key()));
    verified.map_err(|_| CertificateFault::BadSignature)
}

/// Whether one certificate is issued by the other, by what they say of it.
fn may_have_issued(issuer: &X509Certificate<'_>, certificate: &X509Certificate<'_>) -> bool {
    let wanted =
        certificate
            .iter_extensions()
            .find_map(|extension| match extension.parsed_extension() {
                ParsedExtension::AuthorityKeyIdentifier(key) => key.key_identifier.as_ref(),
                _ => None,
            });
    let own = issuer
        .iter_extensions()
        .find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(key) => Some(key),
            _ => None,
        });
    let same_key = match (wanted, own) {
        (Some(wanted), Some(own)) => wanted.0 == own.0,
        _ => true,
    };
    same_key && same_name(issuer.subject(), certificate.issuer())
}

/// Whether two names are the same, however their texts are encoded and in either case.
fn same_name(one: &X509Name<'_>, other: &X509Name<'_>) -> bool {
    let folded = |name: &X509Name<'_>| name.to_string().to_lowercase();
    one.as_raw() == other.as_raw() || folded(one) == folded(other)
}
