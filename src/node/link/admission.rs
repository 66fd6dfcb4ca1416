//! From a connection to a link: dialling, accepting, and what is decided in between.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout};

use super::{Link, Peer, attempt, reader};
use crate::log::log_at;
use crate::net::{
    First, Greeted, INHERITS, LinkError, Listener, Proved, Stream, Terms, greet, greeting_patience,
};
use crate::node::Inner;
use crate::node::limits::Limit;
use crate::peering::{Candidate, LinkFacts, Verdict};
use crate::proto::handshake::Role;
use crate::proto::{Handshake, HandshakeError};

/// How many connections may be in their handshake at the same time; more wait in the backlog.
const MAX_HANDSHAKES: usize = 1024;

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
    let handshakes = Arc::new(Semaphore::new(MAX_HANDSHAKES));
    loop {
        let Ok(permit) = handshakes.clone().acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, remote)) => {
                let home = node.clone();
                node.spawn_task(async move {
                    let _permit = permit;
                    serve(home, stream, remote).await;
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
async fn serve(node: Arc<Inner>, stream: Stream, remote: String) {
    let opened = Opened {
        remote: &remote,
        role: Role::Listener,
        purpose: Purpose::Accepted,
        // A listener waits for the greeting as long as for everything else.
        patience: node.settings.monitor_timeout(),
    };
    if let Err(error) = admit(&node, stream, opened).await {
        report(&remote, &error);
    }
}

/// Waits until a connection may be made, and gives the right to make it, which is kept until there
/// is a link or none will come of it.
pub(super) async fn right_to_dial(node: &Inner) -> Option<SemaphorePermit<'_>> {
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
    match result {
        Err(LinkError::Handshake(HandshakeError::OwnNodeId { .. })) => {
            node.control.seed_is_ourselves(&node, &seed);
        }
        Ok(()) | Err(_) => node.control.seed_ended(&node, &seed),
    }
}

/// Connects to `address`; returns when there is a link, or none will come of it.
pub(super) async fn dial(
    node: Arc<Inner>,
    address: &str,
    purpose: Purpose,
) -> Result<(), LinkError> {
    let mut result = dial_once(&node, address, purpose.clone()).await;
    if let Err(LinkError::Handshake(HandshakeError::Version { theirs, .. })) = &result
        && node.handshake.is_open()
        && node.handshake.allows_version(*theirs)
    {
        // Now it is known which version to greet with.
        log_at!(9, "{address} speaks version {theirs}, connecting again");
        result = dial_once(&node, address, purpose).await;
    }
    if let Err(error) = &result {
        report(address, error);
    }
    result
}

async fn dial_once(node: &Arc<Inner>, address: &str, purpose: Purpose) -> Result<(), LinkError> {
    let begun = Instant::now();
    let limit = node.settings.dial_timeout();
    let dialled = timeout(limit, node.transport.dial(address)).await;
    let dialled = dialled.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()));
    let stream = dialled.map_err(|error| match error.kind() {
        ErrorKind::InvalidInput => LinkError::BadAddress,
        _ => error.into(),
    })?;
    let opened = Opened {
        remote: address,
        role: Role::Connector,
        purpose,
        patience: greeting_patience(begun.elapsed()),
    };
    admit(node, stream, opened).await
}

/// The host of a socket address, which may be a name: a stranger has as many ports as it likes.
fn host(remote: &str) -> &str {
    remote.rsplit_once(':').map_or(remote, |(host, _)| host)
}

/// Logs why a connection did not become a link.
fn report(remote: &str, error: &LinkError) {
    match error.is_noteworthy() {
        true => log_at!(2, [host(remote)], "{remote} {error}"),
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
}

/// Does the handshake on a connection, and makes a link of it unless another one is kept.
async fn admit(node: &Arc<Inner>, stream: Stream, opened: Opened<'_>) -> Result<(), LinkError> {
    let Opened { remote, role, .. } = opened;
    if role == Role::Connector || !INHERITS {
        stream.apply(&node.settings.socket_options())?;
    }
    let terms = Terms {
        limit: node.settings.monitor_timeout(),
        patience: opened.patience,
    };
    let greeted = greet(stream, begin(node, remote, role), terms).await;
    if let Err(LinkError::Handshake(HandshakeError::Version { theirs, .. })) = &greeted
        && role == Role::Connector
        && node.handshake.allows_version(*theirs)
    {
        node.versions.found(remote, *theirs);
    }
    let greeted = greeted?;
    let proving = decide(node, &greeted, &opened.purpose)?;
    let proved = greeted.prove().await?;
    if proved.first == First::We && node.handshake.is_open() {
        let version = node.handshake.first_version();
        node.versions.found(remote, version);
    }
    take_over(node, proved, remote, proving).await
}

/// A handshake with what is at `remote`, in the version that is known to be spoken there.
fn begin(node: &Arc<Inner>, remote: &str, role: Role) -> Handshake {
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
        Role::Listener => Handshake::accept(local, &nonce, remote),
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
    purpose: &Purpose,
) -> Result<Option<Proving>, LinkError> {
    let peer = greeted.peer().ok_or(LinkError::Closed)?;
    if node.is_stopping() {
        return Err(LinkError::Closed);
    }
    let id = peer.greeting.node.clone();
    if node.relay.as_ref().is_some_and(|relay| relay.refuses(&id)) {
        return Err(LinkError::Duplicate(id));
    }
    if let Purpose::Seed(seed) = purpose {
        node.control.seed_greeted(node, seed, peer);
    }
    let known = node.peers.get(id.as_str());
    if let Some(known) = known.filter(|peer| peer.is_up()) {
        // If that link is dead, it is noticed now, and the next try succeeds.
        known.poke();
        return Err(HandshakeError::AlreadyConnected { node: id }.into());
    }
    if greeted.role() == Role::Listener || peer.is_perl() {
        // The decision is ours: our token is withheld.
        return Ok(None);
    }
    let (peer, serial) = (node.peer(id.as_str()), node.next_serial());
    if !peer.may_prove(serial) {
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
    };
    let link = Link::new(facts, done.peer, done.recv_framing, remote.to_owned());
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
                reader::start(node, &peer, link, proved.stream, done.rest);
                return Ok(());
            }
            Verdict::Refuse => return Err(LinkError::Duplicate(id)),
            Verdict::Retired => {}
            Verdict::Wait => drop(timeout(LOOK, changed).await),
        }
    }
}
