//! Monitors on the ports of another node, by port.
//!
//! There may be a million of them: a port with one monitor, which is what most have, takes one
//! piece of memory, and a loss builds nothing of them but the order in which they fire.

use compact_str::CompactString;
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use std::hash::BuildHasher as _;

/// A monitor on a port there, by its number: what it does when it fires.
pub(super) type Monitor<A> = (u64, A);

/// Few things; for one there is room without memory of its own.
#[derive(Debug, PartialEq)]
pub(crate) struct Few<T> {
    /// None: there are none at all.
    one: Option<T>,
    more: Vec<T>,
}

impl<T> Few<T> {
    fn new() -> Self {
        Few {
            one: None,
            more: Vec::new(),
        }
    }

    fn is_empty(&self) -> bool {
        self.one.is_none()
    }

    fn push(&mut self, item: T) {
        match self.one {
            None => self.one = Some(item),
            Some(_) => self.more.push(item),
        }
    }

    /// Takes the first one out for which this holds. The last one takes its place.
    fn take(&mut self, is: impl Fn(&T) -> bool) -> Option<T> {
        if self.one.as_ref().is_some_and(&is) {
            return std::mem::replace(&mut self.one, self.more.pop());
        }
        let at = self.more.iter().position(is)?;
        Some(self.more.swap_remove(at))
    }

    #[cfg(any(test, feature = "fuzz"))]
    fn iter(&self) -> impl Iterator<Item = &T> {
        self.one.iter().chain(&self.more)
    }
}

impl<T> Extend<T> for Few<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, items: I) {
        items.into_iter().for_each(|item| self.push(item));
    }
}

impl<T> FromIterator<T> for Few<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut few = Few::new();
        few.extend(items);
        few
    }
}

impl<T> IntoIterator for Few<T> {
    type Item = T;
    type IntoIter = std::iter::Chain<std::option::IntoIter<T>, std::vec::IntoIter<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.one.into_iter().chain(self.more)
    }
}

/// The monitors on one port.
pub(super) struct OnPort<A> {
    pub(super) name: CompactString,
    /// The number of the first one that was set. No other port has it.
    first: u64,
    pub(super) monitors: Few<Monitor<A>>,
}

/// The monitors on ports, by the port's name.
pub(super) struct OnPorts<A> {
    hasher: RandomState,
    table: HashTable<Box<OnPort<A>>>,
}

impl<A> Default for OnPorts<A> {
    fn default() -> Self {
        OnPorts {
            hasher: RandomState::default(),
            table: HashTable::new(),
        }
    }
}

impl<A> OnPorts<A> {
    fn hash(&self, name: &str) -> u64 {
        self.hasher.hash_one(name)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.table
            .find(self.hash(name), |on| on.name == name)
            .is_some()
    }

    /// Adds a monitor on a port. True if it is the first one.
    pub(super) fn add(&mut self, name: &str, monitor: Monitor<A>) -> bool {
        let (hash, hasher) = (self.hash(name), &self.hasher);
        let entry = self.table.entry(
            hash,
            |on| on.name == name,
            |on| hasher.hash_one(on.name.as_str()),
        );
        match entry {
            Entry::Occupied(mut there) => {
                there.get_mut().monitors.push(monitor);
                false
            }
            Entry::Vacant(place) => {
                place.insert(Box::new(OnPort {
                    name: name.into(),
                    first: monitor.0,
                    monitors: [monitor].into_iter().collect(),
                }));
                true
            }
        }
    }

    /// The monitors on a port, if there are any.
    fn get_mut(&mut self, name: &str) -> Option<&mut Few<Monitor<A>>> {
        let hash = self.hash(name);
        let on = self.table.find_mut(hash, |on| on.name == name)?;
        Some(&mut on.monitors)
    }

    /// Takes out all monitors on a port.
    pub(super) fn remove(&mut self, name: &str) -> Option<Few<Monitor<A>>> {
        self.remove_where(self.hash(name), |on| on.name == name)
            .map(|on| on.monitors)
    }

    fn remove_where(
        &mut self,
        hash: u64,
        mut is: impl FnMut(&OnPort<A>) -> bool,
    ) -> Option<OnPort<A>> {
        let found = self.table.find_entry(hash, |on| is(on)).ok()?;
        Some(*found.remove().0)
    }

    /// Takes out the monitor of this number. Behind the last one, nothing is left of the port,
    /// which is said.
    pub(super) fn remove_one(&mut self, name: &str, serial: u64) -> Option<(A, bool)> {
        let action = self.take_one(name, serial)?;
        let is_last = self
            .get_mut(name)
            .is_some_and(|monitors| monitors.is_empty());
        if is_last {
            self.remove(name);
        }
        Some((action, is_last))
    }

