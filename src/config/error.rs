//! What can be wrong with a configuration.

use std::io;
use std::path::PathBuf;

use super::origin::Origin;
use super::suggest::did_you_mean;

/// A fault of our own configuration or of the machine it is read on; never of a peer.
///
/// ```
/// use aemp::config::{ConfigError, Origin, check_setting};
/// let error = check_setting("max_depth", &"deep".into(), Origin::Argument).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "setting `max_depth` (argument): \"deep\" is not a whole number of at least 1",
/// );
/// assert!(matches!(error, ConfigError::BadValue { key, .. } if key == "max_depth"));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The configuration file exists but cannot be read.
    #[error("{}: cannot read the configuration: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What should be the configuration file is no regular file. (A link to one is fine.)
    #[error("{}: the configuration has to be a regular file, and this is {what}", path.display())]
    NotRegular {
        /// What is there.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// The configuration file is longer than any that this crate reads or writes.
    #[error("{}: the configuration has more than {most} octets, which are the most", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The most octets it may have.
        most: usize,
    },
    /// The configuration file is of another version than this crate knows.
    #[error(
        "{}: the configuration is of version {version}, and this aemp knows version 1 only",
        path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Its member `version` as JSON, cut short if it is long.
        version: String,
    },
    /// The configuration file is not (relaxed) JSON.
    #[error("{}:{line}:{column}: {message}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
        /// What was expected or found.
        message: String,
    },
    /// A part of the configuration file has the wrong shape, for example a profile that is not an
    /// object.
    #[error("{file}: {what} must be {expected}")]
    Shape {
        /// The file, or a stand-in when the configuration came from none.
        file: String,
        /// Which part.
        what: String,
        /// What it should be.
        expected: &'static str,
    },
    /// The configuration file cannot be written.
    #[error("{}: cannot write the configuration: {source}", path.display())]
    Write {
        /// The file that the system complained about.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is nowhere to save to: none of `PERL_ANYEVENT_MP_RC`, `HOME` and `APPDATA` names a
    /// place.
    #[error("no configuration file to write to: set PERL_ANYEVENT_MP_RC or HOME")]
    NoFile,
    /// A profile is, over some steps, its own parent.
    #[error("profiles inherit in a circle: {}", chain.join(" -> "))]
    ParentLoop {
        /// The profiles in the order they were followed; the last one repeats an earlier one.
        chain: Vec<String>,
    },
    /// A setting has a value that cannot be used.
    #[error("setting `{key}` ({origin}): {value} is not {expected}")]
    BadValue {
        /// The setting.
        key: String,
        /// The value as JSON; `(hidden)` for the secret and the certificate.
        value: String,
        /// Where it was set.
        origin: Origin,
        /// What it should have been.
        expected: &'static str,
    },
    /// An argument, or a key in the file, is no setting.
    #[error("{key} ({origin}) is no setting{}", did_you_mean(like))]
    UnknownSetting {
        /// The key.
        key: String,
        /// Where it was found.
        origin: Origin,
        /// The setting that may have been meant.
        like: Option<String>,
    },
    /// A profile that was asked for, or that another one has as its parent, is not in the file.
    #[error(
        "no profile is called {name:?}{}{}",
        parent_of(child),
        known_profiles(known)
    )]
    UnknownProfile {
        /// The name that is not there.
        name: String,
        /// The profile whose parent it should be, if it is not the one that was asked for.
        child: Option<String>,
        /// The profiles that there are.
        known: Vec<String>,
    },
    /// One of the addresses in a list of them is none.
    #[error("setting `{key}` ({origin}): {text:?}: {reason}")]
    BadSettingAddress {
        /// The setting: `binds` or `seeds`.
        key: String,
        /// Where it was set.
        origin: Origin,
        /// The text that is no address.
        text: String,
        /// Why not.
        reason: &'static str,
    },
    /// One of the rules in a list of them is none.
    #[error("setting `{key}` ({origin}): {source}")]
    Rule {
        /// The setting: `allow` or `deny`.
        key: String,
        /// Where it was set.
        origin: Origin,
        /// What is wrong with it.
        source: crate::rights::RuleError,
    },
    /// The node ID cannot be used.
    #[error("setting `nodeid` ({origin}): {id:?}: {reason}")]
    BadNodeId {
        /// The node ID.
        id: String,
        /// Where it was set: a setting's origin, or the profile name.
        origin: String,
        /// Why not.
        reason: &'static str,
    },
    /// A list of keys and values that is not one.
    #[error("configure arguments: {0}")]
    Arguments(String),
    /// A bind or seed that is not an address.
    #[error("address {text:?}: {reason}")]
    BadAddress {
        /// The text as given.
        text: String,
        /// Why not.
        reason: &'static str,
    },
    /// A host name that could not be looked up.
    #[error("address {text:?}: cannot look up host {host:?}: {source}")]
    Lookup {
        /// The text as given.
        text: String,
        /// The name that was looked up.
        host: String,
        /// What the system said.
        source: io::Error,
    },
    /// The addresses of this machine could not be listed.
    #[error("cannot list this machine's addresses: {0}")]
    Interfaces(#[source] io::Error),
}

fn parent_of(child: &Option<String>) -> String {
    match child {
        Some(child) => format!(", which is the parent of {child:?}"),
        None => String::new(),
    }
}

fn known_profiles(known: &[String]) -> String {
    match known {
        [] => ": the configuration has none".to_owned(),
        _ => format!("; there are: {}", known.join(", ")),
    }
}
