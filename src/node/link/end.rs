//! The end of a link, which its two halves notice wherever they wait.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use atomic_waker::AtomicWaker;

/// Whether a link is lost or given up. Asking costs next to nothing, and so does waiting for it.
#[derive(Default)]
pub(super) struct End {
    over: AtomicBool,
    reader: AtomicWaker,
    writer: AtomicWaker,
}

/// Who waits. Only one of each may.
#[derive(Debug, Clone, Copy)]
pub(super) enum Half {
    Reader,
    Writer,
}

impl End {
    #[inline]
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Ends the link: both halves are woken.
    pub(super) fn end(&self) {
        self.over.store(true, Ordering::Release);
        self.reader.wake();
        self.writer.wake();
    }

    /// Does something until it is done, or the link is over: `None` then.
    pub(super) async fn unless_over<T>(
        &self,
        half: Half,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let mut work = pin!(work);
        let waker = match half {
            Half::Reader => &self.reader,
            Half::Writer => &self.writer,
        };
        poll_fn(|cx| {
            waker.register(cx.waker());
            if self.is_over() {
                return Poll::Ready(None);
            }
            work.as_mut().poll(cx).map(Some)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[tokio::test]
    async fn both_halves_end() {
        let link_end = Arc::new(End::default());
        let done = link_end.unless_over(Half::Reader, async { 7 }).await;
        assert_eq!(done, Some(7));
        let wait = |half| {
            let link_end = link_end.clone();
            let never = std::future::pending::<()>();
            tokio::spawn(async move { link_end.unless_over(half, never).await })
        };
        let (reader, writer) = (wait(Half::Reader), wait(Half::Writer));
        tokio::task::yield_now().await;
        link_end.end();
        assert_eq!(reader.await.unwrap(), None);
        assert_eq!(writer.await.unwrap(), None);
        assert!(link_end.is_over());
    }
}
