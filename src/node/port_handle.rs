//! The handle of a local port.

use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::code::{IntoOutcome, Outcome};
use super::handler::{Borrowing, Receive, Slot, Typed, Untyped, slot};
use super::port::PortCell;
use super::{Context, Inner};
use crate::proto::{Message, PortId, Reason};

/// A port of this node: a destination for messages and a context for code.
///
/// Messages are taken one after the other, in the order in which they came. Code that returns an
/// error or panics kills the port with the reason `die` and the text (see
/// [`Failure`](super::Failure)); nothing else suffers. So does a message that nothing takes or that
/// does not fit, unless the port has [another choice](Self::on_misfit). The port lives until it is
/// killed or its node stops, whatever becomes of this handle. That does not keep the node running:
/// see [`Node`](super::Node#what-keeps-it-running).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use aemp::Node;
/// let node = Node::local();
/// let (done, ending) = tokio::sync::oneshot::channel();
/// let mut done = Some(done);
///
/// let port = node.port();
/// port.rcv("test", move |_, (data,): (u32,)| {
///     done.take().map(|done| done.send(data));
/// });
///
/// node.snd(&port, &("test", 123))?;
/// assert_eq!(ending.await?, 123);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Port {
    node: Arc<Inner>,
    id: PortId,
}

impl Port {
    pub(crate) fn new(node: Arc<Inner>, id: PortId) -> Self {
        Port { node, id }
    }

    /// The port's ID, to send to others.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let node = aemp::Node::local();
    /// let port = node.port();
    /// assert_eq!(port.id().to_string(), format!("{}#{}", node.id(), port.id().name()));
    /// # }
    /// ```
    pub fn id(&self) -> &PortId {
        &self.id
    }

    /// Whether the port lives.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let node = aemp::Node::local();
    /// let port = node.port();
    /// assert!(port.is_alive());
    /// port.kil(aemp::Reason::normal());
    /// assert!(!port.is_alive());
    /// # }
    /// ```
    pub fn is_alive(&self) -> bool {
        self.node.ports.get(self.id.name()).is_some()
    }

    /// Takes messages whose first element is `tag`; the rest is read into the arguments (see
    /// [`Message::args`]). Arguments that do not fit kill the port, unless it has [another
    /// choice](Self::on_misfit).
    ///
    /// Two messages of the compiler do not say what to do. "Implementation of `Deserialize` is not
    /// general enough": the arguments borrow (`&str`); take a `String`, or use
    /// [`rcv_with`](Self::rcv_with). "Cannot infer type of the type parameter `E`": code that ends
    /// in a plain `Ok(())` has to name its error, best by `-> aemp::Handled`: see
    /// [`Handled`](super::Handled).
    ///
    /// Replaces the tag's former handler. Nothing happens if the port is dead.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use aemp::{Node, PortId};
    /// let node = Node::local();
    /// let port = node.port();
    /// port.rcv("add", |cx, (a, b, reply): (u32, u32, PortId)| cx.snd(&reply, &(a + b,)))
    ///     .rcv("stop", |cx, (): ()| cx.end());
    /// let sum: u32 = node.cal(&port, &("add", 1, 2), None).await?;
    /// assert_eq!(sum, 3);
    /// let error = node.cal::<u32>(&port, &("add", 1, "two"), None).await.unwrap_err();
    /// assert!(error.to_string().contains("argument 2: invalid type"));
    /// # Ok(()) }
    /// ```
    pub fn rcv<A, R, F>(&self, tag: &str, mut code: F) -> &Self
    where
        A: DeserializeOwned + 'static,
        R: IntoOutcome,
        F: FnMut(&Context, A) -> R + Send + 'static,
    {
        self.set_typed(tag, move |context, args| {
            Outcome::Done(code(context, args).into_outcome())
        })
    }

