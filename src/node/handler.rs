//! What takes a port's messages.

use std::marker::PhantomData;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use compact_str::CompactString;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use spin::mutex::{SpinMutex, SpinMutexGuard};

use super::Context;
use super::code::{IntoOutcome, Outcome};
use super::values::Row;
use crate::proto::message::Quick;
use crate::proto::{ArgsError, Message};

/// Code that takes messages whose parts it borrows: see [`Port::rcv_with`](super::Port::rcv_with).
///
/// Where a closure owns its arguments, this takes `&str` and other types that refer to the octets
/// as they came by the network. Nothing is allocated for such a message.
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

/// A message that does not fit the handler that it is for.
pub(crate) struct Unfit {
    /// As it was handed to the handler.
    pub(crate) message: Message,
    pub(crate) why: String,
}

impl Unfit {
    #[cold]
    pub(crate) fn new(error: &ArgsError, message: Message) -> Self {
        Unfit {
            message,
            why: error.to_string(),
        }
    }
}

/// What became of a message that was handed to a handler.
pub(crate) type Taken = Result<Outcome, Unfit>;

/// A handler.
pub(crate) trait Handle: Send {
    /// Takes a message.
    fn take(&mut self, context: &Context, message: Message) -> Taken;

    /// Whether [`take_quick`](Self::take_quick) may do something.
    fn is_quick(&self) -> bool {
        false
    }

    /// Takes a message from the octets that it came in, if they can be read at once.
    fn take_quick(&mut self, _context: &Context, _message: &Quick<'_>) -> Option<Outcome> {
        None
    }

    /// Of one of several handlers that together take all messages as values of one type: the code
    /// that they share.
    fn whole(&self) -> Option<Whole> {
        None
    }

    /// Takes the first of the values that wait, if they are of the type that it takes.
    fn take_value(&mut self, _context: &Context, _values: &mut dyn Row) -> Option<Outcome> {
        None
    }

    /// Drops what the handler holds; messages are ignored from now on.
    fn close(&mut self);
}

/// The place of the code that takes all messages of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Whole(pub(crate) NonZeroUsize);

/// A handler to be called by a port.
pub(crate) type Slot = Arc<Code<dyn Handle>>;

pub(crate) struct Code<H: ?Sized> {
    /// [`Handle::is_quick`], to be asked whoever runs the handler.
    pub(crate) is_quick: bool,
    closed: AtomicBool,
    /// One at a time runs in a port, so this is never waited for; a lock that need not look after
    /// those who wait is let go by a mere store.
    handler: SpinMutex<H>,
}

impl<H: Handle + ?Sized> Code<H> {
    /// The handler, for who runs the port. `None` if the port has it no more: look again which it
    /// has. [`finish`](Self::finish) comes after it.
    #[inline]
    pub(crate) fn enter(&self) -> Option<SpinMutexGuard<'_, H>> {
        (!self.is_closed()).then(|| self.handler.lock())
    }

    /// [`Handle::whole`], for who runs the port. It is asked once for many messages, and ports are
    /// many: it is not kept.
    fn whole(&self) -> Option<Whole> {
        self.handler.lock().whole()
    }

    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// The port has this handler no more. What it holds is dropped whoever still remembers it:
    /// here, or by who is running it.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.finish();
    }

    /// Does what [`close`](Self::close) could not do while the handler ran.
    #[inline]
    pub(crate) fn finish(&self) {
        if self.is_closed()
            && let Some(mut handler) = self.handler.try_lock()
        {
            handler.close();
        }
    }
}

/// Makes a handler one of a port.
pub(crate) fn slot(handler: impl Handle + 'static) -> Slot {
    Arc::new(Code {
        is_quick: handler.is_quick(),
        closed: AtomicBool::new(false),
        handler: SpinMutex::new(handler),
    })
}

/// Code that wants the message as it is.
pub(crate) struct Untyped<F>(Option<F>);

