//! What port code is given: who it is, and every verb.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::code::{Outcome, guarded};
use super::port::PortCell;
use super::{Inner, IntoOutcome, Monitor, Node, Port, SendError};
use crate::proto::{NodeId, PortId, Reason};

/// The port that code runs for. Perl has it as `$SELF`.
///
/// It dereferences to the [`Node`], so all verbs can be called on it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use aemp::{Node, PortId};
/// let node = Node::local();
/// let port = node.port();
/// port.rcv("who", |cx, (reply,): (PortId,)| cx.snd(&reply, &(cx.id(),)));
/// let who: PortId = node.cal(&port, &("who",), None).await?;
/// assert_eq!(&who, port.id());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Context {
    node: Node,
    port: For,
    /// Who asked for this code to be run, if that was a request.
    source: Option<NodeId>,
}

/// Whom code runs for.
#[derive(Clone, Debug)]
enum For {
    Cell(Arc<PortCell>),
    /// The node port, which is no cell, or a port that may be dead.
    Id(PortId),
}

impl std::ops::Deref for Context {
    type Target = Node;
    fn deref(&self) -> &Node {
        &self.node
    }
}

impl Context {
    pub(crate) fn new(node: &Arc<Inner>, port: PortId) -> Self {
        Context {
            node: Node::from_inner(node.clone()),
            port: For::Id(port),
            source: None,
        }
    }

    pub(crate) fn of(node: &Arc<Inner>, cell: Arc<PortCell>) -> Self {
        Context {
            node: Node::from_inner(node.clone()),
            port: For::Cell(cell),
            source: None,
        }
    }

    /// The same for code that a node asked for.
    pub(crate) fn asked_by(mut self, source: NodeId) -> Self {
        self.source = Some(source);
        self
    }

    /// The port, if it was made of a cell.
    #[inline]
    pub(super) fn cell(&self) -> Option<&Arc<PortCell>> {
        match &self.port {
            For::Cell(cell) => Some(cell),
            For::Id(_) => None,
        }
    }

    /// Exchanges the port for another, of the same node. Neither is counted anew.
    #[inline]
    pub(super) fn swap(&mut self, cell: &mut Arc<PortCell>) {
        if let For::Cell(own) = &mut self.port {
            std::mem::swap(own, cell);
        }
    }

    /// The node that the port lives on.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let node = aemp::Node::local();
    /// let mut kept = None;
    /// node.port().peval(|cx| kept = Some(cx.node().clone()));
    /// assert_eq!(kept.unwrap().id(), node.id());
    /// # }
    /// ```
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The node that asked for a function to be called or spawned, while that function runs. Perl
    /// has it as `$SRCNODE`. If another node had this one send itself the request, it is that other
    /// node; if the program did, its own.
    ///
    /// `None` in all other code: a message does not say which node it is from.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use aemp::{Node, PortId};
    /// let node = Node::local();
    /// node.function("MyApp::who", |cx, (reply,): (PortId,)| cx.snd(&reply, &(cx.source(),)));
    /// let asked: Option<aemp::NodeId> = node.cal(node.id(), &("MyApp::who",), None).await?;
    /// assert_eq!(asked.as_ref(), Some(node.id()));
    /// # Ok(()) }
    /// ```
    pub fn source(&self) -> Option<&NodeId> {
        self.source.as_ref()
    }

    /// The ID of the port that the code runs for.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let node = aemp::Node::local();
    /// let port = node.port();
    /// let mut own = None;
    /// port.peval(|cx| own = Some(cx.id().clone()));
    /// assert_eq!(own.as_ref(), Some(port.id()));
    /// # }
    /// ```
    pub fn id(&self) -> &PortId {
        match &self.port {
            For::Cell(cell) => &cell.id,
            For::Id(id) => id,
        }
    }

    /// The port that the code runs for, to set handlers on. (In a function that another node called
    /// as a request, this is the node port, which takes no handlers.)
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use aemp::{Node, PortId};
    /// let node = Node::local();
    /// let port = node.port();
    /// port.rcv("open", |cx, (): ()| {
    ///     let add = |cx: &aemp::Context, (a, b, reply): (u32, u32, PortId)| cx.snd(&reply, &(a + b,));
    ///     cx.this().unrcv("open").rcv("add", add);
    /// });
    /// node.snd(&port, &("open",))?;
    /// let sum: u32 = node.cal(&port, &("add", 1, 2), None).await?;
    /// assert_eq!(sum, 3);
    /// # Ok(()) }
    /// ```
    pub fn this(&self) -> Port {
        Port::new(self.node.inner().clone(), self.id().clone())
    }

    /// Kills this port normally.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = aemp::Node::local();
    /// let port = node.port();
    /// port.rcv("stop", |cx, (): ()| cx.end());
    /// let (died, reason) = tokio::sync::oneshot::channel();
    /// node.mon(&port, |reason| drop(died.send(reason)));
    /// node.snd(&port, &("stop",))?;
    /// assert!(reason.await?.is_normal());
    /// # Ok(()) }
    /// ```
    pub fn end(&self) {
        self.node.inner().kil(self.id(), Reason::normal());
    }

