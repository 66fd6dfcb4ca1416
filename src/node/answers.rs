//! Requests that are answered, with a result or with an error.

use std::fmt::{self, Display};
use std::marker::PhantomData;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::code::Outcome;
use super::{Address, CalError, Context, Node, Port, SendError};
use crate::log::log_at;
use crate::proto::{Message, PortId, Reason};

/// How an error reply begins: see [`Context::answer`]. What follows is a [`Reason`].
pub const ERROR_REPLY: &str = "aemp:error";

/// Where the answer to a request is sent: a field of the request.
///
/// On the wire it is the ID of a port, as everywhere in AEMP. The type says what the answer is.
///
/// Best it is the last field: there a port that [refuses](super::Misfit::Refuse) what does not fit
/// finds it whatever is wrong with the others.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use aemp::{Node, Reply};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// enum Store {
///     Get { key: String, reply: Reply<u32> },
/// }
///
/// let node = Node::local();
/// let store = node.serve(|cx, Store::Get { key, reply }| {
///     let found = if key == "seven" { Ok(7) } else { Err(format!("no {key}")) };
///     cx.answer(&reply, found)
/// });
///
/// let get = |key: &str| { let key = key.to_owned(); |reply| Store::Get { key, reply } };
/// assert_eq!(node.ask(&store, get("seven"), None).await?, 7);
/// let error = node.ask(&store, get("eight"), None).await.unwrap_err();
/// assert_eq!(error.to_string(), "the request was answered with an error: no eight");
/// # Ok(()) }
/// ```
pub struct Reply<T> {
    port: PortId,
    takes: PhantomData<fn(T)>,
}

impl<T> Reply<T> {
    /// Says that a port takes such answers.
    ///
    /// ```
    /// let reply: aemp::Reply<u32> = aemp::Reply::to("other#a");
    /// assert_eq!(reply.id(), "other#a");
    /// ```
    pub fn to(port: impl Into<PortId>) -> Self {
        Reply {
            port: port.into(),
            takes: PhantomData,
        }
    }

    /// The port's ID.
    ///
    /// See [`to`](Self::to) for an example.
    pub fn id(&self) -> &PortId {
        &self.port
    }
}

impl<T> Clone for Reply<T> {
    fn clone(&self) -> Self {
        Reply::to(&self.port)
    }
}

impl<T> fmt::Debug for Reply<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reply({})", self.port)
    }
}

impl<T> PartialEq for Reply<T> {
    fn eq(&self, other: &Self) -> bool {
        self.port == other.port
    }
}

impl<T> Serialize for Reply<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.port.serialize(serializer)
    }
}

impl<'de, T> Deserialize<'de> for Reply<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        PortId::deserialize(deserializer).map(Reply::to)
    }
}

impl Context {
    /// Answers a request: with the value, which is the only element of the reply, or with an error,
    /// which is an error reply with its text.
    ///
    /// An error reply is a message `["aemp:error", WHY..]`. That is a convention between programs,
    /// which AEMP itself knows nothing of: a Perl program reads it, and sends it, as any other
    /// message. [`Node::cal`] and [`Node::ask`] give it as [`CalError::Refused`].
    ///
    /// # Errors
    ///
    /// [`SendError`] if the value does not serialise, or the node has stopped.
    ///
    /// See [`Reply`] for an example.
    pub fn answer<T: Serialize, E: Display>(
        &self,
        reply: &Reply<T>,
        result: Result<T, E>,
    ) -> Result<(), SendError> {
        match result {
            Ok(value) => self.snd(&reply.port, &(value,)),
            Err(error) => self.refuse(&reply.port, Reason::new([error.to_string()])),
        }
    }

    /// Answers a request with an error reply of that reason, which may have more than a text.
    ///
    /// # Errors
    ///
    /// [`SendError`] if the node has stopped.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use aemp::{CalError, Node, PortId, Reason};
    /// let node = Node::local();
    /// let port = node.port();
    /// port.rcv("get", |cx, (reply,): (PortId,)| cx.refuse(&reply, Reason::new(["busy", "try later"])));
    /// match node.cal::<u32>(&port, &("get",), None).await {
    ///     Err(CalError::Refused(why)) => assert_eq!(why.kind(), Some("busy")),
    ///     other => panic!("{other:?}"),
    /// }
    /// # }
    /// ```
    pub fn refuse(
        &self,
        reply: impl Into<PortId>,
        why: impl Into<Reason>,
    ) -> Result<(), SendError> {
        let reply: PortId = reply.into();
        let why = why.into();
        let elements: Vec<&serde_json::Value> = why.values().iter().collect();
        let message = Message::encode(&(ERROR_REPLY,))?.with(&elements)?;
        self.snd(&reply, &message)
    }
}

/// What an error reply tells. None if it is another message.
pub(super) fn refusal(message: &Message) -> Option<Reason> {
    if message.tag().as_deref() != Some(ERROR_REPLY) {
        return None;
    }
    Some(Reason::from(message.without_tag().values()))
}

