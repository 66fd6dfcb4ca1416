//! Functions of Perl's modules that another node can ask any node to call by name, and that mean
//! the same in every language (PROTOCOL.md, "Functions by name").
//!
//! Each does what a request does, or what two of them do. So its source needs the right to call a
//! function of that name, and the rights that the requests need.

use std::sync::Arc;

use serde_json::Value;

use super::act::{
    Sending, destination, forward, goes_round, hand_on, is_own_node_port, make_known,
};
use super::error::{Missing, RequestError};
use super::onward::Onward;
use super::read::{NodeRequest, first};
use super::rights::{may, may_hand_on, may_set_here};
use super::{Inner, Source};
use crate::node::api::Request;
use crate::node::favours::Favour;
use crate::node::monitor::Action;
use crate::node::{Node, SendError};
use crate::proto::{Message, PortId, Verb};

/// Such a function. The values of the message are its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    /// `PORT MESSAGE..`: sends a message.
    Snd,
    /// `NODE PORT MESSAGE..`: has a node send a message.
    SndOn,
    /// `NODE FUNCTION ARGUMENTS..`: has a node call a function.
    SndToFunc,
    /// `NODE EXPRESSION REPLY..`: has a node evaluate an expression.
    EvalOn,
    /// `PORT REASON..`: kills a port.
    Kil,
    /// `NODE FUNCTION ARGUMENTS..`: creates a port.
    Spawn,
    /// `PORT OTHER MESSAGE..`: sends the message to the other port when the port dies; without one,
    /// kills it.
    Mon,
    /// `GROUP PORT`: registers a port.
    GrpReg,
    /// `PORT GROUP`: the same in generation 0.
    Register,
    /// `FAMILY PORT VALUE`: the same in the database.
    DbReg,
    /// `FAMILY KEY VALUE`: sets a key.
    DbSet,
    /// `FAMILY KEYS..`: deletes keys.
    DbDel,
}

impl Named {
    /// The function of that name.
    pub(super) fn of(name: &str) -> Option<Self> {
        let name = name.strip_prefix("AnyEvent::MP::")?;
        match name {
            "mon" => return Some(Named::Mon),
            "spawn" => return Some(Named::Spawn),
            "db_reg" => return Some(Named::DbReg),
            "Global::grp_reg" => return Some(Named::GrpReg),
            "Global::register" => return Some(Named::Register),
            _ => {}
        }
        // `AnyEvent::MP` has these from its kernel.
        match name.strip_prefix("Kernel::").unwrap_or(name) {
            "snd" => Some(Named::Snd),
            "snd_on" => Some(Named::SndOn),
            "snd_to_func" => Some(Named::SndToFunc),
            "eval_on" => Some(Named::EvalOn),
            "kil" => Some(Named::Kil),
            "db_set" => Some(Named::DbSet),
            "db_del" => Some(Named::DbDel),
            _ => None,
        }
    }

    /// Whether it sends a part of its message on to a node port.
    pub(super) fn is_relay(self) -> bool {
        matches!(self, Named::Snd | Named::SndOn | Named::SndToFunc)
    }

