//! How a connection becomes the link.

use std::time::{Duration, Instant};

use super::election::{Verdict, elect};
use super::losing::Which;
use super::outbox::Outbox;
use super::state::{Peering, Phase, Up};
use super::terms::{Effect, LinkFacts, Wake};
use crate::proto::handshake::Role;
use crate::proto::{NodeId, Reason};

/// A connection of ours whose other end does not answer in this time blocks no other.
const STALE: Duration = Duration::from_secs(2);

/// How long a connection waits for the decision on another one before it is taken all the same.
const PATIENCE: Duration = Duration::from_secs(1);

/// A connection on which the peer has proved itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate<'a> {
    /// Which side opened it.
    pub(crate) role: Role,
    pub(crate) link: LinkFacts,
    /// What is to be written before any message: a token that was withheld.
    pub(crate) token: &'a [u8],
    pub(crate) own: &'a NodeId,
    pub(crate) peer: &'a NodeId,
    /// When it became a candidate.
    pub(crate) since: Instant,
}

impl<A> Peering<A> {
    /// A link is wanted, unless there is one. `serial` is the number of the attempt that may
    /// follow.
    pub(crate) fn want(&mut self, serial: u64) -> Vec<Effect> {
        if !matches!(self.phase, Phase::Idle) || self.retired {
            return Vec::new();
        }
        self.phase = Phase::Connecting(serial);
        vec![Effect::Attempt(serial)]
    }

    /// Asks for the right to prove ourselves on the connection `serial` to the node. False if there
    /// is a link, or another connection of ours is at that point: from our token on the other side
    /// decides, and it is to decide on one connection at a time.
    pub(crate) fn may_prove(&mut self, serial: u64, now: Instant) -> bool {
        if self.is_proving(now) || self.retired || matches!(self.phase, Phase::Up(_)) {
            return false;
        }
        self.proving = Some((serial, now));
        true
    }

    /// Whether a connection of ours awaits the other side's decision.
    fn is_proving(&self, now: Instant) -> bool {
        let fresh = |(_, since): (u64, Instant)| now.saturating_duration_since(since) < STALE;
        self.proving.is_some_and(fresh)
    }

    /// The connection for which [`may_prove`](Self::may_prove) agreed is decided on.
    pub(crate) fn proved(&mut self, serial: u64) {
        if self.proving.is_some_and(|(owner, _)| owner == serial) {
            self.proving = None;
        }
    }

    /// Takes a connection as the link, unless the election says otherwise. `next_life` is a number
    /// for the life that begins if the link is lost at once.
    pub(crate) fn establish(
        &mut self,
        candidate: &Candidate<'_>,
        now: Instant,
        next_life: u64,
    ) -> (Verdict, Vec<Effect>) {
        let Candidate { link, role, .. } = *candidate;
        if self.retired {
            return (Verdict::Retired, Vec::new());
        }
        if matches!(self.phase, Phase::Failing(_)) {
            return (Verdict::Wait, Vec::new());
        }
        let overdue = now.saturating_duration_since(candidate.since) >= PATIENCE;
        let proving = self.proving.is_some() && !overdue;
        let up = matches!(self.phase, Phase::Up(_));
        let verdict = elect(up, proving, role, candidate.own, candidate.peer);
        if verdict != Verdict::Accept {
            return (verdict, Vec::new());
        }
        let mut first = candidate.token.to_vec();
        let waiting = std::mem::take(&mut self.waiting);
        if let Err(error) = waiting.write(&mut first, link.send_framing, link.generation) {
            // No message is dropped in silence: all that wait are lost, and their monitors fire.
            let reason = Reason::transport_error(candidate.peer.as_str(), error);
            return (
                Verdict::Refuse,
                self.lose(Which::Everything, reason, next_life),
            );
        }
        let mut effects = Vec::new();
        if matches!(self.phase, Phase::Connecting(_)) {
            effects.push(Effect::EndAttempt);
        }
        self.phase = Phase::Up(Up { link, told: false });
        self.outbox = Outbox::begin(first);
        self.links += 1;
        effects.extend([Effect::Changed, Effect::TellUp]);
        (Verdict::Accept, effects)
    }

    /// Everybody was told that the link of that number came up. If it was lost meanwhile, that is
    /// told only now.
    pub(crate) fn told(&mut self, serial: u64) -> (Wake, Vec<Effect>) {
        match &mut self.phase {
            Phase::Up(up) if up.link.serial == serial => {
                up.told = true;
                (Wake::Writer, Vec::new())
            }
            Phase::Failing(failing) => (Wake::Nobody, failing.told(serial)),
            _ => (Wake::Nobody, Vec::new()),
        }
    }

    /// Marks the peer as taken out of the table, if it holds nothing.
    pub(crate) fn retire(&mut self) -> bool {
        let holds_nothing = matches!(self.phase, Phase::Idle)
            && self.waiting.is_empty()
            && self.monitors.is_empty()
            && self.proving.is_none();
        self.retired |= holds_nothing;
        holds_nothing
    }
}
