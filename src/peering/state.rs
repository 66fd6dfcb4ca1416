//! What is known of another node.

use std::time::Instant;

use compact_str::CompactString;
use foldhash::fast::RandomState;
use hashbrown::HashSet;

use super::failing::Failing;
use super::held::Held;
use super::on_ports::OnPorts;
use super::outbox::Outbox;
use super::terms::{Form, LinkFacts};
use super::waiting::Waiting;
use crate::proto::Framing;

/// What is known of one other node. `A` is what a monitor does when it fires.
pub(crate) struct Peering<A> {
    pub(super) phase: Phase<A>,
    /// What is sent while there is no link.
    pub(super) waiting: Waiting,
    /// What is to be written on the link.
    pub(super) outbox: Outbox,
    /// The monitors on ports there.
    pub(super) monitors: OnPorts<A>,
    /// The ports here that the other node monitors.
    pub(super) watched: HashSet<CompactString, RandomState>,
    /// The ports there that have no room, as the node says on the present link.
    pub(super) held: Option<Box<Held>>,
    /// How often a link came up.
    pub(super) links: u64,
    /// The number of the present life. A life ends when the link, or the attempt to get one, is
    /// lost.
    pub(super) life: u64,
    /// The connection of ours that awaits the other node's token, and since when.
    pub(super) proving: Option<(u64, Instant)>,
    /// Taken out of the table of peers for good.
    pub(super) retired: bool,
}

pub(super) enum Phase<A> {
    Idle,
    /// An attempt of this number is under way.
    Connecting(u64),
    Up(Up),
    Failing(Box<Failing<A>>),
}

/// The present link.
pub(super) struct Up {
    pub(super) link: LinkFacts,
    /// Everybody has been told that the link is there.
    pub(super) told: bool,
}

impl<A> Peering<A> {
    /// A peer of which nothing is known yet, in its first life, of this number.
    pub(crate) fn new(life: u64) -> Self {
        Peering {
            phase: Phase::Idle,
            waiting: Waiting::default(),
            outbox: Outbox::default(),
            monitors: OnPorts::default(),
            watched: HashSet::default(),
            held: None,
            links: 0,
            life,
            proving: None,
            retired: false,
        }
    }

    /// A peer that was taken out of the table.
    pub(crate) fn retired(life: u64) -> Self {
        Peering {
            retired: true,
            ..Peering::new(life)
        }
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.retired
    }

    /// The present link.
    #[inline]
    pub(crate) fn link(&self) -> Option<&LinkFacts> {
        match &self.phase {
            Phase::Up(up) => Some(&up.link),
            _ => None,
        }
    }

    /// Whether the present link has this number.
    #[inline]
    pub(crate) fn is_link(&self, serial: u64) -> bool {
        self.link().is_some_and(|link| link.serial == serial)
    }

    /// Whether monitors are still to fire.
    pub(crate) fn is_failing(&self) -> bool {
        matches!(self.phase, Phase::Failing(_))
    }

    /// The present life, if there is a link or an attempt to get one.
    pub(crate) fn life(&self) -> Option<u64> {
        match self.phase {
            Phase::Connecting(_) | Phase::Up(_) => Some(self.life),
            Phase::Idle | Phase::Failing(_) => None,
        }
    }

    /// How often a link was made again.
    pub(crate) fn reconnects(&self) -> u64 {
        self.links.saturating_sub(1)
    }

    /// Whether a message of that form can be sent: while there is no link, in JSON and untraced, as
    /// nobody knows yet what the node there takes.
    #[inline]
    pub(super) fn has_form(&self, form: Form) -> bool {
        let (framing, traces) = match self.link() {
            Some(link) => (link.send_framing, link.traces),
            None => (Framing::Json, false),
        };
        framing == form.framing && (traces || !form.traced)
    }

    /// The framing of what is sent: the link's, or, while there is none, JSON.
    #[inline]
    pub(crate) fn framing(&self) -> Framing {
        self.link().map_or(Framing::Json, |link| link.send_framing)
    }

    /// How many octets wait for the writer.
    #[inline]
    pub(crate) fn queued(&self) -> usize {
        self.waiting.octets() + self.outbox.queued()
    }

    /// How many octets are not written yet.
    #[inline]
    pub(crate) fn unwritten(&self) -> usize {
        self.queued() + self.outbox.in_flight()
    }

    /// What is to be written on the link. It is empty while there is none.
    pub(crate) fn outbox(&mut self) -> &mut Outbox {
        &mut self.outbox
    }

    /// The number of the present life, whether or not there is a link.
    pub(crate) fn present_life(&self) -> u64 {
        self.life
    }
}
