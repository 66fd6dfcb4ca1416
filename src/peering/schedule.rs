//! Which address of a node is tried when, until there is a link or time is up.

use std::collections::HashSet;
use std::time::{Duration, Instant};

/// The shortest time between two tries.
const LEAST_INTERVAL: Duration = Duration::from_millis(400);

/// Two nodes that hear of each other at the same time would both connect, in vain for one of them:
/// the one with the larger ID begins so much later.
const HEAD_START: Duration = Duration::from_millis(20);

/// The first tries of a node that hears of many others are spread over this time.
const SPREAD: Duration = Duration::from_millis(5);

/// The most addresses of a node that are known at a time; the oldest are forgotten.
const MOST_ADDRESSES: usize = 16;

/// The time between two tries: all addresses are tried at least once before the time is up.
fn interval(connect: Duration, monitor: Duration, addresses: usize) -> Duration {
    let spread = monitor.saturating_sub(connect) / addresses.max(1) as u32;
    connect.min(spread).max(LEAST_INTERVAL)
}

/// The schedule of an attempt to reach a node.
#[derive(Debug)]
pub(crate) struct Schedule {
    addresses: Vec<String>,
    /// Addresses to which a connection is being made.
    trying: HashSet<String>,
    wish: Wish,
    connect_interval: Duration,
    limit: Duration,
    deadline: Instant,
    /// When it was last that an address was due.
    last: Instant,
    /// The time from one try to the next, if the node's wish is not a patient one.
    pause: Duration,
    /// How often all addresses have been tried.
    rounds: usize,
    tried: usize,
    asked: bool,
}

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Next {
    /// Ask the mesh where the node may be.
    Ask,
    /// Connect to this address, and say when that has [ended](Schedule::ended).
    Dial(String),
    /// Nothing until this time, unless [addresses](Schedule::add) come.
    Wait(Instant),
    /// Time is up.
    GiveUp,
}

/// Which of two nodes that hear of each other begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// The other one may have heard of us as well, and begins.
    Second,
    First,
}

/// Why a node is to be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// The program wants it: there is something to be sent.
    Program,
    /// Another node told of it.
    Told,
}

impl Wish {
    /// How many of the node's addresses may be connected to at a time.
    const fn at_once(self) -> usize {
        match self {
            Wish::Program => 4,
            Wish::Told => 2,
        }
    }

    /// How many times the usual interval lies between two tries, when all addresses have been
    /// tried so often. What another node told of may be false, and somebody else's address: each
    /// time that all is in vain it is left alone twice as long.
    fn patience(self, rounds: usize) -> u32 {
        match self {
            Wish::Program => 1,
            Wish::Told => 1 << rounds.min(10),
        }
    }
}

impl Schedule {
    /// That of an attempt that begins now and ends after `limit`. `random` is between 0 and 1.
    pub(crate) fn new(
        now: Instant,
        turn: Turn,
        connect_interval: Duration,
        limit: Duration,
        random: f64,
    ) -> Self {
        let mut due = now + SPREAD.mul_f64(random);
        if turn == Turn::Second {
            due += HEAD_START;
        }
        Schedule {
            addresses: Vec::new(),
            trying: HashSet::new(),
            wish: Wish::Program,
            connect_interval,
            limit,
            deadline: now + limit,
            last: due,
            pause: Duration::ZERO,
            rounds: 0,
            tried: 0,
            asked: false,
        }
    }

    /// When the next address is due.
    fn due(&self) -> Instant {
        self.last + self.pause.saturating_mul(self.wish.patience(self.rounds))
    }

    /// Why the node is to be reached.
    pub(crate) fn is_for(&mut self, wish: Wish) {
        self.wish = wish;
    }

    /// The node may be at these addresses as well: they are tried first.
    pub(crate) fn add(&mut self, addresses: &[String]) {
        let few = &addresses[..addresses.len().min(MOST_ADDRESSES)];
        for address in few.iter().rev() {
            if !self.addresses.contains(address) {
                self.addresses.insert(0, address.clone());
            }
        }
        self.addresses.truncate(MOST_ADDRESSES);
    }

    /// The connection to an address was closed, or became the link.
    pub(crate) fn ended(&mut self, address: &str) {
        self.trying.remove(address);
    }

