//! Catches the lines of a whole network.

use std::collections::{HashMap, HashSet, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_core::Stream;
use serde::de::IgnoredAny;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::CONNECT;
use crate::node::{DbChanges, Node, NodeEvent, Port};
use crate::proto::generation::Generations;
use crate::proto::message::{Num, Text};
use crate::proto::{Generation, Message, NodeId, Reason};

/// So many lines may wait to be read.
const MOST_WAITING: usize = 4096;

/// The family of the database that has all nodes of generation 2 as its keys.
const NODES: &str = "'l";

/// A log line of another node.
///
/// See [`Node::catch_logs`] for an example.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct LogLine {
    /// The node.
    pub node: NodeId,
    /// When it logged the line, by its own clock. Nodes before generation 2 do not say.
    pub time: Option<SystemTime>,
    /// Where in the program the line comes from: with Perl nodes, its package. Nodes before
    /// generation 2 do not say.
    pub context: Option<String>,
    /// How important it is, as the node has it: the less, the more. What the numbers mean is told
    /// at [`Node::catch_logs`].
    pub level: u8,
    /// What it says, without a line end. The node chooses every character of it: see
    /// [`printable`](crate::log::printable).
    pub text: String,
}

/// The log lines of all other nodes, as they come. A [`Stream`] of them, too. Dropping it ends
/// that.
///
/// See [`Node::catch_logs`] for an example.
#[derive(Debug)]
pub struct LogLines {
    lines: mpsc::Receiver<LogLine>,
    lost: Arc<AtomicU64>,
    _stop: DropGuard,
}

impl LogLines {
    /// The next line. `None` when the node has stopped.
    ///
    /// See [`Node::catch_logs`] for an example.
    pub async fn next(&mut self) -> Option<LogLine> {
        self.lines.recv().await
    }

    /// How many lines were lost since this was asked last, as nobody has read those before them:
    /// 4,096 may wait.
    ///
    /// See [`Node::catch_logs`] for an example.
    pub fn lost(&self) -> u64 {
        self.lost.swap(0, Ordering::Relaxed)
    }
}

impl Stream for LogLines {
    type Item = LogLine;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<LogLine>> {
        self.lines.poll_recv(cx)
    }
}

impl Node {
    /// Catches the log lines of all other nodes up to a level, as Perl's
    /// `AnyEvent::MP::LogCatcher` does: of those that are connected, of those that come, and of
    /// those that are in the database, which it connects to. Nodes of this crate and Perl nodes
    /// from 1.1 on send theirs, whatever they show themselves; nodes of this crate send all that
    /// their process logs.
    ///
    /// The level is passed on as it is. In nodes of generations 0 and 1 it is 1 for errors, 2 for
    /// warnings, 5 for what may pass by itself, 7 for nodes that come and go, 8 for debugging and 9
    /// for every step. In those of generation 2 it is AnyEvent's: 4 errors, 5 warnings, 6 notes,
    /// 7 to 9 as before.
    ///
    /// Lines that come while a link is lost are lost; nobody waits for who catches them.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let node = |id: &str| aemp::Node::builder().no_rc().nodeid(id).secret("geheim").binds(["127.0.0.1:0"]);
    /// let a = node("a").start().await?;
    /// let b = node("b").seeds(a.listeners()).start().await?;
    /// let mut lines = b.catch_logs(8);
    /// let line = lines.next().await.unwrap();
    /// assert_eq!(line.node, "a");
    /// println!("[{}] <{}> {}", line.node, line.level, aemp::log::printable(&line.text));
    /// assert_eq!(lines.lost(), 0);
    /// # Ok(()) }
    /// ```
    pub fn catch_logs(&self, level: u8) -> LogLines {
        let (queue, lines) = mpsc::channel(MOST_WAITING);
        let (stop, lost) = (CancellationToken::new(), Arc::new(AtomicU64::new(0)));
        let stopped = stop.clone();
        let (gone, goes) = mpsc::unbounded_channel();
        let catcher = Catcher {
            node: Node::from_inner(self.inner().clone()),
            level,
            queue,
            lost: lost.clone(),
            ports: HashMap::new(),
            listed: HashSet::new(),
            again: VecDeque::new(),
            gone,
        };
        self.inner().spawn_task(catcher.run(stopped, goes));
        LogLines {
            lines,
            lost,
            _stop: stop.drop_guard(),
        }
    }
}

/// Who catches the lines of each node.
struct Catcher {
    node: Node,
    level: u8,
    queue: mpsc::Sender<LogLine>,
    lost: Arc<AtomicU64>,
    /// The port that each node sends its lines to.
    ports: HashMap<NodeId, Port>,
    /// The nodes of the database.
    listed: HashSet<NodeId>,
    /// Those of them that are to be tried once more, and when.
    again: VecDeque<(Instant, NodeId)>,
    /// Tells of a node that is lost, or could not be reached.
    gone: mpsc::UnboundedSender<NodeId>,
}

