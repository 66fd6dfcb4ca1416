//! How a link, or the attempt to get one, is lost, and how that is told.

use compact_str::CompactString;
use foldhash::fast::RandomState;
use hashbrown::HashSet;

use super::failing::{Failing, ToTell};
use super::on_ports::{Due, Few, Monitor, OnPort, OnPorts};
use super::outbox::Outbox;
use super::state::{Peering, Phase};
use super::terms::Effect;
use super::waiting::Waiting;
use crate::proto::Reason;

/// What is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// The link, or the attempt, of this number; nothing if it is not the present one.
    Serial(u64),
    /// The link or the attempt, whichever there is.
    Present,
    /// What waits as well, even if there is neither.
    Everything,
    /// The attempt, if one is under way.
    Attempt,
}

/// Whether the node goes on when a loss is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Afterwards {
    /// What was sent and monitored meanwhile gets a new attempt.
    GoOn,
    /// The node stops: all that is lost, too.
    Stop,
}

/// What is to be done next to settle a loss.
#[derive(Debug, PartialEq)]
pub(crate) enum Step<A> {
    /// The node could not be reached.
    TellUnreachable,
    /// The other node monitors these ports here no more.
    Unwatch(HashSet<CompactString, RandomState>),
    /// These actions are due, as [`Sender::Action`]. Their monitors count as fired from now on.
    Fire(Few<A>, Reason),
    /// Tell everybody that the node is down.
    TellDown(Reason),
    /// It is settled.
    Settled(Vec<Effect>),
}

impl<A> Peering<A> {
    /// The link, or the attempt to get one, is lost, for this reason. `next_life` is a number for
    /// the next life.
    pub(crate) fn lose(&mut self, which: Which, reason: Reason, next_life: u64) -> Vec<Effect> {
        let lost = match (&self.phase, which) {
            (Phase::Failing(_), _) => return Vec::new(),
            (Phase::Up(up), Which::Serial(serial)) => up.link.serial == serial,
            (Phase::Connecting(attempt), Which::Serial(serial)) => *attempt == serial,
            (Phase::Connecting(_), Which::Attempt) => true,
            (phase, Which::Present) => !matches!(phase, Phase::Idle),
            (_, Which::Everything) => true,
            (Phase::Idle | Phase::Up(_), _) => false,
        };
        if !lost {
            return Vec::new();
        }
        // The queue is dropped before any monitor fires.
        self.waiting = Waiting::default();
        self.outbox = Outbox::default();
        self.held = None;
        let ended = std::mem::replace(&mut self.life, next_life);
        let (close, link, told_up) = match &self.phase {
            Phase::Up(up) => (Effect::Close, Some(up.link.serial), up.told),
            _ => (Effect::EndAttempt, None, true),
        };
        self.phase = Phase::Failing(Box::new(Failing {
            link,
            told_up,
            life: ended,
            told_end: false,
            reason,
            next: match link {
                Some(_) => ToTell::Watched,
                None => ToTell::Unreachable,
            },
            watched: std::mem::take(&mut self.watched),
            due: Due::new(std::mem::take(&mut self.monitors)),
            firing: None,
            again: OnPorts::default(),
        }));
        vec![close, Effect::Changed, Effect::Ended(ended)]
    }

    /// Whoever is to know that the life of that number has ended does.
    pub(crate) fn ended(&mut self, life: u64) -> Vec<Effect> {
        match &mut self.phase {
            Phase::Failing(failing) => failing.ended(life),
            _ => Vec::new(),
        }
    }

    /// The next step to settle a loss, to be asked for until it is [settled](Step::Settled). The
    /// step before is done. `serial` is the number of the attempt that may follow.
    pub(crate) fn settle(&mut self, afterwards: Afterwards, serial: u64) -> Step<A> {
        let Phase::Failing(failing) = &mut self.phase else {
            return Step::Settled(Vec::new());
        };
        failing.firing = None;
        loop {
            match failing.next {
                ToTell::Unreachable => {
                    failing.next = ToTell::Watched;
                    return Step::TellUnreachable;
                }
                ToTell::Watched => {
                    failing.next = ToTell::Due;
                    let watched = std::mem::take(&mut failing.watched);
                    if !watched.is_empty() {
                        return Step::Unwatch(watched);
                    }
                }
                ToTell::Due => match failing.due.pop() {
                    Some(OnPort { name, monitors, .. }) => {
                        failing.firing = Some(name);
                        return Step::Fire(actions(monitors), failing.reason.clone());
                    }
                    None => {
                        failing.next = ToTell::Down;
                        let again = failing.again.take();
                        if !again.is_empty() {
                            let again = again.into_iter().flat_map(|on| on.monitors);
                            return Step::Fire(actions(again), failing.reason.clone());
                        }
                    }
                },
                ToTell::Down => {
                    failing.next = ToTell::Nobody;
                    if failing.link.is_some() {
                        return Step::TellDown(failing.reason.clone());
                    }
                }
                ToTell::Nobody => break,
            }
        }
        if afterwards == Afterwards::Stop {
            // What the actions have sent and set meanwhile is lost as well.
            self.waiting = Waiting::default();
            let left = self.monitors.take().into_iter();
            let mut left: Vec<Monitor<A>> = left.flat_map(|on| on.monitors).collect();
            left.sort_unstable_by_key(|(serial, _)| *serial);
            if !left.is_empty() {
                return Step::Fire(actions(left), failing.reason.clone());
            }
        }
        self.phase = Phase::Idle;
        let mut effects = match self.waiting.is_empty() && self.monitors.is_empty() {
            true => vec![Effect::Forget],
            false => self.want(serial),
        };
        effects.push(Effect::Changed);
        Step::Settled(effects)
    }
}

fn actions<A>(monitors: impl IntoIterator<Item = Monitor<A>>) -> Few<A> {
    monitors.into_iter().map(|(_, action)| action).collect()
}
