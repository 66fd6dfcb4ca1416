//! The verbs.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::code::Outcome;
use super::funcs::Function;
use super::monitor::Action;
use super::{
    AsMessage, CalError, Context, Destination, IntoOutcome, Monitor, Node, NodeEvents, Port,
    Random, SendError,
};
use crate::config::Config;
use crate::net::Transport;
use crate::peering::Room;
use crate::proto::id::alnumbits;
use crate::proto::{Message, NodeId, PortId, Reason, Verb};

impl Node {
    /// A node that is in no network: ports within this process.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let node = aemp::Node::local();
    /// assert!(node.id().as_str().starts_with("anon/"));
    /// assert!(node.listeners().is_empty());
    /// # }
    /// ```
    pub fn local() -> Node {
        let random = Random::default();
        let id = NodeId::new(format!("anon/{}", alnumbits(&random.octets::<12>())));
        let node = super::build(id, &Config::default(), Transport::default(), None, random);
        let node = node.expect("the defaults name only what is known");
        node.become_global(); // there is nobody else to ask
        node
    }

    /// This node's ID.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let node = aemp::Node::local();
    /// assert_eq!(node.port().id().node_id(), *node.id());
    /// # }
    /// ```
    pub fn id(&self) -> &NodeId {
        &self.inner().id
    }

    /// The addresses that this node listens on, as it tells other nodes.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = aemp::Node::builder().no_rc().nodeid("ruth").binds(["127.0.0.1:0"]).start().await?;
    /// assert!(node.listeners()[0].starts_with("127.0.0.1:"));
    /// # Ok(()) }
    /// ```
    pub fn listeners(&self) -> Vec<String> {
        self.inner().listeners.read().clone()
    }

    /// Creates a port. Until it has a handler, a message kills it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let node = aemp::Node::local();
    /// let port = node.port();
    /// port.rcv("hello", |_, (name,): (String,)| println!("hello from {name}"));
    /// assert!(port.is_alive());
    /// # }
    /// ```
    pub fn port(&self) -> Port {
        let cell = self.inner().new_port();
        Port::new(self.inner().clone(), cell.id.clone())
    }

    /// Creates a port whose code takes all messages.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use aemp::{Node, PortId};
    /// type Outcome = Result<(), Box<dyn std::error::Error>>;
    /// let node = Node::local();
    /// let next = node.port_with(|cx, message| -> Outcome {
    ///     let (n, reply): (u32, PortId) = message.args()?;
    ///     Ok(cx.snd(&reply, &(n + 1,))?)
    /// });
    /// let n: u32 = node.cal(&next, &(7,), None).await?;
    /// assert_eq!(n, 8);
    /// # Ok(()) }
    /// ```
    pub fn port_with<R: IntoOutcome>(
        &self,
        code: impl FnMut(&Context, Message) -> R + Send + 'static,
    ) -> Port {
        let port = self.port();
        port.rcv_any(code);
        port
    }

    /// Sends a message: anything that serialises as a sequence, such as a tuple, or an enum (see
    /// [`serve`](Self::serve)).
    ///
    /// Never waits. If the node of the port is not connected, the message waits for the connection.
    /// Messages to a port arrive in order and without holes; once one is lost all later ones are,
    /// until the monitors of the port have fired. A message to a port that does not exist is lost
    /// silently: set a monitor.
    ///
    /// # Errors
    ///
    /// [`SendError`] if `args` does not serialise, or not as a sequence, or this node has stopped.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = aemp::Node::local();
    /// let mut inbox = node.mailbox();
    /// node.snd(inbox.id(), &("test", 123))?;
    /// let (tag, n): (String, u32) = inbox.recv().await?.args()?;
    /// assert_eq!((tag.as_str(), n), ("test", 123));
    /// # Ok(()) }
    /// ```
    pub fn snd<T: AsMessage + ?Sized>(
        &self,
        port: impl Destination<T>,
        args: &T,
    ) -> Result<(), SendError> {
        self.inner().snd(&port.into_port(), args)
    }

