//! Tasks that end with their port: asynchronous handlers at work, and what its code has spawned.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};

use tokio::task::AbortHandle;

use super::running::Running;
use super::{PortCell, State};
use crate::log::log_at;
use crate::node::code::{Handled, IntoOutcome, Work, caught, panic_text};
use crate::node::jobs::{self, Job};
use crate::node::queue::Items;
use crate::node::settings::Settings;
use crate::node::{Context, Inner, Port};

/// The tasks of a port.
#[derive(Debug)]
pub(super) struct Tasks {
    handles: Handles,
    /// So many handlers may be at work at a time.
    most: usize,
    at_work: usize,
    /// Of the messages that are being worked on.
    octets: usize,
    /// No more may be at work, so that the port does not run: a handler that ends sees to that.
    blocked: bool,
}

impl Default for Tasks {
    fn default() -> Self {
        Tasks {
            handles: Handles::default(),
            most: 1,
            at_work: 0,
            octets: 0,
            blocked: false,
        }
    }
}

impl Tasks {
    /// Whether it is as in the beginning.
    pub(super) fn is_nothing(&self) -> bool {
        self.most == 1 && self.handles.count == 0
    }

    /// How many handlers are at work.
    pub(super) fn at_work(&self) -> usize {
        self.at_work
    }

    pub(super) fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// What counts as if it still waited in the queue: messages and octets. So that there is room
    /// in the queue whatever is at work, that is at most half of what may wait there.
    pub(super) fn load(&self, settings: &Settings) -> (usize, usize) {
        match self.most {
            1 => (0, 0),
            _ => (self.at_work, self.octets.min(settings.max_queue / 2)),
        }
    }

    fn is_full(&self, settings: &Settings) -> bool {
        self.at_work >= self.most || self.at_work > 0 && self.octets >= settings.max_queue / 2
    }

    /// Whether the port is to run again, which is said once.
    fn unblock(&mut self, settings: &Settings) -> bool {
        let go_on = self.blocked && !self.is_full(settings);
        self.blocked &= !go_on;
        go_on
    }

    /// Ends them all.
    pub(super) fn abort(&self) {
        self.handles.each(AbortHandle::abort);
    }
}

/// Handles by numbers, which are used again. Most ports have one at the most.
#[derive(Debug, Default)]
struct Handles {
    first: Option<AbortHandle>,
    /// Those from 1 on.
    more: Vec<Slot>,
    /// The last number that was given back, if any of `more` was.
    free: Option<usize>,
    count: usize,
}

#[derive(Debug)]
enum Slot {
    Taken(AbortHandle),
    /// And the one that was given back before.
    Free(Option<usize>),
}

impl Handles {
    /// The number that is given out next.
    fn next(&self) -> usize {
        match self.first {
            None => 0,
            Some(_) => self.free.unwrap_or(self.more.len() + 1),
        }
    }

    fn add(&mut self, handle: AbortHandle) {
        self.count += 1;
        if self.first.is_none() {
            self.first = Some(handle);
            return;
        }
        let Some(free) = self.free else {
            self.more.push(Slot::Taken(handle));
            return;
        };
        let slot = std::mem::replace(&mut self.more[free - 1], Slot::Taken(handle));
        self.free = match slot {
            Slot::Free(before) => before,
            Slot::Taken(_) => None, // never: it was free
        };
    }

    /// Gives a number back that was given out.
    fn remove(&mut self, number: usize) {
        self.count -= 1;
        if number == 0 {
            self.first = None;
        } else {
            self.more[number - 1] = Slot::Free(self.free.replace(number));
        }
        if self.count == 0 {
            *self = Handles::default(); // with its memory
        }
    }

    fn each(&self, act: impl Fn(&AbortHandle)) {
        self.first.iter().for_each(&act);
        for slot in &self.more {
            if let Slot::Taken(handle) = slot {
                act(handle);
            }
        }
    }
}

impl State {
    fn tasks(&mut self) -> &mut Tasks {
        let extra = self.extra.get_or_insert_default();
        extra.tasks.get_or_insert_default()
    }

    /// Forgets a task that has ended. `None` if the port has died meanwhile.
    fn end_task(&mut self, number: usize) -> Option<&mut Tasks> {
        if !self.alive {
            return None;
        }
        let tasks = self.tasks();
        tasks.handles.remove(number);
        Some(tasks)
    }

    /// How many messages wait or are at work, and how many octets these have.
    #[inline]
    pub(super) fn load(&self, settings: &Settings) -> (usize, usize) {
        let (messages, octets) = (self.queue.len(), self.queue.octets());
        match self.extra.as_ref().and_then(|extra| extra.tasks.as_ref()) {
            None => (messages, octets),
            Some(tasks) => {
                let (at_work, of_them) = tasks.load(settings);
                (messages + at_work, octets + of_them)
            }
        }
    }
}

/// Awaits code of a port; a panic becomes a failure.
async fn of_port(port: &PortCell, mut work: Work) -> Handled {
    std::future::poll_fn(move |cx| port.poll(&mut work, cx)).await
}

