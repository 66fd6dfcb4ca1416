//! A network of nodes that say what they say in any order: in the end they agree.

use proptest::prelude::*;

use super::super::model::agreement::{check, step};

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
