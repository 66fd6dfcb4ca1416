//! What is said of a place in a conversation, as a line of text or of JSON.

use std::fmt::Write as _;

use aemp::Message;
use serde_json::{Map, Value, json};

use super::capture::Direction;
use super::stream::{Stream, When};

/// What stands at a place.
#[derive(Debug)]
pub(crate) enum What {
    /// A line of the handshake, explained.
    Handshake { line: &'static str, text: String },
    /// A message.
    Message {
        /// The port that it is for; empty: the node port.
        port: String,
        message: Message,
        meaning: String,
        /// So many it took on the connection.
        octets: usize,
    },
    /// A message that says nothing.
    Keepalive,
    /// Something that is not decoded, and need not be.
    Note(String),
    /// So many octets of TLS, which nobody can decode without its keys.
    Tls(usize),
    /// Something that could not be decoded or verified.
    Fault(String),
}

/// A place in a conversation.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) when: When,
    pub(crate) direction: Direction,
    /// In octets of the direction's stream.
    pub(crate) offset: usize,
    pub(crate) what: What,
}

impl Event {
    /// Something that begins at `offset`, and whose last octet is before `end`: it is there when
    /// that one has come.
    pub(super) fn new(stream: &Stream, offset: usize, end: usize, what: What) -> Self {
        Event {
            when: stream.when(end.saturating_sub(1).max(offset)),
            direction: stream.direction,
            offset,
            what,
        }
    }

    /// Whether something was not decoded or verified here.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.what, What::Fault(_) | What::Tls(_))
    }

    /// For a reader.
    pub(crate) fn text(&self, number: u64) -> String {
        let at = match self.when.at {
            Some(at) => format!("{at:9.4}"),
            None => format!("{:>9}", "-"),
        };
        let sign = self.direction.sign();
        let mut line = format!("{at} {number}{sign} @{:<6} ", self.offset);
        let _ = match &self.what {
            What::Handshake { line: name, text } => write!(line, "{name}: {text}"),
            What::Message {
                port,
                message,
                meaning,
                ..
            } => {
                let port = match port.is_empty() {
                    true => "node port",
                    false => port,
                };
                write!(line, "{port}: {meaning}: {}", message.to_json())
            }
            What::Keepalive => write!(line, "keepalive"),
            What::Note(text) => write!(line, "{text}"),
            What::Tls(octets) => write!(line, "TLS from here on: {octets} octets, not decoded"),
            What::Fault(text) => write!(line, "WRONG at octet {}: {text}", self.offset),
        };
        printable(&line)
    }

    /// For a program. `file`: where it stands, if it is of a file.
    pub(crate) fn json(&self, file: Option<&str>, number: u64) -> Value {
        let mut object = Map::new();
        let mut put = |key: &str, value: Value| object.insert(key.to_owned(), value);
        if let Some(file) = file {
            put("file", file.into());
        }
        put("conn", number.into());
        put("at", self.when.at.map_or(Value::Null, |at| json!(at)));
        put("dir", self.direction.sign().into());
        put("offset", self.offset.into());
        let kind = match &self.what {
            What::Handshake { line, text } => {
                put("text", text.clone().into());
                *line
            }
            What::Message {
                port,
                message,
                meaning,
                ..
            } => {
                put("port", port.clone().into());
                put("meaning", meaning.clone().into());
                put("message", message.values().into());
                "message"
            }
            What::Keepalive => "keepalive",
            What::Note(text) => {
                put("text", text.clone().into());
                "note"
            }
            What::Tls(octets) => {
                put("octets", (*octets).into());
                "tls"
            }
            What::Fault(text) => {
                put("text", text.clone().into());
                "fault"
            }
        };
        put("kind", kind.into());
        Value::Object(object)
    }
}

/// A text that does nothing to a terminal: control characters are written as JSON would.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c.is_control() {
            true => {
                let _ = write!(shown, "\\u{:04x}", u32::from(c));
            }
            false => shown.push(c),
        }
    }
    shown
}
