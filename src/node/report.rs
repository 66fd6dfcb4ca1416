//! All that a node says of itself to whoever watches the network: `aemp top`, or a page.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Inner, Metrics, Node, NodeStats};
use crate::proto::{NodeId, PortId};

/// The function by which other nodes can read the report of a node of this crate.
///
/// What comes is at most half a second old, however many ask: a report looks at every port.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use aemp::{Node, Report, node::REPORT_FUNCTION};
/// let node = Node::local();
/// let (report,): (Report,) = node.cal(node.id(), &(REPORT_FUNCTION,), None).await?;
/// assert_eq!(&report.stats.node, node.id());
/// # Ok(()) }
/// ```
pub const REPORT_FUNCTION: &str = "aemp::report";

/// No report says more memberships than these.
const MOST_MEMBERSHIPS: usize = 1000;

/// What a node says of itself to whoever watches the network: see [`Node::report`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let node = aemp::Node::local();
/// let port = node.port();
/// node.register("workers", &port);
/// node.kil(node.port(), aemp::Reason::die("oops"));
/// let report = node.report();
/// assert_eq!(report.groups["workers"], [port.id().clone()]);
/// assert_eq!(report.deaths[0].reason, "die oops");
/// assert_eq!(report.metrics.deaths["die"], 1);
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Report {
    /// For how long the node has been there. Rates are differences of counts by differences of
    /// this.
    pub age: Duration,
    /// The node and its links.
    pub stats: NodeStats,
    /// Its counters.
    pub metrics: Metrics,
    /// The groups that ports of this node are in, and these ports; of more than 1000 memberships
    /// the first by group.
    pub groups: BTreeMap<String, Vec<PortId>>,
    /// The ports that died last of something else than their normal end, the newest first; at most
    /// 32.
    pub deaths: Vec<PortDeath>,
    /// The links, and attempts to get one, that were lost last, the newest first; at most 32.
    pub losses: Vec<LinkLoss>,
}

/// A port that died: see [`Report::deaths`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let node = aemp::Node::local();
/// let port = node.port();
/// port.kil(aemp::Reason::new(["overheated", "CPU 0"]));
/// let death = &node.report().deaths[0];
/// assert_eq!((&death.port, &*death.reason), (port.id(), "overheated CPU 0"));
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PortDeath {
    /// Which it was.
    pub port: PortId,
    /// What it died of, as text of one line, clipped.
    pub reason: String,
    /// How long ago.
    pub ago: Duration,
}

/// A link that was lost, or an attempt to get one that was given up: see [`Report::losses`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = aemp::Node::builder().no_rc().nodeid("a").set("monitor_timeout", 0.1).start().await?;
/// let (lost, told) = tokio::sync::oneshot::channel();
/// node.mon(aemp::NodeId::new("nobody"), move |_| drop(lost.send(())));
/// told.await?;
/// let loss = &node.report().losses[0];
/// assert_eq!((loss.node.as_str(), &*loss.kind), ("nobody", "unreachable"));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LinkLoss {
    /// The node at the other end.
    pub node: NodeId,
    /// Why, as a key of [`Metrics::losses`].
    pub kind: String,
    /// Why, in words.
    pub reason: String,
    /// How long ago.
    pub ago: Duration,
}

/// The report that others were told last, and when the node began.
pub(super) struct Reports {
    begun: Instant,
    last: Mutex<Option<(Instant, Arc<Report>)>>,
}

impl Reports {
    /// As long as it is not older, a report is as good as a new one.
    const FRESH: Duration = Duration::from_millis(500);

    pub(super) fn new() -> Self {
        Reports {
            begun: Instant::now(),
            last: Mutex::default(),
        }
    }
}

impl Node {
    /// All that this node says of itself to whoever watches the network. It looks at every port and
    /// every link.
    ///
    /// Other nodes of this crate get it by calling [`REPORT_FUNCTION`]; `aemp top` and the page of
    /// `aemp run .. http HOST:PORT` do.
    ///
    /// See [`Report`] for an example.
    pub fn report(&self) -> Report {
        let inner = self.inner();
        Report {
            age: inner.reports.begun.elapsed(),
            stats: self.stats(),
            metrics: self.metrics(),
            groups: inner.control.own_memberships(MOST_MEMBERSHIPS),
            deaths: inner.counters.recent_deaths(),
            losses: inner.counters.recent_losses(),
        }
    }

    /// A report for another node: a new one, unless the last one is fresh enough.
    pub(super) fn recent_report(&self) -> Arc<Report> {
        let Inner { reports, .. } = &**self.inner();
        let mut last = reports.last.lock();
        match &*last {
            Some((at, report)) if at.elapsed() < Reports::FRESH => report.clone(),
            _ => {
                let report = Arc::new(self.report());
                *last = Some((Instant::now(), report.clone()));
                report
            }
        }
    }
}
