//! What a child is and how it comes to be.

use std::fmt::Display;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::core::Policy;
use super::{Backoff, Place, Restart};
use crate::node::{Context, Port};
use crate::proto::{Message, PortId, Reason};

pub(super) type Started = Pin<Box<dyn Future<Output = Result<ChildPort, String>> + Send>>;
type LocalStart = dyn Fn(Context) -> Started + Send + Sync;
type Args = dyn Fn(&Context) -> Result<Message, String> + Send + Sync;

/// How to start a child, and when to start it again.
///
/// A child is *local*, a function of this process that creates a port, or *remote*, a port that is
/// spawned on another node. It lives as long as its port.
///
/// ```
/// use aemp::supervise::{Child, Restart, on_group};
/// use std::time::Duration;
///
/// let local = Child::local("counter", |cx| {
///     let port = cx.port();
///     port.rcv("add", |_, (_n,): (u64,)| {});
///     port
/// });
/// let remote = Child::spawn("worker", on_group("workers"), "MyApp::Worker::init", &(1, "fast"))
///     .restart(Restart::Transient)
///     .stop_limit(Duration::from_secs(1));
/// # let _ = (local, remote);
/// ```
#[derive(Clone)]
pub struct Child {
    pub(super) name: Arc<str>,
    pub(super) start: Start,
    restart: Restart,
    backoff: Option<Backoff>,
    stop_limit: Option<Duration>,
    pub(super) start_limit: Option<Duration>,
}

#[derive(Clone)]
pub(super) enum Start {
    Local(Arc<LocalStart>),
    Remote {
        place: Place,
        function: Arc<str>,
        args: Arc<Args>,
    },
}

/// How long the end of a child is waited for, unless said otherwise.
const STOP_LIMIT: Duration = Duration::from_secs(5);

impl Child {
    fn new(name: impl Into<Arc<str>>, start: Start) -> Self {
        Child {
            name: name.into(),
            start,
            restart: Restart::default(),
            backoff: None,
            stop_limit: Some(STOP_LIMIT),
            start_limit: None,
        }
    }

    /// A child of this process: `start` creates a port. It is called for each start and given the
    /// supervisor's context; it may return a [`Port`], a [`PortId`], a nested
    /// [`Supervisor`](super::Supervisor), or a `Result` with one of them. An `Err` or a panic is a
    /// failed start, which counts as a death.
    ///
    /// `name` is unique among the supervisor's children.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use aemp::{Node, Supervisor, supervise::Child};
    ///
    /// let node = Node::local();
    /// let counter = Child::local("counter", |cx| {
    ///     let mut sum = 0;
    ///     cx.port_with(move |_, message| {
    ///         let (n,): (u32,) = message.args()?;
    ///         sum += n;
    ///         Ok::<_, aemp::proto::ArgsError>(())
    ///     })
    /// });
    /// let supervisor = Supervisor::builder("main").child(counter).start(&node)?;
    /// supervisor.ready().await?;
    /// # Ok(()) }
    /// ```
    pub fn local<P, F>(name: impl Into<Arc<str>>, start: F) -> Self
    where
        P: IntoChildPort,
        F: Fn(&Context) -> P + Send + Sync + 'static,
    {
        let start = Arc::new(start);
        let begin = move |context: Context| -> Started {
            let start = start.clone();
            Box::pin(async move { start(&context).into_child_port() })
        };
        Child::new(name, Start::Local(Arc::new(begin)))
    }

    /// Like [`local`](Self::local) with asynchronous code: the child counts as started when it is
    /// done, and children that come after it wait for that (see [the order](super#the-order)). It
    /// is dropped when the child is to be stopped meanwhile.
    ///
    /// ```
    /// use aemp::supervise::Child;
    /// let child = Child::local_async("reader", async |_cx: aemp::Context| {
    ///     let text = tokio::fs::read_to_string("data").await?;
    ///     Ok::<_, std::io::Error>(_cx.port_with(move |_, _| println!("{text}")))
    /// });
    /// # let _ = child;
    /// ```
    pub fn local_async<P, Fut, F>(name: impl Into<Arc<str>>, start: F) -> Self
    where
        P: IntoChildPort,
        Fut: Future<Output = P> + Send + 'static,
        F: Fn(Context) -> Fut + Send + Sync + 'static,
    {
        let begin = move |context: Context| -> Started {
            let future = start(context);
            Box::pin(async move { future.await.into_child_port() })
        };
        Child::new(name, Start::Local(Arc::new(begin)))
    }

    /// A child on another node, or on one of several: the function that is registered there under
    /// `function` (Perl: named with its package) is run in a new port, with `args`, anything that
    /// serialises as a sequence (anything else is a failed start). It counts as started when the
    /// request was sent.
    ///
    /// While no node is there the start waits (see [where children run](super#where-children-run)).
    /// When its node is lost, the child is started again, on another one if there is one. The lost
    /// node may live on, and the port there with it: let the function monitor a port of this node,
    /// see [`spawn_with`](Self::spawn_with).
    ///
    /// ```
    /// use aemp::supervise::{Child, on_node};
    /// let child = Child::spawn("logger", on_node("ruth"), "MyApp::logger", &("/var/log/x",));
    /// # let _ = child;
    /// ```
    pub fn spawn<T: Serialize + ?Sized>(
        name: impl Into<Arc<str>>,
        place: Place,
        function: &str,
        args: &T,
    ) -> Self {
        let args = Message::encode(args).map_err(|error| error.to_string());
        Child::remote(name, place, function, Arc::new(move |_| args.clone()))
    }

