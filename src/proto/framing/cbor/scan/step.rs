//! The steps of the scanner: what an item means for the message.

use super::super::super::FramingError;
use super::super::head::Head;
use super::super::{Element, ElementKind};
use super::state::{CborScanner, Level, State, syntax};

impl CborScanner {
    /// Takes the item at `at` if it is of the sorts that nearly all are, a number or a short
    /// string, and complete. Gives its length.
    #[inline(always)]
    pub(super) fn short(&mut self, buf: &[u8], at: usize) -> Option<usize> {
        let &first = buf.get(at)?;
        let (start, len, kind) = match first {
            0x40..=0x57 => (at + 1, usize::from(first & 0x1f) + 1, ElementKind::Octets),
            0x60..=0x77 => {
                let len = usize::from(first & 0x1f) + 1;
                let text = buf.get(at + 1..at + len)?;
                // What is not ASCII is looked at more closely elsewhere.
                if text.iter().fold(0, |all, c| all | c) >= 0x80 {
                    return None;
                }
                (at + 1, len, ElementKind::Text)
            }
            0x00..=0x17 | 0x20..=0x37 => (at, 1, ElementKind::Number),
            // 1, 2, 4 or 8 octets follow.
            0x18..=0x1b | 0x38..=0x3b | 0xf9..=0xfb => {
                (at, 1 + (1 << (first & 3)), ElementKind::Number)
            }
            0x58 => (
                at + 2,
                usize::from(*buf.get(at + 1)?) + 2,
                ElementKind::Octets,
            ),
            0xf4..=0xf7 if self.seen > 0 => (at, 1, ElementKind::Other),
            _ => return None,
        };
        if buf.len() - at < len {
            return None;
        }
        if self.depth == 1 && self.seen < 2 {
            if !self.tagged {
                self.item = at;
            }
            self.note(start, at + len, kind);
        }
        Some(len)
    }

    /// Takes the item whose head stands at `before`; `at` is behind the head. Is the message
    /// complete?
    #[inline(always)]
    pub(super) fn take(
        &mut self,
        buf: &[u8],
        before: usize,
        at: &mut usize,
        head: Head,
    ) -> Result<bool, FramingError> {
        if self.depth == 1 && self.seen < 2 && !self.tagged {
            self.item = before;
            if self.seen == 0
                && matches!(
                    head,
                    Head::Array(_)
                        | Head::Map(_)
                        | Head::OpenArray
                        | Head::OpenMap
                        | Head::Tag(_)
                        | Head::Bool(_)
                        | Head::Null
                        | Head::Undefined
                )
            {
                let found = buf[before];
                return Err(FramingError::BadDestination {
                    offset: before,
                    found,
                });
            }
        }
        match head {
            Head::Octets(n) | Head::Text(n) => {
                let text = matches!(head, Head::Text(_));
                // Nearly all strings are complete: a short cut for them.
                if let Ok(len) = usize::try_from(n)
                    && let Some(string) = buf[*at..].get(..len)
                    && (!text || std::str::from_utf8(string).is_ok())
                {
                    self.note(*at, *at + len, string_kind(text));
                    *at += len;
                    return Ok(self.count(*at));
                }
                self.content = *at;
                self.string(*at, n, text, false)?;
                Ok(false)
            }
            Head::Uint(_) | Head::Negative(_) | Head::Float(_) => {
                self.note(before, *at, ElementKind::Number);
                Ok(self.count(*at))
            }
            Head::Bool(_) | Head::Null | Head::Undefined => {
                self.note(before, *at, ElementKind::Other);
                Ok(self.count(*at))
            }
            Head::Tag(_) => {
                self.tagged = true;
                Ok(false)
            }
            Head::Array(_) | Head::Map(_) | Head::OpenArray | Head::OpenMap => {
                self.tagged = false;
                self.open(*at, head)
            }
            Head::OctetChunks | Head::TextChunks => {
                let text = matches!(head, Head::TextChunks);
                self.state = State::Chunk { text };
                Ok(false)
            }
            Head::Break => match self.level {
                _ if self.tagged => syntax(before, "break behind a tag"),
                Level::Open | Level::OpenKey => Ok(self.close(*at)),
                Level::OpenValue => syntax(before, "break behind a key"),
                Level::Items(_) => syntax(before, "break in an array or map of known length"),
            },
        }
    }

