//! What becomes of a message that is sent.

use serde::Serialize;

use super::state::{Peering, Phase};
use super::terms::{Form, Pace, Room, Sender, Sent, Wake, WithPort};
use super::waiting::Waiting;
use crate::proto::message::encode_in;
use crate::proto::{Framing, Reason};

impl<A> Peering<A> {
    /// Sends a message to the port `name` that is encoded in this form. What is in `encoded`
    /// afterwards does not matter any more.
    #[inline(always)]
    pub(crate) fn send(
        &mut self,
        name: &str,
        sender: Sender,
        form: Form,
        encoded: &mut Vec<u8>,
        room: Room,
        pace: Pace,
    ) -> Sent {
        if let Err(sent) = self.admit(name, sender) {
            return sent;
        }
        if !self.has_form(form) {
            return Sent::OtherForm;
        }
        if let Room::Below(most) = room
            && (self.queued() >= most || self.is_held(name))
        {
            return Sent::NoRoom;
        }
        Sent::Done(match &self.phase {
            Phase::Up(_) => self.outbox.append_buffer(encoded, pace),
            _ => self.wait(encoded),
        })
    }

    /// Sends what came by another link, encoded in `framing`, if `life` is the present one.
    pub(crate) fn forward(&mut self, life: u64, framing: Framing, encoded: &[u8]) -> Sent {
        if self.retired {
            return Sent::Retired;
        }
        if life != self.life {
            return Sent::Lost;
        }
        if self.framing() != framing {
            return Sent::OtherForm;
        }
        Sent::Done(self.append(encoded))
    }

    /// Asks the node to kill the port `name` there. The order keeps its place among the messages.
    pub(crate) fn kill(&mut self, name: &str, sender: Sender, reason: &Reason) -> Sent {
        if let Err(sent) = self.admit(name, sender) {
            return sent;
        }
        match self.link() {
            Some(link) => {
                let verb = link.generation.kill_verb();
                Sent::Done(self.request(&WithPort(verb, name, reason)))
            }
            None => {
                self.waiting.kill(name, reason);
                Sent::Done(self.wake_without_link())
            }
        }
    }

    /// Sends a keepalive, if there is a link and nothing waits to be written on it.
    pub(crate) fn poke(&mut self) -> Wake {
        match self.link() {
            Some(link) if self.outbox.queued() == 0 => {
                let keepalive = link.send_framing.keepalive();
                self.outbox.append(keepalive)
            }
            _ => Wake::Nobody,
        }
    }

    /// Whether something that is sent to the port is taken, or what becomes of it.
    #[inline]
    pub(super) fn admit(&mut self, name: &str, sender: Sender) -> Result<(), Sent> {
        if self.retired {
            return Err(Sent::Retired);
        }
        match &self.phase {
            Phase::Failing(failing) if failing.is_losing(name, sender) => Err(self.lost(name)),
            _ => Ok(()),
        }
    }

    /// Loses something that is sent to a port whose monitors are told of a loss just now.
    #[cold]
    fn lost(&mut self, name: &str) -> Sent {
        // Who monitors the port anew, or the node, must hear of this loss as well; and what waits
        // for the next link must not arrive after that.
        if let Phase::Failing(failing) = &mut self.phase
            && (self.monitors.contains(name) || self.monitors.contains(""))
        {
            self.waiting = Waiting::default();
            for anew in self.monitors.take() {
                failing.add(&anew.name, anew.monitors);
            }
        }
        Sent::Lost
    }

    /// Appends a request to the other node's node port: strings and values, which always serialise.
    pub(super) fn request(&mut self, args: &impl Serialize) -> Wake {
        let framing = self.framing();
        if matches!(self.phase, Phase::Up(_)) {
            let encode = |out: &mut Vec<u8>| encode_in(out, framing, "", args);
            return self.outbox.append_with(encode).unwrap_or(Wake::Nobody);
        }
        let mut encoded = Vec::with_capacity(64);
        match encode_in(&mut encoded, framing, "", args) {
            Ok(()) => self.wait(&encoded),
            Err(_) => Wake::Nobody,
        }
    }

    /// Appends a message that is encoded in [our framing](Self::framing).
    fn append(&mut self, encoded: &[u8]) -> Wake {
        match self.phase {
            Phase::Up(_) => self.outbox.append(encoded),
            _ => self.wait(encoded),
        }
    }

    /// Keeps a message in JSON framing for the next link.
    fn wait(&mut self, encoded: &[u8]) -> Wake {
        self.waiting.message(encoded);
        self.wake_without_link()
    }

    pub(super) fn wake_without_link(&self) -> Wake {
        match self.phase {
            Phase::Idle => Wake::Attempt,
            _ => Wake::Nobody,
        }
    }
}
