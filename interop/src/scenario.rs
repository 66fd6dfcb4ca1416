//! What a scenario is. The list of them ([`crate::scenarios`]) stands above them all: nothing that
//! a scenario uses knows of it.

use crate::ctx::Ctx;
use crate::fault::Result;
use crate::pairing::Pairing;
use crate::peers::Generation;

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

/// For scenarios about what generation 2 left behind: the full mesh.
pub fn before_2(pairing: &Pairing) -> Option<&'static str> {
    (pairing.generation() == Some(Generation::G2))
        .then_some("nodes of generation 2 make no full mesh: they connect with their seeds, and with others when there is something to send")
}

/// For scenarios about what generation 2 brought: global nodes and the database.
pub fn only_2(pairing: &Pairing) -> Option<&'static str> {
    let before = |generation| generation < Generation::G2;
    pairing
        .generation()
        .is_some_and(before)
        .then_some("needs generation 2, which has global nodes and the database")
}
