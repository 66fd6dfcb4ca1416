//! A local port: its queue, its handlers, its monitors.

use std::cell::Cell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context as TaskContext, Poll, Waker};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::Inner;
use super::context::Context;
use super::handler::Slot;
use super::monitor::{self, Watcher};
use super::work::{self, Job};
use crate::log::log_at;
use crate::proto::{Message, PortId, Reason};

pub(crate) use super::handler::Outcome;

/// What takes a port's messages.
enum Body {
    /// `port` without a callback: a message is an error.
    Unset,
    /// A spawned port before its first callback: messages are ignored.
    Fresh,
    Handlers {
        default: Option<Slot>,
        /// Whether a message that nothing takes kills the port.
        strict: bool,
        tags: Tags,
    },
    /// Messages stay in the queue until someone receives them.
    Mailbox(Arc<Notify>),
}

pub(crate) struct PortCell {
    pub(crate) id: PortId,
    /// Changes whenever the handlers do, and with the port's death.
    epoch: AtomicU32,
    state: Mutex<State>,
}

/// The handlers by tag, sorted.
#[derive(Default)]
struct Tags(Vec<(Box<str>, Slot)>);

impl Tags {
    fn find(&self, tag: &[u8]) -> Result<usize, usize> {
        self.0
            .binary_search_by(|(other, _)| other.as_bytes().cmp(tag))
    }

    fn get(&self, tag: &[u8]) -> Option<&Slot> {
        self.find(tag).ok().map(|at| &self.0[at].1)
    }

    /// Sets or removes a handler. Gives back what was there.
    fn set(&mut self, tag: &str, slot: Option<Slot>) -> Option<Slot> {
        match (self.find(tag.as_bytes()), slot) {
            (Ok(at), Some(slot)) => Some(std::mem::replace(&mut self.0[at].1, slot)),
            (Ok(at), None) => Some(self.0.remove(at).1),
            (Err(at), Some(slot)) => {
                self.0.reserve_exact(1);
                self.0.insert(at, (tag.into(), slot));
                None
            }
            (Err(_), None) => None,
        }
    }
}

struct State {
    alive: bool,
    /// A thread or task is taking messages out of the queue, or holds the port for its init function.
    running: bool,
    queue: VecDeque<Item>,
    /// The octets of the messages in the queue.
    octets: usize,
    body: Body,
    watchers: Vec<(u64, Watcher)>,
    /// The task that runs an asynchronous handler.
    task: Option<AbortHandle>,
}

/// What waits in a port's queue.
enum Item {
    Message(Message),
    /// The port is to be killed, behind the messages that were sent before.
    Kill(Reason),
}

thread_local! {
    /// The port whose code this thread runs.
    static RUNNING: Cell<*const PortCell> = const { Cell::new(std::ptr::null()) };
}

/// Marks this thread as running the code of a port, until it is dropped.
pub(crate) struct Running(*const PortCell);

impl Running {
    pub(crate) fn begin(port: &Arc<PortCell>) -> Self {
        Running(RUNNING.replace(Arc::as_ptr(port)))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        RUNNING.set(self.0);
    }
}

/// What a port does next.
enum Next {
    Handle(Slot, Message),
    /// Nothing takes the message, and that is an error.
    Refuse(&'static str),
    Kill(Reason),
}

/// A death as it is found by [`PortCell::die`]: what is to be told of it.
struct Death {
    watchers: Vec<(u64, Watcher)>,
}

impl PortCell {
    /// A new port. A `fresh` one, spawned by another node, takes no message before it is
    /// [released](Self::release).
    pub(crate) fn new(id: PortId, fresh: bool) -> Self {
        PortCell {
            id,
            epoch: AtomicU32::new(0),
            state: Mutex::new(State {
                alive: true,
                running: fresh,
                queue: VecDeque::new(),
                octets: 0,
                body: if fresh { Body::Fresh } else { Body::Unset },
                watchers: Vec::new(),
                task: None,
            }),
        }
    }

    /// Puts a message into the queue; handlers run soon.
    pub(crate) fn deliver(self: &Arc<Self>, node: &Arc<Inner>, message: Message) {
        if self.enqueue(node, message) {
            work::schedule(node, Job::Run(self.clone()));
        }
    }

    /// Puts a message into the queue; if the port is idle, handlers run here and now. The caller runs no
    /// port's code.
    pub(crate) fn deliver_now(self: &Arc<Self>, node: &Arc<Inner>, message: Message) {
        if self.enqueue(node, message) {
            self.run(node);
        }
    }

