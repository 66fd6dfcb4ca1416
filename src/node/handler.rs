//! What takes a port's messages.

use std::pin::Pin;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Context, IntoOutcome};
use crate::proto::Message;
use crate::proto::message::Quick;

/// Code that takes messages whose parts it borrows: see [`Port::rcv_with`](super::Port::rcv_with).
///
/// Where a closure owns its arguments, this takes `&str` and other types that refer to the octets as
/// they came by the network. Nothing is allocated for such a message.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use aemp::{Context, Node, PortId, Receive, SendError};
///
/// struct Longest(usize);
///
/// impl Receive for Longest {
///     type Args<'a> = (&'a str, PortId);
///     type Outcome = Result<(), SendError>;
///
///     fn receive(&mut self, cx: &Context, (word, reply): Self::Args<'_>) -> Self::Outcome {
///         self.0 = self.0.max(word.len());
///         cx.snd(&reply, &(self.0,))
///     }
/// }
///
/// let node = Node::local();
/// let port = node.port();
/// port.rcv_with("word", Longest(0));
/// let length: usize = node.cal(&port, &("word", "hello"), None).await?;
/// assert_eq!(length, 5);
/// # Ok(()) }
/// ```
pub trait Receive: Send + 'static {
    /// What the elements behind the tag are read into, usually a tuple (see
    /// [`Message::args`]).
    type Args<'a>: Deserialize<'a>;
    /// What the code returns: `()`, or a result whose error kills the port.
    type Outcome: IntoOutcome;

    /// Takes one message.
    ///
    /// See [`Receive`] for an example.
    fn receive(&mut self, context: &Context, args: Self::Args<'_>) -> Self::Outcome;
}

/// What became of a message that a handler took.
pub(crate) enum Outcome {
    Done(Result<(), String>),
    Later(Pin<Box<dyn Future<Output = Result<(), String>> + Send>>),
}

/// A handler.
pub(crate) trait Handle: Send {
    /// Takes a message.
    fn take(&mut self, context: &Context, message: Message) -> Outcome;

    /// Whether [`take_quick`](Self::take_quick) may do something.
    fn is_quick(&self) -> bool {
        false
    }

    /// Takes a message from the octets that it came in, if they can be read at once.
    fn take_quick(&mut self, _context: &Context, _message: &Quick<'_>) -> Option<Outcome> {
        None
    }
}

/// One at a time runs in a port, so the lock is never waited for.
pub(crate) type Slot = Arc<Mutex<dyn Handle>>;

/// A handler to be called by the port.
pub(crate) fn slot(handler: impl Handle + 'static) -> Slot {
    Arc::new(Mutex::new(handler))
}

/// Code that wants the message as it is.
pub(crate) struct Untyped<F>(pub(crate) F);

impl<F: FnMut(&Context, Message) -> Outcome + Send> Handle for Untyped<F> {
    fn take(&mut self, context: &Context, message: Message) -> Outcome {
        (self.0)(context, message)
    }
}

/// A message for code that wants its arguments typed.
pub(crate) enum Input<'a> {
    Whole(Message),
    Quick(&'a Quick<'a>),
}

impl Input<'_> {
    /// Reads the arguments. `None`: it has to come as a whole.
    pub(crate) fn args<A: DeserializeOwned>(self) -> Option<Result<A, String>> {
        match self {
            Input::Whole(message) => Some(message.args().map_err(|error| error.to_string())),
            Input::Quick(message) => message.read().map(Ok),
        }
    }
}

/// Code that wants its arguments typed, and owns them.
pub(crate) struct Typed<F>(pub(crate) F);

impl<F: FnMut(&Context, Input<'_>) -> Option<Outcome> + Send> Handle for Typed<F> {
    fn take(&mut self, context: &Context, message: Message) -> Outcome {
        let outcome = (self.0)(context, Input::Whole(message));
        outcome.unwrap_or(Outcome::Done(Ok(()))) // a whole message is always taken
    }

    fn is_quick(&self) -> bool {
        true
    }

    fn take_quick(&mut self, context: &Context, message: &Quick<'_>) -> Option<Outcome> {
        (self.0)(context, Input::Quick(message))
    }
}

/// Code that borrows its arguments.
pub(crate) struct Borrowing<R>(pub(crate) R);

impl<R: Receive> Handle for Borrowing<R> {
    fn take(&mut self, context: &Context, message: Message) -> Outcome {
        Outcome::Done(match message.args() {
            Ok(args) => self.0.receive(context, args).into_outcome(),
            Err(error) => Err(error.to_string()),
        })
    }

    fn is_quick(&self) -> bool {
        true
    }

    fn take_quick(&mut self, context: &Context, message: &Quick<'_>) -> Option<Outcome> {
        let args = message.read()?;
        Some(Outcome::Done(self.0.receive(context, args).into_outcome()))
    }
}
