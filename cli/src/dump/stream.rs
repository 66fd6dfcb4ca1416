//! All octets of one direction, and when each of them came.

use aemp::proto::handshake::MAX_LINE;

use super::capture::{Conversation, Direction};

/// When octets came.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct When {
    /// The number of their chunk among those of both directions.
    pub(super) chunk: usize,
    /// Seconds since the conversation began, if the capture says so.
    pub(super) at: Option<f64>,
}

/// A chunk in its stream.
#[derive(Debug, Clone)]
struct Mark {
    end: usize,
    when: When,
}

/// The octets of a direction.
#[derive(Debug, Clone)]
pub(super) struct Stream {
    pub(super) direction: Direction,
    pub(super) octets: Vec<u8>,
    marks: Vec<Mark>,
    /// Some of them passed through TLS, and are written down as they went in.
    pub(super) inside_tls: bool,
    /// Why the capture has no more of them, if that is by mistake.
    pub(super) lost: Option<String>,
}

/// What stands where a line is expected.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// A line without its end, and where the next one begins.
    Whole(&'a [u8], usize),
    /// Nothing.
    End,
    /// A part of one.
    Part,
    /// More than any line has.
    TooLong,
}

impl Stream {
    pub(super) fn of(conversation: &Conversation, direction: Direction) -> Self {
        let mut lost = conversation.lost.iter();
        let lost = lost.rfind(|lost| lost.direction == direction);
        let mut stream = Stream {
            direction,
            octets: Vec::new(),
            marks: Vec::new(),
            inside_tls: false,
            lost: lost.map(|lost| lost.why.clone()),
        };
        for (chunk, said) in conversation.chunks.iter().enumerate() {
            if said.direction != direction || said.octets.is_empty() {
                continue;
            }
            stream.octets.extend_from_slice(&said.octets);
            stream.inside_tls |= said.inside_tls;
            stream.marks.push(Mark {
                end: stream.octets.len(),
                when: When { chunk, at: said.at },
            });
        }
        stream
    }

    /// When the octet at that offset came; of one that is not there, when the last one did.
    pub(super) fn when(&self, offset: usize) -> When {
        let mark = self.marks.partition_point(|mark| mark.end <= offset);
        let mark = self.marks.get(mark).or(self.marks.last());
        mark.map_or(When { chunk: 0, at: None }, |mark| mark.when)
    }

    /// What is there from an offset on.
    pub(super) fn rest(&self, from: usize) -> &[u8] {
        self.octets.get(from..).unwrap_or_default()
    }

    /// The line that begins at an offset.
    pub(super) fn line(&self, from: usize) -> Line<'_> {
        let rest = self.rest(from);
        match memchr::memchr(b'\n', rest) {
            Some(end) if end < MAX_LINE => {
                let line = &rest[..end];
                Line::Whole(line.strip_suffix(b"\r").unwrap_or(line), from + end + 1)
            }
            None if rest.is_empty() => Line::End,
            None if rest.len() < MAX_LINE => Line::Part,
            _ => Line::TooLong,
        }
    }

    /// The parts of what is there from an offset on that came at once: where each begins and ends.
    pub(super) fn parts(&self, from: usize) -> Vec<(usize, usize)> {
        let mut begin = from;
        let mut parts = Vec::new();
        for mark in self.marks.iter().filter(|mark| mark.end > from) {
            parts.push((begin, mark.end));
            begin = mark.end;
        }
        parts
    }
}
