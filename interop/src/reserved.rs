//! Addresses that nobody but the node meant for them gets.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use socket2::{Domain, Socket, Type};

/// An address of 127.0.0.1 that stays reserved until this is dropped.
///
/// A socket with `SO_REUSEADDR` is bound to it and never listens. The system gives the port to no
/// connection and to no listener without a port of its own; one that asks for this port with
/// `SO_REUSEADDR`, as both Perl's nodes and ours do, gets it, and again after it was killed. While
/// none listens, connections are refused.
#[derive(Debug)]
pub struct Reserved {
    address: SocketAddr,
    _socket: Socket,
}

impl Reserved {
    /// Reserves an address.
    ///
    /// # Errors
    ///
    /// The system's, if no port is left.
    pub fn new() -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
        let address = socket.local_addr()?.as_socket();
        Ok(Self {
            address: address.ok_or(io::ErrorKind::AddrNotAvailable)?,
            _socket: socket,
        })
    }

    /// The address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn is_free_for_who_asks_for_it_and_for_nobody_else() {
        let reserved = Reserved::new().unwrap();
        let address = reserved.address();
        assert_eq!(
            TcpStream::connect(address).unwrap_err().kind(),
            io::ErrorKind::ConnectionRefused
        );
        // std sets SO_REUSEADDR, too. The second time is the restart of a node that was killed with
        // connections.
        for _ in 0..2 {
            let listener = TcpListener::bind(address).unwrap();
            let _client = TcpStream::connect(address).unwrap();
            let (_server, _) = listener.accept().unwrap();
        }
        let without = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        assert_eq!(
            without.bind(&address.into()).unwrap_err().kind(),
            io::ErrorKind::AddrInUse
        );
    }

    #[test]
    fn no_two_are_the_same_and_no_ephemeral_port_is_one_of_them() {
        let reserved: Vec<Reserved> = (0..500).map(|_| Reserved::new().unwrap()).collect();
        let ports: HashSet<u16> = reserved.iter().map(|r| r.address().port()).collect();
        assert_eq!(ports.len(), reserved.len());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = listener.local_addr().unwrap();
        for _ in 0..2000 {
            let other = TcpListener::bind("127.0.0.1:0").unwrap();
            let client = TcpStream::connect(target).unwrap();
            let (server, _) = listener.accept().unwrap();
            // closed by a reset: no port is left in TIME_WAIT
            for stream in [&client, &server] {
                let linger = Some(std::time::Duration::ZERO);
                socket2::SockRef::from(stream).set_linger(linger).unwrap();
            }
            for address in [other.local_addr().unwrap(), client.local_addr().unwrap()] {
                assert!(!ports.contains(&address.port()), "{address}");
            }
        }
    }
}
