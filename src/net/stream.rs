//! What a link runs over: TCP, a Unix socket, or a network in memory, with or without TLS. Whoever
//! has a stream, a half, a listener or a transport does not know which; another kind is another
//! variant here.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

use super::memory;
use super::options::{SocketOptions, bind_tcp};
use super::plain::{Plain, PlainRead, PlainWrite};
#[cfg(feature = "tls")]
use super::tls;
#[cfg(unix)]
use super::unix::UnixListener;
use crate::config::{Endpoint, format_hostport};

/// How connections are made and accepted.
#[derive(Debug, Clone, Default)]
pub(crate) enum Transport {
    /// By sockets. Addresses are resolved already.
    #[default]
    Sockets,
    /// From and on this host of a network in memory.
    Memory(memory::Host),
}

impl Transport {
    /// Connects to `address`.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if it is no address of this transport, else those of connecting.
    pub(crate) async fn dial(&self, address: &str) -> io::Result<Stream> {
        match self {
            Transport::Sockets => {
                let stream = match endpoint(address)? {
                    Endpoint::Ip(address) => Plain::Tcp(TcpStream::connect(address).await?),
                    #[cfg(unix)]
                    Endpoint::Unix(path) => {
                        Plain::Unix(tokio::net::UnixStream::connect(path).await?)
                    }
                    #[cfg(not(unix))]
                    Endpoint::Unix(_) => return Err(io::ErrorKind::Unsupported.into()),
                };
                Ok(Stream::Plain(stream))
            }
            Transport::Memory(host) => {
                let pipe = host.dial(address).await?;
                Ok(Stream::Plain(Plain::Memory(pipe)))
            }
        }
    }

    /// Listens on `address`.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if it is no address of this transport, else those of listening.
    pub(crate) fn bind(&self, address: &str) -> io::Result<Listener> {
        match self {
            Transport::Sockets => match endpoint(address)? {
                Endpoint::Ip(address) => bind_tcp(address).map(Listener::Tcp),
                #[cfg(unix)]
                Endpoint::Unix(path) => UnixListener::bind(path).map(Listener::Unix),
                #[cfg(not(unix))]
                Endpoint::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
            },
            Transport::Memory(host) => host.bind(address).map(Listener::Memory),
        }
    }
}

fn endpoint(address: &str) -> io::Result<Endpoint> {
    let fail = |_| io::Error::new(io::ErrorKind::InvalidInput, "not a resolved address");
    address.parse().map_err(fail)
}

/// Where connections are accepted.
#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener),
    Memory(memory::Listener),
}

impl Listener {
    /// The next connection, and the address that it comes from, as host and port.
    pub(crate) async fn accept(&self) -> io::Result<(Stream, String)> {
        match self {
            Listener::Tcp(listener) => {
                let (stream, remote) = listener.accept().await?;
                let stream = Plain::Tcp(stream);
                Ok((Stream::Plain(stream), format_hostport(&remote)))
            }
            #[cfg(unix)]
            Listener::Unix(listener) => {
                let (stream, remote) = listener.accept().await?;
                Ok((Stream::Plain(Plain::Unix(stream)), remote))
            }
            Listener::Memory(listener) => {
                let (pipe, remote) = listener.accept().await?;
                Ok((Stream::Plain(Plain::Memory(pipe)), remote))
            }
        }
    }

    /// The address that it listens on, as host and port, or of a Unix socket.
    pub(crate) fn local_addr(&self) -> io::Result<String> {
        match self {
            Listener::Tcp(listener) => Ok(format_hostport(&listener.local_addr()?)),
            #[cfg(unix)]
            Listener::Unix(listener) => Ok(listener.local_addr()),
            Listener::Memory(listener) => Ok(listener.local_addr().to_owned()),
        }
    }

    /// Sets the options of the socket, if it is one.
    pub(crate) fn apply(&self, options: &SocketOptions) -> io::Result<()> {
        options.set_on(self.socket())
    }

    fn socket(&self) -> Option<SockRef<'_>> {
        match self {
            Listener::Tcp(listener) => Some(listener.into()),
            #[cfg(unix)]
            Listener::Unix(_) => None,
            Listener::Memory(_) => None,
        }
    }
}

/// A connection.
#[derive(Debug)]
pub(crate) enum Stream {
    Plain(Plain),
    #[cfg(feature = "tls")]
    Tls(Box<tls::Stream>),
}

impl Stream {
    /// The half to read from and the half to write to.
    pub(crate) fn into_split(self) -> (ReadHalf, WriteHalf) {
        match self {
            Stream::Plain(plain) => {
                let (read, write) = plain.into_split();
                (ReadHalf::Plain(read), WriteHalf::Plain(write))
            }
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => {
                let (read, write) = stream.into_split();
                (ReadHalf::Tls(read), WriteHalf::Tls(write))
            }
        }
    }

    /// Sets the options of the socket, if it is one.
    pub(crate) fn apply(&self, options: &SocketOptions) -> io::Result<()> {
        match self {
            Stream::Plain(plain) => plain.apply(options),
            // They were set before TLS began.
            #[cfg(feature = "tls")]
            Stream::Tls(_) => Ok(()),
        }
    }

    /// Writes all of it, and keeps none of it back.
    pub(crate) async fn write_all(&mut self, octets: &[u8]) -> io::Result<()> {
        AsyncWriteExt::write_all(self, octets).await?;
        self.flush().await
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(plain) => Pin::new(plain).poll_read(cx, buf),
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => Pin::new(&mut **stream).poll_read(cx, buf),
        }
    }
}

