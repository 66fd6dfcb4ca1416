//! From octets to what was said: the handshake of each side, checked, then its messages.
//!
//! A [`Decoder`] is given the chunks of a conversation as they come, and keeps nothing of what it
//! has decoded. So a capture and a connection that is still there are decoded by the same code.

use aemp::proto::auth::Channel;
use aemp::proto::greeting::Purpose;
use aemp::proto::message::Incoming;
use aemp::proto::{Framing, FramingError, Generation, Limits, Secret};

use super::capture::{Chunk, Conversation, Direction};
use super::event::{Event, What};
use super::handshake::{self, Side, Step};
use super::meaning::Meanings;
use super::stream::{Stream, When};

/// The first octets of a record of TLS: of the handshake, of version 3.
const TLS_RECORD: [u8; 2] = [0x16, 0x03];

/// What every conversation greets with.
const AEMP: &[u8] = b"aemp";

/// All that is to be said of a conversation, in the order in which it was said.
pub(super) fn decode(conversation: &Conversation, secret: Option<&Secret>) -> Vec<Event> {
    let chunks = &conversation.chunks;
    if conversation.may_be_other && !greets(chunks) {
        return pass_over(chunks);
    }
    let is_alone = |chunk: &Chunk| chunk.direction == Direction::Alone;
    let mut decoder = match chunks.iter().any(is_alone) {
        true => Decoder::alone(Rules::of_capture(secret)),
        false => Decoder::new(Rules::of_capture(secret)),
    };
    for lost in &conversation.lost {
        decoder.side(lost.direction).stream.lost = Some(lost.why.clone());
    }
    let mut events = Vec::new();
    for chunk in chunks {
        events.extend(decoder.feed(chunk));
    }
    events.extend(decoder.finish());
    // What came with the same chunk keeps the order that it has in it.
    events.sort_by_key(|event| event.when.chunk);
    events
}

/// Whether a side greets.
fn greets(chunks: &[Chunk]) -> bool {
    [Direction::Forth, Direction::Back]
        .into_iter()
        .any(|direction| {
            let own = chunks.iter().filter(|chunk| chunk.direction == direction);
            let octets = own.flat_map(|chunk| &chunk.octets);
            octets.take(AEMP.len()).eq(AEMP)
        })
}

/// What there is to say of a conversation of another protocol.
fn pass_over(chunks: &[Chunk]) -> Vec<Event> {
    let mut events = Vec::new();
    for direction in [Direction::Forth, Direction::Back] {
        let own = chunks.iter().filter(|chunk| chunk.direction == direction);
        let mut stream = Stream::new(direction);
        for (number, chunk) in own.enumerate() {
            stream.add(number, chunk);
        }
        let octets = stream.end();
        if octets > 0 {
            let text = format!("not AEMP: {octets} octets, passed over");
            events.push(Event::new(&stream, 0, 0, What::Note(text)));
        }
    }
    events
}

/// By what a conversation is decoded.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    /// By which tokens are checked.
    pub(crate) secret: Option<Secret>,
    pub(crate) limits: Limits,
    /// So many octets of a side are kept while it is not known what the other greets with.
    pub(crate) most_waiting: usize,
}

impl Rules {
    /// A capture is in memory as a whole.
    fn of_capture(secret: Option<&Secret>) -> Self {
        Rules {
            secret: secret.cloned(),
            limits: Limits::default(),
            most_waiting: usize::MAX,
        }
    }
}

/// Why a direction is not decoded any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// It speaks TLS.
    Tls,
    /// It can't be, for a reason that was told, or nobody wants to know.
    Fault,
}

/// Decodes a conversation, chunk by chunk.
#[derive(Debug)]
pub(crate) struct Decoder {
    rules: Rules,
    /// Who connected, and who was connected to. If the capture has one direction alone, it is in
    /// the first place.
    sides: [Side; 2],
    chunks: usize,
}

/// Which of both sides says it.
fn place(direction: Direction) -> usize {
    match direction {
        Direction::Forth | Direction::Alone => 0,
        Direction::Back => 1,
    }
}

