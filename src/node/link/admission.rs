//! From a connection to a link: dialling, accepting, and what is decided in between.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{SemaphorePermit, oneshot};
use tokio::time::{Instant, timeout};

use super::claims::{self, OwnClaims, PeerClaims};
use super::{Link, Peer, attempt, reader};
use crate::log::log_at;
use crate::mesh::state::Evidence;
use crate::net::{
    Entry, First, Greeted, INHERITS, LinkError, Listener, Nonces, Proved, Stream, Terms, Unproved,
    greet, greeting_patience,
};
use crate::node::limits::Limit;
use crate::node::{Inner, data};
use crate::peering::{Candidate, LinkFacts, Verdict};
use crate::proto::handshake::Role;
use crate::proto::host::host_of;
use crate::proto::{Handshake, HandshakeError};
use crate::rights::Action;

/// The accepted connections that have proved nothing yet, over all listeners of a node.
pub(crate) struct Admission {
    /// What is sent ends a connection.
    unproved: Mutex<Unproved<oneshot::Sender<()>>>,
    start: Instant,
    nonces: Nonces,
    pub(super) own_claims: OwnClaims,
    pub(super) peer_claims: PeerClaims,
}

impl Admission {
    /// At most so many connections at a time, and fewer if the process may not have twice as many
    /// files open: who proves nothing must not take the last one.
    pub(crate) fn new(max_handshakes: usize) -> Self {
        let files = most_files();
        let most = max_handshakes.min(files / 2);
        if most < max_handshakes {
            log_at!(
                2,
                "max_handshakes is {max_handshakes}, but this process may have {files} files \
                 open: {most} is the bound"
            );
        }
        Admission {
            unproved: Mutex::new(Unproved::new(most)),
            start: Instant::now(),
            nonces: Nonces::default(),
            own_claims: OwnClaims::default(),
            peer_claims: PeerClaims::default(),
        }
    }

    /// How many connections have proved nothing yet.
    pub(crate) fn unproved(&self) -> usize {
        self.unproved.lock().len()
    }
}

/// A place among the connections that have proved nothing.
struct Ticket {
    node: Arc<Inner>,
    number: u64,
}

impl Ticket {
    /// Gets one, as soon as there is room: another connection may have to end for it. Besides the
    /// ticket this gives what says that this connection has to.
    async fn get(node: &Arc<Inner>, remote: &str) -> (Ticket, oneshot::Receiver<()>) {
        let host = host_of(remote);
        loop {
            let (end, ended) = oneshot::channel();
            let admission = &node.admission;
            let now = admission.start.elapsed();
            let entry = admission.unproved.lock().enter(now, &host, |_| end);
            match entry {
                Entry::Wait(wait) => tokio::time::sleep(wait).await,
                Entry::Enter(number, ends) => {
                    if let Some(ends) = ends {
                        node.limits.met(Limit::Handshakes);
                        // It may just have ended by itself.
                        let _ = ends.send(());
                    }
                    let node = node.clone();
                    return (Ticket { node, number }, ended);
                }
            }
        }
    }

    /// The peer has greeted.
    fn greeted(&self) {
        self.node.admission.unproved.lock().greeted(self.number);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.node.admission.unproved.lock().leave(self.number);
    }
}

/// What a connection was made for.
#[derive(Debug, Clone)]
pub(super) enum Purpose {
    /// Somebody connected to us.
    Accepted,
    /// To reach a node.
    Node,
    /// To reach whoever is at a seed address.
    Seed(String),
}

