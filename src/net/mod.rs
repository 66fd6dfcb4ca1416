//! Sockets: listeners, outgoing connections, the two halves of a link.

mod connection;
mod error;
mod intake;
mod link;
mod listen;
pub(crate) mod schedule;

pub(crate) use connection::expect_version;
pub use error::LinkError;
pub(crate) use listen::{accept_loop, bind};

use std::sync::Arc;

use crate::log::log_at;
use crate::node::Inner;
use crate::proto::HandshakeError;
use crate::proto::handshake::Role;

/// What a connection was made for.
#[derive(Debug, Clone)]
pub(crate) enum Purpose {
    /// Somebody connected to us.
    Accepted,
    /// To reach a node.
    Node,
    /// To reach whoever is at a seed address.
    Seed(String),
}

/// Connects to `address`; returns when there is a link, or none will come of it.
pub(crate) async fn dial(
    node: Arc<Inner>,
    address: &str,
    purpose: Purpose,
) -> Result<(), LinkError> {
    let mut result = connection::dial(&node, address, purpose.clone()).await;
    if let Err(LinkError::Handshake(HandshakeError::Version { theirs, .. })) = &result
        && node.handshake.is_open()
        && node.handshake.allows_version(*theirs)
    {
        // Now it is known which version to greet with.
        log_at!(9, "{address} speaks version {theirs}, connecting again");
        result = connection::dial(&node, address, purpose).await;
    }
    if let Err(error) = &result {
        report(address, error);
    }
    result
}

/// Connects to a seed.
pub(crate) async fn dial_seed(node: Arc<Inner>, seed: String) {
    let result = dial(node.clone(), &seed, Purpose::Seed(seed.clone())).await;
    let own = matches!(
        &result,
        Err(LinkError::Handshake(HandshakeError::OwnNodeId { .. }))
    );
    node.mesh.seed_ended(&node, &seed, own);
}

/// Serves a connection that was accepted.
pub(crate) async fn serve(node: Arc<Inner>, stream: tokio::net::TcpStream, remote: String) {
    let (role, purpose) = (Role::Listener, Purpose::Accepted);
    // A listener waits for the greeting as long as for everything else.
    let patience = node.settings.monitor_timeout();
    let result = connection::establish(&node, stream, &remote, role, purpose, patience);
    if let Err(error) = result.await {
        report(&remote, &error);
    }
}

/// Logs why a connection did not become a link.
fn report(remote: &str, error: &LinkError) {
    match error.is_noteworthy() {
        true => log_at!(2, "{remote} {error}"),
        false => log_at!(9, "{remote} {error}"),
    }
}