/// For who has the whole of it; the halves of a link have [`WriteHalf`].
impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(plain) => Pin::new(plain).poll_write(cx, octets),
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => Pin::new(&mut **stream).poll_write(cx, octets),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(plain) => Pin::new(plain).poll_flush(cx),
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => Pin::new(&mut **stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(plain) => Pin::new(plain).poll_shutdown(cx),
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => Pin::new(&mut **stream).poll_shutdown(cx),
        }
    }
}

/// The half of a [`Stream`] to read from.
pub(crate) enum ReadHalf {
    Plain(PlainRead),
    #[cfg(feature = "tls")]
    Tls(tls::ReadHalf),
}

impl AsyncRead for ReadHalf {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            ReadHalf::Plain(half) => Pin::new(half).poll_read(cx, buf),
            #[cfg(feature = "tls")]
            ReadHalf::Tls(half) => Pin::new(half).poll_read(cx, buf),
        }
    }
}

/// The half of a [`Stream`] to write to, by a task and by other threads at once. Dropping it sends
/// the end of the stream.
pub(crate) enum WriteHalf {
    Plain(PlainWrite),
    #[cfg(feature = "tls")]
    Tls(tls::WriteHalf),
}

impl WriteHalf {
    /// Writes as much as there is room for. What was not written is to be tried again, before
    /// anything else is.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is no room, else those of the connection.
    pub(crate) fn try_write(&self, octets: &[u8]) -> io::Result<usize> {
        match self {
            WriteHalf::Plain(half) => half.try_write(octets),
            #[cfg(feature = "tls")]
            WriteHalf::Tls(half) => half.try_write(octets),
        }
    }

    /// Waits until a write is worth trying. It may give `WouldBlock` all the same, if somebody else
    /// was faster.
    pub(crate) async fn writable(&self) -> io::Result<()> {
        match self {
            WriteHalf::Plain(half) => half.writable().await,
            #[cfg(feature = "tls")]
            WriteHalf::Tls(half) => half.writable().await,
        }
    }

    /// Drops it without sending the end of the stream, which goes out when the other half is
    /// dropped, too.
    pub(crate) fn forget(self) {
        match self {
            WriteHalf::Plain(half) => half.forget(),
            #[cfg(feature = "tls")]
            WriteHalf::Tls(half) => half.forget(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::io::AsyncReadExt as _;

    use super::*;

    /// What a link does with its stream; here, and over a socket, the same.
    async fn talk(transport: Transport, address: &str) {
        let listener = transport.bind(address).unwrap();
        let bound = listener.local_addr().unwrap();
        let mut near = transport.dial(&bound).await.unwrap();
        let (mut far, remote) = listener.accept().await.unwrap();
        let host = |address: &str| {
            address
                .rsplit_once(':')
                .map_or(address, |(host, _)| host)
                .to_owned()
        };
        assert_eq!(host(&remote), host(&bound));
        let has_socket = matches!(near, Stream::Plain(Plain::Tcp(_)));
        assert_eq!(listener.socket().is_some(), has_socket);

        // A handshake.
        near.write_all(b"greeting").await.unwrap();
        let mut input = [0; 8];
        far.read_exact(&mut input).await.unwrap();
        far.write_all(&input).await.unwrap();
        near.read_exact(&mut input).await.unwrap();
        assert_eq!(&input, b"greeting");

        // A writer fills the stream, and another goes on when there is room.
        let ((mut read, write), (mut far_read, far_write)) = (near.into_split(), far.into_split());
        let write = Arc::new(write);
        let mut sent = 0_u64;
        loop {
            match write.try_write(&[1; 5000]) {
                Ok(len) => sent += len as u64,
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                    break;
                }
            }
        }
        let other = write.clone();
        let writer = tokio::spawn(async move {
            loop {
                other.writable().await.unwrap();
                match other.try_write(b"2") {
                    Ok(len) => return len as u64,
                    Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
                }
            }
        });
        let reader = tokio::spawn(async move {
            let mut got = Vec::new();
            far_read.read_to_end(&mut got).await.unwrap();
            (got, far_read)
        });
        sent += writer.await.unwrap();
        drop(write); // the last one: the end of the stream
        let (got, far_read) = reader.await.unwrap();
        assert_eq!((got.len() as u64, got.last()), (sent, Some(&b'2')));

        // As this side does not say so itself, closing it does.
        far_write.forget();
        drop(far_read);
        assert_eq!(read.read(&mut input).await.unwrap(), 0);

        drop(listener);
        let error = transport.dial(&bound).await.unwrap_err();
        // The path of a Unix socket goes with its listener.
        let gone = [io::ErrorKind::ConnectionRefused, io::ErrorKind::NotFound];
        assert!(gone.contains(&error.kind()), "{error}");
        for error in [
            transport.dial("somewhere").await.map(drop),
            transport.bind("somewhere").map(drop),
        ] {
            assert_eq!(error.unwrap_err().kind(), io::ErrorKind::InvalidInput);
        }
    }

    #[tokio::test]
    async fn a_link_over_tcp() {
        talk(Transport::default(), "127.0.0.1:0").await;
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_link_over_a_unix_socket() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        talk(Transport::default(), &format!("unix/:{}", path.display())).await;
    }

    #[tokio::test]
    async fn a_link_in_memory() {
        let network = memory::Network::new(0);
        talk(Transport::Memory(network.host("a")), "a:*").await;
    }

    #[test]
    fn links_may_be_served_by_any_thread() {
        fn movable<T: Send + Unpin>() {}
        fn shared<T: Send + Sync>() {}
        movable::<(Stream, ReadHalf)>();
        shared::<(Listener, Transport, WriteHalf)>();
    }
}
