//! Groups as the API has them.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::watch;

use super::followed::GroupChanges;
use super::monitor::Action;
use super::roster::Roster;
use super::{Inner, Node, Stopped};
use crate::log::log_at;
use crate::proto::PortId;

/// The membership of a port in a group: see [`Node::register`].
///
/// It ends with the port; dropping this does nothing.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let node = aemp::Node::local();
/// let port = node.port();
/// let registration = node.register("workers", &port);
/// registration.unregister();
/// assert!(node.members("workers").is_empty() && port.is_alive());
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Registration {
    node: Weak<Inner>,
    group: String,
    port: PortId,
}

impl Registration {
    /// Ends the membership.
    ///
    /// See [`Registration`] for an example.
    pub fn unregister(&self) {
        if let Some(node) = self.node.upgrade() {
            node.control.unregister(&node, &self.group, &self.port);
        }
    }

    /// A guard that ends the membership when it is dropped.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let node = aemp::Node::local();
    /// let port = node.port();
    /// let guard = node.register("workers", &port).guard();
    /// assert_eq!(node.members("workers"), [port.id().clone()]);
    /// drop(guard);
    /// assert!(node.members("workers").is_empty());
    /// # }
    /// ```
    #[must_use = "the membership ends when the guard is dropped"]
    pub fn guard(self) -> RegistrationGuard {
        RegistrationGuard(self)
    }
}

/// Ends a [`Registration`] when it is dropped.
///
/// See [`Registration::guard`] for an example.
#[derive(Debug)]
pub struct RegistrationGuard(Registration);

impl Drop for RegistrationGuard {
    fn drop(&mut self) {
        self.0.unregister();
    }
}

impl Node {
    /// Puts a port of this node into a group that all nodes of the network see, until the port dies
    /// or the registration is ended. Registering a port twice in a group does nothing.
    ///
    /// The node port may be registered: that tells where a service can be spawned.
    ///
    /// # Panics
    ///
    /// If the port is another node's.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let node = aemp::Node::local();
    /// let port = node.port();
    /// node.register("workers", &port);
    /// assert_eq!(node.members("workers"), [port.id().clone()]);
    /// assert_eq!(node.groups(), ["workers"]);
    /// # }
    /// ```
    pub fn register(&self, group: &str, port: impl Into<PortId>) -> Registration {
        let port = port.into();
        let node = self.inner();
        assert!(
            node.is_local(&port),
            "only ports of this node can be registered, not {port}"
        );
        let registration = Registration {
            node: Arc::downgrade(node),
            group: group.to_owned(),
            port: port.clone(),
        };
        if node.control.register(node, group, &port) {
            let ended = registration.clone();
            node.monitor(&port, Action::call(move |_| ended.unregister()));
        }
        registration
    }

    /// The members of a group that are known now, sorted. May be empty until the node has joined
    /// its network.
    ///
    /// See [`register`](Self::register) for an example.
    pub fn members(&self, group: &str) -> Vec<PortId> {
        self.inner().control.members(self.inner(), group)
    }

    /// The names of the groups that have members, sorted.
    ///
    /// See [`register`](Self::register) for an example.
    pub fn groups(&self) -> Vec<String> {
        self.inner().control.groups()
    }

    /// Waits until a group has a member, and picks one of them by chance.
    ///
    /// It may take a while until a node has joined its network and knows the group. After some
    /// tries, counted in growing intervals with jitter, a warning is logged: then most likely
    /// nobody offers the service, or the seeds are wrong.
    ///
    /// # Errors
    ///
    /// [`Stopped`] when this node stops, or has stopped.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), aemp::Stopped> {
    /// let node = aemp::Node::local();
    /// let port = node.port();
    /// node.register("workers", &port);
    /// assert_eq!(&node.wait_for_member("workers").await?, port.id());
    /// # Ok(()) }
    /// ```
    pub async fn wait_for_member(&self, group: &str) -> Result<PortId, Stopped> {
        let roster = self.inner().control.follow(self.inner(), group);
        let any = |roster: &Roster| {
            let members = roster.members();
            let random = &self.inner().random;
            (!members.is_empty()).then(|| members[random.below(members.len())].id.clone())
        };
        let lacks = |_: &Roster| "no members".to_owned();
        self.wait_for_group(group, roster, any, lacks).await
    }

    /// Waits until a group has at least so many members, and gives all of them, sorted. As with
    /// [`wait_for_member`](Self::wait_for_member), a warning is logged when that takes long.
    ///
    /// The future may be dropped at any time: `tokio::time::timeout` limits it.
    ///
    /// # Errors
    ///
    /// [`Stopped`]: the node has stopped.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = aemp::Node::local();
    /// let ports = [node.port(), node.port()];
    /// let all_there = node.wait_for_members("workers", 2);
    /// for port in &ports {
    ///     node.register("workers", port);
    /// }
    /// let mut ids = ports.map(|port| port.id().clone());
    /// ids.sort();
    /// assert_eq!(all_there.await?, ids);
    /// # Ok(()) }
    /// ```
    pub async fn wait_for_members(
        &self,
        group: &str,
        count: usize,
    ) -> Result<Vec<PortId>, Stopped> {
        let roster = self.inner().control.follow(self.inner(), group);
        let all = |roster: &Roster| {
            let enough = roster.members().len() >= count;
            enough.then(|| roster.ids().cloned().collect())
        };
        let lacks = |roster: &Roster| match roster.members().len() {
            0 => "no members".to_owned(),
            n => format!("{n} of {count} members"),
        };
        self.wait_for_group(group, roster, all, lacks).await
    }

    /// Waits until `find` finds something in the roster of a group. Every now and then a warning
    /// says what the group `lacks`.
    ///
    /// # Errors
    ///
    /// [`Stopped`]: the node has stopped.
    pub(super) async fn wait_for_group<T>(
        &self,
        group: &str,
        mut roster: watch::Receiver<Roster>,
        find: impl Fn(&Roster) -> Option<T>,
        lacks: impl Fn(&Roster) -> String,
    ) -> Result<T, Stopped> {
        /// The first interval; each is twice the one before, up to the longest.
        const FIRST: Duration = Duration::from_millis(500);
        const LONGEST: Duration = Duration::from_secs(30);
        /// After how many tries a warning is logged, and then after as many again.
        const WARN_AFTER: u32 = 5;
        for tries in 1.. {
            self.inner().running()?;
            let interval = FIRST.saturating_mul(1 << (tries - 1).min(16)).min(LONGEST);
            let interval = interval.mul_f64(0.5 + self.inner().random.fraction() / 2.0);
            let found = async {
                loop {
                    let found = find(&roster.borrow_and_update());
                    if found.is_some() || roster.changed().await.is_err() {
                        return found;
                    }
                }
            };
            if let Ok(found) = tokio::time::timeout(interval, found).await {
                return found.ok_or(Stopped);
            }
            if tries % WARN_AFTER == 0 {
                let lacks = lacks(&roster.borrow());
                log_at!(2, "the group {group} has {lacks} after {tries} tries");
            }
        }
        Err(Stopped)
    }

    /// Follows the changes of a group. Each costs what changes, however many members there are.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let node = aemp::Node::local();
    /// let mut changes = node.mon_group("workers");
    /// let port = node.port();
    /// node.register("workers", &port);
    /// assert_eq!(changes.next().await.unwrap().members, [port.id().clone()]);
    /// # }
    /// ```
    pub fn mon_group(&self, group: &str) -> GroupChanges {
        GroupChanges::new(self.inner().control.follow_changes(self.inner(), group))
    }
}
