//! What happened: a list of events, each with its virtual time.

use std::fmt;
use std::sync::{Arc, Mutex};

use aemp::{PortId, Reason};
use tokio::time::Instant;

/// A node from its start to its end: the number of the node, and how often it was started before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Life {
    pub node: usize,
    pub nth: usize,
}

impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}/{}", self.node, self.nth)
    }
}

/// What a program saw or did.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A step of the schedule, in its text form.
    Step(String),
    Begun(Life),
    /// From here on what the program of this life does does not count.
    Over(Life, &'static str),
    /// A port of this number and ID is there, or will be as soon as it was spawned.
    Opened {
        port: u64,
        id: PortId,
        owner: Life,
    },
    /// Somebody killed a port.
    Killed {
        id: PortId,
        by: Life,
    },
    /// A numbered message, behind the monitor of this number.
    Sent {
        flow: u64,
        monitor: u64,
        n: u64,
    },
    /// A message that waited for room while its monitor fired: it may have been sent behind that.
    Adrift {
        monitor: u64,
        n: u64,
    },
    Got {
        at: PortId,
        flow: u64,
        monitor: u64,
        n: u64,
    },
    Watched {
        monitor: u64,
        id: PortId,
        by: Life,
        /// It fires by a message to a port, not by a call of code.
        by_message: bool,
    },
    Unwatched {
        monitor: u64,
    },
    Fired {
        monitor: u64,
        reason: Reason,
    },
    /// A call to a port.
    Called {
        call: u64,
        id: PortId,
        by: Life,
    },
    Answered {
        call: u64,
        how: String,
    },
    /// What a reader of changes was told does not fit what it was told before.
    Misled(String),
    /// What a node logged, for traces only.
    Logged(String),
}

/// The same ID in memory of its own.
pub fn copied_id(id: &PortId) -> PortId {
    PortId::new(id.as_str())
}

impl Event {
    /// Has memory of its own from now on, whomever it was cloned from.
    pub fn share_nothing(&mut self) {
        match self {
            Event::Opened { id, .. }
            | Event::Killed { id, .. }
            | Event::Got { at: id, .. }
            | Event::Watched { id, .. }
            | Event::Called { id, .. } => *id = copied_id(id),
            Event::Fired { reason, .. } => *reason = Reason::new(reason.values().to_vec()),
            Event::Step(_)
            | Event::Begun(_)
            | Event::Over(..)
            | Event::Sent { .. }
            | Event::Adrift { .. }
            | Event::Unwatched { .. }
            | Event::Answered { .. }
            | Event::Misled(_)
            | Event::Logged(_) => {}
        }
    }
}

/// An event and when it was, in microseconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub at: u64,
    pub event: Event,
}

/// Leaves out, repeats or changes what is written down: a fault that is put in by hand.
pub type Observer = Arc<dyn Fn(Event) -> Vec<Event> + Send + Sync>;

/// Who writes down what happens.
#[derive(Clone)]
pub struct Record {
    started: Instant,
    observer: Option<Observer>,
    entries: Arc<Mutex<Vec<Entry>>>,
}

impl Record {
    pub fn new(observer: Option<Observer>) -> Self {
        Record {
            started: Instant::now(),
            observer,
            entries: Arc::default(),
        }
    }

    pub fn push(&self, event: Event) {
        let at = self.started.elapsed().as_micros() as u64;
        let events = match &self.observer {
            None => vec![event],
            Some(observer) => observer(event),
        };
        let entries = events.into_iter().map(|event| Entry { at, event });
        self.entries.lock().unwrap().extend(entries);
    }

    pub fn now(&self) -> u64 {
        self.started.elapsed().as_micros() as u64
    }

    /// How many events there are so far, without what nodes logged.
    pub fn len(&self) -> usize {
        let entries = self.entries.lock().unwrap();
        let events = entries.iter();
        events
            .filter(|entry| !matches!(entry.event, Event::Logged(_)))
            .count()
    }

    pub fn has(&self, event: impl Fn(&Event) -> bool) -> bool {
        let entries = self.entries.lock().unwrap();
        entries.iter().any(|entry| event(&entry.event))
    }

    pub fn take(&self) -> Vec<Entry> {
        std::mem::take(&mut *self.entries.lock().unwrap())
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Entry { at, event } = self;
        write!(f, "{:>12.3} ", *at as f64 / 1e6)?;
        match event {
            Event::Step(step) => write!(f, "== {step}"),
            Event::Begun(life) => write!(f, "{life} begins"),
            Event::Over(life, how) => write!(f, "{life} {how}"),
            Event::Opened { port, id, owner } => write!(f, "{owner} has port {port}: {id}"),
            Event::Killed { id, by } => write!(f, "{by} kills {id}"),
            Event::Sent { flow, monitor, n } => {
                write!(f, "flow {flow} sends {n} behind monitor {monitor}")
            }
            Event::Adrift { monitor, n } => write!(f, "number {n} of monitor {monitor} is adrift"),
            Event::Got {
                at,
                flow,
                monitor,
                n,
            } => {
                write!(f, "{at} gets {n} of flow {flow}, behind monitor {monitor}")
            }
            Event::Watched {
                monitor, id, by, ..
            } => write!(f, "{by} sets monitor {monitor} on {id}"),
            Event::Unwatched { monitor } => write!(f, "monitor {monitor} is ended"),
            Event::Fired { monitor, reason } => write!(f, "monitor {monitor} fires: {reason}"),
            Event::Called { call, id, by } => write!(f, "{by} begins call {call} to {id}"),
            Event::Answered { call, how } => write!(f, "call {call} ends: {how}"),
            Event::Misled(how) => write!(f, "{how}"),
            Event::Logged(line) => write!(f, "   | {line}"),
        }
    }
}