impl PortCell {
    fn poll(&self, work: &mut Work, cx: &mut TaskContext<'_>) -> Poll<Handled> {
        let _running = Running::begin(self);
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx)));
        polled.unwrap_or_else(|panic| Poll::Ready(Err(panic_text(&*panic).into())))
    }

    /// Starts an asynchronous handler, for a message of so many octets. True if it goes on as a
    /// task and no other message may be taken meanwhile: then the task runs the port, with the rest
    /// of the batch.
    pub(crate) fn drive(
        self: &Arc<Self>,
        node: &Arc<Inner>,
        mut work: Work,
        octets: usize,
        batch: &mut Items,
    ) -> bool {
        // Many handlers end at their first poll; a task for these would be a waste.
        if let Poll::Ready(result) =
            self.poll(&mut work, &mut TaskContext::from_waker(Waker::noop()))
        {
            if let Err(failure) = result {
                self.die_of(node, failure.into());
            }
            return false;
        }
        let (port, home) = (self.clone(), node.clone());
        // Under the lock, so that the task can't end before it is known here.
        let mut state = self.state.lock();
        if !state.alive {
            self.run.stop();
            drop(state);
            drop(work);
            return true;
        }
        let tasks = state.tasks();
        let number = tasks.handles.next();
        let task = node.runtime.spawn(async move {
            let result = of_port(&port, work).await;
            jobs::enter(&home.runtime, || {
                port.worked(&home, number, octets, result);
            });
        });
        tasks.handles.add(task.abort_handle());
        tasks.at_work += 1;
        tasks.octets += octets;
        tasks.blocked = tasks.is_full(&node.settings);
        if !tasks.blocked {
            return false;
        }
        state.queue.put_back(batch);
        self.run.waits();
        self.let_go(node, state);
        true
    }

    /// A handler has ended that went on as a task.
    fn worked(self: &Arc<Self>, node: &Arc<Inner>, number: usize, octets: usize, result: Handled) {
        let mut state = self.state.lock();
        let Some(tasks) = state.end_task(number) else {
            return;
        };
        tasks.at_work -= 1;
        tasks.octets -= octets;
        let go_on = tasks.unblock(&node.settings);
        state.shrink();
        drop(state);
        if let Err(failure) = result {
            self.die_of(node, failure.into());
        }
        if go_on {
            self.run(node);
        }
    }

    /// Sets how many handlers may be at work at a time.
    fn set_most(self: &Arc<Self>, node: &Arc<Inner>, most: usize) {
        let settings = &node.settings;
        // What may be at work and what may wait together stay within the bound of the port.
        let room = settings.max_mailbox - settings.high_water().messages;
        let mut state = self.state.lock();
        if !state.alive {
            return;
        }
        let tasks = state.tasks();
        tasks.most = most.min(room).max(1);
        let go_on = tasks.unblock(settings);
        state.shrink();
        drop(state);
        if go_on {
            jobs::schedule(node, Job::Run(self.clone()));
        }
    }

    /// Runs a task that ends with the port.
    pub(crate) fn spawn_task(self: &Arc<Self>, node: &Arc<Inner>, work: Work) {
        let (port, home) = (self.clone(), node.clone());
        let mut state = self.state.lock();
        if !state.alive {
            drop(state);
            drop(work);
            return;
        }
        let tasks = state.tasks();
        let number = tasks.handles.next();
        let task = node.spawn_port_task(async move {
            let result = of_port(&port, work).await;
            let mut state = port.state.lock();
            state.end_task(number);
            state.shrink();
            drop(state);
            if let Err(failure) = result {
                jobs::enter(&home.runtime, || port.die_of(&home, failure.into()));
            }
        });
        tasks.handles.add(task);
    }
}

impl Port {
    /// Has so many asynchronous handlers of this port at work at a time; without it, it is one.
    ///
    /// They start in the order of the messages, and end as they do. The port takes no further
    /// message while so many are at work: what comes waits in its queue, and who sends with
    /// [`snd_wait`](crate::Node::snd_wait) waits with it. What is at work counts as if it still
    /// waited (`max_mailbox`, `max_queue`), and takes at most half of that room. Handlers that are
    /// not asynchronous run one after the other, as ever.
    ///
    /// When the port dies all that is at work is dropped; an error or a panic of one handler kills
    /// the port, as ever. With [`answer_async`](Self::answer_async) an error is an answer.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// let node = aemp::Node::local();
    /// let port = node.port();
    /// port.concurrently(10).answer_async("later", |_, (n,): (u32,)| async move {
    ///     tokio::time::sleep(Duration::from_secs(1)).await;
    ///     Ok::<_, &str>(n + 1)
    /// });
    /// let begun = tokio::time::Instant::now();
    /// let call = |n: u32| { let (node, port) = (&node, &port); async move { node.cal::<u32>(port, &("later", n), None).await } };
    /// let (one, two) = tokio::join!(call(1), call(2));
    /// assert_eq!((one?, two?), (2, 3));
    /// assert_eq!(begun.elapsed().as_secs(), 1);
    /// # Ok(()) }
    /// ```
    pub fn concurrently(&self, most: usize) -> &Self {
        if let Some(cell) = self.cell() {
            cell.set_most(self.node(), most);
        }
        self
    }

