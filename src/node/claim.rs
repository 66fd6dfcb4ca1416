//! Messages that go from a link straight to the code of their ports.
//!
//! The usual way leads through a port's queue. A link's reader that has a message for an idle port
//! *claims* the port instead, as if it took the message out of the queue, and runs the handler on the
//! octets as they came ([`Quick`](crate::proto::message::Quick)). It keeps the port for the messages that
//! follow. Whenever that is not possible the message goes the usual way, and so do those behind it until
//! the port is idle again: the order is kept.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use compact_str::CompactString;

use super::handler::{Outcome, Slot};
use super::port::{PortCell, Running, panic_text};
use super::queue::Batch;
use super::{Context, Inner};
use crate::proto::message::Head;
use crate::proto::{Framing, Reason};

/// The port that a link's reader has claimed, and those that it claimed before in this turn.
pub(crate) struct Claims {
    known: Known,
    /// The port that is claimed now is known under this number.
    held: Option<usize>,
}

/// Ports by a part of their names' hash; a later one takes the place of an earlier one.
#[derive(Default)]
struct Known {
    /// None, or [`PLACES`].
    entries: Vec<Option<Entry>>,
    used: Vec<usize>,
}

struct Entry {
    cell: Arc<PortCell>,
    context: Context,
    tag: CompactString,
    /// The handler for the tag, as long as the port has this epoch.
    slot: Slot,
    epoch: u32,
}

/// How many ports are known at the same time.
const PLACES: usize = 1024;

thread_local! {
    /// Nothing is known between turns; this is only the memory for it.
    static SPARE: Cell<Known> = Cell::default();
}

impl Known {
    fn clear(&mut self) {
        for place in self.used.drain(..) {
            self.entries[place] = None;
        }
    }
}

impl Claims {
    /// Begins a turn of the reader.
    pub(crate) fn new() -> Self {
        Claims {
            known: SPARE.take(),
            held: None,
        }
    }

    /// Ends the turn.
    pub(crate) fn end(mut self, node: &Arc<Inner>) {
        self.release(node);
        self.known.clear();
        SPARE.set(self.known);
    }

    /// Hands the first message in `octets`, which are in that framing, to its port, if that can be done
    /// here and now. Returns its length; otherwise `octets` is as it was, and no port is held.
    ///
    /// `plain`: see [`are_plain`](crate::proto::message::are_plain).
    #[inline]
    pub(crate) fn offer(
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
        let head = Head::find(framing, octets)?;
        let place = self.claim(node, head.name, head.tag)?;
        let entry = self.known.entries[place].as_ref()?;
        let at = head.rest();
        let quick = at.open(octets, plain, node.settings.limits);
        let outcome = {
            let _running = Running::begin(&entry.cell);
            let (slot, context) = (&entry.slot, &entry.context);
            catch_unwind(AssertUnwindSafe(|| slot.lock().take_quick(context, &quick)))
        };
        let Some(end) = at.end(quick.used()) else {
            // Not read, or the reading itself panicked: that will happen again on the usual way.
            at.restore(octets);
            return None;
        };
        let text = match outcome {
            Ok(None | Some(Outcome::Done(Ok(())))) => return Some(end),
            Ok(Some(Outcome::Later(future))) => {
                // If it goes on as a task, that runs the port from now on.
                if entry.cell.drive(node, future, &mut Batch::new()) {
                    self.held = None;
                }
                return Some(end);
            }
            Ok(Some(Outcome::Done(Err(text)))) => text,
            Err(panic) => panic_text(&*panic),
        };
        entry.cell.die_of(node, Reason::die(text));
        self.held = None;
        Some(end)
    }

    /// Claims the port `name`, unless it is claimed already, for a message with this tag. Returns its
    /// place.
    #[inline]
    fn claim(&mut self, node: &Arc<Inner>, name: &[u8], tag: &[u8]) -> Option<usize> {
        let held = self
            .held
            .and_then(|place| self.known.entries[place].as_ref());
        let same = held.is_some_and(|entry| entry.is(name));
        let current = held.is_some_and(|entry| entry.tag.as_bytes() == tag)
            && held.is_some_and(|entry| entry.epoch == entry.cell.epoch());
        if !(same && current) {
            if same {
                let entry = self.known.entries[self.held?].as_mut()?;
                entry.renew(tag)?;
            } else {
                self.release(node);
                self.held = Some(self.claim_other(node, name, tag)?);
            }
        }
        self.held
    }

    /// Claims a port that is not claimed. Returns its place.
    fn claim_other(&mut self, node: &Arc<Inner>, name: &[u8], tag: &[u8]) -> Option<usize> {
        if name.is_empty() || node.is_stopping() {
            return None;
        }
        let hash = node.ports.hash(name);
        let place = hash as usize % PLACES;
        if self.known.entries.is_empty() {
            self.known.entries.resize_with(PLACES, || None);
        }
        let known = &mut self.known.entries[place];
        if let Some(entry) = known
            && entry.is(name)
            && entry.tag.as_bytes() == tag
            && entry.cell.claim_again(entry.epoch)
        {
            return Some(place);
        }
        let cell = node.ports.get_hashed(hash, name)?;
        let (slot, epoch) = cell.claim(tag, false)?;
        if known.is_none() {
            self.known.used.push(place);
        }
        *known = Some(Entry {
            context: Context::new(node, cell.id.clone()),
            tag: CompactString::from_utf8_lossy(tag),
            cell,
            slot,
            epoch,
        });
        Some(place)
    }

    /// Lets the port go; what was queued meanwhile is taken soon.
    #[inline]
    pub(crate) fn release(&mut self, node: &Arc<Inner>) {
        let held = self.held.take();
        if let Some(entry) = held.and_then(|place| self.known.entries[place].as_ref()) {
            entry.cell.unclaim(node);
        }
    }
}

impl Entry {
    #[inline]
    fn is(&self, name: &[u8]) -> bool {
        self.cell.id.name().as_bytes() == name
    }

    /// Finds the handler of the port, which is claimed, for another tag, or after a change.
    fn renew(&mut self, tag: &[u8]) -> Option<()> {
        (self.slot, self.epoch) = self.cell.claim(tag, true)?;
        self.tag = CompactString::from_utf8_lossy(tag);
        Some(())
    }
}
