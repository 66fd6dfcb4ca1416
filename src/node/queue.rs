//! What waits in a port.

use std::cell::Cell;
use std::collections::VecDeque;

use crate::proto::{Message, Reason};

/// What waits in a port's queue.
pub(crate) enum Item {
    Message(Message),
    /// The port is to be killed, behind the messages that were sent before.
    Kill(Reason),
}

/// A port's queue. A port that nothing was ever queued for has none.
#[derive(Default)]
pub(super) struct Queue(Option<Box<Items>>);

#[derive(Default)]
struct Items {
    list: VecDeque<Item>,
    /// The octets of the messages in it.
    octets: usize,
}

/// Some items that were taken out of a queue at once.
pub(crate) type Batch = VecDeque<Item>;

thread_local! {
    /// An empty batch whose memory is used again.
    static SPARE: Cell<Batch> = const { Cell::new(Batch::new()) };
}

fn octets(item: &Item) -> usize {
    match item {
        Item::Message(message) => message.size(),
        Item::Kill(_) => 0,
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

    pub(super) fn push(&mut self, item: Item) {
        let items = self.0.get_or_insert_default();
        items.octets += octets(&item);
        items.list.push_back(item);
    }

    /// Takes out the first items, at most so many.
    pub(super) fn take_batch(&mut self, most: usize) -> Batch {
        let mut batch = SPARE.take();
        let Some(items) = &mut self.0 else {
            return batch;
        };
        if items.list.len() <= most {
            std::mem::swap(&mut items.list, &mut batch);
            items.octets = 0;
        } else {
            batch.extend(items.list.drain(..most));
            items.octets -= batch.iter().map(octets).sum::<usize>();
        }
        batch
    }

    /// Puts the rest of a batch back to where it was.
    pub(super) fn put_back(&mut self, batch: &mut Batch) {
        if batch.is_empty() {
            return;
        }
        let items = self.0.get_or_insert_default();
        items.octets += batch.iter().map(octets).sum::<usize>();
        batch.append(&mut items.list);
        std::mem::swap(&mut items.list, batch);
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
            Item::Kill(_) => None,
        }
    }
}

/// Keeps the memory of a batch for the next one on this thread. What is left in it is dropped.
pub(super) fn spare(mut batch: Batch) {
    batch.clear();
    SPARE.set(batch);
}
