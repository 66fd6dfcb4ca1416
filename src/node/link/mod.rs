//! Links to other nodes: which connection becomes one, its reader and its writer.
//!
//! A [`Peer`] is another node. What is to become of it is decided by the rules of
//! [`peering`](crate::peering), which are kept here under the one lock that a message to that node
//! takes; this room carries out what they decide:
//!
//! | file | what it does |
//! |---|---|
//! | [`attempt`] | runs an attempt to reach a node: asks, dials, gives up |
//! | [`admission`] | takes a connection from its greeting to the election |
//! | [`establish`] | makes the elected one the link |
//! | [`reader`], [`writer`] | the two halves of a link |
//! | [`output`] | what is to be written, and who waits for that |
//! | [`holding`] | which ports have no room |
//! | [`effects`] | what follows from a decision: closing, telling, firing |
//! | [`table`] | the other nodes by their IDs |

mod admission;
mod attempt;
mod claims;
mod effects;
mod end;
mod establish;
mod holding;
mod output;
mod reader;
mod table;
mod thread;
mod writer;

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

pub(crate) use admission::{
    Admission, accept_loop, begin, connect, dial_seed, right_to_dial, speaks_another_version,
};
pub(crate) use establish::Begun;
pub(crate) use holding::Told;
pub(crate) use table::Peers;

use super::held::{Account, Level};
use super::jobs;
use super::limits::Limit;
use super::monitor::{self, Action};
use super::request::Gate;
use super::stand_in::{Forwarded, Pair};
use super::stats::LinkStats;
use super::{Inner, Loss};
use crate::log::log_at;
use crate::net::WriteHalf;
use crate::net::tls::TlsInfo;
use crate::peering::{Form, LinkFacts, Monitored, Pace, Peering, Room, Sent, Wake, Which};
use crate::proto::handshake::{Peer as PeerInfo, Role};
use crate::proto::{Framing, Generation, NodeId, Reason};
use crate::rights::Rights;
use attempt::Attempt;
use end::End;

/// Another node.
pub(crate) struct Peer {
    pub(crate) id: NodeId,
    /// What it makes us hold.
    pub(crate) account: Arc<Account>,
    state: Mutex<State>,
    /// Tells who waits that something has changed.
    change: Notify,
    /// The framing of the present link, and [`TRACES`] if it takes traces, for those who encode a
    /// message before they take our lock.
    form: AtomicU8,
    /// The number of the present link, if the node there waits when it is told to; else 0.
    waits_on: AtomicU64,
}

/// What the lock of a peer guards.
struct State {
    rules: Peering<Action>,
    /// The link that the rules speak of.
    link: Option<Arc<Link>>,
    /// The attempt that the rules speak of.
    attempt: Option<Arc<Attempt>>,
    /// What is not written yet. Until the first link is up, it is in the account of who had us look
    /// for the node.
    queue: Level,
    /// The names of the ports there that have no room, if there are any.
    held: Option<Box<Level>>,
}

/// A connection that messages flow on.
pub(crate) struct Link {
    pub(crate) facts: LinkFacts,
    pub(crate) info: PeerInfo,
    pub(crate) recv_framing: Framing,
    /// The other end's address: where it listens, if we connected.
    pub(crate) remote: Box<str>,
    /// Whether we did.
    pub(crate) role: Role,
    /// The TLS that it goes through, if it does.
    pub(crate) tls: Option<Arc<TlsInfo>>,
    /// What the node at the other end may do here. `None`: everything.
    rights: RwLock<Option<Arc<Rights>>>,
    traffic: Traffic,
    /// There is something to write.
    ready: Notify,
    /// What the writer writes to, as long as it does.
    socket: Mutex<Option<Arc<WriteHalf>>>,
    /// The other side closed the connection.
    closed_there: AtomicBool,
    /// The link is lost or given up: both halves stop.
    end: End,
    /// What a bridge knows of the link.
    pub(crate) pair: Pair,
}

/// Counts of messages and octets; the messages that were sent are counted by the rules.
#[derive(Default)]
pub(crate) struct Traffic {
    pub(crate) sent_octets: AtomicU64,
    pub(crate) received: AtomicU64,
    pub(crate) received_octets: AtomicU64,
}

impl Link {
    fn new(facts: LinkFacts, info: PeerInfo, recv_framing: Framing, remote: String) -> Self {
        Link {
            facts,
            info,
            recv_framing,
            remote: remote.into(),
            role: Role::Listener,
            tls: None,
            rights: RwLock::default(),
            traffic: Traffic::default(),
            ready: Notify::new(),
            socket: Mutex::default(),
            closed_there: AtomicBool::new(false),
            end: End::default(),
            pair: Pair::default(),
        }
    }

