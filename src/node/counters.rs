//! What a node counts from its start on: see [`Node::metrics`](super::Node::metrics).
//!
//! Nothing here is touched for each message: links count their own traffic, and ports look at the
//! peak once for what they take at a time.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::link::{Link, Traffic};
use super::report::{LinkLoss, PortDeath};
use crate::log::Shown;
use crate::net::LinkError;
use crate::proto::{NodeId, PortId, Reason};

/// Why a link, or the attempt to get one, was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// The other side closed the connection.
    Closed,
    /// The connection failed.
    Io,
    /// Nothing came for too long.
    Silent,
    /// What came is no message, or one beyond the limits.
    Framing,
    /// What the node made us hold was too much.
    Memory,
    /// What waited to be sent was too much.
    Queue,
    /// It could not be reached.
    Unreachable,
    /// This node stopped.
    Shutdown,
    /// The other side of a bridge was lost.
    Bridge,
    /// Something else.
    Other,
}

impl Loss {
    fn name(self) -> &'static str {
        match self {
            Loss::Closed => "closed",
            Loss::Io => "io",
            Loss::Silent => "silent",
            Loss::Framing => "framing",
            Loss::Memory => "memory",
            Loss::Queue => "queue",
            Loss::Unreachable => "unreachable",
            Loss::Shutdown => "shutdown",
            Loss::Bridge => "bridge",
            Loss::Other => "other",
        }
    }
}

impl From<&LinkError> for Loss {
    fn from(error: &LinkError) -> Self {
        match error {
            LinkError::Closed => Loss::Closed,
            LinkError::Silent(_) => Loss::Silent,
            LinkError::Framing(_) => Loss::Framing,
            LinkError::Memory { .. } => Loss::Memory,
            _ => Loss::Io,
        }
    }
}

/// Messages and octets of all links together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) sent: u64,
    pub(crate) sent_octets: u64,
    pub(crate) received: u64,
    pub(crate) received_octets: u64,
}

impl Sums {
    /// Adds what a link has counted, besides the messages that were sent.
    fn add(&mut self, traffic: &Traffic) {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        self.sent_octets += count(&traffic.sent_octets);
        self.received += count(&traffic.received);
        self.received_octets += count(&traffic.received_octets);
    }

    /// The larger of each.
    fn max(self, other: Self) -> Self {
        Sums {
            sent: self.sent.max(other.sent),
            sent_octets: self.sent_octets.max(other.sent_octets),
            received: self.received.max(other.received),
            received_octets: self.received_octets.max(other.received_octets),
        }
    }
}

/// The links that were lost.
#[derive(Default)]
struct Past {
    sums: Sums,
    /// Those whose halves may still be at work, and count.
    ending: Vec<Arc<Link>>,
}

impl Past {
    fn settle(&mut self) {
        let sums = &mut self.sums;
        self.ending.retain(|link| {
            let still = Arc::strong_count(link) > 1;
            if !still {
                sums.add(link.traffic());
            }
            still
        });
    }
}

/// How long handlers took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Timed {
    pub(crate) messages: u64,
    pub(crate) total: Duration,
    pub(crate) longest: Duration,
}

/// What happened lately, the oldest first, and when: so many of each sort.
struct Recent<T>(Mutex<VecDeque<(Instant, T)>>);

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Recent(Mutex::default())
    }
}

impl<T: Clone> Recent<T> {
    /// More than these nobody would read.
    const MOST: usize = 32;

    fn add(&self, what: T) {
        let mut all = self.0.lock();
        if all.len() == Self::MOST {
            all.pop_front();
        }
        all.push_back((Instant::now(), what));
    }

    /// All, the newest first, with how long ago each was.
    fn all(&self) -> Vec<(Duration, T)> {
        let all = self.0.lock();
        let newest_first = all.iter().rev();
        newest_first
            .map(|(at, what)| (at.elapsed(), what.clone()))
            .collect()
    }
}

/// The most characters of a text that is kept for who asks what happened.
const TEXT: usize = 200;

/// A reason of so many octets is kept as it is.
const REASON: usize = 1024;

