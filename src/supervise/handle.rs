//! The handle of a supervisor.

use std::sync::Arc;

use tokio::sync::{broadcast, oneshot};

use super::child::{ChildPort, IntoChildPort};
use super::table::{Command, Reply, Shared};
use super::{Child, ChildInfo, SuperviseError, SupervisorEvents};
use crate::node::Destination;
use crate::proto::{PortId, Reason};

/// A running supervisor: see [the module](super).
///
/// This is a handle: clones are the same supervisor. It runs until its port is killed, it gives up,
/// or the node stops, whatever becomes of the handles.
#[derive(Clone)]
pub struct Supervisor {
    pub(super) shared: Arc<Shared>,
}

impl Supervisor {
    /// The ID of its port, to monitor, link to or kill.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use aemp::{Node, Reason, Supervisor};
    /// let node = Node::local();
    /// let supervisor = Supervisor::builder("main").start(&node)?;
    /// node.kil(supervisor.id(), Reason::new(["enough"]));
    /// assert_eq!(supervisor.ended().await, Reason::new(["enough"]));
    /// # Ok(()) }
    /// ```
    pub fn id(&self) -> &PortId {
        &self.shared.port
    }

    /// Its name.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use aemp::{Node, Supervisor};
    /// assert_eq!(Supervisor::builder("main").start(&Node::local())?.name(), "main");
    /// # Ok(()) }
    /// ```
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// The children as they are now, in their order.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use aemp::{Node, Supervisor, supervise::{Child, ChildState}};
    /// let node = Node::local();
    /// let child = Child::local("a", |cx| cx.port_with(|_, _| {}));
    /// let supervisor = Supervisor::builder("main").child(child).start(&node)?;
    /// supervisor.ready().await?;
    /// let children = supervisor.children();
    /// assert_eq!((&*children[0].name, children[0].state), ("a", ChildState::Running));
    /// # Ok(()) }
    /// ```
    pub fn children(&self) -> Vec<ChildInfo> {
        let table = self.shared.table.lock();
        let slots = table.core.slots().iter();
        slots.filter_map(|slot| table.info(slot.key)).collect()
    }

    /// One child as it is now, by its name.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use aemp::{Node, Supervisor};
    /// assert!(Supervisor::builder("main").start(&Node::local())?.child("a").is_none());
    /// # Ok(()) }
    /// ```
    pub fn child(&self, name: &str) -> Option<ChildInfo> {
        let table = self.shared.table.lock();
        table.info(*table.names.get(name)?)
    }

    /// Adds a child behind the others and starts it. Returns the ID of its port when it has
    /// started, which may take as long as a remote child waits for a node. If the future is dropped
    /// the child is added all the same.
    ///
    /// # Errors
    ///
    /// [`SuperviseError`]: `Duplicate`, `Ended`, or `NotStarted` when the start fails, upon which
    /// the child is dealt with as after any death.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use aemp::{Node, Supervisor, supervise::Child};
    /// let node = Node::local();
    /// let supervisor = Supervisor::builder("main").start(&node)?;
    /// let port = supervisor.add(Child::local("a", |cx| cx.port_with(|_, _| {}))).await?;
    /// assert_eq!(supervisor.child("a").unwrap().port, Some(port));
    /// # Ok(()) }
    /// ```
    pub async fn add(&self, child: Child) -> Result<PortId, SuperviseError> {
        self.ask(|reply| Command::Add(Box::new(child), reply)).await
    }

    /// Starts a child, after stopping it if it runs: that counts as no restart, and resets its
    /// backoff. Its siblings are left alone, whatever the strategy. Returns the ID of its new port.
    ///
    /// # Errors
    ///
    /// [`SuperviseError`]: `Unknown`, `Ended`, or `NotStarted`.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use aemp::{Node, Supervisor, supervise::Child};
    /// let node = Node::local();
    /// let supervisor = Supervisor::builder("main").start(&node)?;
    /// let before = supervisor.add(Child::local("a", |cx| cx.port_with(|_, _| {}))).await?;
    /// let after = supervisor.restart("a").await?;
    /// assert_ne!(before, after);
    /// # Ok(()) }
    /// ```
    pub async fn restart(&self, name: &str) -> Result<PortId, SuperviseError> {
        self.ask(|reply| Command::Restart(name.into(), reply)).await
    }

    /// Stops a child with the reason `shutdown`, and waits for its end. It stays in the list and
    /// can be started with [`restart`](Self::restart).
    ///
    /// # Errors
    ///
    /// [`SuperviseError`]: `Unknown` or `Ended`.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use aemp::{Node, Supervisor, supervise::{Child, ChildState}};
    /// let node = Node::local();
    /// let supervisor = Supervisor::builder("main").start(&node)?;
    /// supervisor.add(Child::local("a", |cx| cx.port_with(|_, _| {}))).await?;
    /// supervisor.terminate("a").await?;
    /// assert_eq!(supervisor.child("a").unwrap().state, ChildState::Ended);
    /// # Ok(()) }
    /// ```
    pub async fn terminate(&self, name: &str) -> Result<(), SuperviseError> {
        self.ask(|reply| Command::Terminate(name.into(), reply))
            .await
    }

