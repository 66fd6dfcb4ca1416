//! What waits in a port.

use std::cell::Cell;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use tokio_util::task::task_tracker::TaskTrackerToken;

use super::held::{Account, Full, Steps};
use super::link::Peer;
use super::settings::HighWater;
use super::values::{ByValue, Row};
use crate::proto::{Message, Reason};

/// What waits in a port's queue.
pub(crate) enum Item {
    Message(Message),
    /// So many messages of this node, which lie in [`encoded`](Items::encoded).
    Encoded(usize),
    /// So many messages of this node, which lie in [`values`](Items::values).
    Values(usize),
    /// The port is to be killed, behind the messages that were sent before. A node that stops waits
    /// for it.
    Kill(Reason, TaskTrackerToken),
}

/// What is taken out of a batch.
pub(crate) enum Popped {
    Message(Message),
    /// A message of this node: where its octets are in the batch.
    Encoded(Range<usize>),
    /// The first of the batch's [values](Items::values), which is to be taken out there.
    Value,
    Kill(Reason, TaskTrackerToken),
}

/// What is put into a queue.
pub(crate) enum Given<'a> {
    /// A message that came by a link, and lies in the block that it was read into; and who sent it,
    /// if it is not this node itself.
    Read(Message, Option<&'a Arc<Peer>>),
    /// A message as [`encode_local`](crate::proto::message::encode_local) wrote it.
    Encoded(&'a [u8]),
}

/// A port's queue. A port that nothing waits in has none.
#[derive(Default)]
pub(super) struct Queue(Option<Box<Items>>);

/// Items in their order. Encoded messages lie one behind the other: none has memory of its own.
#[derive(Default)]
pub(crate) struct Items {
    list: VecDeque<Item>,
    /// Each with its length before it.
    encoded: Vec<u8>,
    /// So many octets of these are taken out already.
    taken: usize,
    /// Messages that are not encoded: see [`values`](crate::node::values).
    values: Option<Box<dyn Row>>,
    /// How many messages and kills there are.
    count: usize,
    /// The octets of the messages.
    octets: usize,
    /// Who is charged for them. There may be fewer steps than octets: what this node sent itself is
    /// nobody's.
    steps: Steps,
}

/// What a message's length is encoded as.
type Length = u32;

/// Some items that were taken out of a queue at once.
pub(crate) type Batch = Box<Items>;

thread_local! {
    /// An empty batch whose memory is used again.
    static SPARE: Cell<Option<Batch>> = const { Cell::new(None) };
}

/// A spare batch holds at most so much, in octets and in items.
const SPARE_OCTETS: usize = 512 * 1024;
const SPARE_ITEMS: usize = 8 * 1024;

/// Where the message is whose length stands at `at`.
#[inline]
fn message_at(encoded: &[u8], at: usize) -> Range<usize> {
    let start = at + size_of::<Length>();
    let length = encoded.get(at..).and_then(<[u8]>::first_chunk);
    let length = Length::from_le_bytes(*length.unwrap_or(&[0; _]));
    start..start + length as usize
}

impl Items {
    #[inline]
    pub(super) fn pop(&mut self) -> Option<Popped> {
        if let Some(Item::Encoded(run)) = self.list.front_mut() {
            *run -= 1;
            if *run == 0 {
                self.list.pop_front();
            }
            let message = message_at(&self.encoded, self.taken);
            self.taken = message.end;
            return Some(Popped::Encoded(message));
        }
        if let Some(Item::Values(run)) = self.list.front_mut() {
            *run -= 1;
            if *run == 0 {
                self.list.pop_front();
            }
            return Some(Popped::Value);
        }
        match self.list.pop_front()? {
            Item::Message(message) => Some(Popped::Message(message)),
            Item::Kill(reason, told) => Some(Popped::Kill(reason, told)),
            Item::Encoded(_) | Item::Values(_) => None,
        }
    }

    /// The values whose first one was [popped](Popped::Value).
    #[inline]
    pub(super) fn values(&mut self) -> Option<&mut (dyn Row + 'static)> {
        self.values.as_deref_mut()
    }

    /// Puts a message before all others.
    pub(super) fn push_front(&mut self, message: Message) {
        self.list.push_front(Item::Message(message));
    }

    /// The octets of an encoded message that was [popped](Self::pop).
    #[inline]
    pub(super) fn encoded(&mut self, message: Range<usize>) -> &mut [u8] {
        &mut self.encoded[message]
    }

    /// Gives every message memory of its own, and counts them.
    fn own(&mut self) {
        let list = std::mem::take(&mut self.list);
        let mut at = self.taken;
        for item in list {
            let run = match item {
                Item::Encoded(run) => run,
                Item::Values(run) => {
                    self.own_values(run);
                    continue;
                }
                Item::Message(_) | Item::Kill(..) => {
                    self.list.push_back(item);
                    continue;
                }
            };
            for _ in 0..run {
                let message = message_at(&self.encoded, at);
                at = message.end;
                let message = Message::from_local(&self.encoded[message]);
                self.list.push_back(Item::Message(message));
            }
        }
        self.encoded.clear();
        self.taken = 0;
        self.count = self.list.len();
        self.octets = self.list.iter().map(octets).sum();
        self.steps.shrink(self.octets);
    }

    /// Encodes the first values.
    #[cold]
    fn own_values(&mut self, run: usize) {
        let Some(values) = &mut self.values else {
            return;
        };
        for _ in 0..run {
            // One that does not serialise is none of those that may be sent as values.
            if let Some(Ok(message)) = values.pop_encoded() {
                self.list.push_back(Item::Message(message));
            }
        }
    }

    /// Moves the first messages and kills to an empty batch.
    fn split(&mut self, most: usize, batch: &mut Items) {
        let (mut end, mut values) = (self.taken, 0);
        while batch.count < most
            && let Some(first) = self.list.front_mut()
        {
            let run = match first {
                Item::Encoded(run) => run,
                Item::Values(run) => {
                    let moved = (*run).min(most - batch.count);
                    *run -= moved;
                    if *run == 0 {
                        self.list.pop_front();
                    }
                    batch.count += moved;
                    batch.list.push_back(Item::Values(moved));
                    values += moved;
                    continue;
                }
                Item::Message(_) | Item::Kill(..) => {
                    batch.octets += octets(first);
                    batch.count += 1;
                    batch.list.extend(self.list.pop_front());
                    continue;
                }
            };
            let moved = (*run).min(most - batch.count);
            *run -= moved;
            if *run == 0 {
                self.list.pop_front();
            }
            for _ in 0..moved {
                let message = message_at(&self.encoded, end);
                end = message.end;
                batch.octets += message.len();
            }
            batch.count += moved;
            batch.list.push_back(Item::Encoded(moved));
        }
        if values > 0
            && let Some(all) = &mut self.values
        {
            batch.octets += values * all.each();
            batch.values = Some(all.split(values));
        }
        self.count -= batch.count;
        self.octets -= batch.octets;
        batch.steps.append(self.steps.part_from(self.octets));
        batch
            .encoded
            .extend_from_slice(&self.encoded[self.taken..end]);
        self.taken = end;
        if self.taken > self.encoded.len() / 2 {
            self.encoded.drain(..self.taken);
            self.taken = 0;
        }
    }
}

/// The octets of an item that has them itself.
fn octets(item: &Item) -> usize {
    match item {
        Item::Message(message) => message.size(),
        Item::Encoded(_) | Item::Values(_) | Item::Kill(..) => 0,
    }
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |items| items.count)
    }

    /// The octets of the messages in it.
    pub(super) fn octets(&self) -> usize {
        self.0.as_ref().map_or(0, |items| items.octets)
    }

    /// Whether so much waits that who waits for room is to wait.
    #[inline]
    pub(super) fn is_over(&self, high: HighWater) -> bool {
        self.len() >= high.messages || self.octets() > high.octets
    }

    /// Whether so little waits that whoever waits for room may go on.
    pub(super) fn is_low(&self, high: HighWater) -> bool {
        self.len() <= high.messages / 2 && self.octets() <= high.octets / 2
    }

    #[inline]
    fn items(&mut self) -> &mut Items {
        self.0
            .get_or_insert_with(|| SPARE.take().unwrap_or_default())
    }

    pub(super) fn push(&mut self, item: Item) {
        let items = self.items();
        items.octets += octets(&item);
        items.count += 1;
        items.list.push_back(item);
    }

    /// Puts a message in that a peer sent, unless its account has no room for it.
    pub(super) fn push_of(&mut self, account: &Arc<Account>, message: Message) -> Result<(), Full> {
        let items = self.items();
        let octets = items.octets + message.size();
        items.steps.grow(account, items.octets, octets)?;
        self.push(Item::Message(message));
        Ok(())
    }

    #[inline]
    pub(super) fn push_encoded(&mut self, array: &[u8]) {
        let Ok(length) = Length::try_from(array.len()) else {
            return self.push(Item::Message(Message::from_local(array)));
        };
        let items = self.items();
        items.encoded.reserve(size_of::<Length>() + array.len());
        items.encoded.extend_from_slice(&length.to_le_bytes());
        items.encoded.extend_from_slice(array);
        items.octets += array.len();
        items.count += 1;
        match items.list.back_mut() {
            Some(Item::Encoded(run)) => *run += 1,
            _ => items.list.push_back(Item::Encoded(1)),
        }
    }

    /// Puts a value in, if others that wait are of its type. False if not: it is to be encoded.
    #[inline]
    pub(super) fn push_value<M: ByValue>(&mut self, value: &mut Option<M>) -> bool {
        let items = self.items();
        let row = items.values.as_mut().map(|row| row.values());
        let is_of_type = row.is_some_and(|values| values.is::<VecDeque<M>>());
        if !is_of_type {
            if items
                .list
                .iter()
                .any(|item| matches!(item, Item::Values(_)))
            {
                return false;
            }
            items.values = Some(Box::new(VecDeque::<M>::new()));
        }
        let row = items.values.as_mut().map(|row| row.values());
        let row = row.and_then(|values| values.downcast_mut::<VecDeque<M>>());
        let (Some(values), Some(value)) = (row, value.take()) else {
            return false;
        };
        values.push_back(value);
        items.octets += size_of::<M>();
        items.count += 1;
        match items.list.back_mut() {
            Some(Item::Values(run)) => *run += 1,
            _ => items.list.push_back(Item::Values(1)),
        }
        true
    }

    /// Gives every message memory of its own: they will not be taken in their order.
    pub(super) fn own(&mut self) {
        if let Some(items) = &mut self.0 {
            items.own();
        }
    }

    /// Takes out the first items, at most so many.
    pub(super) fn take_batch(&mut self, most: usize) -> Batch {
        let mut batch = SPARE.take().unwrap_or_default();
        if let Some(items) = &mut self.0 {
            if items.count <= most {
                std::mem::swap(items, &mut batch);
            } else {
                items.split(most, &mut batch);
            }
        }
        batch
    }

    /// Puts the rest of a batch back to where it was.
    pub(super) fn put_back(&mut self, batch: &mut Items) {
        if batch.list.is_empty() {
            return;
        }
        batch.own();
        let items = self.items();
        items.octets += std::mem::take(&mut batch.octets);
        items.count += std::mem::take(&mut batch.count);
        items.steps.append(std::mem::take(&mut batch.steps));
        batch.list.append(&mut items.list);
        std::mem::swap(&mut items.list, &mut batch.list);
    }

    /// Takes out the first message that is wanted.
    pub(super) fn take_where(
        &mut self,
        wanted: &mut dyn FnMut(&Message) -> bool,
    ) -> Option<Message> {
        let items = self.0.as_mut()?;
        let wants = |item: &Item| matches!(item, Item::Message(message) if wanted(message));
        let at = items.list.iter().position(wants)?;
        let item = items.list.remove(at)?;
        items.octets -= octets(&item);
        items.count -= 1;
        items.steps.shrink(items.octets);
        match item {
            Item::Message(message) => Some(message),
            Item::Encoded(_) | Item::Values(_) | Item::Kill(..) => None,
        }
    }

    /// An idle port keeps no memory for what may come.
    pub(super) fn shrink(&mut self) {
        if self.is_empty()
            && let Some(items) = self.0.take()
        {
            spare(items);
        }
    }
}