    /// Takes messages whose first element is `tag`, with arguments that may be borrowed from the
    /// octets that came by the network: see [`Receive`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use aemp::{Context, Node, Receive};
    ///
    /// struct Log;
    ///
    /// impl Receive for Log {
    ///     type Args<'a> = (u8, &'a str);
    ///     type Outcome = ();
    ///     fn receive(&mut self, _: &Context, (level, line): Self::Args<'_>) {
    ///         println!("{level} {line}");
    ///     }
    /// }
    ///
    /// let node = Node::local();
    /// let port = node.port();
    /// port.rcv_with("log", Log);
    /// node.snd(&port, &("log", 7, "started"))?;
    /// # Ok(()) }
    /// ```
    pub fn rcv_with(&self, tag: &str, handler: impl Receive) -> &Self {
        self.set(Some(tag), slot(Borrowing::new(handler)))
    }

    /// Like [`rcv`](Self::rcv) with asynchronous code. The port takes its next message when the
    /// code has ended; the code is dropped when the port is killed.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use aemp::{Node, PortId};
    /// use std::time::Duration;
    /// let node = Node::local();
    /// let port = node.port();
    /// port.rcv_async("later", |cx, (n, reply): (u32, PortId)| async move {
    ///     tokio::time::sleep(Duration::from_millis(1)).await;
    ///     cx.snd(&reply, &(n + 1,))
    /// });
    /// let n: u32 = node.cal(&port, &("later", 7), None).await?;
    /// assert_eq!(n, 8);
    /// # Ok(()) }
    /// ```
    pub fn rcv_async<A, R, Fut, F>(&self, tag: &str, mut code: F) -> &Self
    where
        A: DeserializeOwned + 'static,
        R: IntoOutcome,
        Fut: Future<Output = R> + Send + 'static,
        F: FnMut(Context, A) -> Fut + Send + 'static,
    {
        self.set_typed(tag, move |context, args| {
            let future = code(context.clone(), args);
            Outcome::Later(Box::pin(async move { future.await.into_outcome() }))
        })
    }

    /// Takes messages whose first element is `tag`, the rest as it came. This is the way to borrow
    /// from the message: `let (nick, text): (&str, &str) = message.args()?`.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use aemp::Node;
    /// let node = Node::local();
    /// let port = node.port();
    /// let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    /// port.rcv_message("say", move |_, message| -> Result<(), aemp::proto::ArgsError> {
    ///     let (nick, text): (&str, &str) = message.args()?;
    ///     let _ = tell.send(format!("<{nick}> {text}"));
    ///     Ok(())
    /// });
    /// node.snd(&port, &("say", "ruth", "hello"))?;
    /// assert_eq!(told.recv().await.unwrap(), "<ruth> hello");
    /// # Ok(()) }
    /// ```
    pub fn rcv_message<R, F>(&self, tag: &str, mut code: F) -> &Self
    where
        R: IntoOutcome,
        F: FnMut(&Context, Message) -> R + Send + 'static,
    {
        self.set_untyped(Some(tag), move |context, message| {
            Outcome::Done(code(context, message).into_outcome())
        })
    }

    /// Takes all messages that no tag's handler takes.
    ///
    /// Without it, such a message kills the port (on a spawned port it is ignored), unless the port
    /// has [another choice](Self::on_misfit).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = aemp::Node::local();
    /// let port = node.port();
    /// let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    /// port.rcv("known", |_, (): ()| {})
    ///     .rcv_any(move |_, message| drop(tell.send(message.to_json().into_owned())));
    /// node.snd(&port, &("known",))?;
    /// node.snd(&port, &("other", 1))?;
    /// assert_eq!(told.recv().await.unwrap(), r#"["other",1]"#);
    /// # Ok(()) }
    /// ```
    pub fn rcv_any<R, F>(&self, mut code: F) -> &Self
    where
        R: IntoOutcome,
        F: FnMut(&Context, Message) -> R + Send + 'static,
    {
        self.set_untyped(None, move |context, message| {
            Outcome::Done(code(context, message).into_outcome())
        })
    }

