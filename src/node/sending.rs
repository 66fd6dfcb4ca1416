//! Messages on their way out: encoded, and handed to a port of this node or to another one.

use std::sync::Arc;

use serde::Serialize;

use super::jobs::{self, Job};
use super::limits::Limit;
use super::link::{Outcome, Peer, Retired};
use super::port::{PortCell, Queued};
use super::queue::Given;
use super::send_cache::{self, SendCache};
use super::values::ByValue;
use super::{Full, Inner, Loss, SendError, request, traced};
use crate::log::log_at;
use crate::peering::{Form, Room};
use crate::proto::message::{EncodeError, append_text, encode_in, encode_local};
use crate::proto::{Framing, Message, PortId, TraceContext};

impl Inner {
    /// Sends a message.
    pub(crate) fn snd<T: Serialize + ?Sized>(
        self: &Arc<Self>,
        to: &PortId,
        args: &T,
    ) -> Result<(), SendError> {
        self.trace_sending(to, args)?;
        self.snd_if_room(to, args, Room::Any).map(drop)
    }

    /// Sends a message that is encoded already.
    pub(crate) fn snd_message(
        self: &Arc<Self>,
        to: &PortId,
        message: &Message,
    ) -> Result<(), SendError> {
        self.trace_sending(to, message)?;
        send_cache::with(self, |cache| {
            if self.is_local(to) {
                message.encode_local(&mut cache.octets)?;
                return self.deliver(cache, to.name(), Room::Any).map(drop);
            }
            let encode = |out: &mut Vec<u8>, framing| message.encode_in(out, framing, to.name());
            self.snd_there(cache, to, encode, Room::Any).map(drop)
        })
    }

