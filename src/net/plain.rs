//! A connection without TLS: a socket, or a pipe of a network in memory.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
#[cfg(unix)]
use tokio::net::unix;

use super::memory;
use super::options::SocketOptions;

/// A connection by which octets go as they are.
#[derive(Debug)]
pub(crate) enum Plain {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(tokio::net::UnixStream),
    Memory(memory::Pipe),
}

impl Plain {
    /// The half to read from and the half to write to.
    pub(crate) fn into_split(self) -> (PlainRead, PlainWrite) {
        match self {
            Plain::Tcp(stream) => {
                let (read, write) = stream.into_split();
                (PlainRead::Tcp(read), PlainWrite::Tcp(write))
            }
            #[cfg(unix)]
            Plain::Unix(stream) => {
                let (read, write) = stream.into_split();
                (PlainRead::Unix(read), PlainWrite::Unix(write))
            }
            Plain::Memory(pipe) => {
                let (read, write) = pipe.into_split();
                (PlainRead::Memory(read), PlainWrite::Memory(write))
            }
        }
    }

    /// Sets the options of the socket, if it is one that has any.
    pub(crate) fn apply(&self, options: &SocketOptions) -> io::Result<()> {
        options.set_on(self.socket())
    }

    fn socket(&self) -> Option<SockRef<'_>> {
        match self {
            Plain::Tcp(stream) => Some(stream.into()),
            #[cfg(unix)]
            Plain::Unix(_) => None,
            Plain::Memory(_) => None,
        }
    }
}

impl AsyncRead for Plain {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Plain::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            #[cfg(unix)]
            Plain::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
            Plain::Memory(pipe) => Pin::new(pipe).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Plain {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Plain::Tcp(stream) => Pin::new(stream).poll_write(cx, octets),
            #[cfg(unix)]
            Plain::Unix(stream) => Pin::new(stream).poll_write(cx, octets),
            Plain::Memory(pipe) => Pin::new(pipe).poll_write(cx, octets),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Plain::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            #[cfg(unix)]
            Plain::Unix(stream) => Pin::new(stream).poll_flush(cx),
            Plain::Memory(pipe) => Pin::new(pipe).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Plain::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            #[cfg(unix)]
            Plain::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Plain::Memory(pipe) => Pin::new(pipe).poll_shutdown(cx),
        }
    }
}

/// The half of a [`Plain`] to read from.
pub(crate) enum PlainRead {
    Tcp(OwnedReadHalf),
    #[cfg(unix)]
    Unix(unix::OwnedReadHalf),
    Memory(memory::ReadHalf),
}

impl AsyncRead for PlainRead {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            PlainRead::Tcp(half) => Pin::new(half).poll_read(cx, buf),
            #[cfg(unix)]
            PlainRead::Unix(half) => Pin::new(half).poll_read(cx, buf),
            PlainRead::Memory(half) => Pin::new(half).poll_read(cx, buf),
        }
    }
}

/// The half of a [`Plain`] to write to, by a task and by other threads at once. Dropping it sends
/// the end of the stream.
pub(crate) enum PlainWrite {
    Tcp(OwnedWriteHalf),
    #[cfg(unix)]
    Unix(unix::OwnedWriteHalf),
    Memory(memory::WriteHalf),
}

impl PlainWrite {
    /// Writes as much as there is room for.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is no room, else those of the connection.
    pub(crate) fn try_write(&self, octets: &[u8]) -> io::Result<usize> {
        match self {
            PlainWrite::Tcp(half) => half.try_write(octets),
            #[cfg(unix)]
            PlainWrite::Unix(half) => half.try_write(octets),
            PlainWrite::Memory(half) => half.try_write(octets),
        }
    }

    /// The same for several pieces, one behind the other.
    ///
    /// # Errors
    ///
    /// As [`try_write`](Self::try_write).
    #[cfg(feature = "tls")]
    pub(super) fn try_write_vectored(&self, pieces: &[io::IoSlice<'_>]) -> io::Result<usize> {
        match self {
            PlainWrite::Tcp(half) => half.try_write_vectored(pieces),
            #[cfg(unix)]
            PlainWrite::Unix(half) => half.try_write_vectored(pieces),
            PlainWrite::Memory(half) => {
                let first = pieces.iter().find(|piece| !piece.is_empty());
                first.map_or(Ok(0), |piece| half.try_write(piece))
            }
        }
    }

    /// Waits until a write is worth trying. It may give `WouldBlock` all the same, if somebody else
    /// was faster.
    pub(crate) async fn writable(&self) -> io::Result<()> {
        match self {
            PlainWrite::Tcp(half) => half.writable().await,
            #[cfg(unix)]
            PlainWrite::Unix(half) => half.writable().await,
            PlainWrite::Memory(half) => {
                half.writable().await;
                Ok(())
            }
        }
    }

    /// The same for who polls.
    #[cfg(feature = "tls")]
    pub(super) fn poll_writable(
        &self,
        waiting: &mut memory::Waiting,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            PlainWrite::Tcp(half) => half.as_ref().poll_write_ready(cx),
            #[cfg(unix)]
            PlainWrite::Unix(half) => half.as_ref().poll_write_ready(cx),
            PlainWrite::Memory(half) => half.poll_writable(waiting, cx).map(Ok),
        }
    }

    /// Sends the end of the stream.
    #[cfg(feature = "tls")]
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            PlainWrite::Tcp(half) => Pin::new(half).poll_shutdown(cx),
            #[cfg(unix)]
            PlainWrite::Unix(half) => Pin::new(half).poll_shutdown(cx),
            PlainWrite::Memory(half) => {
                half.end();
                Poll::Ready(Ok(()))
            }
        }
    }

    /// Drops it without sending the end of the stream, which goes out when the other half is
    /// dropped, too.
    pub(crate) fn forget(self) {
        match self {
            PlainWrite::Tcp(half) => half.forget(),
            #[cfg(unix)]
            PlainWrite::Unix(half) => half.forget(),
            PlainWrite::Memory(half) => half.forget(),
        }
    }
}
