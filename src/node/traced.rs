//! Which trace the code belongs to that runs, and the messages that it sends (PROTOCOL.md, "Trace
//! contexts").
//!
//! A thread knows the step that it is at while it runs code that belongs to a trace. What is sent
//! meanwhile belongs to that step; a handler that takes it is the next one.

use std::cell::Cell;
use std::pin::pin;

use super::code::{Outcome, Work};
use super::{Inner, Node};
use crate::proto::message::{EncodeError, json_in};
use crate::proto::{Framing, TraceContext, Verb};

/// A step of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) context: TraceContext,
    /// The step that caused it; none for what the program says itself.
    pub(crate) parent: Option<u64>,
}

impl From<TraceContext> for Step {
    fn from(context: TraceContext) -> Self {
        Step {
            context,
            parent: None,
        }
    }
}

thread_local! {
    static CURRENT: Cell<Option<Step>> = const { Cell::new(None) };
}

/// The step that this thread is at.
#[inline]
pub(crate) fn current() -> Option<Step> {
    CURRENT.get()
}

/// This thread is at a step, or at none, until it is dropped.
pub(crate) struct Scope(Option<Step>);

impl Scope {
    pub(crate) fn enter(step: Option<Step>) -> Self {
        Scope(CURRENT.replace(step))
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        CURRENT.set(self.0);
    }
}

/// Has whoever runs the future be at that step meanwhile.
pub(crate) async fn within<F: Future>(step: Step, future: F) -> F::Output {
    let mut future = pin!(future);
    std::future::poll_fn(move |cx| {
        let _scope = Scope::enter(Some(step));
        future.as_mut().poll(cx)
    })
    .await
}

/// What a handler leaves to be done belongs to the step as well.
pub(crate) fn also_later(step: Option<Step>, outcome: Outcome) -> Outcome {
    match (step, outcome) {
        (Some(step), Outcome::Later(work)) => Outcome::Later(Box::pin(within(step, work)) as Work),
        (_, outcome) => outcome,
    }
}

impl Node {
    /// The context of a new trace, at its first step. It does something for nodes that are
    /// configured with [`Builder::trace_context`](crate::Builder::trace_context), which has an
    /// example.
    pub fn new_trace(&self) -> TraceContext {
        let random = || u128::from_le_bytes(self.inner().random.octets());
        // Zero comes once in 2^128 draws.
        let drawn = TraceContext::new(random().max(1), self.inner().span_id());
        drawn.expect("neither is zero")
    }

    /// Runs code whose messages belong to that trace.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = aemp::Node::builder().no_rc().trace_context().start().await?;
    /// let mut inbox = node.mailbox();
    /// let trace = node.new_trace();
    /// node.in_trace(trace, || node.snd(inbox.id(), &("work",)))?;
    /// assert_eq!(inbox.recv().await?.trace_context(), Some(trace));
    /// assert_eq!(node.current_trace(), None);
    /// # Ok(()) }
    /// ```
    pub fn in_trace<T>(&self, trace: TraceContext, code: impl FnOnce() -> T) -> T {
        let _scope = Scope::enter(Some(trace.into()));
        code()
    }

    /// Makes a future of which the same is true. See
    /// [`Builder::trace_context`](crate::Builder::trace_context) for an example.
    pub fn with_trace<F: Future>(
        &self,
        trace: TraceContext,
        future: F,
    ) -> impl Future<Output = F::Output> + use<F> {
        within(trace.into(), future)
    }

    /// The step of a trace that the code belongs to which asks: in a handler, one of its own.
    /// `None` if it belongs to none.
    ///
    /// See [`in_trace`](Self::in_trace) for an example.
    pub fn current_trace(&self) -> Option<TraceContext> {
        current().map(|step| step.context)
    }
}

impl Inner {
    /// The trace that a message belongs to which is sent now, if there is one and this node is to
    /// care.
    #[inline]
    pub(crate) fn trace_of_sending(&self) -> Option<TraceContext> {
        match self.handshake.traces {
            true => current().map(|step| step.context),
            false => None,
        }
    }

    /// The step that takes what belongs to a trace.
    pub(crate) fn next_step(&self, of: Option<TraceContext>) -> Option<Step> {
        let context = of.filter(|_| self.handshake.traces)?;
        Some(Step {
            context: context.step(self.span_id())?,
            parent: Some(context.span_id()),
        })
    }

    /// The number of a new step.
    pub(crate) fn span_id(&self) -> u64 {
        u64::from_le_bytes(self.random.octets()).max(1)
    }
}

/// Writes a message as one that belongs to a trace: as the request that carries it. `plain` writes
/// it as it is.
#[cold]
pub(crate) fn encode(
    out: &mut Vec<u8>,
    framing: Framing,
    trace: TraceContext,
    plain: impl Fn(&mut Vec<u8>, Framing) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    let mut json = format!(r#"["","{}","{trace}","#, Verb::Traced).into_bytes();
    let start = json.len();
    plain(&mut json, Framing::Json)?;
    // The destination is the first element, so its array goes on.
    json.remove(start);
    json_in(out, framing, &json)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::message::{Incoming, encode_in};

    #[test]
    fn it_is_a_request_in_each_framing() {
        let trace = TraceContext::new(1, 2).unwrap();
        for framing in Framing::ALL {
            for (name, values) in [("p.q", r#"["p.q","a",1]"#), ("", r#"["","a",1]"#)] {
                let mut out = Vec::new();
                let plain = |out: &mut Vec<u8>, framing| encode_in(out, framing, name, &("a", 1));
                encode(&mut out, framing, trace, plain).unwrap();
                let mut block = (&out[..]).into();
                let arrived = Incoming::new(framing, Default::default()).next(&mut block);
                let arrived = arrived.unwrap().unwrap();
                assert_eq!(arrived.name.as_deref(), Some(""));
                let expected = format!(r#"["aemp_trace","{trace}",{}"#, &values[1..]);
                assert_eq!(arrived.message.to_json(), expected, "{framing}");
            }
        }
    }

    #[tokio::test]
    async fn a_step_is_left_again() {
        let step = |span| Step::from(TraceContext::new(1, span).unwrap());
        let _outer = Scope::enter(Some(step(5)));
        within(step(6), async {
            assert_eq!(current(), Some(step(6)));
            tokio::task::yield_now().await;
            assert_eq!(current(), Some(step(6)));
        })
        .await;
        assert_eq!(current(), Some(step(5)));
    }
}
