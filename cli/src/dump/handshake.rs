//! The three lines of a side's handshake, explained and checked.

use aemp::proto::auth::{AuthMethod, Channel};
use aemp::proto::greeting::Purpose;
use aemp::proto::message::Incoming;
use aemp::proto::{Framing, Generation, Greeting, Secret};

use super::capture::Direction;
use super::event::{Event, What};
use super::meaning::Meanings;
use super::stream::{Line, Stream, When};

/// How far the decoding of a side has come.
#[derive(Debug)]
pub(super) enum Step {
    Greeting,
    Nonce,
    Token,
    Messages(Box<Incoming>, Meanings),
    /// The octets of programs, over a data connection.
    Data,
    /// TLS, from that octet on, which came then.
    Tls(usize, When),
    /// Nothing further is decoded.
    Over,
}

/// A side of a conversation.
#[derive(Debug)]
pub(super) struct Side {
    pub(super) stream: Stream,
    pub(super) step: Step,
    pub(super) greeting: Option<Greeting>,
    /// The greeting and the nonce, each with LF, as tokens are made of them; the nonce is missing
    /// until it has come.
    lines: Vec<u8>,
}

impl Side {
    pub(super) fn new(direction: Direction) -> Self {
        Side {
            stream: Stream::new(direction),
            step: Step::Greeting,
            greeting: None,
            lines: Vec::new(),
        }
    }

    /// Its node ID.
    pub(super) fn node(&self) -> &str {
        let greeting = self.greeting.as_ref();
        greeting.map_or("the sender", |greeting| greeting.node.as_str())
    }

    /// What it says that the connection is made for.
    pub(super) fn purpose(&self) -> Purpose {
        let greeting = self.greeting.as_ref();
        greeting.map_or(Purpose::Link, |greeting| greeting.purpose)
    }

    /// Whether it is known what it greets with, if with anything.
    pub(super) fn has_greeted(&self) -> bool {
        !matches!(self.step, Step::Greeting | Step::Nonce)
    }

    /// Both lines of the greeting, if both are there.
    fn greeted(&self) -> &[u8] {
        match self.lines.iter().filter(|octet| **octet == b'\n').count() {
            2 => &self.lines,
            _ => &[],
        }
    }

    /// Takes a line, and gives it, with an event in its place that is to be said about it. Nothing
    /// if there is none yet; if there never will be, that is said.
    fn line(
        &mut self,
        name: &str,
        is_whole: bool,
        events: &mut Vec<Event>,
    ) -> Option<(Vec<u8>, Place)> {
        let stream = &mut self.stream;
        let from = stream.at;
        let what = match stream.line() {
            Line::Whole(line, octets) => {
                let place = Place {
                    from,
                    when: stream.when(from + octets - 1),
                    direction: stream.direction,
                };
                stream.take(octets);
                return Some((line, place));
            }
            Line::End | Line::Part if !is_whole => return None,
            _ if stream.lost.is_some() => {
                let why = stream.lost.as_deref().unwrap_or_default();
                What::Fault(format!("{why}; the {name} is not whole"))
            }
            Line::End => What::Note(format!("nothing more is said, there is no {name}")),
            Line::Part => What::Fault(format!("the {name} has no end")),
            Line::TooLong => What::Fault(format!("the {name} is longer than any line may be")),
        };
        events.push(Event::new(stream, from, from, what));
        self.step = Step::Over;
        None
    }
}

/// Where a line stood.
#[derive(Debug, Clone, Copy)]
struct Place {
    from: usize,
    when: When,
    direction: Direction,
}

impl Place {
    fn say(self, what: What) -> Event {
        Event {
            when: self.when,
            direction: self.direction,
            offset: self.from,
            what,
        }
    }
}

/// Reads the greeting.
pub(super) fn greeting(side: &mut Side, is_whole: bool, events: &mut Vec<Event>) -> bool {
    let Some((line, place)) = side.line("greeting", is_whole, events) else {
        return false;
    };
    match Greeting::parse(&line) {
        Ok(greeting) => {
            let text = explain(&greeting);
            events.push(place.say(What::Handshake {
                line: "greeting",
                text,
            }));
            side.greeting = Some(greeting);
            side.lines = line;
            side.lines.push(b'\n');
            side.step = Step::Nonce;
        }
        // What does not greet is no AEMP, and its further lines mean nothing.
        Err(error) => {
            events.push(place.say(What::Fault(error.to_string())));
            side.step = Step::Over;
        }
    }
    true
}

/// Reads the nonce.
pub(super) fn nonce(side: &mut Side, is_whole: bool, events: &mut Vec<Event>) -> bool {
    let Some((line, place)) = side.line("nonce", is_whole, events) else {
        return false;
    };
    let text = format!("{} characters, drawn by chance", line.len());
    events.push(place.say(What::Handshake {
        line: "nonce",
        text,
    }));
    side.lines.extend_from_slice(&line);
    side.lines.push(b'\n');
    side.step = Step::Token;
    true
}

