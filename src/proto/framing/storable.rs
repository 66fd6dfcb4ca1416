//! The `storable` framing

mod error;
mod from_json;
mod mark;
mod scan;
mod to_json;

#[cfg(test)]
mod tests;

pub use error::StorableError;
pub use from_json::{json_to_storable, write_message};
pub use scan::{Frame, StorableScanner};
pub use to_json::storable_to_json;
