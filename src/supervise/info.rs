//! What can be seen of a supervisor, and what can go wrong with asking it.

use std::sync::Arc;

use crate::proto::{PortId, Reason};

/// Why a supervisor did not do what it was asked for.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use aemp::{Node, Supervisor};
/// let node = Node::local();
/// let supervisor = Supervisor::builder("main").start(&node)?;
/// let error = supervisor.terminate("x").await.unwrap_err();
/// assert_eq!(error.to_string(), "the supervisor has no child \"x\"");
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SuperviseError {
    /// It has ended, or is about to.
    #[error("the supervisor has ended")]
    Ended,
    /// There is a child of that name.
    #[error("the supervisor has a child {0:?} already")]
    Duplicate(Arc<str>),
    /// There is no child of that name.
    #[error("the supervisor has no child {0:?}")]
    Unknown(Arc<str>),
    /// The child did not start. The supervisor deals with it as with a death.
    #[error("the child {child:?} did not start: {reason}")]
    NotStarted {
        /// The child's name.
        child: Arc<str>,
        /// Why.
        reason: Reason,
    },
}

/// What a child is doing: see [`ChildInfo`].
///
/// ```
/// use aemp::supervise::{ChildInfo, ChildState};
/// fn is_up(child: &ChildInfo) -> bool {
///     child.state == ChildState::Running
/// }
/// # let _ = is_up;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChildState {
    /// It is about to be started for the first time.
    Pending,
    /// It is being started, or waits for a node.
    Starting,
    /// It runs.
    Running,
    /// It was killed, and its end is waited for.
    Stopping,
    /// It is down and will be started again.
    Restarting,
    /// It is down and stays so: it came to its normal end or was terminated.
    Ended,
}

/// A child as it is now: see [`Supervisor::children`](super::Supervisor::children).
///
/// ```
/// fn show(child: &aemp::supervise::ChildInfo) {
///     let port = child.port.as_ref().map_or("-", |port| port.as_str());
///     println!("{:20} {:?} {port} {} restarts", child.name, child.state, child.restarts);
/// }
/// # let _ = show;
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ChildInfo {
    /// Its name.
    pub name: Arc<str>,
    /// What it is doing.
    pub state: ChildState,
    /// Its port; on another node for a remote child.
    pub port: Option<PortId>,
    /// How often it was started again, for whatever cause.
    pub restarts: u64,
    /// Why it ended, or did not start, the last time.
    pub last_reason: Option<Reason>,
}
