//! Has a conversation with the node, and looks after each step whether it is as well as before.

use std::net::SocketAddr;
use std::time::Duration;

use aemp::proto::auth::Secret;

use super::conversation::{Conversation, Line, Step};
use super::finding::Fault;
use super::process::{Process, Used};
use super::stream::{Place, Stream};
use super::wire::{About, Wire};
use crate::Failure;

/// What a node may do for one conversation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// How long it may take to answer.
    pub(super) answer: Duration,
    /// In octets.
    pub(super) memory: u64,
    pub(super) processor: Duration,
}

/// The node that is tried.
pub(super) struct Victim {
    pub(super) address: SocketAddr,
    pub(super) secret: Secret,
    pub(super) process: Process,
    pub(super) bounds: Bounds,
    /// An honest peer, linked all the time.
    honest: Option<Wire>,
    about: Option<About>,
    /// Monitors on it fire, as far as is known.
    monitors_fire: bool,
    /// How many names of ours have logged in: each node ID is used once.
    names: u64,
}

/// What came of a conversation.
pub(super) struct Outcome {
    /// What the node did that it should not have done, and behind how many steps.
    pub(super) fault: Option<(Fault, usize)>,
    /// All that passed.
    pub(super) lines: Vec<Line>,
}

impl Victim {
    pub(super) fn new(
        address: SocketAddr,
        secret: Secret,
        process: Process,
        bounds: Bounds,
    ) -> Self {
        Victim {
            address,
            secret,
            process,
            bounds,
            honest: None,
            about: None,
            monitors_fire: true,
            names: 0,
        }
    }

    /// Whether the node, to which nothing was done yet, lets monitors fire. If it does not, that is
    /// not looked at again.
    pub(super) fn lets_monitors_fire(&mut self) -> bool {
        self.monitors_fire = self.honest.as_mut().is_some_and(Wire::is_told_of_death);
        self.monitors_fire
    }

    fn name(&mut self, what: &str) -> String {
        self.names += 1;
        format!("fuzz-{what}-{}-{}", std::process::id(), self.names)
    }

    /// Sees to it that the node runs and an honest peer is linked to it, and says what it is.
    ///
    /// # Errors
    ///
    /// It does not, or does not let the honest peer in.
    pub(super) fn ready(&mut self) -> Result<About, Failure> {
        self.process.start(self.address)?;
        if self.honest.as_ref().is_none_or(Wire::is_closed) {
            let name = self.name("honest");
            let mut honest = Wire::connect(self.address, self.bounds.answer)?;
            let about = honest.login(&name, &self.secret, self.about.as_ref())?;
            if !honest.is_answered() {
                return Err("the node does not answer an honest peer".into());
            }
            self.honest = Some(honest);
            self.about = Some(about);
        }
        self.about
            .clone()
            .ok_or_else(|| "the node is unknown".into())
    }

    /// Forgets the honest peer, and starts the node anew if we may.
    pub(super) fn anew(&mut self) {
        self.honest = None;
        self.process.stop();
    }

    /// Has the conversation, up to the first fault.
    ///
    /// # Errors
    ///
    /// The node can't be tried: it is not there, or keeps honest peers out from the start.
    pub(super) fn hold(&mut self, conversation: &Conversation) -> Result<Outcome, Failure> {
        self.ready()?;
        let before = self.process.used();
        let mut wire = Wire::connect(self.address, self.bounds.answer)?;
        let mut messages = None;
        let mut fault = None;
        for (at, step) in conversation.0.iter().enumerate() {
            match step {
                Step::Login(name) => {
                    wire = self.login(wire, name)?;
                    messages = Some(Stream::default());
                }
                Step::Say(octets) => wire.say(octets, None),
            }
            let place = match (&mut messages, step) {
                (Some(messages), Step::Say(octets)) => messages.say(octets),
                (Some(_), Step::Login(_)) => Place::Between,
                (None, _) => Place::Within,
            };
            fault = self.looks_ill(&mut wire, place, before);
            if let Some(fault) = fault.take() {
                let lines = wire.end();
                return Ok(Outcome {
                    fault: Some((fault, at + 1)),
                    lines,
                });
            }
        }
        let steps = conversation.0.len();
        let lines = wire.end();
        fault = fault.or_else(|| self.keeps_out());
        Ok(Outcome {
            fault: fault.map(|fault| (fault, steps)),
            lines,
        })
    }

    /// Logs in under a name that may have been there a moment ago.
    fn login(&self, mut wire: Wire, name: &str) -> Result<Wire, Failure> {
        let mut why = "";
        for _ in 0..10 {
            match wire.login(name, &self.secret, self.about.as_ref()) {
                Ok(_) => return Ok(wire),
                Err(error) => why = error,
            }
            std::thread::sleep(Duration::from_millis(50));
            wire = Wire::connect(self.address, self.bounds.answer)?;
        }
        Err(format!("the node does not let {name} in: {why}").into())
    }

    /// What is wrong with the node, if anything is.
    fn looks_ill(&mut self, wire: &mut Wire, place: Place, before: Option<Used>) -> Option<Fault> {
        let is_asked = place != Place::Within && !wire.is_closed();
        let deaf = is_asked && !wire.is_answered() && !wire.is_closed();
        if let Some(how) = self.process.has_ended() {
            return Some(Fault::Ended(how));
        }
        let served = self.honest.as_mut().is_some_and(Wire::is_answered);
        if !served {
            // It may be about to end: how it did is more than that it is silent.
            std::thread::sleep(Duration::from_millis(50));
            let ended = self.process.has_ended().map(Fault::Ended);
            return ended.or(Some(Fault::NotServed));
        }
        if self.monitors_fire && !self.honest.as_mut().is_some_and(Wire::is_told_of_death) {
            return Some(Fault::Monitor);
        }
        if deaf {
            return Some(Fault::Deaf);
        }
        let (before, now) = (before?, self.process.used()?);
        let memory = now.memory.saturating_sub(before.memory);
        if memory > self.bounds.memory {
            return Some(Fault::Memory(memory));
        }
        let processor = now.processor.saturating_sub(before.processor);
        (processor > self.bounds.processor).then_some(Fault::Processor(processor))
    }

    /// Whether the node keeps a new honest peer out.
    fn keeps_out(&mut self) -> Option<Fault> {
        let name = self.name("newcomer");
        let Ok(mut newcomer) = Wire::connect(self.address, self.bounds.answer) else {
            return Some(Fault::NotLetIn("nobody listens"));
        };
        match newcomer.login(&name, &self.secret, self.about.as_ref()) {
            Err(why) => Some(Fault::NotLetIn(why)),
            Ok(_) if !newcomer.is_answered() => Some(Fault::NotLetIn("it is not answered")),
            Ok(_) => None,
        }
    }
}
