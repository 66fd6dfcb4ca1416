//! The walk from node to node.
//!
//! Nodes of generations 0 and 1, and those of this crate, are asked for it by a request. Perl's of
//! generation 2 have none, so they are asked to evaluate an expression. What they refuse
//! (`secure`) can't be had; then the database at least tells which nodes there are.

use std::collections::BTreeSet;
use std::time::Duration;

use aemp::{Mailbox, Node, NodeId};
use serde_json::Value;
use tokio::time::{Instant, timeout};

use super::graph::Graph;
use crate::Failure;
use crate::ask::unreached;
use crate::output;
use crate::settings::as_perl_shows;

/// How long all of it may take.
const LIMIT: Duration = Duration::from_secs(15);

/// The family of the database whose keys are the nodes that listen.
const LISTENERS: &str = "'l";

/// What a node of Perl's generation 2 evaluates.
const EXPRESSION: &str = "AnyEvent::MP::Kernel::up_nodes ()";

/// The walk from node to node.
pub(super) struct Walk {
    /// What was found so far.
    pub(super) graph: Graph,
    node: Node,
    /// Each node is a line of text as soon as it has told.
    is_text: bool,
    begun: Instant,
    inbox: Mailbox,
    /// Who was met.
    met: BTreeSet<NodeId>,
    /// Who has not answered yet.
    open: BTreeSet<NodeId>,
    /// No node has answered yet.
    silent: bool,
    /// The database was asked which nodes there are.
    listed: bool,
}

impl Walk {
    pub(super) fn new(node: &Node, is_text: bool) -> Self {
        Walk {
            graph: Graph::default(),
            inbox: node.mailbox(),
            met: BTreeSet::from([node.id().clone()]),
            node: node.clone(),
            is_text,
            begun: Instant::now(),
            open: BTreeSet::new(),
            silent: true,
            listed: false,
        }
    }

    /// Goes to all nodes that can be found from the first on.
    pub(super) async fn walk(&mut self, first: NodeId) -> Result<(), Failure> {
        self.line("seed", [&first])?;
        self.meet(first.clone())?;
        let walked = timeout(LIMIT, self.go()).await;
        walked.unwrap_or_else(|_| {
            // If nobody has answered there is nothing to show.
            for late in self.open.iter().filter(|_| !self.silent) {
                self.graph.met(late).lost = Some(format!("no answer within {LIMIT:?}"));
            }
            let failure = format!("{first}: no answer from all nodes within {LIMIT:?}");
            Err(unreached(&self.node, failure))
        })
    }

    /// Writes a node and those that it is connected to.
    fn line<'a>(
        &self,
        of: &str,
        others: impl IntoIterator<Item = &'a NodeId>,
    ) -> Result<(), Failure> {
        if !self.is_text {
            return Ok(());
        }
        let mut line = as_perl_shows(of);
        for other in others {
            line.push(' ');
            line.push_str(&as_perl_shows(other.as_str()));
        }
        if output::is_verbose() {
            line = format!("{:.3} s: {line}", self.seconds());
        }
        Ok(output::line(line)?)
    }

    fn seconds(&self) -> f64 {
        self.begun.elapsed().as_secs_f64()
    }

    /// Looks at a node, if it was not met before: at first, whether it is there.
    fn meet(&mut self, other: NodeId) -> Result<(), Failure> {
        if !self.met.insert(other.clone()) {
            return Ok(());
        }
        self.open.insert(other.clone());
        let inbox = self.inbox.id();
        self.node.mon_snd(&other, inbox, &("lost", &other))?;
        // Every node sends this back, and when it comes it is known what sort of node that is.
        self.node.snd_on(&other, inbox, &("there", &other))?;
        Ok(())
    }

    /// Asks it for those that it is connected to.
    fn ask(&self, other: &NodeId) -> Result<(), Failure> {
        let (link, inbox) = (self.node.link_stats(other), self.inbox.id());
        let evaluates = link.is_some_and(|link| {
            let provider = link.provider.as_deref().unwrap_or_default();
            link.generation == "2" && provider.starts_with("AE-")
        });
        match evaluates {
            false => self.node.snd(other, &("up_nodes", inbox, "up", other))?,
            true => {
                let question = ("eval", EXPRESSION, inbox, "evaluated", other);
                self.node.snd(other, &question)?;
                // Who evaluates nothing does not say so either. This comes back behind the answer.
                self.node.snd_on(other, inbox, &("over", other))?;
            }
        }
        Ok(())
    }

    async fn go(&mut self) -> Result<(), Failure> {
        while !self.open.is_empty() {
            let message = self.inbox.recv().await?;
            let mut values = message.without_tag().values().into_iter();
            let text = |value: Option<Value>| match value {
                Some(Value::String(text)) => text,
                _ => String::new(),
            };
            let of = NodeId::new(text(values.next()));
            match message.tag().as_deref() {
                Some("there") if self.open.contains(&of) => {
                    self.silent = false;
                    self.ask(&of)?;
                }
                Some("up") => self.answered(&of, values)?,
                Some("evaluated") if text(values.next()).is_empty() => {
                    self.answered(&of, values)?;
                }
                // It can't be told whom the node is connected to.
                Some("over") if self.open.remove(&of) => {
                    self.graph.met(&of).seconds = self.seconds();
                    self.line(of.as_str(), [&NodeId::new("?")])?;
                    self.list().await?;
                }
                Some("lost") => {
                    let is_new = self.open.remove(&of);
                    let why: Vec<String> = values.map(|value| text(Some(value))).collect();
                    let why = why.join(" ");
                    // Nothing was said of any node: this is the one that was asked for.
                    if self.silent {
                        return Err(format!("{of}: {why}").into());
                    }
                    if is_new {
                        self.graph.met(&of).seconds = self.seconds();
                        self.graph.met(&of).lost = Some(why);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// A node has said whom it is connected to.
    fn answered(
        &mut self,
        of: &NodeId,
        others: impl Iterator<Item = Value>,
    ) -> Result<(), Failure> {
        if !self.open.remove(of) {
            return Ok(());
        }
        let name = |value: Value| value.as_str().map(NodeId::new);
        let mut others: Vec<NodeId> = others.filter_map(name).collect();
        others.retain(|other| other != self.node.id());
        others.sort_unstable();
        self.graph.told(of, &others);
        self.graph.met(of).seconds = self.seconds();
        self.line(of.as_str(), &others)?;
        others.into_iter().try_for_each(|other| self.meet(other))
    }

    /// Looks at all nodes that the database knows.
    async fn list(&mut self) -> Result<(), Failure> {
        if std::mem::replace(&mut self.listed, true) {
            return Ok(());
        }
        let known = self.node.db_keys(LISTENERS).await.unwrap_or_default();
        known
            .into_iter()
            .try_for_each(|id| self.meet(NodeId::new(id)))
    }
}
