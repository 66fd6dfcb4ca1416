//! Who may make which request: decided here and nowhere else. The rules are in
//! [`rights`](crate::rights).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;

use super::act::asks_for_mesh;
use super::error::{Refusal, RequestError};
use super::read::NodeRequest;
use super::{Inner, Origin, Source};
use crate::log::log_at;
use crate::node::jobs::{self, Job};
use crate::node::{data, logs};
use crate::proto::{NodeId, PortId, Reason};
use crate::rights::{Action, Patterns, Rights, Rules};

/// Where it stands that a port of this node is in a group: it is, as long as one of them says so.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place {
    /// Among the registrations, of which the gossip tells.
    Gossip,
    /// In the database: the port is a key of the family.
    Database,
}

impl Place {
    pub(crate) const ALL: [Place; 2] = [Place::Gossip, Place::Database];

    const fn bit(self) -> u8 {
        1 << self as u8
    }

    fn bits(places: &[Place]) -> u8 {
        places.iter().fold(0, |bits, place| bits | place.bit())
    }
}

/// The groups that ports are in, by the names of the ports, with the bits of the [`Place`]s.
type Groups = HashMap<Box<str>, BTreeMap<Box<str>, u8>>;

/// What a node needs to hold others to its rules, besides what is kept with each link.
pub(crate) struct Gate {
    /// The rules in force.
    rules: RwLock<Arc<Rules>>,
    /// What anybody may do. `None`: everything.
    anybody: RwLock<Option<Arc<Rights>>>,
    /// The groups that ports of this node are in, if the rules ask for them.
    groups: RwLock<Option<Groups>>,
    /// How often each action was refused.
    refused: [AtomicU64; Action::ALL.len()],
}

impl Gate {
    pub(crate) fn new(rules: Rules) -> Self {
        Gate {
            anybody: RwLock::new(rules.of_anybody()),
            groups: RwLock::new(rules.ask_for_groups().then(Groups::default)),
            rules: RwLock::new(Arc::new(rules)),
            refused: Default::default(),
        }
    }

    /// The rules in force.
    pub(crate) fn rules(&self) -> Arc<Rules> {
        self.rules.read().clone()
    }

    /// What a node may do by the rules in force; see [`Rules::of`].
    pub(crate) fn rights_of(&self, node: &str, fingerprint: Option<&str>) -> Option<Arc<Rights>> {
        self.rules().of(node, fingerprint)
    }

    /// Puts other rules in force. Where ports of this node are in groups is asked for if these
    /// rules are the first to ask; the caller sees to it that no port enters or leaves one
    /// meanwhile. What the nodes that are linked may do is left to the caller as well.
    pub(crate) fn replace(
        &self,
        rules: Rules,
        groups: impl FnOnce() -> Vec<(String, PortId, Place)>,
    ) {
        let mut known = self.groups.write();
        match (rules.ask_for_groups(), known.is_some()) {
            (true, false) => {
                let mut all = Groups::default();
                for (group, port, place) in groups() {
                    enter(&mut all, &group, port.name(), &[place]);
                }
                *known = Some(all);
            }
            (false, true) => *known = None,
            _ => {}
        }
        *self.anybody.write() = rules.of_anybody();
        *self.rules.write() = Arc::new(rules);
    }

