//! The supervisor's task: carries out what the [core](super::core) decides, and tells it what
//! happened.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::MutexGuard;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::core::{Action, State, Verdict};
use super::start::{Attempt, News, Note, Notes};
use super::table::{Command, Shared, Table, shutdown};
use super::terms::{Key, seconds};
use super::{Intensity, SupervisorEvent};
use crate::log::log_at;
use crate::node::Context;
use crate::proto::{PortId, Reason};

pub(super) struct Shell {
    shared: Arc<Shared>,
    context: Context,
    epoch: Instant,
    commands: mpsc::Receiver<Command>,
    notes: mpsc::UnboundedReceiver<Note>,
    /// To give to starts and monitors.
    sender: Notes,
    intensity: Intensity,
    /// Why siblings of a dead child are stopped.
    cause: Reason,
    /// Why the supervisor ends, once it does.
    end: Option<Reason>,
    /// The supervisor's port is dead.
    killed: bool,
}

impl Shell {
    pub(super) fn spawn(
        shared: Arc<Shared>,
        commands: mpsc::Receiver<Command>,
        intensity: Intensity,
    ) {
        let (sender, notes) = mpsc::unbounded_channel();
        let killed = sender.clone();
        shared.node.mon(&shared.port, move |reason| {
            let _ = killed.send(Note::Killed(reason)); // it may have ended itself
        });
        let inner = shared.node.inner().clone();
        let shell = Shell {
            context: Context::new(&inner, shared.port.clone()),
            shared,
            epoch: Instant::now(),
            commands,
            notes,
            sender,
            intensity,
            cause: Reason::normal(),
            end: None,
            killed: false,
        };
        let span = tracing::debug_span!(target: crate::log::SPAN_TARGET, "supervisor",
            node = %inner.id, port = %shell.shared.port);
        inner.spawn_task(shell.run().instrument(span));
    }

