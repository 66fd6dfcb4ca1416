//! TCP sockets: their options, and listening.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};

/// Whether accepted connections have the options of their listener, which saves setting them.
pub(crate) const INHERITS: bool = cfg!(target_os = "linux");

/// The options of the sockets of a node.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SocketOptions {
    /// Small messages are sent without delay.
    pub(crate) nodelay: bool,
    /// About the time in which a dead host is noticed even on an idle link.
    pub(crate) keepalive: Duration,
}

impl SocketOptions {
    /// Sets them, if there is a socket.
    pub(super) fn set_on(&self, socket: Option<socket2::SockRef<'_>>) -> std::io::Result<()> {
        let Some(socket) = socket else {
            return Ok(());
        };
        const PROBES: u32 = 3;
        let timeout = self.keepalive.max(Duration::from_secs(4));
        let keepalive = socket2::TcpKeepalive::new()
            .with_time(timeout)
            .with_interval((timeout / PROBES).max(Duration::from_secs(1)))
            .with_retries(PROBES);
        socket.set_tcp_nodelay(self.nodelay)?;
        socket.set_tcp_keepalive(&keepalive)
    }
}

/// Binds a listener.
pub(super) fn bind_tcp(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(1024)
}