    /// An array or map starts, whose head ends before `at`. Is the message complete?
    pub(super) fn open(&mut self, at: usize, head: Head) -> Result<bool, FramingError> {
        let limit = self.limits.max_depth;
        if self.depth >= limit {
            return Err(FramingError::TooDeep { limit });
        }
        let level = match head {
            Head::OpenArray => Level::Open,
            Head::OpenMap => Level::OpenKey,
            Head::Array(0) if self.depth == 0 => {
                self.level = Level::Items(0);
                return Ok(true);
            }
            Head::Array(0) | Head::Map(0) => {
                self.note(self.item, at, ElementKind::Other);
                return Ok(self.count(at));
            }
            // Each item takes an octet at least.
            Head::Array(n) => Level::Items(self.fitting(at, n)?),
            Head::Map(n) => Level::Items(self.fitting(at, n.saturating_mul(2))?),
            _ => return syntax(at, "array or map expected"),
        };
        if self.depth > 0 {
            self.outer.push(self.level);
        }
        self.level = level;
        self.depth += 1;
        Ok(false)
    }

    /// `n` if that many octets behind `at` are within the limit.
    pub(super) fn fitting(&self, at: usize, n: u64) -> Result<u64, FramingError> {
        let limit = self.limits.max_message;
        if n > limit.saturating_sub(at) as u64 {
            return Err(FramingError::TooLong { limit });
        }
        Ok(n)
    }

    /// A string of `n` octets starts at `at`.
    pub(super) fn string(
        &mut self,
        at: usize,
        n: u64,
        text: bool,
        chunk: bool,
    ) -> Result<(), FramingError> {
        let end = at + self.fitting(at, n)? as usize;
        self.state = State::String { end, text, chunk };
        Ok(())
    }

    /// Notes an item that was read, if it is one of the first two elements of the message.
    #[inline(always)]
    pub(super) fn note(&mut self, start: usize, end: usize, kind: ElementKind) {
        if self.depth != 1 || self.seen >= 2 {
            return;
        }
        let mut element = Element { start, end, kind };
        if self.tagged {
            element.start = self.item;
            element.kind = ElementKind::Other;
        }
        if self.seen == 0 {
            self.dest = element;
        } else {
            self.tag = element;
        }
        self.seen += 1;
    }

    /// An item that was noted ends, and perhaps what it is the last item of. Is the message
    /// complete?
    #[inline(always)]
    pub(super) fn count(&mut self, end: usize) -> bool {
        self.tagged = false;
        match &mut self.level {
            Level::Items(left) if *left > 1 => *left -= 1,
            Level::Items(_) => return self.close(end),
            Level::Open => {}
            level @ Level::OpenKey => *level = Level::OpenValue,
            level @ Level::OpenValue => *level = Level::OpenKey,
        }
        false
    }

    /// The innermost array or map ends. Is the message complete?
    pub(super) fn close(&mut self, end: usize) -> bool {
        loop {
            self.depth -= 1;
            let Some(level) = self.outer.pop() else {
                return true;
            };
            self.level = level;
            self.note(self.item, end, ElementKind::Other);
            match &mut self.level {
                Level::Items(left) if *left > 1 => *left -= 1,
                Level::Items(_) => continue,
                Level::Open => {}
                level @ Level::OpenKey => *level = Level::OpenValue,
                level @ Level::OpenValue => *level = Level::OpenKey,
            }
            return false;
        }
    }
}

pub(super) fn string_kind(text: bool) -> ElementKind {
    if text {
        ElementKind::Text
    } else {
        ElementKind::Octets
    }
}
