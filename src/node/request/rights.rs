//! Who may make which request: decided here and nowhere else.

use super::error::RequestError;
use super::read::NodeRequest;
use super::{Inner, Source};
use crate::mesh::CONNECT;

/// Decides whether the source may make the request. A node that is configured `secure` runs nothing
/// for others, nor for itself: another node can have us send a request, by `snd` and by the replies
/// that it asks for. What the program does by calling the node's functions is no request.
pub(super) fn may(
    node: &Inner,
    source: Source<'_>,
    request: &NodeRequest<'_>,
) -> Result<(), RequestError> {
    let runs_something = match request {
        NodeRequest::Nothing
        | NodeRequest::Monitor(_)
        | NodeRequest::Unmonitor(_)
        | NodeRequest::Died(..)
        | NodeRequest::Kill(..)
        | NodeRequest::Forward(_)
        | NodeRequest::ForwardAll(_)
        | NodeRequest::Info(_)
        | NodeRequest::KnownNodes(_)
        | NodeRequest::UpNodes(_)
        | NodeRequest::Can(..)
        | NodeRequest::Time(_)
        | NodeRequest::Database(_) => false,
        // The mesh of generations 0 and 1 is made of such ports.
        NodeRequest::Spawn { function, .. } => {
            !matches!(source, Source::Peer(_)) || function != CONNECT
        }
        NodeRequest::Eval(_) | NodeRequest::Call { .. } => true,
    };
    match runs_something && node.settings.secure {
        true => Err(RequestError::Refused),
        false => Ok(()),
    }
}