    /// Runs a task that belongs to this port: it is dropped when the port dies, and if it fails or
    /// panics, the port dies of that. If the port is dead, it does not even begin.
    ///
    /// The port goes on with its messages meanwhile, and the task ends nothing when it is done.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use aemp::{Handled, Reason};
    /// let node = aemp::Node::local();
    /// let port = node.port();
    /// let (died, reason) = tokio::sync::oneshot::channel();
    /// node.mon(&port, |reason| drop(died.send(reason)));
    /// port.spawn_task(async {
    ///     let n: u32 = "x".parse()?;
    ///     println!("{n}");
    ///     Handled::Ok(())
    /// });
    /// assert_eq!(reason.await?, Reason::die("invalid digit found in string"));
    /// # Ok(()) }
    /// ```
    pub fn spawn_task<R: IntoOutcome>(&self, task: impl Future<Output = R> + Send + 'static) {
        if let Some(cell) = self.cell() {
            cell.spawn_task(self.node(), work(task));
        }
    }
}

fn work<R: IntoOutcome>(task: impl Future<Output = R> + Send + 'static) -> Work {
    Box::pin(async move { task.await.into_outcome() })
}

impl Context {
    /// Runs a task that belongs to this port: see [`Port::spawn_task`]. (In a function that another
    /// node called as a request, which runs for no port, it ends with the node, and its error is a
    /// line in the log.)
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use aemp::{Node, PortId};
    /// use std::time::Duration;
    /// let node = Node::local();
    /// let port = node.port();
    /// port.rcv("every", |cx, (millis, to): (u64, PortId)| {
    ///     let own = cx.clone();
    ///     cx.spawn_task(async move {
    ///         let mut ticks = tokio::time::interval(Duration::from_millis(millis));
    ///         loop {
    ///             ticks.tick().await;
    ///             own.snd(&to, &("tick",))?;
    ///         }
    ///         #[allow(unreachable_code)]
    ///         aemp::Handled::Ok(())
    ///     });
    /// });
    /// let mut inbox = node.mailbox();
    /// node.snd(&port, &("every", 1, inbox.id()))?;
    /// inbox.recv_tag("tick").await?;
    /// port.kil(aemp::Reason::normal()); // the ticks end with it
    /// # Ok(()) }
    /// ```
    pub fn spawn_task<R: IntoOutcome>(&self, task: impl Future<Output = R> + Send + 'static) {
        let node = self.node().inner();
        let port = match self.cell() {
            Some(cell) => Some(cell.clone()),
            None => node.ports.get(self.id().name()),
        };
        match port {
            Some(port) => port.spawn_task(node, work(task)),
            None if self.id().is_node_port() => node.spawn_task(async move {
                if let Err(failure) = caught(work(task)).await {
                    log_at!(2, "a task of a request failed: {}", failure.text());
                }
            }),
            None => {} // the port is dead
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::Node;

    #[tokio::test]
    async fn numbers_are_used_again_and_memory_is_given_back() {
        let handle = || tokio::spawn(async {}).abort_handle();
        let mut handles = Handles::default();
        let add = |handles: &mut Handles| {
            let number = handles.next();
            handles.add(handle());
            number
        };
        let numbers: Vec<_> = (0..5).map(|_| add(&mut handles)).collect();
        assert_eq!(numbers, [0, 1, 2, 3, 4]);
        for number in [0, 3, 1] {
            handles.remove(number);
        }
        let numbers: Vec<_> = (0..4).map(|_| add(&mut handles)).collect();
        assert_eq!(numbers, [0, 1, 3, 5]);
        let count = std::cell::Cell::new(0);
        handles.each(|_| count.set(count.get() + 1));
        assert_eq!((count.get(), handles.count), (6, 6));
        (0..6).for_each(|number| handles.remove(number));
        assert_eq!((handles.count, handles.more.capacity()), (0, 0));
    }

    #[tokio::test]
    async fn what_has_ended_is_forgotten() {
        const MANY: usize = 100_000;
        let node = Node::local();
        let port = node.port();
        let cell = port.cell().unwrap();
        let alive = Arc::new(());
        for n in 0..MANY {
            let alive = alive.clone();
            port.spawn_task(async move {
                if n % 2 == 0 {
                    tokio::task::yield_now().await;
                }
                drop(alive);
            });
            if n % 1000 == 0 {
                tokio::task::yield_now().await;
            }
        }
        while Arc::strong_count(&alive) > 1 || cell.state.lock().extra.is_some() {
            tokio::task::yield_now().await;
        }
        assert!(port.is_alive());
    }
}
