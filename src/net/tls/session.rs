//! A stream through TLS, and its halves.
//!
//! Both halves share what rustls keeps of the connection, under one lock, and each has its own half
//! of the connection below. So whoever sends can write at once, from any thread, without going
//! through a task that does.

use std::cell::Cell;
use std::fmt;
use std::io::{self, BufRead as _, Write as _};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use parking_lot::Mutex;
use rustls::Connection;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

use super::certificate::of_peer;
use super::context::Tls;
use super::{TlsError, TlsInfo};
use crate::net::memory::Waiting;
use crate::net::plain::{Plain, PlainRead, PlainWrite};
use crate::proto::handshake::TlsRole;

/// How much is encrypted at once, in octets: so much may be held of what has no room below.
const CHUNK: usize = 64 * 1024;

/// How much is read at once, in octets.
const READ_SIZE: usize = 64 * 1024;

/// The most octets of a peer that a handshake takes. Chains of certificates are far shorter.
const MOST_IN_HANDSHAKE: usize = 64 * 1024;

thread_local! {
    /// The block that the streams of this thread read into. Empty here.
    static BLOCK: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// What the halves have in common.
struct Session(Mutex<State>);

struct State {
    connection: Connection,
    /// So many octets are encrypted already, and not yet said to be written: the next ones that are
    /// to be written are these.
    promised: usize,
}

/// The peer has ended the connection in the handshake, when so many octets of TLS had come from it.
fn end(came: usize) -> io::Error {
    io::Error::other(match came {
        0 => TlsError::NotBegun,
        _ => TlsError::Cut,
    })
}

/// What an error in the handshake means. Who closes a connection on which something waits to be
/// read resets it, so that is an end as well.
fn ended(error: io::Error, came: usize) -> io::Error {
    match error.kind() {
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe => end(came),
        _ => error,
    }
}

/// A stream through TLS.
pub(crate) struct Stream {
    read: ReadHalf,
    write: WriteHalf,
    /// The place of who polls the whole stream for room.
    waiting: Waiting,
}

/// The half of a [`Stream`] to read from.
pub(crate) struct ReadHalf {
    plain: PlainRead,
    session: Arc<Session>,
    /// What was read below, and rustls had no room for yet.
    rest: Vec<u8>,
}

/// The half of a [`Stream`] to write to, by a task and by other threads at once. Dropping it sends
/// the end of the stream.
pub(crate) struct WriteHalf {
    plain: PlainWrite,
    session: Arc<Session>,
    farewell: Farewell,
}

/// What a half to write to does when it is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Farewell {
    /// Says that nothing more will come.
    Notify,
    Silent,
}

impl Stream {
    /// Does the handshake of TLS on a connection. `early` came by it already.
    pub(crate) async fn open(
        plain: Plain,
        tls: &Tls,
        role: TlsRole,
        early: Vec<u8>,
    ) -> io::Result<Stream> {
        let connection = tls.connection(role).map_err(io::Error::other)?;
        let (read, write) = plain.into_split();
        let session = Arc::new(Session(Mutex::new(State {
            connection,
            promised: 0,
        })));
        let mut stream = Stream {
            read: ReadHalf {
                plain: read,
                session: session.clone(),
                rest: early,
            },
            write: WriteHalf {
                plain: write,
                session,
                farewell: Farewell::Notify,
            },
            waiting: Waiting::default(),
        };
        stream.shake_hands().await?;
        Ok(stream)
    }

    async fn shake_hands(&mut self) -> io::Result<()> {
        let mut came = self.read.rest.len();
        let mut input = std::mem::take(&mut self.read.rest);
        let mut block = vec![0; 4096];
        loop {
            let fed = self.read.session.0.lock().feed_all(&input);
            // The alert that says what is wrong goes out, too.
            let flushed = self.write.flush().await;
            self.read.rest = fed?;
            flushed.map_err(|error| ended(error, came))?;
            if !self.read.session.0.lock().connection.is_handshaking() {
                return Ok(());
            }
            let read = self.read.plain.read(&mut block).await;
            let read = read.map_err(|error| ended(error, came))?;
            if read == 0 {
                return Err(end(came));
            }
            came += read;
            if came > MOST_IN_HANDSHAKE {
                return Err(io::Error::other(TlsError::TooLong(MOST_IN_HANDSHAKE)));
            }
            input = std::mem::take(&mut self.read.rest);
            input.extend_from_slice(&block[..read]);
        }
    }

