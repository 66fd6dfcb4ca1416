//! The initiator.

use std::time::Duration;

use serde::Serialize;
use tokio::sync::oneshot;

use super::connect::{Wanted, certificate, listeners, within};
use super::table::{Entry, Taker};
use super::target::serve_here;
use super::{CONNECT, DataConnError, DataStream, EXPECT};
use crate::node::{CalError, MonitorGuard, Node, Port};
use crate::proto::handshake::Peer as PeerInfo;
use crate::proto::{Message, NodeId, PortId, Reason};

impl Node {
    /// Opens a data connection to a node, for the function of that name there, which gets `args`
    /// and the other end: a [`data_function`](Self::data_function), or Perl's equivalent.
    ///
    /// One of the two nodes has to listen. This one connects, unless it does not know where the
    /// other one listens, or can't reach it there: then it asks the other one to. No port, and no
    /// rule of a firewall, is needed besides those of links; like these the connection is
    /// authenticated, and encrypted if both nodes have a certificate.
    ///
    /// Perl nodes have data connections from release 1.24 on. Those of 2.x can't connect
    /// themselves: they have to listen, and this node has to have connected to them. What a Perl
    /// node says of a function that it does not have is that the stream ends at once. PROTOCOL.md,
    /// "Data connections", has the details.
    ///
    /// # Errors
    ///
    /// [`DataConnError`]: there is none within `limit`, and why.
    ///
    /// See [`data_function`](Self::data_function) for an example.
    pub async fn data_conn<T: Serialize + ?Sized>(
        &self,
        node: impl Into<PortId>,
        limit: Duration,
        function: &str,
        args: &T,
    ) -> Result<DataStream, DataConnError> {
        let args = Message::encode(args)?;
        let (target, node) = (node.into().node_id(), self.inner());
        node.running()?;
        if node.is_local(&target.node_port()) {
            let served = serve_here(node, function, args);
            return served.map_err(|text| DataConnError::Failed {
                node: target.clone(),
                text: format!("{target}: {text}"),
            });
        }
        let _waits = node.lifecycle.waits();
        let opening = Opening {
            node: self,
            target: &target,
            limit,
            id: node.data.new_id(self),
        };
        match within(limit, opening.run(function, &args)).await {
            Some(opened) => opened,
            None => Err(DataConnError::TimedOut {
                node: target,
                limit,
            }),
        }
    }
}

/// The other node expects the connection for so much longer than it is waited for.
const GRACE: Duration = Duration::from_secs(1);

/// A connection that is being opened.
struct Opening<'a> {
    node: &'a Node,
    target: &'a NodeId,
    limit: Duration,
    id: String,
}

/// The port that the other node kills if it can't do what is asked of it.
struct Caller {
    port: Port,
    died: oneshot::Receiver<Reason>,
}

impl Caller {
    fn new(node: &Node) -> Self {
        let port = node.port_with(|_, _| {});
        let (tell, died) = oneshot::channel();
        node.mon(&port, move |reason| drop(tell.send(reason)));
        Caller { port, died }
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.port.kil(Reason::normal());
    }
}

/// Ends the wait for a connection.
impl Drop for Opening<'_> {
    fn drop(&mut self) {
        drop(self.node.inner().data.expected.take(self.target, &self.id));
    }
}