    /// Sends a message when there is room: waits while much waits to be sent to the port's node, or
    /// in the port, if it is on this node or another one of this crate. So senders that only use
    /// this go at the pace of the port's code, and it never waits for more than a few MiB. The wait
    /// ends when the port dies or its node is lost: the message is lost then, as monitors tell. It
    /// ends with an error when this node stops.
    ///
    /// A Perl node does not tell of its ports: there is room as long as it reads.
    /// `docs/backpressure.md` has the bounds.
    ///
    /// Code that a port waits for must not wait for that port here, nor for one whose code waits
    /// for it.
    ///
    /// # Errors
    ///
    /// [`SendError`] if `args` does not serialise, or not as a sequence, or this node stops.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), aemp::SendError> {
    /// let node = aemp::Node::local();
    /// let mut inbox = node.mailbox();
    /// node.snd_wait(inbox.id(), &("n", 1)).await?;
    /// # Ok(()) }
    /// ```
    pub async fn snd_wait<T: AsMessage + ?Sized>(
        &self,
        port: impl Destination<T>,
        args: &T,
    ) -> Result<(), SendError> {
        /// So much may wait at the most, in octets.
        const HIGH_WATER: usize = 64 * 1024;
        let port = port.into_port();
        let most = HIGH_WATER.min(self.inner().settings.max_queue / 2);
        self.inner().trace_sending(&port, args)?;
        let room = Room::Below(most.max(1));
        while let Some(full) = self.inner().snd_if_room(&port, args, room)? {
            let _waits = self.inner().lifecycle.waits();
            self.inner().wait_for_room(&port, full, most.max(1)).await;
        }
        Ok(())
    }

    /// Calls a function on another node by name, in no port's context: a request to its node port.
    ///
    /// # Errors
    ///
    /// [`SendError`] if `args` is no message, or this node has stopped.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use aemp::{Node, PortId};
    /// let node = Node::local();
    /// node.function("MyApp::colour", |cx, (reply,): (PortId,)| cx.snd(&reply, &("blue",)));
    ///
    /// let mut inbox = node.mailbox();
    /// node.snd_to_func(node.id(), "MyApp::colour", &(inbox.id(),))?;
    /// assert_eq!(inbox.recv().await?.tag().as_deref(), Some("blue"));
    /// # Ok(()) }
    /// ```
    pub fn snd_to_func<T: Serialize + ?Sized>(
        &self,
        node: impl Into<PortId>,
        function: &str,
        args: &T,
    ) -> Result<(), SendError> {
        let args = Message::encode(args)?;
        let node = node.into().node_id().node_port();
        self.inner().snd(&node, &Request(&[function], &args))
    }

    /// Kills a port, here or on another node, with a reason; an empty one is a normal end. Nothing
    /// happens if it is dead.
    ///
    /// A node of a release before 1.26 can't be told to kill a port of its own: such a request has
    /// no effect there (PROTOCOL.md, "Killing").
    ///
    /// # Panics
    ///
    /// If `port` is a node port: a node is not killed this way.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use aemp::{Node, Reason};
    /// let node = Node::local();
    /// let port = node.port();
    /// let (died, reason) = tokio::sync::oneshot::channel();
    /// node.mon(&port, |reason| drop(died.send(reason)));
    /// node.kil(&port, Reason::new(["overheated"]));
    /// assert_eq!(reason.await?.kind(), Some("overheated"));
    /// # Ok(()) }
    /// ```
    pub fn kil(&self, port: impl Into<PortId>, reason: impl Into<Reason>) {
        let port = port.into();
        assert!(
            !port.is_node_port(),
            "{port} is a node port and can't be killed"
        );
        self.inner().kil(&port, reason.into());
    }