impl Node {
    /// Sends a request that `request` makes of where the answer is to go, and waits for the answer.
    /// Ends early when the port that is asked dies.
    ///
    /// # Errors
    ///
    /// [`CalError`]: there is no answer, it is an error, or it is no `T`.
    ///
    /// See [`Reply`] for an example.
    pub async fn ask<M: Serialize, T: DeserializeOwned>(
        &self,
        port: &Address<M>,
        request: impl FnOnce(Reply<T>) -> M,
        limit: Option<Duration>,
    ) -> Result<T, CalError> {
        let send = |inbox: &PortId| self.inner().snd(port.id(), &request(Reply::to(inbox)));
        let (value,) = self.call(port.id(), send, limit).await?.args()?;
        Ok(value)
    }
}

impl Port {
    /// Takes requests whose first element is `tag` and whose last is the port to answer to, as
    /// [`Node::cal`] makes them: what `code` returns is the answer. An error, and arguments that do
    /// not fit, are answered with an [error reply](Context::answer); this port lives on.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = aemp::Node::local();
    /// let port = node.port();
    /// port.answer("div", |_, (a, b): (u32, u32)| a.checked_div(b).ok_or("by zero"));
    ///
    /// let half: u32 = node.cal(&port, &("div", 6, 2), None).await?;
    /// assert_eq!(half, 3);
    /// let error = node.cal::<u32>(&port, &("div", 6, 0), None).await.unwrap_err();
    /// assert_eq!(error.to_string(), "the request was answered with an error: by zero");
    /// let error = node.cal::<u32>(&port, &("div", 6, "two"), None).await.unwrap_err();
    /// assert!(error.to_string().contains("argument 2: invalid type"));
    /// assert!(port.is_alive());
    /// # Ok(()) }
    /// ```
    pub fn answer<A, T, E, F>(&self, tag: &str, mut code: F) -> &Self
    where
        A: DeserializeOwned,
        T: Serialize,
        E: Display,
        F: FnMut(&Context, A) -> Result<T, E> + Send + 'static,
    {
        self.set_requests(tag, move |context, (args, reply): (A, Reply<T>)| {
            let sent = context.answer(&reply, code(context, args));
            Outcome::Done(sent.map_err(Into::into))
        })
    }

    /// Like [`answer`](Self::answer) with asynchronous code.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = aemp::Node::local();
    /// let port = node.port();
    /// port.answer_async("later", |_, (n,): (u32,)| async move {
    ///     tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    ///     n.checked_sub(1).ok_or("too small")
    /// });
    /// let n: u32 = node.cal(&port, &("later", 7), None).await?;
    /// assert_eq!(n, 6);
    /// # Ok(()) }
    /// ```
    pub fn answer_async<A, T, E, Fut, F>(&self, tag: &str, mut code: F) -> &Self
    where
        A: DeserializeOwned,
        T: Serialize + Send + 'static,
        E: Display + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        F: FnMut(Context, A) -> Fut + Send + 'static,
    {
        self.set_requests(tag, move |context, (args, reply): (A, Reply<T>)| {
            let (future, context) = (code(context.clone(), args), context.clone());
            Outcome::Later(Box::pin(async move {
                let sent = context.answer(&reply, future.await);
                sent.map_err(Into::into)
            }))
        })
    }

    /// Has code take the requests of a tag: their arguments, and where the answer goes. It sees
    /// none whose arguments do not fit.
    pub(super) fn set_requests<A: DeserializeOwned, T>(
        &self,
        tag: &str,
        mut take: impl FnMut(&Context, (A, Reply<T>)) -> Outcome + Send + 'static,
    ) -> &Self {
        self.set_untyped(Some(tag), move |context, message| {
            match request(context, &message) {
                Some(request) => take(context, request),
                None => Outcome::Done(Ok(())),
            }
        })
    }
}

/// The arguments of a request, and where its answer goes, which is behind them. None if there is
/// nothing to be done for it: whoever asked was told why, if that is possible.
fn request<A: DeserializeOwned, T>(context: &Context, message: &Message) -> Option<(A, Reply<T>)> {
    let mut elements: Vec<_> = message.elements().collect();
    let reply = elements.pop().and_then(|last| last.read::<PortId>().ok());
    let Some(reply) = reply.filter(|reply| !reply.node().is_empty()) else {
        log_at!(2, "{}: a request without a port to answer to", context.id());
        return None;
    };
    let args = Message::encode(&elements).map_err(|error| error.to_string());
    let args = args.and_then(|args| args.args().map_err(|error| error.to_string()));
    match args {
        Ok(args) => Some((args, Reply::to(reply))),
        Err(text) => {
            // A text is a message, so this fails only if the node has stopped.
            let _ = context.refuse(&reply, Reason::new([text]));
            None
        }
    }
}
