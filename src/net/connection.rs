//! From a socket to a link: connecting and the handshake.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::{LinkError, Purpose, link};
use crate::node::Inner;
use crate::node::ending::Ending;
use crate::node::peer::{Link, Peer, Traffic, Verdict};
use crate::proto::handshake::{NONCE_LEN, Role};
use crate::proto::{Handshake, HandshakeError};

/// Versions that listeners turned out to speak, of those that did not greet in time, or are said to
/// speak: the next attempt greets with the right one at once. If that is wrong by then, the one after it
/// has it right again.
static HEARD: LazyLock<Mutex<HashMap<String, u32>>> = LazyLock::new(Mutex::default);

/// More entries are not kept.
const MAX_HEARD: usize = 10_000;

/// Connects to `address` and makes a link of the connection.
pub(super) async fn dial(
    node: &Arc<Inner>,
    address: &str,
    purpose: Purpose,
) -> Result<(), LinkError> {
    let socket_address: SocketAddr = address.parse().map_err(|_| LinkError::BadAddress)?;
    let limit = node.settings.monitor_timeout();
    let begun = Instant::now();
    let connect = timeout(limit, TcpStream::connect(socket_address));
    let stream = connect
        .await
        .map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))??;
    let patience = greeting_patience(begun.elapsed());
    establish(node, stream, address, Role::Connector, purpose, patience).await
}

/// How long a connector waits for the listener to greet first, if it may speak several versions, given how
/// long it took to connect. Perl's listeners greet at once. If one is too busy for that, or too far away,
/// and speaks another version than we greet with then, it is connected to again.
fn greeting_patience(connecting: Duration) -> Duration {
    const LEAST: Duration = Duration::from_millis(5);
    const MOST: Duration = Duration::from_millis(25);
    (connecting * 3).clamp(LEAST, MOST)
}

/// Does the handshake on a connection and makes a link of it. `patience`: how long to wait for the other side
/// to greet first, in case that may be of use.
pub(super) async fn establish(
    node: &Arc<Inner>,
    mut stream: TcpStream,
    remote: &str,
    role: Role,
    purpose: Purpose,
    patience: Duration,
) -> Result<(), LinkError> {
    if role == Role::Connector || !super::listen::INHERITS {
        set_options(node, (&stream).into())?;
    }
    let nonce: [u8; NONCE_LEN] = rand::random();
    let mut local = node.handshake.clone();
    if role == Role::Connector
        && let Some(version) = HEARD.lock().get(remote)
        && local.is_open()
    {
        local = Arc::new(local.greeting_in(*version));
    }
    let mut handshake = match role {
        Role::Connector => Handshake::connect(local, &nonce, remote),
        Role::Listener => Handshake::accept(local, &nonce, remote),
    };
    let mut dialing = Dialing {
        node,
        serial: node.next_serial(),
        peer: None,
    };
    let done = negotiate(
        node,
        &mut stream,
        &mut handshake,
        &mut dialing,
        &purpose,
        patience,
    )
    .await;
    if let Err(LinkError::Handshake(HandshakeError::Version { theirs, .. })) = &done
        && role == Role::Connector
        && node.handshake.allows_version(*theirs)
    {
        remember(remote, *theirs);
    }
    if done? == Greeted::First && node.handshake.is_open() {
        let version = node.handshake.first_version();
        remember(remote, version);
    }
    take_over(node, stream, remote, handshake, dialing).await
}

/// Who greeted first.
#[derive(Debug, PartialEq, Eq)]
enum Greeted {
    /// We did, as connector, after the listener had been given time to.
    First,
    /// The other side, or both at once.
    Later,
}

fn remember(remote: &str, version: u32) {
    heard().insert(remote.to_owned(), version);
}

/// Notes that listeners are said to speak this version, unless it is known.
pub(crate) fn expect_version(addresses: &[String], version: u32) {
    let mut heard = heard();
    let room = MAX_HEARD - heard.len();
    for address in addresses.iter().take(room) {
        heard.entry(address.clone()).or_insert(version);
    }
}

fn heard() -> parking_lot::MutexGuard<'static, HashMap<String, u32>> {
    let mut heard = HEARD.lock();
    if heard.len() >= MAX_HEARD {
        heard.clear();
    }
    heard
}

/// Sends without delay, if that is configured, and has the system notice a dead host even on an idle
/// link, in about the time in which nodes are given up.
pub(super) fn set_options(node: &Inner, socket: socket2::SockRef<'_>) -> std::io::Result<()> {
    const PROBES: u32 = 3;
    let timeout = node.settings.monitor_timeout().max(Duration::from_secs(4));
    let keepalive = socket2::TcpKeepalive::new()
        .with_time(timeout)
        .with_interval((timeout / PROBES).max(Duration::from_secs(1)))
        .with_retries(PROBES);
    socket.set_tcp_nodelay(node.settings.nodelay)?;
    socket.set_tcp_keepalive(&keepalive)
}

/// Our right to prove ourselves to a node on this connection and no other.
struct Dialing<'a> {
    node: &'a Arc<Inner>,
    serial: u64,
    peer: Option<Arc<Peer>>,
}

impl Drop for Dialing<'_> {
    fn drop(&mut self) {
        if let Some(peer) = &self.peer {
            peer.stop_dialing(self.serial);
            // Nothing may be left of an ID that was only claimed.
            self.node.peers.forget(peer);
        }
    }
}