    /// Kills this port with a reason.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use aemp::{Node, Reason};
    /// let node = Node::local();
    /// let port = node.port();
    /// port.rcv("stop", |cx, (why,): (String,)| cx.fail(Reason::new(["stopped", &why])));
    /// let (died, reason) = tokio::sync::oneshot::channel();
    /// node.mon(&port, |reason| drop(died.send(reason)));
    /// node.snd(&port, &("stop", "enough"))?;
    /// assert_eq!(reason.await?.to_string(), "stopped enough");
    /// # Ok(()) }
    /// ```
    pub fn fail(&self, reason: impl Into<Reason>) {
        self.node.inner().kil(self.id(), reason.into());
    }

    /// Kills this port with the same reason when `port` dies of one (Perl's `mon $port`).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use aemp::{Node, Reason};
    /// let node = Node::local();
    /// let (port, worker) = (node.port(), node.port());
    /// port.peval(|cx| drop(cx.link(&worker)));
    /// let (died, reason) = tokio::sync::oneshot::channel();
    /// node.mon(&port, |reason| drop(died.send(reason)));
    /// worker.kil(Reason::die("oops"));
    /// assert_eq!(reason.await?, Reason::die("oops"));
    /// # Ok(()) }
    /// ```
    pub fn link(&self, port: impl Into<PortId>) -> Monitor {
        self.node.mon_kil(port, self.id())
    }

    /// Sends a message when `port` dies: this port gets `args` and the reason behind them.
    ///
    /// # Errors
    ///
    /// [`SendError`] if `args` is no message.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use aemp::{Node, Reason};
    /// let node = Node::local();
    /// let (port, worker) = (node.port(), node.port());
    /// let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    /// port.rcv_message("gone", move |_, message| drop(tell.send(message.to_json().into_owned())));
    /// port.peval(|cx| cx.mon_snd_self(&worker, &("gone", 7)).map(drop));
    /// worker.kil(Reason::die("oops"));
    /// assert_eq!(told.recv().await.unwrap(), r#"[7,"die","oops"]"#);
    /// # Ok(()) }
    /// ```
    pub fn mon_snd_self<T: Serialize + ?Sized>(
        &self,
        port: impl Into<PortId>,
        args: &T,
    ) -> Result<Monitor, SendError> {
        self.node.mon_snd(port, self.id(), args)
    }

    /// Runs code for this port after a time, unless the port is dead by then. If the code fails,
    /// this port dies.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// let node = aemp::Node::local();
    /// let port = node.port();
    /// let (died, reason) = tokio::sync::oneshot::channel();
    /// node.mon(&port, |reason| drop(died.send(reason)));
    /// port.peval(|cx| cx.after(Duration::from_millis(1), |_| Err::<(), _>("too late")));
    /// assert_eq!(reason.await?.to_string(), "die too late");
    /// # Ok(()) }
    /// ```
    pub fn after<R: IntoOutcome>(
        &self,
        delay: Duration,
        code: impl FnOnce(&Context) -> R + Send + 'static,
    ) {
        let context = self.clone();
        self.node.inner().spawn_task(async move {
            tokio::time::sleep(delay).await;
            context.peval(code);
        });
    }

    /// Makes a closure of code that runs for this port, whoever calls it: if it fails, this port
    /// dies.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = aemp::Node::local();
    /// let port = node.port();
    /// let (died, reason) = tokio::sync::oneshot::channel();
    /// node.mon(&port, |reason| drop(died.send(reason)));
    /// port.peval(|cx| drop(std::thread::spawn(cx.psub(|_| Err::<(), _>("oops")))));
    /// assert_eq!(reason.await?.to_string(), "die oops");
    /// # Ok(()) }
    /// ```
    pub fn psub<R: IntoOutcome>(
        &self,
        mut code: impl FnMut(&Context) -> R + Send + 'static,
    ) -> impl FnMut() + Send + 'static {
        let context = self.clone();
        move || context.peval(&mut code)
    }

    /// Runs code for this port, now and here: if it fails, this port dies. Nothing happens if the
    /// port is dead.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let node = aemp::Node::local();
    /// let port = node.port();
    /// let read = |text: &'static str| move |_: &aemp::Context| text.parse::<u32>().map(drop);
    /// port.peval(|cx| cx.peval(read("7")));
    /// assert!(port.is_alive());
    /// port.peval(|cx| cx.peval(read("seven")));
    /// assert!(!port.is_alive());
    /// # }
    /// ```
    pub fn peval<R: IntoOutcome>(&self, code: impl FnOnce(&Context) -> R) {
        let node = self.node.inner();
        if !node.port_exists(self.id()) {
            return;
        }
        let outcome = guarded(|| Outcome::Done(code(self).into_outcome()));
        if let Outcome::Done(Err(failure)) = outcome {
            node.kil(self.id(), failure.into());
        }
    }
}
