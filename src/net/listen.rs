//! Listeners.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::Semaphore;

use crate::config::format_hostport;
use crate::log::log_at;
use crate::node::Inner;

/// How many connections may be in their handshake at the same time; more wait in the backlog.
const MAX_HANDSHAKES: usize = 1024;

/// Whether accepted connections have the options of their listener, which saves setting them.
pub(super) const INHERITS: bool = cfg!(target_os = "linux");

/// Binds a listener.
pub(crate) fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(1024)
}

/// Accepts connections until the node stops.
pub(crate) async fn accept_loop(node: Arc<Inner>, listener: TcpListener) {
    if INHERITS && let Err(error) = super::connection::set_options(&node, (&listener).into()) {
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
                    super::serve(home, stream, format_hostport(&remote)).await;
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
