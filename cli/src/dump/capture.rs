//! What a capture holds, whatever its format: conversations, which are chunks of octets.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;

use super::pcap;

/// Who said something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Who opened the connection.
    Forth,
    /// Who was connected to.
    Back,
    /// Nobody knows: the capture has one direction alone.
    Alone,
}

impl Direction {
    /// As the fixtures have it.
    pub(crate) fn sign(self) -> &'static str {
        match self {
            Direction::Forth => ">",
            Direction::Back => "<",
            Direction::Alone => "-",
        }
    }
}

/// Octets that were delivered at once.
#[derive(Debug, Clone)]
pub(crate) struct Chunk {
    /// Seconds since the conversation began, if the capture says so.
    pub(crate) at: Option<f64>,
    pub(crate) direction: Direction,
    pub(crate) octets: Vec<u8>,
    /// They passed through TLS, and are written down as they went in.
    pub(crate) inside_tls: bool,
}

/// Where a direction can't be read on, as the capture lacks octets.
#[derive(Debug, Clone)]
pub(super) struct Lost {
    pub(super) direction: Direction,
    pub(super) why: String,
}

/// One connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Conversation {
    /// The number of the connection, from 1.
    pub(super) number: u64,
    /// Its addresses, if the capture says them.
    pub(super) between: Option<String>,
    pub(super) chunks: Vec<Chunk>,
    pub(super) lost: Vec<Lost>,
    /// It may be something else than AEMP: the capture has all that passed on a network, and this
    /// from its beginning.
    pub(super) may_be_other: bool,
}

/// A place in the file itself that can't be read.
#[derive(Debug, Clone)]
pub(super) struct Unreadable {
    /// In octets of the file.
    pub(super) offset: usize,
    pub(super) what: String,
}

/// A file.
#[derive(Debug, Clone, Default)]
pub(super) struct Capture {
    pub(super) conversations: Vec<Conversation>,
    pub(super) unreadable: Vec<Unreadable>,
}

/// Reads a file of any of the formats.
pub(super) fn read(file: &[u8]) -> Capture {
    let first = file.iter().find(|octet| !octet.is_ascii_whitespace());
    if pcap::is_pcap(file) {
        pcap::read(file)
    } else if first == Some(&b'{') {
        read_lines(file)
    } else {
        read_raw(file)
    }
}

/// A line in the fixtures' format.
#[derive(Debug, Deserialize)]
struct Row {
    conn: u64,
    dir: char,
    at: Option<f64>,
    text: Option<String>,
    base64: Option<String>,
    #[serde(default)]
    inside_tls: bool,
}

impl Row {
    fn chunk(self) -> Result<Chunk, String> {
        let direction = match self.dir {
            '>' => Direction::Forth,
            '<' => Direction::Back,
            other => return Err(format!("the direction is neither > nor <, but {other:?}")),
        };
        let octets = match (self.text, self.base64) {
            (Some(text), _) => text.into_bytes(),
            (None, Some(text)) => BASE64.decode(text).map_err(|error| error.to_string())?,
            (None, None) => return Err("neither `text` nor `base64`".to_owned()),
        };
        Ok(Chunk {
            at: self.at,
            direction,
            octets,
            inside_tls: self.inside_tls,
        })
    }
}

fn read_lines(file: &[u8]) -> Capture {
    let mut capture = Capture::default();
    let mut conversations: BTreeMap<u64, Conversation> = BTreeMap::new();
    let mut offset = 0;
    for line in file.split_inclusive(|octet| *octet == b'\n') {
        let begin = offset;
        offset += line.len();
        if line.trim_ascii().is_empty() {
            continue;
        }
        let row = serde_json::from_slice::<Row>(line).map_err(|error| error.to_string());
        let number = row.as_ref().map_or(0, |row| row.conn);
        match row.and_then(Row::chunk) {
            Ok(chunk) => {
                let conversation = conversations.entry(number).or_default();
                conversation.number = number;
                conversation.chunks.push(chunk);
            }
            Err(what) => capture.unreadable.push(Unreadable {
                offset: begin,
                what: format!("a line that is no chunk: {what}"),
            }),
        }
    }
    capture.conversations = conversations.into_values().collect();
    capture
}

fn read_raw(file: &[u8]) -> Capture {
    let mut capture = Capture::default();
    if file.is_empty() {
        capture.unreadable.push(Unreadable {
            offset: 0,
            what: "the file is empty".to_owned(),
        });
        return capture;
    }
    capture.conversations.push(Conversation {
        number: 1,
        chunks: vec![Chunk {
            at: None,
            direction: Direction::Alone,
            octets: file.to_vec(),
            inside_tls: false,
        }],
        ..Conversation::default()
    });
    capture
}
