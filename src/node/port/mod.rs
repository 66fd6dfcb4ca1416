//! A local port: its queue, its handlers, its monitors.

mod death;
mod holding;
mod misfit;
mod running;
mod tasks;

use std::sync::Arc;

use atomic_waker::AtomicWaker;
use parking_lot::Mutex;

pub(crate) use super::run_word::Start;
pub use misfit::Misfit;
pub(crate) use running::Running;

use super::Inner;
use super::handler::{Handlers, Slot};
use super::held::Full;
use super::jobs::{self, Job};
use super::limits::Limit;
use super::link::Told;
use super::monitor::Watcher;
use super::queue::{Given, Item, Queue};
use super::run_word::RunWord;
use super::settings::{HighWater, Settings};
use super::values::ByValue;
use crate::peering::Room;
use crate::proto::{Message, NodeId, PortId, Reason};
use misfit::{Choice, Misfits};
use tasks::Tasks;

/// What takes a port's messages.
enum Body {
    /// `port` without a callback.
    Unset,
    /// A spawned port before its first callback.
    Fresh,
    Handlers(Handlers),
    /// Messages stay in the queue until someone receives them, who is woken.
    Mailbox(Arc<AtomicWaker>),
}

pub(crate) struct PortCell {
    pub(crate) id: PortId,
    run: RunWord,
    state: Mutex<State>,
}

struct State {
    alive: bool,
    /// What becomes of messages that it can't take.
    choice: Choice,
    /// Someone waits for room in the queue.
    awaited: bool,
    /// Peers were [told](Extra::told) to wait for room in the queue.
    holds: bool,
    queue: Queue,
    body: Body,
    /// What most ports do without.
    extra: Option<Box<Extra>>,
}

#[derive(Default)]
struct Extra {
    watchers: Vec<(u64, Watcher)>,
    tasks: Option<Box<Tasks>>,
    /// The node that has spawned the port, if that matters.
    spawner: Option<NodeId>,
    /// The peers that wait for room in the queue, as they were told.
    told: Vec<Told>,
    /// The program's code for messages that the port can't take.
    misfits: Option<Misfits>,
}

impl State {
    /// Whether asynchronous handlers have begun and not ended. What the port's code has spawned
    /// besides is none of these.
    fn has_handlers_at_work(&self) -> bool {
        let tasks = self.extra.as_ref().and_then(|extra| extra.tasks.as_ref());
        tasks.is_some_and(|tasks| tasks.at_work() > 0)
    }

    /// Whether a handler at work will run the port, when it has ended.
    fn is_blocked(&self) -> bool {
        let tasks = self.extra.as_ref().and_then(|extra| extra.tasks.as_ref());
        tasks.is_some_and(|tasks| tasks.is_blocked())
    }

    /// Whether a message is taken while the node drains. Of other nodes only what somebody may wait
    /// for: that is lost with all that follows, as the guarantee demands, and the links are lost
    /// soon.
    #[cold]
    fn takes_while_draining(&self, message: &Given<'_>) -> bool {
        !matches!(message, Given::Read(_, Some(_))) || matches!(self.body, Body::Mailbox(_))
    }

    fn shrink(&mut self) {
        let idle = |extra: &mut Box<Extra>| {
            extra.tasks.take_if(|tasks| tasks.is_nothing());
            extra.watchers.is_empty()
                && extra.tasks.is_none()
                && extra.spawner.is_none()
                && extra.told.is_empty()
                && extra.misfits.is_none()
        };
        self.extra.take_if(idle);
    }
}

