//! Which limits were met, and how often: for the statistics.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::net::LinkError;
use crate::proto::FramingError;

/// The limits of a node, each with the name of its setting.
macro_rules! limits {
    ($($(#[$doc:meta])* $limit:ident = $name:literal,)*) => {
        /// A limit that can be met.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Limit {
            $($(#[$doc])* $limit,)*
        }

        impl Limit {
            const ALL: &[Limit] = &[$(Limit::$limit),*];

            /// The name of the setting.
            pub(crate) const fn name(self) -> &'static str {
                match self {
                    $(Limit::$limit => $name,)*
                }
            }
        }
    };
}

limits! {
    /// A message is too long.
    Message = "max_message",
    /// A message nests too deeply.
    Depth = "max_depth",
    /// Too much waits to be sent to a node.
    Queue = "max_queue",
    /// Too much waits in a port.
    Mailbox = "max_mailbox",
    /// A node would make us hold more than its share.
    Memory = "max_memory",
    /// A node had us send to more nodes that there is no link to.
    Nodes = "max_nodes",
    /// A connection that had proved nothing gave way to another one.
    Handshakes = "max_handshakes",
    /// A message was sent on within the node too often.
    Hops = "max_hops",
    /// A name is too long.
    Name = "max_name",
    /// A reason is too long and was cut.
    Reason = "max_reason",
    /// A request about the mesh or the database is too much to be read.
    Request = "max_request",
    /// A node set more keys of the database.
    Keys = "max_keys",
    /// A node monitors more families of the database.
    Families = "max_families",
    /// A connection had to wait until others were made, or too many nodes that were told of wait.
    Dials = "max_dials",
}

/// How often each limit of a node was met.
#[derive(Debug, Default)]
pub(crate) struct Met([AtomicU64; Limit::ALL.len()]);

impl Met {
    /// A limit was met.
    pub(crate) fn met(&self, limit: Limit) {
        self.0[limit as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// A link ended with this error: if it was for a limit, that was met.
    pub(crate) fn ended(&self, error: &LinkError) {
        match error {
            LinkError::Framing(FramingError::TooLong { .. }) => self.met(Limit::Message),
            LinkError::Framing(FramingError::TooDeep { .. }) => self.met(Limit::Depth),
            LinkError::Memory { .. } => self.met(Limit::Memory),
            _ => {}
        }
    }

    /// The limits that were met, by the names of their settings.
    pub(crate) fn all(&self) -> BTreeMap<String, u64> {
        let count = |&limit: &Limit| {
            let count = self.0[limit as usize].load(Ordering::Relaxed);
            (limit.name().to_owned(), count)
        };
        let all = Limit::ALL.iter().map(count);
        all.filter(|(_, count)| *count > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_met_is_named() {
        let met = Met::default();
        assert!(met.all().is_empty());
        met.met(Limit::Queue);
        met.ended(&LinkError::Closed);
        met.ended(&FramingError::TooDeep { limit: 9 }.into());
        met.ended(&FramingError::TooDeep { limit: 9 }.into());
        let expected = [("max_depth".to_owned(), 2), ("max_queue".to_owned(), 1)];
        assert_eq!(met.all(), BTreeMap::from(expected));
    }
}
