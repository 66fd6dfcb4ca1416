//! A global node keeps links to all other global nodes; that of a bridge, to all nodes.

use std::collections::BTreeSet;
use std::time::Duration;

use super::request::addresses;
use super::state::State;
use super::terms::{Effect, GLOBALS, LISTENERS, Timer};
use crate::mesh::line::line;
use crate::proto::NodeId;

/// The most nodes that links are kept to.
const MAX_GLOBALS: usize = 1000;

impl State {
    /// Looks whether all that are to have a link are connected.
    pub(super) fn keep_alive(&mut self) {
        let Some(global) = &self.global else {
            return;
        };
        if std::mem::take(&mut self.keepalive.dirty) {
            let nodes = global.family(GLOBALS).map(|(id, _)| id);
            let others = nodes.filter(|id| !id.is_empty() && self.own != id.as_str());
            let others = others.map(|id| NodeId::new(id.as_str()));
            let all = self.is_observed().then(|| self.reachable());
            let all = all.into_iter().flatten().map(|(id, _)| id);
            self.keepalive.wanted = others.chain(all).take(MAX_GLOBALS).collect();
        }
        let missing = self.keepalive.wanted.iter();
        let missing = missing.filter(|id| !self.peers.contains_key(*id));
        let missing: BTreeSet<NodeId> = missing.cloned().collect();
        let old = std::mem::replace(&mut self.keepalive.missing, missing);
        if self.keepalive.missing.is_empty() {
            self.keepalive.timer += 1;
        } else if !self.keepalive.missing.is_subset(&old) {
            self.keepalive.retry = (1.0 + (self.random)()) * 0.3;
            self.connect_missing();
        }
    }

    pub(super) fn keepalive_timer(&mut self, number: u64) {
        if number == self.keepalive.timer && !self.keepalive.missing.is_empty() {
            self.connect_missing();
        }
    }

    fn connect_missing(&mut self) {
        let missing = self.keepalive.missing.clone();
        for node in missing {
            self.log(9, line!(node: "keepalive: {node} is missing."));
            if let Some(addresses) = self.listeners(&node) {
                self.effects.push(Effect::Connect(node, addresses));
            }
        }
        let most = self.config.monitor_timeout.as_secs_f64();
        self.keepalive.retry = (self.keepalive.retry * 2.0).min(most);
        self.keepalive.timer += 1;
        let delay = Duration::from_secs_f64(self.keepalive.retry);
        let timer = Timer::Keepalive(self.keepalive.timer);
        self.effects.push(Effect::After(delay, timer));
    }

    /// The known addresses of a node, if there are any.
    pub(crate) fn listeners(&self, node: &NodeId) -> Option<Vec<String>> {
        let value = self.global.as_ref()?.value(LISTENERS, node.as_str())?;
        addresses(value).filter(|list| !list.is_empty())
    }
}