    /// What it has counted so far.
    pub(crate) fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// What the node at the other end may do here. `None`: everything.
    pub(crate) fn rights(&self) -> Option<Arc<Rights>> {
        self.rights.read().clone()
    }

    /// Holds the node at the other end to the rules that are in force by now.
    pub(crate) fn hold_to(&self, gate: &Gate) {
        let certificate = self.tls.as_ref().and_then(|tls| tls.peer.as_ref());
        let fingerprint = certificate.map(|certificate| certificate.sha256.as_str());
        let node = self.info.greeting.node.as_str();
        *self.rights.write() = gate.rights_of(node, fingerprint);
    }

    /// The generation that is spoken on the link.
    pub(crate) fn generation(&self) -> Generation {
        self.facts.generation
    }

    /// Writes as much as goes at once.
    fn write(&self, octets: &[u8]) -> std::io::Result<usize> {
        match &*self.socket.lock() {
            Some(socket) => socket.try_write(octets),
            None => Ok(0),
        }
    }
}

/// The bit of a peer's form that says that it takes traces. No framing has it.
const TRACES: u8 = 0x80;

/// The peer was taken out of the table: look it up again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Retired;

/// What became of a message to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is on its way, or lost as the guarantee demands.
    Done,
    /// Too much is waiting already, here or in the port.
    NoRoom,
    /// It was written in a form that the link does not have.
    OtherForm,
    /// This node has stopped.
    Stopped,
}

impl Peer {
    /// A node that we have nothing to do with yet. What is to be sent to it is in the account of
    /// the peer that asks for it, if one does: whoever names nodes that nobody knows pays for what
    /// waits for them.
    pub(crate) fn new(
        id: NodeId,
        life: u64,
        account: Arc<Account>,
        asker: Option<&Arc<Account>>,
    ) -> Self {
        Peer {
            id,
            state: Mutex::new(State {
                rules: Peering::new(life),
                link: None,
                attempt: None,
                queue: asker.unwrap_or(&account).level(),
                held: None,
            }),
            account,
            change: Notify::new(),
            form: AtomicU8::new(Framing::Json as u8),
            waits_on: AtomicU64::new(0),
        }
    }

    /// The framing to encode messages in, most likely: see [`send`](Self::send).
    #[inline]
    pub(crate) fn framing(&self) -> Framing {
        let framing = self.form.load(Ordering::Relaxed) & !TRACES;
        let is = |known: &Framing| *known as u8 == framing;
        Framing::ALL.into_iter().find(is).unwrap_or(Framing::Json)
    }

    /// The form of a message, most likely, which is a part of a trace if that is said.
    #[inline]
    pub(crate) fn form(&self, traced: bool) -> Form {
        Form {
            framing: self.framing(),
            traced: traced && self.form.load(Ordering::Relaxed) & TRACES != 0,
        }
    }

    /// Notes what messages on a new link look like.
    fn note_form(&self, facts: &LinkFacts) {
        let traces = if facts.traces { TRACES } else { 0 };
        let form = facts.send_framing as u8 | traces;
        self.form.store(form, Ordering::Relaxed);
    }

    /// The present link.
    pub(crate) fn link(&self) -> Option<Arc<Link>> {
        self.state.lock().link.clone()
    }

    pub(crate) fn is_up(&self) -> bool {
        self.state.lock().rules.link().is_some()
    }

    /// The present life, if there is a link or an attempt to get one.
    pub(crate) fn life(&self) -> Option<u64> {
        self.state.lock().rules.life()
    }

    /// The link's counts, if there is one.
    pub(crate) fn stats(&self) -> Option<LinkStats> {
        let mut state = self.state.lock();
        let link = state.link.clone()?;
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Some(LinkStats {
            node: self.id.clone(),
            remote: link.remote.to_string(),
            generation: link.generation().name().to_owned(),
            provider: link.info.greeting.param("provider").map(str::to_owned),
            send_framing: link.facts.send_framing.name().to_owned(),
            recv_framing: link.recv_framing.name().to_owned(),
            tls: link.tls.as_deref().cloned(),
            sent: state.rules.outbox().sent(),
            sent_octets: count(&link.traffic.sent_octets),
            received: count(&link.traffic.received),
            received_octets: count(&link.traffic.received_octets),
            queued_octets: state.rules.unwritten(),
            held_octets: self.account.used(),
            reconnects: state.rules.reconnects(),
        })
    }

