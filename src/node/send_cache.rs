//! What a thread keeps from one sending to the next: memory to encode in, and where the last
//! message went.
//!
//! Most messages go where the one before went. Remembering a port or a node keeps nothing alive but
//! its cell: what a dead port or a node that ended held is dropped all the same.

use std::cell::RefCell;
use std::sync::{Arc, Weak};

use super::Inner;
use super::link::Peer;
use super::port::PortCell;

/// A larger buffer is not kept, in octets.
const KEPT: usize = 1024 * 1024;

#[derive(Default)]
pub(super) struct SendCache {
    /// Empty at first.
    pub(super) octets: Vec<u8>,
    /// Whose port and peer these are.
    node: Weak<Inner>,
    port: Option<Arc<PortCell>>,
    peer: Option<Arc<Peer>>,
}

thread_local! {
    static CACHE: RefCell<SendCache> = RefCell::default();
}

/// Does something with the thread's cache, for messages of this node. What is sent may itself send
/// something while it is encoded: that gets another one.
#[inline]
pub(super) fn with<R>(node: &Arc<Inner>, act: impl FnOnce(&mut SendCache) -> R) -> R {
    CACHE.with(|cache| {
        let Ok(mut cache) = cache.try_borrow_mut() else {
            return act(&mut SendCache::default());
        };
        cache.octets.clear();
        if cache.node.as_ptr() != Arc::as_ptr(node) {
            cache.forget();
            cache.node = Arc::downgrade(node);
        }
        let result = act(&mut cache);
        if cache.octets.capacity() > KEPT {
            cache.octets = Vec::new();
        }
        result
    })
}

/// Forgets where this thread sent to.
pub(crate) fn forget() {
    CACHE.with(|cache| {
        if let Ok(mut cache) = cache.try_borrow_mut() {
            cache.forget();
        }
    });
}

/// Gives this thread a buffer to encode in if it is larger than its own, which is given back
/// instead. A buffer that was just written is still near the processor.
pub(crate) fn give_buffer(buffer: &mut Vec<u8>) {
    CACHE.with(|cache| {
        if let Ok(mut cache) = cache.try_borrow_mut()
            && buffer.capacity() / 2 > cache.octets.capacity()
            && buffer.capacity() <= KEPT
        {
            std::mem::swap(buffer, &mut cache.octets);
            buffer.clear();
        }
    });
}

impl SendCache {
    fn forget(&mut self) {
        *self = SendCache {
            octets: std::mem::take(&mut self.octets),
            ..SendCache::default()
        };
    }

    /// The node's port of this name. It may be dead.
    #[inline]
    pub(super) fn port(&mut self, node: &Inner, name: &str) -> Option<&Arc<PortCell>> {
        let known = self.port.as_ref().is_some_and(|p| p.id.name() == name);
        if !known {
            self.port = Some(node.ports.get(name)?);
        }
        self.port.as_ref()
    }

    pub(super) fn forget_port(&mut self) {
        self.port = None;
    }

    /// The node of this ID, and the octets to be sent to it. It may be
    /// [gone](super::link::Retired).
    #[inline]
    pub(super) fn peer(&mut self, node: &Inner, id: &str) -> (&Arc<Peer>, &mut Vec<u8>) {
        self.peer.take_if(|peer| peer.id.as_str() != id);
        let peer = self.peer.get_or_insert_with(|| node.peer(id));
        (peer, &mut self.octets)
    }

    pub(super) fn forget_peer(&mut self) {
        self.peer = None;
    }
}