/// A greeting, in words.
fn explain(greeting: &Greeting) -> String {
    let purpose = match greeting.purpose {
        Purpose::Link => "a link",
        Purpose::Data => "a data connection",
    };
    let generation = match Generation::of_greeting(greeting) {
        Some(generation) => format!("generation {generation}"),
        None => "of no known generation".to_owned(),
    };
    let params = greeting.params.iter();
    let params: Vec<String> = params
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    format!(
        "node {}, for {purpose}, version {}, {generation}, accepts the methods {}, reads the framings {}, {}",
        greeting.node,
        greeting.version,
        greeting.auths.join(" "),
        greeting.framings.join(" "),
        params.join(" "),
    )
}

/// What came of reading a token.
pub(super) enum Token {
    /// It has not come yet, or never will.
    Incomplete,
    /// Of what follows it names the framing; none if that is not to be known.
    Read(Option<Framing>),
}

/// Reads and checks the token of a side.
pub(super) fn token(
    side: &mut Side,
    other: Option<&Side>,
    channel: Channel,
    secret: Option<&Secret>,
    is_whole: bool,
    events: &mut Vec<Event>,
) -> Token {
    let Some((line, place)) = side.line("token", is_whole, events) else {
        return Token::Incomplete;
    };
    let mut wrong = |text: String| events.push(place.say(What::Fault(text)));
    let line = String::from_utf8_lossy(&line);
    let mut fields = line.split(';');
    let (Some(method), Some(token), Some(name)) = (fields.next(), fields.next(), fields.next())
    else {
        wrong("the token line is not METHOD;TOKEN;FRAMING".to_owned());
        return Token::Read(None);
    };
    let framing = Framing::from_name(name);
    if framing.is_none() {
        wrong(format!("the token line names an unknown framing {name:?}"));
    }
    match AuthMethod::from_name(method) {
        None => wrong(format!("the token line names an unknown method {method:?}")),
        Some(known) => {
            let verdict = verify(known, token, side, other, channel, secret);
            let what = match verdict {
                Ok(verdict) => What::Handshake {
                    line: "token",
                    text: format!("by {method}, {verdict}; sends in {name} from here on"),
                },
                Err(why) => What::Fault(format!("the token, by {method}: {why}")),
            };
            events.push(place.say(what));
        }
    }
    Token::Read(framing)
}

/// Checks a token, as far as that can be done.
fn verify(
    method: AuthMethod,
    token: &str,
    side: &Side,
    other: Option<&Side>,
    channel: Channel,
    secret: Option<&Secret>,
) -> Result<&'static str, String> {
    if !method.works_over(channel) {
        let channel = match channel {
            Channel::Plain => "without TLS",
            Channel::Tls => "within TLS",
        };
        return Err(format!("no node takes this method {channel}"));
    }
    let none = Secret::new([]);
    let used = match secret {
        Some(secret) => secret,
        None if method.needs_secret() => return Ok("not checked without --secret"),
        None => &none,
    };
    let theirs = other.map_or(&[][..], Side::greeted);
    let needs_greetings = !matches!(method, AuthMethod::Cleartext | AuthMethod::TlsAnon);
    if theirs.is_empty() && needs_greetings {
        return match secret {
            Some(_) => Err("can't be checked, the other side's greeting is missing".to_owned()),
            None => Ok("not checked, as the other side's greeting is missing"),
        };
    }
    match method.verify(used, side.greeted(), theirs, token.as_bytes()) {
        true if method == AuthMethod::TlsAnon => Ok("which proves nothing"),
        true => Ok("verified"),
        false if method.needs_secret() => {
            Err("wrong: another secret, or a greeting or the token has been altered".to_owned())
        }
        false => Err("wrong: a greeting or the token has been altered".to_owned()),
    }
}

/// The framing of messages that nothing stands in front of, by their first octet.
pub(super) fn guess(
    stream: &Stream,
    secret: Option<&Secret>,
    events: &mut Vec<Event>,
) -> Option<Framing> {
    let framing = match stream.rest.first() {
        Some(b'[') => Framing::Json,
        Some(0x80..=0x9f) => Framing::Cbor,
        _ if stream.rest.get(1..4) == Some(b"\x05\x0b\x02".as_slice()) => Framing::Storable,
        _ => {
            let what = "neither a capture, nor a greeting, nor a message".to_owned();
            events.push(Event::new(stream, 0, 0, What::Fault(what)));
            return None;
        }
    };
    let text = format!("there is no handshake; by the first octet the framing is {framing}");
    let what = match secret {
        Some(_) => What::Fault(format!("{text}, and there is no token to check")),
        None => What::Note(text),
    };
    events.push(Event::new(stream, 0, 0, what));
    Some(framing)
}
