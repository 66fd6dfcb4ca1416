//! The rule of whom to trust, beside OpenSSL's answer wherever there is an `openssl`.

use std::process::Command;

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, UnixTime};
use std::time::Duration;

use super::chain::Shower;
use super::identity::provider;
use super::verifier::Verifier;
use super::{CertError, CertificateFault, Identity};

const PERL: &str = include_str!("../../../fixtures/tls/perl.pem");
const VERSION_1: &str = include_str!("../../../fixtures/tls/version-1.pem");

/// The middle of 2030, when all is checked.
const NOW: u64 = 1_909_000_000;

/// A certificate with its key.
struct Made {
    params: CertificateParams,
    key: KeyPair,
    der: CertificateDer<'static>,
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    (params.not_before, params.not_after) = (date_time_ymd(2025, 1, 1), date_time_ymd(2040, 1, 1));
    params
}

fn ca(name: &str) -> CertificateParams {
    let mut params = params(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

impl Made {
    fn self_signed(params: CertificateParams) -> Made {
        let key = KeyPair::generate().unwrap();
        let der = params.self_signed(&key).unwrap().der().clone();
        Made { params, key, der }
    }

    fn issued(params: CertificateParams, by: &Made) -> Made {
        let key = KeyPair::generate().unwrap();
        let issuer = Issuer::from_params(&by.params, &by.key);
        let der = params.signed_by(&key, &issuer).unwrap().der().clone();
        Made { params, key, der }
    }

    fn pem(&self) -> String {
        pem(&self.der) + &self.key.serialize_pem()
    }
}

fn pem(der: &CertificateDer<'_>) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> = (0..text.len())
        .step_by(64)
        .map(|at| &text[at..text.len().min(at + 64)])
        .collect();
    let lines = lines.join("\n");
    format!("-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n")
}

/// What OpenSSL says, if it is there: whether it trusts the certificate.
fn openssl(first: &Made, shown: &[&Made], trusted: &[&Made], shower: Shower) -> Option<bool> {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, all: &[&Made]| {
        let path = folder.path().join(name);
        let text: String = all.iter().map(|made| pem(&made.der)).collect();
        std::fs::write(&path, text).unwrap();
        path
    };
    let mut command = Command::new("openssl");
    command.args(["verify", "-no-CApath", "-no-CAstore", "-attime"]);
    command.arg(NOW.to_string()).arg("-purpose");
    command.arg(match shower {
        Shower::Client => "sslclient",
        Shower::Server => "sslserver",
    });
    command.arg("-CAfile").arg(write("trusted.pem", trusted));
    if !shown.is_empty() {
        command.arg("-untrusted").arg(write("shown.pem", shown));
    }
    let output = command.arg(write("first.pem", &[first])).output().ok()?;
    Some(output.status.success())
}

fn verify(
    first: &Made,
    shown: &[&Made],
    trusted: &[&Made],
    shower: Shower,
) -> Result<(), CertificateFault> {
    let all = |made: &[&Made]| -> Vec<CertificateDer<'static>> {
        made.iter().map(|made| made.der.clone()).collect()
    };
    let verifier = Verifier::new(all(trusted), provider());
    let now = UnixTime::since_unix_epoch(Duration::from_secs(NOW));
    verifier.verify(&first.der, &all(shown), shower, now)
}

/// Checks what both say, in both roles.
fn both(
    what: &str,
    (first, shown, trusted): (&Made, &[&Made], &[&Made]),
    [client, server]: [Result<(), CertificateFault>; 2],
) {
    for (shower, wanted) in [(Shower::Client, client), (Shower::Server, server)] {
        let verified = verify(first, shown, trusted, shower);
        assert_eq!(verified, wanted, "{what}, as {shower:?}");
        if let Some(openssl) = openssl(first, shown, trusted, shower) {
            assert_eq!(
                openssl,
                wanted.is_ok(),
                "{what}, as {shower:?}, says OpenSSL"
            );
        }
    }
}

fn all(verdict: Result<(), CertificateFault>) -> [Result<(), CertificateFault>; 2] {
    [verdict.clone(), verdict]
}

#[test]
fn a_certificate_of_the_pem_is_trusted_and_others_are_not() {
    let gencert = || {
        let mut params = ca("AnyEvent::MP");
        params.use_authority_key_identifier_extension = true;
        Made::self_signed(params)
    };
    let (own, other) = (gencert(), gencert());
    let unknown = || Err(CertificateFault::UnknownIssuer);
    both("gencert's", (&own, &[], &[&own]), all(Ok(())));
    both("one of two", (&own, &[], &[&other, &own]), all(Ok(())));
    // The names are the same, the keys are not.
    both("another one", (&other, &[], &[&own]), all(unknown()));
    both(
        "shown does not help",
        (&other, &[&other], &[&own]),
        all(unknown()),
    );
    let unmarked = [Made::self_signed(ca("same")), Made::self_signed(ca("same"))];
    let [first, second] = &unmarked;
    both(
        "without marks of their keys",
        (second, &[], &[first]),
        all(unknown()),
    );
    let forged = Made::issued(params("forged"), second);
    let bad = Err(CertificateFault::BadSignature);
    both(
        "signed by another of the name",
        (&forged, &[], &[first]),
        all(bad),
    );
    let stranger = Made::self_signed(ca("stranger"));
    both(
        "a stranger",
        (&stranger, &[&stranger], &[&own]),
        all(unknown()),
    );
    let plain = Made::self_signed(params("no CA at all"));
    both(
        "without marks of a CA",
        (&plain, &[], &[&plain]),
        all(Ok(())),
    );
}

#[test]
fn dates_count_all_along_the_chain() {
    let mut past = ca("past");
    past.not_after = date_time_ymd(2030, 1, 1);
    let expired = CertificateFault::Expired(Some(Duration::from_secs(1_893_456_000)));
    let mut future = ca("future");
    future.not_before = date_time_ymd(2031, 1, 1);
    let early = CertificateFault::NotValidYet(Some(Duration::from_secs(1_924_992_000)));
    assert_eq!(
        expired.to_string(),
        "it has expired (Jan  1 00:00:00 2030 +00:00)"
    );
    for (params, fault) in [(past, expired), (future, early)] {
        let root = Made::self_signed(params);
        both("the root", (&root, &[], &[&root]), all(Err(fault.clone())));
        let leaf = Made::issued(self::params("leaf"), &root);
        both("above", (&leaf, &[], &[&root]), all(Err(fault)));
    }
}

#[test]
fn what_a_trusted_one_has_issued_is_trusted() {
    let root = Made::self_signed(ca("root"));
    let middle = Made::issued(ca("middle"), &root);
    let leaf = Made::issued(params("leaf"), &middle);
    both("by the root", (&middle, &[], &[&root]), all(Ok(())));
    both(
        "two steps, one shown",
        (&leaf, &[&middle], &[&root]),
        all(Ok(())),
    );
    both(
        "two steps, all trusted",
        (&leaf, &[], &[&middle, &root]),
        all(Ok(())),
    );
    let unknown = Err(CertificateFault::UnknownIssuer);
    both(
        "a step is missing",
        (&leaf, &[], &[&root]),
        all(unknown.clone()),
    );
    both("no root", (&leaf, &[], &[&middle]), all(unknown.clone()));
    both(
        "a root that is only shown",
        (&leaf, &[&middle, &root], &[&leaf]),
        all(unknown.clone()),
    );
    both("trusted, but no root", (&leaf, &[], &[&leaf]), all(unknown));
}

#[test]
fn only_cas_issue() {
    let root = Made::self_signed(ca("root"));
    let leaf = Made::issued(params("leaf"), &root);
    let forged = Made::issued(params("forged"), &leaf);
    let not_ca = Err(CertificateFault::NotCa);
    both(
        "by a leaf",
        (&forged, &[&leaf], &[&root]),
        all(not_ca.clone()),
    );

    let mut short = ca("short");
    short.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let short = Made::self_signed(short);
    let middle = Made::issued(ca("middle"), &short);
    let far = Made::issued(params("far"), &middle);
    both("as far as it may", (&middle, &[], &[&short]), all(Ok(())));
    both("too far", (&far, &[&middle], &[&short]), all(not_ca));

    let mut no_signer = ca("no signer");
    no_signer.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let no_signer = Made::self_signed(no_signer);
    let leaf = Made::issued(params("leaf"), &no_signer);
    let purpose = Err(CertificateFault::Purpose);
    both(
        "no signer of certificates",
        (&leaf, &[], &[&no_signer]),
        all(purpose),
    );
}

#[test]
fn usages_count() {
    let root = Made::self_signed(ca("root"));
    let purpose = || Err(CertificateFault::Purpose);
    for (what, usages, wanted) in [
        (
            "client",
            vec![ExtendedKeyUsagePurpose::ClientAuth],
            [Ok(()), purpose()],
        ),
        (
            "server",
            vec![ExtendedKeyUsagePurpose::ServerAuth],
            [purpose(), Ok(())],
        ),
        (
            "both",
            vec![
                ExtendedKeyUsagePurpose::ServerAuth,
                ExtendedKeyUsagePurpose::ClientAuth,
            ],
            [Ok(()), Ok(())],
        ),
        (
            "mail",
            vec![ExtendedKeyUsagePurpose::EmailProtection],
            [purpose(), purpose()],
        ),
    ] {
        let mut limited = params("limited");
        limited.extended_key_usages = usages.clone();
        let leaf = Made::issued(limited, &root);
        both(what, (&leaf, &[], &[&root]), wanted.clone());
        let mut limited = ca("limited");
        limited.extended_key_usages = usages;
        let above = Made::self_signed(limited);
        let leaf = Made::issued(params("leaf"), &above);
        both(&format!("{what}, above"), (&leaf, &[], &[&above]), wanted);
    }
    for (what, usage, wanted) in [
        ("signs", KeyUsagePurpose::DigitalSignature, [Ok(()), Ok(())]),
        (
            "encrypts",
            KeyUsagePurpose::KeyEncipherment,
            [purpose(), Ok(())],
        ),
        (
            "issues",
            KeyUsagePurpose::KeyCertSign,
            [purpose(), purpose()],
        ),
    ] {
        let mut limited = ca("limited");
        limited.key_usages = vec![usage];
        let own = Made::self_signed(limited);
        both(what, (&own, &[], &[&own]), wanted);
    }
}

#[test]
fn critical_extensions_must_be_known() {
    let mut odd = ca("odd");
    let mut extension =
        CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99_999, 1], vec![5, 0]);
    odd.custom_extensions = vec![extension.clone()];
    let own = Made::self_signed(odd.clone());
    both("not critical", (&own, &[], &[&own]), all(Ok(())));
    extension.set_criticality(true);
    odd.custom_extensions = vec![extension];
    let own = Made::self_signed(odd);
    both(
        "critical",
        (&own, &[], &[&own]),
        all(Err(CertificateFault::Extension)),
    );
}

