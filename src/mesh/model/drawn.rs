//! What happens, decided by octets.

use std::collections::BTreeMap;

use arbitrary::Unstructured;

use crate::mesh::groups::Membership;
use crate::mesh::state::{Evidence, Gossip, Input, Timer};
use crate::proto::{Generation, NodeId};

/// What happens, decided by octets.
pub(crate) fn drawn(from: &mut arbitrary::Unstructured<'_>) -> arbitrary::Result<Input> {
    type From<'a, 'b> = &'a mut Unstructured<'b>;
    fn node(from: From<'_, '_>) -> arbitrary::Result<NodeId> {
        Ok(NodeId::new(*from.choose(&["a", "b", "c", "me"])?))
    }
    fn list(from: From<'_, '_>) -> arbitrary::Result<Vec<String>> {
        let n = from.int_in_range(0..=2)?;
        let one = |_| Ok((*from.choose(&["s1", "s2", ""])?).to_owned());
        (0..n).map(one).collect()
    }
    fn membership(from: From<'_, '_>) -> arbitrary::Result<Membership> {
        Ok(*from.choose(&[Membership::Begins, Membership::Ends])?)
    }
    let port = |from: From<'_, '_>| from.choose(&["a#1", "b#1", "c#2", "a", "me#9"]).copied();
    let group = |from: From<'_, '_>| from.choose(&["g", "h"]).map(|group| (*group).to_owned());
    let generations = [
        Generation::Gen0,
        Generation::Gen1a,
        Generation::Gen1b,
        Generation::Gen2,
    ];
    let seed = |from: From<'_, '_>| list(from).map(|list| list.concat());
    Ok(match from.int_in_range(0..=17)? {
        0 | 1 => {
            let generation = *from.choose(&generations)?;
            Input::Up {
                node: node(from)?,
                generation,
                speaks: match from.arbitrary()? {
                    true => vec![0, 1],
                    false => vec![generation.number()],
                },
            }
        }
        2 => Input::Down(node(from)?),
        3..=9 => {
            let by = node(from)?;
            let gossip = match from.int_in_range(0..=7)? {
                0 => Gossip::Addr(list(from)?),
                1 => Gossip::Nodes(BTreeMap::from([(node(from)?, list(from)?)])),
                2 => Gossip::Set(BTreeMap::from([(group(from)?, vec![port(from)?.into()])])),
                3 => Gossip::Reg(membership(from)?, [group(from)?, port(from)?.to_owned()]),
                4 => Gossip::Reg(membership(from)?, [port(from)?.to_owned(), group(from)?]),
                5 => Gossip::Find(node(from)?),
                6 => Gossip::SeedMe(from.arbitrary()?),
                _ => Gossip::Setup,
            };
            Input::Gossip(by, gossip)
        }
        10 => {
            let node = node(from)?;
            let port = node.port(&format!("br.{}", from.int_in_range(1..=8)?));
            Input::GossipPortDied(node, port)
        }
        11 => Input::Want(node(from)?),
        12 => Input::Seeds(list(from)?),
        13 => {
            let evidence = *from.choose(&[Evidence::Proved, Evidence::Claimed])?;
            Input::SeedIs(
                seed(from)?,
                node(from)?,
                *from.choose(&generations)?,
                evidence,
            )
        }
        14 => Input::SeedEnded(seed(from)?),
        15 => Input::SeedIsOurselves(seed(from)?),
        16 => Input::Timer(match from.int_in_range(0..=9)? {
            9 => Timer::SeedTry,
            n => Timer::SeedRound(n),
        }),
        _ => Input::Timer(Timer::Broadcast(node(from)?)),
    })
}