impl Decoder {
    pub(crate) fn new(rules: Rules) -> Self {
        Decoder {
            rules,
            sides: [Direction::Forth, Direction::Back].map(Side::new),
            chunks: 0,
        }
    }

    /// For octets of one direction, nobody knows which.
    fn alone(rules: Rules) -> Self {
        let mut decoder = Decoder::new(rules);
        decoder.sides[0] = Side::new(Direction::Alone);
        decoder
    }

    fn side(&mut self, direction: Direction) -> &mut Side {
        &mut self.sides[place(direction)]
    }

    /// The node that speaks in a direction, once it has greeted.
    pub(crate) fn node(&self, direction: Direction) -> Option<&str> {
        let greeting = self.sides[place(direction)].greeting.as_ref();
        greeting.map(|greeting| greeting.node.as_str())
    }

    /// So many octets are kept, as what they are part of is not complete.
    pub(crate) fn held(&self) -> usize {
        self.sides.iter().map(|side| side.stream.rest.len()).sum()
    }

    /// Decodes nothing further of a direction.
    pub(crate) fn give_up(&mut self, direction: Direction) {
        let side = self.side(direction);
        side.step = Step::Over;
        side.stream.take(side.stream.rest.len());
    }

    /// Why nothing further of a direction is decoded, if that is so.
    pub(crate) fn stopped(&self, direction: Direction) -> Option<Stopped> {
        match self.sides[place(direction)].step {
            Step::Tls(..) => Some(Stopped::Tls),
            Step::Over => Some(Stopped::Fault),
            _ => None,
        }
    }

    /// More has come. Gives what that says.
    pub(crate) fn feed(&mut self, chunk: &Chunk) -> Vec<Event> {
        let number = self.chunks;
        self.chunks += 1;
        self.side(chunk.direction).stream.add(number, chunk);
        self.advance(false)
    }

    /// Nothing more will come.
    pub(crate) fn finish(&mut self) -> Vec<Event> {
        self.advance(true)
    }

    fn advance(&mut self, is_whole: bool) -> Vec<Event> {
        let mut events = Vec::new();
        let [forth, back] = &mut self.sides;
        // What the one says may be what the other one waited for.
        while forth.advance(back, &self.rules, is_whole, &mut events)
            || back.advance(forth, &self.rules, is_whole, &mut events)
        {}
        events
    }
}

impl Side {
    /// Takes the next step, if there is enough for it. `is_whole`: nothing more will come.
    fn advance(
        &mut self,
        other: &Side,
        rules: &Rules,
        is_whole: bool,
        events: &mut Vec<Event>,
    ) -> bool {
        if !self.stream.is_there() {
            return false;
        }
        match self.step {
            Step::Greeting => self.greet(rules, is_whole, events),
            Step::Nonce => handshake::nonce(self, is_whole, events),
            Step::Token => self.prove(other, rules, is_whole, events),
            Step::Messages(..) => self.messages(is_whole, events),
            Step::Data => self.data(is_whole, events),
            Step::Tls(begin, when) => self.tls(begin, when, is_whole, events),
            Step::Over => {
                self.stream.take(self.stream.rest.len());
                false
            }
        }
    }

    fn greet(&mut self, rules: &Rules, is_whole: bool, events: &mut Vec<Event>) -> bool {
        let rest = &self.stream.rest;
        if self.stream.direction != Direction::Alone || rest.starts_with(AEMP) {
            return handshake::greeting(self, is_whole, events);
        }
        if rest.len() < AEMP.len() && !is_whole {
            return false;
        }
        self.step = match handshake::guess(&self.stream, rules.secret.as_ref(), events) {
            Some(framing) => self.begin_messages(framing, None, rules),
            None => Step::Over,
        };
        true
    }

