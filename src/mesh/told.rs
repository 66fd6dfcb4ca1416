//! Nodes that others told us of: which of them is connected to next.
//!
//! Whoever is linked to us may tell us of as many nodes as it likes, at any addresses. They wait
//! here, each behind who told of it, and only a few are connected to at a time. Who tells of many
//! does not keep those waiting that somebody else told of:
//!
//! - those who told take turns;
//! - who told of more takes at most half of what the others leave, of the places in the queue and
//!   of the attempts at a time, so that there is always something left for the next one;
//! - at most [`MOST_AT_A_HOST`] attempts go to one host at a time;
//! - what somebody told of is forgotten when it goes, unless another one told of it as well.
//!
//! What the program itself wants does not wait here.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use crate::proto::NodeId;
use crate::proto::host::host_of;

/// The most attempts that go to one host at a time.
pub(crate) const MOST_AT_A_HOST: usize = 8;

/// The most nodes that wait. One who tells alone has half of them.
pub(crate) const MOST_WAITING: usize = 20_000;

/// The most addresses that are kept of a node.
pub(crate) const MOST_ADDRESSES: usize = 16;

/// How many of the nodes that one told of are looked at in its turn.
const LOOKS: usize = 8;

/// A node, and where it is said to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tip {
    pub(crate) node: NodeId,
    pub(crate) addresses: Vec<String>,
}

impl Tip {
    /// The hosts of its addresses, each once.
    fn hosts(&self) -> Vec<String> {
        let mut hosts: Vec<String> = self.addresses.iter().map(|at| host_of(at)).collect();
        hosts.sort_unstable();
        hosts.dedup();
        hosts
    }
}

/// What one told us.
#[derive(Debug, Default)]
struct Teller {
    queue: VecDeque<Tip>,
    /// The nodes in the queue.
    waiting: HashSet<NodeId>,
    /// Attempts under way.
    trying: usize,
}

/// An attempt under way.
#[derive(Debug)]
struct Attempt {
    teller: NodeId,
    hosts: Vec<String>,
}

/// The nodes that were told of and are not connected to yet.
#[derive(Debug)]
pub(crate) struct Told {
    /// The most attempts at a time.
    most: usize,
    tellers: BTreeMap<NodeId, Teller>,
    /// Who has nodes in its queue: each once, in the order of their turns.
    turns: VecDeque<NodeId>,
    /// How many wait, of all tellers.
    waiting: usize,
    attempts: HashMap<NodeId, Attempt>,
    /// How many attempts go to each host.
    hosts: HashMap<String, usize>,
}

impl Told {
    /// Nothing yet; later, at most so many attempts at a time.
    pub(crate) fn new(most: usize) -> Self {
        Told {
            most: most.max(1),
            tellers: BTreeMap::new(),
            turns: VecDeque::new(),
            waiting: 0,
            attempts: HashMap::new(),
            hosts: HashMap::new(),
        }
    }

    /// `teller` told us of a node. False if it has told of too many.
    pub(crate) fn add(&mut self, teller: &NodeId, node: &NodeId, addresses: &[String]) -> bool {
        let addresses: Vec<String> = addresses.iter().take(MOST_ADDRESSES).cloned().collect();
        let known = self.tellers.entry(teller.clone()).or_default();
        if known.waiting.contains(node) {
            return true;
        }
        if known.queue.len() >= MOST_WAITING - self.waiting {
            self.forget_idle(teller);
            return false;
        }
        if known.queue.is_empty() {
            self.turns.push_back(teller.clone());
        }
        known.waiting.insert(node.clone());
        known.queue.push_back(Tip {
            node: node.clone(),
            addresses,
        });
        self.waiting += 1;
        true
    }

