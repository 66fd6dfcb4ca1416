//! The program's questions to the database, and the monitors that it has there.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll};

use atomic_waker::AtomicWaker;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::mesh::Change;
use crate::mesh::database::Val;

/// Who waits for what.
#[derive(Default)]
pub(super) struct Questions {
    last: u64,
    queries: HashMap<u64, oneshot::Sender<Result<Val, NoGlobalNode>>>,
    monitors: HashMap<u64, Arc<Changes>>,
    /// The groups whose families are monitored, each under an ID that is not among the monitors.
    followed: BTreeSet<String>,
    closed: bool,
    /// The last search for a global node of which it was said that it is in vain.
    in_vain: u64,
}

/// There is no global node to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoGlobalNode;

/// Where an answer will come.
pub(crate) type Answer = oneshot::Receiver<Result<Val, NoGlobalNode>>;

impl Questions {
    fn id(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// A question: its ID, and where the answer will come.
    pub(super) fn query(&mut self) -> (u64, Answer) {
        let (sender, receiver) = oneshot::channel();
        let id = self.id();
        if !self.closed {
            self.queries.insert(id, sender);
        }
        (id, receiver)
    }

    pub(super) fn answer(&mut self, id: u64, value: Val) {
        if let Some(query) = self.queries.remove(&id) {
            let _ = query.send(Ok(value)); // nobody may want it any more
        }
    }

    /// Nobody answers these questions, nor tells these monitors anything. True if that is to be
    /// said: the program has asked, and it was not said in this search for a global node.
    pub(super) fn in_vain(&mut self, questions: &[u64], monitors: &[u64], search: u64) -> bool {
        let mut asked = false;
        for query in questions.iter().filter_map(|id| self.queries.remove(id)) {
            asked = true;
            let _ = query.send(Err(NoGlobalNode));
        }
        for changes in monitors.iter().filter_map(|id| self.monitors.get(id)) {
            asked = true;
            changes.in_vain();
        }
        asked && std::mem::replace(&mut self.in_vain, search) != search
    }

    /// Nobody wants the answer any more. False if it was given.
    pub(super) fn forget(&mut self, id: u64) -> bool {
        self.queries.remove(&id).is_some()
    }

    /// A monitor of the program's: its ID, and where the changes will come.
    pub(super) fn monitor(&mut self) -> (u64, Arc<Changes>) {
        let id = self.id();
        let changes = Arc::<Changes>::default();
        match self.closed {
            true => changes.close(),
            false => drop(self.monitors.insert(id, changes.clone())),
        }
        (id, changes)
    }

    pub(super) fn unmonitor(&mut self, id: u64) -> bool {
        self.monitors.remove(&id).is_some()
    }

    /// The ID for a monitor of a group's family, unless there is one.
    pub(super) fn follow(&mut self, group: &str) -> Option<u64> {
        let new = self.followed.insert(group.to_owned());
        new.then(|| self.id())
    }

    /// A change for a monitor of the program's. False: it belongs to a group.
    pub(super) fn tell(&self, id: u64, change: &Change) -> bool {
        let monitor = self.monitors.get(&id);
        monitor
            .inspect(|changes| changes.push(change.clone()))
            .is_some()
    }

    pub(super) fn close(&mut self) {
        self.closed = true;
        self.queries.clear();
        for (_, changes) in self.monitors.drain() {
            changes.close();
        }
    }
}

/// The changes of a family on their way to the program.
#[derive(Default)]
pub(crate) struct Changes {
    state: Mutex<Waiting>,
    /// Who reads them.
    reader: AtomicWaker,
}

#[derive(Default)]
struct Waiting {
    /// Each with the octets that it takes, at most.
    queue: VecDeque<(Change, usize)>,
    /// Of all of them.
    octets: usize,
    closed: bool,
    /// There is no global node, and the reader is to hear of it.
    in_vain: bool,
}

/// So many changes wait for a reader, or as many as take so many octets; behind them, what changes
/// is put together. That takes no more than the family as the reader knows it and as it is now.
const MOST_WAITING: usize = 1024;
const MOST_OCTETS: usize = 4 << 20;

impl Changes {
    fn push(&self, change: Change) {
        let octets = change.octets();
        let mut state = self.state.lock();
        state.in_vain = false;
        let full = state.queue.len() >= MOST_WAITING || state.octets + octets > MOST_OCTETS;
        match state.queue.back_mut() {
            Some((last, of_last)) if full => {
                join(last, change);
                *of_last += octets;
            }
            _ => state.queue.push_back((change, octets)),
        }
        state.octets += octets;
        drop(state);
        self.reader.wake();
    }

    fn in_vain(&self) {
        self.state.lock().in_vain = true;
        self.reader.wake();
    }

    fn close(&self) {
        self.state.lock().closed = true;
        self.reader.wake();
    }