#[test]
fn many_certificates_of_one_name_cost_a_bounded_number_of_signatures() {
    let all: Vec<Made> = (0..40).map(|_| Made::self_signed(ca("same"))).collect();
    let trusted: Vec<&Made> = all.iter().skip(1).collect();
    let shown: Vec<&Made> = all.iter().collect();
    let verified = verify(&all[0], &shown, &trusted, Shower::Client);
    assert!(verified.is_err());
}

#[test]
fn the_pem_is_read_in_any_order() {
    let certificates = Identity::from_pem(PERL).unwrap().certificates();
    let (first, second) = PERL.split_at(PERL.find("-----BEGIN PRIVATE").unwrap());
    let turned = Identity::from_pem(&format!("{second}{first}")).unwrap();
    assert_eq!(turned.certificates(), certificates);

    // The key's own certificate counts, wherever it stands.
    let (root, own) = (
        Made::self_signed(ca("root")),
        Made::self_signed(params("own")),
    );
    let pem = format!("junk\n{}{}", pem(&root.der), own.pem());
    let subjects: Vec<String> = Identity::from_pem(&pem)
        .unwrap()
        .certificates()
        .into_iter()
        .map(|certificate| certificate.subject)
        .collect();
    assert_eq!(subjects, ["CN=own", "CN=root"]);
}

