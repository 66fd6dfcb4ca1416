//! Messages that go from a link straight to the code of their ports.
//!
//! The usual way leads through a port's queue. A link's reader that has a message for an idle port
//! *claims* the port instead, as if it took the message out of the queue, and runs the handler on the
//! octets as they came ([`Quick`](crate::proto::message::Quick)). It keeps the port for the messages that
//! follow. Whenever that is not possible the message goes the usual way, and so do those behind it until
//! the port is idle again: the order is kept.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};

use compact_str::CompactString;
use hashbrown::HashTable;

use super::handler::{Outcome, Slot};
use super::phase::Epoch;
use super::port::{PortCell, Running, panic_text};
use super::queue::Batch;
use super::{Context, Inner};
use crate::proto::Reason;
use crate::proto::message::Head;

/// The port that a link's reader has claimed, and those that this thread's readers claimed before.
pub(crate) struct Claims {
    known: Known,
    /// Made for the first claim of a turn.
    context: Option<Context>,
    /// The place of the port that is claimed. It is in the context; its entry has got another one in
    /// exchange.
    held: Option<usize>,
}

/// Ports with a tag each, by name and tag.
///
/// They are remembered beyond a reader's turn. That keeps nothing alive but the cells of dead ports and
/// closed handlers, which are empty, nor the node.
#[derive(Default)]
struct Known {
    table: HashTable<Entry>,
    /// Whose ports these are.
    node: Weak<Inner>,
}

struct Entry {
    name: CompactString,
    tag: CompactString,
    cell: Arc<PortCell>,
    /// The handler for the tag, as long as the port has this epoch.
    slot: Slot,
    epoch: Epoch,
}

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
    fn find(&self, hash: u64, name: &[u8], tag: &[u8]) -> Option<usize> {
        let is = |entry: &Entry| entry.is(name, tag);
        self.table.find_bucket_index(hash, is)
    }

    /// Puts an entry in the place of what was known of that port and tag. Returns its place.
    fn add(&mut self, node: &Inner, hash: u64, entry: Entry) -> usize {
        if let Some(place) = self.find(hash, entry.name.as_bytes(), entry.tag.as_bytes())
            && let Some(old) = self.table.get_bucket_mut(place)
        {
            *old = entry;
            return place;
        }
        if self.table.len() >= MOST {
            self.table.clear();
        }
        let rehash = |entry: &Entry| node.ports.hash(entry.name.as_bytes());
        self.table.insert_unique(hash, entry, rehash).bucket_index()
    }
}

impl Claims {
    /// Begins a turn of the reader.
    pub(crate) fn new(node: &Arc<Inner>) -> Self {
        let mut known = KNOWN.take();
        known.belong(node);
        Claims {
            known,
            context: None,
            held: None,
        }
    }

    /// Ends the turn.
    pub(crate) fn end(mut self, node: &Arc<Inner>) {
        self.release(node);
        KNOWN.set(self.known);
    }

    /// Hands the first message in `octets` to its port, if that can be done here and now. Returns its
    /// length; otherwise `octets` is as it was, and no port is held.
    ///
    /// `plain`: see [`are_plain`](crate::proto::message::are_plain).
    #[inline]
    pub(crate) fn offer(
        &mut self,
        node: &Arc<Inner>,
        octets: &mut [u8],
        plain: bool,
    ) -> Option<usize> {
        let end = self.hand_over(node, octets, plain);
        if end.is_none() {
            self.release(node);
        }
        end
    }

    #[inline]
    fn hand_over(&mut self, node: &Arc<Inner>, octets: &mut [u8], plain: bool) -> Option<usize> {
        let head = Head::find(octets)?;
        self.claim(node, head.name, head.tag)?;
        let (slot, context) = (
            &self.known.table.get_bucket(self.held?)?.slot,
            self.context.as_ref()?,
        );
        let mut handler = slot.enter()?;
        let at = head.rest();
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
        let text = match outcome {
            Ok(None | Some(Outcome::Done(Ok(())))) => return Some(end),
            Ok(Some(Outcome::Later(future))) => {
                // If it goes on as a task, that runs the port from now on.
                if context.cell()?.drive(node, future, &mut Batch::new()) {
                    self.leave();
                }
                return Some(end);
            }
            Ok(Some(Outcome::Done(Err(text)))) => text,
            Err(panic) => panic_text(&*panic),
        };
        context.cell()?.die_of(node, Reason::die(text));
        self.leave();
        Some(end)
    }

    /// Claims the port `name`, unless it is claimed already, for a message with this tag.
    #[inline]
    fn claim(&mut self, node: &Arc<Inner>, name: &[u8], tag: &[u8]) -> Option<()> {
        if let (Some(held), Some(context)) = (self.held, &self.context)
            && let Some(entry) = self.known.table.get_bucket(held)
            && entry.is(name, tag)
            && entry.epoch == context.cell()?.epoch()
        {
            return Some(());
        }
        self.release(node);
        self.claim_other(node, name, tag)
    }

    /// Claims a port while none is claimed.
    fn claim_other(&mut self, node: &Arc<Inner>, name: &[u8], tag: &[u8]) -> Option<()> {
        if name.is_empty() || node.is_stopping() {
            return None;
        }
        let hash = node.ports.hash(name);
        if let Some(place) = self.known.find(hash, name, tag)
            && let Some(entry) = self.known.table.get_bucket(place)
            && entry.cell.claim_again(entry.epoch)
        {
            return self.hold(node, place);
        }
        let cell = node.ports.get_hashed(hash, name)?;
        let (slot, epoch) = cell.claim(tag)?;
        let entry = Entry {
            name: CompactString::from_utf8_lossy(name),
            tag: CompactString::from_utf8_lossy(tag),
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

impl Entry {
    #[inline]
    fn is(&self, name: &[u8], tag: &[u8]) -> bool {
        self.name.as_bytes() == name && self.tag.as_bytes() == tag
    }
}
