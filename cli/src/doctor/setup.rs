//! The file, the settings, and what the node is trusted by.

use std::path::Path;
use std::time::{Duration, SystemTime};

use aemp::config::{Config, RcFile};
use aemp::net::tls::Identity;
use aemp::proto::NodeId;
use chrono::{DateTime, Utc};

use super::findings::Findings;
use crate::output::OutputError;

/// A secret of fewer octets can be found by trying.
const SHORT: usize = 12;

/// So long before the end of a certificate it is told.
const SOON: Duration = Duration::from_secs(30 * 24 * 3600);

/// Looks at the configuration file.
pub(super) fn file(path: Option<&Path>, findings: &mut Findings) -> Result<(), OutputError> {
    let Some(path) = path else {
        return findings.odd(
            "file",
            "there is none, as neither PERL_ANYEVENT_MP_RC nor HOME says where",
            "set one of them, unless all settings are arguments",
        );
    };
    let shown = path.display();
    let Ok(metadata) = std::fs::metadata(path) else {
        return findings.odd(
            "file",
            format_args!("{shown} is not there"),
            "`aemp gensecret` makes it, or copy that of another node of the network",
        );
    };
    if let Err(error) = RcFile::load(path.to_owned()) {
        return findings.wrong(
            "file",
            error,
            "mend it with an editor, or begin with a new one",
        );
    }
    match exposed(&metadata) {
        true => findings.wrong(
            "file",
            format_args!("{shown} can be read by other users of this machine, with the secret"),
            &format!("chmod 600 {shown}"),
        ),
        false => findings.fine("file", shown),
    }
}

#[cfg(unix)]
fn exposed(metadata: &std::fs::Metadata) -> bool {
    std::os::unix::fs::MetadataExt::mode(metadata) & 0o044 != 0
}

#[cfg(not(unix))]
fn exposed(_: &std::fs::Metadata) -> bool {
    false
}

/// Looks at who the node is.
pub(super) fn settings(config: &Config, findings: &mut Findings) -> Result<(), OutputError> {
    for (key, origin) in &config.unknown {
        findings.wrong(
            "settings",
            format_args!("{key} ({origin}) is not known and has no effect"),
            "correct its name (`aemp --help` has them), or take it out",
        )?;
    }
    // The random part is another one at each start.
    let id = config.node_id(&aemp::config::node_name(), &[0; 12]);
    let id = id.map_err(|error| error.to_string());
    let id = id.and_then(|id| NodeId::checked(&id).map_err(|error| error.to_string()));
    match id {
        Ok(_) => {
            let id = config.nodeid.as_deref().unwrap_or(&config.profile);
            let profile = &config.profile;
            findings.fine("node ID", format_args!("{id} (profile {profile})"))
        }
        Err(error) => findings.wrong("node ID", error, "aemp setnodeid ID"),
    }
}

/// Whether that is the ID which the node is configured to have. One with a random part is another
/// one each time.
pub(super) fn is_node_id(config: &Config, id: &NodeId) -> bool {
    let named = |random| config.node_id(&aemp::config::node_name(), &random).ok();
    let (one, other) = (named([0; 12]), named([1; 12]));
    one == other && one.as_deref() == Some(id.as_str())
}

/// Looks at what the node proves itself with.
pub(super) fn trust(config: &Config, findings: &mut Findings) -> Result<(), OutputError> {
    let has_cert = config.cert.is_some();
    match &config.secret {
        Some(secret) if secret.as_bytes().len() < SHORT => findings.odd(
            "secret",
            format_args!("it has {} octets only", secret.as_bytes().len()),
            "aemp gensecret, and the same secret on all nodes",
        )?,
        Some(secret) => findings.fine(
            "secret",
            format_args!("there is one, of {} octets", secret.as_bytes().len()),
        )?,
        None if has_cert => findings.fine("secret", "there is none; the certificate will do")?,
        None => findings.wrong(
            "secret",
            "there is none, so no other node lets this one in",
            "copy that of another node (`aemp setsecret TEXT`), or make one (`aemp gensecret`)",
        )?,
    }
    match (&config.cert, config.require_tls) {
        (Some(pem), _) => certificate(pem, findings),
        (None, true) => findings.wrong(
            "certificate",
            "require_tls is set, and there is no certificate",
            "aemp setcert FILE, or aemp delrequire_tls",
        ),
        (None, false) => findings.fine("certificate", "there is none; links are not encrypted"),
    }
}

fn certificate(pem: &str, findings: &mut Findings) -> Result<(), OutputError> {
    let identity = match Identity::from_pem(pem) {
        Ok(identity) => identity,
        Err(error) => {
            return findings.wrong(
                "certificate",
                error,
                "aemp setcert FILE, with a key and the certificate for it, or aemp gencert",
            );
        }
    };
    let date = |time: SystemTime| DateTime::<Utc>::from(time).format("%Y-%m-%d");
    let now = SystemTime::now();
    let Some(own) = identity.certificates().into_iter().next() else {
        return Ok(());
    };
    let (from, until) = (date(own.not_before), date(own.not_after));
    if own.not_after < now {
        return findings.wrong(
            "certificate",
            format_args!("it was valid until {until}: other nodes refuse it"),
            "a new one in all files that have it: aemp gencert, aemp setcert FILE",
        );
    }
    if own.not_before > now {
        return findings.wrong(
            "certificate",
            format_args!("it is valid from {from} on only"),
            "set this machine's clock, or make another one",
        );
    }
    match own.not_after < now + SOON {
        true => findings.odd(
            "certificate",
            format_args!("it ends soon, on {until}"),
            "give all nodes a file that trusts both it and a new one, and then the new one",
        ),
        false => findings.fine(
            "certificate",
            format_args!("{}, until {until}, {}", own.subject, own.sha256),
        ),
    }
}
