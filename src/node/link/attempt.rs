//! Runs an attempt to reach a node, by its [`Schedule`].

use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::Peer;
use super::admission::{self, Purpose};
use crate::log::log_at;
use crate::node::{Inner, Loss};
use crate::peering::{Next, Schedule, Turn, Wish};

/// The time that the rules are told: the runtime's, which tests can stop.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The attempt to get a link.
pub(super) struct Attempt {
    serial: u64,
    schedule: Mutex<Schedule>,
    /// New addresses became known.
    news: Notify,
    ended: CancellationToken,
}

impl Attempt {
    /// Begins it, as a task.
    pub(super) fn begin(node: &Arc<Inner>, peer: &Arc<Peer>, serial: u64) -> Arc<Self> {
        let turn = match node.id > peer.id {
            true => Turn::Second,
            false => Turn::First,
        };
        let settings = &node.settings;
        let schedule = Schedule::new(
            now(),
            turn,
            settings.connect_interval,
            settings.monitor_timeout(),
            node.random.fraction(),
        );
        let attempt = Arc::new(Attempt {
            serial,
            schedule: Mutex::new(schedule),
            news: Notify::new(),
            ended: CancellationToken::new(),
        });
        let (home, peer, own) = (node.clone(), peer.clone(), attempt.clone());
        node.spawn_task(async move {
            own.run(&home, &peer).await;
            home.control.attempt_ended(&home, &peer.id);
        });
        attempt
    }

    /// Ends it: there is a link, or the attempt is given up.
    pub(super) fn end(&self) {
        self.ended.cancel();
    }

    /// For whom it was begun.
    pub(super) fn is_for(&self, wish: Wish) {
        self.schedule.lock().is_for(wish);
    }

    /// The node may be at these addresses as well.
    pub(super) fn add(&self, addresses: &[String]) {
        self.schedule.lock().add(addresses);
        self.news.notify_one();
    }

    /// Runs until there is a link or the time is up.
    async fn run(self: &Arc<Self>, node: &Arc<Inner>, peer: &Arc<Peer>) {
        while !self.ended.is_cancelled() {
            if peer.waits() {
                self.is_for(Wish::Program);
            }
            let random = node.random.fraction();
            let next = self.schedule.lock().next(now(), random);
            match next {
                Next::Ask => node.control.want(node, &peer.id),
                Next::Dial(address) => self.dial(node, peer, address),
                Next::Wait(until) => {
                    // There may be something to be sent by then, which makes it more urgent.
                    let until = until.min(now() + node.settings.connect_interval);
                    tokio::select! {
                        biased; // so that the same schedule gives the same history
                        () = self.ended.cancelled() => return,
                        () = self.news.notified() => {}
                        () = tokio::time::sleep_until(until.into()) => {}
                    }
                }
                Next::GiveUp => {
                    return peer.fail(node, self.serial, Loss::Unreachable, "unable to connect");
                }
            }
        }
    }

    fn dial(self: &Arc<Self>, node: &Arc<Inner>, peer: &Arc<Peer>, address: String) {
        let (home, own, peer) = (node.clone(), self.clone(), peer.id.clone());
        node.spawn_task(async move {
            let right = tokio::select! {
                biased;
                () = own.ended.cancelled() => None,
                right = admission::right_to_dial(&home) => right,
            };
            if right.is_some() {
                log_at!(9, "connecting to {peer} at {address}");
                // The attempt goes on, whatever became of this try; `dial` has logged it.
                let _ = admission::dial(home.clone(), &address, Purpose::Node).await;
            }
            own.schedule.lock().ended(&address);
            own.news.notify_one();
        });
    }
}
