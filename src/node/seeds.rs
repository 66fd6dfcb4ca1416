//! What came of the node's seeds, for whoever wants to know why there is no network.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use super::Node;
use crate::net::LinkError;
use crate::proto::NodeId;

/// A seed of a node, and what came of the tries to reach it: see [`Node::seeds`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SeedStatus {
    /// Its address, looked up; as configured, if it can't be looked up.
    pub address: String,
    /// The node that was found there, which need not have proved anything.
    pub node: Option<NodeId>,
    /// How often it was tried.
    pub tries: u64,
    /// Why the last try came to nothing: of the network, of that node, or of what is configured
    /// here. `None` while there was none, and when it has been reached since.
    pub last_failure: Option<String>,
}

/// The seeds by address.
#[derive(Default)]
pub(crate) struct Seeds(Mutex<BTreeMap<String, SeedStatus>>);

impl Seeds {
    /// There is such a seed.
    pub(crate) fn add(&self, address: &str) {
        self.change(address, |_| {});
    }

    /// It is none any more: it is the node itself, or a name for which there are addresses now.
    pub(crate) fn remove(&self, address: &str) {
        self.0.lock().remove(address);
    }

    /// A try came to an end.
    pub(crate) fn tried(&self, address: &str, result: &Result<(), LinkError>) {
        self.change(address, |seed| {
            seed.tries += 1;
            seed.last_failure = match result {
                // Another connection to it was there first.
                Ok(()) | Err(LinkError::Duplicate(_)) => None,
                // Nodes say no more than that to who has proved nothing.
                Err(LinkError::Closed) => Some(
                    "it closed the connection during the handshake; has it the same secret?".into(),
                ),
                Err(error) => Some(error.to_string()),
            };
        });
    }

    /// Its name can't be looked up.
    pub(crate) fn unresolved(&self, name: &str, why: String) {
        self.change(name, |seed| {
            seed.tries += 1;
            seed.last_failure = Some(why);
        });
    }

    /// A node is there.
    pub(crate) fn found(&self, address: &str, node: &NodeId) {
        self.change(address, |seed| seed.node = Some(node.clone()));
    }

    fn change(&self, address: &str, change: impl FnOnce(&mut SeedStatus)) {
        let mut seeds = self.0.lock();
        let seed = seeds.entry(address.to_owned());
        change(seed.or_insert_with(|| SeedStatus {
            address: address.to_owned(),
            node: None,
            tries: 0,
            last_failure: None,
        }));
    }
}

impl Node {
    /// The node's seeds, sorted by address, and what came of the tries to reach them. A seed that
    /// turned out to be this node is left out.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::time::Duration;
    /// let node = aemp::Node::builder().no_rc().nodeid("a").secret("geheim").binds(["127.0.0.1:0"]);
    /// let node = node.seeds(["127.0.0.1:1"]).start().await?;
    /// while node.seeds()[0].last_failure.is_none() {
    ///     tokio::time::sleep(Duration::from_millis(1)).await;
    /// }
    /// let seed = &node.seeds()[0];
    /// assert_eq!((&*seed.address, &seed.node), ("127.0.0.1:1", &None));
    /// assert!(seed.tries >= 1);
    /// # Ok(()) }
    /// ```
    pub fn seeds(&self) -> Vec<SeedStatus> {
        self.inner().seeds.0.lock().values().cloned().collect()
    }
}
