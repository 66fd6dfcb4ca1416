//! What the benchmarks share: how long they take, and the message that they measure with.

#![allow(dead_code)] // no benchmark uses all of it

use std::time::Duration;

use aemp::proto::Framing;
use aemp::proto::message::encode_in;
use criterion::Criterion;
use serde::{Deserialize, Serialize};

/// All benchmarks together take less than three minutes.
pub fn criterion() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(20)
        .without_plots()
}

/// The name of the port that the messages are for.
pub const PORT: &str = "Hk1iaV1cSu.ab";

/// The last element of the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extra {
    pub k: [u32; 3],
}

pub const EXTRA: Extra = Extra { k: [1, 2, 3] };

/// The text of the usual message.
pub const HELLO: &str = "hello world";

/// What stands behind the tag in a message, as a handler that borrows has it.
pub type Args<'a> = (u64, &'a str, Extra);

/// The texts of the messages, and how the benchmarks call them.
pub fn texts() -> [(&'static str, String); 3] {
    let long = |len| "All is well. ".chars().cycle().take(len).collect();
    [
        ("usual", HELLO.to_owned()),
        ("1KiB", long(1024)),
        ("64KiB", long(64 * 1024)),
    ]
}

/// A message, as it goes over a link.
pub fn message(text: &str) -> Vec<u8> {
    message_in(Framing::Json, text)
}

/// The same in some framing.
pub fn message_in(framing: Framing, text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let encoded = encode_in(&mut out, framing, PORT, &("m", 12_345, text, EXTRA));
    encoded.expect("it serialises");
    out
}

/// As many whole messages as there are in 64 KiB, one at least.
pub fn block(message: &[u8]) -> Vec<u8> {
    message.repeat((64 * 1024 / message.len()).max(1))
}