    /// Calls a function once when the port dies or messages to it were lost, with the reason.
    ///
    /// A port that does not exist is reported at once, with the reason `no_such_port`. For a node's
    /// ID as port the node is monitored; a monitor of this very node never fires.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = aemp::Node::local();
    /// let (died, reason) = tokio::sync::oneshot::channel();
    /// node.mon(node.id().port("nobody"), |reason| drop(died.send(reason)));
    /// assert_eq!(reason.await?.kind(), Some("no_such_port"));
    /// # Ok(()) }
    /// ```
    pub fn mon(
        &self,
        port: impl Into<PortId>,
        action: impl FnOnce(Reason) + Send + 'static,
    ) -> Monitor {
        self.inner().monitor(&port.into(), Action::call(action))
    }

    /// Kills `target` with the same reason when `port` dies, unless it dies normally.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use aemp::{Node, Reason};
    /// let node = Node::local();
    /// let (worker, helper) = (node.port(), node.port());
    /// node.mon_kil(&worker, &helper);
    /// let (died, reason) = tokio::sync::oneshot::channel();
    /// node.mon(&helper, |reason| drop(died.send(reason)));
    /// worker.kil(Reason::die("oops"));
    /// assert_eq!(reason.await?, Reason::die("oops"));
    /// # Ok(()) }
    /// ```
    pub fn mon_kil(&self, port: impl Into<PortId>, target: impl Into<PortId>) -> Monitor {
        let action = Action::kill(target.into());
        self.inner().monitor(&port.into(), action)
    }

    /// Sends a message to `target` when `port` dies: `args` with the reason behind it.
    ///
    /// # Errors
    ///
    /// [`SendError`] if `args` is no message.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use aemp::{Node, Reason};
    /// let node = Node::local();
    /// let mut inbox = node.mailbox();
    /// let worker = node.port();
    /// node.mon_snd(&worker, inbox.id(), &("gone", 7))?;
    /// worker.kil(Reason::die("oops"));
    /// assert_eq!(inbox.recv().await?.to_json(), r#"["gone",7,"die","oops"]"#);
    /// # Ok(()) }
    /// ```
    pub fn mon_snd<T: Serialize + ?Sized>(
        &self,
        port: impl Into<PortId>,
        target: impl Into<PortId>,
        args: &T,
    ) -> Result<Monitor, SendError> {
        let action = Action::send(target.into(), Message::encode(args)?);
        Ok(self.inner().monitor(&port.into(), action))
    }

