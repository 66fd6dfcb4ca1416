//! Messages that go from a link straight to the code of their ports.
//!
//! The usual way leads through a port's queue. A link's reader that has a message for an idle port
//! *claims* the port instead, as if it took the message out of the queue, and runs the handler on
//! the octets as they came ([`Quick`](crate::proto::message::Quick)). It keeps the port for the
//! messages that follow. Whenever that is not possible the message goes the usual way, and so do
//! those behind it until the port is idle again: the order is kept.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};

use hashbrown::HashTable;

use super::code::Outcome;
use super::code::panic_text;
use super::handler::Slot;
use super::port::{PortCell, Running};
use super::queue::Items;
use super::run_word::Epoch;
use super::{Context, Inner};
use crate::proto::message::{Head, RestAt};
use crate::proto::{Framing, Reason};

/// The port that a link's reader has claimed, and those that this thread's readers claimed before.
pub(crate) struct FastPath {
    known: Known,
    /// Made for the first claim of a turn.
    context: Option<Context>,
    /// The place of the port that is claimed. It is in the context; its entry has got another one
    /// in exchange.
    held: Option<usize>,
    /// The last message was one more for the same port, so the next is likely to be.
    again: bool,
}

/// Ports with a tag each, by what messages to them begin with.
///
/// They are remembered beyond a reader's turn. That keeps nothing alive but the cells of dead ports
/// and closed handlers, which are empty; not even the node.
#[derive(Default)]
struct Known {
    table: HashTable<Entry>,
    /// Whose ports these are.
    node: Weak<Inner>,
}

/// It fills a line of the processor's cache: with many ports each look is at one that was not near.
#[repr(align(64))]
struct Entry {
    key: Key,
    cell: Arc<PortCell>,
    /// The handler for the tag, as long as the port has this epoch.
    slot: Slot,
    epoch: Epoch,
}

/// The octets that messages to a port with some tag begin with.
enum Key {
    Short(u8, [u8; SHORT]),
    Long(Box<[u8]>),
}

const SHORT: usize = 30;

/// How many ports are known at the same time.
const MOST: usize = 16 * 1024;

thread_local! {
    /// What is known between the turns.
    static KNOWN: Cell<Known> = Cell::default();
}

/// Forgets the ports that this thread knows.
pub(crate) fn forget() {
    drop(KNOWN.take());
}

impl Known {
    /// Makes it a table of ports of this node.
    fn belong(&mut self, node: &Arc<Inner>) {
        if self.node.as_ptr() != Arc::as_ptr(node) {
            *self = Known {
                node: Arc::downgrade(node),
                ..Known::default()
            };
        }
    }

    #[inline]
    fn find(&self, hash: u64, key: &[u8]) -> Option<usize> {
        let is = |entry: &Entry| entry.key.octets() == key;
        self.table.find_bucket_index(hash, is)
    }

    /// Puts an entry in the place of what was known of that port and tag. Returns its place.
    fn add(&mut self, node: &Inner, hash: u64, entry: Entry) -> usize {
        let is = |known: &Entry| known.key.octets() == entry.key.octets();
        if let Ok(mut known) = self.table.find_entry(hash, is) {
            *known.get_mut() = entry;
            return known.bucket_index();
        }
        if self.table.len() >= MOST {
            self.table.clear();
        }
        let rehash = |entry: &Entry| node.ports.hash(entry.key.octets());
        self.table.insert_unique(hash, entry, rehash).bucket_index()
    }
}

impl FastPath {
    /// Begins a turn of the reader.
    pub(crate) fn new(node: &Arc<Inner>) -> Self {
        let mut known = KNOWN.take();
        known.belong(node);
        FastPath {
            known,
            context: None,
            held: None,
            again: false,
        }
    }

    /// Ends the turn.
    pub(crate) fn end(mut self, node: &Arc<Inner>) {
        self.release(node);
        KNOWN.set(self.known);
    }

    /// Hands the first message in `octets`, which are in that framing, to its port, if that can be
    /// done here and now. Returns its length; otherwise `octets` is as it was, and no port is held.
    ///
    /// `plain`: see [`are_plain`](crate::proto::message::are_plain).
    #[inline]
    pub(crate) fn deliver(
        &mut self,
        node: &Arc<Inner>,
        framing: Framing,
        octets: &mut [u8],
        plain: bool,
    ) -> Option<usize> {
        let end = self.hand_over(node, framing, octets, plain);
        if end.is_none() {
            self.release(node);
        }
        end
    }

