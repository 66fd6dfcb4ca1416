//! What a peer may say, as structures that become octets: see [`Conversation`].

mod conversation;
mod element;
mod flaw;
mod opening;
mod saying;

pub use conversation::Conversation;
pub use element::Element;
pub use flaw::Flaw;
pub use opening::Opening;
pub use saying::{Saying, Speaker};

/// How good something is that is made.
///
/// See [`strategy`](super::strategy) for an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, arbitrary::Arbitrary)]
pub enum Quality {
    /// A node of its generation says it like that.
    Valid,
    /// The same with one flaw: a bit bent, an octet missing.
    NearlyValid,
    /// With any number of flaws, among them what is meant to cost the other side much.
    Hostile,
}
