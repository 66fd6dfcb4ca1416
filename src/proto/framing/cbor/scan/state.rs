//! How far the scanner is in a message.

use super::super::super::{FramingError, Limits};
use super::super::{Element, ElementKind};

/// Finds the messages in a stream of CBOR arrays, checking every octet of them once.
///
/// ```
/// use aemp::proto::framing::{Limits, cbor::CborScanner};
///
/// let mut scanner = CborScanner::new(Limits::default());
/// let mut buf = b"\x82\x47aBcD.b1\x44ping\x80\x82\x40\x44ti".to_vec();
///
/// let frame = scanner.next(&buf)?.unwrap();
/// assert_eq!(frame.dest.unwrap().text(&buf), "aBcD.b1");
/// assert_eq!(frame.tag.unwrap().text(&buf), "ping");
/// buf.drain(..frame.end);
///
/// let frame = scanner.next(&buf)?.unwrap();
/// assert!(frame.is_keepalive());
/// buf.drain(..frame.end);
///
/// assert_eq!(scanner.next(&buf)?, None); // not yet complete
/// buf.extend_from_slice(b"me");
/// let frame = scanner.next(&buf)?.unwrap();
/// assert_eq!(&buf[frame.elements()], b"\x44time");
/// # Ok::<(), aemp::proto::framing::FramingError>(())
/// ```
#[derive(Debug, Clone)]
pub struct CborScanner {
    pub(super) limits: Limits,
    /// The next octet to look at.
    pub(super) pos: usize,
    pub(super) state: State,
    /// A tag was read, so what it is for has to follow.
    pub(super) tagged: bool,
    /// Where the message starts.
    pub(super) start: usize,
    /// Where its elements start.
    pub(super) first: usize,
    /// How many arrays and maps are open.
    pub(super) depth: usize,
    /// The innermost of them.
    pub(super) level: Level,
    /// Those around it.
    pub(super) outer: Vec<Level>,
    /// Where the element of the message that is being read starts, its tags included.
    pub(super) item: usize,
    /// Where the octets of the string being read start.
    pub(super) content: usize,
    /// The first two elements of the message, as far as they were seen.
    pub(super) dest: Element,
    pub(super) tag: Element,
    pub(super) seen: u8,
    pub(super) failed: Option<FramingError>,
}

pub(super) const NOT_SEEN: Element = Element {
    start: 0,
    end: 0,
    kind: ElementKind::Other,
};

/// What may come next.
#[derive(Debug, Clone, Copy)]
pub(super) enum State {
    /// A message.
    Message,
    /// An item, or the end of the array or map if that is of indefinite length.
    Item,
    /// The rest of a string that ends at `end`.
    String { end: usize, text: bool, chunk: bool },
    /// A chunk of a string, or the end of it.
    Chunk { text: bool },
}

/// What an open array or map waits for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Level {
    /// So many more items: at least one.
    Items(u64),
    /// An item or a break.
    Open,
    /// A key or a break.
    OpenKey,
    /// The value that belongs to a key.
    OpenValue,
}

#[cold]
pub(super) fn syntax<T>(offset: usize, what: &'static str) -> Result<T, FramingError> {
    Err(FramingError::Syntax { offset, what })
}