    /// Like [`spawn`](Self::spawn) with arguments that are made anew for each start, such as the
    /// supervisor's own ID, so that the child can link itself to it.
    ///
    /// ```
    /// use aemp::supervise::{Child, on_group};
    /// // There: `|cx, (owner, n): (PortId, u32)| { cx.link(&owner); ... }`
    /// let child = Child::spawn_with("worker", on_group("workers"), "work", |cx| (cx.id().clone(), 1));
    /// # let _ = child;
    /// ```
    pub fn spawn_with<T: Serialize>(
        name: impl Into<Arc<str>>,
        place: Place,
        function: &str,
        args: impl Fn(&Context) -> T + Send + Sync + 'static,
    ) -> Self {
        let args = move |context: &Context| {
            Message::encode(&args(context)).map_err(|error| error.to_string())
        };
        Child::remote(name, place, function, Arc::new(args))
    }

    fn remote(name: impl Into<Arc<str>>, place: Place, function: &str, args: Arc<Args>) -> Self {
        let function = function.into();
        let start = Start::Remote {
            place,
            function,
            args,
        };
        Child::new(name, start)
    }

    /// When the child is started again; [`Restart::Permanent`], unless set.
    ///
    /// ```
    /// use aemp::supervise::{Child, Restart};
    /// let child = Child::local("job", |cx| cx.port_with(|_, _| {})).restart(Restart::Temporary);
    /// # let _ = child;
    /// ```
    pub fn restart(mut self, restart: Restart) -> Self {
        self.restart = restart;
        self
    }

    /// How long to wait before a restart; as the [supervisor](super::Builder::backoff) has it,
    /// unless set.
    ///
    /// ```
    /// use aemp::supervise::{Backoff, Child};
    /// let child = Child::local("x", |cx| cx.port_with(|_, _| {})).backoff(Backoff::none());
    /// # let _ = child;
    /// ```
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = Some(backoff);
        self
    }

    /// How long its end is waited for after it was killed, before the supervisor goes on without
    /// it; 5 s, unless set (nested supervisors: without limit). `None`: without limit.
    ///
    /// A port ends when its present handler is done; on a node that is not connected, or of
    /// AnyEvent::MP before 1.26, it may not end at all.
    ///
    /// ```
    /// use aemp::supervise::Child;
    /// let child = Child::local("x", |cx| cx.port_with(|_, _| {})).stop_limit(None);
    /// # let _ = child;
    /// ```
    pub fn stop_limit(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.stop_limit = limit.into();
        self
    }

    /// How long a local start may take before it counts as failed; without limit, unless set.
    /// (Remote starts wait for a node, however long that takes.)
    ///
    /// ```
    /// use aemp::supervise::Child;
    /// use std::time::Duration;
    /// let child = Child::local_async("x", async |cx: aemp::Context| cx.port_with(|_, _| {}))
    ///     .start_limit(Duration::from_secs(10));
    /// # let _ = child;
    /// ```
    pub fn start_limit(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.start_limit = limit.into();
        self
    }

    /// The child's name.
    ///
    /// ```
    /// let child = aemp::supervise::Child::local("x", |cx| cx.port_with(|_, _| {}));
    /// assert_eq!(child.name(), "x");
    /// ```
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn policy(&self, default: Backoff) -> Policy {
        Policy {
            restart: self.restart,
            backoff: self.backoff.unwrap_or(default),
            stop_limit: self.stop_limit,
        }
    }
}

impl std::fmt::Debug for Child {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Child({:?}, {:?})", self.name, self.restart)
    }
}

/// What the start of a local child has brought about: a port, or a nested supervisor.
pub struct ChildPort {
    pub(super) port: PortId,
    /// What is waited for in place of the port's death: a nested supervisor's own children end
    /// after its port.
    pub(super) end: Option<End>,
}

/// Resolves once a nested supervisor has ended. It comes as this and not as the supervisor itself,
/// as a supervisor is made of children.
pub(super) type End = Pin<Box<dyn Future<Output = Reason> + Send + Sync>>;

impl std::fmt::Debug for ChildPort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ChildPort({})", self.port)
    }
}

/// What the function of a local child may return: a [`Port`], a [`PortId`], a
/// [`Supervisor`](super::Supervisor), or a `Result` with one of these.
///
/// ```
/// use aemp::supervise::Child;
/// let fallible = Child::local("x", |cx| match cx.groups().is_empty() {
///     true => Ok(cx.port_with(|_, _| {})),
///     false => Err("there are groups"),
/// });
/// # let _ = fallible;
/// ```
pub trait IntoChildPort {
    /// The port, or why there is none.
    ///
    /// # Errors
    ///
    /// The text that tells why the child did not start.
    ///
    /// ```
    /// use aemp::{PortId, supervise::IntoChildPort};
    /// assert!(PortId::new("node#port").into_child_port().is_ok());
    /// assert!(PortId::new("node").into_child_port().is_err(), "a node port can't be a child");
    /// ```
    fn into_child_port(self) -> Result<ChildPort, String>;
}

impl IntoChildPort for PortId {
    fn into_child_port(self) -> Result<ChildPort, String> {
        if self.is_node_port() {
            return Err(format!("{self} is a node port, which can't be a child"));
        }
        Ok(ChildPort {
            port: self,
            end: None,
        })
    }
}

impl IntoChildPort for Port {
    fn into_child_port(self) -> Result<ChildPort, String> {
        self.id().clone().into_child_port()
    }
}

impl<P: IntoChildPort, E: Display> IntoChildPort for Result<P, E> {
    fn into_child_port(self) -> Result<ChildPort, String> {
        self.map_err(|error| error.to_string())?.into_child_port()
    }
}
