//! The changes of a group, as the program follows them: a change costs what changes, however many
//! members there are.

use std::collections::{BTreeMap, BTreeSet, btree_set};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use atomic_waker::AtomicWaker;
use futures_core::Stream;
use parking_lot::Mutex;
use serde::{Serialize, Serializer};

use crate::mesh::{Changed, Membership};
use crate::proto::PortId;

/// The members of a group, sorted.
///
/// Cloning is cheap. Whoever follows a group and keeps the members of one change until the next one
/// comes has them copied then; a change alone costs what it changes.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let node = aemp::Node::local();
/// let ports = [node.port(), node.port()];
/// for port in &ports {
///     node.register("workers", port);
/// }
/// let members = node.mon_group("workers").next().await.unwrap().members;
/// assert_eq!(members.len(), 2);
/// assert!(members.contains(ports[0].id()) && !members.contains("other#a"));
/// assert_eq!(members.iter().collect::<Vec<_>>().len(), 2);
/// assert_eq!(members, node.members("workers"));
/// # }
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Members(Arc<BTreeSet<PortId>>);

impl Members {
    /// How many there are.
    ///
    /// See [`Members`] for an example.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    ///
    /// ```
    /// assert!(aemp::Members::default().is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a port is one of them.
    ///
    /// See [`Members`] for an example.
    pub fn contains(&self, port: impl AsRef<str>) -> bool {
        self.0.contains(port.as_ref())
    }

    /// The first of them, as they are sorted.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let node = aemp::Node::local();
    /// let port = node.port();
    /// node.register("workers", &port);
    /// let change = node.mon_group("workers").next().await.unwrap();
    /// assert_eq!(change.members.first(), Some(port.id()));
    /// # }
    /// ```
    pub fn first(&self) -> Option<&PortId> {
        self.0.first()
    }

    /// All of them, sorted.
    ///
    /// See [`Members`] for an example.
    pub fn iter(&self) -> btree_set::Iter<'_, PortId> {
        self.0.iter()
    }

    /// All of them, in a list of their own.
    ///
    /// ```
    /// assert!(aemp::Members::default().to_vec().is_empty());
    /// ```
    pub fn to_vec(&self) -> Vec<PortId> {
        self.iter().cloned().collect()
    }
}

impl std::fmt::Debug for Members {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl<'a> IntoIterator for &'a Members {
    type Item = &'a PortId;
    type IntoIter = btree_set::Iter<'a, PortId>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl IntoIterator for Members {
    type Item = PortId;
    type IntoIter = btree_set::IntoIter<PortId>;

    fn into_iter(self) -> Self::IntoIter {
        Arc::unwrap_or_clone(self.0).into_iter()
    }
}

/// As a list of their IDs.
impl Serialize for Members {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl PartialEq<[PortId]> for Members {
    fn eq(&self, other: &[PortId]) -> bool {
        self.iter().eq(other)
    }
}

impl PartialEq<Vec<PortId>> for Members {
    fn eq(&self, other: &Vec<PortId>) -> bool {
        *self == **other
    }
}

impl<const N: usize> PartialEq<[PortId; N]> for Members {
    fn eq(&self, other: &[PortId; N]) -> bool {
        *self == other[..]
    }
}

/// A change of a group.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let node = aemp::Node::local();
/// let port = node.port();
/// let mut changes = node.mon_group("workers");
/// node.register("workers", &port);
/// let change = changes.next().await.unwrap();
/// assert_eq!((&change.added, change.members.first()), (&vec![port.id().clone()], Some(port.id())));
/// assert!(change.removed.is_empty());
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupChange {
    /// All members after the change.
    pub members: Members,
    /// Who came, sorted.
    pub added: Vec<PortId>,
    /// Who went, sorted.
    pub removed: Vec<PortId>,
}

/// The changes of a group; the members it has at the start come first, as added.
///
/// What happens between two calls of [`next`](Self::next) comes as one change: however slow the
/// program is, nothing piles up. A port that came and went meanwhile is in neither list, and if
/// nothing else happened there is no change.
///
/// It is a [`Stream`] of them, too.
///
/// See [`next`](Self::next) for an example.
#[derive(Debug)]
pub struct GroupChanges(Arc<Follower>);

impl GroupChanges {
    pub(super) fn new(follower: Arc<Follower>) -> Self {
        GroupChanges(follower)
    }

    /// Waits for the group to change, then says how. `None` when the node has stopped. Safe to
    /// cancel.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let node = aemp::Node::local();
    /// let (first, second) = (node.port(), node.port());
    /// node.register("workers", &first);
    /// let mut changes = node.mon_group("workers");
    /// assert_eq!(changes.next().await.unwrap().added, [first.id().clone()]);
    ///
    /// node.register("workers", &second);
    /// node.register("workers", &first).unregister();
    /// let change = changes.next().await.unwrap();
    /// assert_eq!(change.added, [second.id().clone()]);
    /// assert_eq!(change.removed, [first.id().clone()]);
    /// # }
    /// ```
    pub async fn next(&mut self) -> Option<GroupChange> {
        poll_fn(|cx| self.0.poll_next(cx)).await
    }
}

impl Stream for GroupChanges {
    type Item = GroupChange;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<GroupChange>> {
        self.0.poll_next(cx)
    }
}

/// What the control plane and the reader of a group's changes share.
#[derive(Debug, Default)]
pub(crate) struct Follower {
    state: Mutex<State>,
    reader: AtomicWaker,
}

#[derive(Debug, Default)]
struct State {
    /// The members as the reader knows them.
    seen: Members,
    /// In what the group is not as the reader knows it.
    differs: BTreeMap<PortId, Membership>,
    /// There will be no more.
    closed: bool,
}

impl Follower {
    /// Of a group with these members.
    pub(crate) fn new<'a>(members: impl Iterator<Item = &'a PortId>) -> Self {
        let begins = |port: &PortId| (port.clone(), Membership::Begins);
        let state = State {
            differs: members.map(begins).collect(),
            ..State::default()
        };
        Follower {
            state: Mutex::new(state),
            reader: AtomicWaker::new(),
        }
    }

