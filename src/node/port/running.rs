//! A port at work: who runs it, and what takes each of its messages.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use compact_str::CompactString;

use super::misfit::{Choice, Odd};
use super::{Body, PortCell};
use crate::node::Inner;
use crate::node::code::Outcome;
use crate::node::context::Context;
use crate::node::handler::{Handlers, Slot};
use crate::node::jobs::{self, Job};
use crate::node::queue::{self, Items, Popped};
use crate::node::run_word::Epoch;
use crate::node::traced::{self, Scope};
use crate::node::values::Row;
use crate::node::watched::Watched;
use crate::proto::message::Head;
use crate::proto::{Limits, Message, Reason};

thread_local! {
    /// The port whose code this thread runs.
    static RUNNING: Cell<*const PortCell> = const { Cell::new(std::ptr::null()) };
}

/// Marks this thread as running the code of a port, until it is dropped.
pub(crate) struct Running(*const PortCell);

impl Running {
    pub(crate) fn begin(port: &PortCell) -> Self {
        Running(RUNNING.replace(std::ptr::from_ref(port)))
    }

    /// Whether this thread runs the code of the port.
    pub(super) fn is_here(port: &PortCell) -> bool {
        RUNNING.get() == std::ptr::from_ref(port)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        RUNNING.set(self.0);
    }
}

/// What is to be done with a message.
enum Next {
    /// The handler that is known takes it, without the tag if it is for that.
    Handle { tagged: bool },
    /// Nothing takes it, and that is no error.
    Ignore,
    /// Nothing takes it.
    Misfit,
    /// The port does not run any more; the rest of the batch is put back or lost with it.
    Stop,
}

/// The handler that took the last message, which is right as long as the port has this epoch.
struct Known {
    epoch: Epoch,
    /// None: it takes all others.
    tag: Option<CompactString>,
    slot: Slot,
}

impl PortCell {
    /// Lets handlers take messages until the queue is empty.
    pub(crate) fn run(self: &Arc<Self>, node: &Arc<Inner>) {
        /// How many messages a port takes before others get their turn.
        const TURN: usize = 128;
        let mut batch = {
            let mut state = self.state.lock();
            if !state.alive || state.queue.is_empty() || matches!(state.body, Body::Mailbox(_)) {
                self.run.stop();
                return;
            }
            node.tell_room(&mut state.awaited);
            node.counters.waiting(state.queue.len());
            state.queue.take_batch(TURN)
        };
        let context = Context::of(node, self.clone());
        // Asked once for all of them.
        let watched = Watched::now(node);
        let mut known = None;
        let mut taker = None;
        let over = loop {
            match batch.pop() {
                None => break false,
                Some(Popped::Value) => {
                    let Some(values) = batch.values() else {
                        continue;
                    };
                    let octets = values.each();
                    let quick = match watched.any() {
                        true => None,
                        false => self.handle_value(&context, &mut taker, values),
                    };
                    let over = match quick {
                        Some(outcome) => self.conclude(node, outcome, octets, &mut batch),
                        None => match values.pop_encoded() {
                            Some(Ok(message)) => self
                                .handle(node, &context, watched, &mut known, message, &mut batch),
                            Some(Err(error)) => {
                                self.die_of(node, Reason::die(error));
                                true
                            }
                            None => false,
                        },
                    };
                    if over {
                        break true;
                    }
                }
                Some(Popped::Kill(reason, _told)) => {
                    self.die_of(node, reason);
                    break true;
                }
                Some(Popped::Message(message)) => {
                    if self.handle(node, &context, watched, &mut known, message, &mut batch) {
                        break true;
                    }
                }
                Some(Popped::Encoded(message)) => {
                    let array = batch.encoded(message);
                    let octets = array.len();
                    let known_one = known.as_ref().filter(|_| !watched.any());
                    let limits = node.settings.limits;
                    let quick = known_one
                        .and_then(|known| self.handle_encoded(&context, known, array, limits));
                    let over = match quick {
                        Some(outcome) => self.conclude(node, outcome, octets, &mut batch),
                        None => {
                            let message = Message::from_local(array);
                            self.handle(node, &context, watched, &mut known, message, &mut batch)
                        }
                    };
                    if over {
                        break true;
                    }
                }
            }
        };
        queue::spare(batch);
        if over {
            return;
        }
        let mut state = self.state.lock();
        let empty = state.queue.is_empty();
        if empty {
            state.queue.shrink();
            self.run.stop();
        }
        self.let_go(node, state);
        let taker = taker.map(|(_, slot)| slot);
        for slot in known.map(|known| known.slot).into_iter().chain(taker) {
            slot.finish(); // it may have been closed just when it ended
        }
        if empty {
            return;
        }
        // The port stays marked as running, so that the order holds.
        jobs::schedule(node, Job::Run(self.clone()));
    }