impl Opening<'_> {
    async fn run(self, function: &str, args: &Message) -> Result<DataStream, DataConnError> {
        if !self.node.node_is_up(self.target.as_str()) {
            let met = self.node.round_trip(self.target, self.limit).await;
            met.map_err(|error| self.no_link(error))?;
        }
        let (_monitor, lost) = self.watch();
        let mut caller = Caller::new(self.node);
        let target = self.target;
        tokio::select! {
            biased; // why it fails is said before the link is lost
            opened = self.open(&caller.port, function, args) => opened,
            reason = &mut caller.died => Err(match reason {
                Ok(reason) => self.failed(reason),
                Err(_) => DataConnError::Stopped,
            }),
            reason = lost => Err(match reason {
                Ok(reason) => DataConnError::Lost { node: target.clone(), reason },
                Err(_) => DataConnError::Stopped,
            }),
        }
    }

    /// Follows the other node, which may be lost.
    fn watch(&self) -> (MonitorGuard, oneshot::Receiver<Reason>) {
        let (tell, lost) = oneshot::channel();
        let monitor = self.node.mon(self.target.node_port(), move |reason| {
            drop(tell.send(reason));
        });
        (monitor.guard(), lost)
    }

    async fn open(
        &self,
        caller: &Port,
        function: &str,
        args: &Message,
    ) -> Result<DataStream, DataConnError> {
        let (node, target) = (self.node.inner(), self.target);
        let lost = || DataConnError::Lost {
            node: target.clone(),
            reason: Reason::transport_error(target.as_str(), "the link is lost"),
        };
        let peer = node.peers.get(target.as_str()).ok_or_else(lost)?;
        let link = peer.link().ok_or_else(lost)?;
        if let Some(release) = without_data(&link.info) {
            return Err(DataConnError::Unsupported {
                node: target.clone(),
                release,
            });
        }
        let (opener, opened) = oneshot::channel();
        let entry = Entry {
            serial: node.next_serial(),
            certificate: certificate(link.tls.as_deref()),
            taker: Taker::Opener(opener),
        };
        let added = node.data.expected.add(target, &self.id, entry);
        added.map_err(|_| DataConnError::Stopped)?; // never happens: the ID is new

        // It is for this side to say that it took too long.
        let seconds = (self.limit + GRACE).as_secs_f64();
        let words = Message::encode(&(&self.id, caller.id(), seconds, function))?;
        let all: Vec<_> = args.elements().collect();
        self.node.snd_to_func(target, EXPECT, &words.with(&all)?)?;
        // Whoever connects must not come before that request.
        let node_port = target.node_port();
        let there_and_back = |inbox: &PortId| {
            let request = ("snd", inbox, "expected");
            self.node.inner().snd(&node_port, &request)
        };
        let met = self.node.call(&node_port, there_and_back, None).await;
        met.map_err(|error| self.no_link(error))?;

        let wanted = Wanted::new(target, &self.id, &link);
        let failed = match wanted.connect(node, listeners(node, &peer, &link)).await {
            Ok(stream) => return Ok(stream),
            Err(failed) => failed,
        };
        if node.listeners.read().is_empty() {
            return Err(match failed {
                None => DataConnError::NoListeners {
                    node: target.clone(),
                },
                Some((address, error)) => DataConnError::Unreachable {
                    node: target.clone(),
                    address,
                    error,
                },
            });
        }
        self.node
            .snd_to_func(target, CONNECT, &(&self.id, self.node.id()))?;
        opened.await.map_err(|_| lost())
    }

    /// The other node has killed our port, or something here did.
    fn failed(&self, reason: Reason) -> DataConnError {
        if self.node.inner().is_stopping() {
            return DataConnError::Stopped;
        }
        let text = match reason.values() {
            [kind, text, ..] if kind == super::FAILED => text
                .as_str()
                .map_or_else(|| text.to_string(), str::to_owned),
            _ => reason.to_string(),
        };
        DataConnError::Failed {
            node: self.target.clone(),
            text,
        }
    }

    fn no_link(&self, error: CalError) -> DataConnError {
        let node = self.target.clone();
        match error {
            CalError::Stopped => DataConnError::Stopped,
            CalError::Send(error) => error.into(),
            CalError::Died(reason) => DataConnError::Lost { node, reason },
            CalError::TimedOut(limit) => DataConnError::TimedOut { node, limit },
            error => DataConnError::Failed {
                node,
                text: error.to_string(),
            },
        }
    }
}

/// The release of a Perl node, if it is one that has no data connections.
fn without_data(peer: &PeerInfo) -> Option<String> {
    let (major, minor) = peer.greeting.perl_release()?;
    (major == 0 || major == 1 && minor < 24).then(|| format!("{major}.{minor:02}"))
}