    /// Puts a message into the queue. True if the caller has to run the port.
    fn enqueue(self: &Arc<Self>, node: &Arc<Inner>, message: Message) -> bool {
        let (most, most_octets) = (node.settings.max_mailbox, node.settings.max_queue);
        let mut state = self.state.lock();
        if !state.alive {
            return false;
        }
        if state.queue.len() >= most || state.octets > most_octets {
            drop(state);
            let text = format!(
                "more than {most} messages or {most_octets} octets are waiting in the port's queue"
            );
            self.die_of(node, Reason::new(["overflow".to_owned(), text]));
            return false;
        }
        let mailbox = match &state.body {
            Body::Mailbox(notify) => Some(notify.clone()),
            _ => None,
        };
        // A message that will wait must not keep the whole block alive that it was read into.
        let waits = state.running || mailbox.is_some();
        let message = if waits { message.compact() } else { message };
        state.octets += message.size();
        state.queue.push_back(Item::Message(message));
        if let Some(notify) = mailbox {
            notify.notify_one();
            return false;
        }
        !std::mem::replace(&mut state.running, true)
    }

    /// Lets handlers take messages until the queue is empty.
    pub(crate) fn run(self: &Arc<Self>, node: &Arc<Inner>) {
        /// How many messages a port takes before others get their turn.
        const TURN: usize = 128;
        let context = Context::new(node, self.id.clone());
        for _ in 0..TURN {
            let Some(next) = self.next() else { return };
            let outcome = match next {
                Next::Handle(slot, message) => {
                    let _running = Running::begin(self);
                    guarded(|| slot.lock().take(&context, message))
                }
                Next::Refuse(problem) => Outcome::Done(Err(problem.to_owned())),
                Next::Kill(reason) => return self.die_of(node, reason),
            };
            match outcome {
                Outcome::Done(Ok(())) => {}
                Outcome::Done(Err(text)) => self.die_of(node, Reason::die(text)),
                Outcome::Later(future) => {
                    if self.drive(node, future) {
                        return;
                    }
                }
            }
        }
        // The port stays marked as running, so that the order holds.
        work::schedule(node, Job::Run(self.clone()));
    }

    /// What a claim of the port relies on: see [`claim`](Self::claim).
    #[inline]
    pub(crate) fn epoch(&self) -> u32 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Gives the caller the port as if it took a message out of its queue, and the handler for `tag`,
    /// which is right as long as the epoch stays the same. `None` unless the port is idle, or is `held`
    /// by the caller already, and has a handler for the tag that is quick.
    pub(crate) fn claim(&self, tag: &[u8], held: bool) -> Option<(Slot, u32)> {
        let mut state = self.state.lock();
        let idle = state.alive && !state.running && state.queue.is_empty();
        if !idle && !(held && state.alive) {
            return None;
        }
        let Body::Handlers { tags, .. } = &state.body else {
            return None;
        };
        let slot = tags.get(tag).filter(|slot| slot.lock().is_quick())?.clone();
        state.running = true;
        Some((slot, self.epoch()))
    }

    /// Ends a claim.
    pub(crate) fn unclaim(self: &Arc<Self>, node: &Arc<Inner>) {
        let mut state = self.state.lock();
        if state.queue.is_empty() || !state.alive {
            state.running = false;
            return;
        }
        drop(state);
        work::schedule(node, Job::Run(self.clone()));
    }

    /// Lets a fresh port take messages.
    pub(crate) fn release(self: &Arc<Self>, node: &Arc<Inner>) {
        work::schedule(node, Job::Run(self.clone()));
    }

