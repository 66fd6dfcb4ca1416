//! Each message, as `PERL_ANYEVENT_MP_TRACE` shows it.

use crate::log::TRACE_TARGET;
use crate::proto::Message;

/// Whether somebody looks.
pub(crate) fn enabled() -> bool {
    tracing::enabled!(target: TRACE_TARGET, tracing::Level::TRACE)
}

/// A message was sent to a port of `node`.
pub(crate) fn sent(node: &str, message: &Message) {
    tracing::trace!(target: TRACE_TARGET, "SND {node} <- {}", message.to_json());
}

/// A message came from `node` for its destination `name`.
pub(crate) fn received(node: &str, name: &str, message: &Message) {
    let name = serde_json::Value::from(name);
    let rest = message.to_json();
    let rest = rest.strip_prefix('[').unwrap_or(&rest);
    let comma = if rest == "]" { "" } else { "," };
    tracing::trace!(target: TRACE_TARGET, "RCV {node} -> [{name}{comma}{rest}");
}
