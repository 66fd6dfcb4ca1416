//! An end of a connection, and its two halves.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connection::{Connection, Side, Waiting};
use super::route::Timer;

/// One end of a connection in a [`Network`](super::Network), in the place of a TCP socket.
///
/// What is written at one end is read at the other, in order. A shutdown sends the end of the
/// stream, which is read after all that was written before it. So does dropping the pipe; if there
/// are octets then that arrived and were not read, that resets the connection, as with TCP: once
/// the other side learns of it, what it has not read yet is lost to it.
///
/// # Errors
///
/// Reads and writes fail with [`ConnectionReset`](io::ErrorKind::ConnectionReset) when the
/// connection was [cut](super::Network::cut) or reset by the other side, and writes with
/// [`BrokenPipe`](io::ErrorKind::BrokenPipe) after a shutdown, or when the news has arrived that
/// the other end was dropped.
///
/// # Panics
///
/// A read or a write that has to wait for a delay panics outside of a tokio runtime with a clock.
pub struct Pipe {
    end: Arc<End>,
    timer: Timer,
    waiting: Waiting,
}

/// What the halves have in common. When both are gone, so is this side of the connection.
struct End {
    connection: Arc<Connection>,
    side: Side,
}

impl Drop for End {
    fn drop(&mut self) {
        self.connection.close(self.side);
    }
}

impl Pipe {
    /// Both ends: that of who dialled first.
    pub(super) fn pair(connection: &Arc<Connection>) -> [Pipe; 2] {
        [0, 1].map(|side| Pipe {
            end: Arc::new(End {
                connection: connection.clone(),
                side,
            }),
            timer: Timer::default(),
            waiting: Waiting::default(),
        })
    }

    /// The half to read from and the half to write to.
    pub(crate) fn into_split(self) -> (ReadHalf, WriteHalf) {
        let write = WriteHalf {
            end: self.end.clone(),
            ends: true,
        };
        let read = ReadHalf {
            end: self.end,
            timer: self.timer,
        };
        (read, write)
    }
}

impl AsyncRead for Pipe {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Pipe { end, timer, .. } = &mut *self;
        end.connection.poll_read(end.side, timer, cx, buf)
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Pipe { end, waiting, .. } = &mut *self;
        if octets.is_empty() {
            return Poll::Ready(Ok(0));
        }
        ready!(end.connection.poll_writable(end.side, waiting, cx));
        // Nobody else writes here, so there still is room.
        Poll::Ready(end.connection.try_write(end.side, octets))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.end.connection.end(self.end.side);
        Poll::Ready(Ok(()))
    }
}

impl fmt::Debug for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipe").finish_non_exhaustive()
    }
}

/// The half of a [`Pipe`] to read from. Dropping it alone does nothing.
pub(crate) struct ReadHalf {
    end: Arc<End>,
    timer: Timer,
}

impl AsyncRead for ReadHalf {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let ReadHalf { end, timer } = &mut *self;
        end.connection.poll_read(end.side, timer, cx, buf)
    }
}

/// The half of a [`Pipe`] to write to, by several at once. Dropping it sends the end of the stream.
pub(crate) struct WriteHalf {
    end: Arc<End>,
    /// Whether dropping it sends the end of the stream.
    ends: bool,
}

impl WriteHalf {
    /// Writes as much as there is room for; see [`Pipe`] for the errors.
    pub(crate) fn try_write(&self, octets: &[u8]) -> io::Result<usize> {
        self.end.connection.try_write(self.end.side, octets)
    }

    /// Whether a write is worth trying; if not, who polls is woken when it is.
    #[cfg(feature = "tls")]
    pub(crate) fn poll_writable(&self, waiting: &mut Waiting, cx: &mut Context<'_>) -> Poll<()> {
        let End { connection, side } = &*self.end;
        connection.poll_writable(*side, waiting, cx)
    }

    /// Sends the end of the stream.
    #[cfg(feature = "tls")]
    pub(crate) fn end(&self) {
        self.end.connection.end(self.end.side);
    }

    /// Waits until a write is worth trying.
    pub(crate) async fn writable(&self) {
        /// Leaves its place in the queue when it is not waited for any longer.
        struct Wait<'a>(&'a End, Waiting);
        impl Drop for Wait<'_> {
            fn drop(&mut self) {
                self.0.connection.stop_waiting(self.0.side, &self.1);
            }
        }
        let mut wait = Wait(&self.end, Waiting::default());
        std::future::poll_fn(|cx| {
            let Wait(end, waiting) = &mut wait;
            end.connection.poll_writable(end.side, waiting, cx)
        })
        .await;
    }

    /// Drops it without sending the end of the stream, which goes out when the other half is
    /// dropped, too.
    pub(crate) fn forget(mut self) {
        self.ends = false;
    }
}

impl Drop for WriteHalf {
    fn drop(&mut self) {
        if self.ends {
            self.end.connection.end(self.end.side);
        }
    }
}
