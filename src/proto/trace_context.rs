//! What ties the messages of one undertaking together, across nodes (PROTOCOL.md, "Trace
//! contexts").

use std::fmt;
use std::str::FromStr;

/// Where a piece of work belongs: the trace, and the step of it that caused what follows.
///
/// This is the *trace context* of the W3C's recommendation of that name, which OpenTelemetry and
/// others speak; its text is what they call `traceparent`. Nodes of this crate carry it with
/// messages if both are asked to: see [`Builder::trace_context`](crate::Builder::trace_context).
///
/// ```
/// use aemp::proto::TraceContext;
/// let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// let context: TraceContext = text.parse()?;
/// assert_eq!(context.trace_id(), 0x4bf92f3577b34da6a3ce929d0e0e4736);
/// assert_eq!(context.span_id(), 0x00f067aa0ba902b7);
/// assert!(context.is_sampled());
/// assert_eq!(context.to_string(), text);
/// # Ok::<(), aemp::proto::trace_context::InvalidTraceContext>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceContext {
    trace: u128,
    span: u64,
    flags: u8,
}

/// A text that is no trace context.
///
/// ```
/// use aemp::proto::TraceContext;
/// let error = "00-0-0-0".parse::<TraceContext>().unwrap_err();
/// assert!(error.to_string().starts_with("no trace context"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "no trace context: it is a version, a trace ID, a span ID and flags, of 2, 32, 16 and 2 \
     hexadecimal digits in lower case with - between them, and neither ID is zero"
)]
#[non_exhaustive]
pub struct InvalidTraceContext;

/// The flag that says that the trace is recorded.
const SAMPLED: u8 = 1;

/// The octets of a text of version 0.
const LEN: usize = 55;

impl TraceContext {
    /// The context of the first step, `span_id`, of a trace that is recorded. `None` if one of both
    /// is zero, which is no ID.
    ///
    /// [`Node::new_trace`](crate::Node::new_trace) draws the numbers.
    ///
    /// ```
    /// use aemp::proto::TraceContext;
    /// let context = TraceContext::new(7, 8).unwrap();
    /// assert_eq!((context.trace_id(), context.span_id()), (7, 8));
    /// assert_eq!(TraceContext::new(0, 8), None);
    /// ```
    pub const fn new(trace_id: u128, span_id: u64) -> Option<Self> {
        if trace_id == 0 || span_id == 0 {
            return None;
        }
        Some(TraceContext {
            trace: trace_id,
            span: span_id,
            flags: SAMPLED,
        })
    }

    /// The ID of the trace, never zero.
    ///
    /// See [`TraceContext`] for an example.
    pub const fn trace_id(self) -> u128 {
        self.trace
    }

    /// The ID of the step, never zero. To who gets the context this is the step that caused what it
    /// does: what the W3C calls the parent ID.
    ///
    /// See [`TraceContext`] for an example.
    pub const fn span_id(self) -> u64 {
        self.span
    }

    /// Whether who began the trace has it recorded.
    ///
    /// See [`TraceContext`] for an example.
    pub const fn is_sampled(self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The same trace, recorded or not.
    ///
    /// ```
    /// use aemp::proto::TraceContext;
    /// let context = TraceContext::new(7, 8).unwrap().sampled(false);
    /// assert!(!context.is_sampled());
    /// ```
    #[must_use]
    pub const fn sampled(self, sampled: bool) -> Self {
        let flags = match sampled {
            true => self.flags | SAMPLED,
            false => self.flags & !SAMPLED,
        };
        TraceContext { flags, ..self }
    }

    /// Another step of the same trace. `None` if the ID is zero.
    ///
    /// ```
    /// use aemp::proto::TraceContext;
    /// let context = TraceContext::new(7, 8).unwrap();
    /// let next = context.step(9).unwrap();
    /// assert_eq!((next.trace_id(), next.span_id()), (7, 9));
    /// ```
    pub const fn step(self, span_id: u64) -> Option<Self> {
        if span_id == 0 {
            return None;
        }
        Some(TraceContext {
            span: span_id,
            ..self
        })
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TraceContext { trace, span, flags } = self;
        write!(f, "00-{trace:032x}-{span:016x}-{flags:02x}")
    }
}

impl FromStr for TraceContext {
    type Err = InvalidTraceContext;

    /// Reads a `traceparent`. Later versions may have more behind what is known, which is passed
    /// over.
    fn from_str(text: &str) -> Result<Self, InvalidTraceContext> {
        let known = text.get(..LEN).ok_or(InvalidTraceContext)?;
        let rest = &text[LEN..];
        let mut parts = known.split('-');
        let mut number = |digits: usize| {
            let part = parts.next().filter(|part| part.len() == digits);
            let part = part.ok_or(InvalidTraceContext)?;
            let is_digit = |octet: u8| matches!(octet, b'0'..=b'9' | b'a'..=b'f');
            match part.bytes().all(is_digit) {
                true => u128::from_str_radix(part, 16).map_err(|_| InvalidTraceContext),
                false => Err(InvalidTraceContext),
            }
        };
        let (version, trace, span, flags) = (number(2)?, number(32)?, number(16)?, number(2)?);
        let fits = match version {
            0 => rest.is_empty(),
            0xff => false,
            _ => rest.is_empty() || rest.starts_with('-'),
        };
        // So many digits each fit these types.
        let context = TraceContext::new(trace, span as u64).filter(|_| fits);
        let context = context.ok_or(InvalidTraceContext)?;
        Ok(TraceContext {
            flags: flags as u8,
            ..context
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_none() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7";
        for text in [
            String::new(),
            format!("00-{id}"),
            format!("00-{id}-1"),
            format!("00-{id}-01x"),
            format!("00-{id}-01-more"),
            format!("ff-{id}-01"),
            format!("00-{}-01", id.to_uppercase()),
            format!("00-{id}-+1"),
            format!("00-{}-01", id.replace(|c: char| c != '-', "0")),
            format!("00-{}é-01", &id[..id.len() - 2]),
            format!("00_{id}-01"),
        ] {
            assert_eq!(
                text.parse::<TraceContext>(),
                Err(InvalidTraceContext),
                "{text}"
            );
        }
        let later = format!("01-{id}-03-more").parse::<TraceContext>().unwrap();
        assert_eq!(later.to_string(), format!("00-{id}-03"));
    }

    proptest! {
        #[test]
        fn the_text_is_the_context(trace in 1u128.., span in 1u64.., sampled: bool, other in 1u64..) {
            let context = TraceContext::new(trace, span).unwrap().sampled(sampled);
            prop_assert_eq!(context.to_string().parse(), Ok(context));
            let step = context.step(other).unwrap();
            prop_assert_eq!((step.trace_id(), step.span_id(), step.is_sampled()), (trace, other, sampled));
        }

        #[test]
        fn any_text_is_read_or_refused(text: String, cut in 0..70usize) {
            let _ = text.parse::<TraceContext>();
            let whole = TraceContext::new(1, 2).unwrap().to_string();
            let cut = cut.min(whole.len());
            let mixed = format!("{}{text}", &whole[..cut]);
            if let Ok(context) = mixed.parse::<TraceContext>() {
                prop_assert!(mixed.len() >= context.to_string().len());
            }
        }
    }
}
