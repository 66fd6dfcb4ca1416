//! Certificates: makes one, and shows what there is.

use std::fmt::Write as _;
use std::time::SystemTime;

use aemp::net::tls::Certificate;
use chrono::{DateTime, Datelike as _, Days, Utc};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, date_time_ymd};

/// For so many days a new certificate is valid, as with Perl.
const DAYS: u64 = 3650;

/// A new key and a certificate for it, in PEM: self-signed, a CA, and for nobody in particular, as
/// Perl's `gencert` makes it.
pub(crate) fn generate() -> Result<String, rcgen::Error> {
    let today = Utc::now().date_naive();
    let day = |date: chrono::NaiveDate| {
        // Months and days are small.
        let small = |number: u32| u8::try_from(number).unwrap_or(1);
        date_time_ymd(date.year(), small(date.month()), small(date.day()))
    };
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, "AnyEvent::MP");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // Other machines' clocks may be behind ours.
    params.not_before = day(today.checked_sub_days(Days::new(1)).unwrap_or(today));
    params.not_after = day(today.checked_add_days(Days::new(DAYS)).unwrap_or(today));
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok(certificate.pem() + &key.serialize_pem())
}

/// Shows certificates as `openssl x509 -subject -issuer -dates -fingerprint` does.
pub(crate) fn show(certificates: &[Certificate]) -> String {
    let date = |time: SystemTime| DateTime::<Utc>::from(time).format("%b %e %H:%M:%S %Y GMT");
    let mut text = String::new();
    for (number, certificate) in certificates.iter().enumerate() {
        if number > 0 {
            text.push('\n');
        }
        let _ = writeln!(
            text,
            "subject={}\nissuer={}\nnotBefore={}\nnotAfter={}\nsha256 Fingerprint={}\nsha1 Fingerprint={}",
            certificate.subject,
            certificate.issuer,
            date(certificate.not_before),
            date(certificate.not_after),
            certificate.sha256,
            certificate.sha1,
        );
    }
    text
}
