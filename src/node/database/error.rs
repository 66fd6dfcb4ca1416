//! Why there is no answer, or not of the type that was asked for.

use std::fmt;

/// Why a question to the database has no answer.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use aemp::DbError;
/// let node = aemp::Node::local();
/// node.shutdown().await;
/// match node.db_keys("colours").await {
///     Err(DbError::Stopped) => {}
///     Err(DbError::NoGlobalNode) => println!("is a seed running?"),
///     other => panic!("{other:?}"),
/// }
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DbError {
    /// The node has stopped.
    #[error("the node has stopped")]
    Stopped,
    /// There is no global node to ask, and has been none for the time that the setting
    /// `monitor_timeout` says. When there is one again, questions are answered again.
    #[error("there is no global node to ask")]
    NoGlobalNode,
    /// A value is not of the type that was asked for: see
    /// [`DbFamily::all`](super::DbFamily::all).
    #[error("family {family}, key {key:?}: {unfit}")]
    Value {
        /// The family.
        family: String,
        /// The key.
        key: String,
        /// What does not fit.
        unfit: DbUnfit,
    },
}

/// A value that is not of the type that was asked for. Whoever set it is at fault, or the asker.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = aemp::Node::local();
/// node.db_set("load", "ruth", &"much")?;
/// let load = node.db_family::<f64>("load").await?;
/// let unfit = &load.unfit["ruth"];
/// assert_eq!(unfit.json(), r#""much""#);
/// assert!(unfit.to_string().contains("invalid type: string"));
/// # Ok(()) }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct DbUnfit {
    json: Box<str>,
    why: Box<str>,
}

impl DbUnfit {
    pub(super) fn new(json: &str, error: &serde_json::Error) -> Self {
        DbUnfit {
            json: json.into(),
            why: error.to_string().into(),
        }
    }

    /// The value, as JSON.
    ///
    /// See [`DbUnfit`] for an example.
    pub fn json(&self) -> &str {
        &self.json
    }
}

impl fmt::Display for DbUnfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl fmt::Debug for DbUnfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DbUnfit({}: {})", self.json, self.why)
    }
}

impl std::error::Error for DbUnfit {}