#[test]
fn what_can_t_be_used_says_why() {
    let (own, other) = (Made::self_signed(ca("a")), Made::self_signed(ca("b")));
    let key = own.key.serialize_pem();
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let fault = |pem: &str| Identity::from_pem(pem).unwrap_err();
    assert_eq!(fault(""), CertError::NoKey);
    assert_eq!(fault("/etc/ssl/aemp.pem"), CertError::NoKey);
    assert_eq!(fault(&pem(&own.der)), CertError::NoKey);
    assert_eq!(
        fault(&format!("{encrypted}{}", pem(&own.der))),
        CertError::EncryptedKey
    );
    assert_eq!(fault(&key), CertError::NoCertificate);
    assert_eq!(
        fault(&format!("{key}{}", pem(&other.der))),
        CertError::Mismatch
    );
    assert!(matches!(
        fault(&format!("{key}{garbage}")),
        CertError::Certificate { number: 1, .. }
    ));
    assert!(matches!(
        fault("-----BEGIN CERTIFICATE-----\nAAAA"),
        CertError::Pem(_)
    ));
    let text = fault(&format!("{key}{}", pem(&other.der))).to_string();
    assert_eq!(
        text,
        "cert: the private key belongs to none of the certificates in it"
    );
}

/// OpenSSL takes these; rustls finds no key in them.
#[test]
fn version_1_is_named() {
    let fault = Identity::from_pem(VERSION_1).unwrap_err();
    assert_eq!(
        fault,
        CertError::Version {
            number: 1,
            version: 1
        }
    );
    let certificates = Identity::certificates_of(VERSION_1).unwrap();
    assert_eq!(certificates[0].version, 1);
    let text = VERSION_1
        .split_inclusive("-----END CERTIFICATE-----")
        .next();
    let der = CertificateDer::from_pem_slice(text.unwrap().as_bytes()).unwrap();
    for shower in [Shower::Client, Shower::Server] {
        let now = UnixTime::since_unix_epoch(Duration::from_secs(NOW));
        let verifier = Verifier::new(vec![der.clone()], provider());
        let verified = verifier.verify(&der, &[], shower, now);
        assert_eq!(verified, Err(CertificateFault::Version(1)));
    }
    // One beside it does not matter.
    let beside = Identity::from_pem(&format!("{PERL}{VERSION_1}")).unwrap();
    assert_eq!(beside.certificates()[1].version, 1);
}