    #[inline]
    fn hand_over(
        &mut self,
        node: &Arc<Inner>,
        framing: Framing,
        octets: &mut [u8],
        plain: bool,
    ) -> Option<usize> {
        let again = self.again.then(|| self.rest_of_next(framing, octets));
        let at = match again.flatten() {
            Some(at) => at,
            None => {
                let head = Head::find(framing, octets)?;
                let key = head.octets(octets);
                self.again = self.holds(|held| held == key).is_some();
                if !self.again {
                    self.release(node);
                    self.claim(node, &head, key)?;
                }
                head.rest()
            }
        };
        let (slot, context) = (
            &self.known.table.get_bucket(self.held?)?.slot,
            self.context.as_ref()?,
        );
        let mut handler = slot.enter()?;
        let quick = at.open(octets, plain, node.settings.limits);
        let outcome = {
            let _running = Running::begin(context.cell()?);
            catch_unwind(AssertUnwindSafe(|| handler.take_quick(context, &quick)))
        };
        drop(handler);
        slot.finish();
        let Some(end) = at.end(quick.used()) else {
            // Not read, or the reading itself panicked: that will happen again on the usual way.
            at.restore(octets);
            return None;
        };
        let failure = match outcome {
            Ok(None | Some(Outcome::Done(Ok(())))) => return Some(end),
            Ok(Some(Outcome::Later(future))) => {
                // If the port takes no more messages meanwhile, the task runs it from now on.
                let rest = &mut Items::default();
                if context.cell()?.drive(node, future, end, rest) {
                    self.leave();
                }
                return Some(end);
            }
            Ok(Some(Outcome::Done(Err(failure)))) => failure.into(),
            Err(panic) => Reason::die(panic_text(&*panic)),
        };
        context.cell()?.die_of(node, failure);
        self.leave();
        Some(end)
    }

    /// What messages to the port and the tag that are claimed begin with, if that is as wanted.
    #[inline]
    fn holds(&self, wanted: impl FnOnce(&[u8]) -> bool) -> Option<&[u8]> {
        let entry = self.known.table.get_bucket(self.held?)?;
        let key = entry.key.octets();
        let holds = wanted(key) && entry.epoch == self.context.as_ref()?.cell()?.epoch();
        holds.then_some(key)
    }

    /// The rest of the message, if it is one more for the port and the tag that are claimed.
    #[inline]
    fn rest_of_next(&self, framing: Framing, octets: &[u8]) -> Option<RestAt> {
        let key = self.holds(|key| octets.starts_with(key))?;
        RestAt::behind(framing, octets, key.len())
    }

    /// Claims the port that a message is for, while none is claimed. `key`: what the message begins
    /// with.
    #[inline]
    fn claim(&mut self, node: &Arc<Inner>, head: &Head<'_>, key: &[u8]) -> Option<()> {
        if !node.lifecycle.is_open() {
            return None;
        }
        let hash = node.ports.hash(key);
        if let Some(place) = self.known.find(hash, key)
            && let Some(entry) = self.known.table.get_bucket(place)
            // Both are looked at before the exchange, which would have the second wait for the
            // first.
            && !entry.slot.is_closed() & (entry.cell.epoch() == entry.epoch)
            && entry.cell.claim_again(entry.epoch)
        {
            return self.hold(node, place);
        }
        self.claim_unknown(node, head, hash, key)
    }

    fn claim_unknown(
        &mut self,
        node: &Arc<Inner>,
        head: &Head<'_>,
        hash: u64,
        key: &[u8],
    ) -> Option<()> {
        if head.name.is_empty() {
            return None;
        }
        let cell = node
            .ports
            .get_hashed(node.ports.hash(head.name), head.name)?;
        let (slot, epoch) = cell.claim(head.tag)?;
        let entry = Entry {
            key: Key::new(key),
            cell,
            slot,
            epoch,
        };
        let place = self.known.add(node, hash, entry);
        self.hold(node, place)
    }

    /// Keeps the port at a place, which is claimed.
    #[inline]
    fn hold(&mut self, node: &Arc<Inner>, place: usize) -> Option<()> {
        let entry = self.known.table.get_bucket_mut(place)?;
        let new = || Context::of(node, entry.cell.clone());
        let context = self.context.get_or_insert_with(new);
        context.swap(&mut entry.cell);
        self.held = Some(place);
        Some(())
    }

    /// Lets the port go; what was queued meanwhile is taken soon.
    #[inline]
    pub(crate) fn release(&mut self, node: &Arc<Inner>) {
        if let Some(entry) = self.leave() {
            entry.cell.unclaim(node, entry.epoch);
            entry.slot.finish();
        }
    }

    /// Holds the port no more, without an end of its claim.
    #[inline]
    fn leave(&mut self) -> Option<&Entry> {
        let entry = self.known.table.get_bucket_mut(self.held.take()?)?;
        self.context.as_mut()?.swap(&mut entry.cell);
        Some(entry)
    }
}

impl Key {
    fn new(octets: &[u8]) -> Self {
        let mut short = [0; SHORT];
        match short.get_mut(..octets.len()) {
            Some(room) => {
                room.copy_from_slice(octets);
                Key::Short(octets.len() as u8, short)
            }
            None => Key::Long(octets.into()),
        }
    }

    #[inline]
    fn octets(&self) -> &[u8] {
        match self {
            Key::Short(len, octets) => octets.get(..usize::from(*len)).unwrap_or_default(),
            Key::Long(octets) => octets,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_a_line_of_the_cache() {
        assert_eq!(size_of::<Entry>(), 64);
    }

    #[test]
    fn keys_are_the_octets() {
        for len in [0, 1, SHORT - 1, SHORT, SHORT + 1, 300] {
            let octets = vec![b'x'; len];
            assert_eq!(Key::new(&octets).octets(), octets);
        }
    }
}
