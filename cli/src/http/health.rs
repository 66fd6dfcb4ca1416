//! What is wrong with the node, for whoever decides by that whether to leave it running
//! (`/healthz`).
//!
//! A node is healthy as long as it is not about to end, is connected to one of the seeds that it
//! has, and no program that its configuration had it start as a service has failed. Another node
//! that is not there is that one's trouble.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aemp::{Node, NodeId, SeedStatus};

use crate::program::Programs;

/// The node, and what is told of it.
#[derive(Clone)]
pub(crate) struct Health {
    node: Node,
    programs: Programs,
    ending: Arc<AtomicBool>,
}

impl Health {
    pub(crate) fn new(node: &Node, programs: &Programs) -> Self {
        Health {
            node: node.clone(),
            programs: programs.clone(),
            ending: Arc::default(),
        }
    }

    /// The node is about to end.
    pub(crate) fn ends(&self) {
        self.ending.store(true, Ordering::Relaxed);
    }

    /// What is wrong, a sentence each; nothing if it is healthy.
    pub(super) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.ending.load(Ordering::Relaxed) {
            faults.push("the node is about to end".to_owned());
        }
        faults.extend(seedless(&self.node.seeds(), |id| self.node.node_is_up(id)));
        let failed = self.programs.failed_services();
        faults.extend(
            failed
                .into_iter()
                .map(|(name, reason)| format!("the service {name} has ended: {reason}")),
        );
        faults
            .iter()
            .map(|fault| aemp::log::printable(fault))
            .collect()
    }
}

/// What to say of a node that has seeds and is connected to none of them.
fn seedless(seeds: &[SeedStatus], is_up: impl Fn(&NodeId) -> bool) -> Option<String> {
    let is_connected = |seed: &SeedStatus| seed.node.as_ref().is_some_and(&is_up);
    if seeds.is_empty() || seeds.iter().any(is_connected) {
        return None;
    }
    let why = |seed: &SeedStatus| {
        let why = seed.last_failure.as_deref().unwrap_or("no answer yet");
        format!("{}: {why}", seed.address)
    };
    let all: Vec<String> = seeds.iter().take(8).map(why).collect();
    Some(format!("not connected to any seed: {}", all.join(", ")))
}