/// Keeps the memory of a batch for the next one on this thread, unless there is more already. What
/// is left in it is dropped.
pub(super) fn spare(mut batch: Batch) {
    batch.list.clear();
    batch.encoded.clear();
    if let Some(values) = &mut batch.values {
        values.clear();
    }
    batch
        .values
        .take_if(|values| values.capacity() > SPARE_ITEMS);
    batch.steps = Steps::default();
    (batch.taken, batch.count, batch.octets) = (0, 0, 0);
    if batch.encoded.capacity() <= SPARE_OCTETS && batch.list.capacity() <= SPARE_ITEMS {
        let smaller = |other: &Batch| other.list.capacity() < batch.list.capacity();
        let larger = SPARE.take().filter(|other| !smaller(other));
        SPARE.set(Some(larger.unwrap_or(batch)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::held::{Memory, STEP};
    use crate::proto::message::encode_local;
    use proptest::prelude::*;

    /// Messages as values.
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Usual(u64, String);
    impl ByValue for Usual {}

    #[derive(serde::Serialize, serde::Deserialize)]
    struct Odd([u64; 1]);
    impl ByValue for Odd {}

    fn text(array: &[u8]) -> String {
        Message::from_local(array).to_json().into_owned()
    }

    /// The first of the values.
    fn value(batch: &mut Items) -> String {
        let message = batch.values().unwrap().pop_encoded().unwrap().unwrap();
        message.to_json().into_owned()
    }

    /// What a batch gives, one by one.
    fn texts(batch: &mut Items) -> Vec<String> {
        let mut all = Vec::new();
        while let Some(item) = batch.pop() {
            all.push(match item {
                Popped::Encoded(message) => text(batch.encoded(message)),
                Popped::Message(message) => message.to_json().into_owned(),
                Popped::Value => value(batch),
                Popped::Kill(reason, _) => reason.to_string(),
            });
        }
        all
    }

    /// The octets of all messages, added up.
    fn octets_of(queue: &Queue) -> usize {
        let Some(items) = &queue.0 else { return 0 };
        let (mut at, mut sum) = (items.taken, 0);
        for item in &items.list {
            sum += octets(item);
            if let (Item::Values(run), Some(values)) = (item, &items.values) {
                sum += run * values.each();
            }
            let Item::Encoded(run) = item else { continue };
            for _ in 0..*run {
                let message = message_at(&items.encoded, at);
                at = message.end;
                sum += message.len();
            }
        }
        assert_eq!(at, items.encoded.len());
        sum
    }

    impl Queue {
        fn steps(&self) -> usize {
            self.0.as_ref().map_or(0, |items| items.steps.len())
        }
    }

    proptest! {
        /// Who sent what waits is charged for it, in the queue and in what is taken out of it,
        /// until it waits no more; the node's own messages are nobody's.
        #[test]
        fn who_sent_is_charged(
            steps in prop::collection::vec((0..7_u8, 0..200_000_usize), 0..60),
        ) {
            let memory = Memory::new(4 << 20);
            let accounts = [memory.account(), memory.account()];
            let mut queue = Queue::default();
            for (what, n) in steps {
                let message = || Message::encode(&("x".repeat(n),)).unwrap();
                match what {
                    0..=2 => {
                        let account = &accounts[usize::from(what / 2)];
                        let room = account.room();
                        let full = queue.push_of(account, message()).is_err();
                        prop_assert!(!full || room < message().size() + STEP);
                    }
                    3 => {
                        let mut array = Vec::new();
                        encode_local(&mut array, &("x".repeat(n),)).unwrap();
                        queue.push_encoded(&array);
                    }
                    4 | 5 => {
                        let mut batch = queue.take_batch(n % 8);
                        let charged = queue.steps() + batch.steps.len();
                        prop_assert_eq!(memory.used(), charged * STEP);
                        if what == 5 && batch.pop().is_some() {
                            queue.put_back(&mut batch);
                        }
                        spare(batch);
                    }
                    _ => {
                        queue.own();
                        queue.take_where(&mut |_| true);
                    }
                }
                prop_assert_eq!(memory.used(), queue.steps() * STEP);
                prop_assert!(memory.used() <= queue.octets() + STEP);
            }
            drop(queue);
            drop(SPARE.take());
            prop_assert_eq!(memory.used(), 0);
        }

        /// However messages are given and taken, they come out in their order, and are counted.
        #[test]
        fn in_order(steps in prop::collection::vec((0..8_u8, 0..40_usize), 0..60)) {
            let mut queue = Queue::default();
            let (mut model, mut next) = (VecDeque::new(), 0_u64);
            for (what, n) in steps {
                let args = (next, "x".repeat(n));
                match what {
                    0 | 1 => {
                        next += 1;
                        match what {
                            0 => {
                                let mut array = Vec::new();
                                encode_local(&mut array, &args).unwrap();
                                queue.push_encoded(&array);
                            }
                            _ => queue.push(Item::Message(Message::encode(&args).unwrap())),
                        }
                        model.push_back(serde_json::to_string(&args).unwrap());
                    }
                    2 | 3 => {
                        let mut batch = queue.take_batch(n);
                        let kept = batch.count / 2;
                        let mut got = Vec::new();
                        if what == 3 {
                            // The first half is taken, the rest is put back.
                            for _ in 0..kept {
                                match batch.pop() {
                                    Some(Popped::Encoded(message)) => {
                                        got.push(text(batch.encoded(message)));
                                    }
                                    Some(Popped::Message(message)) => got.push(message.to_json().into_owned()),
                                    Some(Popped::Value) => got.push(value(&mut batch)),
                                    _ => unreachable!(),
                                }
                            }
                            queue.put_back(&mut batch);
                        } else {
                            got = texts(&mut batch);
                        }
                        spare(batch);
                        for text in got {
                            prop_assert_eq!(Some(text), model.pop_front());
                        }
                    }
                    4 => {
                        queue.own();
                        queue.shrink();
                    }
                    // As a value, of one of two types: the other one can't be given meanwhile.
                    _ => {
                        let given = match n % 8 {
                            0 => queue.push_value(&mut Some(Odd([next]))),
                            _ => queue.push_value(&mut Some(Usual(next, "x".repeat(n)))),
                        };
                        if given {
                            let json = match n % 8 {
                                0 => serde_json::to_string(&Odd([next])),
                                _ => serde_json::to_string(&Usual(next, "x".repeat(n))),
                            };
                            model.push_back(json.unwrap());
                            next += 1;
                        }
                    }
                }
                prop_assert_eq!(queue.len(), model.len());
                prop_assert_eq!(queue.octets(), octets_of(&queue));
            }
            queue.own();
            while let Some(message) = queue.take_where(&mut |_| true) {
                prop_assert_eq!(Some(message.to_json().into_owned()), model.pop_front());
            }
            prop_assert!(model.is_empty());
        }
    }
}