    /// The next change, or that there is nobody to tell of any. `None` when the node has stopped.
    pub(crate) fn poll_next(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Change, NoGlobalNode>>> {
        // Before the look, so that nothing is missed that comes after it.
        self.reader.register(cx.waker());
        let mut state = self.state.lock();
        match state.queue.pop_front() {
            Some((change, octets)) => {
                state.octets -= octets;
                Poll::Ready(Some(Ok(change)))
            }
            None if std::mem::take(&mut state.in_vain) => Poll::Ready(Some(Err(NoGlobalNode))),
            None if state.closed => Poll::Ready(None),
            None => Poll::Pending,
        }
    }

    /// The same, awaited.
    #[cfg(test)]
    async fn next(&self) -> Option<Result<Change, NoGlobalNode>> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }
}

/// Makes one change of two.
fn join(first: &mut Change, then: Change) {
    let Change {
        added,
        changed,
        deleted,
        ..
    } = first;
    for (key, value) in then.deleted {
        changed.remove(&key);
        if added.remove(&key).is_none() {
            deleted.insert(key, value);
        }
    }
    for (key, value) in then.added {
        match deleted.remove(&key) {
            // Maybe to what the reader knows: its last value may have been passed over.
            Some(_) => drop(changed.insert(key, value)),
            None => drop(added.insert(key, value)),
        }
    }
    for (key, value) in then.changed {
        let place: &mut BTreeMap<_, _> = match added.contains_key(&key) {
            true => added,
            false => changed,
        };
        place.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn between(before: &BTreeMap<String, Val>, after: &BTreeMap<String, Val>) -> Change {
        let mut change = Change::default();
        for (key, value) in after {
            match before.get(key) {
                None => drop(change.added.insert(key.clone(), value.clone())),
                Some(old) if old != value => {
                    change.changed.insert(key.clone(), value.clone());
                }
                Some(_) => {}
            }
        }
        for (key, value) in before {
            if !after.contains_key(key) {
                change.deleted.insert(key.clone(), value.clone());
            }
        }
        change
    }

    fn apply(content: &mut BTreeMap<String, Val>, change: &Change) {
        for key in change.deleted.keys() {
            assert!(content.remove(key).is_some());
        }
        for (key, value) in &change.added {
            assert!(content.insert(key.clone(), value.clone()).is_none());
        }
        for (key, value) in &change.changed {
            assert!(content.insert(key.clone(), value.clone()).is_some());
        }
    }

    proptest! {
        /// Two changes put together lead to where they lead one after the other.
        #[test]
        fn joined_changes_lead_to_the_same(
            states in prop::collection::vec(
                prop::collection::btree_map("[a-d]", (0..3_u8).prop_map(|n| Val::of(&n)), 0..4), 2..8),
        ) {
            let mut joined = Change::default();
            for pair in states.windows(2) {
                join(&mut joined, between(&pair[0], &pair[1]));
            }
            let mut content = states[0].clone();
            apply(&mut content, &joined);
            prop_assert_eq!(&content, states.last().unwrap());
        }
    }

    #[tokio::test]
    async fn a_slow_reader_misses_nothing_and_holds_little() {
        let changes = Changes::default();
        let key = |n: usize| (n.to_string(), Val::of(&n));
        for n in 0..MOST_WAITING * 2 {
            changes.push(Change {
                added: BTreeMap::from([key(n)]),
                ..Change::default()
            });
        }
        changes.close();
        let (mut content, mut told) = (BTreeMap::new(), 0);
        while let Some(Ok(change)) = changes.next().await {
            apply(&mut content, &change);
            told += 1;
        }
        assert_eq!((told, content.len()), (MOST_WAITING, MOST_WAITING * 2));
    }

    /// Large values that change again and again are not all kept for who reads none of them.
    #[tokio::test]
    async fn a_slow_reader_holds_few_octets() {
        let changes = Changes::default();
        let mut held = Val::of(&0);
        for n in 0..1000 {
            let value = Val::of(&format!("{n}{}", "x".repeat(100_000)));
            let key = BTreeMap::from([("k".to_owned(), value.clone())]);
            let (added, changed) = match n {
                0 => (key, BTreeMap::new()),
                _ => (BTreeMap::new(), key),
            };
            changes.push(Change {
                added,
                changed,
                ..Change::default()
            });
            held = value;
        }
        let kept = changes.state.lock().queue.len();
        assert!((1..=MOST_OCTETS / 100_000).contains(&kept), "{kept}");
        changes.close();
        let mut content = BTreeMap::new();
        while let Some(Ok(change)) = changes.next().await {
            apply(&mut content, &change);
        }
        assert_eq!(content["k"], held);
        assert_eq!(changes.state.lock().octets, 0);
    }
}