/// The counters of a node.
#[derive(Default)]
pub(crate) struct Counters {
    links: AtomicU64,
    past: Mutex<Past>,
    /// What was shown last: a counter never goes back, even while a link is being lost.
    shown: Mutex<Sums>,
    losses: Mutex<BTreeMap<&'static str, u64>>,
    handshakes: Mutex<BTreeMap<&'static str, u64>>,
    deaths: Mutex<BTreeMap<String, u64>>,
    longest_queue: AtomicUsize,
    timing: AtomicBool,
    timed: Mutex<Timed>,
    recent_losses: Recent<(NodeId, &'static str, String)>,
    recent_deaths: Recent<(PortId, Reason)>,
}

/// So many kinds of deaths are told apart, and so many octets of each: programs and other nodes
/// choose them.
const KINDS: usize = 64;
const KIND: usize = 40;

/// What more kinds are counted as.
const OTHER: &str = "other";

impl Counters {
    /// A link is up.
    pub(crate) fn link_made(&self) {
        self.links.fetch_add(1, Ordering::Relaxed);
    }

    /// A link to a node, over which so many messages were sent, or an attempt was lost.
    pub(crate) fn lost(
        &self,
        node: &NodeId,
        link: Option<Arc<Link>>,
        sent: u64,
        loss: Loss,
        text: &str,
    ) {
        *self.losses.lock().entry(loss.name()).or_default() += 1;
        let text = Shown(text, TEXT).to_string();
        self.recent_losses.add((node.clone(), loss.name(), text));
        if let Some(link) = link {
            let mut past = self.past.lock();
            past.settle();
            past.sums.sent += sent;
            past.ending.push(link);
        }
    }

    /// A handshake failed.
    pub(crate) fn handshake_failed(&self, error: &LinkError) {
        *self.handshakes.lock().entry(error.kind()).or_default() += 1;
    }

    /// A port died. One that ended normally is counted, but nobody has to know which it was.
    pub(crate) fn died(&self, port: &PortId, reason: &Reason) {
        if !reason.is_normal() {
            // Ports may die by the thousand a second: their reasons are not put into words before
            // somebody asks, but for one that would keep much memory.
            let reason = match reason.size() <= REASON {
                true => reason.clone(),
                false => Reason::new([Shown(reason, TEXT).to_string()]),
            };
            self.recent_deaths.add((port.clone(), reason));
        }
        let kind = match reason.is_normal() {
            true => "normal",
            false => reason.kind().unwrap_or(OTHER),
        };
        let kind = crate::proto::clip(kind, KIND);
        let mut deaths = self.deaths.lock();
        if let Some(count) = deaths.get_mut(kind) {
            *count += 1;
            return;
        }
        let kind = if deaths.len() < KINDS { kind } else { OTHER };
        *deaths.entry(kind.to_owned()).or_default() += 1;
    }

    /// So many messages wait in a port.
    #[inline]
    pub(crate) fn waiting(&self, messages: usize) {
        if messages > self.longest_queue.load(Ordering::Relaxed) {
            self.longest_queue.fetch_max(messages, Ordering::Relaxed);
        }
    }

    pub(crate) fn time_handlers(&self, timing: bool) {
        self.timing.store(timing, Ordering::Relaxed);
    }

    /// Whether handlers are timed.
    #[inline]
    pub(crate) fn times_handlers(&self) -> bool {
        self.timing.load(Ordering::Relaxed)
    }

    /// A handler took so long.
    #[cold]
    pub(crate) fn handled(&self, time: Duration) {
        let mut timed = self.timed.lock();
        timed.messages += 1;
        timed.total += time;
        timed.longest = timed.longest.max(time);
    }

    pub(super) fn links(&self) -> u64 {
        self.links.load(Ordering::Relaxed)
    }

    /// The sums of all links, those that are up as `live` says. That is asked after the past was
    /// looked at: a link that is lost just then is left out once, and what was shown before counts.
    pub(super) fn sums(&self, live: impl FnOnce() -> Sums) -> Sums {
        let mut shown = self.shown.lock();
        let mut sums = {
            let mut past = self.past.lock();
            past.settle();
            let mut sums = past.sums;
            past.ending.iter().for_each(|link| sums.add(link.traffic()));
            sums
        };
        let live = live();
        sums.sent += live.sent;
        sums.sent_octets += live.sent_octets;
        sums.received += live.received;
        sums.received_octets += live.received_octets;
        *shown = shown.max(sums);
        *shown
    }