    /// Calls it.
    pub(super) fn call(self, node: &Arc<Inner>, source: Source<'_>, args: Message) -> Sending {
        match self {
            Named::Snd => return forward(node, source, &args),
            Named::SndOn => return to_node(node, source, &args, &[Verb::Snd.name()]),
            Named::SndToFunc => return to_node(node, source, &args, &[]),
            Named::EvalOn => return to_node(node, source, &args, &[Verb::Eval.name()]),
            Named::Spawn => return spawn(node, source, &args),
            Named::Kil => kill(node, source, args)?,
            Named::Mon => monitor(node, source, args)?,
            Named::GrpReg => {
                let most = node.settings.max_name;
                let group = first(&args, Missing::Group, most)?;
                let member = own_port(node, &args.into_without_tag())?;
                register(node, source, &group, member)?;
            }
            Named::Register => {
                let member = own_port(node, &args)?;
                let most = node.settings.max_name;
                let group = first(&args.into_without_tag(), Missing::Group, most)?;
                register(node, source, &group, member)?;
            }
            Named::DbReg => {
                let (family, args) = family(node, source, args)?;
                let member = own_port(node, &args)?;
                let value = value(&args.into_without_tag())?;
                let kept = keep(node, source, family.len() + size_of(&value))?;
                let key = member.to_string();
                node.control.db_set(node, &family, &key, value);
                let home = Arc::downgrade(node);
                let ended = Action::call(move |_| {
                    drop(kept);
                    if let Some(node) = home.upgrade() {
                        node.control.db_del(&node, &family, vec![key]);
                    }
                });
                node.monitor(&member, ended);
            }
            Named::DbSet => {
                let (family, args) = family(node, source, args)?;
                let key = first(&args, Missing::Key, node.settings.max_name)?;
                let value = value(&args.into_without_tag())?;
                let kept = keep(node, source, family.len() + key.len() + size_of(&value))?;
                node.control.db_set(node, &family, &key, value);
                node.favours.keep_key(family, key, kept);
            }
            Named::DbDel => {
                let (family, mut args) = family(node, source, args)?;
                let mut keys = Vec::new();
                while args.elements().next().is_some() {
                    keys.push(first(&args, Missing::Key, node.settings.max_name)?);
                    args = args.into_without_tag();
                }
                for key in &keys {
                    node.favours.forget_key(&family, key);
                }
                node.control.db_del(node, &family, keys);
            }
        }
        Ok(Onward::Nothing)
    }
}

/// The port that comes first.
fn port(node: &Inner, args: &Message) -> Result<PortId, RequestError> {
    destination(node, args)?.ok_or(RequestError::Missing(Missing::PortName))
}

/// The same, if it is a port of this node.
fn own_port(node: &Inner, args: &Message) -> Result<PortId, RequestError> {
    let port = port(node, args)?;
    match node.is_local(&port) {
        // The node part may be left out.
        true => Ok(node.id.port(port.name())),
        false => Err(RequestError::foreign(&port)),
    }
}

/// Sends a request to a node port: these words, and what is behind the node's ID.
fn to_node(node: &Arc<Inner>, source: Source<'_>, args: &Message, words: &[&str]) -> Sending {
    let target = port(node, args)?.node_id().node_port();
    let rest = args.without_tag();
    let message = Message::encode(&Request(words, &rest)).map_err(SendError::from)?;
    if is_own_node_port(node, &target) {
        return Ok(Onward::Made(message));
    }
    if goes_round(&message) {
        return Err(RequestError::goes_round());
    }
    hand_on(node, source, &target, message)
}

fn spawn(node: &Arc<Inner>, source: Source<'_>, args: &Message) -> Sending {
    let target = port(node, args)?.node_id().node_port();
    let init = args.without_tag();
    let function = first(&init, Missing::InitFunction, node.settings.max_name)?;
    let args = init.into_without_tag();
    let name = node.ports.new_remote_name();
    if node.is_local(&target) {
        let request = NodeRequest::spawn(name, &function, args);
        may(node, source, &request)?;
        return request.perform(node, source);
    }
    let words = [Verb::Spawn.name(), &name, &function];
    let message = Message::encode(&Request(&words, &args)).map_err(SendError::from)?;
    hand_on(node, source, &target, message)
}

fn kill(node: &Arc<Inner>, source: Source<'_>, args: Message) -> Result<(), RequestError> {
    let port = port(node, &args)?;
    if port.is_node_port() {
        return Err(RequestError::NodePortKilled);
    }
    let request = NodeRequest::Kill(port.name().to_owned(), args.into_without_tag());
    if node.is_local(&port) {
        may(node, source, &request)?;
        return request.perform(node, source).map(drop);
    }
    may_hand_on(node, source, &port)?;
    make_known(node, source, &port)?;
    if let NodeRequest::Kill(_, reason) = request {
        node.kil(&port, super::act::reason_of(node, &reason));
    }
    Ok(())
}

