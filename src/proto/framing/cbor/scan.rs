//! The scanner: it goes through the heads of items and can stop behind any octet.

use super::super::{FramingError, Limits};
use super::head::{self, Head};
use super::{ElementKind, Frame};

mod state;
mod step;

pub use state::CborScanner;

use state::{Level, NOT_SEEN, State, syntax};
use step::string_kind;

impl CborScanner {
    /// A scanner at the start of a stream.
    ///
    /// ```
    /// use aemp::proto::{FramingError, Limits, framing::cbor::CborScanner};
    /// let mut scanner = CborScanner::new(Limits::new(10, 2));
    /// assert!(scanner.next(b"\x82\x41a\x81\x01").is_ok());
    /// let mut scanner = CborScanner::new(Limits::new(10, 2));
    /// assert_eq!(scanner.next(b"\x82\x41a\x81\x80"), Err(FramingError::TooDeep { limit: 2 }));
    /// let mut scanner = CborScanner::new(Limits::new(10, 2));
    /// assert_eq!(scanner.next(b"\x81\x58\x20"), Err(FramingError::TooLong { limit: 10 }));
    /// ```
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            pos: 0,
            state: State::Message,
            tagged: false,
            start: 0,
            first: 0,
            depth: 0,
            level: Level::Open,
            outer: Vec::new(),
            item: 0,
            content: 0,
            dest: NOT_SEEN,
            tag: NOT_SEEN,
            seen: 0,
            failed: None,
        }
    }

    /// Looks for the next complete message.
    ///
    /// `buf` starts where the last frame ended (at first: at the start of the stream) and holds
    /// everything that came since. After `None`, call again with the same octets and more behind
    /// them. What earlier calls looked at is not looked at again, except for the at most 8 octets
    /// of a head or a character that is cut off at the buffer's end.
    ///
    /// Frames and errors do not depend on how the stream is cut into calls. Nothing is allocated
    /// for a length that is only announced.
    ///
    /// # Errors
    ///
    /// At the first octet that can not be part of a sequence of messages, or as soon as a length
    /// is announced that does not fit into [`Limits::max_message`]. The scanner can not go on then;
    /// it gives the same error from then on.
    ///
    /// ```
    /// use aemp::proto::{Limits, framing::cbor::CborScanner};
    /// let mut scanner = CborScanner::new(Limits::default());
    /// assert_eq!(scanner.next(b"\x82\x41")?, None);
    /// let frame = scanner.next(b"\x82\x41a\x01\x81\x40")?.unwrap();
    /// assert_eq!((frame.start, frame.end), (0, 4));
    /// assert!(scanner.next(b"\xa0").is_err());
    /// # Ok::<(), aemp::proto::FramingError>(())
    /// ```
    pub fn next(&mut self, buf: &[u8]) -> Result<Option<Frame>, FramingError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let limit = self.limits.max_message;
        // What lies beyond the limit must not matter, however much of it is here already.
        match self.scan(buf.get(..limit).unwrap_or(buf)) {
            Ok(None) if buf.len() > limit => Err(self.fail(FramingError::TooLong { limit })),
            Err(error) => Err(self.fail(error)),
            result => result,
        }
    }

    /// Whether it stands between two messages: none of the next one was seen yet.
    ///
    /// ```
    /// use aemp::proto::{Limits, framing::cbor::CborScanner};
    /// let mut scanner = CborScanner::new(Limits::default());
    /// assert!(scanner.is_between());
    /// assert_eq!(scanner.next(b"\x82\x41a")?, None);
    /// assert!(!scanner.is_between());
    /// # Ok::<(), aemp::proto::FramingError>(())
    /// ```
    #[inline]
    pub fn is_between(&self) -> bool {
        self.pos == 0 && self.failed.is_none()
    }

    #[cold]
    fn fail(&mut self, error: FramingError) -> FramingError {
        self.failed.insert(error).clone()
    }

    fn scan(&mut self, buf: &[u8]) -> Result<Option<Frame>, FramingError> {
        let mut at = self.pos;
        while at < buf.len() {
            match self.state {
                State::Item => {
                    while let Some(len) = self.short(buf, at) {
                        at += len;
                        if self.count(at) {
                            return Ok(Some(self.finish(at)));
                        }
                    }
                    let Some((head, len)) = read(buf, at)? else {
                        break;
                    };
                    let before = at;
                    at += len;
                    if self.take(buf, before, &mut at, head)? {
                        return Ok(Some(self.finish(at)));
                    }
                }
                State::String { end, text, .. } => {
                    at = pass(buf, at, end, text)?;
                    if at < end {
                        break;
                    }
                }
                State::Chunk { text } => {
                    let Some((head, len)) = read(buf, at)? else {
                        break;
                    };
                    match head {
                        Head::Text(n) if text => self.string(at + len, n, text, true)?,
                        Head::Octets(n) if !text => self.string(at + len, n, text, true)?,
                        Head::Break => {
                            self.state = State::Item;
                            self.note(self.item, at + len, ElementKind::Chunks);
                            if self.count(at + len) {
                                return Ok(Some(self.finish(at + len)));
                            }
                        }
                        _ => return syntax(at, "chunk of the string or break expected"),
                    }
                    at += len;
                }
                State::Message => {
                    let Some((head, len)) = read(buf, at)? else {
                        break;
                    };
                    match head {
                        Head::Tag(super::SELF_DESCRIBED) => self.tagged = true,
                        Head::Array(_) | Head::OpenArray => {
                            self.start = at;
                            self.first = at + len;
                            self.tagged = false;
                            self.state = State::Item;
                            if self.open(at + len, head)? {
                                return Ok(Some(self.finish(at + len)));
                            }
                        }
                        _ => {
                            let found = buf[at];
                            return Err(FramingError::NotAnArray { offset: at, found });
                        }
                    }
                    at += len;
                }
            }
            // Here, as a string of length 0 is complete without any octet behind its head.
            if let State::String { end, chunk, text } = self.state
                && end == at
            {
                self.state = State::Chunk { text };
                if !chunk {
                    self.state = State::Item;
                    self.note(self.content, at, string_kind(text));
                    if self.count(at) {
                        return Ok(Some(self.finish(at)));
                    }
                }
            }
        }
        self.pos = at;
        Ok(None)
    }

    /// The message ends.
    fn finish(&mut self, end: usize) -> Frame {
        self.pos = 0;
        self.depth = 0;
        self.state = State::Message;
        // The level is that of the message itself again.
        let by_break = matches!(self.level, Level::Open);
        let seen = std::mem::take(&mut self.seen);
        Frame {
            start: self.start,
            first: self.first,
            last: end - usize::from(by_break),
            end,
            dest: (seen > 0).then_some(self.dest),
            tag: (seen > 1).then_some(self.tag),
        }
    }
}

fn read(buf: &[u8], at: usize) -> Result<Option<(Head, usize)>, FramingError> {
    head::read(&buf[at..]).or_else(|what| syntax(at, what))
}

/// How far the string that ends at `end` is here, from `at` on, in whole characters if it is text.
fn pass(buf: &[u8], at: usize, end: usize, text: bool) -> Result<usize, FramingError> {
    let here = end.min(buf.len());
    if !text {
        return Ok(here);
    }
    match std::str::from_utf8(&buf[at..here]) {
        Ok(_) => Ok(here),
        Err(error) => {
            let valid = at + error.valid_up_to();
            match error.error_len() {
                None if here < end => Ok(valid),
                _ => Err(FramingError::Utf8 { offset: valid }),
            }
        }
    }
}
