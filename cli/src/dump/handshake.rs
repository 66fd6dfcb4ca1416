//! The three lines of a side's handshake, explained and checked.

use aemp::proto::auth::{AuthMethod, Channel};
use aemp::proto::greeting::Purpose;
use aemp::proto::{Framing, Generation, Greeting, Secret};

use super::event::{Event, What};
use super::stream::{Line, Stream};

/// A side of a conversation, by its greeting.
#[derive(Debug)]
pub(super) struct Side<'a> {
    pub(super) stream: &'a Stream,
    pub(super) greeting: Option<Greeting>,
    /// The greeting and the nonce, each with LF, as tokens are made of them; nothing unless both
    /// are there.
    lines: Vec<u8>,
    /// Where the second of them ends.
    pub(super) behind_nonce: usize,
    has_begun: bool,
}

impl<'a> Side<'a> {
    /// A side that the capture has from some message on.
    pub(super) fn headless(stream: &'a Stream) -> Self {
        Side {
            stream,
            greeting: None,
            lines: Vec::new(),
            behind_nonce: 0,
            has_begun: true,
        }
    }

    /// Reads the greeting and the nonce.
    pub(super) fn read(stream: &'a Stream, events: &mut Vec<Event>) -> Self {
        let mut side = Side {
            has_begun: false,
            ..Side::headless(stream)
        };
        let Some((greeting, nonce_at)) = line(stream, 0, "greeting", events) else {
            return side;
        };
        let what = match Greeting::parse(greeting) {
            Ok(greeting) => {
                let text = explain(&greeting);
                side.greeting = Some(greeting);
                What::Handshake {
                    line: "greeting",
                    text,
                }
            }
            Err(error) => What::Fault(error.to_string()),
        };
        let is_sound = side.greeting.is_some();
        events.push(Event::new(stream, 0, nonce_at, what));
        // What does not greet is no AEMP, and its further lines mean nothing.
        if !is_sound {
            return side;
        }
        let Some((nonce, end)) = line(stream, nonce_at, "nonce", events) else {
            return side;
        };
        let text = format!("{} characters, drawn by chance", nonce.len());
        let what = What::Handshake {
            line: "nonce",
            text,
        };
        events.push(Event::new(stream, nonce_at, end, what));
        side.lines = [greeting, b"\n", nonce, b"\n"].concat();
        side.behind_nonce = end;
        side
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
}

/// A line, and where the next one begins. If there is none, that is said.
fn line<'a>(
    stream: &'a Stream,
    from: usize,
    name: &str,
    events: &mut Vec<Event>,
) -> Option<(&'a [u8], usize)> {
    let what = match stream.line(from) {
        Line::Whole(line, end) => return Some((line, end)),
        _ if stream.lost.is_some() => {
            let why = stream.lost.as_deref().unwrap_or_default();
            What::Fault(format!("{why}; the {name} is not whole"))
        }
        Line::End => What::Note(format!("nothing more is said, there is no {name}")),
        Line::Part => What::Fault(format!("the {name} has no end")),
        Line::TooLong => What::Fault(format!("the {name} is longer than any line may be")),
    };
    events.push(Event::new(stream, from, from, what));
    None
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

/// Reads and checks the token of a side. Gives the framing in which it goes on, and from which
/// octet, if that can be known.
pub(super) fn token(
    side: &Side,
    other: Option<&Side>,
    channel: Channel,
    secret: Option<&Secret>,
    events: &mut Vec<Event>,
) -> Option<(Framing, usize)> {
    let stream = side.stream;
    if side.has_begun {
        return guess(stream, secret, events);
    }
    if side.lines.is_empty() {
        return None;
    }
    let from = side.behind_nonce;
    let (line, end) = line(stream, from, "token", events)?;
    let mut wrong = |text: String| events.push(Event::new(stream, from, end, What::Fault(text)));
    let line = String::from_utf8_lossy(line);
    let mut fields = line.split(';');
    let (Some(method), Some(token), Some(name)) = (fields.next(), fields.next(), fields.next())
    else {
        wrong("the token line is not METHOD;TOKEN;FRAMING".to_owned());
        return None;
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
            events.push(Event::new(stream, from, end, what));
        }
    }
    Some((framing?, end))
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
    let theirs = other.map_or(&[][..], |other| &other.lines);
    let needs_greetings = !matches!(method, AuthMethod::Cleartext | AuthMethod::TlsAnon);
    if theirs.is_empty() && needs_greetings {
        return match secret {
            Some(_) => Err("can't be checked, the other side's greeting is missing".to_owned()),
            None => Ok("not checked, as the other side's greeting is missing"),
        };
    }
    match method.verify(used, &side.lines, theirs, token.as_bytes()) {
        true if method == AuthMethod::TlsAnon => Ok("which proves nothing"),
        true => Ok("verified"),
        false if method.needs_secret() => {
            Err("wrong: another secret, or a greeting or the token has been altered".to_owned())
        }
        false => Err("wrong: a greeting or the token has been altered".to_owned()),
    }
}

/// The framing of messages that nothing stands in front of, by their first octet.
fn guess(
    stream: &Stream,
    secret: Option<&Secret>,
    events: &mut Vec<Event>,
) -> Option<(Framing, usize)> {
    let framing = match stream.octets.first() {
        Some(b'[') => Framing::Json,
        Some(0x80..=0x9f) => Framing::Cbor,
        _ if stream.octets.get(1..4) == Some(b"\x05\x0b\x02".as_slice()) => Framing::Storable,
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
    Some((framing, 0))
}
