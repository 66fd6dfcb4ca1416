//! What is noted of the ports of the other node that have no room.

use foldhash::fast::RandomState;
use hashbrown::HashMap;

/// The ports that have no room, by name, each with how often it was said so and not taken back.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) ports: HashMap<Box<str>, u32, RandomState>,
    pub(super) octets: usize,
}
