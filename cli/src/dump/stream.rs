//! The octets of one direction that are not decoded yet, and when each of them came.

use std::collections::VecDeque;

use aemp::proto::handshake::MAX_LINE;
use bytes::{Buf as _, BytesMut};

use super::capture::{Chunk, Direction};

/// When octets came.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct When {
    /// The number of their chunk among those of both directions.
    pub(super) chunk: usize,
    /// Seconds since the conversation began, if the capture says so.
    pub(crate) at: Option<f64>,
}

/// A chunk in its stream: where it ends, in octets of the direction.
#[derive(Debug, Clone)]
struct Mark {
    end: usize,
    when: When,
}

/// The octets of a direction. Those that are decoded are not kept.
#[derive(Debug, Clone)]
pub(super) struct Stream {
    pub(super) direction: Direction,
    /// What has come, and is not taken yet.
    pub(super) rest: BytesMut,
    /// So many octets of the direction were taken: the number of the first one in `rest`.
    pub(super) at: usize,
    marks: VecDeque<Mark>,
    /// When the last octet that was taken came.
    last: When,
    /// Some of them passed through TLS, and are written down as they went in.
    pub(super) inside_tls: bool,
    /// Why the capture has no more of them, if that is by mistake.
    pub(super) lost: Option<String>,
}

/// What stands where a line is expected.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A line without its end, and how many octets it takes with it.
    Whole(Vec<u8>, usize),
    /// Nothing.
    End,
    /// A part of one.
    Part,
    /// More than any line has.
    TooLong,
}

impl Stream {
    pub(super) fn new(direction: Direction) -> Self {
        Stream {
            direction,
            rest: BytesMut::new(),
            at: 0,
            marks: VecDeque::new(),
            last: When { chunk: 0, at: None },
            inside_tls: false,
            lost: None,
        }
    }

    /// Whether the capture has anything of this direction.
    pub(super) fn is_there(&self) -> bool {
        self.end() > 0 || self.lost.is_some()
    }

    /// So many octets of the direction have come.
    pub(super) fn end(&self) -> usize {
        self.at + self.rest.len()
    }

    /// More has come: the chunk of that number, among those of both directions.
    pub(super) fn add(&mut self, number: usize, chunk: &Chunk) {
        if chunk.octets.is_empty() {
            return;
        }
        self.rest.extend_from_slice(&chunk.octets);
        self.inside_tls |= chunk.inside_tls;
        let when = When {
            chunk: number,
            at: chunk.at,
        };
        let end = self.end();
        self.marks.push_back(Mark { end, when });
    }

    /// Takes octets off.
    pub(super) fn take(&mut self, count: usize) {
        self.rest.advance(count);
        self.taken(count);
    }

    /// So many were taken off `rest`.
    pub(super) fn taken(&mut self, count: usize) {
        self.at += count;
        while let Some(mark) = self.marks.front()
            && mark.end <= self.at
        {
            self.last = mark.when;
            self.marks.pop_front();
        }
        // What a long message took is given back.
        if self.rest.is_empty() {
            self.rest = BytesMut::new();
        }
    }

    /// When the octet of that number came: one that is not taken yet; of one that is not there,
    /// when the last one did.
    pub(super) fn when(&self, offset: usize) -> When {
        let mark = self.marks.partition_point(|mark| mark.end <= offset);
        let mark = self.marks.get(mark).or(self.marks.back());
        mark.map_or(self.last, |mark| mark.when)
    }

    /// The line that comes next.
    pub(super) fn line(&self) -> Line {
        let rest = &self.rest[..];
        match memchr::memchr(b'\n', rest) {
            Some(end) if end < MAX_LINE => {
                let line = &rest[..end];
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                Line::Whole(line.to_vec(), end + 1)
            }
            None if rest.is_empty() => Line::End,
            None if rest.len() < MAX_LINE => Line::Part,
            _ => Line::TooLong,
        }
    }

    /// The parts of what is there that came at once: where each ends, in octets of the direction.
    pub(super) fn parts(&self) -> Vec<usize> {
        let ends = self.marks.iter().map(|mark| mark.end);
        ends.filter(|end| *end > self.at).collect()
    }
}