    /// Sends a message to the port `name` that is encoded in that form. What is in `encoded` after
    /// it was sent does not matter any more.
    pub(crate) fn send(
        self: &Arc<Self>,
        node: &Arc<Inner>,
        name: &str,
        form: Form,
        encoded: &mut Vec<u8>,
        room: Room,
    ) -> Result<Outcome, Retired> {
        // Port code is likely to send more, here or to others: that is gathered.
        let pace = match jobs::is_inside() {
            true => Pace::Gather,
            false => Pace::Direct,
        };
        self.decide(node, |rules| {
            let sender = thread::sender(self);
            rules.send(name, sender, form, encoded, room, pace)
        })
    }

    /// Sends what came by another link, encoded in `framing`, if the life in `bound` is the present
    /// one. The first time, the present life is put there.
    pub(crate) fn forward(
        self: &Arc<Self>,
        node: &Arc<Inner>,
        bound: &OnceLock<u64>,
        framing: Framing,
        encoded: &[u8],
    ) -> Result<Forwarded, Retired> {
        let mut forwarded = Forwarded::Done;
        let outcome = self.decide(node, |rules| {
            if rules.is_retired() {
                return Sent::Retired; // whose life nothing is bound to
            }
            let life = *bound.get_or_init(|| rules.present_life());
            let sent = rules.forward(life, framing, encoded);
            if sent == Sent::Lost {
                forwarded = Forwarded::Lost;
            }
            sent
        })?;
        Ok(match outcome {
            _ if node.is_stopping() => Forwarded::Lost,
            Outcome::OtherForm => Forwarded::OtherFraming,
            Outcome::Done | Outcome::NoRoom | Outcome::Stopped => forwarded,
        })
    }

    /// Asks the node to kill a port of its own.
    pub(crate) fn send_kill(
        self: &Arc<Self>,
        node: &Arc<Inner>,
        name: &str,
        reason: &Reason,
    ) -> Result<(), Retired> {
        if let Some(link) = self.link()
            && !link.generation().has_remote_kill()
        {
            let (id, generation) = (&self.id, link.generation());
            log_at!(
                8,
                "{id} (generation {generation}) can't be told to kill its port {name}"
            );
        }
        let kill = |rules: &mut Peering<Action>| rules.kill(name, thread::sender(self), reason);
        self.decide(node, kill).map(drop)
    }

    /// Tells the node that a local port that it monitors died, if it still does.
    pub(crate) fn send_death(self: &Arc<Self>, node: &Arc<Inner>, name: &str, reason: &Reason) {
        let _ = self.decide(node, |rules| rules.tell_death(name, reason));
    }

    /// Answers a monitor of a port that does not exist.
    pub(crate) fn send_missing(self: &Arc<Self>, node: &Arc<Inner>, name: &str) {
        let port = node.id.port(name);
        let _ = self.decide(node, |rules| rules.tell_missing(&port));
    }

    /// Monitors a port there, or with an empty name the node. The action is taken, unless that
    /// fails.
    pub(crate) fn monitor(
        self: &Arc<Self>,
        node: &Arc<Inner>,
        name: &str,
        serial: u64,
        action: &mut Option<Action>,
    ) -> Result<(), Retired> {
        let mut state = self.state.lock();
        let Some(given) = action.take() else {
            return Ok(());
        };
        if node.is_stopping() && !state.rules.is_retired() {
            drop(state);
            let reason = Reason::transport_error(self.id.as_str(), super::STOPPING);
            monitor::fire_soon(node, given, reason);
            return Ok(());
        }
        let sender = thread::sender(self);
        match state.rules.monitor(name, sender, serial, given) {
            Monitored::Set(wake) => self.follow_up(node, state, wake),
            Monitored::Retired(back) => {
                *action = Some(back);
                return Err(Retired);
            }
        }
        Ok(())
    }

    /// Ends a monitor.
    pub(crate) fn unmonitor(&self, name: &str, serial: u64) {
        let mut state = self.state.lock();
        let (action, wake) = state.rules.unmonitor(name, serial);
        self.wake_writer(&state, wake);
        drop(state);
        drop(action);
    }

    /// A port here is refused to the node: if it monitors it, it is told as if the port had died.
    pub(crate) fn refused_port(self: &Arc<Self>, node: &Arc<Inner>, name: &str, text: &str) {
        let reason = Reason::new(["refused", text]);
        self.send_death(node, name, &reason);
    }

