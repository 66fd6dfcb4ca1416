//! What a scenario is, and the list of them.

use crate::ctx::Ctx;
use crate::fault::Result;
use crate::matrix::Pairing;

/// Something that is to happen between nodes, whoever plays them.
#[derive(Debug)]
pub struct Scenario {
    /// Short name, for the table and for `--only`.
    pub name: &'static str,
    /// One sentence: what is shown.
    pub about: &'static str,
    /// Why a pairing is left out, if it is.
    pub not_in: fn(&Pairing) -> Option<&'static str>,
    /// Plays it. Every step announces itself with [`Ctx::step`].
    pub run: fn(&mut Ctx) -> Result<()>,
}

/// For scenarios that every pairing can play.
pub fn everywhere(_: &Pairing) -> Option<&'static str> {
    None
}

/// All scenarios, in the order of the table.
pub fn all() -> Vec<&'static Scenario> {
    crate::scenarios::all()
}