    /// Has a message handled. True if the run ends with it.
    fn handle(
        self: &Arc<Self>,
        node: &Arc<Inner>,
        context: &Context,
        watched: Watched,
        known: &mut Option<Known>,
        message: Message,
        batch: &mut Items,
    ) -> bool {
        let octets = message.size();
        let taken = loop {
            let tagged = match self.next(known, &message) {
                Next::Handle { tagged } => tagged,
                Next::Ignore => return false,
                Next::Misfit => break Err(Odd::Unknown(message)),
                Next::Stop => {
                    let mut state = self.state.lock();
                    self.run.stop();
                    if let (true, Body::Mailbox(reader)) = (state.alive, &state.body) {
                        let reader = reader.clone();
                        batch.push_front(message);
                        state.queue.put_back(batch);
                        self.run.waits();
                        reader.wake();
                    }
                    return true;
                }
            };
            let Some(known) = known else {
                return false;
            };
            let slot = &known.slot;
            let Some(mut handler) = slot.enter() else {
                continue; // it was replaced just now
            };
            let message = match tagged {
                true => message.into_without_tag(),
                false => message,
            };
            let step = node.next_step(message.trace_context());
            let taken = {
                let _running = Running::begin(self);
                let _scope = Scope::enter(step);
                let take = || {
                    catch_unwind(AssertUnwindSafe(|| handler.take(context, message)))
                        .unwrap_or_else(|panic| Ok(Outcome::panicked(&*panic)))
                };
                let taken = match watched.any() {
                    true => watched.watch(context, take),
                    false => take(),
                };
                taken.map(|outcome| traced::also_later(step, outcome))
            };
            drop(handler);
            slot.finish();
            break taken.map_err(|unfit| {
                let tag = known.tag.as_ref().filter(|_| tagged);
                Odd::Unfit(tag.map(|tag| tag.to_string()), unfit)
            });
        };
        let outcome = match taken {
            Ok(outcome) => outcome,
            Err(odd) => {
                let _running = Running::begin(self);
                self.misfit(context, odd)
            }
        };
        self.conclude(node, outcome, octets, batch)
    }

    /// Has the handler that is known take a message straight from its octets, if that can be done
    /// and comes to the same as [`handle`](Self::handle) does.
    fn handle_encoded(
        &self,
        context: &Context,
        known: &Known,
        array: &mut [u8],
        limits: Limits,
    ) -> Option<Outcome> {
        let head = Head::of_array(array)?;
        let takes = known.slot.is_quick
            && known.epoch == self.epoch()
            && known.tag.as_ref().map(|tag| tag.as_bytes()) == Some(head.tag);
        if !takes {
            return None;
        }
        let mut handler = known.slot.enter()?;
        let at = head.rest();
        let quick = at.open(array, false, limits);
        let outcome = {
            let _running = Running::begin(self);
            catch_unwind(AssertUnwindSafe(|| handler.take_quick(context, &quick)))
        };
        drop(handler);
        known.slot.finish();
        at.end(quick.used())?;
        Some(match outcome {
            Ok(outcome) => outcome.unwrap_or(Outcome::Done(Ok(()))),
            Err(panic) => Outcome::panicked(&*panic),
        })
    }