    /// Like [`terminate`](Self::terminate), and the child is forgotten.
    ///
    /// # Errors
    ///
    /// [`SuperviseError`]: `Unknown` or `Ended`.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use aemp::{Node, Supervisor, supervise::Child};
    /// let node = Node::local();
    /// let supervisor = Supervisor::builder("main").start(&node)?;
    /// supervisor.add(Child::local("a", |cx| cx.port_with(|_, _| {}))).await?;
    /// supervisor.remove("a").await?;
    /// assert!(supervisor.children().is_empty());
    /// # Ok(()) }
    /// ```
    pub async fn remove(&self, name: &str) -> Result<(), SuperviseError> {
        self.ask(|reply| Command::Remove(name.into(), reply)).await
    }

    /// Waits until all children run that should. One that waits for a node or for its restart does
    /// not run.
    ///
    /// # Errors
    ///
    /// [`SuperviseError::Ended`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use aemp::{Node, Supervisor};
    /// let node = Node::local();
    /// Supervisor::builder("no children").start(&node)?.ready().await?;
    /// # Ok(()) }
    /// ```
    pub async fn ready(&self) -> Result<(), SuperviseError> {
        self.wait(|| self.shared.table.lock().is_ready()).await
    }

    /// Waits until the children are as `wanted` says.
    ///
    /// # Errors
    ///
    /// [`SuperviseError::Ended`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use aemp::{Node, Supervisor, supervise::Child};
    /// let node = Node::local();
    /// let supervisor = Supervisor::builder("main").start(&node)?;
    /// let port = supervisor.add(Child::local("a", |cx| cx.port_with(|_, _| {}))).await?;
    /// node.kil(port, aemp::Reason::die("oops"));
    /// supervisor.wait_for(|children| children[0].restarts == 1).await?;
    /// # Ok(()) }
    /// ```
    pub async fn wait_for(
        &self,
        mut wanted: impl FnMut(&[ChildInfo]) -> bool,
    ) -> Result<(), SuperviseError> {
        self.wait(|| wanted(&self.children())).await
    }

    /// Waits until the supervisor has ended and all its children are stopped. Returns the reason.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use aemp::{Node, Supervisor, supervise::{Backoff, Child, Intensity}};
    /// # use std::time::Duration;
    /// let node = Node::local();
    /// let supervisor = Supervisor::builder("main")
    ///     .intensity(Intensity::new(3, Duration::from_secs(5)))
    ///     .backoff(Backoff::none())
    ///     .child(Child::local("bad", |_| Err::<aemp::Port, _>("oops")))
    ///     .start(&node)?;
    /// assert_eq!(
    ///     supervisor.ended().await.to_string(),
    ///     "supervisor gave up: child bad was restarted 3 times within 5 s, last reason: die oops",
    /// );
    /// # Ok(()) }
    /// ```
    pub async fn ended(&self) -> Reason {
        let mut changed = self.shared.changed.subscribe();
        match changed.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            Err(_) => Reason::normal(),
        }
    }

    /// Kills the supervisor's port, as anybody can, and waits until all its children are stopped
    /// with the same reason.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use aemp::{Node, Reason, Supervisor};
    /// let node = Node::local();
    /// Supervisor::builder("main").start(&node)?.stop(Reason::normal()).await;
    /// # Ok(()) }
    /// ```
    pub async fn stop(&self, reason: impl Into<Reason>) {
        self.shared.node.kil(self.id(), reason);
        self.ended().await;
    }

    /// Follows what it does, from now on.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use aemp::{Node, Reason, Supervisor, supervise::SupervisorEvent};
    /// let supervisor = Supervisor::builder("main").start(&Node::local())?;
    /// let mut events = supervisor.events();
    /// supervisor.stop(Reason::normal()).await;
    /// assert_eq!(events.next().await, Some(SupervisorEvent::Stopped { reason: Reason::normal() }));
    /// assert_eq!(events.next().await, None);
    /// # Ok(()) }
    /// ```
    pub fn events(&self) -> SupervisorEvents {
        SupervisorEvents::new(match &*self.shared.events.lock() {
            Some(events) => events.subscribe(),
            None => broadcast::channel(1).1,
        })
    }

    async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, SuperviseError> {
        let (reply, answer) = oneshot::channel();
        let sent = self.shared.commands.send(command(reply)).await;
        sent.map_err(|_| SuperviseError::Ended)?;
        answer.await.unwrap_or(Err(SuperviseError::Ended))
    }

    async fn wait(&self, mut done: impl FnMut() -> bool) -> Result<(), SuperviseError> {
        let mut changed = self.shared.changed.subscribe();
        loop {
            let ended = changed.borrow_and_update().is_some();
            if done() {
                return Ok(());
            }
            if ended || changed.changed().await.is_err() {
                return Err(SuperviseError::Ended);
            }
        }
    }
}

impl std::fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Supervisor({}, {})", self.shared.name, self.shared.port)
    }
}

impl From<&Supervisor> for PortId {
    fn from(supervisor: &Supervisor) -> Self {
        supervisor.id().clone()
    }
}

impl<T: ?Sized> Destination<T> for &Supervisor {
    fn into_port(self) -> PortId {
        self.into()
    }
}

impl IntoChildPort for Supervisor {
    fn into_child_port(self) -> Result<ChildPort, String> {
        Ok(ChildPort {
            port: self.id().clone(),
            end: Some(Box::pin(async move { self.ended().await })),
        })
    }
}
