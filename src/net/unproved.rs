//! The connections that were accepted and have proved nothing: which of them gives way when there
//! are too many.
//!
//! Anyone can connect and be silent. So a full pool does not refuse who comes: somebody leaves. Of
//! all hosts the one with the most connections gives up one; of its connections one that has not
//! even greeted, if there is one; of these the oldest. So one host never takes another's place, who
//! is silent gives way to who speaks, and who comes has time for its handshake: nobody leaves
//! before a moment has passed. If that is true of all, who comes waits.
//!
//! The rules know no clock and no socket: time is handed in, and who has to leave is handed out.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

/// So long a connection may stay in any case.
pub(crate) const GRACE: Duration = Duration::from_millis(250);

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Greeted,
    Silent,
}

/// A connection's place among those of its host; the greatest leaves first.
type Place = (Stage, Reverse<u64>);

/// The pool. `T` is what ends a connection.
pub(crate) struct Unproved<T> {
    most: usize,
    connections: HashMap<u64, Connection<T>>,
    hosts: HashMap<String, BTreeSet<Place>>,
    /// The hosts by how many connections they have, and then by who would leave.
    order: BTreeSet<(usize, Place, String)>,
    /// When each of them came: the numbers are given in this order.
    next: u64,
}

struct Connection<T> {
    host: String,
    stage: Stage,
    since: Duration,
    end: T,
}

/// What becomes of a connection that comes.
#[derive(Debug, PartialEq)]
pub(crate) enum Entry<T> {
    /// It has this number. If there were too many, another one is to end.
    Enter(u64, Option<T>),
    /// It waits for so long, and asks again.
    Wait(Duration),
}

impl<T> Unproved<T> {
    /// A pool of at most so many connections, at least one.
    pub(crate) fn new(most: usize) -> Self {
        Unproved {
            most: most.max(1),
            connections: HashMap::new(),
            hosts: HashMap::new(),
            order: BTreeSet::new(),
            next: 0,
        }
    }

    /// A connection from this host comes at this time.
    pub(crate) fn enter(
        &mut self,
        now: Duration,
        host: &str,
        end: impl FnOnce(u64) -> T,
    ) -> Entry<T> {
        let mut left = None;
        if self.connections.len() >= self.most {
            match self.gives_way(now) {
                Ok(number) => left = self.remove(number),
                Err(wait) => return Entry::Wait(wait),
            }
        }
        let number = self.next;
        self.next += 1;
        let stage = Stage::Silent;
        self.put(host, (stage, Reverse(number)));
        let connection = Connection {
            host: host.to_owned(),
            stage,
            since: now,
            end: end(number),
        };
        self.connections.insert(number, connection);
        Entry::Enter(number, left)
    }

    /// A connection's peer has greeted.
    pub(crate) fn greeted(&mut self, number: u64) {
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        let old = std::mem::replace(&mut connection.stage, Stage::Greeted);
        let host = connection.host.clone();
        self.take(&host, (old, Reverse(number)));
        self.put(&host, (Stage::Greeted, Reverse(number)));
    }

    /// A connection has proved itself, or ended.
    pub(crate) fn leave(&mut self, number: u64) {
        self.remove(number);
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.connections.len()
    }

    /// Who gives way now, or how long it takes until somebody does.
    fn gives_way(&self, now: Duration) -> Result<u64, Duration> {
        let mut wait = GRACE;
        let fullest = self
            .order
            .last()
            .and_then(|(_, _, host)| self.hosts.get(host));
        let Some(places) = fullest else {
            return Err(wait);
        };
        // The oldest of those who are silent, and then of those who have greeted: who has just
        // come holds up nobody.
        let silent = (Stage::Silent, Reverse(u64::MAX));
        let oldest = [
            places.range(silent..).next_back(),
            places.range(..silent).next_back(),
        ];
        for (_, Reverse(number)) in oldest.into_iter().flatten() {
            let since = self.connections.get(number).map(|there| there.since);
            let stayed = now.saturating_sub(since.unwrap_or_default());
            if stayed >= GRACE {
                return Ok(*number);
            }
            wait = wait.min(GRACE - stayed);
        }
        Err(wait)
    }

    fn remove(&mut self, number: u64) -> Option<T> {
        let connection = self.connections.remove(&number)?;
        self.take(&connection.host, (connection.stage, Reverse(number)));
        Some(connection.end)
    }

    fn put(&mut self, host: &str, place: Place) {
        self.change(host, |places| {
            places.insert(place);
        });
    }

    fn take(&mut self, host: &str, place: Place) {
        self.change(host, |places| {
            places.remove(&place);
        });
    }

    fn change(&mut self, host: &str, change: impl FnOnce(&mut BTreeSet<Place>)) {
        let mut places = self.hosts.remove(host).unwrap_or_default();
        if let Some(last) = places.last() {
            self.order.remove(&(places.len(), *last, host.to_owned()));
        }
        change(&mut places);
        if let Some(last) = places.last() {
            self.order.insert((places.len(), *last, host.to_owned()));
            self.hosts.insert(host.to_owned(), places);
        }
    }
}

