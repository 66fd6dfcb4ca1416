//! Ports whose handlers share a state.

use std::fmt::{self, Display};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use spin::mutex::SpinMutex;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::answers::Reply;
use super::code::{Handled, IntoOutcome, Outcome};
use super::{Address, Context, Destination, Node, Port};
use crate::proto::PortId;

/// The state of a port, for as long as an asynchronous handler keeps this.
///
/// As a port takes one message after the other nobody else has it, so that it is there at once.
/// Only if a handler hands it to another task, or [several](Port::concurrently) are at work, those
/// that want it meanwhile wait: drop it before a long wait that needs no state.
///
/// See [`StatePort::rcv_async`] for an example.
pub struct State<S>(OwnedMutexGuard<S>);

impl<S> Deref for State<S> {
    type Target = S;
    fn deref(&self) -> &S {
        &self.0
    }
}

impl<S> DerefMut for State<S> {
    fn deref_mut(&mut self) -> &mut S {
        &mut self.0
    }
}

impl<S: fmt::Debug> fmt::Debug for State<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A port whose handlers share a state, which they are given: see [`Node::port_with_state`].
///
/// It dereferences to the [`Port`]. The state lives as long as a handler that was set here, or
/// this handle, does; handlers end with the port.
pub struct StatePort<S> {
    port: Port,
    state: Arc<Mutex<S>>,
}

impl<S> Clone for StatePort<S> {
    fn clone(&self) -> Self {
        StatePort {
            port: self.port.clone(),
            state: self.state.clone(),
        }
    }
}

impl<S> fmt::Debug for StatePort<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StatePort({})", self.id())
    }
}

impl<S> Deref for StatePort<S> {
    type Target = Port;
    fn deref(&self) -> &Port {
        &self.port
    }
}

impl<S> From<&StatePort<S>> for PortId {
    fn from(port: &StatePort<S>) -> Self {
        port.id().clone()
    }
}

impl<S, T: ?Sized> Destination<T> for &StatePort<S> {
    fn into_port(self) -> PortId {
        self.id().clone()
    }
}

/// A handler of code that is given the state. If somebody else has it, the code waits for it.
fn now<S: Send + 'static, I: Send + 'static>(
    state: &Arc<Mutex<S>>,
    code: impl FnMut(&Context, &mut S, I) -> Handled + Send + 'static,
) -> impl FnMut(&Context, I) -> Outcome + Send + 'static {
    // Whoever has the state is alone with the code.
    let code: Arc<SpinMutex<_>> = Arc::new(SpinMutex::new(code));
    let state = state.clone();
    move |context, input| {
        if let Ok(mut state) = state.try_lock() {
            return Outcome::Done(code.lock()(context, &mut state, input));
        }
        let (state, code, context) = (state.clone(), code.clone(), context.clone());
        Outcome::Later(Box::pin(async move {
            let mut state = state.lock().await;
            code.lock()(&context, &mut state, input)
        }))
    }
}

/// The same of asynchronous code.
fn later<S, I, Fut>(
    state: &Arc<Mutex<S>>,
    code: impl FnMut(Context, State<S>, I) -> Fut + Send + 'static,
) -> impl FnMut(&Context, I) -> Outcome + Send + 'static
where
    S: Send + 'static,
    I: Send + 'static,
    Fut: Future<Output = Handled> + Send + 'static,
{
    let code: Arc<SpinMutex<_>> = Arc::new(SpinMutex::new(code));
    let state = state.clone();
    move |context, input| {
        let context = context.clone();
        if let Ok(state) = state.clone().try_lock_owned() {
            let work = code.lock()(context, State(state), input);
            return Outcome::Later(Box::pin(work));
        }
        let (state, code) = (state.clone(), code.clone());
        Outcome::Later(Box::pin(async move {
            let state = State(state.lock_owned().await);
            let work = code.lock()(context, state, input);
            work.await
        }))
    }
}

