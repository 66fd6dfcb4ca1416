//! What the database holds, in the type that the program asks for.
//!
//! Everybody may set anything: a value that does not fit stands beside those that do, and hides
//! none of them.

use std::collections::BTreeMap;
use std::ops::Deref;

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use super::error::{DbError, DbUnfit};
use crate::mesh::Change;
use crate::mesh::database::Val;

/// The keys and values of a family: see [`Node::db_family`](super::Node::db_family).
///
/// It dereferences to the values that fit.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use aemp::DbError;
/// let node = aemp::Node::local();
/// node.db_set("load", "ann", &0.5)?;
/// node.db_set("load", "ruth", &"much")?;
/// let load = node.db_family::<f64>("load").await?;
/// assert_eq!((load["ann"], load.len()), (0.5, 1));
/// assert!(load.unfit.contains_key("ruth"));
/// match load.all() {
///     Err(DbError::Value { family, key, .. }) => assert_eq!((&*family, &*key), ("load", "ruth")),
///     other => panic!("{other:?}"),
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct DbFamily<V = Value> {
    /// The family's name.
    pub family: String,
    /// The values that are of the type that was asked for, by their keys.
    pub values: BTreeMap<String, V>,
    /// Those that are not.
    pub unfit: BTreeMap<String, DbUnfit>,
}

impl<V> DbFamily<V> {
    /// The values, if all of them fit.
    ///
    /// # Errors
    ///
    /// [`DbError::Value`] says of the first one that does not.
    ///
    /// See [`DbFamily`] for an example.
    pub fn all(self) -> Result<BTreeMap<String, V>, DbError> {
        let family = self.family;
        match self.unfit.into_iter().next() {
            None => Ok(self.values),
            Some((key, unfit)) => Err(DbError::Value { family, key, unfit }),
        }
    }
}

impl<V> Deref for DbFamily<V> {
    type Target = BTreeMap<String, V>;
    fn deref(&self) -> &Self::Target {
        &self.values
    }
}

/// The values of a family: see [`Node::db_values`](super::Node::db_values).
///
/// It dereferences to those that fit.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = aemp::Node::local();
/// node.db_set("load", "ann", &0.5)?;
/// node.db_set("load", "ruth", &"much")?;
/// let load = node.db_values::<f64>("load").await?;
/// assert_eq!((&load[..], load.unfit.len()), (&[0.5][..], 1));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct DbValues<V = Value> {
    /// The values that are of the type that was asked for.
    pub values: Vec<V>,
    /// Those that are not.
    pub unfit: Vec<DbUnfit>,
}

impl<V> Deref for DbValues<V> {
    type Target = [V];
    fn deref(&self) -> &Self::Target {
        &self.values
    }
}

/// How a family has changed: see [`Node::db_mon`](super::Node::db_mon).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct DbChange<V = Value> {
    /// The family's name.
    pub family: String,
    /// Keys that are new, and their values.
    pub added: BTreeMap<String, V>,
    /// Keys with another value than before, and that value.
    pub changed: BTreeMap<String, V>,
    /// Keys that are gone, and the last value of each.
    pub deleted: BTreeMap<String, V>,
    /// Keys that are new or have another value, which is not of the type that was asked for. The
    /// value before may have been: it counts no more.
    pub unfit: BTreeMap<String, DbUnfit>,
    /// Keys that are gone whose last value was not of that type.
    pub unfit_deleted: BTreeMap<String, DbUnfit>,
}

impl<V: DeserializeOwned> DbChange<V> {
    pub(super) fn typed(change: Change) -> Self {
        let (added, mut unfit) = of_keys(change.added);
        let (changed, more) = of_keys(change.changed);
        unfit.extend(more);
        let (deleted, unfit_deleted) = of_keys(change.deleted);
        DbChange {
            family: change.family,
            added,
            changed,
            deleted,
            unfit,
            unfit_deleted,
        }
    }
}

type Parted<V> = (BTreeMap<String, V>, BTreeMap<String, DbUnfit>);

/// The values that fit and those that do not.
fn of_keys<V: DeserializeOwned>(values: BTreeMap<String, Val>) -> Parted<V> {
    let (mut fit, mut unfit) = (BTreeMap::new(), BTreeMap::new());
    for (key, value) in values {
        match read(value.json()) {
            Ok(value) => drop(fit.insert(key, value)),
            Err(error) => drop(unfit.insert(key, error)),
        }
    }
    (fit, unfit)
}

/// The answer to the question for a family.
pub(super) fn family<V: DeserializeOwned>(family: &str, answer: &Val) -> DbFamily<V> {
    let all: BTreeMap<String, &RawValue> = answer.borrow().unwrap_or_default();
    let (mut values, mut unfit) = (BTreeMap::new(), BTreeMap::new());
    for (key, value) in all {
        match read(value.get()) {
            Ok(value) => drop(values.insert(key, value)),
            Err(error) => drop(unfit.insert(key, error)),
        }
    }
    DbFamily {
        family: family.to_owned(),
        values,
        unfit,
    }
}

/// The answer to the question for the values of a family.
pub(super) fn values<V: DeserializeOwned>(answer: &Val) -> DbValues<V> {
    let all: Vec<&RawValue> = answer.borrow().unwrap_or_default();
    let (mut values, mut unfit) = (Vec::new(), Vec::new());
    for value in all {
        match read(value.get()) {
            Ok(value) => values.push(value),
            Err(error) => unfit.push(error),
        }
    }
    DbValues { values, unfit }
}

/// Reads a value into the type that the program asks for.
fn read<V: DeserializeOwned>(json: &str) -> Result<V, DbUnfit> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    // The framing has limited the depth already.
    deserializer.disable_recursion_limit();
    V::deserialize(&mut deserializer).map_err(|error| DbUnfit::new(json, &error))
}