    async fn run(mut self) {
        while !self.act() {
            self.shared.changed.send_modify(|_| {});
            let now = self.epoch.elapsed();
            let timer = self.table().core.next_timer(now);
            let due = timer.and_then(|at| self.epoch.checked_add(at));
            let timer = async move {
                match due {
                    Some(due) => sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased; // what has happened comes before what is wanted
                Some(note) = self.notes.recv() => self.note(note),
                Some(command) = self.commands.recv() => self.command(command),
                () = timer => {}
            }
        }
        if !self.killed {
            let reason = self.end.clone().unwrap_or_default();
            self.shared.node.kil(&self.shared.port, reason);
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.shared.table.lock()
    }

    /// Does what is to be done now. True: everything is.
    fn act(&mut self) -> bool {
        loop {
            let now = self.epoch.elapsed();
            let action = self.table().core.poll(now);
            match action {
                None => return false,
                Some(Action::Finished) => return true,
                Some(Action::Start(key)) => self.start(key),
                Some(Action::Stop(key)) => self.stop(key),
                Some(Action::Abandon(key)) => self.abandon(key),
                Some(Action::Forget(key)) => self.forget(key),
            }
        }
    }

    fn start(&mut self, key: Key) {
        let mut table = self.table();
        let Some(entry) = table.entries.get_mut(&key) else {
            return;
        };
        entry.round += 1;
        entry.stop_reason = None;
        entry.cancel = CancellationToken::new();
        let attempt = Attempt {
            supervisor: self.shared.name.clone(),
            key,
            round: entry.round,
            child: entry.child.clone(),
            avoid: entry.lost_with(),
            notes: self.sender.clone(),
            cancel: entry.cancel.clone(),
        };
        drop(table);
        attempt.launch(self.context.clone());
    }

    fn stop(&mut self, key: Key) {
        let mut table = self.table();
        let Some(entry) = table.entries.get_mut(&key) else {
            return;
        };
        let own = entry.stop_reason.take();
        let reason = self
            .end
            .clone()
            .or(own)
            .unwrap_or_else(|| self.cause.clone());
        entry.stop_reason = Some(reason.clone());
        entry.cancel.cancel();
        let port = entry.port.clone();
        drop(table);
        if let Some(port) = port {
            self.shared.node.kil(&port, reason);
        }
    }

    fn abandon(&mut self, key: Key) {
        let mut table = self.table();
        let Some(entry) = table.entries.get_mut(&key) else {
            return;
        };
        entry.round += 1; // its end is of no interest any more
        let (child, port) = (entry.child.name.clone(), entry.port.take());
        entry.last_reason.clone_from(&entry.stop_reason);
        table.settle(key);
        drop(table);
        let name = &self.shared.name;
        let shown = port.as_ref().map_or("its start", PortId::as_str);
        log_at!(
            2,
            "supervisor {name}: child {child} ({shown}) did not end in time"
        );
        self.shared.tell(SupervisorEvent::Abandoned { child, port });
    }

    fn forget(&mut self, key: Key) {
        let mut table = self.table();
        let Some(mut entry) = table.entries.remove(&key) else {
            return;
        };
        let child = entry.child.name.clone();
        table.names.remove(&child);
        drop(table); // what the entry holds is the program's
        let reason = entry.last_reason.take().unwrap_or_default();
        entry.not_started(&reason);
        for reply in entry.for_down.drain(..) {
            let _ = reply.send(Ok(()));
        }
        self.shared.tell(SupervisorEvent::Removed { child });
    }

    fn note(&mut self, note: Note) {
        match note {
            Note::Killed(reason) => {
                self.killed = true;
                self.end = Some(reason);
                self.table().core.shut_down();
            }
            Note::Child(key, round, news) => {
                let mut table = self.shared.table.lock();
                match table.entries.get_mut(&key) {
                    Some(entry) if entry.round == round => {}
                    // The start was given up, but came to something.
                    _ => {
                        drop(table);
                        if let News::Started(port) = news {
                            self.shared
                                .node
                                .kil(&port, shutdown("its start came too late"));
                        }
                        return;
                    }
                }
                let deed = match news {
                    News::Started(port) => {
                        self.started(table, key, port);
                        return;
                    }
                    News::Waiting => {
                        table.core.parked(key);
                        let child = table
                            .entries
                            .get(&key)
                            .map(|entry| entry.child.name.clone());
                        drop(table);
                        if let Some(child) = child {
                            self.shared.tell(SupervisorEvent::Waiting { child });
                        }
                        return;
                    }
                    News::Cancelled => None,
                    News::Failed(reason) => Some((None, reason)),
                    News::Ended(reason) => {
                        let entry = table.entries.get_mut(&key);
                        Some((entry.and_then(|entry| entry.port.take()), reason))
                    }
                };
                drop(table);
                self.ended(key, deed);
            }
        }
    }

    fn started(&self, mut table: MutexGuard<'_, Table>, key: Key, port: PortId) {
        table.core.started(key, self.epoch.elapsed());
        let slot = table.core.slot(key);
        let stopping = slot.is_some_and(|slot| matches!(slot.state, State::Stopping { .. }));
        let stays = slot.is_some_and(|slot| !slot.doomed);
        let Some(entry) = table.entries.get_mut(&key) else {
            return;
        };
        entry.port = Some(port.clone());
        entry.last_port = Some(port.clone());
        let child = entry.child.name.clone();
        // It was stopped meanwhile, and may be started again after that.
        let kill = stopping.then(|| entry.stop_reason.clone().unwrap_or_default());
        let replies = match stays {
            true => std::mem::take(&mut entry.for_up),
            false => Vec::new(),
        };
        drop(table);
        for reply in replies {
            let _ = reply.send(Ok(port.clone()));
        }
        if let Some(reason) = kill {
            self.shared.node.kil(&port, reason);
        }
        self.shared.tell(SupervisorEvent::Started { child, port });
    }

    /// A child is down: with its port and the reason, with a reason only if it did not start, or
    /// because its start was cancelled.
    fn ended(&mut self, key: Key, deed: Option<(Option<PortId>, Reason)>) {
        let now = self.epoch.elapsed();
        let random = self.shared.node.inner().random.fraction();
        let mut table = self.shared.table.lock();
        let normal = matches!(&deed, Some((Some(_), reason)) if reason.is_normal());
        let verdict = table.core.ended(key, normal, now, random);
        let Some(entry) = table.entries.get_mut(&key) else {
            return;
        };
        let child = entry.child.name.clone();
        let last = match &deed {
            Some((_, reason)) => reason.clone(),
            None => entry.stop_reason.clone().unwrap_or_default(),
        };
        entry.last_reason = Some(last.clone());
        if matches!(&deed, Some((None, _))) {
            entry.not_started(&last);
        }
        table.settle(key);
        drop(table);
        match deed {
            Some((Some(port), reason)) => {
                let child = child.clone();
                self.shared.tell(SupervisorEvent::Ended {
                    child,
                    port,
                    reason,
                });
            }
            Some((None, reason)) => {
                let child = child.clone();
                self.shared
                    .tell(SupervisorEvent::StartFailed { child, reason });
            }
            None => {}
        }
        self.judge(child, &last, verdict);
    }

    fn judge(&mut self, child: Arc<str>, last: &Reason, verdict: Verdict) {
        let name = &self.shared.name;
        let reason = match last.is_normal() {
            true => "normal end".to_owned(),
            false => last.to_string(),
        };
        match verdict {
            Verdict::Expected => {}
            Verdict::Done if last.is_normal() => {}
            Verdict::Done => log_at!(2, "supervisor {name}: child {child} ended: {reason}"),
            Verdict::Restart { after } => {
                let wait = seconds(Duration::from_millis(after.as_millis() as u64));
                log_at!(
                    2,
                    "supervisor {name}: child {child} ended: {reason}; again in {wait}"
                );
                self.cause = shutdown(&format!("child {child} ended: {reason}"));
                self.shared
                    .tell(SupervisorEvent::Restarting { child, after });
            }
            Verdict::GiveUp { alone } => {
                let within = seconds(self.intensity.within());
                let times = match self.intensity.most() {
                    1 => "once".to_owned(),
                    most => format!("{most} times"),
                };
                let text = match (self.intensity.most(), alone) {
                    (0, _) => format!("gave up: child {child} ended, reason: {reason}"),
                    (_, true) => format!(
                        "gave up: child {child} was restarted {times} within {within}, last reason: {reason}"
                    ),
                    (_, false) => format!(
                        "gave up: children were restarted {times} within {within}, \
                         last child: {child}, last reason: {reason}"
                    ),
                };
                log_at!(2, "supervisor {name} {text}");
                let reason = Reason::new(["supervisor".to_owned(), text]);
                self.end = Some(reason.clone());
                self.shared.tell(SupervisorEvent::GaveUp { reason });
            }
        }
    }

    fn command(&mut self, command: Command) {
        let refused = self.table().obey(command);
        drop(refused); // outside of the lock: it holds the program's code
    }
}

impl Drop for Shell {
    /// The end, in whatever way: the node may have stopped.
    fn drop(&mut self) {
        let mut table = self.shared.table.lock();
        for entry in table.entries.values_mut() {
            entry.port = None;
            entry.for_up.clear();
            entry.for_down.clear();
        }
        table.core.close();
        drop(table);
        let reason = self.end.take().unwrap_or_default();
        self.shared.tell(SupervisorEvent::Stopped {
            reason: reason.clone(),
        });
        *self.shared.events.lock() = None;
        self.shared.changed.send_replace(Some(reason));
    }
}