    /// The next node to connect to, if it is time for one. The caller says when that has
    /// [ended](Self::ended).
    pub(crate) fn next(&mut self) -> Option<Tip> {
        let free = self.most.checked_sub(self.attempts.len() + 1)? + 1;
        for _ in 0..self.turns.len() {
            let teller = self.turns.pop_front()?;
            let found = self.next_of(&teller, free);
            if self
                .tellers
                .get(&teller)
                .is_some_and(|t| !t.queue.is_empty())
            {
                self.turns.push_back(teller.clone());
            }
            if let Some(tip) = found {
                self.begin(teller, &tip);
                return Some(tip);
            }
        }
        None
    }

    /// The next of those that one told of, if it may have one of the `free` attempts.
    fn next_of(&mut self, teller: &NodeId, free: usize) -> Option<Tip> {
        let known = self.tellers.get_mut(teller)?;
        if known.trying > 0 && known.trying >= free {
            return None;
        }
        for _ in 0..LOOKS.min(known.queue.len()) {
            let tip = known.queue.pop_front()?;
            let full = |host: &String| self.hosts.get(host).is_some_and(|n| *n >= MOST_AT_A_HOST);
            if self.attempts.contains_key(&tip.node) || tip.hosts().iter().any(full) {
                known.queue.push_back(tip);
                continue;
            }
            known.waiting.remove(&tip.node);
            self.waiting -= 1;
            return Some(tip);
        }
        None
    }

    fn begin(&mut self, teller: NodeId, tip: &Tip) {
        let hosts = tip.hosts();
        for host in &hosts {
            *self.hosts.entry(host.clone()).or_default() += 1;
        }
        self.tellers.entry(teller.clone()).or_default().trying += 1;
        self.attempts
            .insert(tip.node.clone(), Attempt { teller, hosts });
    }

    /// The attempt to connect to a node is over, in one way or the other. False if there was none.
    pub(crate) fn ended(&mut self, node: &NodeId) -> bool {
        let Some(Attempt { teller, hosts }) = self.attempts.remove(node) else {
            return false;
        };
        for host in hosts {
            if let Some(count) = self.hosts.get_mut(&host) {
                *count -= 1;
                if *count == 0 {
                    self.hosts.remove(&host);
                }
            }
        }
        if let Some(known) = self.tellers.get_mut(&teller) {
            known.trying -= 1;
        }
        self.forget_idle(&teller);
        true
    }

    /// One who told us of nodes is gone.
    pub(crate) fn gone(&mut self, teller: &NodeId) {
        if let Some(known) = self.tellers.get_mut(teller) {
            self.waiting -= known.queue.len();
            known.queue = VecDeque::new();
            known.waiting = HashSet::new();
            self.turns.retain(|other| other != teller);
        }
        self.forget_idle(teller);
    }

