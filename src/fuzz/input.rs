//! What a fuzzer gives, as a target takes it: some octets that choose, then those that are tried.

use crate::proto::Limits;

/// Octets to be taken from the front. Where they are at an end there are zeros, so that any input
/// is one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Input(data)
    }

    pub(super) fn octet(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    /// How a stream is cut into reads: two sizes, in turns.
    pub(super) fn sizes(&mut self) -> [usize; 2] {
        [self.octet(), self.octet()].map(|octet| 1 + usize::from(octet % 64))
    }

    /// The defaults, or tight ones.
    pub(super) fn limits(&mut self) -> Limits {
        let octet = self.octet();
        match octet < 0x80 {
            true => Limits::default(),
            false => Limits {
                max_message: 4 << (octet & 7),
                max_depth: usize::from((octet >> 3) & 7),
            },
        }
    }

    /// What is tried.
    pub(super) fn rest(self) -> &'a [u8] {
        self.0
    }
}
