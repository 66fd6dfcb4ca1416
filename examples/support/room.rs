//! The chat itself: who takes part, and everything said passed on to all.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use aemp::{Node, PortId};

use crate::text;

/// Those who chat: the ports of the clients.
#[derive(Clone, Default)]
pub struct Room(Arc<Mutex<BTreeSet<PortId>>>);

impl Room {
    /// Lets a client in. It leaves when its port dies, or when its node can't be reached any more.
    pub fn join(&self, node: &Node, client: &PortId, nick: &str) {
        if !self.clients(|all| all.insert(client.clone())) {
            return;
        }
        let (room, home) = (self.clone(), node.clone());
        let (gone, name) = (client.clone(), nick.to_owned());
        node.mon(client, move |reason| {
            room.clients(|all| all.remove(&gone));
            room.say(&home, &format!("{name} (quits, {reason})"));
        });
        self.say(node, &format!("{nick} (joins)"));
    }

    /// Tells everyone.
    pub fn say(&self, node: &Node, line: &str) {
        let said = [b"relaying: ", &text::octets(line)[..], b"\n"].concat();
        // A server whose output nobody reads serves on.
        let _ = std::io::stdout().write_all(&said);
        for client in self.clients(|all| all.clone()) {
            node.snd(client, &[line]).expect("a string serialises");
        }
    }

    fn clients<T>(&self, work: impl FnOnce(&mut BTreeSet<PortId>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
