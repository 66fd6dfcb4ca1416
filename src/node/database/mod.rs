//! The distributed database of generation 2, as the API has it.

mod error;
mod typed;

use std::future::poll_fn;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use futures_core::Stream;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::control::{Changes, NoGlobalNode};
use super::monitor::Action;
use super::{Inner, Node};
use crate::mesh::Kind;
use crate::mesh::database::Val;
use crate::proto::{NodeId, PortId};

pub use error::{DbError, DbUnfit};
pub use typed::{DbChange, DbFamily, DbValues};

/// A key that this node has set: see [`Node::db_set`].
///
/// It stays until it is deleted or the node goes; dropping this does nothing.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = aemp::Node::local();
/// let entry = node.db_set("colours", "sky", &"blue")?;
/// entry.delete();
/// assert!(node.db_keys("colours").await?.is_empty());
///
/// let guard = node.db_set("colours", "sky", &"grey")?.guard();
/// drop(guard);
/// assert!(node.db_keys("colours").await?.is_empty());
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct DbEntry {
    node: Weak<Inner>,
    family: String,
    key: String,
}

impl DbEntry {
    /// Deletes the key.
    ///
    /// See [`DbEntry`] for an example.
    pub fn delete(&self) {
        if let Some(node) = self.node.upgrade() {
            node.control
                .db_del(&node, &self.family, vec![self.key.clone()]);
        }
    }

    /// A guard that deletes the key when it is dropped.
    ///
    /// See [`DbEntry`] for an example.
    #[must_use = "the key is deleted when the guard is dropped"]
    pub fn guard(self) -> DbGuard {
        DbGuard(self)
    }
}

/// Deletes a [`DbEntry`]'s key when it is dropped.
///
/// See [`DbEntry`] for an example.
#[derive(Debug)]
pub struct DbGuard(DbEntry);

impl Drop for DbGuard {
    fn drop(&mut self) {
        self.0.delete();
    }
}

/// The changes of a family. The monitor ends when this is dropped. A [`Stream`] of them, too.
///
/// See [`Node::db_mon`] for an example.
pub struct DbChanges<V = Value> {
    node: Weak<Inner>,
    id: u64,
    family: String,
    changes: Arc<Changes>,
    values: PhantomData<fn() -> V>,
}

impl<V: DeserializeOwned> DbChanges<V> {
    /// Waits for the family to change, then says how. `None` when the node has stopped.
    ///
    /// The first change says what is there, even if that is nothing; each later one says at least
    /// one thing. Each change comes once and in order; behind more than a thousand that nobody has
    /// read, the changes are put together as if they were one, so that nothing piles up. Safe to
    /// cancel.
    ///
    /// Values that are not of the type that was asked for are [beside](DbChange::unfit) the
    /// others.
    ///
    /// # Errors
    ///
    /// [`DbError::NoGlobalNode`]: there is nobody yet who could say what is there. Changes come
    /// when there is. While a global node that was there before is lost, what was known stays.
    ///
    /// See [`Node::db_mon`] for an example.
    pub async fn next(&mut self) -> Option<Result<DbChange<V>, DbError>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl<V: DeserializeOwned> Stream for DbChanges<V> {
    type Item = Result<DbChange<V>, DbError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let typed = |change: Result<_, NoGlobalNode>| match change {
            Ok(change) => Ok(DbChange::typed(change)),
            Err(NoGlobalNode) => Err(DbError::NoGlobalNode),
        };
        self.changes.poll_next(cx).map(|change| change.map(typed))
    }
}

impl<V> Drop for DbChanges<V> {
    fn drop(&mut self) {
        if let Some(node) = self.node.upgrade() {
            node.control.db_unmonitor(&node, self.id, &self.family);
        }
    }
}

impl<V> std::fmt::Debug for DbChanges<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DbChanges")
            .field("family", &self.family)
            .finish_non_exhaustive()
    }
}

/// A question on its way; nobody is asked any more once this is dropped.
struct Question {
    node: Weak<Inner>,
    id: u64,
}

