//! Stand-ins, by which a bridge lets nodes of different generations reach each other
//! (docs/bridge.md).

use std::collections::BTreeMap;

use serde_json::json;

use super::known::{Known, State};
use super::terms::{Connect, Effect};
use crate::proto::NodeId;

impl State {
    pub(super) fn vouch(&mut self, node: NodeId, number: u32, at: Vec<String>) {
        self.vouched.insert((node.clone(), number), at);
        let hidden =
            |known: &Known| known.first_hand && known.addresses.as_ref().is_some_and(Vec::is_empty);
        let others: Vec<NodeId> = self
            .up_nodes()
            .filter(|(_, known, _)| hidden(known))
            .map(|(id, ..)| id.clone())
            .collect();
        for other in others {
            self.tell_vouched(&other, Some(&node));
        }
    }

    /// Tells a node of the stand-ins, or of one, in its generation. To one with listeners they
    /// connect by themselves.
    pub(super) fn tell_vouched(&mut self, listener: &NodeId, of: Option<&NodeId>) {
        let Some(link) = self.nodes.get(listener).and_then(|k| k.up.as_ref()) else {
            return;
        };
        let news: BTreeMap<&NodeId, &Vec<String>> = self
            .vouched
            .iter()
            .filter(|((node, number), at)| {
                link.speaks == [*number] && of.is_none_or(|of| of == node) && !at.is_empty()
            })
            .map(|((node, _), at)| (node, at))
            .collect();
        if !news.is_empty() {
            let news = json!(news);
            self.say(listener, ("nodes", news));
        }
    }

    pub(super) fn learn(&mut self, node: NodeId, addresses: Vec<String>, connect: Connect) {
        self.hearsay.remove(&node);
        let known = self.nodes.entry(node.clone()).or_default();
        known.addresses = Some(addresses.clone());
        if connect == Connect::AtOnce && known.up.is_none() && !addresses.is_empty() {
            self.effects.push(Effect::Connect(node, addresses));
        }
    }
}
