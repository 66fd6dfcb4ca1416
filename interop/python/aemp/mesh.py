"""The mesh of generations 0 and 1, and the groups in it: PROTOCOL.md, "The mesh".

A gossip port of ours on each peer takes what we have to say; one of each peer's here takes what it
says. Each node tells its own registrations and listeners only, and what others told it of theirs.
"""

import collections
import random

from .framing import port_name
from .ids import is_node_id
from .peer import ADDRESSES_MAX

CONNECT = "AnyEvent::MP::Global::connect"
NODES_MAX = 10_000
"""Nodes whose addresses are kept."""
MEMBERS_MAX = 100_000
"""Ports in groups that a peer may register."""


class Mesh:
    """What this node knows of the mesh, and what it has told."""

    def __init__(self, node):
        self.node = node
        self.addresses = {}
        """Where the nodes listen that have told so themselves."""
        self._voices = {}
        """Our gossip ports, by the node that they are on."""
        self._pupils = set()
        """Who is to be told of new nodes: whoever said `seedme1`."""
        self._master = None
        self._groups = collections.defaultdict(dict)
        """Group, node, port: how many registrations."""
        self._members = collections.Counter()
        """How many ports in groups a node has."""
        self._news = set()
        """Nodes of which the others are to be told in a while."""
        self._own = {}
        """Registrations of our own: how many of a group and a port."""
        self._watchers = collections.defaultdict(list)

    def start(self):
        """Takes part, if the generation does."""
        if self.node.generation.gossips:
            self.node.functions[CONNECT] = self._listen
            self.node.on_node.append(self._on_node)

    # links

    def _on_node(self, node_id, up, *_reason):
        if up:
            self._open(node_id)
            self._choose_master(node_id)
        else:
            self._voices.pop(node_id, None)
            self._pupils.discard(node_id)
            self.addresses.pop(node_id, None)
            self._drop_groups(node_id)
            self._choose_master()
            self._find(node_id)

    def _open(self, node_id):
        """All that is said to a new peer, in this order."""
        node = self.node
        voice = node.spawn(node_id, CONNECT, 0, node.id)
        self._voices[node_id] = voice

        def silenced(*_reason):
            if self._voices.get(node_id) == voice:
                del self._voices[node_id]

        node.mon(voice, silenced)
        node.snd(voice, "addr", node.listeners)
        known = {other: where for other, where in self.addresses.items() if other != node_id}
        if known:
            node.snd(voice, "nodes", known)
        groups = collections.defaultdict(list)
        for (group, port_id), count in self._own.items():
            groups[group] += [port_id] * count
        if groups:
            node.snd(voice, "set", dict(groups))
        if node.generation.number == 1:
            node.snd(voice, "setup")

    def _say(self, node_id, *message):
        if node_id in self._voices:
            self.node.snd(self._voices[node_id], *message)

    def _find(self, node_id):
        """Somebody is lost: who may know where it is now?"""
        if self.node.generation.number == 0:
            for other in list(self._voices):
                self._say(other, "find", node_id)
        elif self._master:
            self._say(self._master, "find", node_id)

    def _choose_master(self, came=None):
        """Keeps or chooses the one peer that tells us of others (generation 1)."""
        node = self.node
        if node.generation.number == 0:
            return
        up = node.up_nodes()
        seeds = [peer for peer in up if node.seeds.is_seed(peer)]
        chosen = self._master
        if came in seeds and (self._master not in seeds or random.random() * len(seeds) > 1):
            chosen = came
        if chosen not in up:
            chosen = random.choice(seeds) if seeds else up[-1] if up else None
        if chosen != self._master:
            if self._master in up:
                self._say(self._master, "seedme0")
            self._master = chosen
            if chosen:
                self._say(chosen, "seedme1")

    # what others say

    def _listen(self, node, port, version, speaker):
        """Spawned here by a peer: what is said to this port counts as said by it."""
        if port is None or int(float(version)) != 0 or node.source_id() != speaker:
            raise ValueError(f"gossip of version {version} in the name of {speaker!r}")
        port.rcv(lambda *anything: None)
        heard = {
            "addr": self._heard_addresses, "nodes": self._heard_nodes, "find": self._heard_find,
            "set": self._heard_set, "reg1": self._heard_register, "reg0": self._heard_unregister,
            "seedme1": self._heard_seedme, "seedme0": lambda who: self._pupils.discard(who),
        }
        for tag, function in heard.items():
            port.rcv_tag(tag, lambda *said, function=function: function(speaker, *said))
        # it ends silently with the link, and what was said through it is void then
        node.mon(speaker, lambda *reason: node.kil(port.id))
        port.monitor(lambda *reason: self._drop_groups(speaker))

    def _heard_addresses(self, speaker, addresses):
        addresses = [str(address) for address in addresses[:ADDRESSES_MAX]]
        if speaker in self.addresses or len(self.addresses) < NODES_MAX:
            self.addresses[speaker] = addresses
        if self.node.generation.number == 0:
            if addresses:
                for other, listens in list(self.addresses.items()):
                    if other != speaker and not listens:
                        self._say(other, "nodes", {speaker: addresses})
        else:
            # later, so that the new node and the others do not connect to each other at once
            if speaker not in self._news:
                self._news.add(speaker)
                self.node.loop.call_later(random.uniform(2, 3), self._tell_pupils, speaker)

    def _tell_pupils(self, node_id):
        self._news.discard(node_id)
        if node_id in self.addresses:
            for pupil in list(self._pupils):
                self._say(pupil, "nodes", {node_id: self.addresses[node_id]})

    def _heard_nodes(self, speaker, nodes):
        for node_id, addresses in nodes.items():
            if node_id == self.node.id or not addresses or not is_node_id(node_id):
                continue
            if len(self.node.peers) < NODES_MAX and not self.node.is_linked(node_id):
                self.node.peer(node_id).reach([str(address) for address in addresses[:ADDRESSES_MAX]])

    def _heard_find(self, speaker, node_id):
        if self.addresses.get(node_id):
            self._say(speaker, "nodes", {node_id: self.addresses[node_id]})

    def _heard_seedme(self, speaker):
        self._pupils.add(speaker)
        if self.addresses:
            self._say(speaker, "nodes", self.addresses)

    def _heard_set(self, speaker, groups):
        for group, ports in groups.items():
            for port_id in ports or ():
                self._add(speaker, group, port_name(port_id))

    def _heard_register(self, speaker, *said):
        group, port_id = self._order(said)
        self._add(speaker, group, port_id)

    def _heard_unregister(self, speaker, *said):
        group, port_id = self._order(said)
        self._take_away(speaker, group, port_id)

    def _order(self, said):
        """Group and port: the generations have them the other way round."""
        one, other = port_name(said[0]), port_name(said[1])
        return (other, one) if self.node.generation.number == 0 else (one, other)

    # groups

    def register(self, group, port_id):
        """Registers a port of ours in a group; returns a function that ends it."""
        node, key = self.node, (group, port_id)
        first = key not in self._own
        if first or node.generation.number == 0:
            self._own[key] = self._own.get(key, 0) + 1
            for other in list(self._voices):
                self._say(other, "reg1", *self._order(key))
            self._add(node.id, group, port_id)

        def end(*_reason):
            if key in self._own:
                self._own[key] -= 1
                if not self._own[key]:
                    del self._own[key]
                for other in list(self._voices):
                    self._say(other, "reg0", *self._order(key))
                self._take_away(node.id, group, port_id)

        monitor = node.mon(port_id, end)
        return lambda: (monitor.cancel(), end())

    def members(self, group):
        """The ports of a group, sorted."""
        ports = set()
        for of_node in self._groups.get(group, {}).values():
            ports.update(of_node)
        return sorted(ports)

    def watch(self, group, told):
        """Has `told` called with the members, who came and who went, at each change; returns a
        function that ends it. The first call, if there are members, has them all as new ones."""
        self._watchers[group].append(told)
        now = self.members(group)
        if now:
            told(now, now, [])
        return lambda: told in self._watchers[group] and self._watchers[group].remove(told)

    def _add(self, owner, group, port_id):
        # a node speaks of its own ports only
        if port_id.partition("#")[0] != owner:
            return
        ports = self._groups[group].setdefault(owner, collections.Counter())
        if port_id in ports:
            ports[port_id] += self.node.generation.number == 0
        elif self._members[owner] < MEMBERS_MAX:
            self._members[owner] += 1
            ports[port_id] = 1
            self._changed(group, [port_id], [])

    def _take_away(self, owner, group, port_id):
        ports = self._groups.get(group, {}).get(owner)
        if ports and port_id in ports:
            ports[port_id] -= 1
            if ports[port_id] <= 0:
                del ports[port_id]
                self._members[owner] -= 1
                if not ports:
                    del self._groups[group][owner]
                self._changed(group, [], [port_id])

    def _drop_groups(self, owner):
        for group, owners in list(self._groups.items()):
            ports = owners.pop(owner, None)
            if ports:
                self._members[owner] -= len(ports)
                self._changed(group, [], sorted(ports))

    def _changed(self, group, came, went):
        for told in list(self._watchers.get(group, ())):
            self.node.safely(told, self.members(group), came, went)
