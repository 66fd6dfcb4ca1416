//! What lies between two hosts, in one direction: how long it takes, and whether anything passes.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep, sleep_until};

/// What has one of its two lanes on a route, and is told what becomes of that. It is a
/// [connection](super::connection), which stands above its routes, so that they know it by no more
/// than this.
pub(super) trait Traveller: Send + Sync {
    /// Looks again whether something has arrived.
    fn wake_all(&self);

    /// Ends at once, for both sides.
    fn reset(&self);
}

/// The way from one host to another.
pub(super) struct Route {
    state: Mutex<State>,
    /// Tells connection attempts, which wait here in their order, that a partition was healed.
    healed: Notify,
    /// How many connections were made this way, and how many octets were read at its end.
    pub(super) connected: AtomicU64,
    pub(super) delivered: AtomicU64,
}

/// What takes what is written to a connection and gives what arrives in its place.
pub(super) type Middle = Box<dyn FnMut(&[u8]) -> Vec<u8> + Send>;

pub(super) type MakeMiddle = Arc<dyn Fn() -> Middle + Send + Sync>;

struct State {
    delay: Duration,
    /// How many octets a second pass.
    rate: Option<u64>,
    /// When all has passed that was sent while there was a rate.
    busy_until: Option<Instant>,
    /// Makes what stands on the way, for each new connection.
    middle: Option<MakeMiddle>,
    /// Since when nothing arrives.
    held_since: Option<Instant>,
    /// How many partitions there have been.
    partitions: u64,
    /// The connections that have one of their lanes here, by serial number.
    connections: BTreeMap<u64, Weak<dyn Traveller>>,
}

/// When something that was sent arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due {
    /// `None`: at once.
    pub(super) at: Option<Instant>,
    /// How many partitions there had been when it was sent. The time alone does not tell what was
    /// sent before a partition from what was sent after it: a paused clock shows the same for both.
    partitions: u64,
}

/// Whether something has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    Now,
    At(Instant),
    /// Not before the partition is healed.
    Held,
}

impl Route {
    pub(super) fn new(delay: Duration) -> Self {
        Route {
            state: Mutex::new(State {
                delay,
                rate: None,
                busy_until: None,
                middle: None,
                held_since: None,
                partitions: 0,
                connections: BTreeMap::new(),
            }),
            healed: Notify::new(),
            connected: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
        }
    }

    pub(super) fn set_delay(&self, delay: Duration) {
        self.state.lock().delay = delay;
    }

    pub(super) fn set_rate(&self, octets: Option<u64>) {
        let mut state = self.state.lock();
        state.rate = octets;
        state.busy_until = None;
    }

    pub(super) fn interpose(&self, make: MakeMiddle) {
        self.state.lock().middle = Some(make);
    }

    /// What stands on the way of a new connection.
    pub(super) fn middle(&self) -> Option<Middle> {
        let make = self.state.lock().middle.clone();
        make.map(|make| make())
    }

    /// When so many octets that are sent now will have arrived: never before `latest`, when what
    /// was sent before them does.
    pub(super) fn send(&self, latest: Option<Instant>, octets: usize) -> Due {
        let mut state = self.state.lock();
        let passed = state.pass(octets);
        let own = match state.delay.is_zero() {
            true => passed,
            false => Some(passed.unwrap_or_else(Instant::now) + state.delay),
        };
        Due {
            at: own.max(latest),
            partitions: state.partitions,
        }
    }

    /// What the route looks like now, to ask it about several things.
    pub(super) fn view(&self) -> View {
        let state = self.state.lock();
        View {
            held: state.held_since.map(|since| (since, state.partitions)),
            now: OnceCell::new(),
        }
    }

    /// Goes to the other end, as a connection attempt does.
    pub(super) async fn travel(&self) {
        let due = self.send(None, 0);
        loop {
            let mut healed = pin!(self.healed.notified());
            healed.as_mut().enable(); // before it is asked, so that no heal is missed
            match self.view().arrival(due) {
                Arrival::Now => return,
                Arrival::At(at) => sleep_until(at).await,
                Arrival::Held => healed.await,
            }
        }
    }

    /// Lets nothing arrive any more.
    pub(super) fn hold(&self) {
        let mut state = self.state.lock();
        if state.held_since.is_none() {
            state.held_since = Some(Instant::now());
            state.partitions += 1;
        }
    }

    /// Lets everything arrive again. Those who wait for that are still to be [woken](Self::wake).
    pub(super) fn open(&self) -> bool {
        self.state.lock().held_since.take().is_some()
    }

    /// Wakes those who wait for what was held: not to be called under a lock.
    pub(super) fn wake(&self) {
        self.healed.notify_waiters();
        for connection in self.connections() {
            connection.wake_all();
        }
    }

    pub(super) fn add(&self, serial: u64, connection: Weak<dyn Traveller>) {
        self.state.lock().connections.insert(serial, connection);
    }

    pub(super) fn remove(&self, serial: u64) {
        self.state.lock().connections.remove(&serial);
    }

    /// The connections over this route, in the order in which they were made.
    pub(super) fn connections(&self) -> Vec<Arc<dyn Traveller>> {
        let state = self.state.lock();
        state
            .connections
            .values()
            .filter_map(Weak::upgrade)
            .collect()
    }
}

impl State {
    /// When so many octets have passed, if that is later than now.
    fn pass(&mut self, octets: usize) -> Option<Instant> {
        let rate = self.rate?;
        let now = Instant::now();
        let begin = self.busy_until.map_or(now, |until| until.max(now));
        let takes = Duration::from_secs_f64(octets as f64 / rate as f64);
        self.busy_until = Some(begin + takes);
        self.busy_until
    }
}

/// A look at a route, and at the clock if that is needed.
pub(super) struct View {
    held: Option<(Instant, u64)>,
    now: OnceCell<Instant>,
}

impl View {
    pub(super) fn arrival(&self, due: Due) -> Arrival {
        match (self.held, due.at) {
            // What had arrived when the partition began can still be read.
            (Some((since, partitions)), at) => {
                match due.partitions < partitions && at.is_none_or(|at| at <= since) {
                    true => Arrival::Now,
                    false => Arrival::Held,
                }
            }
            (None, Some(at)) if at > *self.now.get_or_init(Instant::now) => Arrival::At(at),
            (None, _) => Arrival::Now,
        }
    }

    pub(super) fn has_arrived(&self, due: Due) -> bool {
        self.arrival(due) == Arrival::Now
    }
}

/// A timer that is made when it is first needed: without delays, nobody needs one.
#[derive(Default)]
pub(super) struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    /// Waits until `at`.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, at: Instant) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if sleep.deadline() != at {
            sleep.as_mut().reset(at);
        }
        sleep.as_mut().poll(cx)
    }
}

/// Adds to a counter of a route.
pub(super) fn count(counter: &AtomicU64, by: usize) {
    counter.fetch_add(by as u64, Ordering::Relaxed);
}
