//! Where port code and monitor actions run.
//!
//! Work that comes up on a thread that is already working (a connection's reader, or port code that
//! sends to a local port) is put on that thread's list and done there, right after the present
//! piece: no task is woken per message. On any other thread the runtime gets a task for it. Nothing
//! runs inside `snd` or `kil` themselves, so port code never nests and never runs under a caller's
//! lock.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::runtime::Handle;

use super::Inner;
use super::code::panic_text;
use super::port::PortCell;
use crate::log::log_at;

/// Code that needs the node.
pub(crate) type Call = Box<dyn FnOnce(&Arc<Inner>) + Send>;

/// A piece of work.
pub(crate) enum Job {
    /// Let a port take the messages in its queue.
    Run(Arc<PortCell>),
    /// Anything else: monitor actions, init functions.
    Call(Call),
}

thread_local! {
    static LIST: RefCell<Option<List>> = const { RefCell::new(None) };
}

/// How many pieces a thread does before it lets the runtime's other tasks go on.
const BUDGET: usize = 512;

/// The work that a thread has taken on.
type List = VecDeque<(Arc<Inner>, Job)>;

/// Whether this thread does such work.
#[inline]
pub(crate) fn is_inside() -> bool {
    LIST.with(|list| list.try_borrow().map_or(true, |list| list.is_some()))
}

/// Runs `code` and then whatever came up meanwhile, in its order. Call it on a thread of the
/// runtime, or at least from code that holds no lock.
pub(crate) fn enter<R>(runtime: &Handle, code: impl FnOnce() -> R) -> R {
    if is_inside() {
        return code();
    }
    // Handlers may use the runtime, whatever thread this is.
    let _context = runtime.enter();
    enter_with(runtime, List::new(), code)
}

/// The same in a task of this runtime, which is spared telling it so.
pub(crate) fn enter_task<R>(runtime: &Handle, code: impl FnOnce() -> R) -> R {
    match is_inside() {
        true => code(),
        false => enter_with(runtime, List::new(), code),
    }
}

fn enter_with<R>(runtime: &Handle, begun: List, code: impl FnOnce() -> R) -> R {
    /// Takes the list away again, even if `code` panics; what is left goes on as one task.
    struct Leave<'a>(&'a Handle);
    impl Drop for Leave<'_> {
        fn drop(&mut self) {
            let left = LIST.with(|list| list.borrow_mut().take());
            if let Some(left) = left.filter(|left| !left.is_empty()) {
                let runtime = self.0.clone();
                self.0
                    .spawn(async move { enter_with(&runtime, left, || {}) });
            }
        }
    }
    LIST.with(|list| *list.borrow_mut() = Some(begun));
    let _leave = Leave(runtime);
    let result = code();
    for _ in 0..BUDGET {
        let next = LIST.with(|list| list.borrow_mut().as_mut().and_then(VecDeque::pop_front));
        let Some((node, job)) = next else { break };
        perform(&node, job);
    }
    result
}

/// Has a piece of work done soon: on this thread's list, or by a task.
pub(crate) fn schedule(node: &Arc<Inner>, job: Job) {
    if let Job::Call(_) = job {
        node.lifecycle.job_begins();
    }
    let left = LIST.with(|list| match list.borrow_mut().as_mut() {
        Some(list) => {
            list.push_back((node.clone(), job));
            None
        }
        None => Some(job),
    });
    if let Some(job) = left {
        let (home, runtime) = (node.clone(), node.runtime.clone());
        node.runtime
            .spawn(async move { enter_task(&runtime, || perform(&home, job)) });
    }
}

fn perform(node: &Arc<Inner>, job: Job) {
    let is_call = matches!(job, Job::Call(_));
    // Port code and actions are guarded by themselves; this is for the drop of what they held.
    let run = AssertUnwindSafe(|| match job {
        Job::Run(port) => port.run(node),
        Job::Call(call) => call(node),
    });
    if let Err(panic) = catch_unwind(run) {
        log_at!(1, "a panic outside of a port: {}", panic_text(&*panic));
    }
    if is_call {
        node.lifecycle.job_ended();
    }
}