    /// Goes on behind the greeting: with TLS, or the token.
    fn prove(
        &mut self,
        other: &Side,
        rules: &Rules,
        is_whole: bool,
        events: &mut Vec<Event>,
    ) -> bool {
        let rest = self.stream.rest.len();
        if !is_whole && (!other.has_greeted() && rest <= rules.most_waiting || rest < 2) {
            return false;
        }
        let other = other.stream.is_there().then_some(other);
        let wants = |side: &Side| side.greeting.as_ref().is_some_and(|g| g.wants_tls());
        let tls = wants(self) && other.is_none_or(wants);
        if !self.stream.inside_tls && tls && self.stream.rest.starts_with(&TLS_RECORD) {
            let begin = self.stream.at;
            self.step = Step::Tls(begin, self.stream.when(begin));
            return true;
        }
        let channel = match self.stream.inside_tls {
            true => Channel::Tls,
            false => Channel::Plain,
        };
        let is_data = [Some(&*self), other]
            .into_iter()
            .flatten()
            .any(|side| side.purpose() == Purpose::Data);
        let secret = rules.secret.as_ref();
        let framing = match handshake::token(self, other, channel, secret, is_whole, events) {
            handshake::Token::Incomplete => return false,
            handshake::Token::Read(framing) => framing,
        };
        self.step = match framing {
            None => Step::Over,
            Some(_) if is_data => Step::Data,
            Some(framing) => self.begin_messages(framing, other, rules),
        };
        true
    }

    /// Messages follow, in that framing.
    fn begin_messages(&self, framing: Framing, other: Option<&Side>, rules: &Rules) -> Step {
        let receiver = other.map_or("the other node", Side::node);
        Step::Messages(
            Box::new(Incoming::new(framing, rules.limits)),
            Meanings::new(self.node(), receiver, generation(self, other)),
        )
    }

    fn messages(&mut self, is_whole: bool, events: &mut Vec<Event>) -> bool {
        let Step::Messages(incoming, meanings) = &mut self.step else {
            return false;
        };
        let (stream, framing) = (&mut self.stream, incoming.framing());
        loop {
            match incoming.next(&mut stream.rest) {
                Ok(Some(arrived)) => {
                    let end = stream.at + arrived.octets;
                    let what = match arrived.name {
                        None => What::Keepalive,
                        Some(port) => What::Message {
                            meaning: meanings.of(&port, &arrived.message),
                            port,
                            message: arrived.message,
                            octets: arrived.octets,
                        },
                    };
                    events.push(Event::new(stream, stream.at, end, what));
                    stream.taken(arrived.octets);
                }
                Ok(None) => break,
                Err(error) => {
                    let (at, place) = (stream.at, stream.at + within(&error));
                    let text = format!("the message at octet {at}, in {framing}: {error}");
                    events.push(Event::new(stream, place, place, What::Fault(text)));
                    self.step = Step::Over;
                    return true;
                }
            }
        }
        if !is_whole {
            return false;
        }
        let left = &stream.rest;
        if !left.trim_ascii().is_empty() && stream.lost.is_none() {
            let text = format!("a part of a message, in {framing}, {} octets", left.len());
            events.push(Event::new(
                stream,
                stream.at,
                stream.end(),
                What::Fault(text),
            ));
        }
        self.end(events)
    }

    /// What programs say to each other.
    fn data(&mut self, is_whole: bool, events: &mut Vec<Event>) -> bool {
        let mut begin = self.stream.at;
        for end in self.stream.parts() {
            let text = format!("{} octets of the programs'", end - begin);
            events.push(Event::new(&self.stream, begin, end, What::Note(text)));
            begin = end;
        }
        self.stream.take(self.stream.rest.len());
        is_whole && self.end(events)
    }

    /// What nobody can decode: said at the end, as only then it is known how much it was.
    fn tls(&mut self, begin: usize, when: When, is_whole: bool, events: &mut Vec<Event>) -> bool {
        if is_whole {
            let what = What::Tls(self.stream.end() - begin);
            events.push(Event {
                when,
                ..Event::new(&self.stream, begin, begin, what)
            });
            self.step = Step::Over;
        }
        self.stream.take(self.stream.rest.len());
        is_whole
    }

    /// The capture ends here. Says so if that is by mistake.
    fn end(&mut self, events: &mut Vec<Event>) -> bool {
        if let Some(why) = &self.stream.lost {
            let end = self.stream.end();
            let text = format!("{why}; what follows is not decoded");
            events.push(Event::new(&self.stream, end, end, What::Fault(text)));
        }
        self.step = Step::Over;
        true
    }
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