/// Accepts connections until the node stops.
pub(crate) async fn accept_loop(node: Arc<Inner>, listener: Listener) {
    if INHERITS && let Err(error) = listener.apply(&node.settings.socket_options()) {
        log_at!(1, "can't set the options of a listener: {error}");
    }
    loop {
        match listener.accept().await {
            Ok((stream, remote)) => {
                let (ticket, ended) = Ticket::get(&node, &remote).await;
                let home = node.clone();
                node.spawn_task(async move {
                    tokio::select! {
                        () = serve(home.clone(), stream, &remote, ticket) => {}
                        Ok(()) = ended => {
                            let most = home.settings.max_handshakes;
                            log_at!(
                                2,
                                [host_of(&remote).as_str()],
                                "{remote} gives way to others: more than {most} connections \
                                 (max_handshakes) have proved nothing"
                            );
                        }
                    }
                });
            }
            Err(error) => {
                // Out of file descriptors, most likely: wait for some to be closed.
                log_at!(1, "can't accept a connection: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Serves a connection that was accepted.
async fn serve(node: Arc<Inner>, stream: Stream, remote: &str, ticket: Ticket) {
    let opened = Opened {
        remote,
        role: Role::Listener,
        purpose: Purpose::Accepted,
        // A listener waits for the greeting as long as for everything else.
        patience: node.settings.monitor_timeout(),
        ticket: Some(ticket),
    };
    if let Err(error) = admit(&node, stream, opened).await {
        if let LinkError::Handshake(HandshakeError::OwnNodeId { .. }) = &error {
            claims::of_our_id(&node, remote);
        }
        report(&node, remote, &error);
    }
}

/// Waits until a connection may be made, and gives the right to make it, which is kept until there
/// is a link or none will come of it.
pub(crate) async fn right_to_dial(node: &Inner) -> Option<SemaphorePermit<'_>> {
    if let Ok(right) = node.dials.try_acquire() {
        return Some(right);
    }
    node.limits.met(Limit::Dials);
    node.dials.acquire().await.ok()
}

/// Connects to a seed.
pub(crate) async fn dial_seed(node: Arc<Inner>, seed: String) {
    let right = right_to_dial(&node).await;
    let result = dial(node.clone(), &seed, Purpose::Seed(seed.clone())).await;
    drop(right);
    match &result {
        Err(LinkError::Handshake(HandshakeError::OwnNodeId { nonce, .. }))
            if node.admission.nonces.is_ours(nonce) =>
        {
            node.admission.own_claims.were_ours(&seed);
            node.control.seed_is_ourselves(&node, &seed);
        }
        Ok(()) | Err(_) => {
            tell(&node, &seed, &result);
            node.control.seed_ended(&node, &seed);
        }
    }
}

/// Says what came of a try to reach a seed, if that is news.
fn tell(node: &Arc<Inner>, seed: &str, result: &Result<(), LinkError>) {
    if let Err(LinkError::Refused(id)) = result
        && node.peers.get(id.as_str()).is_some_and(|peer| peer.is_up())
    {
        return; // it has kept another connection
    }
    if node.is_stopping() {
        return;
    }
    if let Some(news) = node.seeds.tried(seed, result) {
        news.log(seed);
    }
}

/// Connects to `address`; returns when there is a link, or none will come of it.
pub(super) async fn dial(
    node: Arc<Inner>,
    address: &str,
    purpose: Purpose,
) -> Result<(), LinkError> {
    let mut result = dial_once(&node, address, purpose.clone()).await;
    if speaks_another_version(&node, address, &result) {
        result = dial_once(&node, address, purpose.clone()).await;
    }
    if let Err(error) = &result {
        match purpose {
            // Whoever looks after seeds says it once.
            Purpose::Seed(_) => {
                node.counters.handshake_failed(error);
                log_at!(9, "{address} {error}");
            }
            _ => report(&node, address, error),
        }
    }
    result
}

/// Whether nothing came of a connection but that the node there speaks another version, which this
/// one can speak as well. Then [`begin`] greets in that from now on, and the next try is better.
pub(crate) fn speaks_another_version(
    node: &Inner,
    address: &str,
    result: &Result<(), LinkError>,
) -> bool {
    let Err(LinkError::Handshake(HandshakeError::Version { theirs, .. })) = result else {
        return false;
    };
    if !node.handshake.is_open() || !node.handshake.allows_version(*theirs) {
        return false;
    }
    log_at!(9, "{address} speaks version {theirs}, connecting again");
    node.versions.found(address, *theirs);
    true
}

/// Makes a connection within this time.
pub(crate) async fn connect(
    node: &Inner,
    address: &str,
    limit: Duration,
) -> Result<Stream, LinkError> {
    let dialled = timeout(limit, node.transport.dial(address)).await;
    let dialled = dialled.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()));
    dialled.map_err(|error| match error.kind() {
        ErrorKind::InvalidInput => LinkError::BadAddress,
        _ => error.into(),
    })
}

async fn dial_once(node: &Arc<Inner>, address: &str, purpose: Purpose) -> Result<(), LinkError> {
    let begun = Instant::now();
    let stream = connect(node, address, node.settings.dial_timeout()).await?;
    let opened = Opened {
        remote: address,
        role: Role::Connector,
        purpose,
        patience: greeting_patience(begun.elapsed()),
        ticket: None,
    };
    admit(node, stream, opened).await
}

/// Counts and logs that a connection did not become a link.
fn report(node: &Inner, remote: &str, error: &LinkError) {
    node.counters.handshake_failed(error);
    match error.is_noteworthy() {
        true => log_at!(2, [host_of(remote).as_str()], "{remote} {error}"),
        false => log_at!(9, "{remote} {error}"),
    }
}

/// How a connection came to be.
struct Opened<'a> {
    remote: &'a str,
    role: Role,
    purpose: Purpose,
    /// How long to wait for the other side to greet first, in case that may be of use.
    patience: Duration,
    /// The place of a connection that was accepted, until it has proved itself.
    ticket: Option<Ticket>,
}

/// Does the handshake on a connection, and makes a link of it unless another one is kept.
async fn admit(node: &Arc<Inner>, stream: Stream, opened: Opened<'_>) -> Result<(), LinkError> {
    let Opened {
        remote,
        role,
        purpose,
        patience,
        ticket,
    } = opened;
    if role == Role::Connector || !INHERITS {
        stream.apply(&node.settings.socket_options())?;
    }
    let terms = Terms {
        limit: node.settings.monitor_timeout(),
        greeting: node.settings.greeting_timeout,
        patience,
    };
    let greeted = greet(stream, begin(node, remote, role), terms).await?;
    if let Some(ticket) = &ticket {
        ticket.greeted();
    }
    if greeted.is_for_data() {
        return data::accept(node, greeted, remote, || drop(ticket)).await;
    }
    let proving = decide(node, &greeted, remote, &purpose)?;
    let proved = greeted.prove(node.tls.as_deref()).await?;
    drop(ticket);
    if let Purpose::Seed(seed) = &purpose {
        let peer = &proved.established.peer;
        node.control.seed_is(node, seed, peer, Evidence::Proved);
    }
    if proved.first == First::We && node.handshake.is_open() {
        let version = node.handshake.first_version();
        node.versions.found(remote, version);
    }
    take_over(node, proved, remote, proving).await
}

/// A handshake with what is at `remote`, in the version that is known to be spoken there.
pub(crate) fn begin(node: &Inner, remote: &str, role: Role) -> Handshake {
    let nonce = node.random.nonce();
    let mut local = node.handshake.clone();
    if role == Role::Connector
        && let Some(version) = node.versions.get(remote)
        && local.is_open()
    {
        local = Arc::new(local.greeting_in(version));
    }
    match role {
        Role::Connector => Handshake::connect(local, &nonce, remote),
        Role::Listener => {
            node.admission.nonces.sent(nonce);
            Handshake::accept(local, &nonce, remote)
        }
    }
}

/// Our right to prove ourselves to a node on this connection and no other.
struct Proving {
    node: Arc<Inner>,
    serial: u64,
    peer: Arc<Peer>,
}

impl Drop for Proving {
    fn drop(&mut self) {
        self.peer.proved(self.serial);
        // Nothing may be left of an ID that was only claimed.
        self.node.peers.forget(&self.peer);
    }
}

/// Decides what becomes of a connection, by what the peer claims to be: refused, or gone on with,
/// if need be with the right to prove ourselves on it.
fn decide(
    node: &Arc<Inner>,
    greeted: &Greeted,
    remote: &str,
    purpose: &Purpose,
) -> Result<Option<Proving>, LinkError> {
    let peer = greeted.peer().ok_or(LinkError::Closed)?;
    // Links that are wanted for what is to be sent are still made while the node drains.
    let wanted = matches!(purpose, Purpose::Node);
    if node.is_stopping() || node.lifecycle.is_draining() && !wanted {
        return Err(LinkError::Closed);
    }
    let id = peer.greeting.node.clone();
    if node.relay.as_ref().is_some_and(|relay| relay.refuses(&id)) {
        return Err(LinkError::Duplicate(id));
    }
    if id == node.id {
        // The handshake refuses it when its nonce is there, by which we know ourselves.
        return Ok(None);
    }
    let known = node.peers.get(id.as_str());
    if let Some(known) = known.filter(|peer| peer.is_up()) {
        // If that link is dead, it is noticed now, and the next try succeeds.
        known.poke();
        if greeted.role() == Role::Listener {
            claims::of_peer(node, &known, remote);
        }
        if let Purpose::Seed(seed) = purpose {
            node.control.seed_is(node, seed, peer, Evidence::Claimed);
        }
        return Err(HandshakeError::AlreadyConnected { node: id }.into());
    }
    if greeted.role() == Role::Listener || peer.is_perl() {
        // The decision is ours: our token is withheld.
        return Ok(None);
    }
    let (peer, serial) = (node.peer(id.as_str()), node.next_serial());
    if !peer.may_prove(node, serial) {
        return Err(LinkError::Duplicate(id));
    }
    let node = node.clone();
    Ok(Some(Proving { node, serial, peer }))
}

/// Makes a verified connection the link to its node, or closes it if another one is kept.
async fn take_over(
    node: &Arc<Inner>,
    proved: Proved,
    remote: &str,
    proving: Option<Proving>,
) -> Result<(), LinkError> {
    /// How often a connection that has to wait looks again, though nothing told it to.
    const LOOK: Duration = Duration::from_millis(20);
    let done = proved.established;
    let id = done.peer.greeting.node.clone();
    let facts = LinkFacts {
        serial: node.next_serial(),
        send_framing: done.send_framing,
        generation: done.peer.generation,
        traces: node.handshake.traces && done.peer.greeting.takes_traces(),
    };
    let mut link = Link::new(facts, done.peer, done.recv_framing, remote.to_owned());
    link.role = proved.role;
    link.tls = proved.tls;
    link.hold_to(&node.gate);
    if node.relay.is_some()
        && let Some(rights) = link.rights()
        && !rights.allow(Action::Relay, node.id.as_str(), |_| false)
    {
        // A stand-in does nothing else, so there is no use in a link to it.
        node.gate.refused(Action::Relay);
        return Err(LinkError::NoRelay(id, node.id.clone()));
    }
    let link = Arc::new(link);
    let candidate = Candidate {
        role: proved.role,
        link: facts,
        token: &proved.token,
        own: &node.id,
        peer: &id,
        since: attempt::now(),
    };
    loop {
        let peer = node.peer(id.as_str());
        let changed = peer.changed();
        tokio::pin!(changed);
        changed.as_mut().enable();
        match peer.establish(node, &candidate, &link) {
            Verdict::Accept => {
                drop(proving);
                // Whoever has changed the rules meanwhile has not seen this link, or we see it now.
                link.hold_to(&node.gate);
                reader::start(node, &peer, link, proved.stream, done.rest);
                return Ok(());
            }
            Verdict::Refuse => return Err(LinkError::Duplicate(id)),
            Verdict::Retired => {}
            Verdict::Wait => drop(timeout(LOOK, changed).await),
        }
    }
}
/// How many files this process may have open.
#[cfg(unix)]
fn most_files() -> usize {
    let files = rlimit::getrlimit(rlimit::Resource::NOFILE);
    files.map_or(usize::MAX, |(soft, _)| {
        soft.try_into().unwrap_or(usize::MAX)
    })
}

/// Elsewhere connections are no files.
#[cfg(not(unix))]
fn most_files() -> usize {
    usize::MAX
}