/// The numbers of those that are there, for tests.
#[cfg(test)]
impl<T> Unproved<T> {
    fn numbers(&self) -> std::collections::BTreeMap<u64, (&str, Stage)> {
        let all = self.connections.iter();
        all.map(|(number, there)| (*number, (&*there.host, there.stage)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const LATER: Duration = Duration::from_secs(1);

    fn enter(pool: &mut Unproved<u64>, now: Duration, host: &str) -> Entry<u64> {
        pool.enter(now, host, |number| number)
    }

    #[test]
    fn who_is_silent_gives_way_to_who_speaks() {
        let mut pool = Unproved::new(3);
        for number in 0..3 {
            let entry = enter(&mut pool, Duration::ZERO, "a");
            assert_eq!(entry, Entry::Enter(number, None));
        }
        pool.greeted(0);
        assert_eq!(
            enter(&mut pool, LATER / 10, "a"),
            Entry::Wait(GRACE - LATER / 10)
        );
        // The oldest of the silent ones, then the next, and only then who has greeted.
        assert_eq!(enter(&mut pool, LATER, "a"), Entry::Enter(3, Some(1)));
        pool.greeted(3);
        assert_eq!(enter(&mut pool, LATER, "a"), Entry::Enter(4, Some(2)));
        pool.greeted(4);
        assert_eq!(enter(&mut pool, LATER, "a"), Entry::Enter(5, Some(0)));
    }

    #[test]
    fn a_host_takes_no_place_of_another() {
        let mut pool = Unproved::new(100);
        assert_eq!(
            enter(&mut pool, Duration::ZERO, "honest"),
            Entry::Enter(0, None)
        );
        for _ in 0..10_000 {
            enter(&mut pool, LATER, "flood");
        }
        for _ in 0..10_000 {
            enter(&mut pool, LATER * 2, "flood");
        }
        assert!(pool.numbers().contains_key(&0));
        let entry = enter(&mut pool, LATER * 3, "another");
        assert!(
            matches!(entry, Entry::Enter(_, Some(left)) if left > 0),
            "{entry:?}"
        );
        assert!(pool.numbers().contains_key(&0));
    }

    #[test]
    fn a_hundred_thousand_come_and_go() {
        let mut pool = Unproved::new(100_000);
        for n in 0..200_000_u32 {
            let now = GRACE * n;
            let entry = enter(&mut pool, now, &format!("{}", n % 1000));
            assert!(matches!(entry, Entry::Enter(..)));
        }
        assert_eq!(pool.len(), 100_000);
        for number in 0..200_000 {
            pool.leave(number);
        }
        assert!(pool.hosts.is_empty() && pool.order.is_empty());
    }

    #[test]
    fn who_has_just_come_holds_up_nobody() {
        let mut pool = Unproved::new(3);
        for number in 0..3 {
            enter(&mut pool, Duration::ZERO, "flood");
            pool.greeted(number);
        }
        assert_eq!(enter(&mut pool, LATER, "flood"), Entry::Enter(3, Some(0)));
        assert_eq!(enter(&mut pool, LATER, "flood"), Entry::Enter(4, Some(1)));
    }

    proptest! {
        /// Against a pool that looks through all of them.
        #[test]
        fn as_if_looked_through(
            steps in prop::collection::vec((0..4_u8, 0..3_u8, 0..30_u64, 0..500_u64), 1..200),
            most in 1..8_usize,
        ) {
            let mut pool = Unproved::new(most);
            let mut model: BTreeMap<u64, (String, Stage)> = BTreeMap::new();
            let mut since = HashMap::new();
            let mut now = Duration::ZERO;
            for (what, host, number, wait) in steps {
                now += Duration::from_millis(wait);
                let host = host.to_string();
                match what {
                    0 => {
                        pool.leave(number);
                        model.remove(&number);
                    }
                    1 => {
                        pool.greeted(number);
                        model.entry(number).and_modify(|there| there.1 = Stage::Greeted);
                    }
                    _ => {
                        let of = |host: &str, stage| {
                            let all = model.iter();
                            let of = all.filter(|(_, there)| there.0 == host && there.1 == stage);
                            of.map(|(number, _)| *number).min()
                        };
                        // Hosts of as many connections are told apart by who would leave first.
                        let fullest = model.values().map(|there| there.0.clone()).max_by_key(|host| {
                            let held = model.values().filter(|there| there.0 == *host).count();
                            let silent = of(host, Stage::Silent).map(Reverse);
                            let greeted = of(host, Stage::Greeted).map(Reverse);
                            (held, silent, greeted.filter(|_| silent.is_none()), host.clone())
                        });
                        let stayed = |number: &u64| now - since[number];
                        let oldest = fullest.iter().flat_map(|host| {
                            [of(host, Stage::Silent), of(host, Stage::Greeted)].into_iter().flatten()
                        });
                        let oldest: Vec<u64> = oldest.collect();
                        let gone = oldest.iter().find(|number| stayed(number) >= GRACE).copied();
                        let wait = oldest.iter().map(|number| GRACE.saturating_sub(stayed(number))).min();
                        let expected = match (model.len() >= most, gone) {
                            (true, None) => Entry::Wait(wait.unwrap()),
                            (full, gone) => {
                                let left = gone.filter(|_| full);
                                if let Some(left) = left {
                                    model.remove(&left);
                                }
                                let number = pool.next;
                                model.insert(number, (host.clone(), Stage::Silent));
                                since.insert(number, now);
                                Entry::Enter(number, left)
                            }
                        };
                        prop_assert_eq!(enter(&mut pool, now, &host), expected);
                    }
                }
                let there: BTreeMap<u64, (String, Stage)> = pool.numbers().into_iter()
                    .map(|(number, (host, stage))| (number, (host.to_owned(), stage))).collect();
                prop_assert_eq!(&there, &model);
                prop_assert!(pool.len() <= most);
            }
        }
    }
}
