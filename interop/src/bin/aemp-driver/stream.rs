//! Streams, which show the delivery guarantee.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aemp::{Monitor, Node, PortId};
use serde_json::{Value, json};
use tokio::task::AbortHandle;

use crate::output;

#[derive(Default)]
struct State {
    epoch: u64,
    next: u64,
    fired: u64,
    doubles: u64,
    sent: u64,
    stopped: bool,
    monitor: Option<Monitor>,
}

/// A stream that is being sent.
pub struct Stream {
    state: Arc<Mutex<State>>,
    task: AbortHandle,
}

/// Begins an epoch: the monitor first, then the numbers from 0. Numbers are sent under the lock
/// that `held` is of, so that none goes out between the end of an epoch and the monitor of the
/// next.
fn begin(held: &mut State, node: Node, id: u64, to: PortId, state: Arc<Mutex<State>>) {
    let (epoch, port, next, mut fired) = (held.epoch, to.clone(), node.clone(), false);
    held.monitor = Some(node.mon(&to, move |reason| {
        let again = state.clone();
        let mut held = state.lock().unwrap();
        if held.stopped {
            return;
        }
        held.doubles += u64::from(std::mem::replace(&mut fired, true));
        held.fired += 1;
        output::epoch(id, epoch, &reason);
        held.epoch += 1;
        held.next = 0;
        begin(&mut held, next, id, port, again);
    }));
}

impl Stream {
    /// Sends numbers to a port until stopped.
    pub fn start(node: Node, id: u64, to: PortId) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let mut held = state.lock().unwrap();
        begin(&mut held, node.clone(), id, to.clone(), state.clone());
        drop(held);
        let sending = state.clone();
        let task = tokio::spawn(async move {
            let mut pause = tokio::time::interval(Duration::from_millis(2));
            loop {
                pause.tick().await;
                for _ in 0..5 {
                    let mut state = sending.lock().unwrap();
                    let message = (node.id(), state.epoch, state.next, "some payload \u{263a}");
                    if let Err(error) = node.snd(&to, &message) {
                        output::fault(error);
                    }
                    state.next += 1;
                    state.sent += 1;
                }
            }
        });
        Stream {
            state,
            task: task.abort_handle(),
        }
    }

    /// Stops it and tells what became of it.
    pub fn stop(self) -> Value {
        self.task.abort();
        let mut state = self.state.lock().unwrap();
        state.stopped = true;
        if let Some(monitor) = state.monitor.take() {
            monitor.stop();
        }
        json!({
            "epoch": state.epoch, "next": state.next, "fired": state.fired,
            "doubles": state.doubles, "sent": state.sent,
        })
    }
}