    /// Counts that something was refused.
    pub(crate) fn refused(&self, action: Action) {
        self.refused[action as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How often each action was refused, by its name; those that never were are left out.
    pub(crate) fn all_refused(&self) -> BTreeMap<String, u64> {
        let count = |action: Action| {
            let count = self.refused[action as usize].load(Ordering::Relaxed);
            (action.name().to_owned(), count)
        };
        let all = Action::ALL.into_iter().map(count);
        all.filter(|(_, count)| *count > 0).collect()
    }

    /// In these places it stands from now on that a port of this node is in a group.
    pub(crate) fn entered(&self, group: &str, port: &str, places: &[Place]) {
        if let Some(groups) = &mut *self.groups.write() {
            enter(groups, group, port, places);
        }
    }

    /// In these it stands no more.
    pub(crate) fn left(&self, group: &str, port: &str, places: &[Place]) {
        if let Some(groups) = &mut *self.groups.write() {
            let Some(of_port) = groups.get_mut(port) else {
                return;
            };
            if let Some(bits) = of_port.get_mut(group) {
                *bits &= !Place::bits(places);
                if *bits == 0 {
                    of_port.remove(group);
                }
            }
            if of_port.is_empty() {
                groups.remove(port);
            }
        }
    }

    fn is_member(&self, port: &str, wanted: &Patterns) -> bool {
        self.groups.read().as_ref().is_some_and(|groups| {
            let mut of_port = groups.get(port).into_iter().flat_map(BTreeMap::keys);
            of_port.any(|known| wanted.match_any(known))
        })
    }
}

fn enter(groups: &mut Groups, group: &str, port: &str, places: &[Place]) {
    let of_port = groups.entry(port.into()).or_default();
    *of_port.entry(group.into()).or_default() |= Place::bits(places);
}

/// Whether a peer with these rights may send to, and monitor, any port.
pub(crate) fn leave_ports_alone(rights: &Rights) -> bool {
    !rights.restrict(Action::Send) && !rights.restrict(Action::Monitor)
}

/// Whether anything that a peer may do with a port depends on which port it is.
fn restrict_ports(rights: &Rights) -> bool {
    !leave_ports_alone(rights) || rights.restrict(Action::Kill)
}

/// The peer for which a port is spawned, if that matters for what it may do with it. Its port for
/// the mesh stays its own also when the rules change.
pub(super) fn spawner(source: Source<'_>, function: &str) -> Option<NodeId> {
    match source {
        Source::Peer(origin)
            if origin.rights.is_some_and(restrict_ports) || asks_for_mesh(source, function) =>
        {
            Some(origin.peer.id.clone())
        }
        _ => None,
    }
}

impl Source<'_> {
    /// What it may do, if that is not everything.
    fn rights<R>(self, node: &Inner, read: impl FnOnce(&Rights) -> R) -> Option<R> {
        match self {
            Source::Peer(origin) | Source::Relayed(origin) => origin.rights.map(read),
            Source::Local => {
                let anybody = node.gate.anybody.read().clone();
                anybody.as_deref().map(read)
            }
        }
    }
}

/// Decides whether the source may do something with what has that name.
fn allowed(node: &Inner, source: Source<'_>, action: Action, name: &str) -> Result<(), Refusal> {
    let is_member = |wanted: &Patterns| node.gate.is_member(name, wanted);
    match source.rights(node, |rights| rights.allow(action, name, is_member)) {
        Some(false) => Err(Refusal::new(action, name)),
        Some(true) | None => Ok(()),
    }
}

/// The same for a port, which may be the source's own.
fn allowed_port(
    node: &Inner,
    source: Source<'_>,
    action: Action,
    name: &str,
) -> Result<(), Refusal> {
    let done = allowed(node, source, action, name);
    if done.is_err()
        && let Source::Peer(origin) | Source::Relayed(origin) = source
    {
        let spawned = |port: &Arc<crate::node::port::PortCell>| port.is_spawned_by(&origin.peer.id);
        if node.ports.with(name, spawned) == Some(true) {
            return Ok(());
        }
    }
    done
}

/// Decides whether the source may make the request. Another node can have us send a request, by
/// `snd` and by the replies that it asks for: that is as if it had made it. A request of the
/// program itself may be one that a port passes on for somebody, so it is held to what is for
/// everybody. What the program does by calling the node's functions is no request.
pub(super) fn may(
    node: &Inner,
    source: Source<'_>,
    request: &NodeRequest<'_>,
) -> Result<(), Refusal> {
    match request {
        NodeRequest::Nothing
        | NodeRequest::Unmonitor(_)
        | NodeRequest::Died(..)
        // What a peer's own ports have no room for is its own matter.
        | NodeRequest::Hold(_)
        | NodeRequest::Go(_)
        | NodeRequest::Info(_)
        | NodeRequest::KnownNodes(_)
        | NodeRequest::UpNodes(_)
        | NodeRequest::Can(..)
        | NodeRequest::Time(_) => Ok(()),
        // Where they lead to is decided there: see `may_hand_on`.
        NodeRequest::Forward(_) | NodeRequest::ForwardAll(_) => Ok(()),
        // What may be said is decided when it is read: see `Control::request`.
        NodeRequest::Database(_) => Ok(()),
        NodeRequest::Monitor(name) if name.is_empty() => Ok(()),
        NodeRequest::Monitor(name) => allowed_port(node, source, Action::Monitor, name),
        NodeRequest::Kill(name, _) => allowed_port(node, source, Action::Kill, name),
        // The mesh of generations 0 and 1 is made of such ports.
        NodeRequest::Spawn { function, .. } if asks_for_mesh(source, function) => Ok(()),
        NodeRequest::Spawn { function, .. } => allowed(node, source, Action::Spawn, function),
        NodeRequest::Eval(_) => allowed(node, source, Action::Eval, ""),
        // What it does besides is decided there: see `Named::call`.
        NodeRequest::Named { name, .. } => allowed(node, source, Action::Call, name),
        NodeRequest::Call { function, .. } => allowed(node, source, Action::Call, function),
        // It is a call, and leads to another one.
        NodeRequest::ExpectData(expect) => {
            allowed(node, source, Action::Call, data::EXPECT)?;
            allowed(node, source, Action::Call, &expect.function)
        }
        NodeRequest::CatchLogs(_) => allowed(node, source, Action::Call, logs::CONNECT),
        NodeRequest::ConnectData(_) => allowed(node, source, Action::Call, data::CONNECT),
    }
}

/// Decides whether this node sends something on for the source.
pub(super) fn may_hand_on(
    node: &Inner,
    source: Source<'_>,
    port: &PortId,
) -> Result<(), RequestError> {
    // Without rules this is all.
    if source.rights(node, |_| ()).is_none() {
        return Ok(());
    }
    if !node.is_local(port) {
        return Ok(allowed(node, source, Action::Relay, port.node())?);
    }
    Ok(allowed_port(node, source, Action::Send, port.name())?)
}

/// Decides whether the source may have this node register its ports in a group, or set keys of a
/// family, of that name.
pub(super) fn may_set_here(node: &Inner, source: Source<'_>, group: &str) -> Result<(), Refusal> {
    allowed(node, source, Action::Set, group)
}

/// Whether a peer may send to a port of ours. If not, that is said, and its monitor of the port
/// fires: a message to it was lost.
pub(crate) fn may_send(node: &Arc<Inner>, origin: &Origin<'_>, name: &str) -> bool {
    let source = Source::Peer(origin);
    let Err(refusal) = allowed_port(node, source, Action::Send, name) else {
        return true;
    };
    refused_send(node, origin, name, &refusal);
    super::report(node, source, &refusal.into());
    false
}

/// Whether a peer may say something about the mesh with a verb of that name.
pub(crate) fn may_say(node: &Inner, from: &NodeId, rights: Option<&Rights>, verb: &str) -> bool {
    may_about_mesh(node, from, rights, Action::Mesh, verb)
}

/// Whether a peer may register ports in a group, or set keys of a family, of that name. The
/// families of the mesh itself, whose names begin with an apostrophe, are no matter of this.
pub(crate) fn may_set(node: &Inner, from: &NodeId, rights: Option<&Rights>, group: &str) -> bool {
    group.starts_with('\'') || may_about_mesh(node, from, rights, Action::Set, group)
}

fn may_about_mesh(
    node: &Inner,
    from: &NodeId,
    rights: Option<&Rights>,
    action: Action,
    name: &str,
) -> bool {
    if rights.is_none_or(|rights| rights.allow(action, name, |_| false)) {
        return true;
    }
    node.gate.refused(action);
    let refusal = Refusal::new(action, name);
    log_at!(
        2,
        [from.as_str()],
        "{from} said something about the mesh: {refusal}"
    );
    false
}

/// A message of a peer to that port of ours was refused.
pub(super) fn refused_send(node: &Arc<Inner>, origin: &Origin<'_>, name: &str, refusal: &Refusal) {
    origin.peer.refused_port(node, name, &refusal.to_string());
}

/// Tells the peer that its request is refused, if that is about a port that it monitors, or is
/// about to.
pub(super) fn tell(
    node: &Arc<Inner>,
    origin: &Origin<'_>,
    request: NodeRequest<'_>,
    refusal: &Refusal,
) {
    match request {
        NodeRequest::Monitor(name) => {
            origin.peer.watches(&name);
            origin.peer.refused_port(node, &name, &refusal.to_string());
        }
        NodeRequest::Spawn { name, .. } => {
            // The monitor comes behind the request. So the port dies of it as one dies whose init
            // function fails.
            let owner = spawner(Source::Peer(origin), "f");
            let Some(port) = node.new_spawned_port(&name, owner) else {
                return;
            };
            let reason = Reason::new(["refused".to_owned(), refusal.to_string()]);
            let die = move |node: &Arc<Inner>| port.die_of(node, reason);
            jobs::schedule(node, Job::Call(Box::new(die)));
        }
        NodeRequest::ExpectData(expect) => {
            data::refuse(node, origin, &expect, &refusal.to_string());
        }
        _ => {}
    }
}
