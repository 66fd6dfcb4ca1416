//! Configuration: the file shared with Perl's `aemp`, its profiles, and the addresses in it.
//!
//! ```text
//! Environment -> rc path -> RcFile -> find_profile -> Settings -> Config -> resolve -> Endpoint
//!   (env)                   (JSON)    (who wins)      (untyped)   (typed)   (DNS)
//! ```
//!
//! The file is the one that the Perl `aemp` command edits (`~/.perl-anyevent-mp`), so both
//! implementations on one machine share secret, seeds and profiles. Two things are deliberately
//! stricter than in Perl: a file that cannot be read or parsed is an error (Perl goes on without
//! any configuration), and a value of the wrong kind is refused with its key, value and origin, as
//! is an argument that is no setting.
//!
//! One thing is deliberately *not* different, although it surprises: values in the file win over
//! the arguments a program passes. The arguments are defaults that whoever deploys the program can
//! override. See [`find_profile`].

mod defaults;
mod error;
mod node_id;
mod origin;
mod profile;
mod rc;
pub mod relaxed;
mod resolve;
mod services;
mod suggest;
mod typed;
mod value;

pub(crate) use defaults::monitor_timeout;

pub use crate::proto::id::alnumbits;
pub use crate::rights::{Rule, RuleError};
pub use error::ConfigError;
pub use origin::Origin;
pub use profile::{Arguments, Setting, Settings, find_profile};
pub use rc::{Environment, RcFile};
pub use resolve::{
    Address, BIND_PORT, Endpoint, Host, LocalHost, SEED_PORT, format_hostport, parse_addresses,
    resolve, resolve_all,
};
pub use suggest::suggest;
pub(crate) use typed::check_names;
pub use typed::{Config, check_setting, setting_names};
pub use value::split_commas;

/// This machine's node name (`uname -n`), the default profile name and node ID. Octets that are not
/// UTF-8 are replaced.
///
/// ```
/// assert!(!aemp::config::node_name().is_empty());
/// ```
pub fn node_name() -> String {
    gethostname::gethostname().to_string_lossy().into_owned()
}
