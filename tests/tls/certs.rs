//! Certificates for the tests.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};

/// A key and a certificate as Perl's `gencert` makes them.
pub const PERL: &str = include_str!("../../fixtures/tls/perl.pem");

pub fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

/// A key and its self-signed certificate.
pub fn self_signed(params: &CertificateParams) -> String {
    let key = KeyPair::generate().unwrap();
    params.self_signed(&key).unwrap().pem() + &key.serialize_pem()
}

pub fn other_ca() -> String {
    self_signed(&params("AnyEvent::MP"))
}

pub fn expired() -> String {
    let mut params = params("AnyEvent::MP");
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2021, 1, 1);
    self_signed(&params)
}

/// Two keys with certificates that one CA has issued, each with that CA's.
pub fn issued() -> [String; 2] {
    let (ca, key) = (params("CA"), KeyPair::generate().unwrap());
    let root = ca.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(ca, key);
    ["a", "b"].map(|name| {
        let key = KeyPair::generate().unwrap();
        let mut params = params(name);
        params.is_ca = IsCa::NoCa;
        let own = params.signed_by(&key, &issuer).unwrap().pem();
        key.serialize_pem() + &own + &root
    })
}