    /// Takes out the monitor of this number. Its port stays.
    pub(super) fn take_one(&mut self, name: &str, serial: u64) -> Option<A> {
        let (_, action) = self.get_mut(name)?.take(|(n, _)| *n == serial)?;
        Some(action)
    }

    /// Takes out all, in the order in which their ports came to be monitored.
    pub(super) fn take(&mut self) -> Vec<OnPort<A>> {
        let all = std::mem::take(&mut self.table);
        let mut all: Vec<OnPort<A>> = all.into_iter().map(|on| *on).collect();
        all.sort_unstable_by_key(|on| on.first);
        all
    }

    #[cfg(any(test, feature = "fuzz"))]
    pub(super) fn iter(&self) -> impl Iterator<Item = &A> {
        let all = self.table.iter();
        all.flat_map(|on| on.monitors.iter().map(|(_, action)| action))
    }
}

/// Monitors that are due: port by port, in the order in which these came to be monitored.
pub(super) struct Due<A> {
    all: OnPorts<A>,
    /// The number of the first monitor on each port, and the hash of the port's name; the next one
    /// last.
    order: Vec<(u64, u64)>,
}

impl<A> Due<A> {
    pub(super) fn new(all: OnPorts<A>) -> Self {
        let ports = all.table.iter();
        let mut order: Vec<_> = ports.map(|on| (on.first, all.hash(&on.name))).collect();
        order.sort_unstable_by(|a, b| b.cmp(a));
        Due { all, order }
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.all.contains(name)
    }

    /// The monitors on a port that is still to come.
    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut Few<Monitor<A>>> {
        self.all.get_mut(name)
    }

    /// Takes out a monitor. Its port stays.
    pub(super) fn take_one(&mut self, name: &str, serial: u64) -> Option<A> {
        self.all.take_one(name, serial)
    }

    /// The next port, with its monitors.
    pub(super) fn pop(&mut self) -> Option<OnPort<A>> {
        let (first, hash) = self.order.pop()?;
        self.all.remove_where(hash, |on| on.first == first)
    }

    #[cfg(any(test, feature = "fuzz"))]
    pub(super) fn iter(&self) -> impl Iterator<Item = &A> {
        self.all.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        /// The same as a map of lists, and due in the order in which the ports came.
        #[test]
        fn monitors_by_port(steps in prop::collection::vec((0..4_u8, 0..5_u8), 0..60)) {
            let (mut all, mut model) = (OnPorts::default(), BTreeMap::<String, Vec<u64>>::new());
            for (serial, (what, n)) in (0_u64..).zip(steps) {
                let name = format!("port{n}");
                let there = model.get(&name).cloned().unwrap_or_default();
                match what {
                    0 | 1 => {
                        prop_assert_eq!(all.add(&name, (serial, serial)), there.is_empty());
                        model.entry(name).or_default().push(serial);
                    }
                    2 => {
                        let one = there.get(n as usize % there.len().max(1)).copied();
                        let removed = all.remove_one(&name, one.unwrap_or(serial));
                        prop_assert_eq!(removed, one.map(|one| (one, there.len() == 1)));
                        if let (Some(one), Some(list)) = (one, model.get_mut(&name)) {
                            list.retain(|other| *other != one);
                            if list.is_empty() {
                                model.remove(&name);
                            }
                        }
                    }
                    _ => {
                        let removed = all.remove(&name).map(|few| {
                            let mut serials: Vec<u64> = few.into_iter().map(|(n, _)| n).collect();
                            serials.sort();
                            serials
                        });
                        prop_assert_eq!(removed, model.remove(&name));
                    }
                }
                for n in 0..5 {
                    let name = format!("port{n}");
                    prop_assert_eq!(all.contains(&name), model.contains_key(&name));
                }
                prop_assert_eq!(all.iter().count(), model.values().map(Vec::len).sum::<usize>());
            }
            let mut due = Due::new(all);
            let mut last = None;
            while let Some(on) = due.pop() {
                prop_assert!(last < Some(on.first));
                last = Some(on.first);
                prop_assert!(!due.contains(&on.name));
                let mut serials: Vec<u64> = on.monitors.into_iter().map(|(n, _)| n).collect();
                serials.sort();
                prop_assert_eq!(Some(serials), model.remove(on.name.as_str()));
            }
            prop_assert!(model.is_empty());
        }
    }

    #[test]
    fn a_port_with_a_monitor_is_small() {
        // An action of the node takes three words. With what the allocator adds that is 96 octets.
        type Action = (std::num::NonZeroUsize, [usize; 2]);
        let size = size_of::<OnPort<Action>>();
        assert!(size <= 88, "{size}");
    }
}
