//! Asks the nodes of a network, again and again, as often as somebody looks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aemp::{Node, NodeId, PortId};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use super::View;
use super::answer::{Answer, Manner, ask};
use super::network::{Network, Surroundings};
use crate::trace::details;
use crate::trace::graph::Graph;

/// Whether the node that looks is one of the network that is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// It is.
    Member,
    /// It is there just to look.
    Observer,
}

/// What was seen.
#[derive(Debug, Clone)]
pub(crate) struct Look {
    pub(crate) view: View,
    /// The same as a graph, to be drawn.
    #[cfg_attr(not(feature = "http"), expect(dead_code, reason = "the page draws it"))]
    pub(crate) graph: Graph,
}

/// For so long a look waits for answers. Who takes longer is seen the next time.
const PATIENCE: Duration = Duration::from_millis(700);

/// After so long a node that did not answer to the better question is asked it again.
const AGAIN: Duration = Duration::from_secs(60);

/// No more nodes than these are asked, which are linked to for it, and shown.
const MOST_NODES: usize = 256;

/// Groups and their members that our own node tells of.
const MOST_GROUPS: usize = 1000;

/// Who asks.
pub(crate) struct Watch {
    node: Node,
    place: Place,
    network: Network,
    asking: JoinSet<(NodeId, Result<Answer, String>)>,
    /// Who has not answered yet.
    open: BTreeSet<NodeId>,
    /// How nodes can be asked, and since when that is known.
    manners: BTreeMap<NodeId, (Manner, Instant)>,
    /// The question which nodes are global, and what came of it.
    asking_globals: JoinSet<Vec<NodeId>>,
    globals: Vec<NodeId>,
}

impl Watch {
    pub(crate) fn new(node: &Node, place: Place) -> Self {
        Watch {
            node: node.clone(),
            place,
            network: Network::new(node.id().clone(), place),
            asking: JoinSet::new(),
            open: BTreeSet::new(),
            manners: BTreeMap::new(),
            asking_globals: JoinSet::new(),
            globals: Vec::new(),
        }
    }

    /// Asks everybody who can be found, and says what is known then. It may be dropped at any time.
    pub(crate) async fn look(&mut self) -> Look {
        let until = Instant::now() + PATIENCE;
        let own = self.node.report();
        self.network.own(own, Instant::now());
        let mut asked = BTreeSet::new();
        let mut is_grown = true;
        loop {
            if std::mem::take(&mut is_grown) {
                let (found, _) = self.network.reachable(MOST_NODES);
                for id in found {
                    if id != *self.node.id() && asked.insert(id.clone()) {
                        self.ask(id);
                    }
                }
            }
            if self.open.is_disjoint(&asked) {
                break;
            }
            match timeout_at(until, self.asking.join_next()).await {
                Ok(Some(Ok((id, answer)))) => {
                    self.answered(id.clone(), answer);
                    // Following all links again is for when there is something to be found.
                    is_grown = asked.len() < MOST_NODES && self.network.tells_of_more(&id, &asked);
                }
                // The runtime ends.
                Ok(Some(Err(_))) => {}
                Ok(None) | Err(_) => break,
            }
        }
        self.look_for_globals().await;
        let (found, left_out) = self.network.reachable(MOST_NODES);
        self.network.retain(&found);
        self.manners.retain(|id, _| found.contains(id));
        let surroundings = Surroundings {
            time: chrono::Local::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, false),
            seeds: self.node.stats().seeds,
            globals: self.globals.clone(),
            groups: self.groups(),
            left_out,
        };
        self.network.look(surroundings, Instant::now())
    }

    fn ask(&mut self, id: NodeId) {
        if !self.open.insert(id.clone()) {
            return;
        }
        let manner = self.manners.get(&id);
        let manner = manner.filter(|(_, since)| since.elapsed() < AGAIN);
        let manner = manner.map(|(manner, _)| *manner);
        let node = self.node.clone();
        self.asking.spawn(async move {
            let answer = ask(node, id.clone(), manner).await;
            (id, answer)
        });
    }

    fn answered(&mut self, id: NodeId, answer: Result<Answer, String>) {
        self.open.remove(&id);
        if let Ok(answer) = &answer {
            let known = self
                .manners
                .get(&id)
                .is_some_and(|(known, since)| *known == answer.manner && since.elapsed() < AGAIN);
            if !known {
                let now = (answer.manner, Instant::now());
                self.manners.insert(id.clone(), now);
            }
        }
        self.network.answered(&id, answer, Instant::now());
    }

    /// Takes over which nodes are global, and has that asked anew.
    async fn look_for_globals(&mut self) {
        // Who has not answered by now will have by the next look.
        let answered = timeout(Duration::ZERO, self.asking_globals.join_next()).await;
        if let Ok(Some(Ok(globals))) = answered {
            self.globals = globals;
        }
        if self.asking_globals.is_empty() {
            let node = self.node.clone();
            self.asking_globals.spawn(async move {
                let links = node.stats().links;
                details::globals(&node, &links).await
            });
        }
    }

    /// The groups that our own node knows.
    fn groups(&self) -> BTreeMap<String, Vec<PortId>> {
        let names = self.node.groups().into_iter().take(MOST_GROUPS);
        names
            .map(|group| {
                let members = self.node.members(&group);
                (group, members)
            })
            .collect()
    }

    /// Whether anybody else was found so far.
    pub(crate) fn is_alone(&self) -> bool {
        let (found, _) = self.network.reachable(2);
        self.place == Place::Observer && found.is_empty()
    }
}
