//! What is gossiped, and how it is read.

use std::collections::BTreeMap;

use super::hearsay::MAX_HEARSAY;
use crate::mesh::groups::Membership;
use crate::mesh::reading::{Bounds, Hash, MAX_ADDRESSES, Names, Reader, Unread};
use crate::proto::message::RawElement;
use crate::proto::{Generation, Message, NodeId, PortId};

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
    /// Reads a message to the gossip port, within bounds. `None`: a tag that we don't know, which
    /// Perl ignores, too.
    pub(crate) fn parse(
        message: &Message,
        bounds: Bounds,
    ) -> Result<Option<Self>, (&'static str, Unread)> {
        const TAGS: [&str; 9] = [
            "addr", "nodes", "set", "reg0", "reg1", "find", "setup", "seedme0", "seedme1",
        ];
        let Some(tag) = message.tag() else {
            return Ok(None);
        };
        let Some(tag) = TAGS.into_iter().find(|known| *known == tag) else {
            return Ok(None);
        };
        let gossip = Gossip::read(tag, message, bounds);
        gossip.map(Some).map_err(|unread| (tag, unread))
    }

    /// Leaves out what is about groups that a node of that generation may not set. False if that is
    /// everything.
    pub(crate) fn retain_groups(
        &mut self,
        generation: Generation,
        may_set: impl Fn(&str) -> bool,
    ) -> bool {
        match self {
            Gossip::Set(groups) => {
                groups.retain(|group, _| may_set(group));
                true
            }
            Gossip::Reg(_, pair) => may_set(group_and_port(generation, pair)[0]),
            Gossip::Addr(_)
            | Gossip::Nodes(_)
            | Gossip::Find(_)
            | Gossip::Setup
            | Gossip::SeedMe(_) => true,
        }
    }

    fn read(tag: &str, message: &Message, bounds: Bounds) -> Result<Self, Unread> {
        let reader = Reader::new(bounds, message.size())?;
        let mut args = message.elements().skip(1);
        let first = args.next();
        let hash = |most, names| {
            let reader = &reader;
            reader.read(
                first.as_ref(),
                Hash {
                    reader,
                    most,
                    of: names,
                },
            )
        };
        let missing = || Unread::Wrong("an argument is missing".to_owned());
        let needed = |element: Option<RawElement<'_>>| {
            let element = element.ok_or_else(missing)?;
            reader.text(Some(&element))
        };
        let addresses = Names {
            reader: &reader,
            most: MAX_ADDRESSES,
        };
        let ports = Names {
            reader: &reader,
            most: usize::MAX,
        };
        let pair = |second| Ok([needed(first)?, needed(second)?]);
        Ok(match tag {
            "addr" => Gossip::Addr(reader.read(first.as_ref(), addresses)?),
            "nodes" => {
                let all = hash(MAX_HEARSAY, addresses)?.into_iter();
                Gossip::Nodes(all.map(|(id, at)| (NodeId::new(id), at)).collect())
            }
            "set" => {
                let ports_of = |names: Vec<String>| names.into_iter().map(PortId::new).collect();
                let all = hash(usize::MAX, ports)?.into_iter();
                Gossip::Set(all.map(|(group, names)| (group, ports_of(names))).collect())
            }
            "reg0" => Gossip::Reg(Membership::Ends, pair(args.next())?),
            "reg1" => Gossip::Reg(Membership::Begins, pair(args.next())?),
            "find" => Gossip::Find(NodeId::new(needed(first)?)),
            "seedme0" => Gossip::SeedMe(false),
            "seedme1" => Gossip::SeedMe(true),
            _ => Gossip::Setup,
        })
    }
}

/// The group and the port that a node of that generation names in a registration.
pub(super) fn group_and_port(generation: Generation, pair: &[String; 2]) -> [&str; 2] {
    let [first, second] = pair;
    match generation.group_before_port() {
        true => [first, second],
        false => [second, first],
    }
}
