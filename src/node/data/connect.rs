//! Making the connection, and accepting it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::table::Taker;
use super::{DataStream, target};
use crate::log::log_at;
use crate::net::tls::TlsInfo;
use crate::net::{Greeted, LinkError, Proved, Terms, greet};
use crate::node::Inner;
use crate::node::link::{self, Link, Peer};
use crate::proto::handshake::Role;
use crate::proto::{Handshake, NodeId};

/// A connection to be made.
pub(super) struct Wanted {
    pub(super) to: NodeId,
    pub(super) id: String,
    /// The version that the other node greets with.
    version: u32,
    /// The fingerprint of its certificate, if its link goes through TLS.
    certificate: Option<String>,
}

impl Wanted {
    pub(super) fn new(to: &NodeId, id: &str, link: &Link) -> Self {
        Wanted {
            to: to.clone(),
            id: id.to_owned(),
            version: link.generation().greeting_version(),
            certificate: certificate(link.tls.as_deref()),
        }
    }

    /// Tries these addresses, one after the other. The error is that of the last.
    pub(super) async fn connect(
        &self,
        node: &Arc<Inner>,
        addresses: Vec<String>,
    ) -> Result<DataStream, Option<(String, LinkError)>> {
        let mut failed = None;
        let mut left = addresses.len();
        for address in addresses {
            left -= 1;
            // What leads nowhere is not to take all the time of those behind it.
            let patience = match left {
                0 => node.settings.dial_timeout(),
                _ => node.settings.connect_interval,
            };
            match self.connect_to(node, &address, patience).await {
                Ok(stream) => return Ok(stream),
                Err(error) => {
                    let Wanted { to, id, .. } = self;
                    log_at!(9, "data connection {id} to {to} at {address}: {error}");
                    failed = Some((address, error));
                }
            }
        }
        Err(failed)
    }

    async fn connect_to(
        &self,
        node: &Arc<Inner>,
        address: &str,
        patience: Duration,
    ) -> Result<DataStream, LinkError> {
        let _right = link::right_to_dial(node).await;
        let stream = link::connect(node, address, patience).await?;
        stream.apply(&node.settings.socket_options())?;
        let local = node.handshake.for_data(&self.id).greeting_in(self.version);
        let nonce = node.random.nonce();
        let handshake = Handshake::connect(Arc::new(local), &nonce, address);
        let greeted = greet(stream, handshake, terms(node)).await?;
        let found = greeted.peer().map(|peer| &peer.greeting.node);
        if let Some(found) = found.filter(|found| **found != self.to) {
            return Err(LinkError::OtherNode {
                found: found.clone(),
                wanted: self.to.clone(),
            });
        }
        let proved = greeted.prove(node.tls.as_deref()).await?;
        if certificate(proved.tls.as_deref()) != self.certificate {
            return Err(LinkError::OtherCertificate(self.to.clone()));
        }
        take(proved, address).await
    }
}

/// What a handshake may take.
fn terms(node: &Inner) -> Terms {
    Terms {
        limit: node.settings.monitor_timeout(),
        greeting: node.settings.greeting_timeout,
        patience: Duration::ZERO,
    }
}

/// The fingerprint of the certificate that was shown, if any was.
pub(super) fn certificate(tls: Option<&TlsInfo>) -> Option<String> {
    let certificate = tls?.peer.as_ref()?;
    Some(certificate.sha256.clone())
}

/// Ends the handshake. Whatever came behind the proof is the program's already.
async fn take(mut proved: Proved, remote: &str) -> Result<DataStream, LinkError> {
    proved.stream.write_all(&proved.token).await?;
    let peer = proved.established.peer.greeting.node;
    let early = proved.established.rest;
    Ok(DataStream::new(
        proved.stream,
        early,
        peer,
        remote,
        proved.tls,
    ))
}

/// Goes on with a connection that was accepted and whose greeting is that of a data connection.
/// Before it is known that it is expected here, this node does not prove itself. `has_proved` is
/// called when the other side has.
pub(in crate::node) async fn accept(
    node: &Arc<Inner>,
    greeted: Greeted,
    remote: &str,
    has_proved: impl FnOnce(),
) -> Result<(), LinkError> {
    let greeting = greeted.peer().map(|peer| &peer.greeting);
    let id = greeting.and_then(|greeting| greeting.data_id());
    let id = id.unwrap_or_default().to_owned();
    let proved = greeted.prove(node.tls.as_deref()).await?;
    has_proved();
    debug_assert_eq!(proved.role, Role::Listener);
    let from = proved.established.peer.greeting.node.clone();
    let unexpected = || LinkError::NoDataConn(from.clone(), id.clone());
    if node.is_stopping() {
        return Err(LinkError::Closed);
    }
    let entry = node.data.expected.take(&from, &id).ok_or_else(unexpected)?;
    if certificate(proved.tls.as_deref()) != entry.certificate {
        return Err(LinkError::OtherCertificate(from));
    }
    match entry.taker {
        Taker::Opener(opener) => {
            let stream = take(proved, remote).await?;
            // Whoever waited may have given up just now.
            let _ = opener.send(stream);
        }
        Taker::Function(serving) => match take(proved, remote).await {
            Ok(stream) => target::serve(node, serving, stream),
            Err(error) => {
                target::fail(node, &serving.port, format!("{}: {error}", node.id));
                return Err(error);
            }
        },
    }
    Ok(())
}

/// Where the node listens, as far as is known for sure: where the link to it was made, and what it
/// has told of itself.
pub(super) fn listeners(node: &Inner, peer: &Peer, link: &Link) -> Vec<String> {
    let mut all = Vec::new();
    if link.role == Role::Connector {
        all.push(link.remote.to_string());
    }
    let told = node.control.listeners_of(&peer.id);
    all.extend(told.into_iter().filter(|address| **address != *link.remote));
    all
}

/// Does something within a time, or gives it up.
pub(super) async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    timeout(limit, work).await.ok()
}
