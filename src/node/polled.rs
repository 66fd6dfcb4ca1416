//! Receivers that can only be awaited, for who polls.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio_util::sync::ReusableBoxFuture;

/// A receiver that is being awaited, with what it gives. It has one piece of memory, which all
/// items use one after the other.
#[derive(Debug)]
pub(crate) struct Polled<T, R>(ReusableBoxFuture<'static, (T, R)>);

impl<T: 'static, R: 'static> Polled<T, R> {
    /// Begins. `next` awaits the receiver once, and gives it back.
    pub(crate) fn new(next: impl Future<Output = (T, R)> + Send + 'static) -> Self {
        Polled(ReusableBoxFuture::new(next))
    }

    /// What the receiver has given, and the receiver: [`again`](Self::again) has to follow.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<(T, R)> {
        Pin::new(&mut self.0).poll(cx)
    }

    /// Awaits the receiver once more.
    pub(crate) fn again(&mut self, next: impl Future<Output = (T, R)> + Send + 'static) {
        self.0.set(next);
    }
}
