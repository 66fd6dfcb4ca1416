//! What nodes log, among the events.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::sync::Once;

use tracing::Level;
use tracing::field::{Field, Visit};

use crate::record::{Event, Record};

thread_local! {
    /// Where what this thread logs is written down, and up to which level.
    static KEPT: RefCell<Option<(Record, Level)>> = const { RefCell::new(None) };
}

/// Ends what [`keep`] began.
pub struct Guard;

impl Drop for Guard {
    fn drop(&mut self) {
        KEPT.set(None);
    }
}

/// Has what this thread logs up to one of Perl's levels written down, until the guard is dropped.
///
/// There is one subscriber for all threads: if each had its own, lines would be missing where one
/// begins while another thread logs something for the first time.
pub fn keep(record: &Record, level: u8) -> Guard {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| tracing::subscriber::set_global_default(Lines).expect("nobody else logs"));
    let most = match level {
        0 => return Guard,
        1 => Level::ERROR,
        2 => Level::WARN,
        3..8 => Level::INFO,
        8 => Level::DEBUG,
        _ => Level::TRACE,
    };
    KEPT.set(Some((record.clone(), most)));
    Guard
}

struct Lines;

#[derive(Default)]
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            let _ = write!(self.0, "{value:?}");
        }
    }
}

impl tracing::Subscriber for Lines {
    fn register_callsite(&self, _: &tracing::Metadata<'_>) -> tracing::subscriber::Interest {
        tracing::subscriber::Interest::sometimes()
    }
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        let is_kept = |most: &Level| metadata.level() <= most;
        metadata.target().starts_with("aemp")
            // With spans of handlers messages would go another way.
            && metadata.target() != aemp::log::SPAN_TARGET
            && KEPT.with_borrow(|kept| kept.as_ref().is_some_and(|(_, most)| is_kept(most)))
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        let record = KEPT.with_borrow(|kept| kept.as_ref().map(|(record, _)| record.clone()));
        if let Some(record) = record {
            let mut line = Line::default();
            event.record(&mut line);
            record.push(Event::Logged(line.0));
        }
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}
