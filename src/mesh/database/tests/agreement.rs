//! A network of nodes that say what they say in any order: in the end they agree.

use proptest::prelude::*;

use super::super::model::agreement::{NODES, Step, check};

fn step() -> impl Strategy<Value = Step> {
    let node = 0..NODES.len();
    let deliver = any::<usize>().prop_map(Step::Deliver);
    prop_oneof![
        4 => (node.clone(), 0..2u8, 0..3u8, 0..3u8).prop_map(|(n, f, k, v)| Step::Set(n, f, k, v)),
        3 => (node.clone(), 0..2u8, prop::collection::vec(0..3u8, 1..3))
            .prop_map(|(n, f, keys)| Step::Del(n, f, keys)),
        4 => (node.clone(), node.clone()).prop_map(|(a, b)| Step::Link(a, b)),
        1 => (node.clone(), node.clone()).prop_map(|(a, b)| Step::Cut(a, b)),
        1 => node.clone().prop_map(Step::Global),
        1 => (node.clone(), node.clone()).prop_map(|(a, b)| Step::Find(a, b)),
        2 => (node.clone(), 0..2u8).prop_map(|(n, f)| Step::Monitor(n, f)),
        1 => (node, 0..2u8).prop_map(|(n, f)| Step::Unmonitor(n, f)),
        12 => deliver,
    ]
}

proptest! {
    #[test]
    fn all_agree_in_the_end(
        steps in prop::collection::vec(step(), 0..120),
        random in any::<usize>(),
        more in prop::collection::vec(step(), 0..40),
    ) {
        check([steps, more], random);
    }
}
