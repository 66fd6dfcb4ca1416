//! One start of a child, as a task of its own.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::child::{ChildPort, Start};
use super::terms::{Key, seconds};
use super::{Child, place};
use crate::log::log_at;
use crate::node::Context;
use crate::proto::{NodeId, PortId, Reason};

/// What a supervisor's task hears of. Of each start there is one of `Started`, `Failed` and
/// `Cancelled`, and after `Started` one `Ended`: as there is one start at a time for a child, few
/// of them wait.
pub(super) enum Note {
    /// The supervisor's own port died.
    Killed(Reason),
    /// Something about a start of a child, by its number.
    Child(Key, u64, News),
}

pub(super) enum News {
    Started(PortId),
    Failed(Reason),
    Cancelled,
    /// There is no node for it; said once for a start.
    Waiting,
    Ended(Reason),
}

pub(super) type Notes = mpsc::UnboundedSender<Note>;

/// A start.
pub(super) struct Attempt {
    pub(super) supervisor: Arc<str>,
    pub(super) key: Key,
    pub(super) round: u64,
    pub(super) child: Child,
    /// The node that the child was lost with.
    pub(super) avoid: Option<NodeId>,
    pub(super) notes: Notes,
    pub(super) cancel: CancellationToken,
}

/// Says that a start was cancelled, unless it came to an end.
struct Outcome(Option<(Notes, Key, u64)>);

impl Outcome {
    fn is(&mut self, news: News) {
        if let Some((notes, key, round)) = self.0.take() {
            let _ = notes.send(Note::Child(key, round, news)); // the supervisor may be gone
        }
    }
}

impl Drop for Outcome {
    fn drop(&mut self) {
        self.is(News::Cancelled);
    }
}

/// How many looks for a node are made before a warning.
const WARN_AFTER: u32 = 5;

impl Attempt {
    /// Starts the child in a task of the node.
    pub(super) fn launch(self, context: Context) {
        let mut outcome = Outcome(Some((self.notes.clone(), self.key, self.round)));
        let node = context.node().inner().clone();
        let span = tracing::debug_span!(target: crate::log::SPAN_TARGET, "child",
            name = %self.child.name, supervisor = %context.id());
        let start = async move {
            let begun = caught(self.begin(&context));
            let result = tokio::select! {
                biased;
                () = self.cancel.cancelled() => return,
                result = begun => result,
            };
            match result {
                // First the news, then the monitor, so that the end comes behind.
                Ok(begun) => {
                    outcome.is(News::Started(begun.port.clone()));
                    self.watch(&context, begun);
                }
                Err(text) => outcome.is(News::Failed(Reason::die(text))),
            }
        };
        node.spawn_task(start.instrument(span));
    }

    async fn begin(&self, context: &Context) -> Result<ChildPort, String> {
        match &self.child.start {
            Start::Local(start) => {
                let started = start(context.clone());
                let Some(limit) = self.child.start_limit else {
                    return started.await;
                };
                let late = |_| Err(format!("it did not start within {}", seconds(limit)));
                tokio::time::timeout(limit, started)
                    .await
                    .unwrap_or_else(late)
            }
            Start::Remote {
                place,
                function,
                args,
            } => {
                let tell = |tries| self.waits(place, tries);
                let node = place::find(context, place, self.avoid.as_ref(), tell).await;
                let port = context.spawn(node, function, &args(context)?);
                Ok(ChildPort {
                    port: port.map_err(|error| error.to_string())?,
                    end: None,
                })
            }
        }
    }

    fn waits(&self, place: &place::Place, tries: u32) {
        if tries == 1 {
            let _ = self
                .notes
                .send(Note::Child(self.key, self.round, News::Waiting));
        }
        // Later ones are rarer, as the waits grow, up to one in 30 s or so.
        if tries >= WARN_AFTER && tries.is_power_of_two() || tries == WARN_AFTER {
            let (supervisor, child) = (&self.supervisor, &self.child.name);
            log_at!(
                2,
                "supervisor {supervisor}: child {child} waits for {place}: there is none after {tries} tries"
            );
        }
    }

    fn watch(self, context: &Context, begun: ChildPort) {
        let ended = move |reason| {
            let note = Note::Child(self.key, self.round, News::Ended(reason));
            let _ = self.notes.send(note);
        };
        match begun.end {
            None => drop(context.mon(begun.port, ended)),
            Some(end) => {
                let watch = async move { ended(end.await) };
                context.node().inner().spawn_task(watch);
            }
        }
    }
}

/// Awaits the program's code; a panic becomes the text of an error.
async fn caught<T>(code: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let mut code = std::pin::pin!(code);
    std::future::poll_fn(move |cx| {
        match catch_unwind(AssertUnwindSafe(|| code.as_mut().poll(cx))) {
            Ok(poll) => poll,
            Err(panic) => Poll::Ready(Err(panic_text(&*panic))),
        }
    })
    .await
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "panic".to_owned())
}
