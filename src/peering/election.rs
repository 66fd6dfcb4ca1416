//! Two connections to one node: which of them stays.

use crate::proto::NodeId;
use crate::proto::handshake::Role;

/// What to do with a connection to a node that has proved itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Take it.
    Accept,
    /// Close it.
    Refuse,
    /// Another connection is about to be decided by the other side, or a loss is still being
    /// settled: wait for that.
    Wait,
    /// The peer was taken out of the table: look it up again.
    Retired,
}

/// Decides on an authenticated connection (PROTOCOL.md, "Duplicate connections").
///
/// `up`: a link is there. `proving`: we have proved ourselves on a connection of our own and the
/// peer decides on it now. Of two such connections the one that the smaller node ID opened stays;
/// both ends come to that by themselves.
pub(super) fn elect(up: bool, proving: bool, role: Role, own: &NodeId, peer: &NodeId) -> Verdict {
    match (up, role) {
        (true, _) => Verdict::Refuse,
        (false, Role::Connector) => Verdict::Accept,
        (false, Role::Listener) if proving && own < peer => Verdict::Wait,
        (false, Role::Listener) => Verdict::Accept,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Two nodes that each decide on the other's connection while their own is being decided on
        /// keep exactly one of the two.
        #[test]
        fn one_of_two_stays(a in "[a-z/]{1,4}", b in "[a-z/]{1,4}") {
            prop_assume!(a != b);
            let (a, b) = (NodeId::new(a), NodeId::new(b));
            let at_b = elect(false, true, Role::Listener, &b, &a);
            let at_a = elect(false, true, Role::Listener, &a, &b);
            prop_assert!(matches!(
                (at_a, at_b),
                (Verdict::Wait, Verdict::Accept) | (Verdict::Accept, Verdict::Wait)
            ));
            prop_assert_eq!(at_b == Verdict::Accept, a < b);
            // Once one is up the other is refused at both ends.
            for role in [Role::Listener, Role::Connector] {
                prop_assert_eq!(elect(true, false, role, &a, &b), Verdict::Refuse);
            }
        }
    }
}