    /// The group has changed.
    pub(crate) fn tell(&self, changed: &Changed) {
        let mut state = self.state.lock();
        let State { seen, differs, .. } = &mut *state;
        for (port, now) in changed {
            if seen.contains(port) == (*now == Membership::Begins) {
                // It is again as the reader knows it.
                differs.remove(port);
            } else {
                differs.insert(port.clone(), *now);
            }
        }
        let is_news = !differs.is_empty();
        drop(state);
        if is_news {
            self.reader.wake();
        }
    }

    /// The group changes no more, as the node has stopped.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.reader.wake();
    }

    fn poll_next(&self, cx: &Context<'_>) -> Poll<Option<GroupChange>> {
        // Before the look, so that nothing is missed that comes after it.
        self.reader.register(cx.waker());
        let mut state = self.state.lock();
        if state.differs.is_empty() {
            return match state.closed {
                true => Poll::Ready(None),
                false => Poll::Pending,
            };
        }
        let State { seen, differs, .. } = &mut *state;
        let members = Arc::make_mut(&mut seen.0);
        let (mut added, mut removed) = (Vec::new(), Vec::new());
        for (port, now) in std::mem::take(differs) {
            match now {
                Membership::Begins => {
                    members.insert(port.clone());
                    added.push(port);
                }
                Membership::Ends => {
                    members.remove(&port);
                    removed.push(port);
                }
            }
        }
        Poll::Ready(Some(GroupChange {
            members: seen.clone(),
            added,
            removed,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn next(follower: &Follower) -> Poll<Option<GroupChange>> {
        follower.poll_next(&Context::from_waker(std::task::Waker::noop()))
    }

    proptest! {
        /// What a reader is told is what has become of the group since it looked before, and what
        /// waits for one who does not look is no more than that.
        #[test]
        fn a_reader_is_told_what_differs(
            steps in prop::collection::vec((0..5_u8, 0..6_u8), 0..60),
            keeps: bool,
        ) {
            let port = |n: u8| PortId::new(format!("n#{n}"));
            let mut now = BTreeSet::from([port(0), port(1)]);
            let mut seen = BTreeSet::new();
            let follower = Follower::new(now.iter());
            let mut kept = Vec::new();
            for (what, n) in steps {
                let port = port(n);
                match what {
                    0 | 1 if now.insert(port.clone()) => {
                        follower.tell(&[(port, Membership::Begins)].into());
                    }
                    2 | 3 if now.remove(&port) => {
                        follower.tell(&[(port, Membership::Ends)].into());
                    }
                    4 => match next(&follower) {
                        Poll::Pending => prop_assert_eq!(&seen, &now),
                        Poll::Ready(change) => {
                            let change = change.unwrap();
                            prop_assert_ne!(&seen, &now);
                            prop_assert!(change.members.iter().eq(&now));
                            prop_assert!(now.difference(&seen).eq(&change.added));
                            prop_assert!(seen.difference(&now).eq(&change.removed));
                            seen = now.clone();
                            kept.extend(keeps.then_some((change.members, now.clone())));
                        }
                    },
                    _ => {}
                }
                let differs = now.symmetric_difference(&seen).count();
                prop_assert_eq!(follower.state.lock().differs.len(), differs);
            }
            // Who keeps the members of a change has those of that time.
            for (members, at_the_time) in kept {
                prop_assert!(members.iter().eq(&at_the_time));
            }
            follower.close();
            if now != seen {
                prop_assert!(matches!(next(&follower), Poll::Ready(Some(_))));
            }
            prop_assert_eq!(next(&follower), Poll::Ready(None));
        }
    }

    /// Nothing is copied of a set that nobody keeps.
    #[test]
    fn a_change_costs_what_changes() {
        let port = |n: usize| PortId::new(format!("node#port{n}"));
        let all: Vec<PortId> = (0..100_000).map(port).collect();
        let follower = Follower::new(all.iter());
        assert!(next(&follower).is_ready());
        let one_more = [(PortId::new("node#more"), Membership::Begins)].into();
        let mut change = None;
        let cost = allocation_counter::measure(|| {
            follower.tell(&one_more);
            change = Some(next(&follower));
        });
        let Some(Poll::Ready(Some(change))) = change else {
            panic!("no change");
        };
        assert_eq!((change.members.len(), change.added.len()), (100_001, 1));
        assert!(cost.bytes_total < 20_000, "{cost:?}");

        // One that is kept stays as it was.
        let gone = [(PortId::new("node#more"), Membership::Ends)].into();
        follower.tell(&gone);
        let Poll::Ready(Some(after)) = next(&follower) else {
            panic!("no change");
        };
        assert_eq!(
            (change.members.len(), after.members.len()),
            (100_001, 100_000)
        );
    }
}