    /// Like [`rcv_any`](Self::rcv_any) with asynchronous code.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = aemp::Node::local();
    /// let port = node.port();
    /// let (tell, mut told) = tokio::sync::mpsc::channel(1);
    /// port.rcv_any_async(move |_, message| {
    ///     let tell = tell.clone();
    ///     // Waits while the channel is full; messages to the port wait with it.
    ///     async move { tell.send(message).await.map_err(|_| "nobody listens") }
    /// });
    /// node.snd(&port, &("a", 1))?;
    /// assert_eq!(told.recv().await.unwrap().to_json(), r#"["a",1]"#);
    /// # Ok(()) }
    /// ```
    pub fn rcv_any_async<R, Fut, F>(&self, mut code: F) -> &Self
    where
        R: IntoOutcome,
        Fut: Future<Output = R> + Send + 'static,
        F: FnMut(Context, Message) -> Fut + Send + 'static,
    {
        self.set_untyped(None, move |context, message| {
            let future = code(context.clone(), message);
            Outcome::Later(Box::pin(async move { future.await.into_outcome() }))
        })
    }

    /// Removes a tag's handler.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = aemp::Node::local();
    /// let port = node.port();
    /// port.rcv("a", |_, (): ()| {}).unrcv("a");
    /// let (died, reason) = tokio::sync::oneshot::channel();
    /// node.mon(&port, |reason| drop(died.send(reason)));
    /// node.snd(&port, &("a",))?;
    /// assert_eq!(reason.await?.kind(), Some("die")); // nothing takes it any more
    /// # Ok(()) }
    /// ```
    pub fn unrcv(&self, tag: &str) -> &Self {
        if let Some(cell) = self.cell() {
            cell.set_handler(&self.node, Some(tag), None);
        }
        self
    }

    /// Kills the port. An empty reason is a normal end.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = aemp::Node::local();
    /// let port = node.port();
    /// let (died, reason) = tokio::sync::oneshot::channel();
    /// node.mon(&port, |reason| drop(died.send(reason)));
    /// port.kil(aemp::Reason::new(["overheated"]));
    /// assert_eq!(reason.await?.to_string(), "overheated");
    /// # Ok(()) }
    /// ```
    pub fn kil(&self, reason: impl Into<Reason>) {
        self.node.kil(&self.id, reason.into());
    }

    /// Runs code in this port's context, now and here: if it fails, the port dies (Perl's `peval`).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let node = aemp::Node::local();
    /// let port = node.port();
    /// port.peval(|cx| cx.this().rcv("a", |_, (): ()| {}).is_alive().then_some(()).ok_or("dead"));
    /// assert!(port.is_alive());
    /// port.peval(|_| Err::<(), _>("oops"));
    /// assert!(!port.is_alive());
    /// # }
    /// ```
    pub fn peval<R: IntoOutcome>(&self, code: impl FnOnce(&Context) -> R) {
        Context::new(&self.node, self.id.clone()).peval(code);
    }

    pub(super) fn node(&self) -> &Arc<Inner> {
        &self.node
    }

    pub(super) fn cell(&self) -> Option<Arc<PortCell>> {
        self.node.ports.get(self.id.name())
    }

    pub(super) fn set_typed<A: DeserializeOwned + 'static>(
        &self,
        tag: &str,
        code: impl FnMut(&Context, A) -> Outcome + Send + 'static,
    ) -> &Self {
        self.set(Some(tag), slot(Typed::new(code)))
    }

    pub(super) fn set_untyped(
        &self,
        tag: Option<&str>,
        code: impl FnMut(&Context, Message) -> Outcome + Send + 'static,
    ) -> &Self {
        self.set(tag, slot(Untyped::new(code)))
    }

    pub(super) fn set(&self, tag: Option<&str>, slot: Slot) -> &Self {
        if let Some(cell) = self.cell() {
            cell.set_handler(&self.node, tag, Some(slot));
        }
        self
    }
}

impl std::fmt::Debug for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Port({})", self.id)
    }
}

impl std::fmt::Display for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.id.fmt(f)
    }
}

impl serde::Serialize for Port {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.id.serialize(serializer)
    }
}

impl From<&Port> for PortId {
    fn from(port: &Port) -> Self {
        port.id.clone()
    }
}

impl From<Port> for PortId {
    fn from(port: Port) -> Self {
        port.id
    }
}
