//! What came by a socket and was not taken yet.
//!
//! All links of a thread read into one block, so an idle link holds no memory for it. What is left
//! of a message at the end of a read stays with the link: copied if it is little, else with the
//! block.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::io::AsyncRead;
use tokio_util::io::poll_read_buf;

/// How much is read at once, in octets: while reads fill it, twice as much, up to [`MOST_READ`].
const READ_SIZE: usize = 64 * 1024;
const MOST_READ: usize = 256 * 1024;

/// So much of an incomplete message is copied, in octets.
const SMALL: usize = 4 * 1024;

/// A larger block is not kept by the thread.
const KEPT: usize = 2 * MOST_READ;

thread_local! {
    /// The block that this thread's links read into. Empty here.
    static BLOCK: Cell<BytesMut> = Cell::new(BytesMut::new());
}

/// The input of one link.
pub(crate) struct Intake {
    rest: BytesMut,
    /// How much to read next.
    size: usize,
}

impl Intake {
    /// Begins with what came already.
    pub(crate) fn new(rest: &[u8]) -> Self {
        Intake {
            rest: rest.into(),
            size: READ_SIZE,
        }
    }

    /// What is there without reading.
    pub(crate) fn take(&mut self) -> BytesMut {
        std::mem::take(&mut self.rest)
    }

    /// How much memory is kept with the link, in octets.
    pub(crate) fn held(&self) -> usize {
        self.rest.capacity()
    }

    /// Waits for input. Gives what was [kept](Self::keep) with the new octets behind it, and how
    /// many these are: none at the end of the stream.
    pub(crate) async fn fill(
        &mut self,
        socket: &mut (impl AsyncRead + Unpin),
    ) -> io::Result<(BytesMut, usize)> {
        std::future::poll_fn(|cx| self.poll_fill(cx, socket)).await
    }

    fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        socket: &mut (impl AsyncRead + Unpin),
    ) -> Poll<io::Result<(BytesMut, usize)>> {
        let small = self.rest.len() <= SMALL;
        let mut block = match small {
            true => BLOCK.take(),
            false => std::mem::take(&mut self.rest),
        };
        // The room doubles for a message that is large, but not before it is used up.
        let least = self.size + SMALL;
        if block.capacity() - block.len() < least {
            block.reserve(least.max(block.len()));
        }
        if small {
            block.extend_from_slice(&self.rest);
        }
        let read = poll_read_buf(Pin::new(socket), cx, &mut block);
        match (read, small) {
            (Poll::Ready(Ok(read)), _) => {
                self.rest.clear();
                self.size = match read >= self.size {
                    true => MOST_READ.min(self.size * 2),
                    false => READ_SIZE.max(self.size / 2),
                };
                return Poll::Ready(Ok((block, read)));
            }
            (Poll::Ready(Err(error)), _) => return Poll::Ready(Err(error)),
            (Poll::Pending, true) => give_back(block),
            (Poll::Pending, false) => self.rest = block,
        }
        Poll::Pending
    }

    /// Keeps what is left of `block`, for the next message.
    pub(crate) fn keep(&mut self, block: BytesMut) {
        if block.len() > SMALL {
            self.rest = block;
            return;
        }
        if self.rest.capacity() > SMALL {
            self.rest = BytesMut::new();
        }
        self.rest.clear();
        self.rest.extend_from_slice(&block);
        give_back(block);
    }
}

fn give_back(mut block: BytesMut) {
    block.clear();
    if block.capacity() <= KEPT {
        BLOCK.set(block);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokio::io::AsyncWriteExt as _;

    /// Whatever is there of a message, it has a block of twice as much at the most.
    #[tokio::test]
    async fn a_large_message_has_little_room_beside_it() {
        let (mut near, mut far) = tokio::io::duplex(1 << 20);
        let mut intake = Intake::new(b"");
        for n in 1..300 {
            near.write_all(&[b'x'; 60_000]).await.unwrap();
            let (block, read) = intake.fill(&mut far).await.unwrap();
            intake.keep(block);
            let whole = n * 60_000;
            assert_eq!((read, intake.rest.len()), (60_000, whole));
            let most = 2 * whole + 2 * MOST_READ;
            assert!(intake.held() <= most, "{} of {whole}", intake.held());
        }
    }

    proptest! {
        /// Whatever is read and however much of it is taken each time, nothing is lost or doubled.
        #[test]
        fn nothing_is_lost(
            chunks in prop::collection::vec((1..20_000_usize, 0..30_000_usize), 1..20),
            sliced: bool,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let (mut near, mut far) = tokio::io::duplex(1 << 20);
                let (mut intake, mut sent, mut got) = (Intake::new(b"x"), vec![b'x'], Vec::new());
                let mut held = Vec::new();
                for (n, (size, taken)) in chunks.into_iter().enumerate() {
                    let octets: Vec<u8> = (0..size).map(|i| (i * 7 + n) as u8).collect();
                    near.write_all(&octets).await.unwrap();
                    sent.extend_from_slice(&octets);
                    let (mut block, read) = intake.fill(&mut far).await.unwrap();
                    assert_eq!(read, size);
                    let taken = taken.min(block.len());
                    let part = block.split_to(taken);
                    got.extend_from_slice(&part);
                    if sliced {
                        held.push(part.freeze()); // a message that somebody keeps
                    }
                    intake.keep(block);
                }
                got.extend_from_slice(&intake.take());
                assert_eq!(got, sent);
                let held: Vec<u8> = held.concat();
                assert!(sent.starts_with(&held));
            });
        }
    }
}
