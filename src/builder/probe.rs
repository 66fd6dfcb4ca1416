//! One try to reach a node, step by step, for whoever wants to know why there is no link.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::BytesMut;
use serde::de::DeserializeOwned;
use tokio::io::AsyncReadExt as _;
use tokio::time::{Instant, timeout};

use super::{Builder, StartError};
use crate::net::tls::TlsInfo;
use crate::net::{LinkError, Proved, Stream, Terms, greet, greeting_patience};
use crate::node::link::{begin, connect, speaks_another_version};
use crate::node::{self, Inner, Random};
use crate::proto::handshake::Role;
use crate::proto::id::alnumbits;
use crate::proto::message::{Incoming, encode_in};
use crate::proto::{Framing, Generation, Greeting, Limits, NodeId, Verb};

/// How far a try to reach a node came: see [`Builder::probe`].
///
/// What is `None` was not come as far as, or the node there does not tell.
#[derive(Debug)]
#[non_exhaustive]
pub struct Probe {
    /// The address that was tried.
    pub address: String,
    /// How long it took to connect.
    pub connected: Option<Duration>,
    /// What the node there claims to be, in its greeting.
    pub greeting: Option<Greeting>,
    /// The generation that both speak.
    pub generation: Option<Generation>,
    /// The TLS that was agreed on, if it was.
    pub tls: Option<TlsInfo>,
    /// Both have proved themselves: with a token, or with certificates.
    pub is_proved: bool,
    /// The framings that we would send in, and that the node there would.
    pub framings: Option<(Framing, Framing)>,
    /// How long the node there took to answer.
    pub round_trip: Option<Duration>,
    /// How far its clock is ahead of ours, in seconds. The truth may be off by half of
    /// [`round_trip`](Self::round_trip).
    pub clock_ahead: Option<f64>,
    /// The nodes that it knows of, itself included, sorted. Those of 2.x do not tell.
    pub known_nodes: Option<Vec<NodeId>>,
    /// Why it went no further.
    pub failure: Option<LinkError>,
}

/// A step of the way to a link, in their order.
///
/// ```
/// use aemp::ProbeStep;
/// assert!(ProbeStep::Connect < ProbeStep::Greet && ProbeStep::Prove < ProbeStep::Answer);
/// assert_eq!(ProbeStep::Prove.to_string(), "authentication");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ProbeStep {
    /// A connection is made.
    Connect,
    /// Both say what they are, and agree on a version, a generation and framings.
    Greet,
    /// Both prove themselves, through TLS if both have a certificate.
    Prove,
    /// The node there answers a request.
    Answer,
}

impl std::fmt::Display for ProbeStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            ProbeStep::Connect => "connecting",
            ProbeStep::Greet => "greeting",
            ProbeStep::Prove => "authentication",
            ProbeStep::Answer => "answering",
        })
    }
}

impl Probe {
    fn new(address: &str) -> Self {
        Probe {
            address: address.to_owned(),
            connected: None,
            greeting: None,
            generation: None,
            tls: None,
            is_proved: false,
            framings: None,
            round_trip: None,
            clock_ahead: None,
            known_nodes: None,
            failure: None,
        }
    }

    /// The step that failed, if one did.
    ///
    /// See [`Builder::probe`] for an example.
    pub fn failed_step(&self) -> Option<ProbeStep> {
        self.failure.as_ref()?;
        Some(match self {
            Probe {
                connected: None, ..
            } => ProbeStep::Connect,
            Probe { greeting: None, .. } => ProbeStep::Greet,
            Probe {
                is_proved: false, ..
            } => ProbeStep::Prove,
            _ => ProbeStep::Answer,
        })
    }
}

/// How long the node there may take to answer a request.
const PATIENCE: Duration = Duration::from_secs(5);

/// The most octets that it may send meanwhile.
const MOST: usize = 16 * 1024 * 1024;

/// The name of the port that answers go to.
const PORT: &str = "probe";

