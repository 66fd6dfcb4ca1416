//! Ports that take the messages of one type, and addresses that say so.

use std::collections::VecDeque;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::num::NonZeroUsize;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use spin::mutex::SpinMutex;

use super::code::{IntoOutcome, Outcome};
use super::handler::{Handle, Taken, Unfit, Whole, slot};
use super::values::Row;
use super::{Context, Node, Port};
use crate::proto::message::{Quick, variants};
use crate::proto::{Message, NodeId, PortId};

/// The ID of a port that takes messages of the type `M`.
///
/// To others it is a [`PortId`]: on the wire, and for all verbs. But [`Node::snd`] and
/// [`Node::snd_wait`] send nothing else to it than an `M`. [`Node::serve`] gives one of its own
/// port; of others, somebody has to know better: [`Address::assume`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use aemp::{Address, Node};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// #[serde(rename_all = "lowercase")]
/// enum Log {
///     Line(u8, String),
///     Rotate,
/// }
///
/// let node = Node::local();
/// let log: Address<Log> = node.serve(|_, message| match message {
///     Log::Line(level, text) => println!("{level} {text}"),
///     Log::Rotate => println!("--"),
/// });
/// node.snd(&log, &Log::Line(7, "started".into()))?;
/// // Who only knows the ID, a Perl node for example, sends the same.
/// node.snd(log.id(), &("line", 7, "started"))?;
/// # Ok(()) }
/// ```
///
/// Anything else is refused when compiling:
///
/// ```compile_fail,E0308
/// # #[derive(serde::Serialize, serde::Deserialize)] enum Log { Rotate }
/// # let node = aemp::Node::local();
/// let log: aemp::Address<Log> = node.serve(|_, _: Log| ());
/// node.snd(&log, &("rotate",));
/// ```
pub struct Address<M: ?Sized> {
    port: PortId,
    /// It takes an `M`, and has none.
    takes: PhantomData<fn(&M)>,
}

impl<M: ?Sized> Address<M> {
    /// Says that a port takes such messages.
    ///
    /// ```
    /// use aemp::Address;
    /// let log: Address<(String, u8)> = Address::assume("other#log");
    /// assert_eq!(log.id(), "other#log");
    /// ```
    pub fn assume(port: impl Into<PortId>) -> Self {
        Address {
            port: port.into(),
            takes: PhantomData,
        }
    }

    /// The port's ID.
    ///
    /// See [`assume`](Self::assume) for an example.
    pub fn id(&self) -> &PortId {
        &self.port
    }
}

impl<M: ?Sized> Clone for Address<M> {
    fn clone(&self) -> Self {
        Address::assume(&self.port)
    }
}

impl<M: ?Sized> PartialEq for Address<M> {
    fn eq(&self, other: &Self) -> bool {
        self.port == other.port
    }
}

impl<M: ?Sized> Eq for Address<M> {}

impl<M: ?Sized> Hash for Address<M> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.port.hash(state);
    }
}

impl<M: ?Sized> fmt::Debug for Address<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({})", self.port)
    }
}

impl<M: ?Sized> fmt::Display for Address<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.port.fmt(f)
    }
}

impl<M: ?Sized> Serialize for Address<M> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.port.serialize(serializer)
    }
}

impl<'de, M: ?Sized> Deserialize<'de> for Address<M> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        PortId::deserialize(deserializer).map(Address::<M>::assume)
    }
}

impl<M: ?Sized> From<Address<M>> for PortId {
    fn from(address: Address<M>) -> Self {
        address.port
    }
}

impl<M: ?Sized> From<&Address<M>> for PortId {
    fn from(address: &Address<M>) -> Self {
        address.port.clone()
    }
}

/// Where a message of the type `T` can be sent: a port by its ID takes everything, an [`Address`]
/// its own type.
///
/// ```
/// use aemp::{Destination, PortId};
/// fn id<T>(to: impl Destination<T>) -> PortId {
///     to.into_port()
/// }
/// assert_eq!(id::<(u8, u8)>("other#a"), "other#a");
/// ```
#[diagnostic::on_unimplemented(
    message = "a `{T}` can't be sent to `{Self}`",
    label = "this takes other messages",
    note = "an `Address<M>` takes an `M`; everything can be sent to its `id()`"
)]
pub trait Destination<T: ?Sized> {
    /// The port.
    ///
    /// See [`Destination`] for an example.
    fn into_port(self) -> PortId;
}