    /// Keeps `kept` until the port dies, then drops it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = aemp::Node::local();
    /// let port = node.port();
    /// let (kept, dropped) = tokio::sync::oneshot::channel::<()>();
    /// node.mon_guard(&port, kept);
    /// port.kil(aemp::Reason::normal());
    /// assert!(dropped.await.is_err()); // its other half is gone
    /// # Ok(()) }
    /// ```
    pub fn mon_guard<T: Send + 'static>(&self, port: impl Into<PortId>, kept: T) -> Monitor {
        self.mon(port, move |_| drop(kept))
    }

    /// Creates a port on another node and has the function that is registered there under
    /// `function` run in its context. Returns at once with the ID of the port to be: messages and
    /// monitors may be sent to it. If it does not come to be, the monitors fire.
    ///
    /// A Perl function is named with its package, such as `MyApp::Chat::connect` or `::connect`.
    ///
    /// # Errors
    ///
    /// [`SendError`] if `args` is no message, or this node has stopped.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use aemp::{Node, PortId};
    /// let node = Node::local();
    /// node.function("MyApp::counter", |cx, (start,): (u32,)| {
    ///     let mut sum = start;
    ///     cx.this().rcv("add", move |cx, (n, reply): (u32, PortId)| {
    ///         sum += n;
    ///         cx.snd(&reply, &(sum,))
    ///     });
    /// });
    ///
    /// let counter = node.spawn(node.id(), "MyApp::counter", &(40,))?;
    /// let sum: u32 = node.cal(&counter, &("add", 2), None).await?;
    /// assert_eq!(sum, 42);
    /// # Ok(()) }
    /// ```
    pub fn spawn<T: Serialize + ?Sized>(
        &self,
        node: impl Into<PortId>,
        function: &str,
        args: &T,
    ) -> Result<PortId, SendError> {
        let target = node.into();
        let args = Message::encode(args)?;
        if self.inner().is_local(&target) {
            self.inner().running()?;
            return Ok(super::request::spawn_local(self.inner(), function, args));
        }
        let node = target.node_id();
        let name = self.inner().ports.new_remote_name();
        let words = [Verb::Spawn.name(), &name, function];
        let request = Request(&words, &args);
        self.inner().snd(&node.node_port(), &request)?;
        Ok(node.port(&name))
    }

    /// Lets other nodes call a function by name: as init function of a port that they spawn, or as
    /// a request to the node port. [`Context::source`] says who asked.
    ///
    /// `::name` is `main::name`: to Perl, a function of the program itself.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use aemp::{Node, PortId};
    /// let node = Node::local();
    /// node.function("MyApp::add", |cx, (a, b, reply): (u32, u32, PortId)| cx.snd(&reply, &(a + b,)));
    ///
    /// // As a request to the node port; `spawn` has an example of an init function.
    /// let sum: u32 = node.cal(node.id(), &("MyApp::add", 1, 2), None).await?;
    /// assert_eq!(sum, 3);
    /// # Ok(()) }
    /// ```
    pub fn function<A, R>(
        &self,
        name: &str,
        code: impl Fn(&Context, A) -> R + Send + Sync + 'static,
    ) where
        A: DeserializeOwned,
        R: IntoOutcome,
    {
        self.add_function(name, move |context, message| {
            Outcome::Done(match message.args::<A>() {
                Ok(args) => code(context, args).into_outcome(),
                Err(error) => Err(error.into()),
            })
        });
    }

    /// Like [`function`](Self::function) with the arguments as they came.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use aemp::{Node, PortId};
    /// let node = Node::local();
    /// node.function_message("MyApp::count", |cx, message| {
    ///     let values = message.values();
    ///     let (reply, rest) = values.split_last().ok_or("nobody to reply to")?;
    ///     let reply = PortId::from(reply.as_str().unwrap_or_default());
    ///     cx.snd(&reply, &(rest.len(),)).map_err(|error| error.to_string())
    /// });
    /// let count: usize = node.cal(node.id(), &("MyApp::count", "a", [1, 2]), None).await?;
    /// assert_eq!(count, 2);
    /// # Ok(()) }
    /// ```
    pub fn function_message<R: IntoOutcome>(
        &self,
        name: &str,
        code: impl Fn(&Context, Message) -> R + Send + Sync + 'static,
    ) {
        self.add_function(name, move |context, message| {
            Outcome::Done(code(context, message).into_outcome())
        });
    }

    fn add_function(
        &self,
        name: &str,
        code: impl Fn(&Context, Message) -> Outcome + Send + Sync + 'static,
    ) {
        let code: Function = std::sync::Arc::new(code);
        let functions = &self.inner().functions.named;
        let name = super::funcs::full_name(name).into_owned();
        functions.write().insert(name, code);
    }

    /// Has this code look for the functions that are not registered, each time one is asked for: to
    /// create a port, by a call, as a service of the configuration, or to know whether there is one
    /// (`can`). Perl nodes load a module then.
    ///
    /// Other nodes choose the name, so the code is to check it, and must not wait. It is asked
    /// after the rules of the node have allowed the request.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use aemp::{Context, Message, Node, PortId};
    /// let node = Node::local();
    /// node.set_function_loader(|name| {
    ///     let colour = name.strip_prefix("colour::")?.to_owned();
    ///     Some(move |cx: &Context, args: Message| -> Result<(), Box<dyn std::error::Error>> {
    ///         let (reply,): (PortId,) = args.args()?;
    ///         Ok(cx.snd(&reply, &(&colour,))?)
    ///     })
    /// });
    /// let (said,): (String,) = node.cal(node.id(), &("colour::blue",), None).await?;
    /// assert_eq!(said, "blue");
    /// # Ok(()) }
    /// ```
    pub fn set_function_loader<F, R>(
        &self,
        loader: impl Fn(&str) -> Option<F> + Send + Sync + 'static,
    ) where
        F: Fn(&Context, Message) -> R + Send + Sync + 'static,
        R: IntoOutcome,
    {
        let loader = move |name: &str| -> Option<Function> {
            let code = loader(name)?;
            Some(Arc::new(move |context: &Context, message: Message| {
                Outcome::Done(code(context, message).into_outcome())
            }))
        };
        *self.inner().functions.loader.write() = Some(Arc::new(loader));
    }

    /// The names of the registered functions, sorted. Those that this crate registers are among
    /// them.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let node = aemp::Node::local();
    /// node.function("MyApp::log", |_, (line,): (String,)| println!("{line}"));
    /// assert!(node.functions().contains(&"MyApp::log".to_owned()));
    /// # }
    /// ```
    pub fn functions(&self) -> Vec<String> {
        self.inner().functions.names()
    }

    /// Sends a request with a reply port behind it, and waits for the reply. Ends early when the
    /// called port dies.
    ///
    /// # Errors
    ///
    /// [`CalError`]: it did not come, or is not of the type `R`.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use aemp::{Node, PortId};
    /// use std::time::Duration;
    /// let node = Node::local();
    /// let port = node.port();
    /// port.rcv("add", |cx, (a, b, reply): (u32, u32, PortId)| cx.snd(&reply, &(a + b,)));
    ///
    /// let limit = Some(Duration::from_secs(5));
    /// let sum: u32 = node.cal(&port, &("add", 1, 2), limit).await?;
    /// assert_eq!(sum, 3);
    /// # Ok(()) }
    /// ```
    pub async fn cal<R: DeserializeOwned>(
        &self,
        port: impl Into<PortId>,
        args: &(impl AsMessage + ?Sized),
        limit: Option<Duration>,
    ) -> Result<R, CalError> {
        let port = port.into();
        let send = |inbox: &PortId| self.inner().snd_request(&port, args, inbox);
        Ok(self.call(&port, send, limit).await?.args()?)
    }

    /// Has a request sent that names an inbox, and waits for the reply.
    pub(super) async fn call(
        &self,
        port: &PortId,
        send: impl FnOnce(&PortId) -> Result<(), SendError>,
        limit: Option<Duration>,
    ) -> Result<Message, CalError> {
        // Both live no longer than the call.
        let _waits = self.inner().lifecycle.waits();
        let mut inbox = self.mailbox();
        let death = Arc::new(OnceLock::new());
        let (died, caller) = (death.clone(), inbox.reader());
        let monitor = self.mon(port, move |reason| {
            let _ = died.set(reason);
            caller.wake();
        });
        let _monitor = monitor.guard();
        send(inbox.id())?;
        let reply = inbox.recv_unless(|| death.get().cloned());
        let reply = match limit {
            None => reply.await,
            Some(limit) => match tokio::time::timeout(limit, reply).await {
                Ok(reply) => reply,
                Err(_) => return Err(CalError::TimedOut(limit)),
            },
        };
        let message = reply.map_err(|reason| match self.inner().running() {
            Ok(()) => CalError::Died(reason.unwrap_or(Reason::normal())),
            // Everything has died of that.
            Err(stopped) => stopped.into(),
        })?;
        match super::answers::refusal(&message) {
            Some(why) => Err(CalError::Refused(why)),
            None => Ok(message),
        }
    }

    /// Runs code after a time, in no port's context.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// let node = aemp::Node::local();
    /// let (tell, told) = tokio::sync::oneshot::channel();
    /// node.after(Duration::from_millis(1), || drop(tell.send("now")));
    /// assert_eq!(told.await?, "now");
    /// # Ok(()) }
    /// ```
    pub fn after(&self, delay: Duration, code: impl FnOnce() + Send + 'static) {
        let runtime = self.inner().runtime.clone();
        self.inner().spawn_task(async move {
            tokio::time::sleep(delay).await;
            super::enter(&runtime, code);
        });
    }

    /// Sends a message after a time.
    ///
    /// # Errors
    ///
    /// [`SendError`] if `args` is no message, or this node has stopped.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// let node = aemp::Node::local();
    /// let mut inbox = node.mailbox();
    /// node.snd_after(Duration::from_millis(1), inbox.id(), &("tick",))?;
    /// assert_eq!(inbox.recv().await?.tag().as_deref(), Some("tick"));
    /// # Ok(()) }
    /// ```
    pub fn snd_after<T: Serialize + ?Sized>(
        &self,
        delay: Duration,
        port: impl Into<PortId>,
        args: &T,
    ) -> Result<(), SendError> {
        let (node, port, message) = (self.inner().clone(), port.into(), Message::encode(args)?);
        node.running()?;
        let from = Node::from_inner(node);
        self.after(delay, move || {
            // It was encoded already, so this fails only if the node has stopped.
            let _ = from.snd(&port, &message);
        });
        Ok(())
    }

    /// Has another node send a message: `args` to `port`, from there.
    ///
    /// # Errors
    ///
    /// [`SendError`] if `args` is no message, or this node has stopped.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = aemp::Node::local();
    /// let mut inbox = node.mailbox();
    /// node.snd_on(node.id(), inbox.id(), &("from there", 1))?;
    /// assert_eq!(inbox.recv().await?.to_json(), r#"["from there",1]"#);
    /// # Ok(()) }
    /// ```
    pub fn snd_on<T: Serialize + ?Sized>(
        &self,
        node: impl Into<PortId>,
        port: impl Into<PortId>,
        args: &T,
    ) -> Result<(), SendError> {
        let (port, args) = (port.into(), Message::encode(args)?);
        let words = ["snd", port.as_str()];
        let node = node.into().node_id().node_port();
        self.inner().snd(&node, &Request(&words, &args))
    }

    /// Has another node evaluate an expression, in its own language. The reply to `reply` is the
    /// error's text (empty if there is none), then the results.
    ///
    /// # Errors
    ///
    /// [`SendError`] if this node has stopped.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = aemp::Node::local();
    /// let mut inbox = node.mailbox();
    /// node.eval_on(node.id(), "1 + 1", inbox.id())?;
    /// // A node that has no evaluator says so.
    /// let (error,): (String,) = inbox.recv().await?.args()?;
    /// assert_eq!(error, "this node does not evaluate expressions");
    /// # Ok(()) }
    /// ```
    pub fn eval_on(
        &self,
        node: impl Into<PortId>,
        expression: &str,
        reply: impl Into<PortId>,
    ) -> Result<(), SendError> {
        let node = node.into().node_id().node_port();
        self.inner()
            .snd(&node, &(Verb::Eval, expression, reply.into()))
    }

    /// Sets what evaluates the expressions of `eval` requests. Without it they are answered with an
    /// error. Every node that knows the secret may send them.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = aemp::Node::local();
    /// node.set_evaluator(|text| match text.split_once('+') {
    ///     Some((a, b)) => Ok(vec![[a.trim(), b.trim()].concat().into()]),
    ///     None => Err(format!("can't evaluate {text}")),
    /// });
    ///
    /// let mut inbox = node.mailbox();
    /// node.eval_on(node.id(), "con + cat", inbox.id())?;
    /// assert_eq!(inbox.recv().await?.to_json(), r#"["","concat"]"#);
    /// # Ok(()) }
    /// ```
    pub fn set_evaluator(
        &self,
        evaluator: impl Fn(&str) -> Result<Vec<Value>, String> + Send + Sync + 'static,
    ) {
        *self.inner().functions.evaluator.write() = Some(std::sync::Arc::new(evaluator));
    }

    /// Whether the port is one of this node.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let node = aemp::Node::local();
    /// assert!(node.port_is_local(node.port()));
    /// assert!(!node.port_is_local("other#a"));
    /// # }
    /// ```
    pub fn port_is_local(&self, port: impl Into<PortId>) -> bool {
        self.inner().is_local(&port.into())
    }

    /// The connected nodes, sorted, without this one.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::time::Duration;
    /// let node = |id: &str| aemp::Node::builder().no_rc().nodeid(id).secret("geheim").binds(["127.0.0.1:0"]);
    /// let a = node("a").start().await?;
    /// let b = node("b").seeds(a.listeners()).start().await?;
    /// b.round_trip(a.id(), Duration::from_secs(9)).await?;
    /// assert_eq!(b.up_nodes(), ["a"]);
    /// assert!(b.node_is_up("a") && !b.node_is_up("c"));
    /// # Ok(()) }
    /// ```
    pub fn up_nodes(&self) -> Vec<NodeId> {
        self.inner().peers.up()
    }

    /// The nodes that are known, this one and those to be connected included, sorted.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = aemp::Node::local();
    /// assert_eq!(node.known_nodes(), [node.id().clone()]);
    /// node.snd("other#a", &("test",))?;
    /// assert!(node.known_nodes().contains(&"other".into()));
    /// # Ok(()) }
    /// ```
    pub fn known_nodes(&self) -> Vec<NodeId> {
        let peers = self.inner().peers.all();
        let mut known: Vec<NodeId> = peers.iter().map(|peer| peer.id.clone()).collect();
        known.push(self.id().clone());
        known.sort();
        known
    }

    /// A port of this node by its ID. `None` if it is another node's, or dead.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let node = aemp::Node::local();
    /// let port = node.port();
    /// assert_eq!(node.local_port(&port).unwrap().id(), port.id());
    /// assert!(node.local_port("other#a").is_none());
    /// # }
    /// ```
    pub fn local_port(&self, port: impl Into<PortId>) -> Option<Port> {
        let port = port.into();
        let local = self.port_is_local(&port) && !port.is_node_port();
        let handle = Port::new(self.inner().clone(), port);
        (local && handle.is_alive()).then_some(handle)
    }

    /// Whether the node is connected. False for this one.
    ///
    /// See [`up_nodes`](Self::up_nodes) for an example.
    pub fn node_is_up(&self, node: impl AsRef<str>) -> bool {
        let peer = self.inner().peers.get(node.as_ref());
        peer.is_some_and(|peer| peer.is_up())
    }

    /// Follows nodes that come and go, from now on.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = |id: &str| aemp::Node::builder().no_rc().nodeid(id).secret("geheim").binds(["127.0.0.1:0"]);
    /// let a = node("a").start().await?;
    /// let b = node("b").start().await?;
    /// let mut events = b.mon_nodes();
    /// b.add_seeds(a.listeners());
    /// let event = events.next().await.unwrap();
    /// assert!(event.is_up() && event.node() == a.id());
    /// # Ok(()) }
    /// ```
    pub fn mon_nodes(&self) -> NodeEvents {
        self.inner().events.subscribe()
    }

    /// Adds seeds at run time: resolved addresses, such as `127.0.0.1:4040`.
    ///
    /// See [`mon_nodes`](Self::mon_nodes) for an example.
    pub fn add_seeds<S: Into<String>>(&self, seeds: impl IntoIterator<Item = S>) {
        let seeds = seeds.into_iter().map(Into::into).collect();
        self.inner().control.add_seeds(self.inner(), seeds);
    }

    /// How many ports live on this node.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let node = aemp::Node::local();
    /// let before = node.port_count();
    /// let port = node.port();
    /// assert_eq!(node.port_count(), before + 1);
    /// # }
    /// ```
    pub fn port_count(&self) -> usize {
        self.inner().ports.len()
    }
}

/// A request: strings, then elements of a message.
pub(super) struct Request<'a>(pub(super) &'a [&'a str], pub(super) &'a Message);

impl Serialize for Request<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeSeq as _;
        let elements = self.1.elements();
        let length = self.0.len() + elements.clone().count();
        let mut seq = serializer.serialize_seq(Some(length))?;
        for word in self.0 {
            seq.serialize_element(word)?;
        }
        for element in elements {
            seq.serialize_element(&element)?;
        }
        seq.end()
    }
}
