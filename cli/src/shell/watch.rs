//! What comes by itself: the deaths of those that are monitored, and messages to the shell's ports.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aemp::{Message, Monitor, Node, PortId, Reason};
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

/// How much may wait to be shown. A port that is flooded must not take the memory of the shell.
const MOST_WAITING: usize = 1024;

/// Something that has come.
#[derive(Debug)]
pub(super) enum Told {
    Died(PortId, Reason),
    Message(PortId, Message),
}

/// Who is monitored. Each has a number, so that a monitor that fires takes none away that was set
/// since.
#[derive(Default)]
struct Monitors {
    all: HashMap<PortId, (u64, Option<Monitor>)>,
    last: u64,
}

/// What is looked at.
#[derive(Clone)]
pub(super) struct Watch {
    node: Node,
    monitors: Arc<Mutex<Monitors>>,
    /// How many are monitored.
    left: Arc<watch::Sender<usize>>,
    tell: mpsc::Sender<Told>,
    /// What there was no room for.
    lost: Arc<AtomicU64>,
}

impl Watch {
    pub(super) fn new(node: &Node) -> (Self, mpsc::Receiver<Told>) {
        let (tell, told) = mpsc::channel(MOST_WAITING);
        let watch = Watch {
            node: node.clone(),
            monitors: Arc::default(),
            left: Arc::new(watch::Sender::new(0)),
            tell,
            lost: Arc::default(),
        };
        (watch, told)
    }

    fn tell(&self, told: Told) {
        if self.tell.try_send(told).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How much was lost since this was last asked.
    pub(super) fn lost(&self) -> u64 {
        self.lost.swap(0, Ordering::Relaxed)
    }

    /// Monitors a port, or a node. Who is monitored already is so once.
    pub(super) fn monitor(&self, port: &PortId) {
        let number = {
            let mut monitors = self.monitors.lock();
            if monitors.all.contains_key(port) {
                return;
            }
            monitors.last += 1;
            let number = monitors.last;
            monitors.all.insert(port.clone(), (number, None));
            self.left.send_replace(monitors.all.len());
            number
        };
        let (own, of) = (self.clone(), port.clone());
        let monitor = self
            .node
            .mon(port, move |reason| own.fired(&of, number, reason));
        // It may have fired, and another be there.
        let mut monitors = self.monitors.lock();
        match monitors.all.get_mut(port) {
            Some((own, slot)) if *own == number => *slot = Some(monitor),
            _ => monitor.stop(),
        }
    }

    fn fired(&self, port: &PortId, number: u64, reason: Reason) {
        let mut monitors = self.monitors.lock();
        if monitors.all.get(port).is_none_or(|(own, _)| *own != number) {
            return;
        }
        monitors.all.remove(port);
        // Who waits for it finds it told.
        self.tell(Told::Died(port.clone(), reason));
        self.left.send_replace(monitors.all.len());
    }

    /// Monitors it no more; whether it was.
    pub(super) fn unmonitor(&self, port: &PortId) -> bool {
        let mut monitors = self.monitors.lock();
        let old = monitors.all.remove(port);
        self.left.send_replace(monitors.all.len());
        drop(monitors);
        if let Some((_, Some(monitor))) = &old {
            monitor.stop();
        }
        old.is_some()
    }

    /// Who is monitored, sorted.
    pub(super) fn monitored(&self) -> Vec<PortId> {
        let mut all: Vec<PortId> = self.monitors.lock().all.keys().cloned().collect();
        all.sort_unstable();
        all
    }

    /// Waits until nobody is left.
    pub(super) async fn all_died(&self, limit: Duration) -> bool {
        let mut left = self.left.subscribe();
        timeout(limit, left.wait_for(|left| *left == 0))
            .await
            .is_ok()
    }

    /// Makes a port, and tells of what it is sent.
    pub(super) fn port(&self) -> PortId {
        let own = self.clone();
        let port = self.node.port_with(move |context, message| {
            own.tell(Told::Message(context.id().clone(), message));
        });
        port.id().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn next(told: &mut mpsc::Receiver<Told>) -> String {
        let told = timeout(Duration::from_secs(9), told.recv()).await;
        format!("{:?}", told.unwrap().unwrap())
    }

    #[tokio::test]
    async fn each_death_is_told_once() {
        let node = Node::local();
        let (watch, mut told) = Watch::new(&node);
        let (one, other) = (node.port(), node.port());
        for port in [&one, &other, &one] {
            watch.monitor(port.id());
        }
        assert_eq!(watch.monitored().len(), 2);
        assert!(!watch.all_died(Duration::ZERO).await);
        one.kil(Reason::new(["why"]));
        assert_eq!(
            next(&mut told).await,
            format!("Died({:?}, <why>)", one.id())
        );
        assert!(watch.unmonitor(other.id()) && !watch.unmonitor(one.id()));
        assert!(watch.all_died(Duration::ZERO).await);
        other.kil(Reason::normal());
        // One that is dead is told of, too, and can be monitored again and again.
        for _ in 0..2 {
            watch.monitor(other.id());
            assert!(next(&mut told).await.contains("no_such_port"));
            assert!(watch.monitored().is_empty());
        }
        assert!(told.try_recv().is_err());
    }

    #[tokio::test]
    async fn a_flood_is_counted() {
        let node = Node::local();
        let (watch, mut told) = Watch::new(&node);
        let port = watch.port();
        for n in 0..MOST_WAITING + 10 {
            node.snd(&port, &(n,)).unwrap();
        }
        let mut inbox = node.mailbox();
        // It comes behind those messages.
        node.snd(&port, &("last",)).unwrap();
        node.mon_snd(&port, inbox.id(), &("died",)).unwrap();
        node.kil(&port, Reason::normal());
        inbox.recv().await.unwrap();
        assert_eq!(watch.lost(), 11);
        assert_eq!(watch.lost(), 0);
        assert!(next(&mut told).await.contains("Message"));
    }
}
