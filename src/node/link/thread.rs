//! What this thread is doing for which link: see the table in [`node`](crate::node).

use std::cell::Cell;
use std::sync::Arc;

use super::{Link, Peer};
use crate::peering::Sender;

thread_local! {
    /// The link whose reader this thread runs, and which will be flushed at the end of its turn.
    static READING: Cell<*const Link> = const { Cell::new(std::ptr::null()) };
    /// The peer whose loss this thread tells the monitors of.
    static FIRING: Cell<*const Peer> = const { Cell::new(std::ptr::null()) };
}

/// Runs a turn of the link's reader.
pub(super) fn reading<T>(link: &Arc<Link>, turn: impl FnOnce() -> T) -> T {
    struct Restore(*const Link);
    impl Drop for Restore {
        fn drop(&mut self) {
            READING.set(self.0);
        }
    }
    let _outer = Restore(READING.replace(Arc::as_ptr(link)));
    turn()
}

/// Whether this thread runs the link's reader.
#[inline]
pub(super) fn is_reading(link: &Arc<Link>) -> bool {
    READING.get() == Arc::as_ptr(link)
}

/// Runs actions of monitors on ports of a peer that is being lost. They don't panic.
pub(super) fn firing(peer: &Arc<Peer>, actions: impl FnOnce()) {
    let outer = FIRING.replace(Arc::as_ptr(peer));
    actions();
    FIRING.set(outer);
}

/// Who sends, if this thread sends something to the peer now.
#[inline]
pub(super) fn sender(peer: &Peer) -> Sender {
    match FIRING.get() == std::ptr::from_ref(peer) {
        true => Sender::Action,
        false => Sender::Program,
    }
}
