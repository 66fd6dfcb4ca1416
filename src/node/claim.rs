//! Messages that go from a link straight to the code of their ports.
//!
//! The usual way leads through a port's queue. A link's reader that has a message for an idle port
//! *claims* the port instead, as if it took the message out of the queue, and runs the handler on the
//! octets as they came ([`Quick`](crate::proto::message::Quick)). It keeps the port for the messages that
//! follow. Whenever that is not possible the message goes the usual way, and so do those behind it until
//! the port is idle again: the order is kept.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::handler::{Outcome, Slot};
use super::port::{PortCell, Running, panic_text};
use super::queue::Batch;
use super::{Context, Inner};
use crate::proto::Reason;
use crate::proto::message::Head;

/// The port that a link's reader has claimed.
pub(crate) struct Claims {
    /// Of the port that is held, or was.
    context: Context,
    held: Option<Held>,
    /// The tag that the handler of `held` is for.
    tag: Vec<u8>,
}

struct Held {
    cell: Arc<PortCell>,
    slot: Slot,
    /// The handler is right as long as the port has this epoch.
    epoch: u32,
}

impl Claims {
    pub(crate) fn new(node: &Arc<Inner>) -> Self {
        Claims {
            context: Context::new(node, node.id.node_port()),
            held: None,
            tag: Vec::new(),
        }
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
        let held = self.held.as_ref()?;
        let at = head.rest();
        let quick = at.open(octets, plain, node.settings.limits);
        let outcome = {
            let _running = Running::begin(&held.cell);
            let context = &self.context;
            catch_unwind(AssertUnwindSafe(|| {
                held.slot.lock().take_quick(context, &quick)
            }))
        };
        let Some(end) = at.end(quick.used()) else {
            // Not read, or the reading itself panicked: that will happen again on the usual way.
            at.restore(octets);
            return None;
        };
        match outcome {
            Ok(None | Some(Outcome::Done(Ok(())))) => {}
            Ok(Some(Outcome::Done(Err(text)))) => self.died(node, text),
            Err(panic) => self.died(node, panic_text(&*panic)),
            Ok(Some(Outcome::Later(future))) => {
                // If it goes on as a task, that runs the port from now on.
                if held.cell.drive(node, future, &mut Batch::new()) {
                    self.held = None;
                }
            }
        }
        Some(end)
    }

    /// Sees to it that the port `name` is held, with its handler for `tag`.
    #[inline]
    fn claim(&mut self, node: &Arc<Inner>, name: &[u8], tag: &[u8]) -> Option<()> {
        let same = self
            .held
            .as_ref()
            .is_some_and(|held| held.cell.id.name().as_bytes() == name);
        if !same {
            self.release(node);
            if name.is_empty() || node.is_stopping() {
                return None;
            }
            let cell = node.ports.get_octets(name)?;
            let (slot, epoch) = cell.claim(tag, false)?;
            self.context.set_id(&cell.id);
            self.hold(cell, slot, epoch, tag);
        }
        let held = self.held.as_mut()?;
        if same && (held.epoch != held.cell.epoch() || self.tag != tag) {
            (held.slot, held.epoch) = held.cell.claim(tag, true)?;
            self.tag.clear();
            self.tag.extend_from_slice(tag);
        }
        Some(())
    }

    fn hold(&mut self, cell: Arc<PortCell>, slot: Slot, epoch: u32, tag: &[u8]) {
        self.held = Some(Held { cell, slot, epoch });
        self.tag.clear();
        self.tag.extend_from_slice(tag);
    }

    fn died(&mut self, node: &Arc<Inner>, text: String) {
        if let Some(held) = self.held.take() {
            held.cell.die_of(node, Reason::die(text));
        }
    }

    /// Lets the port go; what was queued meanwhile is taken soon.
    #[inline]
    pub(crate) fn release(&mut self, node: &Arc<Inner>) {
        if let Some(held) = self.held.take() {
            held.cell.unclaim(node);
        }
    }
}