    pub(super) fn losses(&self) -> BTreeMap<String, u64> {
        owned(&self.losses.lock())
    }

    pub(super) fn handshakes(&self) -> BTreeMap<String, u64> {
        owned(&self.handshakes.lock())
    }

    pub(super) fn deaths(&self) -> BTreeMap<String, u64> {
        self.deaths.lock().clone()
    }

    /// The links and attempts that were lost last, the newest first.
    pub(super) fn recent_losses(&self) -> Vec<LinkLoss> {
        let all = self.recent_losses.all().into_iter();
        all.map(|(ago, (node, kind, reason))| LinkLoss {
            node,
            kind: kind.to_owned(),
            reason,
            ago,
        })
        .collect()
    }

    /// The ports that died last of something, the newest first.
    pub(super) fn recent_deaths(&self) -> Vec<PortDeath> {
        let all = self.recent_deaths.all().into_iter();
        all.map(|(ago, (port, reason))| PortDeath {
            port,
            reason: Shown(reason, TEXT).to_string(),
            ago,
        })
        .collect()
    }

    pub(super) fn longest_queue(&self) -> usize {
        self.longest_queue.load(Ordering::Relaxed)
    }

    pub(super) fn timed(&self) -> Timed {
        *self.timed.lock()
    }
}

fn owned(counts: &BTreeMap<&'static str, u64>) -> BTreeMap<String, u64> {
    let counts = counts.iter();
    counts
        .map(|(name, count)| ((*name).to_owned(), *count))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_bounded_whatever_others_choose() {
        let counters = Counters::default();
        let port = PortId::new("a#1");
        counters.died(&port, &Reason::normal());
        counters.died(&port, &Reason::new([7]));
        for n in 0..1000 {
            counters.died(&port, &Reason::new([format!("{n}{}", "x".repeat(1000))]));
        }
        counters.died(&port, &Reason::die("oops"));
        let deaths = counters.deaths();
        assert!(deaths.len() <= KINDS + 1, "{}", deaths.len());
        assert!(deaths.keys().all(|kind| kind.len() <= KIND));
        assert_eq!(deaths["normal"], 1);
        assert_eq!(deaths.values().sum::<u64>(), 1003);
    }

    #[test]
    fn the_last_that_happened_is_kept_and_no_more() {
        let counters = Counters::default();
        counters.died(&PortId::new("a#0"), &Reason::normal());
        for n in 0..100 {
            let port = PortId::new(format!("a#{n}"));
            counters.died(&port, &Reason::die(format!("{n}\n{}", "x".repeat(1000))));
            let node = NodeId::new(format!("n{n}"));
            counters.lost(&node, None, 0, Loss::Unreachable, "no way");
        }
        let deaths = counters.recent_deaths();
        assert_eq!(deaths.len(), Recent::<()>::MOST);
        assert_eq!(deaths[0].port, PortId::new("a#99"));
        let reason = &deaths[0].reason;
        assert!(
            reason.starts_with("die 99\\n") && reason.len() < 2 * TEXT,
            "{reason}"
        );
        let losses = counters.recent_losses();
        assert_eq!(losses.len(), Recent::<()>::MOST);
        let last = (
            losses[0].node.as_str(),
            &*losses[0].kind,
            &*losses[0].reason,
        );
        assert_eq!(last, ("n99", "unreachable", "no way"));
    }

    #[test]
    fn what_was_shown_never_goes_back() {
        let counters = Counters::default();
        let sums = |sent| Sums {
            sent,
            ..Sums::default()
        };
        assert_eq!(counters.sums(|| sums(1000)), sums(1000));
        // The link is gone, and not among those of the past yet.
        assert_eq!(counters.sums(|| sums(0)), sums(1000));
        counters.past.lock().sums.sent = 1001;
        assert_eq!(counters.sums(|| sums(1)), sums(1002));
    }
}
