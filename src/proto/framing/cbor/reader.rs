//! Where a reader of items stands. How it makes values of them is said above this file, in
//! [`de`](super::de), and by those who read an item within another.

use super::error::CborError;
use super::head::Head;
use super::text::take_head;
use crate::proto::Limits;

/// Reads one item into a type; items can follow.
///
/// What reads as what is said in the [module's documentation](super).
///
/// ```
/// use aemp::proto::framing::cbor::Deserializer;
/// use serde::Deserialize;
/// let mut deserializer = Deserializer::new(b"\x82\x01\x43two\x44caf\xe9");
/// assert_eq!(<(u8, &str)>::deserialize(&mut deserializer)?, (1, "two"));
/// assert_eq!(String::deserialize(&mut deserializer)?, "café");
/// assert!(deserializer.is_at_end());
/// # Ok::<(), aemp::proto::framing::cbor::CborError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Deserializer<'de> {
    pub(super) input: &'de [u8],
    pub(super) at: usize,
    /// How many levels deeper it may go.
    pub(super) depth: usize,
    /// Items were passed unread, which may nest deeper.
    pub(super) skipped: bool,
}

impl<'de> Deserializer<'de> {
    /// A deserializer for the items `input`, which may nest as deep as [`Limits`] has it if nothing
    /// else is said.
    ///
    /// ```
    /// use aemp::proto::framing::cbor::Deserializer;
    /// use serde::Deserialize;
    /// assert_eq!(u64::deserialize(&mut Deserializer::new(b"\x19\x01\x00"))?, 256);
    /// # Ok::<(), aemp::proto::framing::cbor::CborError>(())
    /// ```
    pub fn new(input: &'de [u8]) -> Self {
        Self {
            input,
            at: 0,
            depth: Limits::default().max_depth,
            skipped: false,
        }
    }

    /// The same for items that nest at most `depth` levels deep. Typed reading is recursive, so the
    /// limit is what protects the stack.
    ///
    /// ```
    /// use aemp::proto::framing::cbor::Deserializer;
    /// use serde::{Deserialize, de::IgnoredAny};
    /// let items = b"\x81\x81\x01";
    /// assert!(<[[u8; 1]; 1]>::deserialize(&mut Deserializer::new(items).max_depth(1)).is_err());
    /// // What nobody wants to have is passed without recursion.
    /// assert!(IgnoredAny::deserialize(&mut Deserializer::new(items).max_depth(1)).is_ok());
    /// ```
    pub fn max_depth(mut self, depth: usize) -> Self {
        self.depth = depth;
        self
    }

    /// Are there no items left?
    ///
    /// ```
    /// use aemp::proto::framing::cbor::Deserializer;
    /// assert!(Deserializer::new(b"").is_at_end());
    /// assert!(!Deserializer::new(b"\x01").is_at_end());
    /// ```
    pub fn is_at_end(&self) -> bool {
        self.at >= self.input.len()
    }

    /// How many octets were read.
    ///
    /// ```
    /// use aemp::proto::framing::cbor::Deserializer;
    /// use serde::Deserialize;
    /// let mut deserializer = Deserializer::new(b"\x19\x01\x00\x07");
    /// assert_eq!((u64::deserialize(&mut deserializer)?, deserializer.position()), (256, 3));
    /// # Ok::<(), aemp::proto::framing::cbor::CborError>(())
    /// ```
    pub fn position(&self) -> usize {
        self.at
    }

    /// Whether items were passed without being read, so that they may nest deeper than was allowed.
    #[cfg(feature = "node")]
    #[inline]
    pub(crate) fn has_skipped(&self) -> bool {
        self.skipped
    }

    /// The next head behind any tags, and the last of these.
    #[inline]
    pub(super) fn head(&mut self) -> Result<(Head, Option<u64>), CborError> {
        let mut tag = None;
        loop {
            match take_head(self.input, &mut self.at)? {
                Head::Tag(n) => tag = Some(n),
                head => return Ok((head, tag)),
            }
        }
    }
}
