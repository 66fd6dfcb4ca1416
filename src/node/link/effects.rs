//! What follows from a decision of the rules: closing, telling, firing.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::MutexGuard;

use super::attempt::Attempt;
use super::{Link, Peer, State, thread};
use crate::log::log_at;
use crate::node::jobs::{self, Job};
use crate::node::monitor::{self, Watcher};
use crate::node::{Inner, Loss, NodeEvent};
use crate::peering::{Afterwards, Effect, Step, Which};
use crate::proto::{Framing, NodeId, Reason};

impl Peer {
    /// Waits until no monitors are to fire.
    pub(crate) async fn settled(&self) {
        self.wait_until(|rules| !rules.is_failing()).await;
    }

    /// Loses the link of that number once everything is written, or cannot be for too long.
    pub(crate) fn fail_when_written(
        self: &Arc<Self>,
        node: &Arc<Inner>,
        serial: u64,
        loss: Loss,
        text: String,
    ) {
        const PATIENCE: Duration = Duration::from_secs(1);
        let (peer, home) = (self.clone(), node.clone());
        node.spawn_link_task(async move {
            let _ = tokio::time::timeout(PATIENCE, peer.wait_until_written()).await;
            jobs::enter(&home.runtime, || peer.fail(&home, serial, loss, &text));
        });
    }

    /// The link, or the attempt to get one, is lost. Nothing happens if `serial` is not the present
    /// one's.
    pub(crate) fn fail(self: &Arc<Self>, node: &Arc<Inner>, serial: u64, loss: Loss, text: &str) {
        self.lose(node, self.state.lock(), Which::Serial(serial), loss, text);
    }

    /// Loses the link for certain, whichever it is.
    pub(crate) fn disconnect(self: &Arc<Self>, node: &Arc<Inner>, text: &str) {
        self.lose(
            node,
            self.state.lock(),
            Which::Present,
            Loss::Shutdown,
            text,
        );
    }

    /// Gives up to connect to the node, if that is being tried.
    pub(crate) fn stop_connecting(self: &Arc<Self>, node: &Arc<Inner>, text: &str) {
        let state = self.state.lock();
        self.lose(node, state, Which::Attempt, Loss::Unreachable, text);
    }

    pub(super) fn lose(
        self: &Arc<Self>,
        node: &Arc<Inner>,
        mut state: MutexGuard<'_, State>,
        which: Which,
        loss: Loss,
        text: &str,
    ) {
        let reason = Reason::transport_error(self.id.as_str(), text);
        let sent = state.rules.outbox().sent();
        let effects = state.rules.lose(which, reason, node.next_serial());
        let unwritten = state.rules.unwritten();
        state.queue.force(unwritten);
        let link = state.link.clone();
        let link = link.filter(|_| effects.contains(&Effect::Close));
        if link.is_some() || effects.contains(&Effect::EndAttempt) {
            node.counters.lost(&self.id, link, sent, loss, text);
        }
        self.carry_out(node, state, effects);
    }

    /// A link is wanted, unless there is one.
    pub(super) fn want(self: &Arc<Self>, node: &Arc<Inner>, mut state: MutexGuard<'_, State>) {
        let effects = state.rules.want(node.next_serial());
        self.carry_out(node, state, effects);
    }

