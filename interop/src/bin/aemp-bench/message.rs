//! The message that is measured: `[port, "m", n, "hello world", {"k":[1,2,3]}]`.

use serde::{Deserialize, Serialize};

/// Its last element.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Hash {
    /// Three small numbers.
    pub k: [u32; 3],
}

/// The value that all messages carry.
pub const HASH: Hash = Hash { k: [1, 2, 3] };

/// The elements behind the tag, as a handler takes them.
pub type Elements<'a> = (u64, &'a str, Hash);

/// The message as a program has it that says all it takes in an enum.
#[derive(Debug, Serialize, Deserialize)]
pub enum Known {
    /// The message.
    #[serde(rename = "m")]
    Numbered(u64, String, Hash),
    /// Nothing that is sent.
    #[serde(rename = "stop")]
    Stop,
}

/// The text of a message: `hello world`, or so many octets.
pub fn text(size: usize) -> String {
    match size {
        0 => "hello world".to_owned(),
        size => "x".repeat(size),
    }
}

/// Sees to it that the compiler can't leave out what was read.
pub fn consume(elements: Elements<'_>) -> u64 {
    std::hint::black_box(elements);
    1
}
