//! What takes the messages that are measured, in a node of this crate.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aemp::{Context, Receive};

use crate::message::{Elements, consume};

/// Counts messages, of which it borrows the text.
pub struct Sink(pub Arc<AtomicU64>);

impl Receive for Sink {
    type Args<'a> = Elements<'a>;
    type Outcome = ();

    fn receive(&mut self, _: &Context, elements: Elements<'_>) {
        self.0.fetch_add(consume(elements), Ordering::Relaxed);
    }
}
