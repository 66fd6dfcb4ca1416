//! Which member of a group is next.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::node::random::Random;
use crate::node::roster::{Member, Roster};

/// How a [`Service`](super::Service) chooses a member, unless it does so [by a
/// key](super::Service::keyed). Whichever it is, a choice takes the same time among ten members and
/// among 100,000.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let node = aemp::Node::local();
/// let (first, second) = (node.port(), node.port());
/// node.register("workers", &first);
/// node.register("workers", &second);
/// let service = node.service("workers").balance(aemp::Balance::RoundRobin);
/// assert_ne!(service.pick(), service.pick());
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Balance {
    /// Of two members by chance the one with fewer calls of this node without an answer. So who is
    /// slow gets less, and who is new is not run over by all callers at once. What is only sent is
    /// no call: who sends much and calls little takes another.
    #[default]
    LeastBusy,
    /// Each in turn, beginning anywhere.
    RoundRobin,
    /// Any by chance.
    Random,
    /// Like [`LeastBusy`](Self::LeastBusy) among the members on this node; among all if there is
    /// none here.
    LocalFirst,
}

/// What a choice is made by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    Balance(Balance),
    /// The hash of a key.
    Key(u64),
}

/// Chooses a member that was not tried. `turn` counts the choices.
pub(super) fn choose(
    roster: &Roster,
    by: By,
    turn: &AtomicUsize,
    random: &Random,
    tried: &[Arc<Member>],
) -> Option<Arc<Member>> {
    let all = roster.members();
    let balance = match by {
        By::Key(key) => return by_key(all, key, tried).cloned(),
        By::Balance(balance) => balance,
    };
    if all.is_empty() {
        return None;
    }
    let chosen = match balance {
        Balance::RoundRobin => untried(all, turn.fetch_add(1, Ordering::Relaxed), tried),
        Balance::Random => untried(all, random.below(all.len()), tried),
        Balance::LeastBusy => less_busy(all, random, tried),
        Balance::LocalFirst => {
            let here = less_busy(roster.members_here(), random, tried);
            here.or_else(|| less_busy(all, random, tried))
        }
    };
    chosen.cloned()
}

fn is_tried(member: &Arc<Member>, tried: &[Arc<Member>]) -> bool {
    tried.iter().any(|other| Arc::ptr_eq(member, other))
}

/// The first one that was not tried, from a place on.
fn untried<'a>(
    list: &'a [Arc<Member>],
    from: usize,
    tried: &[Arc<Member>],
) -> Option<&'a Arc<Member>> {
    let (before, after) = list.split_at(from.checked_rem(list.len())?);
    let mut all = after.iter().chain(before);
    all.find(|member| !is_tried(member, tried))
}

/// Of two by chance the one with fewer calls.
fn less_busy<'a>(
    list: &'a [Arc<Member>],
    random: &Random,
    tried: &[Arc<Member>],
) -> Option<&'a Arc<Member>> {
    let others = list.len().checked_sub(1)?;
    let at = random.below(list.len());
    let one = untried(list, at, tried)?;
    if others == 0 {
        return Some(one);
    }
    let other = untried(list, at + 1 + random.below(others), tried)?;
    Some(match other.open_calls() < one.open_calls() {
        true => other,
        false => one,
    })
}

/// Rendezvous hashing: the one whose hash with the key is the highest. So each key keeps its member
/// as long as that is there, and the keys of one that goes are spread over all others.
fn by_key<'a>(list: &'a [Arc<Member>], key: u64, tried: &[Arc<Member>]) -> Option<&'a Arc<Member>> {
    let wanted = list.iter().filter(|member| !is_tried(member, tried));
    wanted.max_by(|one, other| {
        let score = |member: &Member| mixed(member.hash ^ key);
        let scores = score(one).cmp(&score(other));
        scores.then_with(|| one.id.cmp(&other.id))
    })
}

/// The hash of a key or of a member's ID. It is the same on all nodes and in all releases, so that
/// all find the same member: FNV-1a, mixed.
pub(crate) fn hash(text: &str) -> u64 {
    let fnv = |hash: u64, octet: u8| (hash ^ u64::from(octet)).wrapping_mul(0x100_0000_01b3);
    mixed(text.bytes().fold(0xcbf2_9ce4_8422_2325, fnv))
}

