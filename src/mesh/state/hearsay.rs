//! The nodes that are known only because another one told of them.
//!
//! Who tells of more takes at most half of what the others leave, so that there is always something
//! left for the next one; and what one alone told of is forgotten when it goes.

use std::collections::{BTreeMap, BTreeSet};

use crate::proto::NodeId;

/// The most nodes that are known so.
pub(super) const MAX_HEARSAY: usize = 10_000;

/// Who told of which nodes: each node stands with the one that told of it first.
#[derive(Debug, Default)]
pub(super) struct Hearsay {
    told: BTreeMap<NodeId, BTreeSet<NodeId>>,
    by: BTreeMap<NodeId, NodeId>,
}

impl Hearsay {
    /// `teller` told of a node. False if it told of too many.
    pub(super) fn add(&mut self, teller: &NodeId, node: &NodeId) -> bool {
        if self.by.contains_key(node) {
            return true;
        }
        let told = self.told.get(teller).map_or(0, BTreeSet::len);
        if told >= MAX_HEARSAY - self.by.len() {
            return false;
        }
        self.by.insert(node.clone(), teller.clone());
        let of_teller = self.told.entry(teller.clone()).or_default();
        of_teller.insert(node.clone())
    }

    /// A node that was up is gone, and where it is may serve once more. False if there are too many
    /// of that kind.
    pub(super) fn add_gone(&mut self, node: &NodeId) -> bool {
        self.by.len() < MAX_HEARSAY / 2 && self.add(node, node)
    }

    /// A node is known otherwise, or not at all.
    pub(super) fn remove(&mut self, node: &NodeId) {
        if let Some(teller) = self.by.remove(node)
            && let Some(told) = self.told.get_mut(&teller)
        {
            told.remove(node);
            if told.is_empty() {
                self.told.remove(&teller);
            }
        }
    }

    /// One who told of nodes is gone: these it told of.
    pub(super) fn gone(&mut self, teller: &NodeId) -> BTreeSet<NodeId> {
        let told = self.told.remove(teller).unwrap_or_default();
        for node in &told {
            self.by.remove(node);
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn who_tells_of_many_leaves_room() {
        let (liar, honest) = (NodeId::new("liar"), NodeId::new("honest"));
        let mut hearsay = Hearsay::default();
        for n in 0..100_000 {
            let kept = hearsay.add(&liar, &NodeId::new(format!("x{n}")));
            assert_eq!(kept, n < MAX_HEARSAY / 2, "{n}");
        }
        assert!(hearsay.add(&honest, &NodeId::new("y")));
        assert_eq!(hearsay.gone(&liar).len(), MAX_HEARSAY / 2);
        assert_eq!(hearsay.by.len(), 1);
    }

    proptest! {
        /// Both sides of the table agree, and each node stands with the first who told of it.
        #[test]
        fn each_stands_with_the_first(
            steps in prop::collection::vec((0..3u8, 0..3u8, 0..6u8), 0..60),
        ) {
            let mut hearsay = Hearsay::default();
            let mut plain: BTreeMap<u8, u8> = BTreeMap::new();
            for (what, teller, node) in steps {
                let id = |n: u8| NodeId::new(n.to_string());
                match what {
                    0 => {
                        prop_assert!(hearsay.add(&id(teller), &id(node)));
                        plain.entry(node).or_insert(teller);
                    }
                    1 => {
                        hearsay.remove(&id(node));
                        plain.remove(&node);
                    }
                    _ => {
                        let of_it = |(node, by): (&u8, &u8)| (*by == teller).then_some(id(*node));
                        let gone: BTreeSet<NodeId> = plain.iter().filter_map(of_it).collect();
                        prop_assert_eq!(hearsay.gone(&id(teller)), gone);
                        plain.retain(|_, by| *by != teller);
                    }
                }
                prop_assert_eq!(hearsay.by.len(), plain.len());
                let all: usize = hearsay.told.values().map(BTreeSet::len).sum();
                prop_assert_eq!(all, plain.len());
                prop_assert!(hearsay.told.values().all(|told| !told.is_empty()));
            }
        }
    }
}
