//! Handlers at work, as somebody sees them who looks: spans, and the time that they take.

use std::time::Instant;

use tracing::field::Empty;
use tracing::{Instrument as _, Level, Span};

use super::code::Outcome;
use super::handler::Taken;
use super::traced::{self, Step};
use super::{Context, Inner};
use crate::log::{LINE, SPAN_TARGET, Shown};
use crate::proto::PortId;

/// Whether somebody looks at handlers. As long as nobody does, asking is all that it costs: once
/// for the messages that a port takes at a time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Watched {
    timing: bool,
    spans: bool,
}

impl Watched {
    #[inline]
    pub(crate) fn now(node: &Inner) -> Self {
        Watched {
            timing: node.counters.times_handlers(),
            spans: tracing::span_enabled!(target: SPAN_TARGET, Level::DEBUG),
        }
    }

    #[inline]
    pub(crate) fn any(self) -> bool {
        self.timing | self.spans
    }

    /// Runs a handler of this port.
    #[cold]
    pub(crate) fn watch(self, context: &Context, take: impl FnOnce() -> Taken) -> Taken {
        let span = match self.spans {
            true => span(context.node().inner(), "handler", context.id()),
            false => Span::none(),
        };
        // The real time, also where that of the runtime is virtual.
        let begun = self.timing.then(Instant::now);
        let outcome = span.in_scope(take);
        if let Some(begun) = begun {
            let counters = &context.node().inner().counters;
            counters.handled(begun.elapsed());
        }
        match outcome {
            Ok(Outcome::Later(future)) if self.spans => {
                Ok(Outcome::Later(Box::pin(future.instrument(span))))
            }
            outcome => outcome,
        }
    }
}

/// The span of something that the code of a port does, at the step of a trace that this thread is
/// at.
pub(crate) fn span(node: &Inner, what: &'static str, port: &PortId) -> Span {
    let span = tracing::debug_span!(
        target: SPAN_TARGET,
        "port",
        what,
        node = %Shown(&node.id, LINE),
        port = %Shown(port, LINE),
        trace_id = Empty,
        span_id = Empty,
        parent_id = Empty,
    );
    if let Some(Step { context, parent }) = traced::current() {
        span.record("trace_id", format_args!("{:032x}", context.trace_id()));
        span.record("span_id", format_args!("{:016x}", context.span_id()));
        if let Some(parent) = parent {
            span.record("parent_id", format_args!("{parent:016x}"));
        }
    }
    span
}
