//! The scanner: length by length.

use super::super::{FramingError, Limits};

/// One complete message found by [`StorableScanner::next`]. All positions count from the start of
/// the buffer that was given to that call.
///
/// See [`StorableScanner`] for an example.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Frame {
    /// Where the image starts, behind its length.
    pub start: usize,
    /// Where it ends. The next call wants a buffer that starts there.
    pub end: usize,
}

/// Finds the messages in a stream of Storable images with their lengths.
///
/// It checks the lengths, and of an image the start: its format and that it is an array. The rest
/// is checked by [`storable_to_json`](super::storable_to_json).
///
/// ```
/// use aemp::proto::framing::{Limits, storable::{StorableScanner, storable_to_json}};
///
/// let mut scanner = StorableScanner::new(Limits::default());
/// let mut buf = b"\x12\x05\x0b\x02\0\0\0\x02\x0a\x03a.b\x0a\x04ping\x07\x05".to_vec();
/// let frame = scanner.next(&buf)?.unwrap();
/// let mut json = Vec::new();
/// storable_to_json(&mut json, &buf[frame.start..frame.end], Limits::default())?;
/// assert_eq!(json, br#"["a.b","ping"]"#);
///
/// buf.drain(..frame.end);
/// assert_eq!(scanner.next(&buf)?, None); // not yet complete
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct StorableScanner {
    limits: Limits,
    failed: Option<FramingError>,
}

impl StorableScanner {
    /// A scanner at the start of a stream. Of the limits it needs the length.
    ///
    /// ```
    /// use aemp::proto::{FramingError, Limits, framing::storable::StorableScanner};
    /// let mut scanner = StorableScanner::new(Limits::new(10, 2));
    /// assert_eq!(scanner.next(b"\x0b"), Err(FramingError::TooLong { limit: 10 }));
    /// ```
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            failed: None,
        }
    }

    /// Looks for the next complete message.
    ///
    /// `buf` starts where the last frame ended (at first: at the start of the stream) and holds
    /// everything that came since. After `None`, call again with the same octets and more behind
    /// them. Frames and errors do not depend on how the stream is cut into calls.
    ///
    /// # Errors
    ///
    /// If a length is larger than [`Limits::max_message`] or not written as Perl writes it, or
    /// behind it no array in network order starts. The scanner can not go on then; it gives the
    /// same error from then on.
    ///
    /// ```
    /// use aemp::proto::{Limits, framing::storable::StorableScanner};
    /// let mut scanner = StorableScanner::new(Limits::default());
    /// assert_eq!(scanner.next(b"\x07\x05\x0b\x02")?, None);
    /// let frame = scanner.next(b"\x07\x05\x0b\x02\0\0\0\0")?.unwrap();
    /// assert_eq!((frame.start, frame.end), (1, 8));
    /// assert!(scanner.next(b"\x07\x04\x0b\x08").is_err());
    /// # Ok::<(), aemp::proto::FramingError>(())
    /// ```
    pub fn next(&mut self, buf: &[u8]) -> Result<Option<Frame>, FramingError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let result = scan(buf, self.limits.max_message);
        if let Err(error) = &result {
            self.failed = Some(error.clone());
        }
        result
    }
}

fn scan(buf: &[u8], limit: usize) -> Result<Option<Frame>, FramingError> {
    let mut len = 0_usize;
    let mut start = 0;
    loop {
        let Some(&octet) = buf.get(start) else {
            return Ok(None);
        };
        if start == 0 && octet == 0x80 {
            // Perl would take it for a shorter one.
            return syntax(0, "length with a leading zero");
        }
        start += 1;
        let digit = usize::from(octet & 0x7f);
        // Whatever follows, the number only grows.
        let more = len.checked_mul(128).and_then(|len| len.checked_add(digit));
        len = match more {
            Some(len) if len <= limit => len,
            _ => return Err(FramingError::TooLong { limit }),
        };
        if octet < 0x80 {
            break;
        }
    }
    if len < 7 {
        return syntax(start - 1, "length too short for an array");
    }
    let image = &buf[start..];
    let image = image.get(..len).unwrap_or(image);
    match image.first() {
        None | Some(5) => {}
        Some(4) => return syntax(start, "Storable image not in network order"),
        _ => return syntax(start, "no Storable image of format 2"),
    }
    match image.get(2) {
        None | Some(2) => {}
        Some(&found) => {
            let offset = start + 2;
            return Err(FramingError::NotAnArray { offset, found });
        }
    }
    let end = start + len;
    Ok((buf.len() >= end).then_some(Frame { start, end }))
}

#[cold]
fn syntax<T>(offset: usize, what: &'static str) -> Result<T, FramingError> {
    Err(FramingError::Syntax { offset, what })
}
