//! Sends the lines of this process to the nodes that catch them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::log::catch::{Catch, Line, quietly};
use crate::log::log_at;
use crate::node::monitor::Action;
use crate::node::request::Origin;
use crate::node::{Inner, SendError};
use crate::peering::Room;
use crate::proto::message::Num;
use crate::proto::{Generation, Message, NodeId, PortId};

/// So many ports of a node may get lines at a time: one is usual, and two while the level changes.
const MOST_OF_ONE: usize = 8;

/// A line waits while so many octets wait to be sent to the node.
const ROOM: usize = 64 * 1024;

/// How many ports of each node get lines.
#[derive(Default)]
pub(crate) struct Sources(Arc<Mutex<HashMap<NodeId, usize>>>);

/// One of them.
struct Place {
    of: Arc<Mutex<HashMap<NodeId, usize>>>,
    node: NodeId,
}

impl Sources {
    fn place(&self, node: &NodeId) -> Option<Place> {
        let mut all = self.0.lock();
        let own = all.entry(node.clone()).or_default();
        if *own >= MOST_OF_ONE {
            return None;
        }
        *own += 1;
        Some(Place {
            of: self.0.clone(),
            node: node.clone(),
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut all = self.of.lock();
        if let Some(own) = all.get_mut(&self.node) {
            *own -= 1;
            if *own == 0 {
                all.remove(&self.node);
            }
        }
    }
}

/// Begins to send lines to a port, until it dies, as a request says: a version, the port, the
/// highest level.
pub(in crate::node) fn send_to(
    node: &Arc<Inner>,
    origin: &Origin<'_>,
    args: &Message,
) -> Result<(), String> {
    let read = args.args::<(Num<f64>, PortId, Num<f64>)>();
    let (Num(version), port, Num(level)) = read.map_err(|error| error.to_string())?;
    if version.trunc() != 0.0 {
        return Err(format!("version {version} of log lines is not known here"));
    }
    let peer = &origin.peer.id;
    if port.node() != peer.as_str() {
        return Err(format!("{port} is no port of {peer}"));
    }
    let place = node.sources.place(peer);
    let place = place.ok_or_else(|| format!("{MOST_OF_ONE} ports get log lines already"))?;
    // What is no number of ours is none, or all.
    let level = level.clamp(0.0, 9.0) as u8;
    let sending = Sending {
        node: node.clone(),
        generation: origin.generation,
        port,
        _place: place,
    };
    node.spawn_task(sending.run(level));
    Ok(())
}

/// Lines on their way to a port.
struct Sending {
    node: Arc<Inner>,
    generation: Generation,
    port: PortId,
    _place: Place,
}

impl Sending {
    async fn run(self, level: u8) {
        let (tell, mut died) = oneshot::channel();
        let died_there = Action::call(move |_| {
            let _ = tell.send(());
        });
        let _monitor = self.node.monitor(&self.port, died_there).guard();
        let Some(highest) = highest(self.generation, level) else {
            return;
        };
        let mut catch = Catch::new(highest);
        log_at!(
            8,
            [self.port.node()],
            "log lines up to level {level} are sent to {}",
            self.port
        );
        loop {
            let work = async {
                let line = catch.next().await?;
                self.send(&line).await.ok()?;
                match catch.dropped() {
                    0 => Some(()),
                    lines => self.send(&self.lost(lines, line)).await.ok(),
                }
            };
            tokio::select! {
                biased; // the link is lost, or nothing is wanted any more
                _ = &mut died => return,
                done = work => if done.is_none() {
                    return;
                },
            }
        }
    }

    /// What is said of lines that had no room.
    fn lost(&self, lines: u64, last: Line) -> Line {
        Line {
            level: 1,
            context: "aemp",
            text: format!("{lines} log lines had no room on the way to {}", self.port).into(),
            ..last
        }
    }

    /// Sends a line as soon as there is room for it. Nothing that is logged meanwhile is caught.
    async fn send(&self, line: &Line) -> Result<(), SendError> {
        let sending = self.send_as_usual(line);
        tokio::pin!(sending);
        std::future::poll_fn(|cx| quietly(|| sending.as_mut().poll(cx))).await
    }

    async fn send_as_usual(&self, line: &Line) -> Result<(), SendError> {
        let (node, port) = (&self.node, &self.port);
        let message = self.message(line)?;
        loop {
            // A line is no reason to connect.
            if !node.peers.get(port.node()).is_some_and(|peer| peer.is_up()) {
                return Ok(());
            }
            match node.snd_if_room(port, &message, Room::Below(ROOM))? {
                None => return Ok(()),
                Some(full) => node.wait_for_room(port, full, ROOM).await,
            }
        }
    }

    fn message(&self, line: &Line) -> Result<Message, SendError> {
        let text = &*line.text;
        Ok(match self.generation {
            Generation::Gen2 => {
                let time = line.time.duration_since(UNIX_EPOCH).unwrap_or_default();
                let level = modern(line.level);
                Message::encode(&(time.as_secs_f64(), line.context, level, text))?
            }
            Generation::Gen0 | Generation::Gen1a | Generation::Gen1b => {
                Message::encode(&(line.level, text))?
            }
        })
    }
}

/// The level that generation 2 has for one of the levels here, which are those of the generations
/// before: AnyEvent's own, where 4 is an error, 5 a warning and 6 a note.
fn modern(level: u8) -> u8 {
    match level {
        0 | 1 => 4,
        2..=4 => 5,
        5 | 6 => 6,
        level => level,
    }
}

/// The highest level here of the lines that are wanted up to a level there, if there are any.
fn highest(generation: Generation, level: u8) -> Option<u8> {
    match generation {
        Generation::Gen2 => (0..=9).rev().find(|own| modern(*own) <= level),
        Generation::Gen0 | Generation::Gen1a | Generation::Gen1b => Some(level),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_of_both_kinds() {
        let (old, new) = (Generation::Gen1b, Generation::Gen2);
        for level in 0..=9 {
            assert_eq!(highest(old, level), Some(level));
        }
        let found: Vec<_> = (0..=9).map(|level| highest(new, level)).collect();
        let wanted = [None, None, None, None, Some(1), Some(4), Some(6), Some(7)];
        assert_eq!(found[..8], wanted);
        assert_eq!(found[8..], [Some(8), Some(9)]);
    }

    #[test]
    fn a_node_has_so_many_places() {
        let sources = Sources::default();
        let (a, b) = (NodeId::new("a"), NodeId::new("b"));
        let places: Vec<_> = (0..MOST_OF_ONE).map(|_| sources.place(&a)).collect();
        assert!(places.iter().all(Option::is_some));
        assert!(sources.place(&a).is_none() && sources.place(&b).is_some());
        drop(places);
        assert!(sources.place(&a).is_some());
        assert!(sources.0.lock().is_empty());
    }
}
