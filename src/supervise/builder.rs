//! Configuring a supervisor.

use std::collections::HashMap;
use std::sync::Arc;

use super::core::Core;
use super::shell::Shell;
use super::table::{Entry, Shared, Table};
use super::{Backoff, Child, Intensity, Strategy, SuperviseError, Supervisor};
use crate::log::log_at;
use crate::node::{Context, Node};

/// Configures a [`Supervisor`].
///
/// Clones are configurations of their own; each [`start`](Self::start) makes another supervisor.
#[derive(Debug, Clone)]
pub struct Builder {
    name: Arc<str>,
    strategy: Strategy,
    intensity: Intensity,
    backoff: Backoff,
    children: Vec<Child>,
}

impl Supervisor {
    /// Starts to configure a supervisor. The name is for log lines and, where it is a child itself,
    /// for its own supervisor.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use aemp::{Node, Supervisor, supervise::Child};
    /// let node = Node::local();
    /// let supervisor = Supervisor::builder("main")
    ///     .rest_for_one()
    ///     .child(Child::local("store", |cx| cx.port_with(|_, _| {})))
    ///     .child(Child::local("cache", |cx| cx.port_with(|_, _| {})))
    ///     .start(&node)?;
    /// supervisor.ready().await?;
    /// # Ok(()) }
    /// ```
    pub fn builder(name: impl Into<Arc<str>>) -> Builder {
        Builder {
            name: name.into(),
            strategy: Strategy::default(),
            intensity: Intensity::default(),
            backoff: Backoff::default(),
            children: Vec::new(),
        }
    }
}

impl Builder {
    pub(super) fn name(&self) -> Arc<str> {
        self.name.clone()
    }

    /// Which children share a fate; [`Strategy::OneForOne`], unless set.
    ///
    /// ```
    /// use aemp::supervise::{Strategy, Supervisor};
    /// let builder = Supervisor::builder("main").strategy(Strategy::OneForAll);
    /// # let _ = builder;
    /// ```
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// Short for [`Strategy::OneForOne`].
    ///
    /// ```
    /// let builder = aemp::Supervisor::builder("main").one_for_one();
    /// # let _ = builder;
    /// ```
    pub fn one_for_one(self) -> Self {
        self.strategy(Strategy::OneForOne)
    }

    /// Short for [`Strategy::OneForAll`].
    ///
    /// ```
    /// let builder = aemp::Supervisor::builder("main").one_for_all();
    /// # let _ = builder;
    /// ```
    pub fn one_for_all(self) -> Self {
        self.strategy(Strategy::OneForAll)
    }

    /// Short for [`Strategy::RestForOne`].
    ///
    /// ```
    /// let builder = aemp::Supervisor::builder("main").rest_for_one();
    /// # let _ = builder;
    /// ```
    pub fn rest_for_one(self) -> Self {
        self.strategy(Strategy::RestForOne)
    }

    /// How many restarts are too many; three within five seconds are tolerated, unless set.
    ///
    /// ```
    /// use std::time::Duration;
    /// use aemp::supervise::{Intensity, Supervisor};
    /// let builder = Supervisor::builder("main").intensity(Intensity::new(5, Duration::from_secs(60)));
    /// # let _ = builder;
    /// ```
    pub fn intensity(mut self, intensity: Intensity) -> Self {
        self.intensity = intensity;
        self
    }

    /// How long to wait before a restart, for children that do not have their own; see
    /// [`Backoff::default`].
    ///
    /// ```
    /// use aemp::supervise::{Backoff, Supervisor};
    /// let builder = Supervisor::builder("main").backoff(Backoff::none());
    /// # let _ = builder;
    /// ```
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Adds a child behind the others.
    ///
    /// ```
    /// use aemp::supervise::{Child, Supervisor};
    /// let echo = Child::local("echo", |cx| cx.port_with(|_, _| {}));
    /// let builder = Supervisor::builder("main").child(echo);
    /// # let _ = builder;
    /// ```
    pub fn child(mut self, child: Child) -> Self {
        self.children.push(child);
        self
    }

    /// Creates the supervisor's port on the node and sets out to start the children, in their
    /// order. Returns at once: see [`Supervisor::ready`]. A [`Context`](crate::Context) will do for
    /// the node.
    ///
    /// # Errors
    ///
    /// [`SuperviseError::Duplicate`]: two children have the same name.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use aemp::{Node, Supervisor, supervise::{Child, SuperviseError}};
    /// let child = || Child::local("twin", |cx| cx.port_with(|_, _| {}));
    /// let twins = Supervisor::builder("main").child(child()).child(child());
    /// let refused = twins.start(&Node::local());
    /// assert!(matches!(refused, Err(SuperviseError::Duplicate(name)) if &*name == "twin"));
    /// # }
    /// ```
    pub fn start(self, node: &Node) -> Result<Supervisor, SuperviseError> {
        let mut table = Table {
            core: Core::new(self.strategy, self.intensity),
            entries: HashMap::new(),
            names: HashMap::new(),
            backoff: self.backoff,
        };
        for child in self.children {
            table.add(Entry::new(child))?;
        }
        // The supervisor does not keep its node running.
        let node = Node::from_inner(node.inner().clone());
        let name = self.name.clone();
        let port = node.port_with(move |context, message| {
            let port = context.id();
            log_at!(
                8,
                "supervisor {name} ({port}) takes no messages, such as {message:?}"
            );
        });
        let (commands, received) = tokio::sync::mpsc::channel(COMMANDS);
        let shared = Arc::new(Shared::new(
            self.name,
            port.id().clone(),
            node,
            table,
            commands,
        ));
        Shell::spawn(shared.clone(), received, self.intensity);
        Ok(Supervisor { shared })
    }
}

/// How many commands wait until the program has to.
const COMMANDS: usize = 16;

impl Child {
    /// A supervisor as a child. Its end is waited for until its own children have ended, without
    /// a limit of time, as each of them has its own.
    ///
    /// ```
    /// use aemp::supervise::{Child, Supervisor};
    /// let workers = Supervisor::builder("workers")
    ///     .one_for_all()
    ///     .child(Child::local("a", |cx| cx.port_with(|_, _| {})));
    /// let main = Supervisor::builder("main").child(Child::supervisor(workers));
    /// # let _ = main;
    /// ```
    pub fn supervisor(builder: Builder) -> Self {
        let name = builder.name();
        let start = move |context: &Context| builder.clone().start(context);
        Child::local(name, start).stop_limit(None)
    }
}