impl Drop for Question {
    fn drop(&mut self) {
        if let Some(node) = self.node.upgrade() {
            node.control.db_forget(&node, self.id);
        }
    }
}

/// The distributed database of generation 2 (PROTOCOL.md, "The database").
///
/// Every node sets keys of its own, in families; the values are whatever JSON can hold. All nodes
/// of the network see the keys of all: a node asks its *master*, a global node (as a rule one of
/// its seeds). The keys of a node are there as long as the node is. If several nodes have set the
/// same key, one of the values is seen; when it is deleted, another one.
///
/// A node that has no seeds answers itself, by its own keys, as long as it sees no global node; one
/// that speaks generations 0 and 1 alone always does. Otherwise questions wait until there is a
/// master. If there is none for longer than the setting `monitor_timeout`, they fail with
/// [`DbError::NoGlobalNode`], and so do those that are asked then, until there is one.
impl Node {
    /// Sets a key of this node's. A value that was set before is replaced.
    ///
    /// # Errors
    ///
    /// If the value does not serialise to JSON.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = aemp::Node::local();
    /// node.db_set("workers", "ruth", &("idle", 3))?;
    /// let workers = node.db_family::<(String, u32)>("workers").await?;
    /// assert_eq!(workers["ruth"], ("idle".to_owned(), 3));
    /// # Ok(()) }
    /// ```
    pub fn db_set<V: Serialize + ?Sized>(
        &self,
        family: &str,
        key: &str,
        value: &V,
    ) -> Result<DbEntry, serde_json::Error> {
        let node = self.inner();
        let value = serde_json::to_value(value)?;
        node.control.db_set(node, family, key, value);
        Ok(DbEntry {
            node: Arc::downgrade(node),
            family: family.to_owned(),
            key: key.to_owned(),
        })
    }

    /// Deletes keys that this node has set; others are left alone.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = aemp::Node::local();
    /// node.db_set("colours", "sky", &"blue")?;
    /// node.db_set("colours", "grass", &"green")?;
    /// node.db_del("colours", ["sky", "sea"]);
    /// assert_eq!(node.db_keys("colours").await?, ["grass"]);
    /// # Ok(()) }
    /// ```
    pub fn db_del<K: Into<String>>(&self, family: &str, keys: impl IntoIterator<Item = K>) {
        let keys = keys.into_iter().map(Into::into).collect();
        self.inner().control.db_del(self.inner(), family, keys);
    }

    /// Sets a key that is the ID of a port of this node, until the port dies or the entry is
    /// deleted. To put a port into a group that nodes of all generations see, use
    /// [`register`](Self::register).
    ///
    /// # Errors
    ///
    /// If the value does not serialise to JSON.
    ///
    /// # Panics
    ///
    /// If the port is another node's.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = aemp::Node::local();
    /// let port = node.port();
    /// node.db_reg("workers", &port, &())?;
    /// assert_eq!(node.db_keys("workers").await?, [port.id().to_string()]);
    /// # Ok(()) }
    /// ```
    pub fn db_reg<V: Serialize + ?Sized>(
        &self,
        family: &str,
        port: impl Into<PortId>,
        value: &V,
    ) -> Result<DbEntry, serde_json::Error> {
        let port = port.into();
        let node = self.inner();
        assert!(
            node.is_local(&port),
            "only ports of this node can be registered, not {port}"
        );
        let entry = self.db_set(family, port.as_str(), value)?;
        let ended = entry.clone();
        node.monitor(&port, Action::call(move |_| ended.delete()));
        Ok(entry)
    }

    /// The keys and values of a family. It is empty if nobody has set a key in it. Values that are
    /// no `V` are [beside](DbFamily::unfit) the others.
    ///
    /// # Errors
    ///
    /// [`DbError`] if there is no global node, or this one has stopped.
    ///
    /// See [`db_set`](Self::db_set) for an example.
    pub async fn db_family<V: DeserializeOwned>(
        &self,
        family: &str,
    ) -> Result<DbFamily<V>, DbError> {
        let answer = self.ask_global(Kind::Family, family).await?;
        Ok(typed::family(family, &answer))
    }

