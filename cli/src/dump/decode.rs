//! From a conversation to what was said: the handshake of each side, checked, then its messages.

use aemp::proto::auth::Channel;
use aemp::proto::greeting::Purpose;
use aemp::proto::message::Incoming;
use aemp::proto::{Framing, FramingError, Generation, Limits, Secret};
use bytes::BytesMut;

use super::capture::{Conversation, Direction};
use super::event::{Event, What};
use super::handshake::{self, Side};
use super::meaning::Meanings;
use super::stream::Stream;

/// The first octets of a record of TLS: of the handshake, of version 3.
const TLS_RECORD: [u8; 2] = [0x16, 0x03];

/// All that is to be said of a conversation, in the order in which it was said.
pub(super) fn decode(conversation: &Conversation, secret: Option<&Secret>) -> Vec<Event> {
    let mut events = Vec::new();
    let streams = [Direction::Forth, Direction::Back, Direction::Alone]
        .map(|direction| Stream::of(conversation, direction));
    let streams: Vec<&Stream> = streams
        .iter()
        .filter(|stream| !stream.octets.is_empty() || stream.lost.is_some())
        .collect();
    if conversation.may_be_other && !streams.iter().any(|stream| greets(stream)) {
        for stream in streams {
            let octets = stream.octets.len();
            let text = format!("not AEMP: {octets} octets, passed over");
            events.push(Event::new(stream, 0, 0, What::Note(text)));
        }
        return events;
    }
    let sides: Vec<Side> = streams
        .iter()
        .map(|stream| match stream.direction {
            Direction::Alone if !greets(stream) => Side::headless(stream),
            _ => Side::read(stream, &mut events),
        })
        .collect();
    let is_data = sides.iter().any(|side| side.purpose() == Purpose::Data);
    let purpose = match is_data {
        true => Purpose::Data,
        false => Purpose::Link,
    };
    for (number, side) in sides.iter().enumerate() {
        let other = sides.iter().enumerate().find(|(n, _)| *n != number);
        say(
            side,
            other.map(|(_, other)| other),
            purpose,
            secret,
            &mut events,
        );
    }
    // What came with the same chunk keeps the order that it has in it.
    events.sort_by_key(|event| event.when.chunk);
    events
}

fn greets(stream: &Stream) -> bool {
    stream.octets.starts_with(b"aemp")
}

/// What a side said behind its greeting.
fn say(
    side: &Side,
    other: Option<&Side>,
    purpose: Purpose,
    secret: Option<&Secret>,
    events: &mut Vec<Event>,
) {
    let stream = side.stream;
    let wants = |side: &Side| side.greeting.as_ref().is_some_and(|g| g.wants_tls());
    let tls = wants(side) && other.is_none_or(wants);
    let rest = stream.rest(side.behind_nonce);
    if !stream.inside_tls && tls && rest.starts_with(&TLS_RECORD) {
        let what = What::Tls(rest.len());
        events.push(Event::new(stream, side.behind_nonce, 0, what));
        return;
    }
    let channel = match stream.inside_tls {
        true => Channel::Tls,
        false => Channel::Plain,
    };
    let Some((framing, from)) = handshake::token(side, other, channel, secret, events) else {
        return;
    };
    match purpose {
        Purpose::Link => messages(side, other, framing, from, events),
        Purpose::Data => {
            for (begin, end) in stream.parts(from) {
                let text = format!("{} octets of the programs'", end - begin);
                events.push(Event::new(stream, begin, end, What::Note(text)));
            }
        }
    }
    if let Some(why) = &stream.lost {
        lost(stream, why, events);
    }
}

fn lost(stream: &Stream, why: &str, events: &mut Vec<Event>) {
    let end = stream.octets.len();
    let text = format!("{why}; what follows is not decoded");
    events.push(Event::new(stream, end, end, What::Fault(text)));
}

/// The generation by whose rules a side speaks to the other: that of a Perl node, whichever it is;
/// else the newest of both.
fn generation(side: &Side, other: Option<&Side>) -> Option<Generation> {
    let of = |side: &Side| side.greeting.as_ref().and_then(Generation::of_greeting);
    let own = of(side);
    let is_perl = side.greeting.as_ref().is_some_and(|g| g.is_perl());
    match other.and_then(of) {
        Some(theirs) if !is_perl => own.map(|own| own.min(theirs)),
        _ => own,
    }
}

fn messages(
    side: &Side,
    other: Option<&Side>,
    framing: Framing,
    from: usize,
    events: &mut Vec<Event>,
) {
    let stream = side.stream;
    let (sender, receiver) = (side.node(), other.map_or("the other node", Side::node));
    let mut meanings = Meanings::new(sender, receiver, generation(side, other));
    let mut incoming = Incoming::new(framing, Limits::default());
    let mut block = BytesMut::from(stream.rest(from));
    let mut at = from;
    loop {
        match incoming.next(&mut block) {
            Ok(Some(arrived)) => {
                let end = at + arrived.octets;
                let what = match arrived.name {
                    None => What::Keepalive,
                    Some(port) => What::Message {
                        meaning: meanings.of(&port, &arrived.message),
                        port,
                        message: arrived.message,
                    },
                };
                events.push(Event::new(stream, at, end, what));
                at = end;
            }
            Ok(None) => break,
            Err(error) => {
                let place = at + within(&error);
                let text = format!("the message at octet {at}, in {framing}: {error}");
                events.push(Event::new(stream, place, place, What::Fault(text)));
                return;
            }
        }
    }
    let left = stream.rest(at);
    if !left.trim_ascii().is_empty() && stream.lost.is_none() {
        let text = format!("a part of a message, in {framing}, {} octets", left.len());
        let end = stream.octets.len();
        events.push(Event::new(stream, at, end, What::Fault(text)));
    }
}

/// Where in a message an error is, in octets, as far as it says so.
fn within(error: &FramingError) -> usize {
    match error {
        FramingError::NotAnArray { offset, .. }
        | FramingError::Syntax { offset, .. }
        | FramingError::Utf8 { offset }
        | FramingError::BadDestination { offset, .. } => *offset,
        _ => 0,
    }
}