/// The finalizer of MurmurHash3: each bit of the number changes half of those of the result.
fn mixed(mut n: u64) -> u64 {
    n = (n ^ (n >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    n = (n ^ (n >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    n ^ (n >> 33)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::mesh::Membership;
    use crate::proto::{NodeId, PortId};

    const ALL: [Balance; 4] = [
        Balance::LeastBusy,
        Balance::RoundRobin,
        Balance::Random,
        Balance::LocalFirst,
    ];

    /// A group of so many members, every third of which is here.
    fn roster(members: usize) -> Roster {
        let node = |n: usize| if n.is_multiple_of(3) { "here" } else { "there" };
        let ids: Vec<_> = (0..members)
            .map(|n| PortId::new(format!("{}#{n}", node(n))))
            .collect();
        Roster::new(&NodeId::new("here"), ids.iter())
    }

    /// Chooses again and again.
    struct Chooser(AtomicUsize, Random);

    impl Chooser {
        fn new(seed: u64) -> Self {
            Chooser(AtomicUsize::new(seed as usize), Random::seeded(seed))
        }

        fn next(&self, roster: &Roster, by: By, tried: &[Arc<Member>]) -> Option<Arc<Member>> {
            choose(roster, by, &self.0, &self.1, tried)
        }
    }

    proptest! {
        /// Who was tried is not chosen, and as long as there is somebody else, one is.
        #[test]
        fn each_is_tried_once(members in 0..12_usize, seed in any::<u64>()) {
            let (roster, chooser) = (roster(members), Chooser::new(seed));
            let by = ALL.into_iter().map(By::Balance).chain([By::Key(seed)]);
            for by in by {
                let mut tried: Vec<Arc<Member>> = Vec::new();
                while let Some(member) = chooser.next(&roster, by, &tried) {
                    prop_assert!(!is_tried(&member, &tried), "{by:?}");
                    if by == By::Balance(Balance::LocalFirst) {
                        let elsewhere = tried.iter().any(|member| member.id.node() != "here");
                        prop_assert!(member.id.node() != "here" || !elsewhere);
                    }
                    tried.push(member);
                }
                prop_assert_eq!(tried.len(), members, "{:?}", by);
            }
        }

        #[test]
        fn turns_are_even(members in 1..20_usize, calls in 0..100_usize, seed in any::<u64>()) {
            let (roster, chooser) = (roster(members), Chooser::new(seed));
            let mut count = BTreeMap::new();
            for _ in 0..calls {
                let next = chooser.next(&roster, By::Balance(Balance::RoundRobin), &[]);
                *count.entry(next.unwrap().id.clone()).or_insert(0) += 1;
            }
            for id in roster.ids() {
                let got = count.get(id).copied().unwrap_or(0);
                prop_assert!((calls / members..=calls.div_ceil(members)).contains(&got));
            }
        }

        /// Only keys of who goes move, and only to who comes.
        #[test]
        fn a_key_keeps_its_member(members in 2..20_usize, gone in 0..20_usize) {
            let (mut roster, chooser) = (roster(members), Chooser::new(1));
            let owner = |roster: &Roster, key: usize| {
                let by = By::Key(hash(&format!("customer {key}")));
                chooser.next(roster, by, &[]).unwrap().id.clone()
            };
            let before: Vec<_> = (0..200).map(|key| owner(&roster, key)).collect();
            let gone = roster.members()[gone % members].id.clone();
            roster.apply(&[(gone.clone(), Membership::Ends)].into());
            for (key, before) in before.iter().enumerate() {
                let after = owner(&roster, key);
                prop_assert!(after == *before || *before == gone);
            }
            let came = PortId::new("there#new");
            let before: Vec<_> = (0..200).map(|key| owner(&roster, key)).collect();
            roster.apply(&[(came.clone(), Membership::Begins)].into());
            for (key, before) in before.iter().enumerate() {
                let after = owner(&roster, key);
                prop_assert!(after == *before || after == came);
            }
        }
    }

    /// How often each of ten members is chosen in 10,000 times.
    fn shares(mut next: impl FnMut(&Roster, usize) -> Arc<Member>) -> Vec<u32> {
        let roster = roster(10);
        let mut count: BTreeMap<PortId, u32> = BTreeMap::new();
        for n in 0..10_000 {
            *count.entry(next(&roster, n).id.clone()).or_default() += 1;
        }
        roster
            .ids()
            .map(|id| count.get(id).copied().unwrap_or(0))
            .collect()
    }

    #[test]
    fn chance_and_keys_are_spread_evenly() {
        let chooser = Chooser::new(7);
        let by_chance = shares(|roster, _| {
            let next = chooser.next(roster, By::Balance(Balance::Random), &[]);
            next.unwrap()
        });
        let by_key = shares(|roster, n| {
            let key = By::Key(hash(&n.to_string()));
            chooser.next(roster, key, &[]).unwrap()
        });
        // 1000 each, with a deviation of 30.
        for shares in [by_chance, by_key] {
            assert!(shares.iter().all(|n| (850..1150).contains(n)), "{shares:?}");
        }
    }

    /// Calls that are open count, wherever they come from: with one of two choices there is no
    /// member that waits while another one has three calls more.
    #[test]
    fn who_has_much_to_do_is_spared() {
        let chooser = Chooser::new(7);
        let (mut open, mut stuck) = (Vec::new(), None);
        let shares = shares(|roster, n| {
            let next = chooser.next(roster, By::Balance(Balance::LeastBusy), &[]);
            let next = next.unwrap();
            // One member never answers. The others have ten calls at a time, all together.
            let slow = stuck.get_or_insert_with(|| next.id.clone());
            if *slow == next.id {
                std::mem::forget(next.begin_call());
            } else {
                match open.len() {
                    10 => open[n % 10] = next.begin_call(),
                    _ => open.push(next.begin_call()),
                }
            }
            next
        });
        let (least, rest) = {
            let mut sorted = shares.clone();
            sorted.sort_unstable();
            (sorted[0], sorted.split_off(1))
        };
        assert!(least < 10, "{shares:?}");
        assert!(rest.iter().all(|n| (1000..1250).contains(n)), "{shares:?}");
    }

    /// Other nodes, and other releases, find the same member.
    #[test]
    fn hashes_do_not_change() {
        assert_eq!(hash(""), 0xefd0_1f60_ba99_2926);
        assert_eq!(hash("ruth#a.b"), 0x5e3c_4809_806a_af88);
    }
}
