//! The members of a group, kept for whoever follows it.
//!
//! There is one roster for each group that is followed, and it is changed in place: a change costs
//! what changes, however many members there are and whoever follows. That members stand in a list
//! besides is for those who choose one of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;

use crate::mesh::{Changed, Membership};
use crate::proto::{NodeId, PortId};

/// A port while it is a member of a group. One that leaves and comes back is another member.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) id: PortId,
    /// What stands for the ID when members are compared by a key.
    pub(crate) hash: u64,
    /// How many calls of this node to it have no answer yet.
    open: AtomicUsize,
    /// It is no member any more; and who waits for that.
    gone: AtomicBool,
    leaving: Notify,
}

impl Member {
    fn new(id: PortId) -> Self {
        Member {
            hash: super::service::hash(id.as_str()),
            id,
            open: AtomicUsize::new(0),
            gone: AtomicBool::new(false),
            leaving: Notify::new(),
        }
    }

    /// Waits until it is no member any more.
    pub(crate) async fn left(&self) {
        // Begun before the look at the flag, it misses nothing.
        let leaving = self.leaving.notified();
        if !self.gone.load(Ordering::Acquire) {
            leaving.await;
        }
    }

    pub(crate) fn open_calls(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Counts a call until what this gives is dropped.
    pub(crate) fn begin_call(self: &Arc<Self>) -> OpenCall {
        self.open.fetch_add(1, Ordering::Relaxed);
        OpenCall(self.clone())
    }
}

/// A call that has no answer yet.
#[derive(Debug)]
pub(crate) struct OpenCall(Arc<Member>);

impl Drop for OpenCall {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// See [the module](self).
#[derive(Debug)]
pub(crate) struct Roster {
    node: NodeId,
    all: Slots,
    /// Those of them that are on this node.
    here: Slots,
}

/// Members, each in a place of its own.
#[derive(Debug, Default)]
struct Slots {
    list: Vec<Arc<Member>>,
    places: BTreeMap<PortId, usize>,
}

impl Slots {
    fn add(&mut self, member: Arc<Member>) {
        self.places.insert(member.id.clone(), self.list.len());
        self.list.push(member);
    }

    /// The last one takes the place that it leaves.
    fn remove(&mut self, id: &PortId) -> Option<Arc<Member>> {
        let place = self.places.remove(id)?;
        let removed = self.list.swap_remove(place);
        if let Some(moved) = self.list.get(place) {
            self.places.insert(moved.id.clone(), place);
        }
        Some(removed)
    }
}

impl Roster {
    /// The roster of a group with these members, as `node` keeps it.
    pub(crate) fn new<'a>(node: &NodeId, members: impl Iterator<Item = &'a PortId>) -> Self {
        let mut roster = Roster {
            node: node.clone(),
            all: Slots::default(),
            here: Slots::default(),
        };
        for id in members {
            roster.add(id.clone());
        }
        roster
    }

    /// Changes it. False if that makes no difference.
    pub(crate) fn apply(&mut self, changed: &Changed) -> bool {
        let mut differs = false;
        for (id, now) in changed {
            differs |= match now {
                Membership::Begins => self.add(id.clone()),
                Membership::Ends => self.remove(id),
            };
        }
        differs
    }

    fn add(&mut self, id: PortId) -> bool {
        if self.all.places.contains_key(&id) {
            return false;
        }
        let is_here = id.node() == self.node.as_str();
        let member = Arc::new(Member::new(id));
        if is_here {
            self.here.add(member.clone());
        }
        self.all.add(member);
        true
    }

    fn remove(&mut self, id: &PortId) -> bool {
        self.here.remove(id);
        let Some(member) = self.all.remove(id) else {
            return false;
        };
        member.gone.store(true, Ordering::Release);
        member.leaving.notify_waiters();
        true
    }

    /// The members, in no order that means anything.
    pub(crate) fn members(&self) -> &[Arc<Member>] {
        &self.all.list
    }

    /// Those of them that are on this node.
    pub(crate) fn members_here(&self) -> &[Arc<Member>] {
        &self.here.list
    }

    /// The members' IDs, sorted.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &PortId> {
        self.all.places.keys()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn a_roster_has_who_came_and_not_who_went(
            steps in prop::collection::vec((any::<bool>(), any::<bool>(), 0..6_u8), 0..60),
        ) {
            let mut roster = Roster::new(&NodeId::new("here"), [].iter());
            let mut model = BTreeSet::new();
            for (come, here, n) in steps {
                let node = if here { "here" } else { "there" };
                let port = PortId::new(format!("{node}#{n}"));
                let (now, differs) = match come {
                    true => (Membership::Begins, model.insert(port.clone())),
                    false => (Membership::Ends, model.remove(&port)),
                };
                let before = roster.members().to_vec();
                prop_assert_eq!(roster.apply(&[(port.clone(), now)].into()), differs);
                let ids: BTreeSet<PortId> = roster.ids().cloned().collect();
                prop_assert_eq!(&ids, &model);
                let listed = |list: &[Arc<Member>]| -> Vec<PortId> {
                    let mut ids: Vec<_> = list.iter().map(|member| member.id.clone()).collect();
                    ids.sort();
                    ids
                };
                prop_assert_eq!(listed(roster.members()), ids.iter().cloned().collect::<Vec<_>>());
                let here: Vec<PortId> = ids.into_iter().filter(|id| id.node() == "here").collect();
                prop_assert_eq!(listed(roster.members_here()), here);
                // Who stays is the same member, with the same calls.
                for member in before.iter().filter(|member| member.id != port) {
                    prop_assert!(roster.members().iter().any(|other| Arc::ptr_eq(member, other)));
                }
            }
        }
    }
}
