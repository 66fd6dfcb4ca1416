//! What waits in a port.

use std::cell::Cell;
use std::collections::VecDeque;

use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::proto::{Message, Reason};

/// What waits in a port's queue.
pub(crate) enum Item {
    Message(Message),
    /// A message of this node, encoded: so many octets of the [`texts`](Items::texts).
    Text(usize),
    /// The port is to be killed, behind the messages that were sent before. A node that stops waits
    /// for it.
    Kill(Reason, TaskTrackerToken),
}

/// What is put into a queue.
pub(crate) enum Given<'a> {
    Message(Message),
    /// A message as [`encode_args`](crate::proto::message::encode_args) wrote it.
    Text(&'a [u8]),
}

impl Given<'_> {
    pub(crate) fn into_message(self) -> Message {
        match self {
            Given::Message(message) => message,
            Given::Text(text) => Message::from_encoded(text),
        }
    }
}

/// A port's queue. A port that nothing waits in has none.
#[derive(Default)]
pub(super) struct Queue(Option<Box<Items>>);

/// Items in their order. Encoded messages lie one behind the other: none has memory of its own.
#[derive(Default)]
pub(crate) struct Items {
    list: VecDeque<Item>,
    texts: Vec<u8>,
    /// So many octets of the texts are taken out already.
    taken: usize,
    /// The octets of the messages in the list.
    octets: usize,
}

/// Some items that were taken out of a queue at once.
pub(crate) type Batch = Box<Items>;

thread_local! {
    /// An empty batch whose memory is used again.
    static SPARE: Cell<Option<Batch>> = const { Cell::new(None) };
}

/// A spare batch holds at most so much, in octets and in items.
const SPARE_OCTETS: usize = 512 * 1024;
const SPARE_ITEMS: usize = 8 * 1024;

fn octets(item: &Item) -> usize {
    match item {
        Item::Message(message) => message.size(),
        Item::Text(len) => *len,
        Item::Kill(..) => 0,
    }
}

impl Items {
    pub(super) fn pop(&mut self) -> Option<Item> {
        self.list.pop_front()
    }

    /// Puts a message before all others.
    pub(super) fn push_front(&mut self, message: Message) {
        self.list.push_front(Item::Message(message));
    }

    /// The octets of a text that was [popped](Self::pop), which are taken with this.
    pub(super) fn text(&mut self, len: usize) -> &mut [u8] {
        let start = self.taken;
        self.taken = (start + len).min(self.texts.len());
        &mut self.texts[start..self.taken]
    }

    /// All texts that are left.
    pub(super) fn texts(&self) -> &[u8] {
        &self.texts[self.taken..]
    }

    /// Gives every message memory of its own.
    fn own(&mut self) {
        let mut rest = &self.texts[self.taken..];
        for item in &mut self.list {
            if let Item::Text(len) = *item
                && let Some((text, more)) = rest.split_at_checked(len)
            {
                *item = Item::Message(Message::from_encoded(text));
                rest = more;
            }
        }
        self.texts.clear();
        self.taken = 0;
    }

    /// Moves the first items to an empty batch.
    fn split(&mut self, most: usize, batch: &mut Items) {
        batch.list.extend(self.list.drain(..most));
        self.octets -= batch.list.iter().map(octets).sum::<usize>();
        let texts = batch.list.iter().map(|item| match item {
            Item::Text(len) => *len,
            _ => 0,
        });
        let texts: usize = texts.sum();
        batch.texts.extend_from_slice(self.text(texts));
        if self.taken > self.texts.len() / 2 {
            self.texts.drain(..self.taken);
            self.taken = 0;
        }
    }
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |items| items.list.len())
    }

    /// The octets of the messages in it.
    pub(super) fn octets(&self) -> usize {
        self.0.as_ref().map_or(0, |items| items.octets)
    }

    fn items(&mut self) -> &mut Items {
        self.0
            .get_or_insert_with(|| SPARE.take().unwrap_or_default())
    }

    pub(super) fn push(&mut self, item: Item) {
        let items = self.items();
        items.octets += octets(&item);
        items.list.push_back(item);
    }

    pub(super) fn push_text(&mut self, text: &[u8]) {
        self.items().texts.extend_from_slice(text);
        self.push(Item::Text(text.len()));
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
            if items.list.len() <= most {
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
        items.octets += batch.list.iter().map(octets).sum::<usize>();
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
        match item {
            Item::Message(message) => Some(message),
            Item::Text(_) | Item::Kill(..) => None,
        }
    }

    /// An idle port keeps no memory for what may come.
    pub(super) fn rest(&mut self) {
        if self.is_empty()
            && let Some(items) = self.0.take()
        {
            spare(items);
        }
    }
}

/// Keeps the memory of a batch for the next one on this thread, unless there is more already. What is left
/// in it is dropped.
pub(super) fn spare(mut batch: Batch) {
    batch.list.clear();
    batch.texts.clear();
    (batch.taken, batch.octets) = (0, 0);
    if batch.texts.capacity() <= SPARE_OCTETS && batch.list.capacity() <= SPARE_ITEMS {
        let smaller = |other: &Batch| other.list.capacity() < batch.list.capacity();
        let larger = SPARE.take().filter(|other| !smaller(other));
        SPARE.set(Some(larger.unwrap_or(batch)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What a batch gives, one by one.
    fn texts(batch: &mut Items) -> Vec<String> {
        let mut all = Vec::new();
        while let Some(item) = batch.pop() {
            all.push(match item {
                Item::Text(len) => String::from_utf8(batch.text(len).to_vec()).unwrap(),
                Item::Message(message) => message.to_json().into_owned(),
                Item::Kill(reason, _) => reason.to_string(),
            });
        }
        all
    }

    proptest! {
        /// However messages are given and taken, they come out in their order, and are counted.
        #[test]
        fn in_order(steps in prop::collection::vec((0..5_u8, 0..40_usize), 0..60)) {
            let mut queue = Queue::default();
            let (mut model, mut next) = (VecDeque::new(), 0);
            for (what, n) in steps {
                let text = format!("[{next},\"{}\"]", "x".repeat(n));
                match what {
                    0 | 1 => {
                        next += 1;
                        match what {
                            0 => queue.push_text(text.as_bytes()),
                            _ => queue.push(Item::Message(Message::from_encoded(text.as_bytes()))),
                        }
                        model.push_back(text);
                    }
                    2 | 3 => {
                        let mut batch = queue.take_batch(n);
                        let kept = batch.list.len() / 2;
                        let mut got = Vec::new();
                        if what == 3 {
                            // The first half is taken, the rest is put back.
                            for _ in 0..kept {
                                match batch.pop() {
                                    Some(Item::Text(len)) => {
                                        got.push(String::from_utf8(batch.text(len).to_vec()).unwrap());
                                    }
                                    Some(Item::Message(message)) => got.push(message.to_json().into_owned()),
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
                    _ => {
                        queue.own();
                        queue.rest();
                    }
                }
                prop_assert_eq!(queue.len(), model.len());
                prop_assert_eq!(queue.octets(), model.iter().map(String::len).sum::<usize>());
            }
            queue.own();
            while let Some(message) = queue.take_where(&mut |_| true) {
                prop_assert_eq!(Some(message.to_json().into_owned()), model.pop_front());
            }
            prop_assert!(model.is_empty());
        }
    }
}
