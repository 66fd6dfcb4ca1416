//! Where port code and monitor actions run.
//!
//! Work that comes up on a thread that is already working (a connection's reader, or port code that
//! sends to a local port) is put on that thread's list and done there, right after the present piece:
//! no task is woken per message. On any other thread the runtime gets a task for it. Nothing runs
//! inside `snd` or `kil` themselves, so port code never nests and never runs under a caller's lock.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;

use tokio::runtime::Handle;

use super::port::PortCell;
use super::Inner;

/// A piece of work.
pub(crate) enum Job {
    /// Let a port take the messages in its queue.
    Run(Arc<PortCell>),
    /// Anything else: monitor actions, init functions.
    Call(Box<dyn FnOnce(&Arc<Inner>) + Send>),
}

thread_local! {
    static LIST: RefCell<Option<VecDeque<(Arc<Inner>, Job)>>> = const { RefCell::new(None) };
}

/// How many pieces a thread does before it lets the runtime's other tasks go on.
const BUDGET: usize = 512;

/// Runs `work` and then whatever came up meanwhile.
pub(crate) fn enter<R>(runtime: &Handle, work: impl FnOnce() -> R) -> R {
    let outer = LIST.with(|list| {
        let mut list = list.borrow_mut();
        let outer = list.is_none();
        if outer {
            *list = Some(VecDeque::new());
        }
        outer
    });
    if !outer {
        return work();
    }
    /// Takes the list away again even if `work` panics.
    struct Leave<'a>(&'a Handle);
    impl Drop for Leave<'_> {
        fn drop(&mut self) {
            let rest = LIST.with(|list| list.borrow_mut().take());
            for (node, job) in rest.into_iter().flatten() {
                spawn(self.0, node, job);
            }
        }
    }
    let _leave = Leave(runtime);
    let result = work();
    for _ in 0..BUDGET {
        let next = LIST.with(|list| list.borrow_mut().as_mut().and_then(VecDeque::pop_front));
        let Some((node, job)) = next else { break };
        perform(&node, job);
    }
    result
}

/// Has a piece of work done soon: on this thread's list, or by a task.
pub(crate) fn schedule(node: &Arc<Inner>, job: Job) {
    let rest = LIST.with(|list| match list.borrow_mut().as_mut() {
        Some(list) => {
            list.push_back((node.clone(), job));
            None
        }
        None => Some(job),
    });
    if let Some(job) = rest {
        spawn(&node.runtime, node.clone(), job);
    }
}

fn spawn(runtime: &Handle, node: Arc<Inner>, job: Job) {
    let handle = runtime.clone();
    runtime.spawn(async move { enter(&handle, || perform(&node, job)) });
}

fn perform(node: &Arc<Inner>, job: Job) {
    match job {
        Job::Run(port) => port.run(node),
        Job::Call(call) => call(node),
    }
}
