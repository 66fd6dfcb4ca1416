//! What nodes log, among the events.

use std::fmt::Write as _;

use tracing::Level;
use tracing::field::{Field, Visit};
use tracing::subscriber::DefaultGuard;

use crate::record::{Event, Record};

/// Who writes down what nodes log.
struct Lines {
    record: Record,
    most: Level,
}

/// Has what this thread logs up to one of Perl's levels written down, until the guard is dropped.
pub fn keep(record: &Record, level: u8) -> Option<DefaultGuard> {
    let most = match level {
        0 => return None,
        1 => Level::ERROR,
        2 => Level::WARN,
        3..8 => Level::INFO,
        8 => Level::DEBUG,
        _ => Level::TRACE,
    };
    let record = record.clone();
    Some(tracing::subscriber::set_default(Lines { record, most }))
}

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
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("aemp") && *metadata.level() <= self.most
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        self.record.push(Event::Logged(line.0));
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}
