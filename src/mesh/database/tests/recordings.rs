//! Reads what real nodes said about the database.

use std::path::PathBuf;

use base64::Engine as _;
use serde_json::Value;

use crate::proto::framing::cbor::{Sequence, cbor_to_json};

/// A message about the database: when, whether the connector said it, and its elements.
pub(super) struct Line {
    pub(super) at: f64,
    pub(super) by_connector: bool,
    pub(super) said: Vec<Value>,
}

pub(super) struct Capture {
    pub(super) connector: String,
    pub(super) listener: String,
    pub(super) lines: Vec<Line>,
}

/// One direction of a connection.
#[derive(Default)]
struct Stream {
    octets: Vec<u8>,
    /// The lines of the handshake.
    lines: Vec<String>,
}

impl Stream {
    /// The messages that are complete now.
    fn messages(&mut self) -> Vec<Value> {
        while self.lines.len() < 3 {
            let Some(end) = self.octets.iter().position(|octet| *octet == b'\n') else {
                return Vec::new();
            };
            let line: Vec<u8> = self.octets.drain(..=end).collect();
            self.lines
                .push(String::from_utf8(line).unwrap().trim().to_owned());
        }
        let framing = self.lines[2].rsplit(';').next().unwrap();
        let mut all = Vec::new();
        let used = match framing {
            "cbor" => {
                let mut items = Sequence::new(&self.octets);
                let mut used = 0;
                while let Ok(Some(item)) = items.next_item() {
                    let mut json = Vec::new();
                    cbor_to_json(&mut json, item).unwrap();
                    all.append(&mut serde_json::from_slice(&json).unwrap());
                    used += item.len();
                }
                used
            }
            "json" => {
                let mut texts = serde_json::Deserializer::from_slice(&self.octets).into_iter();
                let mut used = 0;
                while let Some(Ok(message)) = texts.next() {
                    all.push(message);
                    used = texts.byte_offset();
                }
                used
            }
            other => panic!("framing {other}"),
        };
        self.octets.drain(..used);
        all
    }

    /// The node that says this.
    fn node(&self) -> String {
        self.lines[0].split(';').nth(2).unwrap().to_owned()
    }
}

pub(super) fn load(name: &str) -> Capture {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/perl-2.02");
    let text = std::fs::read_to_string(root.join(format!("{name}.jsonl"))).unwrap();
    let (mut connector, mut listener) = (Stream::default(), Stream::default());
    let mut lines = Vec::new();
    for line in text.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let octets = match &row["text"] {
            Value::String(text) => text.clone().into_bytes(),
            _ => {
                let text = row["base64"].as_str().unwrap();
                base64::engine::general_purpose::STANDARD
                    .decode(text)
                    .unwrap()
            }
        };
        let by_connector = row["dir"] == ">";
        let stream = if by_connector {
            &mut connector
        } else {
            &mut listener
        };
        stream.octets.extend(octets);
        for message in stream.messages() {
            let mut said = message.as_array().unwrap().clone();
            let is_verb = |tag: &Value| tag.as_str().is_some_and(|tag| tag.starts_with("g_"));
            if said[0] == "" && said.get(1).is_some_and(is_verb) {
                said.remove(0);
                let at = row["at"].as_f64().unwrap();
                lines.push(Line {
                    at,
                    by_connector,
                    said,
                });
            }
        }
    }
    assert!(
        connector.octets.is_empty() && listener.octets.is_empty(),
        "{name}"
    );
    assert!(lines.len() > 5, "{name}");
    Capture {
        connector: connector.node(),
        listener: listener.node(),
        lines,
    }
}