macro_rules! takes_everything {
    ($($type:ty)*) => {$(
        impl<T: ?Sized> Destination<T> for $type {
            #[inline]
            fn into_port(self) -> PortId {
                self.into()
            }
        }
    )*};
}
takes_everything!(PortId &PortId NodeId &NodeId Port &Port &str String);

impl<M: ?Sized> Destination<M> for Address<M> {
    fn into_port(self) -> PortId {
        self.port
    }
}

impl<M: ?Sized> Destination<M> for &Address<M> {
    #[inline]
    fn into_port(self) -> PortId {
        self.port.clone()
    }
}

/// What can be sent: anything that serialises, but a text alone, which is no list of values.
///
/// A message is a tuple, a list, a struct or an enum (see [`Node::serve`]); of one that is none of
/// these only encoding it finds out, and [`Node::snd`] has an error.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), aemp::SendError> {
/// use aemp::{AsMessage, Node, PortId};
/// fn say<T: AsMessage + ?Sized>(node: &Node, to: &PortId, what: &T) -> Result<(), aemp::SendError> {
///     node.snd(to, what)
/// }
/// let node = Node::local();
/// let inbox = node.mailbox();
/// say(&node, inbox.id(), &("hello", 7))?;
/// say(&node, inbox.id(), &["a", "list"][..])?;
/// # Ok(()) }
/// ```
#[diagnostic::on_unimplemented(
    message = "a `{Self}` alone is no message: that is a tuple, as `&(text,)`, a list, a struct or an enum"
)]
pub trait AsMessage: Serialize {}

impl<T: Serialize> AsMessage for T {}
impl<T: Serialize> AsMessage for [T] {}

/// Code that takes a whole message of the type `M`, for one of its variants, or for all others.
struct Served<M, F> {
    /// Shared by the handlers of all variants, of which one runs at a time. None: it is closed.
    code: Option<Arc<SpinMutex<F>>>,
    variant: Option<&'static str>,
    takes: PhantomData<fn(M)>,
}

impl<M, F> Handle for Served<M, F>
where
    M: DeserializeOwned + 'static,
    F: FnMut(&Context, M) -> Outcome + Send,
{
    fn take(&mut self, context: &Context, message: Message) -> Taken {
        let Some(code) = &self.code else {
            return Ok(Outcome::Done(Ok(())));
        };
        let read = match self.variant {
            Some(variant) => message.args_of(variant),
            None => message.args(),
        };
        match read {
            Ok(read) => Ok(code.lock()(context, read)),
            Err(error) => Err(Unfit::new(&error, message)),
        }
    }

    fn is_quick(&self) -> bool {
        self.variant.is_some()
    }

    fn take_quick(&mut self, context: &Context, message: &Quick<'_>) -> Option<Outcome> {
        let (code, variant) = (self.code.as_ref()?, self.variant?);
        let message = message.read_variant(variant)?;
        Some(code.lock()(context, message))
    }

    fn whole(&self) -> Option<Whole> {
        let code = self.code.as_ref()?;
        NonZeroUsize::new(Arc::as_ptr(code).addr()).map(Whole)
    }

    fn take_value(&mut self, context: &Context, values: &mut dyn Row) -> Option<Outcome> {
        let code = self.code.as_ref()?;
        let value = values.values().downcast_mut::<VecDeque<M>>()?.pop_front()?;
        Some(code.lock()(context, value))
    }

    fn close(&mut self) {
        self.code = None;
    }
}

impl Port {
    /// Takes all messages, as values of the type `M`: an enum with a variant for each tag (see
    /// [`Node::serve`]), or a tuple or struct if all messages are alike. What is no `M` kills the
    /// port, and the reason says what was wrong, unless the port has [another
    /// choice](Self::on_misfit).
    ///
    /// Replaces the handlers of the tags that `M` has variants for, and the one for all others.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use aemp::{Node, PortId};
    /// let node = Node::local();
    /// let port = node.port();
    /// let adder = port.serve(|cx, (a, b, reply): (u32, u32, PortId)| cx.snd(&reply, &(a + b,)));
    /// let sum: u32 = node.cal(&adder, &(1, 2), None).await?;
    /// assert_eq!(sum, 3);
    /// # Ok(()) }
    /// ```
    pub fn serve<M, R, F>(&self, mut code: F) -> Address<M>
    where
        M: DeserializeOwned + 'static,
        R: IntoOutcome,
        F: FnMut(&Context, M) -> R + Send + 'static,
    {
        self.set_served(move |context: &Context, message: M| {
            Outcome::Done(code(context, message).into_outcome())
        })
    }