    /// Carries out what the rules have decided: first, still under the lock, what changes the link
    /// or the attempt that they speak of; then, in that order, what others are told.
    pub(super) fn carry_out(
        self: &Arc<Self>,
        node: &Arc<Inner>,
        mut state: MutexGuard<'_, State>,
        effects: Vec<Effect>,
    ) {
        for effect in &effects {
            match effect {
                Effect::Attempt(serial) => {
                    state.attempt = Some(Attempt::begin(node, self, *serial));
                }
                Effect::EndAttempt => {
                    if let Some(attempt) = state.attempt.take() {
                        attempt.end();
                    }
                }
                Effect::Close => {
                    if let Some(link) = state.link.take() {
                        link.end.end();
                    }
                    self.form.store(Framing::Json as u8, Ordering::Relaxed);
                    self.waits_on.store(0, Ordering::Relaxed);
                    state.held = None;
                }
                Effect::Changed
                | Effect::TellUp
                | Effect::Ended(_)
                | Effect::Settle
                | Effect::Forget => {}
            }
        }
        let link = state.link.clone();
        drop(state);
        for effect in effects {
            match effect {
                Effect::Attempt(_) | Effect::EndAttempt | Effect::Close => {}
                Effect::Changed => self.change.notify_waiters(),
                Effect::TellUp => {
                    if let Some(link) = &link {
                        self.tell_up(node, link);
                    }
                }
                Effect::Ended(life) => {
                    if let Some(relay) = &node.relay {
                        relay.ended(self, life);
                    }
                    let mut state = self.state.lock();
                    let effects = state.rules.ended(life);
                    self.carry_out(node, state, effects);
                }
                Effect::Settle => {
                    let peer = self.clone();
                    let settle = move |node: &Arc<Inner>| peer.settle(node);
                    jobs::schedule(node, Job::Call(Box::new(settle)));
                }
                Effect::Forget => node.peers.forget(self),
            }
        }
    }

    /// Tells everybody that the link is there.
    fn tell_up(self: &Arc<Self>, node: &Arc<Inner>, link: &Arc<Link>) {
        if let Some(relay) = &node.relay {
            relay.up(self, link);
        }
        log_up(link, &self.id);
        node.counters.link_made();
        node.tell_event(NodeEvent::Up {
            node: self.id.clone(),
            generation: link.generation(),
        });
        let mut state = self.state.lock();
        let (wake, effects) = state.rules.told(link.facts.serial);
        self.wake_writer(&state, wake);
        self.carry_out(node, state, effects);
    }

    /// Tells everybody of a loss, step by step.
    fn settle(self: &Arc<Self>, node: &Arc<Inner>) {
        loop {
            let mut state = self.state.lock();
            // Asked under the lock: whoever stops the node later finds what is begun here.
            let afterwards = match node.is_stopping() {
                true => Afterwards::Stop,
                false => Afterwards::GoOn,
            };
            let step = state.rules.settle(afterwards, node.next_serial());
            if let Step::Settled(effects) = step {
                return self.carry_out(node, state, effects);
            }
            drop(state);
            match step {
                Step::TellUnreachable => node.control.want_no_more(node, &self.id),
                Step::Unwatch(names) => {
                    let ours = |_, watcher: &Watcher| matches!(watcher, Watcher::Node(id) if *id == self.id);
                    for port in names.iter().filter_map(|name| node.ports.get(name)) {
                        port.unwatch(ours);
                    }
                }
                Step::Fire(actions, reason) => thread::firing(self, || {
                    for action in actions {
                        monitor::fire(node, action, reason.clone());
                    }
                }),
                Step::TellDown(reason) => node.tell_event(NodeEvent::Down {
                    node: self.id.clone(),
                    reason,
                }),
                Step::Settled(_) => {}
            }
        }
    }
}

/// Logs that a link is there, and to whom.
fn log_up(link: &Link, id: &NodeId) {
    let remote = &link.remote;
    let Some(tls) = &link.tls else {
        return log_at!(9, "{remote} connected as {id}");
    };
    let (version, cipher) = (&tls.version, &tls.cipher);
    match &tls.peer {
        Some(peer) => log_at!(
            9,
            "{remote} connected as {id} ({version}, {cipher}, {}, SHA256 Fingerprint={}, SHA1 \
             Fingerprint={})",
            peer.subject,
            peer.sha256,
            peer.sha1
        ),
        None => log_at!(
            9,
            "{remote} connected as {id} ({version}, {cipher}, no certificate)"
        ),
    }
}