/// What follows from a message that was put into a queue.
pub(crate) enum Queued {
    /// Nothing.
    Done,
    /// Its sender is to be [told](PortCell::hold) that there is no room for more.
    Hold(Arc<PortCell>),
    /// Nothing: the port is dead.
    Dead,
    /// The port was idle: it has to be run.
    Run(Arc<PortCell>),
    /// There is no room; the message was dropped.
    Full(Arc<PortCell>),
    /// There is more than is allowed; the message was dropped, and the port has to die.
    Overflow(Arc<PortCell>),
    /// Who sent the message makes this node hold too much; it was dropped.
    NoShare,
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
                choice: match start {
                    Start::Held => Choice::Spawned,
                    Start::Idle => Choice::This(Misfit::Kill),
                },
                awaited: false,
                holds: false,
                queue: Queue::default(),
                body: match start {
                    Start::Held => Body::Fresh,
                    Start::Idle => Body::Unset,
                },
                extra: None,
            }),
        }
    }

    /// A port that another node spawns, and that this node may do everything with, if it is said
    /// which.
    pub(crate) fn spawned(id: PortId, spawner: Option<NodeId>) -> Self {
        let port = Self::new(id, Start::Held);
        if spawner.is_some() {
            port.state.lock().extra = Some(Box::new(Extra {
                spawner,
                ..Extra::default()
            }));
        }
        port
    }

    /// Whether it was said that this node has spawned it.
    pub(crate) fn is_spawned_by(&self, node: &NodeId) -> bool {
        let state = self.state.lock();
        let extra = state.extra.as_ref();
        extra.is_some_and(|extra| extra.spawner.as_ref() == Some(node))
    }

    /// Puts a message into the queue, if there is such room. What that leads to is left to
    /// the caller; nothing else of the node is touched. `shared`: the message is a part of a block.
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
        let draining = node.lifecycle.is_draining();
        if draining && !state.takes_while_draining(&message) {
            return Queued::Done;
        }
        if let Some(refused) = self.refuses(&state, settings, room) {
            return refused;
        }
        let hold = match message {
            Given::Encoded(array) if !matches!(state.body, Body::Mailbox(_)) => {
                state.queue.push_encoded(array);
                false
            }
            message => match self.push_whole(&mut state, settings, message) {
                Ok(hold) => hold,
                Err(Full) => return Queued::NoShare,
            },
        };
        if draining {
            node.lifecycle.begins();
        }
        if let Body::Mailbox(reader) = &state.body {
            reader.wake();
        } else if self.run.queued() {
            return Queued::Run(self.clone());
        }
        match hold {
            true => Queued::Hold(self.clone()),
            false => Queued::Done,
        }
    }

    /// Puts a message into the queue that has memory of its own there. Says whether the peer that
    /// sent it is to be told to wait.
    fn push_whole(
        &self,
        state: &mut State,
        settings: &Settings,
        message: Given<'_>,
    ) -> Result<bool, Full> {
        let (message, from) = match message {
            Given::Encoded(array) => (Message::from_local(array), None),
            // One that will wait must not keep the whole block alive that it was read into.
            Given::Read(message, from)
                if self.run.is_running() || matches!(state.body, Body::Mailbox(_)) =>
            {
                (message.compact(), from)
            }
            Given::Read(message, from) => (message, from),
        };
        let Some(peer) = from else {
            state.queue.push(Item::Message(message));
            return Ok(false);
        };
        state.queue.push_of(&peer.account, message)?;
        Ok(state.queue.is_over(settings.high_water()) && state.has_to_tell(peer))
    }

    /// Whether a message has no room, and what follows from that.
    #[inline]
    fn refuses(self: &Arc<Self>, state: &State, settings: &Settings, room: Room) -> Option<Queued> {
        if room != Room::Any && state.queue.is_over(settings.high_water()) {
            return Some(Queued::Full(self.clone()));
        }
        let (messages, octets) = state.load(settings);
        let overflows = messages >= settings.max_mailbox || octets > settings.max_queue;
        overflows.then(|| Queued::Overflow(self.clone()))
    }

    /// Puts a value into the queue, as [`enqueue`](Self::enqueue) does with a message. `None`: it
    /// is still there, and has to be encoded.
    #[inline]
    pub(crate) fn enqueue_value<M: ByValue>(
        self: &Arc<Self>,
        node: &Inner,
        value: &mut Option<M>,
        room: Room,
    ) -> Option<Queued> {
        let mut state = self.state.lock();
        if !state.alive {
            return Some(Queued::Dead);
        }
        if !matches!(state.body, Body::Handlers(_)) {
            return None;
        }
        if let Some(refused) = self.refuses(&state, &node.settings, room) {
            return Some(refused);
        }
        if !state.queue.push_value(value) {
            return None;
        }
        if node.lifecycle.is_draining() {
            node.lifecycle.begins();
        }
        Some(match self.run.queued() {
            true => Queued::Run(self.clone()),
            false => Queued::Done,
        })
    }

    /// The port dies of too many messages.
    #[cold]
    pub(crate) fn overflow(self: &Arc<Self>, node: &Arc<Inner>) {
        let (most, octets) = (node.settings.max_mailbox, node.settings.max_queue);
        node.limits.met(Limit::Mailbox);
        node.counters.waiting(self.waiting().0);
        let text =
            format!("more than {most} messages or {octets} octets are waiting in the port's queue");
        self.die_of(node, Reason::new(["overflow".to_owned(), text]));
    }

    /// Whether there is room in the queue. If not, the node's senders are told when that may have
    /// changed.
    pub(crate) fn has_room(&self, high: HighWater) -> bool {
        let mut state = self.state.lock();
        let room = !state.queue.is_over(high) || !state.alive;
        state.awaited |= !room;
        room
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
    pub(crate) fn become_mailbox(&self) -> Option<Arc<AtomicWaker>> {
        let mut state = self.state.lock();
        if !state.alive {
            return None;
        }
        if let Body::Mailbox(reader) = &state.body {
            return Some(reader.clone());
        }
        let reader = Arc::new(AtomicWaker::new());
        self.run.change();
        let replaced = std::mem::replace(&mut state.body, Body::Mailbox(reader.clone()));
        state.queue.own();
        drop(state);
        if let Body::Handlers(handlers) = replaced {
            handlers.close();
        }
        Some(reader)
    }

    /// How many messages wait, and how many octets these have.
    pub(crate) fn waiting(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.queue.len(), state.queue.octets())
    }

    /// How many messages wait, and whether code of the port is at work.
    pub(crate) fn at_work(&self) -> (usize, bool) {
        let state = self.state.lock();
        (
            state.queue.len(),
            self.run.is_running() || state.has_handlers_at_work(),
        )
    }

    /// Takes the first message that `wanted` agrees to out of a mailbox. `Err` if there is none and
    /// the port is dead.
    pub(crate) fn take(
        &self,
        node: &Arc<Inner>,
        wanted: &mut dyn FnMut(&Message) -> bool,
    ) -> Result<Option<Message>, ()> {
        let mut state = self.state.lock();
        node.counters.waiting(state.queue.len());
        match state.queue.take_where(wanted) {
            Some(message) => {
                node.tell_room(&mut state.awaited);
                self.let_go(node, state);
                Ok(Some(message))
            }
            None if state.alive => Ok(None),
            None => Err(()),
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