    /// What is to be done now; to be asked again right after it is done. `random` is between 0 and
    /// 1.
    pub(crate) fn next(&mut self, now: Instant, random: f64) -> Next {
        // Nobody is asked for what is known, as long as it may serve.
        let none_left = self.tried >= self.addresses.len();
        let has_come = self.addresses.is_empty() || now >= self.due();
        if none_left && has_come && now < self.deadline && !std::mem::replace(&mut self.asked, true)
        {
            return Next::Ask;
        }
        loop {
            if now >= self.deadline {
                return Next::GiveUp;
            }
            if self.addresses.is_empty() {
                return Next::Wait(self.deadline);
            }
            if now < self.due() {
                return Next::Wait(self.due().min(self.deadline));
            }
            if self.trying.len() >= self.wish.at_once() {
                return Next::Wait(self.deadline);
            }
            let known = self.addresses.len();
            let address = self.addresses[self.tried % known].clone();
            self.rounds = self.tried / known;
            self.tried += 1;
            let interval = interval(self.connect_interval, self.limit, known);
            self.last = now;
            self.pause = interval.mul_f64(0.9 + 0.1 * random);
            if self.trying.insert(address.clone()) {
                return Next::Dial(address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECS: fn(u64) -> Duration = Duration::from_secs;

    #[test]
    fn tries_are_spread_over_the_time() {
        assert_eq!(interval(SECS(2), SECS(30), 1), SECS(2));
        assert_eq!(interval(SECS(2), SECS(30), 14), SECS(2));
        assert_eq!(interval(SECS(2), SECS(30), 28), SECS(1));
        assert_eq!(interval(SECS(2), SECS(30), 1000), LEAST_INTERVAL);
        assert_eq!(interval(SECS(2), SECS(1), 1), LEAST_INTERVAL);
    }

    #[test]
    fn who_is_unknown_is_asked_for_once() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start, Turn::First, SECS(2), SECS(30), 0.0);
        assert_eq!(schedule.next(start, 0.0), Next::Ask);
        let deadline = start + SECS(30);
        assert_eq!(schedule.next(start, 0.0), Next::Wait(deadline));
        schedule.add(&["a:1".to_owned()]);
        assert_eq!(
            schedule.next(start + SECS(1), 0.0),
            Next::Dial("a:1".to_owned())
        );
        assert_eq!(schedule.next(deadline, 0.0), Next::GiveUp);
    }

    #[test]
    fn addresses_are_tried_in_turn_then_the_mesh_is_asked() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start, Turn::Second, SECS(2), SECS(30), 0.0);
        schedule.add(&["a:1".to_owned(), "b:1".to_owned()]);
        assert_eq!(schedule.next(start, 1.0), Next::Wait(start + HEAD_START));
        let (mut now, mut dialled, mut asked_at) = (start + HEAD_START, Vec::new(), None);
        loop {
            match schedule.next(now, 1.0) {
                Next::Dial(address) => {
                    schedule.ended(&address);
                    dialled.push(address);
                }
                Next::Ask => {
                    assert!(asked_at.replace(dialled.len()).is_none());
                    schedule.add(&["c:1".to_owned()]);
                }
                Next::Wait(until) => now = until,
                Next::GiveUp => break,
            }
        }
        assert_eq!(now, start + SECS(30));
        assert_eq!(asked_at, Some(2), "when all that were known had been tried");
        assert!(
            dialled.starts_with(&["a:1".to_owned(), "b:1".to_owned()]),
            "{dialled:?}"
        );
        assert!(dialled.contains(&"c:1".to_owned()));
        assert_eq!(dialled.len(), 15, "one every two seconds");
    }

    #[test]
    fn what_is_told_of_and_not_there_is_left_alone() {
        let start = Instant::now();
        for (wish, tries) in [(Wish::Program, 15), (Wish::Told, 4)] {
            let mut schedule = Schedule::new(start, Turn::First, SECS(2), SECS(30), 0.0);
            schedule.is_for(wish);
            schedule.add(&["a:1".to_owned()]);
            let (mut now, mut dialled) = (start, 0);
            loop {
                match schedule.next(now, 1.0) {
                    Next::Dial(address) => {
                        dialled += 1;
                        schedule.ended(&address);
                    }
                    Next::Wait(until) => now = until,
                    Next::Ask => {}
                    Next::GiveUp => break,
                }
            }
            assert_eq!(dialled, tries, "{wish:?}");
        }
        // When the program wants it after all the patience is over at once.
        let mut schedule = Schedule::new(start, Turn::First, SECS(2), SECS(30), 0.0);
        schedule.is_for(Wish::Told);
        schedule.add(&["a:1".to_owned()]);
        for at in [0, 2, 6] {
            while schedule.next(start + SECS(at), 1.0) == Next::Ask {}
            schedule.ended("a:1");
        }
        let later = start + SECS(9);
        assert_eq!(schedule.next(later, 1.0), Next::Wait(start + SECS(14)));
        schedule.is_for(Wish::Program);
        assert_eq!(schedule.next(later, 1.0), Next::Dial("a:1".to_owned()));
    }

    #[test]
    fn few_addresses_are_known_and_tried_at_once() {
        let start = Instant::now();
        for (wish, most) in [(Wish::Program, 4), (Wish::Told, 2)] {
            let mut schedule = Schedule::new(start, Turn::First, SECS(2), SECS(30), 0.0);
            schedule.is_for(wish);
            let many: Vec<String> = (0..100_000).map(|n| format!("h{n}:1")).collect();
            schedule.add(&many);
            schedule.add(&many);
            assert_eq!(schedule.addresses, many[..MOST_ADDRESSES]);
            let (mut now, mut dialled) = (start, Vec::new());
            while now < start + SECS(30) {
                match schedule.next(now, 1.0) {
                    Next::Dial(address) => dialled.push(address),
                    Next::Wait(until) => now = until,
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(dialled, many[..most], "none of them ends");
            schedule.ended(&dialled[0]);
            let later = start + SECS(29);
            assert_eq!(schedule.next(later, 1.0), Next::Dial(many[most].clone()));
        }
    }

    #[test]
    fn no_address_is_dialled_twice_at_once() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start, Turn::First, SECS(2), SECS(30), 0.0);
        schedule.add(&["a:1".to_owned()]);
        assert_eq!(schedule.next(start, 1.0), Next::Dial("a:1".to_owned()));
        let later = start + SECS(2);
        assert_eq!(schedule.next(later, 1.0), Next::Ask);
        assert_eq!(schedule.next(later, 1.0), Next::Wait(later + SECS(2)));
        schedule.ended("a:1");
        assert_eq!(
            schedule.next(later + SECS(2), 1.0),
            Next::Dial("a:1".to_owned())
        );
    }
}