impl Builder {
    /// Connects to the node at an address, as a node that is configured in this way would, and says
    /// how far that comes: whether the node there greets, with which version, whether both prove
    /// themselves, in which framings they would talk, what its clock says and which nodes it knows.
    /// Then the connection is closed.
    ///
    /// It is made in the name of an anonymous node of its own, so that a node with the configured
    /// ID may run meanwhile. Every wait has a limit: a quarter of `monitor_timeout` for the
    /// connection, that time for the handshake, five seconds for an answer.
    ///
    /// `address` is a socket address, such as [`config::resolve`](crate::config::resolve) gives, or
    /// one on the network in memory.
    ///
    /// # Errors
    ///
    /// [`StartError`] if no node can be configured in this way. All else is in the [`Probe`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use aemp::{Node, ProbeStep};
    /// let node = Node::builder().no_rc().nodeid("seed").secret("geheim").binds(["127.0.0.1:0"]);
    /// let node = node.start().await?;
    /// let ours = Node::builder().no_rc().secret("geheim");
    /// let probe = ours.probe(&node.listeners()[0]).await?;
    /// assert!(probe.is_proved && probe.clock_ahead.unwrap().abs() < 1.0);
    /// assert_eq!(probe.greeting.unwrap().node, "seed");
    /// let other = Node::builder().no_rc().secret("another");
    /// let probe = other.probe(&node.listeners()[0]).await?;
    /// assert_eq!(probe.failed_step(), Some(ProbeStep::Prove));
    /// # Ok(()) }
    /// ```
    pub async fn probe(&self, address: &str) -> Result<Probe, StartError> {
        let config = self.config()?;
        let random = Random::default();
        let name = format!("anon/{}", alnumbits(&random.octets::<9>()));
        let tls = super::start::tls(self.tls.clone(), &config)?;
        let transport = self.transport.clone();
        let built = node::build(NodeId::checked(&name)?, &config, transport, tls, random)?;
        let node = built.inner();
        let mut probe = Probe::new(address);
        let mut tried = try_once(node, &mut probe).await;
        if speaks_another_version(node, address, &tried) {
            probe = Probe::new(address);
            tried = try_once(node, &mut probe).await;
        }
        probe.failure = tried.err();
        built.shutdown().await;
        Ok(probe)
    }
}

async fn try_once(node: &Inner, probe: &mut Probe) -> Result<(), LinkError> {
    let begun = Instant::now();
    let stream = connect(node, &probe.address, node.settings.dial_timeout()).await?;
    probe.connected = Some(begun.elapsed());
    let handshake = begin(node, &probe.address, Role::Connector);
    let terms = Terms {
        limit: node.settings.monitor_timeout(),
        greeting: node.settings.greeting_timeout,
        patience: greeting_patience(begun.elapsed()),
    };
    let greeted = greet(stream, handshake, terms).await?;
    if let Some(peer) = greeted.peer() {
        probe.greeting = Some(peer.greeting.clone());
        probe.generation = Some(peer.generation);
    }
    let proved = greeted.prove(node.tls.as_deref()).await?;
    probe.is_proved = true;
    probe.tls = proved.tls.as_deref().cloned();
    let (send, recv) = (
        proved.established.send_framing,
        proved.established.recv_framing,
    );
    probe.framings = Some((send, recv));
    let mut asking = Asking::begin(node, proved).await?;
    let asked = SystemTime::now();
    let begun = Instant::now();
    let (time,): (f64,) = asking.ask(Verb::Time).await?;
    let took = begun.elapsed();
    probe.round_trip = Some(took);
    let since_epoch = asked.duration_since(UNIX_EPOCH).unwrap_or_default();
    probe.clock_ahead = Some(time - since_epoch.as_secs_f64() - took.as_secs_f64() / 2.0);
    if probe
        .generation
        .is_some_and(|generation| Verb::KnownNodes.known_in(generation))
    {
        let known: Vec<String> = asking.ask(Verb::KnownNodes).await?;
        let mut known: Vec<NodeId> = known.into_iter().map(NodeId::from).collect();
        // Perl nodes name some twice, and who asks among them.
        known.retain(|id| *id != node.id);
        known.sort();
        known.dedup();
        probe.known_nodes = Some(known);
    }
    Ok(())
}

/// A connection on which requests are made and answered, one after the other.
struct Asking {
    stream: Stream,
    send: Framing,
    incoming: Incoming,
    block: BytesMut,
    /// Where answers go.
    reply: String,
    received: usize,
}

impl Asking {
    async fn begin(node: &Inner, proved: Proved) -> Result<Self, LinkError> {
        let mut stream = proved.stream;
        stream.write_all(&proved.token).await?;
        let limits = Limits {
            max_message: node.settings.limits.max_message.min(MOST),
            ..node.settings.limits
        };
        Ok(Asking {
            stream,
            send: proved.established.send_framing,
            incoming: Incoming::new(proved.established.recv_framing, limits),
            block: BytesMut::from(&proved.established.rest[..]),
            reply: node.id.port(PORT).to_string(),
            received: 0,
        })
    }

    async fn ask<T: DeserializeOwned>(&mut self, request: Verb) -> Result<T, LinkError> {
        let mut out = Vec::new();
        // A verb and a text can be sent in every framing.
        let _ = encode_in(&mut out, self.send, "", &(request, &self.reply));
        self.stream.write_all(&out).await?;
        let answered = timeout(PATIENCE, self.answer()).await;
        answered.unwrap_or(Err(LinkError::NoAnswer(PATIENCE)))
    }

    async fn answer<T: DeserializeOwned>(&mut self) -> Result<T, LinkError> {
        loop {
            while let Some(arrived) = self.incoming.next(&mut self.block)? {
                if arrived.name.as_deref() == Some(PORT)
                    && let Ok(answer) = arrived.message.args()
                {
                    return Ok(answer);
                }
            }
            let read = self.stream.read_buf(&mut self.block).await?;
            self.received += read;
            if read == 0 || self.received > MOST {
                return Err(LinkError::Closed);
            }
        }
    }
}
