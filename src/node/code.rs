//! Running code of the program: what it may return, and what becomes of a panic.

use std::any::Any;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::Poll;

use crate::proto::Reason;

/// Why port code ended early: the reason that its port dies of.
///
/// `?` makes one of everything that has a text, so that errors of all kinds go together: the reason
/// is `die` and that text. Of a [`Reason`] it is that reason itself.
///
/// ```
/// use aemp::{Failure, Reason};
/// let failure = Failure::from("oops");
/// assert_eq!(failure.reason(), &Reason::die("oops"));
/// let failure = Failure::from(Reason::new(["overheated", "CPU 0"]));
/// assert_eq!(failure.reason().kind(), Some("overheated"));
/// ```
// It has no text of its own: then it would be made of itself in two ways.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure(Reason);

/// What port code returns that ends in a plain `Ok(())`: `?` takes errors of all kinds.
///
/// The compiler can't guess the type of an error that never happens. So code that ends in `Ok(())`
/// has to name one, as the type that it returns or, where there is no place for that, at the end.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use aemp::{Handled, Node, PortId};
/// let node = Node::local();
/// let port = node.port();
/// port.rcv("parse", |cx, (text, reply): (String, PortId)| -> Handled {
///     let n: u32 = text.parse()?;
///     cx.snd(&reply, &(n,))?;
///     Ok(())
/// });
/// port.rcv_async("later", |cx, (text, reply): (String, PortId)| async move {
///     let n: u32 = text.parse()?;
///     cx.snd(&reply, &(n,))?;
///     Handled::Ok(())
/// });
/// let n: u32 = node.cal(&port, &("parse", "7"), None).await?;
/// let same: u32 = node.cal(&port, &("later", "7"), None).await?;
/// assert_eq!((n, same), (7, 7));
/// let error = node.cal::<u32>(&port, &("later", "x"), None).await.unwrap_err();
/// assert_eq!(error.to_string(), "the called port died: die invalid digit found in string");
/// # Ok(()) }
/// ```
pub type Handled = Result<(), Failure>;

impl Failure {
    /// The reason that the port dies of.
    ///
    /// See [`Failure`] for an example.
    pub fn reason(&self) -> &Reason {
        &self.0
    }

    /// What a log line says of code that runs for no port.
    pub(crate) fn text(&self) -> String {
        match self.0.values() {
            [die, text] if die == "die" => Reason::new([text.clone()]).to_string(),
            _ => self.0.to_string(),
        }
    }
}

impl<E: Display + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        let reason = (&error as &dyn Any).downcast_ref::<Reason>();
        Failure(match reason {
            Some(reason) => reason.clone(),
            None => Reason::die(error),
        })
    }
}

impl From<Failure> for Reason {
    fn from(failure: Failure) -> Self {
        failure.0
    }
}

/// What port code may return: nothing, or a result whose error kills the port.
///
/// The error is anything that has a text, or a [`Reason`]: see [`Failure`].
///
/// ```
/// use aemp::{Failure, IntoOutcome};
/// assert_eq!(().into_outcome(), Ok(()));
/// let parsed = "x".parse::<u32>().map(drop);
/// assert_eq!(parsed.into_outcome(), Err(Failure::from("invalid digit found in string")));
/// ```
#[diagnostic::on_unimplemented(
    message = "port code can't return a `{Self}`",
    label = "it returns a `{Self}`",
    note = "it returns `()`, or a `Result<(), E>` whose error has a text (`Display`) or is a `Reason`",
    note = "to answer a request with what it returns, use `Port::answer`"
)]
pub trait IntoOutcome {
    /// `Err` with what the port dies of.
    ///
    /// See [`IntoOutcome`] for an example.
    fn into_outcome(self) -> Handled;
}

impl IntoOutcome for () {
    fn into_outcome(self) -> Handled {
        Ok(())
    }
}

impl<E: Into<Failure>> IntoOutcome for Result<(), E> {
    fn into_outcome(self) -> Handled {
        self.map_err(Into::into)
    }
}

/// Code that goes on.
pub(crate) type Work = Pin<Box<dyn Future<Output = Handled> + Send>>;

/// What became of a message that a handler took.
pub(crate) enum Outcome {
    Done(Handled),
    Later(Work),
}

/// Runs port code; a panic becomes a failure.
pub(crate) fn guarded(code: impl FnOnce() -> Outcome) -> Outcome {
    catch_unwind(AssertUnwindSafe(code)).unwrap_or_else(|panic| Outcome::panicked(&*panic))
}

impl Outcome {
    pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Self {
        Outcome::Done(Err(panic_text(panic).into()))
    }
}

/// Awaits port code; a panic becomes a failure.
pub(crate) async fn caught(mut future: Work) -> Handled {
    std::future::poll_fn(move |cx| {
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(poll) => poll,
            Err(panic) => Poll::Ready(Err(panic_text(&*panic).into())),
        }
    })
    .await
}

pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "panic".to_owned())
}