    /// Sends a message on that another node had sent, if it is said which, and that is not for the
    /// node port here.
    pub(crate) fn hand_on(
        self: &Arc<Self>,
        from: Option<&Arc<Peer>>,
        to: &PortId,
        message: Message,
    ) -> Result<(), SendError> {
        if self.is_stopping() {
            return Ok(()); // nobody here waits for it
        }
        if !self.is_local(to) {
            return self.snd_message(to, &message);
        }
        self.trace_sending(to, &message)?;
        let given = |port: &Arc<PortCell>| {
            // A part of a message must not keep all of that alive in a port's queue.
            let message = message.into_own().traced(self.trace_of_sending());
            port.enqueue(self, Given::Read(message, from), Room::Any)
        };
        match self.ports.with(to.name(), given) {
            Some(Queued::Run(port)) => jobs::schedule(self, Job::Run(port)),
            Some(Queued::Overflow(port)) => port.overflow(self),
            Some(Queued::NoShare) => self.no_share(from),
            Some(Queued::Hold(port)) => {
                if let Some(peer) = from {
                    port.hold(self, peer);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Sends a request: a message with the ID of an inbox behind it.
    pub(super) fn snd_request<T: Serialize + ?Sized>(
        self: &Arc<Self>,
        to: &PortId,
        args: &T,
        inbox: &PortId,
    ) -> Result<(), SendError> {
        // Where the ID can't be appended in place.
        let whole = || Message::encode(args)?.with(&[inbox.as_str()]);
        if crate::trace::enabled() {
            return self.snd_message(to, &whole()?);
        }
        send_cache::with(self, |cache| {
            if self.is_local(to) {
                encode_local(&mut cache.octets, args)?;
                if !append_text(&mut cache.octets, 0, Framing::Cbor, inbox.as_str()) {
                    cache.octets.clear();
                    whole()?.encode_local(&mut cache.octets)?;
                }
                return self.deliver(cache, to.name(), Room::Any).map(drop);
            }
            let encode = |out: &mut Vec<u8>, framing| {
                let start = out.len();
                encode_in(out, framing, to.name(), args)?;
                if !append_text(out, start, framing, inbox.as_str()) {
                    out.truncate(start);
                    whole()?.encode_in(out, framing, to.name())?;
                }
                Ok(())
            };
            self.snd_there(cache, to, encode, Room::Any).map(drop)
        })
    }

    /// Shows a message that is about to be sent, if somebody looks.
    #[inline]
    pub(crate) fn trace_sending<T: Serialize + ?Sized>(
        &self,
        to: &PortId,
        args: &T,
    ) -> Result<(), SendError> {
        #[cold]
        fn show<T: Serialize + ?Sized>(to: &PortId, args: &T) -> Result<(), SendError> {
            crate::trace::sent(to.node(), &Message::encode(args)?);
            Ok(())
        }
        match crate::trace::enabled() {
            true => show(to, args),
            false => Ok(()),
        }
    }

    /// Sends a message, if `room` allows it: octets count that wait for another node, and whatever
    /// the number in `room`, what [waits in the port](Settings::high_water), here or there.
    /// Otherwise says what to wait for.
    pub(crate) fn snd_if_room<T: Serialize + ?Sized>(
        self: &Arc<Self>,
        to: &PortId,
        args: &T,
        room: Room,
    ) -> Result<Option<Full>, SendError> {
        send_cache::with(self, |cache| match self.is_local(to) {
            true => self.snd_here(cache, to.name(), args, room),
            false => {
                let encode = |out: &mut Vec<u8>, framing| encode_in(out, framing, to.name(), args);
                self.snd_there(cache, to, encode, room)
            }
        })
    }

    #[inline]
    fn snd_here<T: Serialize + ?Sized>(
        self: &Arc<Self>,
        cache: &mut SendCache,
        name: &str,
        args: &T,
        room: Room,
    ) -> Result<Option<Full>, SendError> {
        encode_local(&mut cache.octets, args)?;
        Ok(self.deliver(cache, name, room)?.map(Full::Port))
    }

    #[inline]
    fn snd_there(
        self: &Arc<Self>,
        cache: &mut SendCache,
        to: &PortId,
        encode: impl Fn(&mut Vec<u8>, Framing) -> Result<(), EncodeError>,
        room: Room,
    ) -> Result<Option<Full>, SendError> {
        if let Some(trace) = self.trace_of_sending() {
            return self.snd_in_trace(cache, to, trace, encode, room);
        }
        let plain = |out: &mut Vec<u8>, form: Form| encode(out, form.framing);
        self.snd_in_form(cache, to, false, plain, room)
    }

    /// Sends a message that belongs to a trace, as one if the link takes such.
    #[cold]
    fn snd_in_trace(
        self: &Arc<Self>,
        cache: &mut SendCache,
        to: &PortId,
        trace: TraceContext,
        encode: impl Fn(&mut Vec<u8>, Framing) -> Result<(), EncodeError>,
        room: Room,
    ) -> Result<Option<Full>, SendError> {
        let traced = |out: &mut Vec<u8>, form: Form| match form.traced {
            true => traced::encode(out, form.framing, trace, &encode),
            false => encode(out, form.framing),
        };
        self.snd_in_form(cache, to, true, traced, room)
    }

    /// Sends a message, encoded once more if the link turns out to have another form. Nearly all
    /// belong to no trace: that they don't is known when this is compiled.
    #[inline(always)]
    fn snd_in_form(
        self: &Arc<Self>,
        cache: &mut SendCache,
        to: &PortId,
        traced: bool,
        encode: impl Fn(&mut Vec<u8>, Form) -> Result<(), EncodeError>,
        room: Room,
    ) -> Result<Option<Full>, SendError> {
        let mut encoded = None;
        loop {
            let (peer, octets) = cache.peer(self, to.node());
            let form = peer.form(traced);
            if encoded != Some(form) {
                octets.clear();
                encode(octets, form)?;
                encoded = Some(form);
            }
            match peer.send(self, to.name(), form, octets, room) {
                Ok(Outcome::Done) => return Ok(None),
                Ok(Outcome::NoRoom) => return Ok(Some(Full::Peer(peer.clone()))),
                Ok(Outcome::OtherForm) => {}
                Ok(Outcome::Stopped) => return Err(SendError::Stopped),
                Err(Retired) => cache.forget_peer(),
            }
        }
    }

    /// Waits for room for a message to that port.
    pub(crate) async fn wait_for_room(&self, to: &PortId, full: Full, most: usize) {
        match full {
            Full::Peer(peer) => peer.wait_for_room(to.name(), most).await,
            Full::Port(port) => {
                let high = self.settings.high_water();
                self.ports.wait_for_room(&port, high).await;
            }
        }
    }

    /// Tells those who wait for room in a port of this node.
    pub(crate) fn tell_room(&self, awaited: &mut bool) {
        if std::mem::take(awaited) {
            self.ports.tell_room();
        }
    }

    /// Hands the message that is encoded in `cache` to a local port, or to the node port. A message
    /// to a port that does not exist is dropped. Gives the port back if there is no such room
    /// there.
    fn deliver(
        self: &Arc<Self>,
        cache: &mut SendCache,
        name: &str,
        room: Room,
    ) -> Result<Option<Arc<PortCell>>, SendError> {
        self.running()?;
        let trace = self.trace_of_sending();
        if name.is_empty() {
            let message = Message::from_local(&cache.octets);
            request::perform_local(self, message.traced(trace));
            return Ok(None);
        }
        let octets = std::mem::take(&mut cache.octets);
        let enqueue = |cache: &mut SendCache| {
            let port = cache.port(self, name)?;
            let given = match trace {
                None => Given::Encoded(&octets),
                Some(_) => Given::Read(Message::from_local(&octets).traced(trace), None),
            };
            Some(port.enqueue(self, given, room))
        };
        let mut queued = enqueue(cache);
        if let Some(Queued::Dead) = queued {
            // Another port may have got the name of the one that was remembered.
            cache.forget_port();
            queued = enqueue(cache);
        }
        cache.octets = octets;
        match queued {
            Some(Queued::Run(port)) => jobs::schedule(self, Job::Run(port)),
            Some(Queued::Full(port)) => return Ok(Some(port)),
            Some(Queued::Overflow(port)) => port.overflow(self),
            Some(Queued::Done | Queued::Dead | Queued::NoShare | Queued::Hold(_)) | None => {}
        }
        Ok(None)
    }

    /// Gives a value to a port of this node, if it can be given: otherwise it is still there, and
    /// is to be sent. Gives the port back if there is no such room there.
    pub(super) fn give<M: ByValue>(
        self: &Arc<Self>,
        to: &PortId,
        value: &mut Option<M>,
        room: Room,
    ) -> Result<Option<Full>, SendError> {
        if !self.is_local(to) || to.is_node_port() || !self.gives_values() {
            return Ok(None);
        }
        self.running()?;
        let queued = send_cache::with(self, |cache| {
            let queued = cache
                .port(self, to.name())?
                .enqueue_value(self, value, room);
            if let Some(Queued::Dead) = queued {
                cache.forget_port();
                return cache
                    .port(self, to.name())?
                    .enqueue_value(self, value, room);
            }
            queued
        });
        match queued {
            Some(Queued::Run(port)) => jobs::schedule(self, Job::Run(port)),
            Some(Queued::Full(port)) => return Ok(Some(Full::Port(port))),
            Some(Queued::Overflow(port)) => port.overflow(self),
            Some(Queued::Done | Queued::Dead | Queued::NoShare | Queued::Hold(_)) | None => {}
        }
        Ok(None)
    }

    /// Hands a message that came by a link to a local port. If the port is idle, handlers run here
    /// and now: the caller runs no port's code.
    pub(crate) fn deliver_now(self: &Arc<Self>, from: &Arc<Peer>, name: &str, message: Message) {
        if self.is_stopping() {
            return;
        }
        let message = Given::Read(message, Some(from));
        let enqueue = |port: &Arc<PortCell>| port.enqueue(self, message, Room::Any);
        match self.ports.with(name, enqueue) {
            Some(Queued::Run(port)) => port.run(self),
            Some(Queued::Overflow(port)) => port.overflow(self),
            Some(Queued::NoShare) => self.no_share(Some(from)),
            Some(Queued::Hold(port)) => port.hold(self, from),
            _ => {}
        }
    }

    /// A message was dropped because its sender's messages take too much memory: so the link is
    /// lost, as with every message that is.
    #[cold]
    fn no_share(self: &Arc<Self>, from: Option<&Arc<Peer>>) {
        let Some((peer, link)) = from.and_then(|peer| Some((peer, peer.link()?))) else {
            return;
        };
        self.limits.met(Limit::Memory);
        let most = self.memory.most();
        let text = format!(
            "what it sent and waits here would be more than its share of the {most} octets \
             (max_memory) that all nodes have"
        );
        log_at!(
            2,
            [peer.id.as_str()],
            "{} ({}): {text}; closing the connection",
            peer.id,
            link.remote
        );
        peer.fail(self, link.facts.serial, Loss::Memory, &text);
    }
}
