//! The local ports by name.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use parking_lot::RwLock;
use tokio::sync::Notify;

use super::port::PortCell;
use super::settings::HighWater;
use crate::proto::id::perl_counter;

/// Links that deliver at the same time seldom meet in one of so many parts.
const PARTS: usize = 64;

/// The local ports by name. The names are those that the ports hold themselves.
pub(crate) struct Ports {
    hasher: RandomState,
    parts: [RwLock<HashTable<Arc<PortCell>>>; PARTS],
    /// The cookies in the names of ports: of our own, and of those that we spawn elsewhere.
    own_cookie: String,
    remote_cookie: String,
    /// How many names were given.
    names: AtomicU64,
    /// Tells senders that a port's queue has become shorter.
    room: Notify,
}

impl Ports {
    /// No ports. The names that they will get are made with these cookies.
    pub(super) fn new(own_cookie: String, remote_cookie: String) -> Self {
        Ports {
            hasher: RandomState::default(),
            parts: std::array::from_fn(|_| RwLock::default()),
            own_cookie,
            remote_cookie,
            names: AtomicU64::new(0),
            room: Notify::new(),
        }
    }

    /// A name for a local port.
    pub(super) fn new_name(&self) -> String {
        self.next_name(&self.own_cookie)
    }

    /// A name for a port that is to be created on another node.
    pub(super) fn new_remote_name(&self) -> String {
        self.next_name(&self.remote_cookie)
    }

    fn next_name(&self, cookie: &str) -> String {
        let n = self.names.fetch_add(1, Ordering::Relaxed);
        format!("{cookie}.{}", perl_counter(n))
    }

    /// Waits until the port has room, or is dead.
    pub(super) async fn wait_for_room(&self, port: &PortCell, high: HighWater) {
        loop {
            let room = self.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            if port.has_room(high) {
                return;
            }
            room.await;
        }
    }

    /// Tells those who wait for room in a port.
    pub(super) fn tell_room(&self) {
        self.room.notify_waiters();
    }

    #[inline]
    pub(crate) fn hash(&self, name: &[u8]) -> u64 {
        use std::hash::BuildHasher as _;
        self.hasher.hash_one(name)
    }

    fn part(&self, hash: u64) -> &RwLock<HashTable<Arc<PortCell>>> {
        // The table itself uses the lowest and the highest bits.
        &self.parts[(hash >> 32) as usize % PARTS]
    }

    pub(crate) fn get(&self, name: &str) -> Option<Arc<PortCell>> {
        self.get_hashed(self.hash(name.as_bytes()), name.as_bytes())
    }

    /// The port of a name that may not be UTF-8 and has this hash.
    pub(crate) fn get_hashed(&self, hash: u64, name: &[u8]) -> Option<Arc<PortCell>> {
        self.with_hashed(hash, name, Arc::clone)
    }

    /// Does something short with a port, which must not come back to this table.
    pub(crate) fn with<R>(&self, name: &str, act: impl FnOnce(&Arc<PortCell>) -> R) -> Option<R> {
        self.with_hashed(self.hash(name.as_bytes()), name.as_bytes(), act)
    }

    fn with_hashed<R>(
        &self,
        hash: u64,
        name: &[u8],
        act: impl FnOnce(&Arc<PortCell>) -> R,
    ) -> Option<R> {
        let part = self.part(hash).read();
        part.find(hash, |port| port.id.name().as_bytes() == name)
            .map(act)
    }

    pub(crate) fn remove(&self, name: &str) {
        let hash = self.hash(name.as_bytes());
        let mut part = self.part(hash).write();
        let found = part.find_entry(hash, |port| port.id.name() == name);
        let removed = found.ok().map(|entry| entry.remove().0);
        drop(part);
        // What a port holds may run code when it is dropped: not under our lock.
        drop(removed);
    }

    pub(crate) fn len(&self) -> usize {
        self.parts.iter().map(|part| part.read().len()).sum()
    }

    pub(crate) fn all(&self) -> Vec<Arc<PortCell>> {
        let part = |part: &RwLock<HashTable<Arc<PortCell>>>| -> Vec<_> {
            part.read().iter().cloned().collect()
        };
        self.parts.iter().flat_map(part).collect()
    }

    /// Adds a port, unless one of that name is there.
    pub(crate) fn insert(&self, port: Arc<PortCell>) -> bool {
        let hash = self.hash(port.id.name().as_bytes());
        let mut part = self.part(hash).write();
        let rehash = |port: &Arc<PortCell>| self.hash(port.id.name().as_bytes());
        match part.entry(hash, |other| other.id.name() == port.id.name(), rehash) {
            hashbrown::hash_table::Entry::Occupied(_) => false,
            hashbrown::hash_table::Entry::Vacant(entry) => {
                entry.insert(port);
                true
            }
        }
    }
}

/// What remembers a port for the next message must not keep alive what the port's code holds.
impl Drop for Ports {
    fn drop(&mut self) {
        for port in self.all() {
            port.abandon();
        }
    }
}
