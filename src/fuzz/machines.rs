//! The state machines of the mesh and of links: operations in any order, against their models.

use arbitrary::{Arbitrary as _, Unstructured};

use crate::mesh::database::model::{agreement, any_order};
use crate::mesh::model;
use crate::node::request::model as requested;
use crate::peering::world::{Plan, World};
use crate::proto::Generation;

/// Whatever can be drawn from the octets, but no more than so many.
fn drawn<'a, T>(
    octets: &'a [u8],
    most: usize,
    draw: impl Fn(&mut Unstructured<'a>) -> arbitrary::Result<T>,
) -> Vec<T> {
    let mut from = Unstructured::new(octets);
    let mut all = Vec::new();
    while !from.is_empty() && all.len() < most {
        all.extend(draw(&mut from));
    }
    all
}

/// What happens to a node in meshes of generations 0 and 1, in any order: nodes come and go and
/// gossip, seeds are found and lost.
pub fn gossip(data: &[u8]) {
    model::check(drawn(data, 200, model::drawn));
}

/// What happens to a node of generation 2, in any order: whatever peers say of the database, rules
/// hold, and with those who said it goes what they said.
pub fn database(data: &[u8]) {
    let (first, rest) = data.split_first().unwrap_or((&0, &[]));
    any_order::check(drawn(rest, 200, any_order::drawn), first % 2 > 0);
}

/// Nodes of generation 2 that set keys, monitor, meet and part in any order: in the end they agree.
pub fn agreement(data: &[u8]) {
    let (first, rest) = data.split_first().unwrap_or((&0, &[]));
    let mut steps = drawn(rest, 160, |from| {
        agreement::Step::arbitrary(from).map(agreement::Step::fitted)
    });
    let more = steps.split_off(steps.len() * 3 / 4);
    agreement::check([steps, more], usize::from(*first));
}

/// Nodes that send, kill and monitor over links that are cut, delayed and opened from both sides:
/// the guarantee holds.
pub fn peering(data: &[u8]) {
    if let Err(violation) = World::new(Plan::given(data)).run() {
        let mut world = World::new(Plan::given(data));
        world.keep_history();
        let _ = world.run();
        panic!("{violation}\n{}", world.history());
    }
}

/// Requests of a peer to the node port of a node, in any order: ports live and die, and messages
/// and answers arrive, as a model says.
pub fn requests(data: &[u8]) {
    let generations = [
        Generation::Gen0,
        Generation::Gen1a,
        Generation::Gen1b,
        Generation::Gen2,
    ];
    let (first, rest) = data.split_first().unwrap_or((&0, &[]));
    let generation = generations[usize::from(first % 4)];
    let ops = drawn(rest, 60, requested::Op::arbitrary);
    requested::check(generation, &ops);
}