    /// Like [`serve`](Self::serve) with asynchronous code. The port takes its next message when the
    /// code has ended; the code is dropped when the port is killed.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use aemp::{Node, PortId};
    /// use std::time::Duration;
    /// let node = Node::local();
    /// let port = node.port();
    /// let later = port.serve_async(|cx, (n, reply): (u32, PortId)| async move {
    ///     tokio::time::sleep(Duration::from_millis(1)).await;
    ///     cx.snd(&reply, &(n + 1,))
    /// });
    /// let n: u32 = node.cal(&later, &(7,), None).await?;
    /// assert_eq!(n, 8);
    /// # Ok(()) }
    /// ```
    pub fn serve_async<M, R, Fut, F>(&self, mut code: F) -> Address<M>
    where
        M: DeserializeOwned + 'static,
        R: IntoOutcome,
        Fut: Future<Output = R> + Send + 'static,
        F: FnMut(Context, M) -> Fut + Send + 'static,
    {
        self.set_served(move |context: &Context, message: M| {
            let future = code(context.clone(), message);
            Outcome::Later(Box::pin(async move { future.await.into_outcome() }))
        })
    }

    pub(super) fn set_served<M: DeserializeOwned + 'static>(
        &self,
        code: impl FnMut(&Context, M) -> Outcome + Send + 'static,
    ) -> Address<M> {
        let code = Arc::new(SpinMutex::new(code));
        let of_variants = variants::<M>().iter().map(|variant| Some(*variant));
        for variant in of_variants.chain([None]) {
            let served = Served {
                code: Some(code.clone()),
                variant,
                takes: PhantomData,
            };
            self.set(variant, slot(served));
        }
        Address::assume(self.id())
    }
}

impl Node {
    /// Creates a port that takes messages of one type.
    ///
    /// An enum is a message for each of its variants: the variant's name, as serde has it, then its
    /// fields in their order. So an exhaustive `match` is all there is to a protocol, and a Perl
    /// node sees what it always saw.
    ///
    /// | variant | message |
    /// |---|---|
    /// | `Quit` | `["Quit"]` |
    /// | `Say(text)` | `["Say", TEXT]` |
    /// | `Join(port, nick)` | `["Join", PORT, NICK]` |
    /// | `Topic { room, text }` | `["Topic", ROOM, TEXT]` |
    ///
    /// `#[serde(rename_all = "lowercase")]` and the like are honoured, and so is
    /// `#[serde(other)]`. Fields at the end that are an `Option` may be missing. An enum within an
    /// element is what serde has for it. (Enums that serde does not tag from outside, by `tag` or
    /// `untagged`, are no messages.)
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use aemp::{Node, PortId};
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Serialize, Deserialize)]
    /// #[serde(rename_all = "lowercase")]
    /// enum Counter {
    ///     Add(u32),
    ///     Get { reply: PortId },
    /// }
    ///
    /// let node = Node::local();
    /// let mut sum = 0;
    /// let counter = node.serve(move |cx, message| match message {
    ///     Counter::Add(n) => Ok(sum += n),
    ///     Counter::Get { reply } => cx.snd(&reply, &(sum,)),
    /// });
    /// node.snd(&counter, &Counter::Add(40))?;
    /// node.snd(counter.id(), &("add", 2))?;
    /// let sum: u32 = node.cal(&counter, &("get",), None).await?;
    /// assert_eq!(sum, 42);
    /// # Ok(()) }
    /// ```
    pub fn serve<M, R, F>(&self, code: F) -> Address<M>
    where
        M: DeserializeOwned + 'static,
        R: IntoOutcome,
        F: FnMut(&Context, M) -> R + Send + 'static,
    {
        self.port().serve(code)
    }

    /// Like [`serve`](Self::serve) with asynchronous code: see [`Port::serve_async`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = aemp::Node::local();
    /// let (tell, mut told) = tokio::sync::mpsc::channel(1);
    /// let log = node.serve_async(move |_, (line,): (String,)| {
    ///     let tell = tell.clone();
    ///     async move { tell.send(line).await.map_err(|_| "nobody listens") }
    /// });
    /// node.snd(&log, &("hello".to_owned(),))?;
    /// assert_eq!(told.recv().await.unwrap(), "hello");
    /// # Ok(()) }
    /// ```
    pub fn serve_async<M, R, Fut, F>(&self, code: F) -> Address<M>
    where
        M: DeserializeOwned + 'static,
        R: IntoOutcome,
        Fut: Future<Output = R> + Send + 'static,
        F: FnMut(Context, M) -> Fut + Send + 'static,
    {
        self.port().serve_async(code)
    }
}
