//! What port code is given: who it is, and every verb.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::port::{Outcome, guarded};
use super::{Inner, IntoOutcome, Monitor, Node, Port, SendError};
use crate::proto::{PortId, Reason};

/// The port that code runs for. Perl has it as `$SELF`.
///
/// It dereferences to the [`Node`], so all verbs can be called on it.
#[derive(Clone, Debug)]
pub struct Context {
    node: Node,
    port: PortId,
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
            port,
        }
    }

    /// The node that the port lives on.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The ID of the port that the code runs for.
    pub fn id(&self) -> &PortId {
        &self.port
    }

    /// The port that the code runs for, to set handlers on. (In a function that another node called
    /// as a request, this is the node port, which takes no handlers.)
    pub fn this(&self) -> Port {
        Port::new(self.node.inner().clone(), self.port.clone())
    }

    /// Kills this port normally.
    pub fn end(&self) {
        self.node.inner().kil(&self.port, Reason::normal());
    }

    /// Kills this port with a reason.
    pub fn fail(&self, reason: impl Into<Reason>) {
        self.node.inner().kil(&self.port, reason.into());
    }

    /// Kills this port with the same reason when `port` dies of one (Perl's `mon $port`).
    pub fn link(&self, port: impl Into<PortId>) -> Monitor {
        self.node.mon_kil(port, &self.port)
    }

    /// Sends a message when `port` dies: this port gets `args` and the reason behind them.
    ///
    /// # Errors
    ///
    /// [`SendError`] if `args` is no message.
    pub fn mon_snd_self<T: Serialize + ?Sized>(
        &self,
        port: impl Into<PortId>,
        args: &T,
    ) -> Result<Monitor, SendError> {
        self.node.mon_snd(port, &self.port, args)
    }

    /// Runs code for this port after a time, unless the port is dead by then. If the code fails,
    /// this port dies.
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
    pub fn psub<R: IntoOutcome>(
        &self,
        mut code: impl FnMut(&Context) -> R + Send + 'static,
    ) -> impl FnMut() + Send + 'static {
        let context = self.clone();
        move || context.peval(&mut code)
    }

    /// Runs code for this port, now and here: if it fails, this port dies. Nothing happens if the
    /// port is dead.
    pub fn peval<R: IntoOutcome>(&self, code: impl FnOnce(&Context) -> R) {
        let node = self.node.inner();
        if !node.port_exists(&self.port) {
            return;
        }
        let outcome = guarded(|| Outcome::Done(code(self).into_outcome()));
        if let Outcome::Done(Err(text)) = outcome {
            node.kil(&self.port, Reason::die(text));
        }
    }
}
