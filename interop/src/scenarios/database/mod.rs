//! The distributed database of generation 2.
//!
//! | file | what it has |
//! |---|---|
//! | [`values`] | values, queries, registered ports |
//! | [`same_key`] | several owners of a key |
//! | [`order`] | what monitors tell, and in which order |
//! | [`slaves`] | nodes that only know their global node |
//! | [`globals`] | two global nodes |
//! | [`seeds`] | a network as it is usually set up |
//! | [`nodes`], [`watch`], [`seen`] | what they share: nodes, monitors, what is compared |

mod globals;
mod nodes;
mod order;
mod same_key;
mod seeds;
mod seen;
mod slaves;
mod values;
mod watch;

pub use globals::SCENARIO as GLOBALS;
pub use order::SCENARIO as ORDER;
pub use same_key::SCENARIO as SAME_KEY;
pub use seeds::SCENARIO as SEEDS;
pub use slaves::SCENARIO as SLAVES;
pub use values::SCENARIO as VALUES;
