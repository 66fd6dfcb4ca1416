//! A local port: its queue, its handlers, its monitors.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};

use compact_str::CompactString;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::Inner;
use super::code::{Outcome, caught, guarded, panic_text};
use super::context::Context;
use super::handler::{Handlers, Slot};
use super::jobs::{self, Job};
use super::monitor::{self, Watcher};
use super::queue::{self, Given, Item, Items, Popped, Queue};
pub(crate) use super::run_word::Start;
use super::run_word::{Epoch, RunWord};
use crate::log::log_at;
use crate::peering::Room;
use crate::proto::message::Head;
use crate::proto::{Limits, Message, PortId, Reason};

/// What takes a port's messages.
enum Body {
    /// `port` without a callback: a message is an error.
    Unset,
    /// A spawned port before its first callback: messages are ignored.
    Fresh,
    Handlers(Handlers),
    /// Messages stay in the queue until someone receives them.
    Mailbox(Arc<Notify>),
}

pub(crate) struct PortCell {
    pub(crate) id: PortId,
    run: RunWord,
    state: Mutex<State>,
}

struct State {
    alive: bool,
    /// A message that nothing takes kills the port.
    strict: bool,
    /// Someone waits for room in the queue.
    awaited: bool,
    queue: Queue,
    body: Body,
    /// What most ports do without.
    extra: Option<Box<Extra>>,
}

#[derive(Default)]
struct Extra {
    watchers: Vec<(u64, Watcher)>,
    /// The task that runs an asynchronous handler.
    task: Option<AbortHandle>,
}

impl State {
    /// Whether an asynchronous handler runs.
    fn has_task(&self) -> bool {
        self.extra
            .as_ref()
            .is_some_and(|extra| extra.task.is_some())
    }

    fn set_task(&mut self, task: Option<AbortHandle>) {
        if task.is_some() || self.extra.is_some() {
            self.extra.get_or_insert_default().task = task;
        }
        self.shrink();
    }

    fn shrink(&mut self) {
        let idle = |extra: &mut Box<Extra>| extra.watchers.is_empty() && extra.task.is_none();
        self.extra.take_if(idle);
    }
}

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
}

impl Drop for Running {
    fn drop(&mut self) {
        RUNNING.set(self.0);
    }
}

/// What follows from a message that was put into a queue.
pub(crate) enum Queued {
    /// Nothing.
    Done,
    /// Nothing: the port is dead.
    Dead,
    /// The port was idle: it has to be run.
    Run(Arc<PortCell>),
    /// There is no room; the message was dropped.
    Full(Arc<PortCell>),
    /// There is more than is allowed; the message was dropped, and the port has to die.
    Overflow(Arc<PortCell>),
}

/// What is to be done with a message.
enum Next {
    /// The handler that is known takes it, without the tag if it is for that.
    Handle { tagged: bool },
    /// Nothing takes it.
    Ignore,
    /// Nothing takes it, and that is an error.
    Refuse,
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

/// A death as it is found by [`PortCell::die`]: what is to be told of it.
struct Death {
    watchers: Vec<(u64, Watcher)>,
    /// Someone waits for room in the queue.
    awaited: bool,
}

impl PortCell {
    /// A new port. One that is held, because another node spawned it, takes no message before it is
    /// [released](Self::release).
    pub(crate) fn new(id: PortId, start: Start) -> Self {
        PortCell {
            id,
            run: RunWord::new(start),
            state: Mutex::new(State {
                alive: true,
                strict: false,
                awaited: false,
                queue: Queue::default(),
                body: match start {
                    Start::Held => Body::Fresh,
                    Start::Idle => Body::Unset,
                },
                extra: None,
            }),
        }
    }

