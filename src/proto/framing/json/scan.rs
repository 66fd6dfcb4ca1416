//! The scanner: a pushdown automaton that can stop behind any octet.

use super::super::{FramingError, Limits};
use super::token::{self, Number, Short, plain_run, syntax};
use super::{Element, ElementKind, Frame};

/// Finds the messages in a stream of JSON arrays, checking every octet of them once.
///
/// ```
/// use aemp::proto::framing::{Limits, json::JsonScanner};
///
/// let mut scanner = JsonScanner::new(Limits::default());
/// let mut buf = br#"["aBcD.b","ping"][] ["","ti"#.to_vec();
///
/// let frame = scanner.next(&buf)?.unwrap();
/// assert_eq!(frame.dest.unwrap().text(&buf), "aBcD.b");
/// assert_eq!(frame.tag.unwrap().text(&buf), "ping");
/// buf.drain(..frame.end);
///
/// let frame = scanner.next(&buf)?.unwrap();
/// assert!(frame.is_keepalive());
/// buf.drain(..frame.end);
///
/// assert_eq!(scanner.next(&buf)?, None); // not yet complete
/// buf.extend_from_slice(br#"me"]"#);
/// let frame = scanner.next(&buf)?.unwrap();
/// assert_eq!(&buf[frame.start..frame.end], br#"["","time"]"#);
/// # Ok::<(), aemp::proto::framing::FramingError>(())
/// ```
#[derive(Debug, Clone)]
pub struct JsonScanner {
    limits: Limits,
    /// The next octet to look at.
    pos: usize,
    state: State,
    /// Where the message starts.
    start: usize,
    /// Where the string or number being read starts.
    token: usize,
    /// The string being read holds a backslash.
    escaped: bool,
    nesting: Nesting,
    /// The first two elements of the message, as far as they were seen.
    dest: Element,
    tag: Element,
    seen: u8,
    /// Where the tag starts, while it is an array or an object being read.
    tag_start: usize,
    failed: Option<FramingError>,
}

const NOT_SEEN: Element = Element {
    start: 0,
    end: 0,
    kind: ElementKind::Other,
};

/// What may come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A message, or white space.
    Message,
    /// A value, or the end of the array, which is empty so far.
    ValueOrEnd,
    /// A value.
    Value,
    /// A comma, or the end of the array or object.
    CommaOrEnd,
    /// A key, or the end of the object, which is empty so far.
    KeyOrEnd,
    /// A key.
    Key,
    /// The colon behind a key.
    Colon,
    /// The rest of a string that is a value.
    InString,
    /// The rest of a string that is a key.
    InKey,
    /// The rest of a number.
    InNumber(Number),
}

/// Which of the open brackets are braces: one bit a level.
#[derive(Debug, Clone, Default)]
struct Nesting {
    depth: usize,
    /// The innermost levels, the last one lowest: 1 for an object.
    bits: u64,
    /// The levels further out, 64 to the word.
    outer: Vec<u64>,
}

impl Nesting {
    #[inline]
    fn push(&mut self, object: bool) {
        if self.depth.is_multiple_of(64) && self.depth > 0 {
            self.outer.push(self.bits);
        }
        self.bits = self.bits << 1 | u64::from(object);
        self.depth += 1;
    }

    #[inline]
    fn pop(&mut self) {
        self.bits >>= 1;
        self.depth = self.depth.saturating_sub(1);
        if self.depth.is_multiple_of(64) && self.depth > 0 {
            self.bits = self.outer.pop().unwrap_or_default();
        }
    }

    #[inline]
    fn in_object(&self) -> bool {
        self.bits & 1 == 1
    }
}