/// Exchanges greetings and takes the peer's proof.
async fn negotiate(
    node: &Arc<Inner>,
    stream: &mut TcpStream,
    handshake: &mut Handshake,
    dialing: &mut Dialing<'_>,
    purpose: &Purpose,
    first_patience: Duration,
) -> Result<Greeted, LinkError> {
    let mut greeted_first = Greeted::Later;
    let limit = node.settings.monitor_timeout();
    let deadline = Instant::now() + limit;
    let mut out = Vec::new();
    let mut input = [0; 1024];
    if !handshake.is_open() {
        handshake.greet(&mut out);
    }
    // One timer for all of it, which seldom changes.
    let timer = tokio::time::sleep_until(deadline);
    tokio::pin!(timer);
    while !handshake.is_verified() {
        if !out.is_empty() {
            stream.write_all(&out).await?;
            out.clear();
        }
        let patience = match handshake.peer() {
            None if handshake.is_opening() && handshake.role() == Role::Connector => first_patience,
            None => limit,
            Some(peer) => limit.min(peer.generation.default_handshake_timeout()),
        };
        let now = Instant::now();
        let until = deadline.min(now + patience);
        if timer.deadline() != until {
            timer.as_mut().reset(until);
        }
        let read = tokio::select! {
            biased;
            read = stream.read(&mut input) => read?,
            () = &mut timer => {
                if handshake.is_opening() && handshake.role() == Role::Connector {
                    handshake.greet(&mut out);
                    greeted_first = Greeted::First;
                    continue;
                }
                let wait = until.saturating_duration_since(now);
                return Err(LinkError::HandshakeTimeout(wait));
            }
        };
        if read == 0 {
            return Err(LinkError::Closed);
        }
        let greeted = match handshake.recv(&input[..read], &mut out) {
            Ok(greeted) => greeted,
            Err(error) => {
                // The greeting with which we answer a wrong version says what we would have spoken.
                let _ = stream.write_all(&out).await;
                return Err(error.into());
            }
        };
        let Some(peer) = handshake.peer().filter(|_| greeted) else {
            continue;
        };
        if node.is_stopping() {
            return Err(LinkError::Closed);
        }
        let id = peer.greeting.node.clone();
        if node.relay.as_ref().is_some_and(|relay| relay.refuses(&id)) {
            return Err(LinkError::Duplicate(id));
        }
        if let Purpose::Seed(seed) = purpose {
            node.mesh.seed_greeted(node, seed, peer);
        }
        let known = node.peers.get(id.as_str());
        if let Some(known) = known.filter(|peer| peer.is_up()) {
            // If that link is dead, it is noticed now, and the next try succeeds.
            known.poke();
            return Err(HandshakeError::AlreadyConnected { node: id }.into());
        }
        if handshake.role() == Role::Connector && !peer.is_perl() {
            // From our token on, the other side decides: on one connection at a time.
            let peer = node.peers.get_or_add(id.as_str());
            if !peer.start_dialing(dialing.serial) {
                return Err(LinkError::Duplicate(id));
            }
            dialing.peer = Some(peer);
        }
    }
    if !out.is_empty() {
        stream.write_all(&out).await?;
    }
    Ok(greeted_first)
}

/// Makes a verified connection the link to its node, or closes it if another one is kept.
async fn take_over(
    node: &Arc<Inner>,
    stream: TcpStream,
    remote: &str,
    mut handshake: Handshake,
    dialing: Dialing<'_>,
) -> Result<(), LinkError> {
    /// How long the other connection may take before this one is taken all the same.
    const PATIENCE: Duration = Duration::from_secs(1);
    let role = handshake.role();
    let mut token = Vec::new();
    handshake.complete(&mut token);
    let Some(done) = handshake.established() else {
        return Err(LinkError::Closed);
    };
    let id = done.peer.greeting.node.clone();
    let link = Arc::new(Link {
        traffic: Traffic::default(),
        serial: node.next_serial(),
        info: done.peer,
        send_framing: done.send_framing,
        recv_framing: done.recv_framing,
        remote: remote.to_owned(),
        ready: Notify::new(),
        socket: Mutex::default(),
        closed_there: AtomicBool::new(false),
        ending: Ending::default(),
        pair: crate::node::Pair::default(),
    });
    let deadline = Instant::now() + PATIENCE;
    loop {
        let peer = node.peers.get_or_add(id.as_str());
        let changed = peer.changed();
        tokio::pin!(changed);
        changed.as_mut().enable();
        let overdue = Instant::now() >= deadline;
        match peer.establish(node, role, &link, &token, overdue) {
            Verdict::Accept => {
                drop(dialing);
                link::start(node, &peer, link, stream, done.rest);
                return Ok(());
            }
            Verdict::Refuse => return Err(LinkError::Duplicate(id)),
            Verdict::Retry => {}
            Verdict::Wait => {
                // Once it is overdue, only monitors that fire are waited for.
                let until = deadline.max(Instant::now() + Duration::from_millis(20));
                let _ = tokio::time::timeout_at(until, changed).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_far_away_is_given_more_time() {
        let millis = Duration::from_millis;
        assert_eq!(greeting_patience(Duration::from_micros(50)), millis(5));
        assert_eq!(greeting_patience(millis(4)), millis(12));
        assert_eq!(greeting_patience(millis(80)), millis(25));
    }
}
