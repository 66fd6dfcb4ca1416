//! Each message, as `PERL_ANYEVENT_MP_TRACE` shows it.

use std::fmt::Display;

use crate::log::{LINE, MESSAGE, Shown, TRACE_TARGET};
use crate::proto::Message;

/// Whether somebody looks.
#[inline(always)]
pub(crate) fn enabled() -> bool {
    tracing::enabled!(target: TRACE_TARGET, tracing::Level::TRACE)
}

/// A message was sent to a port of `node`.
pub(crate) fn sent(node: &str, message: &Message) {
    tracing::trace!(target: TRACE_TARGET, "SND {} <- {}", name(node), whole(message.to_json()));
}

/// A message came from `node` for its destination `name`.
pub(crate) fn received(node: &str, name: &str, message: &Message) {
    let name = serde_json::Value::from(name);
    let rest = message.to_json();
    let rest = rest.strip_prefix('[').unwrap_or(&rest);
    let comma = if rest == "]" { "" } else { "," };
    tracing::trace!(target: TRACE_TARGET, "RCV {} -> {}", self::name(node), whole(format_args!("[{name}{comma}{rest}")));
}

fn name(node: &str) -> impl Display {
    Shown(node, LINE)
}

fn whole(message: impl Display) -> impl Display {
    Shown(message, MESSAGE)
}