impl<S: Send + 'static> StatePort<S> {
    /// Like [`Port::rcv`], with the state.
    ///
    /// See [`Node::port_with_state`] for an example.
    pub fn rcv<A, R, F>(&self, tag: &str, mut code: F) -> &Self
    where
        A: DeserializeOwned + Send + 'static,
        R: IntoOutcome,
        F: FnMut(&Context, &mut S, A) -> R + Send + 'static,
    {
        let code =
            move |context: &Context, state: &mut S, args| code(context, state, args).into_outcome();
        self.port.set_typed(tag, now(&self.state, code));
        self
    }

    /// Like [`Port::rcv_async`], with the state.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use aemp::{Node, PortId};
    /// use std::time::Duration;
    /// let node = Node::local();
    /// let port = node.port_with_state(Vec::new());
    /// port.rcv_async("log", |_, mut lines, (line,): (String,)| async move {
    ///     tokio::time::sleep(Duration::from_millis(1)).await;
    ///     lines.push(line);
    /// });
    /// port.rcv("count", |cx, lines, (reply,): (PortId,)| cx.snd(&reply, &(lines.len(),)));
    /// node.snd(&port, &("log", "started"))?;
    /// let count: usize = node.cal(&port, &("count",), None).await?;
    /// assert_eq!(count, 1);
    /// # Ok(()) }
    /// ```
    pub fn rcv_async<A, R, Fut, F>(&self, tag: &str, mut code: F) -> &Self
    where
        A: DeserializeOwned + Send + 'static,
        R: IntoOutcome + 'static,
        Fut: Future<Output = R> + Send + 'static,
        F: FnMut(Context, State<S>, A) -> Fut + Send + 'static,
    {
        let code = move |context, state, args| outcome(code(context, state, args));
        self.port.set_typed(tag, later(&self.state, code));
        self
    }

    /// Like [`Port::answer`], with the state.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = aemp::Node::local();
    /// let port = node.port_with_state(["red", "green"]);
    /// port.answer("colour", |_, colours, (n,): (usize,)| colours.get(n).copied().ok_or("no such colour"));
    /// let colour: String = node.cal(&port, &("colour", 1), None).await?;
    /// assert_eq!(colour, "green");
    /// # Ok(()) }
    /// ```
    pub fn answer<A, T, E, F>(&self, tag: &str, mut code: F) -> &Self
    where
        A: DeserializeOwned + Send + 'static,
        T: Serialize + 'static,
        E: Display,
        F: FnMut(&Context, &mut S, A) -> Result<T, E> + Send + 'static,
    {
        let take = now(
            &self.state,
            move |context, state, (args, reply): (A, Reply<T>)| {
                let sent = context.answer(&reply, code(context, state, args));
                sent.map_err(Into::into)
            },
        );
        self.port.set_requests(tag, take);
        self
    }

    /// Like [`Port::answer_async`], with the state.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = aemp::Node::local();
    /// let port = node.port_with_state(0);
    /// port.answer_async("add", |_, mut sum, (n,): (u32,)| async move {
    ///     tokio::task::yield_now().await;
    ///     *sum += n;
    ///     Ok::<_, &str>(*sum)
    /// });
    /// node.cal::<u32>(&port, &("add", 40), None).await?;
    /// let sum: u32 = node.cal(&port, &("add", 2), None).await?;
    /// assert_eq!(sum, 42);
    /// # Ok(()) }
    /// ```
    pub fn answer_async<A, T, E, Fut, F>(&self, tag: &str, mut code: F) -> &Self
    where
        A: DeserializeOwned + Send + 'static,
        T: Serialize + Send + 'static,
        E: Display + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        F: FnMut(Context, State<S>, A) -> Fut + Send + 'static,
    {
        let take = later(
            &self.state,
            move |context: Context, state, (args, reply): (A, Reply<T>)| {
                let answer = code(context.clone(), state, args);
                async move {
                    let sent = context.answer(&reply, answer.await);
                    sent.map_err(Into::into)
                }
            },
        );
        self.port.set_requests(tag, take);
        self
    }

    /// Like [`Port::serve`], with the state.
    ///
    /// See [`Node::serve_with_state`] for an example.
    pub fn serve<M, R, F>(&self, mut code: F) -> Address<M>
    where
        M: DeserializeOwned + Send + 'static,
        R: IntoOutcome,
        F: FnMut(&Context, &mut S, M) -> R + Send + 'static,
    {
        let code = move |context: &Context, state: &mut S, message| {
            code(context, state, message).into_outcome()
        };
        self.port.set_served(now(&self.state, code))
    }

    /// Like [`Port::serve_async`], with the state.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = aemp::Node::local();
    /// let port = node.port_with_state(0);
    /// let adder = port.serve_async(|cx, mut sum, (n, reply): (u32, aemp::PortId)| async move {
    ///     *sum += n;
    ///     cx.snd(&reply, &(*sum,))
    /// });
    /// assert_eq!(node.cal::<u32>(&adder, &(7,), None).await?, 7);
    /// # Ok(()) }
    /// ```
    pub fn serve_async<M, R, Fut, F>(&self, mut code: F) -> Address<M>
    where
        M: DeserializeOwned + Send + 'static,
        R: IntoOutcome + 'static,
        Fut: Future<Output = R> + Send + 'static,
        F: FnMut(Context, State<S>, M) -> Fut + Send + 'static,
    {
        let code = move |context, state, message| outcome(code(context, state, message));
        self.port.set_served(later(&self.state, code))
    }
}