    /// What TLS it is, and who is at the other end.
    pub(crate) fn info(&self) -> TlsInfo {
        let state = self.read.session.0.lock();
        let connection = &state.connection;
        let version = connection.protocol_version();
        let version = version.and_then(|version| version.as_str());
        let suite = connection.negotiated_cipher_suite();
        let cipher = suite.and_then(|suite| suite.suite().as_str());
        let shown = connection.peer_certificates();
        TlsInfo {
            version: version.unwrap_or_default().to_owned(),
            cipher: cipher.unwrap_or_default().to_owned(),
            peer: shown.and_then(|shown| shown.first()).and_then(of_peer),
        }
    }

    /// The half to read from and the half to write to.
    pub(crate) fn into_split(self) -> (ReadHalf, WriteHalf) {
        (self.read, self.write)
    }
}

impl State {
    /// Takes what came by the connection, as far as there is room in `buf` for what it says. Says
    /// whether the peer has ended the stream.
    fn feed(&mut self, input: &mut &[u8], buf: &mut ReadBuf<'_>) -> io::Result<Ended> {
        loop {
            let mut reader = self.connection.reader();
            match reader.fill_buf() {
                Ok([]) => return Ok(Ended::Yes),
                Ok(chunk) => {
                    let len = chunk.len().min(buf.remaining());
                    if len == 0 {
                        return Ok(Ended::No);
                    }
                    buf.put_slice(&chunk[..len]);
                    reader.consume(len);
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            if input.is_empty() {
                return Ok(Ended::No);
            }
            self.take(input)?;
        }
    }

    /// Takes some of what came.
    fn take(&mut self, input: &mut &[u8]) -> io::Result<()> {
        self.connection.read_tls(input)?;
        let processed = self.connection.process_new_packets();
        processed.map_err(|error| io::Error::other(TlsError::from(error)))?;
        Ok(())
    }

    /// Takes what came in the handshake, all that rustls has room for; gives back what is left.
    fn feed_all(&mut self, mut input: &[u8]) -> io::Result<Vec<u8>> {
        while !input.is_empty() && self.connection.is_handshaking() {
            self.take(&mut input)?;
        }
        Ok(input.to_vec())
    }

    /// Writes what is encrypted.
    fn flush(&mut self, plain: &PlainWrite) -> io::Result<()> {
        while self.connection.wants_write() {
            if self.connection.write_tls(&mut Below(plain))? == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        Ok(())
    }
}

/// Whether the peer has ended the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Yes,
    No,
}

/// What rustls writes to.
struct Below<'a>(&'a PlainWrite);

impl io::Write for Below<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.try_write(octets)
    }

    fn write_vectored(&mut self, pieces: &[io::IoSlice<'_>]) -> io::Result<usize> {
        match pieces {
            // A single record, as most are: the system has a shorter way for that.
            [piece] => self.0.try_write(piece),
            pieces => self.0.try_write_vectored(pieces),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for ReadHalf {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let ReadHalf {
            plain,
            session,
            rest,
        } = &mut *self;
        let before = buf.filled().len();
        // What was left when there was no room.
        let mut input = &rest[..];
        let ended = session.0.lock().feed(&mut input, buf)?;
        let left = input.len();
        rest.drain(..rest.len() - left);
        if ended == Ended::Yes || buf.filled().len() > before || buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let mut block = BLOCK.take();
        block.resize(READ_SIZE, 0);
        let polled = poll_block(plain, session, rest, cx, buf, &mut block);
        BLOCK.set(block);
        polled
    }
}

/// Reads below until that gives something, or the end.
fn poll_block(
    plain: &mut PlainRead,
    session: &Session,
    rest: &mut Vec<u8>,
    cx: &mut Context<'_>,
    buf: &mut ReadBuf<'_>,
    block: &mut [u8],
) -> Poll<io::Result<()>> {
    let before = buf.filled().len();
    loop {
        let mut read = ReadBuf::new(block);
        ready!(Pin::new(&mut *plain).poll_read(cx, &mut read))?;
        let mut input = read.filled();
        if input.is_empty() {
            // An end that was not announced: whoever cuts a stream could cut it anywhere.
            return Poll::Ready(Ok(()));
        }
        let ended = session.0.lock().feed(&mut input, buf)?;
        rest.extend_from_slice(input);
        if ended == Ended::Yes || buf.filled().len() > before {
            return Poll::Ready(Ok(()));
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().read).poll_read(cx, buf)
    }
}

impl Stream {
    /// Does something with the connection as soon as all that is encrypted has been written.
    fn poll_when_flushed<T>(
        &mut self,
        cx: &mut Context<'_>,
        act: impl FnOnce(&mut State, &PlainWrite) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        let WriteHalf { plain, session, .. } = &self.write;
        loop {
            {
                let mut state = session.0.lock();
                match state.flush(plain) {
                    Ok(()) => return Poll::Ready(act(&mut state, plain)),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Poll::Ready(Err(error)),
                }
            }
            ready!(plain.poll_writable(&mut self.waiting, cx))?;
        }
    }
}

/// What was encrypted counts as written: it waits here, less than [`CHUNK`], until the stream is
/// written to again, flushed or shut down. So here other octets may follow than those that were
/// tried.
impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_when_flushed(cx, |state, plain| {
            let chunk = &octets[..octets.len().min(CHUNK)];
            let taken = state.connection.writer().write(chunk)?;
            match state.flush(plain) {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
                Ok(()) | Err(_) => Ok(taken),
            }
        })
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_when_flushed(cx, |_, _| Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        if stream.write.farewell == Farewell::Notify {
            ready!(stream.poll_when_flushed(cx, |state, _| {
                state.connection.send_close_notify();
                Ok(())
            }))?;
            stream.write.farewell = Farewell::Silent;
        }
        ready!(stream.poll_when_flushed(cx, |_, _| Ok(())))?;
        stream.write.plain.poll_shutdown(cx)
    }
}

impl WriteHalf {
    /// Writes as much as there is room for.
    ///
    /// What was encrypted can't be taken back. If there is no room for all of it below, none of it
    /// counts as written, and it is written when the same octets are tried again. So what waits
    /// here is less than [`CHUNK`] and never forgotten.
    pub(crate) fn try_write(&self, octets: &[u8]) -> io::Result<usize> {
        let mut state = self.session.0.lock();
        state.flush(&self.plain)?;
        let promised = std::mem::take(&mut state.promised);
        if promised > 0 {
            return Ok(promised.min(octets.len()));
        }
        let chunk = &octets[..octets.len().min(CHUNK)];
        let taken = state.connection.writer().write(chunk)?;
        let flushed = state.flush(&self.plain);
        if flushed.is_err() {
            state.promised = taken;
        }
        flushed.map(|()| taken)
    }

    pub(crate) async fn writable(&self) -> io::Result<()> {
        self.plain.writable().await
    }

    /// Writes what rustls has to say.
    async fn flush(&self) -> io::Result<()> {
        loop {
            let flushed = self.session.0.lock().flush(&self.plain);
            match flushed {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.plain.writable().await?;
                }
                flushed => return flushed,
            }
        }
    }

    /// Drops it without saying that nothing more will come.
    pub(crate) fn forget(mut self) {
        self.farewell = Farewell::Silent;
    }
}

impl Drop for WriteHalf {
    fn drop(&mut self) {
        if self.farewell == Farewell::Silent {
            return;
        }
        let mut state = self.session.0.lock();
        state.connection.send_close_notify();
        // If there is no room, the connection ends without the notice, which nobody relies on.
        let _ = state.flush(&self.plain);
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").finish_non_exhaustive()
    }
}