impl<F: FnMut(&Context, Message) -> Outcome + Send> Untyped<F> {
    pub(crate) fn new(code: F) -> Self {
        Untyped(Some(code))
    }
}

impl<F: FnMut(&Context, Message) -> Outcome + Send> Handle for Untyped<F> {
    fn take(&mut self, context: &Context, message: Message) -> Taken {
        Ok(match &mut self.0 {
            Some(code) => code(context, message),
            None => Outcome::Done(Ok(())),
        })
    }

    fn close(&mut self) {
        self.0 = None;
    }
}

/// Code that wants its arguments typed, and owns them.
pub(crate) struct Typed<A, F> {
    code: Option<F>,
    takes: PhantomData<fn(A)>,
}

impl<A: DeserializeOwned, F: FnMut(&Context, A) -> Outcome + Send> Typed<A, F> {
    pub(crate) fn new(code: F) -> Self {
        Typed {
            code: Some(code),
            takes: PhantomData,
        }
    }
}

impl<A: DeserializeOwned, F: FnMut(&Context, A) -> Outcome + Send> Handle for Typed<A, F> {
    fn take(&mut self, context: &Context, message: Message) -> Taken {
        match (message.args(), &mut self.code) {
            (Ok(args), Some(code)) => Ok(code(context, args)),
            (Ok(_), None) => Ok(Outcome::Done(Ok(()))),
            (Err(error), _) => Err(Unfit::new(&error, message)),
        }
    }

    fn is_quick(&self) -> bool {
        true
    }

    fn take_quick(&mut self, context: &Context, message: &Quick<'_>) -> Option<Outcome> {
        let code = self.code.as_mut()?;
        let args = message.read()?;
        Some(code(context, args))
    }

    fn close(&mut self) {
        self.code = None;
    }
}

/// Code that borrows its arguments.
pub(crate) struct Borrowing<R>(Option<R>);

impl<R: Receive> Borrowing<R> {
    pub(crate) fn new(code: R) -> Self {
        Borrowing(Some(code))
    }
}

impl<R: Receive> Handle for Borrowing<R> {
    fn take(&mut self, context: &Context, message: Message) -> Taken {
        let error = match (message.args(), &mut self.0) {
            (Ok(args), Some(code)) => {
                let outcome = code.receive(context, args).into_outcome();
                return Ok(Outcome::Done(outcome));
            }
            (Ok(_), None) => return Ok(Outcome::Done(Ok(()))),
            (Err(error), _) => error,
        };
        Err(Unfit::new(&error, message))
    }

    fn is_quick(&self) -> bool {
        true
    }

    fn take_quick(&mut self, context: &Context, message: &Quick<'_>) -> Option<Outcome> {
        let code = self.0.as_mut()?;
        let args = message.read()?;
        Some(Outcome::Done(code.receive(context, args).into_outcome()))
    }

    fn close(&mut self) {
        self.0 = None;
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

    /// The handler that takes whole messages, if all share its code. For who runs the port.
    pub(crate) fn whole(&self) -> Option<&Slot> {
        let Handlers::Many(list) = self else {
            return match self {
                Handlers::One(None, slot) => slot.whole().is_some().then_some(slot),
                _ => None,
            };
        };
        let (_, first) = list.first()?;
        let whole = first.whole()?;
        let all = list.iter().all(|(_, slot)| slot.whole() == Some(whole));
        // One takes all others; without it something would be taken by nobody.
        (all && self.get(None).is_some()).then_some(first)
    }

    /// [Closes](Code::close) all.
    pub(crate) fn close(&self) {
        match self {
            Handlers::None => {}
            Handlers::One(_, slot) => slot.close(),
            Handlers::Many(list) => list.iter().for_each(|(_, slot)| slot.close()),
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
                let new = add.then(|| slot(Untyped::new(|_: &Context, _| Outcome::Done(Ok(())))));
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