/// Sets a monitor whose action is for another port. It lasts as long as the monitored port, or the
/// way to it.
fn monitor(node: &Arc<Inner>, source: Source<'_>, args: Message) -> Result<(), RequestError> {
    let watched = port(node, &args)?;
    let action = args.into_without_tag();
    let told = port(node, &action)?;
    let kept = keep(node, source, action.size())?;
    let message = action.into_without_tag().into_own();
    let kills = message.elements().next().is_none();
    match kills && node.is_local(&told) {
        true => may(
            node,
            source,
            &NodeRequest::Kill(told.name().to_owned(), Message::from_values(&[])),
        )?,
        false => may_hand_on(node, source, &told)?,
    }
    match node.is_local(&watched) {
        true => may(
            node,
            source,
            &NodeRequest::Monitor(watched.name().to_owned()),
        )?,
        false => {
            may_hand_on(node, source, &watched)?;
            make_known(node, source, &watched)?;
        }
    }
    let home = Arc::downgrade(node);
    let fire = Action::call(move |reason| {
        drop(kept);
        let Some(node) = home.upgrade() else { return };
        let known = node.is_local(&told) || node.peers.get(told.node()).is_some();
        if !known && node.peers.len() >= node.settings.max_nodes {
            return;
        }
        let action = match kills {
            true => Action::kill(told),
            false => Action::send(told, message),
        };
        super::super::monitor::fire(&node, action, reason);
    });
    node.monitor(&watched, fire);
    Ok(())
}

fn register(
    node: &Arc<Inner>,
    source: Source<'_>,
    group: &str,
    member: PortId,
) -> Result<(), RequestError> {
    may_set_here(node, source, group)?;
    let kept = keep(node, source, group.len() + member.as_str().len())?;
    Node::from_inner(node.clone()).register(group, &member);
    node.monitor(&member, Action::call(move |_| drop(kept)));
    Ok(())
}

/// The family that comes first, if it is one of programs, and what is behind it.
fn family(
    node: &Inner,
    source: Source<'_>,
    args: Message,
) -> Result<(String, Message), RequestError> {
    let family = first(&args, Missing::Family, node.settings.max_name)?;
    if family.starts_with('\'') {
        return Err(RequestError::own_family(&family));
    }
    may_set_here(node, source, &family)?;
    Ok((family, args.into_without_tag()))
}

/// The value that comes first; without one, it is undefined.
fn value(args: &Message) -> Result<Value, RequestError> {
    let Some(element) = args.elements().next() else {
        return Ok(Value::Null);
    };
    element
        .read()
        .map_err(|_| RequestError::unfit(&element, "value for the database"))
}

/// About what a value takes up.
fn size_of(value: &Value) -> usize {
    const EACH: usize = 64;
    EACH + match value {
        Value::String(text) => text.len(),
        Value::Array(list) => list.iter().map(size_of).sum(),
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| key.len() + size_of(value))
            .sum(),
        _ => 0,
    }
}

/// Sees to it that there is room for something that stays here, for as long as it stays.
fn keep(node: &Inner, source: Source<'_>, octets: usize) -> Result<Option<Favour>, RequestError> {
    let (Source::Peer(origin) | Source::Relayed(origin)) = source else {
        return Ok(None);
    };
    let kept = node.favours.keep(&origin.peer.account, octets);
    kept.map(Some).map_err(|_| RequestError::NoRoom(octets))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (name, function) in [
            ("AnyEvent::MP::snd", Some(Named::Snd)),
            ("AnyEvent::MP::Kernel::snd", Some(Named::Snd)),
            ("AnyEvent::MP::Kernel::db_set", Some(Named::DbSet)),
            ("AnyEvent::MP::db_del", Some(Named::DbDel)),
            ("AnyEvent::MP::mon", Some(Named::Mon)),
            ("AnyEvent::MP::Kernel::mon", None),
            ("AnyEvent::MP::Global::grp_reg", Some(Named::GrpReg)),
            ("AnyEvent::MP::Kernel::grp_reg", None),
            ("AnyEvent::MP::configure", None),
            ("AnyEvent::MP::_spawn", None),
            ("snd", None),
            ("Other::MP::snd", None),
        ] {
            assert_eq!(Named::of(name), function, "{name}");
        }
    }
}
