//! Where a setting comes from: what the errors, the settings and their types all say, so it stands
//! below them.

use std::fmt;

/// Where a setting was made.
///
/// ```
/// use aemp::config::Origin;
/// assert_eq!(Origin::Profile("seed".into()).to_string(), "profile \"seed\"");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// Nobody made it: the built-in default.
    Default,
    /// An argument of the program or the command line.
    Argument,
    /// The file's global part.
    Global,
    /// A profile in the file.
    Profile(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("built-in default"),
            Origin::Argument => f.write_str("argument"),
            Origin::Global => f.write_str("global configuration"),
            Origin::Profile(name) => write!(f, "profile {name:?}"),
        }
    }
}