    /// Has the first of the values that wait taken as it is, if there is code that takes all
    /// messages as values of that type. `taker` remembers it.
    fn handle_value(
        &self,
        context: &Context,
        taker: &mut Option<(Epoch, Slot)>,
        values: &mut dyn Row,
    ) -> Option<Outcome> {
        let epoch = self.epoch();
        taker.take_if(|(of, _)| *of != epoch);
        if taker.is_none() {
            let state = self.state.lock();
            if let Body::Handlers(handlers) = &state.body {
                *taker = handlers.whole().map(|slot| (self.epoch(), slot.clone()));
            }
        }
        let (_, slot) = taker.as_ref()?;
        let mut handler = slot.enter()?;
        let taken = {
            let _running = Running::begin(self);
            catch_unwind(AssertUnwindSafe(|| handler.take_value(context, values)))
        };
        drop(handler);
        slot.finish();
        taken.unwrap_or_else(|panic| Some(Outcome::panicked(&*panic)))
    }

    /// Does what follows from a message of so many octets that was handled. True if the run ends
    /// with it.
    fn conclude(
        self: &Arc<Self>,
        node: &Arc<Inner>,
        outcome: Outcome,
        octets: usize,
        batch: &mut Items,
    ) -> bool {
        match outcome {
            Outcome::Done(Ok(())) => false,
            Outcome::Done(Err(failure)) => {
                self.die_of(node, failure.into());
                true
            }
            Outcome::Later(work) => self.drive(node, work, octets, batch),
        }
    }

    /// What is to be done with a message.
    fn next(&self, known: &mut Option<Known>, message: &Message) -> Next {
        let tag = message.tag();
        if let (Some(known), Some(tag)) = (&*known, &tag)
            && known.epoch == self.epoch()
            && known.tag.as_deref() == Some(&**tag)
        {
            return Next::Handle { tagged: true };
        }
        let state = self.state.lock();
        if !state.alive {
            return Next::Stop;
        }
        let handlers = match &state.body {
            Body::Unset | Body::Fresh => &Handlers::None,
            Body::Mailbox(_) => return Next::Stop,
            Body::Handlers(handlers) => handlers,
        };
        let tagged = tag.and_then(|tag| Some((handlers.get(Some(tag.as_bytes()))?, Some(tag))));
        let Some((slot, tag)) = tagged.or_else(|| Some((handlers.get(None)?, None))) else {
            return match state.choice {
                Choice::Spawned => Next::Ignore,
                Choice::This(_) | Choice::Code => Next::Misfit,
            };
        };
        let tagged = tag.is_some();
        *known = Some(Known {
            epoch: self.epoch(),
            tag: tag.map(|tag| CompactString::from(&*tag)),
            slot: slot.clone(),
        });
        Next::Handle { tagged }
    }

    /// What a claim of the port relies on: see [`claim`](Self::claim).
    #[inline]
    pub(crate) fn epoch(&self) -> Epoch {
        self.run.epoch()
    }

    /// Gives the caller the port as if it took a message out of its queue, and the handler for
    /// `tag`, which is right as long as the epoch stays the same. `None` unless the port is idle
    /// and has a handler for the tag that is quick.
    pub(crate) fn claim(&self, tag: &[u8]) -> Option<(Slot, Epoch)> {
        let state = self.state.lock();
        if !state.alive || !state.queue.is_empty() {
            return None;
        }
        let Body::Handlers(handlers) = &state.body else {
            return None;
        };
        let slot = handlers
            .get(Some(tag))
            .filter(|slot| slot.is_quick)?
            .clone();
        let epoch = self.epoch();
        self.run.start().then_some((slot, epoch))
    }

    /// Claims the port again, for a handler that is right for this epoch. False if the port is
    /// not idle, or the epoch is over.
    #[inline]
    pub(crate) fn claim_again(&self, epoch: Epoch) -> bool {
        self.run.claim(epoch)
    }

    /// Ends a claim for that epoch.
    #[inline]
    pub(crate) fn unclaim(self: &Arc<Self>, node: &Arc<Inner>, epoch: Epoch) {
        if !self.run.unclaim(epoch) {
            self.unclaim_slowly(node);
        }
    }

    #[cold]
    fn unclaim_slowly(self: &Arc<Self>, node: &Arc<Inner>) {
        let state = self.state.lock();
        if state.queue.is_empty() || !state.alive {
            self.run.stop();
            return;
        }
        drop(state);
        jobs::schedule(node, Job::Run(self.clone()));
    }

    /// Lets a fresh port take messages.
    pub(crate) fn release(self: &Arc<Self>, node: &Arc<Inner>) {
        jobs::schedule(node, Job::Run(self.clone()));
    }
}
