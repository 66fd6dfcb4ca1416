//! Lines out of a stream of octets.

use super::{HandshakeError, MAX_LINE};

/// Collects octets and gives out complete lines, without their ends.
#[derive(Debug, Clone, Default)]
pub(super) struct Lines {
    buffer: Vec<u8>,
}

impl Lines {
    pub(super) fn push(&mut self, octets: &[u8]) {
        self.buffer.extend_from_slice(octets);
    }

    /// The next line, if it is complete. LF ends it; a CR before that belongs to the end.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, HandshakeError> {
        let end = memchr::memchr(b'\n', &self.buffer);
        if end.map_or(self.buffer.len(), |end| end + 1) > MAX_LINE {
            return Err(HandshakeError::LineTooLong);
        }
        let Some(end) = end else { return Ok(None) };
        let mut line: Vec<u8> = self.buffer.drain(..=end).collect();
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(Some(line))
    }

    /// What followed the last line.
    pub(super) fn into_rest(self) -> Vec<u8> {
        self.buffer
    }
}