    /// Puts a message into the queue, if fewer than `most` are there. What that leads to is left to the
    /// caller; nothing else of the node is touched. `shared`: the message is a part of a block.
    pub(crate) fn enqueue(
        self: &Arc<Self>,
        node: &Inner,
        message: Given<'_>,
        room: Room,
    ) -> Queued {
        let settings = &node.settings;
        let mut state = self.state.lock();
        if !state.alive {
            return Queued::Dead;
        }
        let waiting = state.queue.len();
        if let Room::Below(most) = room
            && waiting >= most
        {
            return Queued::Full(self.clone());
        }
        if waiting >= settings.max_mailbox || state.queue.octets() > settings.max_queue {
            return Queued::Overflow(self.clone());
        }
        let mailbox = match &state.body {
            Body::Mailbox(notify) => Some(notify.clone()),
            _ => None,
        };
        match message {
            Given::Encoded(array) if mailbox.is_none() => state.queue.push_encoded(array),
            Given::Encoded(array) => {
                let message = Message::from_local(array);
                state.queue.push(Item::Message(message));
            }
            Given::Read(message) => {
                // One that will wait must not keep the whole block alive that it was read into.
                let waits = self.run.is_running() || mailbox.is_some();
                let message = if waits { message.compact() } else { message };
                state.queue.push(Item::Message(message));
            }
        }
        if let Some(notify) = mailbox {
            notify.notify_one();
            return Queued::Done;
        }
        match self.run.queued() {
            true => Queued::Run(self.clone()),
            false => Queued::Done,
        }
    }

    /// The port dies of too many messages.
    #[cold]
    pub(crate) fn overflow(self: &Arc<Self>, node: &Arc<Inner>) {
        let (most, octets) = (node.settings.max_mailbox, node.settings.max_queue);
        let text =
            format!("more than {most} messages or {octets} octets are waiting in the port's queue");
        self.die_of(node, Reason::new(["overflow".to_owned(), text]));
    }

