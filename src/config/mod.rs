//! Configuration: the file shared with Perl's `aemp`, its profiles, and the addresses in it.
//!
//! ```text
//! Environment -> rc path -> RcFile -> find_profile -> Settings -> Config -> resolve -> SocketAddr
//!   (env)                   (JSON)    (who wins)      (untyped)   (typed)   (DNS)
//! ```
//!
//! The file is the one that the Perl `aemp` command edits (`~/.perl-anyevent-mp`), so both implementations on one machine
//! share secret, seeds and profiles. Two things are deliberately stricter than in Perl: a file that cannot be read or parsed is
//! an error (Perl goes on without any configuration), and a value of the wrong kind is refused with its key, value and origin.
//!
//! One thing is deliberately *not* different, although it surprises: values in the file win over the arguments a program
//! passes. The arguments are defaults that whoever deploys the program can override. See [`find_profile`].

mod error;
mod node_id;
mod profile;
mod rc;
pub mod relaxed;
mod resolve;
mod typed;

pub use crate::proto::id::alnumbits;
pub use error::ConfigError;
pub use profile::{Arguments, Origin, Setting, Settings, find_profile};
pub use rc::{Environment, RcFile};
pub use resolve::{
    Address, BIND_PORT, Host, LocalHost, SEED_PORT, format_hostport, parse_addresses, resolve,
    resolve_all,
};
pub use typed::{Config, check_setting};

use serde_json::Value;

/// Splits a comma-separated text the way Perl's `split /,/` does: empty fields at the end are dropped, so the empty text
/// gives an empty list.
///
/// ```
/// use aemp::config::split_commas;
/// assert_eq!(split_commas("a,,b,,"), ["a", "", "b"]);
/// assert!(split_commas("").is_empty());
/// ```
pub fn split_commas(text: &str) -> Vec<&str> {
    let mut fields: Vec<&str> = text.split(',').collect();
    while fields.last().is_some_and(|field| field.is_empty()) {
        fields.pop();
    }
    fields
}

/// This machine's node name (`uname -n`), the default profile name and node ID. Octets that are not UTF-8 are replaced.
///
/// ```
/// assert!(!aemp::config::node_name().is_empty());
/// ```
pub fn node_name() -> String {
    gethostname::gethostname().to_string_lossy().into_owned()
}

/// The text of a string or number, which Perl does not tell apart.
fn scalar_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
