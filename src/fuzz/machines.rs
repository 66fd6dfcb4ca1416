//! The state machines of the mesh and of links: operations in any order, against their models.

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::mesh::database::model::{agreement, any_order};
use crate::mesh::model;
use crate::peering::world::{Plan, World};

/// What a strategy makes if the octets decide in place of chance.
fn made<S: Strategy>(strategy: &S, octets: &[u8]) -> Option<S::Value> {
    let rng = TestRng::from_seed(RngAlgorithm::PassThrough, octets);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let tree = strategy.new_tree(&mut runner);
    tree.ok().map(|tree| tree.current())
}

/// What happens to a node in meshes of generations 0 and 1, in any order: nodes come and go and
/// gossip, seeds are found and lost.
pub fn gossip(data: &[u8]) {
    if let Some(inputs) = made(&prop::collection::vec(model::input(), 0..60), data) {
        model::check(inputs);
    }
}

/// What happens to a node of generation 2, in any order: whatever peers say of the database, rules
/// hold, and with those who said it goes what they said.
pub fn database(data: &[u8]) {
    let happens = prop::collection::vec(any_order::happens(), 0..100);
    if let Some((happens, small)) = made(&(happens, any::<bool>()), data) {
        any_order::check(happens, small);
    }
}

/// Nodes of generation 2 that set keys, monitor, meet and part in any order: in the end they agree.
pub fn agreement(data: &[u8]) {
    let steps = |most| prop::collection::vec(agreement::step(), 0..most);
    if let Some((steps, random, more)) = made(&(steps(120), any::<usize>(), steps(40)), data) {
        agreement::check([steps, more], random);
    }
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
