//! A local port: its queue, its handlers, its monitors.

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::Inner;
use super::context::Context;
use super::monitor::{self, Watcher};
use super::work::{self, Job};
use crate::log::log_at;
use crate::proto::{Message, PortId, Reason};

/// What became of a message that a handler took.
pub(crate) enum Outcome {
    Done(Result<(), String>),
    Later(Pin<Box<dyn Future<Output = Result<(), String>> + Send>>),
}

pub(crate) type Handler = Box<dyn FnMut(&Context, Message) -> Outcome + Send>;
/// One at a time runs in a port, so the lock is never waited for.
type Slot = Arc<Mutex<Handler>>;

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
        #[allow(clippy::box_collection, reason = "keeps ports without tags small")]
        tags: Option<Box<HashMap<Box<str>, Slot>>>,
    },
    /// Messages stay in the queue until someone receives them.
    Mailbox(Arc<Notify>),
}

pub(crate) struct PortCell {
    pub(crate) id: PortId,
    state: Mutex<State>,
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
        let (most, most_octets) = (node.settings.max_mailbox, node.settings.max_queue);
        let mut state = self.state.lock();
        if !state.alive {
            return;
        }
        if state.queue.len() >= most || state.octets > most_octets {
            drop(state);
            let text = format!(
                "more than {most} messages or {most_octets} octets are waiting in the port's queue"
            );
            self.die_of(node, Reason::new(["overflow".to_owned(), text]));
            return;
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
        } else if !state.running {
            state.running = true;
            drop(state);
            work::schedule(node, Job::Run(self.clone()));
        }
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
                    let outer = RUNNING.replace(Arc::as_ptr(self));
                    let outcome = guarded(|| (slot.lock())(&context, message));
                    RUNNING.set(outer);
                    outcome
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

    /// Lets a fresh port take messages.
    pub(crate) fn release(self: &Arc<Self>, node: &Arc<Inner>) {
        work::schedule(node, Job::Run(self.clone()));
    }

    /// Starts an asynchronous handler. True if it goes on as a task, which then runs the port.
    fn drive(
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
                    if let Some(tags) = tags
                        && let Some(tag) = message.tag()
                        && let Some(slot) = tags.get(&*tag)
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
        handler: Option<Handler>,
    ) -> bool {
        let slot = handler.map(|handler| Arc::new(Mutex::new(handler)));
        let mut state = self.state.lock();
        if !state.alive {
            return false;
        }
        let strict = matches!(state.body, Body::Unset);
        if !matches!(state.body, Body::Handlers { .. }) {
            state.body = Body::Handlers {
                default: None,
                strict,
                tags: None,
            };
        }
        // What is replaced may run code when it is dropped: not under our lock.
        let replaced = match (&mut state.body, tag) {
            (Body::Handlers { default, .. }, None) => std::mem::replace(default, slot),
            (Body::Handlers { tags, .. }, Some(tag)) => {
                let tags = tags.get_or_insert_default();
                match slot {
                    Some(slot) => tags.insert(tag.into(), slot),
                    None => tags.remove(tag),
                }
            }
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