    /// Whether fewer than `most` messages wait. If not, the node's senders are told when that may have
    /// changed.
    pub(crate) fn has_room(&self, most: usize) -> bool {
        let mut state = self.state.lock();
        let room = state.queue.len() < most || !state.alive;
        state.awaited |= !room;
        room
    }

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
            state.queue.take_batch(TURN)
        };
        let context = Context::of(node, self.clone());
        let mut known = None;
        let over = loop {
            match batch.pop() {
                None => break false,
                Some(Popped::Kill(reason, _told)) => {
                    self.die_of(node, reason);
                    break true;
                }
                Some(Popped::Message(message)) => {
                    if self.handle(node, &context, &mut known, message, &mut batch) {
                        break true;
                    }
                }
                Some(Popped::Encoded(message)) => {
                    let array = batch.encoded(message);
                    let known_one = known.as_ref();
                    let limits = node.settings.limits;
                    let quick = known_one
                        .and_then(|known| self.handle_encoded(&context, known, array, limits));
                    let over = match quick {
                        Some(outcome) => self.conclude(node, outcome, &mut batch),
                        None => {
                            let message = Message::from_local(array);
                            self.handle(node, &context, &mut known, message, &mut batch)
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
        drop(state);
        if let Some(known) = known {
            known.slot.finish(); // it may have been closed just when it ended
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
        known: &mut Option<Known>,
        message: Message,
        batch: &mut Items,
    ) -> bool {
        let outcome = loop {
            let tagged = match self.next(known, &message) {
                Next::Handle { tagged } => tagged,
                Next::Ignore => return false,
                Next::Refuse => {
                    let text = "received message on port without callback";
                    self.die_of(node, Reason::die(text));
                    return true;
                }
                Next::Stop => {
                    let mut state = self.state.lock();
                    self.run.stop();
                    if let (true, Body::Mailbox(notify)) = (state.alive, &state.body) {
                        let notify = notify.clone();
                        batch.push_front(message);
                        state.queue.put_back(batch);
                        self.run.waits();
                        notify.notify_one();
                    }
                    return true;
                }
            };
            let Some(slot) = known.as_ref().map(|known| &known.slot) else {
                return false;
            };
            let Some(mut handler) = slot.enter() else {
                continue; // it was replaced just now
            };
            let message = match tagged {
                true => message.into_without_tag(),
                false => message,
            };
            let outcome = {
                let _running = Running::begin(self);
                guarded(|| handler.take(context, message))
            };
            drop(handler);
            slot.finish();
            break outcome;
        };
        self.conclude(node, outcome, batch)
    }

    /// Has the handler that is known take a message straight from its octets, if that can be done and
    /// comes to the same as [`handle`](Self::handle) does.
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
            Err(panic) => Outcome::Done(Err(panic_text(&*panic))),
        })
    }

    /// Does what follows from a message that was handled. True if the run ends with it.
    fn conclude(self: &Arc<Self>, node: &Arc<Inner>, outcome: Outcome, batch: &mut Items) -> bool {
        match outcome {
            Outcome::Done(Ok(())) => false,
            Outcome::Done(Err(text)) => {
                self.die_of(node, Reason::die(text));
                true
            }
            Outcome::Later(future) => {
                // If it goes on as a task, that runs the port from now on.
                self.drive(node, future, batch)
            }
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
            Body::Unset => return Next::Refuse,
            Body::Fresh => return Next::Ignore,
            Body::Mailbox(_) => return Next::Stop,
            Body::Handlers(handlers) => handlers,
        };
        let tagged = tag.and_then(|tag| Some((handlers.get(Some(tag.as_bytes()))?, Some(tag))));
        let Some((slot, tag)) = tagged.or_else(|| Some((handlers.get(None)?, None))) else {
            return match state.strict {
                true => Next::Refuse,
                false => Next::Ignore,
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

    /// Gives the caller the port as if it took a message out of its queue, and the handler for `tag`,
    /// which is right as long as the epoch stays the same. `None` unless the port is idle and has a
    /// handler for the tag that is quick.
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

    /// FastPath the port again, for a handler that is right for this epoch. False if the port is not idle,
    /// or the epoch is over.
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

    /// Starts an asynchronous handler. True if it goes on as a task, which then runs the port, with the
    /// rest of the batch.
    pub(crate) fn drive(
        self: &Arc<Self>,
        node: &Arc<Inner>,
        mut future: Pin<Box<dyn Future<Output = Result<(), String>> + Send>>,
        batch: &mut Items,
    ) -> bool {
        // Many handlers end at their first poll; a task for these would be a waste.
        let mut now = TaskContext::from_waker(Waker::noop());
        let first = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut now)));
        match first {
            Ok(Poll::Ready(Ok(()))) => false,
            Ok(Poll::Ready(Err(text))) => {
                self.die_of(node, Reason::die(text));
                false
            }
            Err(panic) => {
                self.die_of(node, Reason::die(panic_text(&*panic)));
                false
            }
            Ok(Poll::Pending) => {
                let (port, home) = (self.clone(), node.clone());
                // Under the lock, so that the task can't end before it is known here.
                let mut state = self.state.lock();
                if !state.alive {
                    self.run.stop();
                    drop(state);
                    drop(future);
                    return true;
                }
                state.queue.put_back(batch);
                self.run.waits();
                let task = node.runtime.spawn(async move {
                    let result = caught(future).await;
                    jobs::enter(&home.runtime, || {
                        port.state.lock().set_task(None);
                        if let Err(text) = result {
                            port.die_of(&home, Reason::die(text));
                        }
                        port.run(&home);
                    });
                });
                state.set_task(Some(task.abort_handle()));
                true
            }
        }
    }

    /// Sets or removes a handler; `None` as tag is the default handler. False if the port is dead.
    pub(crate) fn set_handler(
        self: &Arc<Self>,
        node: &Arc<Inner>,
        tag: Option<&str>,
        slot: Option<Slot>,
    ) -> bool {
        let mut state = self.state.lock();
        if !state.alive {
            return false;
        }
        state.strict |= matches!(state.body, Body::Unset);
        if !matches!(state.body, Body::Handlers(_)) {
            state.body = Body::Handlers(Handlers::None);
        }
        self.run.change();
        // What is replaced may run code when it is dropped: not under our lock.
        let replaced = match &mut state.body {
            Body::Handlers(handlers) => handlers.set(tag, slot),
            _ => None,
        };
        let wake = !state.queue.is_empty() && self.run.queued();
        drop(state);
        if let Some(replaced) = replaced {
            replaced.close();
        }
        if wake {
            jobs::schedule(node, Job::Run(self.clone()));
        }
        true
    }

    /// Whether a spawned port has got something that takes its messages.
    pub(crate) fn is_fresh(&self) -> bool {
        matches!(self.state.lock().body, Body::Fresh)
    }

    /// Turns the port into a mailbox; its messages wait until they are received.
    pub(crate) fn become_mailbox(&self) -> Option<Arc<Notify>> {
        let mut state = self.state.lock();
        if !state.alive {
            return None;
        }
        if let Body::Mailbox(notify) = &state.body {
            return Some(notify.clone());
        }
        let notify = Arc::new(Notify::new());
        self.run.change();
        let replaced = std::mem::replace(&mut state.body, Body::Mailbox(notify.clone()));
        state.queue.own();
        drop(state);
        if let Body::Handlers(handlers) = replaced {
            handlers.close();
        }
        Some(notify)
    }

    /// Takes the first message that `wanted` agrees to out of a mailbox. `Err` if there is none and the
    /// port is dead.
    pub(crate) fn take(
        &self,
        node: &Inner,
        wanted: &mut dyn FnMut(&Message) -> bool,
    ) -> Result<Option<Message>, ()> {
        let mut state = self.state.lock();
        match state.queue.take_where(wanted) {
            Some(message) => {
                node.tell_room(&mut state.awaited);
                Ok(Some(message))
            }
            None if state.alive => Ok(None),
            None => Err(()),
        }
    }

    /// Adds a monitor. `Err` gives it back if the port is dead.
    pub(crate) fn watch(&self, serial: u64, watcher: Watcher) -> Result<(), Watcher> {
        let mut state = self.state.lock();
        if !state.alive {
            return Err(watcher);
        }
        let watchers = &mut state.extra.get_or_insert_default().watchers;
        let again = matches!(&watcher, Watcher::Node(node)
            if watchers.iter().any(|(_, w)| matches!(w, Watcher::Node(n) if n == node)));
        if !again {
            watchers.push((serial, watcher));
        }
        Ok(())
    }

    /// Removes the monitors that `which` names.
    pub(crate) fn unwatch(&self, which: impl Fn(u64, &Watcher) -> bool) {
        let mut removed = Vec::new();
        let mut state = self.state.lock();
        if let Some(extra) = &mut state.extra {
            let gone = |(serial, watcher): &mut (u64, Watcher)| which(*serial, watcher);
            removed.extend(extra.watchers.extract_if(.., gone));
        }
        state.shrink();
        drop(state);
    }

    /// The port goes with its node, which tells nobody.
    pub(crate) fn abandon(&self) {
        drop(self.die());
    }

    fn die(&self) -> Option<Death> {
        let mut state = self.state.lock();
        if !state.alive {
            return None;
        }
        state.alive = false;
        self.run.change();
        let body = std::mem::replace(&mut state.body, Body::Fresh);
        // What a mailbox has got can still be received.
        let mailbox = matches!(body, Body::Mailbox(_));
        let queue = match mailbox {
            true => Queue::default(),
            false => std::mem::take(&mut state.queue),
        };
        let Extra { watchers, task } = state
            .extra
            .take()
            .map_or_else(Extra::default, |extra| *extra);
        let awaited = std::mem::take(&mut state.awaited);
        drop(state);
        if let Body::Mailbox(notify) = &body {
            notify.notify_one();
        }
        if let Some(task) = task {
            task.abort();
        }
        if let Body::Handlers(handlers) = &body {
            handlers.close();
        }
        drop((body, queue));
        Some(Death { watchers, awaited })
    }

    /// Kills the port, behind the messages that were sent to it before; its own code kills it at once.
    /// Killing a dead port does nothing.
    pub(crate) fn kill(self: &Arc<Self>, node: &Arc<Inner>, reason: Reason) {
        let mut state = self.state.lock();
        let own = RUNNING.get() == Arc::as_ptr(self);
        let at_once = own || state.has_task() || matches!(state.body, Body::Mailbox(_));
        if state.alive && self.run.is_running() && !at_once {
            state
                .queue
                .push(Item::Kill(reason, node.lifecycle.kill_waits()));
            let idle = self.run.queued();
            drop(state);
            if idle {
                jobs::schedule(node, Job::Run(self.clone()));
            }
            return;
        }
        drop(state);
        self.die_of(node, reason);
    }

    /// The port dies: its queue is dropped and all monitors on it fire once.
    pub(crate) fn die_of(self: &Arc<Self>, node: &Arc<Inner>, reason: Reason) {
        let Some(mut death) = self.die() else { return };
        // What they send is lost now, which nobody waits for.
        node.tell_room(&mut death.awaited);
        node.ports.remove(self.id.name());
        let silent = reason.is_normal() || reason.kind() == Some("no_such_port");
        if death.watchers.is_empty() && !silent {
            let name = self.id.name();
            log_at!(
                2,
                node = %node.id,
                port = %self.id,
                %reason,
                "unmonitored local port {name} died with reason: {reason}"
            );
        }
        for (_, watcher) in death.watchers {
            match watcher {
                Watcher::Node(peer) => node.tell_death(&peer, self.id.name(), &reason),
                Watcher::Local(action) => monitor::fire_soon(node, action, reason.clone()),
            }
        }
    }
}

impl std::fmt::Debug for PortCell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PortCell({})", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_small() {
        // With the counts of its Arc it fits into 128 octets, the allocator's own included.
        assert!(size_of::<PortCell>() <= 104);
    }
}