async fn outcome<R: IntoOutcome>(work: impl Future<Output = R>) -> Handled {
    work.await.into_outcome()
}

impl Port {
    /// The same port, to set handlers on that share this state: see [`Node::port_with_state`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use aemp::{Node, PortId};
    /// let node = Node::local();
    /// node.function("MyApp::counter", |cx, (start,): (u32,)| {
    ///     let counter = cx.this().with_state(start);
    ///     counter.rcv("next", |cx, n, (reply,): (PortId,)| {
    ///         *n += 1;
    ///         cx.snd(&reply, &(*n,))
    ///     });
    /// });
    /// let counter = node.spawn(node.id(), "MyApp::counter", &(40,))?;
    /// assert_eq!(node.cal::<u32>(&counter, &("next",), None).await?, 41);
    /// # Ok(()) }
    /// ```
    pub fn with_state<S: Send + 'static>(&self, state: S) -> StatePort<S> {
        StatePort {
            port: self.clone(),
            state: Arc::new(Mutex::new(state)),
        }
    }
}

impl Node {
    /// Creates a port whose handlers share a state: each is given it, with no lock to be seen, as
    /// the port takes one message after the other. Asynchronous ones are given a [`State`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use aemp::{Node, PortId};
    /// let node = Node::local();
    /// let account = node.port_with_state(0);
    /// account
    ///     .rcv("pay", |_, sum, (n,): (u32,)| *sum += n)
    ///     .rcv("sum", |cx, sum, (reply,): (PortId,)| cx.snd(&reply, &(*sum,)));
    /// node.snd(&account, &("pay", 40))?;
    /// node.snd(&account, &("pay", 2))?;
    /// assert_eq!(node.cal::<u32>(&account, &("sum",), None).await?, 42);
    /// # Ok(()) }
    /// ```
    pub fn port_with_state<S: Send + 'static>(&self, state: S) -> StatePort<S> {
        self.port().with_state(state)
    }

    /// Like [`serve`](Self::serve), with a state that the code is given.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use aemp::{Node, Reply};
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Serialize, Deserialize)]
    /// enum Account {
    ///     Pay(u32),
    ///     Sum(Reply<u32>),
    /// }
    ///
    /// let node = Node::local();
    /// let account = node.serve_with_state(0, |cx, sum, message| match message {
    ///     Account::Pay(n) => Ok(*sum += n),
    ///     Account::Sum(reply) => cx.answer(&reply, Ok::<_, &str>(*sum)),
    /// });
    /// node.snd(&account, &Account::Pay(42))?;
    /// assert_eq!(node.ask(&account, Account::Sum, None).await?, 42);
    /// # Ok(()) }
    /// ```
    pub fn serve_with_state<S, M, R, F>(&self, state: S, code: F) -> Address<M>
    where
        S: Send + 'static,
        M: DeserializeOwned + Send + 'static,
        R: IntoOutcome,
        F: FnMut(&Context, &mut S, M) -> R + Send + 'static,
    {
        self.port_with_state(state).serve(code)
    }
}