impl Catcher {
    async fn run(mut self, stop: CancellationToken, mut gone: mpsc::UnboundedReceiver<NodeId>) {
        let mut events = self.node.mon_nodes();
        let mut database = None;
        for node in self.node.up_nodes() {
            self.is_up(&node, &mut database);
        }
        if self.node.is_global() || self.speaks_2_only() {
            self.follow(&mut database);
        }
        loop {
            let next = self.again.front().map(|(at, _)| *at);
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                event = events.next() => match event {
                    Some(NodeEvent::Up { node, .. }) => self.is_up(&node, &mut database),
                    Some(NodeEvent::Down { .. }) => {} // the monitor says so, too
                    None => break,
                },
                Some(node) = gone.recv() => self.is_gone(node),
                Some(change) = changes(&mut database) => {
                    let Ok(change) = change else { continue };
                    for node in change.deleted.into_keys().chain(change.unfit_deleted.into_keys()) {
                        self.listed.remove(node.as_str());
                    }
                    for node in change.added.into_keys().chain(change.unfit.into_keys()) {
                        let node = NodeId::new(node);
                        self.listed.insert(node.clone());
                        self.begin(&node);
                    }
                }
                () = tokio::time::sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {
                    if let Some((_, node)) = self.again.pop_front()
                        && self.listed.contains(&node)
                    {
                        self.begin(&node);
                    }
                }
            }
        }
        for port in self.ports.values() {
            port.kil(Reason::normal());
        }
    }

    fn speaks_2_only(&self) -> bool {
        self.node.inner().handshake.generations == Generations::Only(2)
    }

    /// A node is connected.
    fn is_up(&mut self, node: &NodeId, database: &mut Option<DbChanges<IgnoredAny>>) {
        let link = self.node.inner().peers.get(node.as_str());
        let link = link.and_then(|peer| peer.link());
        let Some(link) = link else { return };
        // There is a database, or somebody who leads to it.
        if link.generation() == Generation::Gen2 {
            self.follow(database);
        }
        match link.info.greeting.perl_release() {
            // It would but complain of a function that it does not have.
            Some((0, _) | (1, 0..10)) => {}
            _ => self.begin(node),
        }
    }

    fn follow(&self, database: &mut Option<DbChanges<IgnoredAny>>) {
        database.get_or_insert_with(|| self.node.db_mon(NODES));
    }

    /// Asks a node for its lines, unless it was.
    fn begin(&mut self, node: &NodeId) {
        if node == self.node.id() || self.ports.contains_key(node) {
            return;
        }
        let (queue, lost, from) = (self.queue.clone(), self.lost.clone(), node.clone());
        let port = self.node.port_with(move |_, message| {
            let Some(line) = read(&from, &message) else {
                return;
            };
            if let Err(mpsc::error::TrySendError::Full(_)) = queue.try_send(line) {
                lost.fetch_add(1, Ordering::Relaxed);
            }
        });
        let (gone, whom) = (self.gone.clone(), node.clone());
        self.node
            .mon(node.node_port(), move |_| drop(gone.send(whom)));
        // The node stops if this can't be sent.
        let _ = self
            .node
            .snd_to_func(node, CONNECT, &(0, port.id(), self.level));
        self.ports.insert(node.clone(), port);
    }

    /// A node is lost: who is in the database is tried again.
    fn is_gone(&mut self, node: NodeId) {
        if let Some(port) = self.ports.remove(&node) {
            port.kil(Reason::normal());
        }
        if self.listed.contains(&node) {
            let pause = self.node.inner().settings.connect_interval;
            let pause = pause.max(Duration::from_secs(1));
            self.again.push_back((Instant::now() + pause, node));
        }
    }
}

/// The next change of the database, if it is followed.
async fn changes(
    database: &mut Option<DbChanges<IgnoredAny>>,
) -> Option<Result<crate::node::DbChange<IgnoredAny>, crate::node::DbError>> {
    match database {
        Some(changes) => changes.next().await,
        None => std::future::pending().await,
    }
}

/// A line as the node sends it: `LEVEL, TEXT`, or in generation 2 `TIME, CONTEXT, LEVEL, TEXT`.
fn read(node: &NodeId, message: &Message) -> Option<LogLine> {
    let (time, context, level, text) = match message.elements().count() {
        0..4 => {
            let (Num(level), Text(text)) = message.args::<(Num<f64>, Text)>().ok()?;
            (None, None, level, text)
        }
        _ => {
            let read = message.args::<(Num<f64>, Text, Num<f64>, Text)>();
            let (Num(time), Text(context), Num(level), Text(text)) = read.ok()?;
            let time = Duration::try_from_secs_f64(time).ok();
            let time = time.and_then(|time| UNIX_EPOCH.checked_add(time));
            (time, Some(context), level, text)
        }
    };
    Some(LogLine {
        node: node.clone(),
        time,
        context,
        level: level.clamp(0.0, 255.0) as u8,
        text: text.strip_suffix('\n').unwrap_or(&text).to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(json: &str) -> Option<LogLine> {
        let values: Vec<serde_json::Value> = serde_json::from_str(json).unwrap();
        read(&NodeId::new("a"), &Message::from_values(&values))
    }

    /// As recorded of 1.30 and of 2.02.
    #[test]
    fn lines_of_both_kinds() {
        let old = line(r#"[2,"a warning\n"]"#).unwrap();
        assert_eq!((old.level, &*old.text, old.time), (2, "a warning", None));
        let new = line(r#"[1795623208.5,"main",5,"a warning"]"#).unwrap();
        assert_eq!((new.level, &*new.text), (5, "a warning"));
        assert_eq!(new.context.as_deref(), Some("main"));
        let time = UNIX_EPOCH + Duration::from_millis(1_795_623_208_500);
        assert_eq!(new.time, Some(time));
        for nothing in ["[]", r#"["x","y"]"#, r#"[[],"a",1,"b"]"#] {
            assert_eq!(line(nothing), None, "{nothing}");
        }
        // As in Perl, what is not there is an empty text.
        assert_eq!(line("[1]").map(|line| line.text), Some(String::new()));
        // A clock that is out of all bounds is none.
        assert_eq!(line(r#"[1e300,"main",5,"x"]"#).unwrap().time, None);
    }
}
