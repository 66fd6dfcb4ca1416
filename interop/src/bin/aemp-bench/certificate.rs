//! The certificate of a network that is measured.

use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyPair};

use crate::failure::Failure;

/// A new key with a certificate, in PEM, as `aemp gencert` makes them: self-signed, and a CA. It is
/// of use until the program ends.
pub fn generate() -> Result<&'static str, Failure> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, "AnyEvent::MP");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok((certificate.pem() + &key.serialize_pem()).leak())
}
