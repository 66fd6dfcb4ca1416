//! Following a group or a family, until that is ended.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::AbortHandle;

/// Whether a watch goes on. Who writes an event holds this meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    On,
    Ended,
}

/// What the task of a watch has of it.
#[derive(Clone)]
pub struct Gate(Arc<Mutex<State>>);

impl Gate {
    /// Writes an event, unless the watch has ended.
    pub fn tell(&self, event: impl FnOnce()) {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if *state == State::On {
            event();
        }
    }
}

/// A watch of the program's.
pub struct Watch {
    task: AbortHandle,
    gate: Gate,
}

impl Watch {
    /// Runs the task that writes the events, through the gate that it is given.
    pub fn start<F>(task: impl FnOnce(Gate) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let gate = Gate(Arc::new(Mutex::new(State::On)));
        let task = tokio::spawn(task(gate.clone())).abort_handle();
        Watch { task, gate }
    }

    /// Ends it. No event comes behind this: a task that is aborted may still be at work on another
    /// thread, so it is the gate that says so.
    pub fn end(self) {
        let mut state = self.gate.0.lock().unwrap_or_else(PoisonError::into_inner);
        *state = State::Ended;
        drop(state);
        self.task.abort();
    }
}
