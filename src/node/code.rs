//! Running code of the program: what it may return, and what becomes of a panic.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::Poll;

/// What became of a message that a handler took.
pub(crate) enum Outcome {
    Done(Result<(), String>),
    Later(Pin<Box<dyn Future<Output = Result<(), String>> + Send>>),
}

/// Runs port code; a panic becomes the text of an error.
pub(crate) fn guarded(code: impl FnOnce() -> Outcome) -> Outcome {
    catch_unwind(AssertUnwindSafe(code))
        .unwrap_or_else(|panic| Outcome::Done(Err(panic_text(&*panic))))
}

/// Awaits port code; a panic becomes the text of an error.
pub(crate) async fn caught(
    mut future: Pin<Box<dyn Future<Output = Result<(), String>> + Send>>,
) -> Result<(), String> {
    std::future::poll_fn(move |cx| {
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(poll) => poll,
            Err(panic) => Poll::Ready(Err(panic_text(&*panic))),
        }
    })
    .await
}

pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "panic".to_owned())
}