    /// The keys of a family, sorted.
    ///
    /// # Errors
    ///
    /// [`DbError`] if there is no global node, or this one has stopped.
    ///
    /// See [`db_del`](Self::db_del) for an example.
    pub async fn db_keys(&self, family: &str) -> Result<Vec<String>, DbError> {
        let keys = self.ask_global(Kind::Keys, family).await?;
        let mut keys: Vec<String> = keys.read().unwrap_or_default();
        keys.sort();
        Ok(keys)
    }

    /// The values of a family, in no particular order. Those that are no `V` are
    /// [beside](DbValues::unfit) the others.
    ///
    /// # Errors
    ///
    /// [`DbError`] if there is no global node, or this one has stopped.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = aemp::Node::local();
    /// node.db_set("colours", "sky", &"blue")?;
    /// assert_eq!(node.db_values::<String>("colours").await?.values, ["blue"]);
    /// # Ok(()) }
    /// ```
    pub async fn db_values<V: DeserializeOwned>(
        &self,
        family: &str,
    ) -> Result<DbValues<V>, DbError> {
        let answer = self.ask_global(Kind::Values, family).await?;
        Ok(typed::values(&answer))
    }

    async fn ask_global(&self, kind: Kind, family: &str) -> Result<Val, DbError> {
        let node = self.inner();
        let (id, answer) = node.control.db_query(node, kind, family);
        let _question = Question {
            node: Arc::downgrade(node),
            id,
        };
        match answer.await {
            Ok(answer) => answer.map_err(|NoGlobalNode| DbError::NoGlobalNode),
            Err(_) => Err(DbError::Stopped),
        }
    }

    /// Follows the changes of a family, from what is there at first.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = aemp::Node::local();
    /// let mut changes = node.db_mon::<String>("colours");
    /// assert!(changes.next().await.unwrap()?.added.is_empty());
    ///
    /// node.db_set("colours", "sky", &"blue")?;
    /// node.db_set("colours", "sky", &"grey")?;
    /// assert_eq!(changes.next().await.unwrap()?.added["sky"], "blue");
    /// assert_eq!(changes.next().await.unwrap()?.changed["sky"], "grey");
    ///
    /// node.db_del("colours", ["sky"]);
    /// assert_eq!(changes.next().await.unwrap()?.deleted["sky"], "grey");
    /// # Ok(()) }
    /// ```
    pub fn db_mon<V: DeserializeOwned>(&self, family: &str) -> DbChanges<V> {
        let node = self.inner();
        let (id, changes) = node.control.db_monitor(node, family);
        DbChanges {
            node: Arc::downgrade(node),
            id,
            family: family.to_owned(),
            changes,
            values: PhantomData,
        }
    }

    /// Makes this node a global one, for as long as it runs: it serves the database to the nodes
    /// that have it as a seed, and keeps links to all other global nodes. A node that is asked for
    /// that by another, or finds itself among its own seeds, becomes one by itself.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = aemp::Node::builder().no_rc().nodeid("a").secret("geheim").binds(["127.0.0.1:0"]);
    /// let node = node.start().await?;
    /// assert!(!node.is_global());
    /// node.become_global();
    /// assert!(node.is_global());
    /// # Ok(()) }
    /// ```
    pub fn become_global(&self) {
        self.inner().control.become_global(self.inner());
    }

    /// Whether this node is a global one.
    ///
    /// See [`become_global`](Self::become_global) for an example.
    pub fn is_global(&self) -> bool {
        self.inner().control.is_global()
    }

    /// The node that this one asks about the database: itself if it is global, else one of its
    /// seeds. `None` while none of them is connected.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let node = aemp::Node::local();
    /// assert_eq!(node.master().as_ref(), Some(node.id()));
    /// # }
    /// ```
    pub fn master(&self) -> Option<NodeId> {
        self.inner().control.master()
    }
}