impl JsonScanner {
    /// A scanner at the start of a stream.
    ///
    /// ```
    /// use aemp::proto::{FramingError, Limits, framing::json::JsonScanner};
    /// let mut scanner = JsonScanner::new(Limits::new(10, 2));
    /// assert!(scanner.next(br#"["a",[1]]"#).is_ok());
    /// let mut scanner = JsonScanner::new(Limits::new(10, 2));
    /// assert_eq!(scanner.next(br#"["a",[[1]]"#), Err(FramingError::TooDeep { limit: 2 }));
    /// ```
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            pos: 0,
            state: State::Message,
            start: 0,
            token: 0,
            escaped: false,
            nesting: Nesting::default(),
            dest: NOT_SEEN,
            tag: NOT_SEEN,
            seen: 0,
            tag_start: 0,
            failed: None,
        }
    }

    /// Looks for the next complete message.
    ///
    /// `buf` starts where the last frame ended (at first: at the start of the stream) and
    /// holds everything that came since. After `None`, call again with the same octets and
    /// more behind them. What earlier calls looked at is not looked at again, except for the
    /// at most 11 octets of a character, an escape or a literal that is cut off at the
    /// buffer's end.
    ///
    /// Frames and errors do not depend on how the stream is cut into calls.
    ///
    /// # Errors
    ///
    /// At the first octet that can not be part of a sequence of messages. The scanner can not
    /// go on then; it gives the same error from then on.
    ///
    /// ```
    /// use aemp::proto::{Limits, framing::json::JsonScanner};
    /// let mut scanner = JsonScanner::new(Limits::default());
    /// assert_eq!(scanner.next(br#" ["a","#)?, None);
    /// let frame = scanner.next(br#" ["a",1] [""]"#)?.unwrap();
    /// assert_eq!((frame.start, frame.end), (1, 8));
    /// assert!(scanner.next(br#"[ {"#).is_err());
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

    /// Whether the next octet is the first of a message: nothing of it was looked at before.
    ///
    /// ```
    /// use aemp::proto::{Limits, framing::json::JsonScanner};
    /// let mut scanner = JsonScanner::new(Limits::default());
    /// assert!(scanner.is_between());
    /// assert_eq!(scanner.next(b"[\"a\"")?, None);
    /// assert!(!scanner.is_between());
    /// # Ok::<(), aemp::proto::FramingError>(())
    /// ```
    #[inline]
    pub fn is_between(&self) -> bool {
        self.pos == 0 && self.state == State::Message && self.failed.is_none()
    }

    #[cold]
    fn fail(&mut self, error: FramingError) -> FramingError {
        self.failed.insert(error).clone()
    }

    fn scan(&mut self, buf: &[u8]) -> Result<Option<Frame>, FramingError> {
        let mut at = self.pos;
        let mut state = self.state;
        while let Some(&octet) = buf.get(at) {
            match state {
                State::CommaOrEnd => match octet {
                    b',' => {
                        at += 1;
                        state = if self.nesting.in_object() {
                            State::Key
                        } else {
                            State::Value
                        };
                    }
                    b']' if !self.nesting.in_object() => {
                        at += 1;
                        if self.close(at) {
                            return Ok(Some(self.finish(at)));
                        }
                    }
                    b'}' if self.nesting.in_object() => {
                        at += 1;
                        self.close(at);
                    }
                    b' ' | b'\n' | b'\r' | b'\t' => at += 1,
                    _ if self.nesting.in_object() => return syntax(at, "',' or '}' expected"),
                    _ => return syntax(at, "',' or ']' expected"),
                },
                State::Value | State::ValueOrEnd => match octet {
                    b'"' => {
                        at += 1;
                        self.token = at;
                        self.escaped = false;
                        state = State::InString;
                        // Nearly all strings are complete and plain: a short cut for them.
                        let end = at + plain_run(&buf[at..]);
                        if let Some(&[b'"', after]) = buf.get(end..end + 2) {
                            self.note(at, end, ElementKind::Plain);
                            at = end + 1;
                            state = State::CommaOrEnd;
                            if after == b',' && !self.nesting.in_object() {
                                at += 1;
                                state = State::Value;
                            }
                        }
                    }
                    b'0'..=b'9' | b'-' => {
                        self.token = at;
                        at += 1;
                        let mut part = match octet {
                            b'-' => Number::Minus,
                            b'0' => Number::Zero,
                            _ => Number::Int,
                        };
                        if part == Number::Int {
                            while let Some(b'0'..=b'9') = buf.get(at) {
                                at += 1;
                            }
                        }
                        state = if token::number(buf, &mut at, &mut part)? {
                            self.note(self.token, at, ElementKind::Number);
                            State::CommaOrEnd
                        } else {
                            State::InNumber(part)
                        };
                    }
                    b' ' | b'\n' | b'\r' | b'\t' => at += 1,
                    b']' if state == State::ValueOrEnd => {
                        at += 1;
                        if self.close(at) {
                            return Ok(Some(self.finish(at)));
                        }
                        state = State::CommaOrEnd;
                    }
                    b'[' | b'{' => {
                        self.open(at, octet)?;
                        at += 1;
                        state = if octet == b'{' {
                            State::KeyOrEnd
                        } else {
                            State::ValueOrEnd
                        };
                    }
                    b't' | b'f' | b'n' => {
                        if self.seen == 0 {
                            return Err(bad_destination(at, octet));
                        }
                        match token::literal(&buf[at..], at)? {
                            Short::Complete(len) => {
                                self.note(at, at + len, ElementKind::Other);
                                at += len;
                                state = State::CommaOrEnd;
                            }
                            Short::Incomplete => break,
                        }
                    }
                    _ => return syntax(at, "value expected"),
                },
                State::InString => match self.string(buf, &mut at)? {
                    Short::Complete(end) => {
                        let kind = if self.escaped {
                            ElementKind::Escaped
                        } else {
                            ElementKind::Plain
                        };
                        self.note(self.token, end, kind);
                        state = State::CommaOrEnd;
                    }
                    Short::Incomplete => break,
                },
                State::InNumber(mut part) => {
                    let ended = token::number(buf, &mut at, &mut part)?;
                    state = State::InNumber(part);
                    if !ended {
                        break;
                    }
                    self.note(self.token, at, ElementKind::Number);
                    state = State::CommaOrEnd;
                }
                State::Key | State::KeyOrEnd => match octet {
                    b'"' => {
                        at += 1;
                        state = State::InKey;
                    }
                    b'}' if state == State::KeyOrEnd => {
                        at += 1;
                        self.close(at);
                        state = State::CommaOrEnd;
                    }
                    b' ' | b'\n' | b'\r' | b'\t' => at += 1,
                    _ => return syntax(at, "string expected as key"),
                },
                State::InKey => match self.string(buf, &mut at)? {
                    Short::Complete(_) => state = State::Colon,
                    Short::Incomplete => break,
                },
                State::Colon => match octet {
                    b':' => {
                        at += 1;
                        state = State::Value;
                    }
                    b' ' | b'\n' | b'\r' | b'\t' => at += 1,
                    _ => return syntax(at, "':' expected"),
                },
                State::Message => match octet {
                    b'[' => {
                        self.start = at;
                        self.check_depth()?;
                        self.nesting.push(false);
                        at += 1;
                        state = State::ValueOrEnd;
                    }
                    b' ' | b'\n' | b'\r' | b'\t' => at += 1,
                    found => return Err(FramingError::NotAnArray { offset: at, found }),
                },
            }
        }
        self.pos = at;
        self.state = state;
        Ok(None)
    }

    /// Notes a value that was read, if it is one of the first two of the message.
    #[inline(always)]
    fn note(&mut self, start: usize, end: usize, kind: ElementKind) {
        if self.seen < 2 && self.nesting.depth == 1 {
            let element = Element { start, end, kind };
            if self.seen == 0 {
                self.dest = element;
            } else {
                self.tag = element;
            }
            self.seen += 1;
        }
    }

    /// An array or object starts inside of the message.
    #[inline]
    fn open(&mut self, at: usize, bracket: u8) -> Result<(), FramingError> {
        if self.seen == 0 {
            return Err(bad_destination(at, bracket));
        }
        self.check_depth()?;
        if self.nesting.depth == 1 {
            self.tag_start = at;
        }
        self.nesting.push(bracket == b'{');
        Ok(())
    }

    #[inline]
    fn check_depth(&self) -> Result<(), FramingError> {
        let limit = self.limits.max_depth;
        if self.nesting.depth >= limit {
            return Err(FramingError::TooDeep { limit });
        }
        Ok(())
    }

    /// An array or object ends. Was it the message?
    #[inline]
    fn close(&mut self, end: usize) -> bool {
        self.nesting.pop();
        self.note(self.tag_start, end, ElementKind::Other);
        self.nesting.depth == 0
    }

    /// The message ends.
    #[inline]
    fn finish(&mut self, end: usize) -> Frame {
        self.pos = 0;
        self.state = State::Message;
        let seen = std::mem::take(&mut self.seen);
        Frame {
            start: self.start,
            end,
            dest: (seen > 0).then_some(self.dest),
            tag: (seen > 1).then_some(self.tag),
        }
    }

    /// Reads on in a string, up to and including the closing quote, whose position it gives.
    #[inline(always)]
    fn string(&mut self, buf: &[u8], at: &mut usize) -> Result<Short, FramingError> {
        loop {
            let Some(&octet) = buf.get(*at) else {
                return Ok(Short::Incomplete);
            };
            let short = match octet {
                b'"' => {
                    *at += 1;
                    return Ok(Short::Complete(*at - 1));
                }
                b'\\' => {
                    self.escaped = true;
                    token::escape(&buf[*at..], *at)?
                }
                0..0x20 => return syntax(*at, "control character in a string"),
                0x20..0x80 => Short::Complete(plain_run(&buf[*at..])),
                _ => token::character(&buf[*at..], *at)?,
            };
            match short {
                Short::Complete(len) => *at += len,
                Short::Incomplete => return Ok(Short::Incomplete),
            }
        }
    }
}

fn bad_destination(offset: usize, found: u8) -> FramingError {
    FramingError::BadDestination { offset, found }
}