    /// Starts an asynchronous handler. True if it goes on as a task, which then runs the port.
    pub(crate) fn drive(
        self: &Arc<Self>,
        node: &Arc<Inner>,
        mut future: Pin<Box<dyn Future<Output = Result<(), String>> + Send>>,
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
                    state.running = false;
                    drop(state);
                    drop(future);
                    return true;
                }
                let task = node.runtime.spawn(async move {
                    let result = caught(future).await;
                    work::enter(&home.runtime, || {
                        port.state.lock().task = None;
                        if let Err(text) = result {
                            port.die_of(&home, Reason::die(text));
                        }
                        port.run(&home);
                    });
                });
                state.task = Some(task.abort_handle());
                true
            }
        }
    }

    /// What is to be done next; `None` ends the run.
    fn next(&self) -> Option<Next> {
        const NO_CALLBACK: &str = "received message on port without callback";
        let mut state = self.state.lock();
        loop {
            if !state.alive || matches!(state.body, Body::Mailbox(_)) {
                state.running = false;
                return None;
            }
            let message = match state.queue.pop_front() {
                None => {
                    state.running = false;
                    return None;
                }
                Some(Item::Kill(reason)) => return Some(Next::Kill(reason)),
                Some(Item::Message(message)) => message,
            };
            state.octets -= message.size();
            match &state.body {
                Body::Unset => return Some(Next::Refuse(NO_CALLBACK)),
                Body::Fresh | Body::Mailbox(_) => {}
                Body::Handlers {
                    default,
                    strict,
                    tags,
                } => {
                    if !tags.0.is_empty()
                        && let Some(tag) = message.tag()
                        && let Some(slot) = tags.get(tag.as_bytes())
                    {
                        let slot = slot.clone();
                        return Some(Next::Handle(slot, message.without_tag()));
                    }
                    match default {
                        Some(slot) => return Some(Next::Handle(slot.clone(), message)),
                        None if *strict => return Some(Next::Refuse(NO_CALLBACK)),
                        None => {}
                    }
                }
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
        let strict = matches!(state.body, Body::Unset);
        if !matches!(state.body, Body::Handlers { .. }) {
            state.body = Body::Handlers {
                default: None,
                strict,
                tags: Tags::default(),
            };
        }
        self.epoch.fetch_add(1, Ordering::Release);
        // What is replaced may run code when it is dropped: not under our lock.
        let replaced = match (&mut state.body, tag) {
            (Body::Handlers { default, .. }, None) => std::mem::replace(default, slot),
            (Body::Handlers { tags, .. }, Some(tag)) => tags.set(tag, slot),
            _ => None,
        };
        let wake = !state.queue.is_empty() && !state.running;
        state.running |= wake;
        drop(state);
        drop(replaced);
        if wake {
            work::schedule(node, Job::Run(self.clone()));
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
        self.epoch.fetch_add(1, Ordering::Release);
        let replaced = std::mem::replace(&mut state.body, Body::Mailbox(notify.clone()));
        drop(state);
        drop(replaced);
        Some(notify)
    }

    /// Takes the first message that `wanted` agrees to out of a mailbox. `Err` if there is none and the
    /// port is dead.
    pub(crate) fn take(
        &self,
        wanted: &mut dyn FnMut(&Message) -> bool,
    ) -> Result<Option<Message>, ()> {
        let mut state = self.state.lock();
        let mut wants = |item: &Item| matches!(item, Item::Message(message) if wanted(message));
        let found = state.queue.iter().position(&mut wants);
        match found.and_then(|at| state.queue.remove(at)) {
            Some(Item::Message(message)) => {
                state.octets -= message.size();
                Ok(Some(message))
            }
            _ if state.alive => Ok(None),
            _ => Err(()),
        }
    }

    /// Adds a monitor. `Err` gives it back if the port is dead.
    pub(crate) fn watch(&self, serial: u64, watcher: Watcher) -> Result<(), Watcher> {
        let mut state = self.state.lock();
        if !state.alive {
            return Err(watcher);
        }
        let again = matches!(&watcher, Watcher::Node(node)
            if state.watchers.iter().any(|(_, w)| matches!(w, Watcher::Node(n) if n == node)));
        if !again {
            state.watchers.push((serial, watcher));
        }
        Ok(())
    }

    /// Removes the monitors that `which` names.
    pub(crate) fn unwatch(&self, which: impl Fn(u64, &Watcher) -> bool) {
        let mut removed = Vec::new();
        let mut state = self.state.lock();
        let mut at = 0;
        while at < state.watchers.len() {
            match which(state.watchers[at].0, &state.watchers[at].1) {
                true => removed.push(state.watchers.swap_remove(at)),
                false => at += 1,
            }
        }
        drop(state);
    }

    fn die(&self) -> Option<Death> {
        let mut state = self.state.lock();
        if !state.alive {
            return None;
        }
        state.alive = false;
        self.epoch.fetch_add(1, Ordering::Release);
        let body = std::mem::replace(&mut state.body, Body::Fresh);
        // What a mailbox has got can still be received.
        let mailbox = matches!(body, Body::Mailbox(_));
        let queue = match mailbox {
            true => VecDeque::new(),
            false => std::mem::take(&mut state.queue),
        };
        let watchers = std::mem::take(&mut state.watchers);
        let task = state.task.take();
        drop(state);
        if let Body::Mailbox(notify) = &body {
            notify.notify_one();
        }
        if let Some(task) = task {
            task.abort();
        }
        drop((body, queue));
        Some(Death { watchers })
    }

    /// Kills the port, behind the messages that were sent to it before; its own code kills it at once.
    /// Killing a dead port does nothing.
    pub(crate) fn kill(self: &Arc<Self>, node: &Arc<Inner>, reason: Reason) {
        let mut state = self.state.lock();
        let own = RUNNING.get() == Arc::as_ptr(self);
        let at_once = own || state.task.is_some() || matches!(state.body, Body::Mailbox(_));
        if state.alive && state.running && !at_once {
            state.queue.push_back(Item::Kill(reason));
            return;
        }
        drop(state);
        self.die_of(node, reason);
    }

    /// The port dies: its queue is dropped and all monitors on it fire once.
    pub(crate) fn die_of(self: &Arc<Self>, node: &Arc<Inner>, reason: Reason) {
        let Some(death) = self.die() else { return };
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

/// Runs port code; a panic becomes the text of an error.
pub(crate) fn guarded(code: impl FnOnce() -> Outcome) -> Outcome {
    catch_unwind(AssertUnwindSafe(code))
        .unwrap_or_else(|panic| Outcome::Done(Err(panic_text(&*panic))))
}

/// Awaits port code; a panic becomes the text of an error.
pub(crate) async fn caught(
    mut future: Pin<Box<dyn Future<Output = Result<(), String>> + Send>>,
) -> Result<(), String> {
    std::future::poll_fn(move |cx| {
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(poll) => poll,
            Err(panic) => Poll::Ready(Err(panic_text(&*panic))),
        }
    })
    .await
}

pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "panic".to_owned())
}