    /// Whether somebody here monitors the port there.
    pub(crate) fn monitors_port(&self, name: &str) -> bool {
        self.state.lock().rules.monitors_port(name)
    }

    /// A port there died, as the node tells us: its monitors fire, in the order of its messages.
    /// The caller is the link's reader.
    pub(crate) fn port_died(&self, node: &Arc<Inner>, name: &str, reason: &Reason) {
        let due = self.state.lock().rules.died(name);
        for action in due {
            monitor::fire(node, action, reason.clone());
        }
    }

    /// Notes that the node monitors a local port.
    pub(crate) fn watches(&self, name: &str) {
        self.state.lock().rules.watch(name);
    }

    /// The node monitors the port no more.
    pub(crate) fn watches_no_more(&self, name: &str) {
        self.state.lock().rules.unwatch(name);
    }

    /// Has the rules decide on something to be sent, and looks after what follows from that.
    ///
    /// Always in one piece with what is decided: as calls, this was a tenth of what sending a small
    /// message takes.
    #[inline(always)]
    fn decide(
        self: &Arc<Self>,
        node: &Arc<Inner>,
        send: impl FnOnce(&mut Peering<Action>) -> Sent,
    ) -> Result<Outcome, Retired> {
        let mut state = self.state.lock();
        if node.is_stopping() && !state.rules.is_retired() {
            return Ok(Outcome::Stopped);
        }
        match send(&mut state.rules) {
            Sent::Done(wake) => self.follow_up(node, state, wake),
            Sent::Lost => {}
            Sent::NoRoom => return Ok(Outcome::NoRoom),
            Sent::OtherForm => return Ok(Outcome::OtherForm),
            Sent::Retired => return Err(Retired),
        }
        Ok(Outcome::Done)
    }

    /// How many octets are not written yet.
    pub(crate) fn unwritten(&self) -> usize {
        self.state.lock().rules.unwritten()
    }

    /// Whether something waits to be sent.
    fn waits(&self) -> bool {
        self.unwritten() > 0
    }

    /// Keeps the queue in its bounds, and sees to it that what was sent gets on.
    #[inline]
    fn follow_up(
        self: &Arc<Self>,
        node: &Arc<Inner>,
        mut state: parking_lot::MutexGuard<'_, State>,
        wake: Wake,
    ) {
        let unwritten = state.rules.unwritten();
        if unwritten > node.settings.max_queue {
            let limit = node.settings.max_queue;
            node.limits.met(Limit::Queue);
            let text = format!("more than {limit} octets are waiting to be sent");
            return self.lose(node, state, Which::Everything, Loss::Queue, &text);
        }
        if state.queue.set(unwritten).is_err() {
            node.limits.met(Limit::Memory);
            let most = node.memory.most();
            let text = format!(
                "{unwritten} octets are waiting to be sent, more than its share of the {most} \
                 (max_memory) that all nodes have"
            );
            return self.lose(node, state, Which::Everything, Loss::Memory, &text);
        }
        match wake {
            Wake::Nobody => {}
            Wake::Writer => self.wake_writer(&state, wake),
            Wake::Sender => {
                let link = state.link.clone();
                drop(state);
                if let Some(link) = link {
                    self.flush(&link, output::Cause::Sent);
                }
            }
            Wake::Attempt => self.want(node, state),
        }
    }

    /// Wakes the writer, unless this thread runs the link's reader, which will write.
    #[inline]
    fn wake_writer(&self, state: &State, wake: Wake) {
        if wake == Wake::Writer
            && let Some(link) = &state.link
            && !thread::is_reading(link)
        {
            link.ready.notify_one();
        }
    }

    /// The node is dropped, and the peer with it: nobody is told.
    pub(crate) fn abandon(&self) {
        let mut state = self.state.lock();
        let gone = State {
            rules: Peering::retired(0),
            link: None,
            attempt: None,
            queue: self.account.level(),
            held: None,
        };
        let held = std::mem::replace(&mut *state, gone);
        drop(state);
        drop(held);
    }

    /// Marks the peer as taken out of the table, if it holds nothing.
    fn retire(&self) -> bool {
        self.state.lock().rules.retire()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_and_its_link_are_small() {
        assert!(size_of::<Peer>() <= 368, "{}", size_of::<Peer>());
        assert!(size_of::<Link>() <= 320, "{}", size_of::<Link>());
    }
}
