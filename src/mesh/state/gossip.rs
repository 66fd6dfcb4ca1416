//! What is gossiped, and how it is read.

use std::collections::BTreeMap;

use crate::mesh::groups::Membership;
use crate::proto::{Message, NodeId, PortId};

/// What a peer says to its gossip port here.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Gossip {
    Addr(Vec<String>),
    Nodes(BTreeMap<NodeId, Vec<String>>),
    Set(BTreeMap<String, Vec<PortId>>),
    Reg(Membership, [String; 2]),
    Find(NodeId),
    Setup,
    SeedMe(bool),
}

impl Gossip {
    /// Reads a message to the gossip port. `None`: a tag that we don't know, which Perl ignores,
    /// too.
    pub(crate) fn parse(message: &Message) -> Result<Option<Self>, String> {
        let Some(tag) = message.tag() else {
            return Ok(None);
        };
        let args = message.without_tag();
        let parsed = match &*tag {
            "addr" => args.args().map(|(list,)| Gossip::Addr(capped(list))),
            "nodes" => args.args().map(|(map,): (BTreeMap<_, Vec<_>>,)| {
                Gossip::Nodes(
                    map.into_iter()
                        .map(|(id, list)| (id, capped(list)))
                        .collect(),
                )
            }),
            "set" => args.args().map(|(map,)| Gossip::Set(map)),
            "reg0" => args.args().map(|pair| Gossip::Reg(Membership::Ends, pair)),
            "reg1" => args
                .args()
                .map(|pair| Gossip::Reg(Membership::Begins, pair)),
            "find" => args.args().map(|(node,)| Gossip::Find(node)),
            "setup" => Ok(Gossip::Setup),
            "seedme0" => Ok(Gossip::SeedMe(false)),
            "seedme1" => Ok(Gossip::SeedMe(true)),
            _ => return Ok(None),
        };
        let with_tag = |error: crate::proto::ArgsError| format!("{tag}: {error}");
        parsed.map(Some).map_err(with_tag)
    }
}

/// The most addresses of one node that are taken note of.
const MAX_ADDRESSES: usize = 64;

fn capped(mut addresses: Vec<String>) -> Vec<String> {
    addresses.truncate(MAX_ADDRESSES);
    addresses
}
