//! What takes a port's messages.

use std::pin::Pin;
use std::sync::Arc;

use compact_str::CompactString;
use parking_lot::{Mutex, MutexGuard};
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

/// A handler to be called by a port.
pub(crate) type Slot = Arc<Code<dyn Handle>>;

pub(crate) struct Code<H: ?Sized> {
    /// [`Handle::is_quick`], to be asked without the lock.
    pub(crate) is_quick: bool,
    /// One at a time runs in a port, so this is never waited for.
    handler: Mutex<H>,
}

impl<H: Handle + ?Sized> Code<H> {
    pub(crate) fn lock(&self) -> MutexGuard<'_, H> {
        self.handler.lock()
    }
}

/// Makes a handler one of a port.
pub(crate) fn slot(handler: impl Handle + 'static) -> Slot {
    Arc::new(Code {
        is_quick: handler.is_quick(),
        handler: Mutex::new(handler),
    })
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

/// The handlers of a port by tag; without one, for all other messages. Most ports have one.
#[derive(Default)]
pub(crate) enum Handlers {
    #[default]
    None,
    One(Option<CompactString>, Slot),
    /// Sorted.
    #[allow(clippy::box_collection, reason = "keeps ports with one handler small")]
    Many(Box<Vec<(Option<CompactString>, Slot)>>),
}

impl Handlers {
    /// The handler for a tag.
    pub(crate) fn get(&self, tag: Option<&[u8]>) -> Option<&Slot> {
        match self {
            Handlers::None => None,
            Handlers::One(other, slot) => (octets(other) == tag).then_some(slot),
            Handlers::Many(list) => find(list, tag).ok().map(|at| &list[at].1),
        }
    }

    /// Sets or removes a handler. Gives back what was there.
    pub(crate) fn set(&mut self, tag: Option<&str>, slot: Option<Slot>) -> Option<Slot> {
        let mut list = match std::mem::take(self) {
            Handlers::None => Vec::new(),
            Handlers::One(tag, slot) => vec![(tag, slot)],
            Handlers::Many(list) => *list,
        };
        let replaced = match (find(&list, tag.map(str::as_bytes)), slot) {
            (Ok(at), Some(slot)) => Some(std::mem::replace(&mut list[at].1, slot)),
            (Ok(at), None) => Some(list.remove(at).1),
            (Err(at), Some(slot)) => {
                list.insert(at, (tag.map(CompactString::from), slot));
                None
            }
            (Err(_), None) => None,
        };
        *self = match list.len() {
            0 | 1 => match list.pop() {
                Some((tag, slot)) => Handlers::One(tag, slot),
                None => Handlers::None,
            },
            _ => Handlers::Many(Box::new(list)),
        };
        replaced
    }
}

fn octets(tag: &Option<CompactString>) -> Option<&[u8]> {
    tag.as_ref().map(|tag| tag.as_bytes())
}

fn find(list: &[(Option<CompactString>, Slot)], tag: Option<&[u8]>) -> Result<usize, usize> {
    list.binary_search_by(|(other, _)| octets(other).cmp(&tag))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        /// The same as a map.
        #[test]
        fn handlers_by_tag(steps: Vec<(Option<u8>, bool)>) {
            let mut handlers = Handlers::default();
            let mut map: HashMap<Option<String>, Slot> = HashMap::new();
            for (tag, add) in steps {
                let tag = tag.map(|tag| format!("tag {}", tag % 8));
                let new = add.then(|| slot(Untyped(|_: &Context, _| Outcome::Done(Ok(())))));
                let before = handlers.set(tag.as_deref(), new.clone());
                let expected = match new {
                    Some(new) => map.insert(tag, new),
                    None => map.remove(&tag),
                };
                let place = |slot: &Slot| Arc::as_ptr(slot).cast::<()>();
                prop_assert_eq!(before.as_ref().map(place), expected.as_ref().map(place));
                for tag in (0..8).map(|tag| Some(format!("tag {tag}"))).chain([None]) {
                    let got = handlers.get(tag.as_deref().map(str::as_bytes));
                    prop_assert_eq!(got.map(place), map.get(&tag).map(place));
                }
            }
        }
    }
}