    fn forget_idle(&mut self, teller: &NodeId) {
        let idle = |known: &Teller| known.queue.is_empty() && known.trying == 0;
        if self.tellers.get(teller).is_some_and(idle) {
            self.tellers.remove(teller);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(text: &str) -> NodeId {
        NodeId::new(text)
    }

    fn tell(told: &mut Told, teller: &str, node: &str, at: &str) -> bool {
        told.add(&id(teller), &id(node), &[at.to_owned()])
    }

    fn begin_all(told: &mut Told) -> Vec<String> {
        let mut begun = Vec::new();
        while let Some(tip) = told.next() {
            begun.push(tip.node.to_string());
        }
        begun
    }

    #[test]
    fn who_tells_of_100_000_nodes_holds_up_nobody() {
        let mut told = Told::new(24);
        for n in 0..100_000 {
            let kept = tell(&mut told, "liar", &format!("x{n}"), &format!("h{n}:1"));
            assert_eq!(kept, n < MOST_WAITING / 2, "{n}");
        }
        assert_eq!(told.waiting, MOST_WAITING / 2);
        assert_eq!(begin_all(&mut told).len(), 12, "half of the attempts");
        assert!(tell(&mut told, "friend", "honest", "h:1"));
        assert_eq!(begin_all(&mut told), ["honest"], "at once");
        told.gone(&id("liar"));
        assert_eq!((told.waiting, told.turns.len()), (0, 0));
        for n in 0..12 {
            assert!(told.ended(&id(&format!("x{n}"))));
        }
        assert!(told.ended(&id("honest")) && !told.ended(&id("honest")));
        assert!(told.tellers.is_empty() && told.hosts.is_empty());
    }

    #[test]
    fn a_host_is_not_flooded() {
        let mut told = Told::new(1000);
        for n in 0..100 {
            tell(&mut told, "liar", &format!("x{n}"), &format!("victim:{n}"));
        }
        assert_eq!(begin_all(&mut told).len(), MOST_AT_A_HOST);
        assert!(tell(&mut told, "liar", "elsewhere", "h:1"));
        let mut tries = 0;
        while told.next().is_none() {
            tries += 1;
            assert!(tries < 100 / LOOKS + 1, "what can't begin is passed over");
        }
        told.ended(&id("x0"));
        assert_eq!(begin_all(&mut told).len(), 1);
    }

    #[test]
    fn what_two_told_of_stays_when_one_goes() {
        let mut told = Told::new(4);
        tell(&mut told, "a", "x", "h:1");
        tell(&mut told, "b", "x", "h:2");
        told.gone(&id("a"));
        let tip = told.next().unwrap();
        assert_eq!((tip.node, tip.addresses), (id("x"), vec!["h:2".to_owned()]));
    }

    #[test]
    fn of_many_addresses_some_are_kept() {
        let mut told = Told::new(4);
        let many: Vec<String> = (0..100_000).map(|n| format!("h{n}:1")).collect();
        told.add(&id("a"), &id("x"), &many);
        assert_eq!(told.next().unwrap().addresses, many[..MOST_ADDRESSES]);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Tell(u8, u8, u8),
        Next,
        End(u8),
        Gone(u8),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0..4_u8, 0..20_u8, 0..3_u8).prop_map(|(by, node, at)| Step::Tell(by, node, at)),
            4 => Just(Step::Next),
            2 => (0..20_u8).prop_map(Step::End),
            1 => (0..4_u8).prop_map(Step::Gone),
        ]
    }

    proptest! {
        /// The counts are those of what there is, the bounds are kept, and in the end everything
        /// that was told of and not forgotten has had its attempt.
        #[test]
        fn bounds_are_kept_and_nothing_is_forgotten(
            most in 1..12_usize,
            steps in prop::collection::vec(step(), 0..200),
        ) {
            let mut told = Told::new(most);
            let mut waiting: HashSet<(u8, String)> = HashSet::new();
            for step in steps {
                match step {
                    Step::Tell(by, node, at) => {
                        let node = format!("n{node}");
                        let kept = tell(&mut told, &by.to_string(), &node, &format!("h{at}:1"));
                        prop_assert!(kept);
                        waiting.insert((by, node));
                    }
                    Step::Next => {
                        if let Some(tip) = told.next() {
                            let by = told.attempts[&tip.node].teller.as_str().parse().unwrap();
                            prop_assert!(waiting.remove(&(by, tip.node.to_string())));
                        }
                    }
                    Step::End(node) => drop(told.ended(&id(&format!("n{node}")))),
                    Step::Gone(by) => {
                        told.gone(&id(&by.to_string()));
                        waiting.retain(|(teller, _)| *teller != by);
                    }
                }
                prop_assert_eq!(told.waiting, waiting.len());
                prop_assert!(told.attempts.len() <= most);
                prop_assert!(told.hosts.values().all(|n| *n <= MOST_AT_A_HOST));
                let trying: usize = told.tellers.values().map(|t| t.trying).sum();
                prop_assert_eq!(trying, told.attempts.len());
            }
            for _ in 0..1000 {
                while told.next().is_some() {}
                let running: Vec<NodeId> = told.attempts.keys().cloned().collect();
                for node in running {
                    told.ended(&node);
                }
            }
            prop_assert_eq!((told.waiting, told.tellers.len(), told.turns.len()), (0, 0, 0));
        }
    }
}
