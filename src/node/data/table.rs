//! Who expects which connection.

use std::collections::HashMap;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::super::held::Level;
use super::{DataStream, Function};
use crate::proto::{Message, NodeId, PortId};

/// So many connections a peer may have this node expect at a time, and all peers together.
const MOST_OF_ONE: usize = 256;
const MOST: usize = 4096;

/// A connection that is expected.
pub(super) struct Entry {
    pub(super) serial: u64,
    /// The certificate that the other node showed on the link, as its fingerprint: it has to be the
    /// same here.
    pub(super) certificate: Option<String>,
    pub(super) taker: Taker,
}

/// Who takes it.
pub(super) enum Taker {
    /// Who waits for it here.
    Opener(oneshot::Sender<DataStream>),
    /// A function, as the other node wants.
    Function(Serving),
}

/// What the other node wants done with a connection.
pub(super) struct Serving {
    pub(super) function: Function,
    pub(super) name: String,
    pub(super) args: Message,
    /// The port there that is killed if it fails.
    pub(super) port: PortId,
    /// This node was asked to connect, and does so.
    pub(super) connects: bool,
    /// What the arguments take, in the peer's account.
    pub(super) _held: Level,
}

/// Why a connection is not expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotExpected {
    #[error("{MOST_OF_ONE} data connections of this node are expected already")]
    TooMany,
    #[error("{MOST} data connections are expected already")]
    TooManyInAll,
    /// It is the ID of a connection that this node has begun itself.
    #[error("the ID is in use")]
    InUse,
}

/// The connections that are expected, by the node at the other end and their IDs.
#[derive(Default)]
pub(super) struct Expected(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    of: HashMap<NodeId, HashMap<String, Entry>>,
    /// How many of them are for functions.
    serving: usize,
}

impl Entries {
    fn remove(&mut self, peer: &NodeId, id: &str) -> Option<Entry> {
        let own = self.of.get_mut(peer)?;
        let entry = own.remove(id)?;
        if own.is_empty() {
            self.of.remove(peer);
        }
        if matches!(entry.taker, Taker::Function(_)) {
            self.serving -= 1;
        }
        Some(entry)
    }
}

impl Expected {
    /// Expects a connection to `peer`. Who says the same ID once more, as it may after a new start,
    /// means the new one.
    pub(super) fn add(&self, peer: &NodeId, id: &str, entry: Entry) -> Result<(), NotExpected> {
        let _replaced;
        let mut entries = self.0.lock();
        if matches!(entry.taker, Taker::Function(_)) {
            let own = entries.of.get(peer);
            let present = own.and_then(|own| own.get(id));
            match present.map(|entry| &entry.taker) {
                Some(Taker::Opener(_)) => return Err(NotExpected::InUse),
                Some(Taker::Function(_)) => {}
                None if own.is_some_and(|own| own.len() >= MOST_OF_ONE) => {
                    return Err(NotExpected::TooMany);
                }
                None if entries.serving >= MOST => return Err(NotExpected::TooManyInAll),
                None => {}
            }
            entries.serving += 1;
        }
        _replaced = entries.remove(peer, id);
        let own = entries.of.entry(peer.clone()).or_default();
        own.insert(id.to_owned(), entry);
        Ok(())
    }

    /// The connection is there, or will not come: who took it?
    pub(super) fn take(&self, peer: &NodeId, id: &str) -> Option<Entry> {
        self.0.lock().remove(peer, id)
    }

    /// The same, unless it is another one by now.
    pub(super) fn take_this(&self, peer: &NodeId, id: &str, serial: u64) -> Option<Entry> {
        let mut entries = self.0.lock();
        let present = entries.of.get(peer)?.get(id)?;
        match present.serial == serial {
            true => entries.remove(peer, id),
            false => None,
        }
    }

    /// The peer asks this node to connect for it: its number, unless it is not expected, or has
    /// been asked for already.
    pub(super) fn connects(&self, peer: &NodeId, id: &str) -> Option<u64> {
        let mut entries = self.0.lock();
        let entry = entries.of.get_mut(peer)?.get_mut(id)?;
        match &mut entry.taker {
            Taker::Function(serving) if !serving.connects => {
                serving.connects = true;
                Some(entry.serial)
            }
            Taker::Function(_) | Taker::Opener(_) => None,
        }
    }

    /// Forgets them all.
    pub(super) fn clear(&self) {
        let entries = std::mem::take(&mut *self.0.lock());
        drop(entries);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::super::code::Outcome;
    use super::super::super::held::Memory;
    use super::*;

    fn serving(serial: u64) -> Entry {
        let function = Function {
            check: Arc::new(|_| Ok(())),
            run: Arc::new(|_, _, _| Outcome::Done(Ok(()))),
        };
        Entry {
            serial,
            certificate: None,
            taker: Taker::Function(Serving {
                function,
                name: "f".to_owned(),
                args: Message::from_values(&[]),
                port: PortId::new("peer#p"),
                connects: false,
                _held: Memory::new(1 << 20).account().level(),
            }),
        }
    }

    fn node(name: &str) -> NodeId {
        NodeId::new(name)
    }

    #[test]
    fn a_peer_takes_its_own_and_no_others() {
        let table = Expected::default();
        table.add(&node("a"), "b@a", serving(1)).unwrap();
        assert!(table.take(&node("c"), "b@a").is_none());
        assert!(table.take(&node("a"), "c@a").is_none());
        assert_eq!(table.take(&node("a"), "b@a").unwrap().serial, 1);
        assert!(table.take(&node("a"), "b@a").is_none());
    }

    #[test]
    fn what_is_said_again_is_meant_anew() {
        let table = Expected::default();
        let a = node("a");
        table.add(&a, "b@a", serving(1)).unwrap();
        table.add(&a, "b@a", serving(2)).unwrap();
        assert!(table.take_this(&a, "b@a", 1).is_none());
        // It is connected for once.
        assert_eq!(table.connects(&a, "b@a"), Some(2));
        assert_eq!(table.connects(&a, "b@a"), None);
        assert!(table.take_this(&a, "b@a", 2).is_some());
        assert_eq!(table.connects(&a, "b@a"), None);

        // But nobody takes the place of what this node has begun.
        let (opener, _opened) = oneshot::channel();
        let own = Entry {
            taker: Taker::Opener(opener),
            ..serving(3)
        };
        table.add(&a, "b@us", own).unwrap();
        let refused = table.add(&a, "b@us", serving(4));
        assert_eq!(refused, Err(NotExpected::InUse));
        assert_eq!(table.connects(&a, "b@us"), None);
        assert_eq!(table.take(&a, "b@us").unwrap().serial, 3);
    }

    #[test]
    fn there_are_so_many_at_the_most() {
        let table = Expected::default();
        for n in 0..MOST {
            let peer = node(&format!("n{}", n / MOST_OF_ONE));
            table.add(&peer, &n.to_string(), serving(1)).unwrap();
        }
        let refused = table.add(&node("n0"), "one more", serving(1));
        assert_eq!(refused, Err(NotExpected::TooMany));
        let refused = table.add(&node("new"), "first", serving(1));
        assert_eq!(refused, Err(NotExpected::TooManyInAll));
        // Where one went there is room again.
        table.take(&node("n0"), "7").unwrap();
        table.add(&node("new"), "first", serving(1)).unwrap();
        table.clear();
        assert!(table.take(&node("new"), "first").is_none());
    }
}
