//! Whatever peers say, in whatever order.

use proptest::prelude::*;

use super::super::model::any_order::{check, happens};

proptest! {
    #[test]
    fn the_rules_hold(all in prop::collection::vec(happens(), 0..100), small in any::<bool>()) {
        check(all, small);
    }
}
