"""A node: its ports, its peers, and what its node port does. PROTOCOL.md, "Messages" to "Connections".

Everything runs on one asyncio loop and nothing blocks. Messages to ports of the node itself, and kills
of them, are done a moment later and in order, so that no code of a port runs inside that of another.
"""

import asyncio
import collections
import secrets
import sys
import time

from .database import Database
from .framing import Malformed, port_name
from .generation import GENERATIONS
from .ids import is_node_id, split_id
from .link import LATENCY, Link
from .mesh import Mesh
from .peer import Peer
from .port import Port
from .seeds import Seeds

CONNECTIONS_MAX = 1024
"""Connections that have not become links."""
DIALS_MAX = 64
"""Connections that are made at a time to nodes that others told of."""
PEERS_MAX = 20_000
"""Nodes that are linked, looked for or monitored."""
PORTS_MAX = 100_000
"""Ports that others may have spawned here."""
ALNUM = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Monitor:
    """What `Node.mon` returns: `cancel` takes the monitor back."""

    def __init__(self, cancel):
        self.cancel = cancel


class Node:
    """A node of one generation. Make it, register functions, `await start()`."""

    def __init__(self, node_id, secret, generation=1, binds=(), seeds=(), framings=None,
                 monitor_timeout=None, connect_interval=2, log=None):
        if not is_node_id(node_id):
            raise ValueError(f"{node_id!r} can't be a node ID")
        if not secret:
            raise ValueError("there is no secret")
        self.id = node_id
        self.secret = secret if isinstance(secret, bytes) else secret.encode("latin-1")
        self.generation = GENERATIONS[generation]
        self.framings = [f for f in framings or self.generation.framings if f in ("json", "cbor")]
        if not self.framings:
            raise ValueError("there is no framing left")
        self.monitor_timeout = monitor_timeout or self.generation.monitor_timeout
        self.connect_interval = connect_interval
        self.log = log or (lambda level, text: None)
        self.listeners = []
        self.ports = {}
        self.peers = {}
        self.links = set()
        self.nonces = collections.deque(maxlen=4096)
        self.functions = {}
        """Functions by name: called with the node, the port or None, and the arguments."""
        self.on_node = []
        """Called with a node's ID, whether it is up, and the reason, as nodes come and go."""
        self.current = None
        """The port whose code runs now."""
        self._binds = list(binds)
        self._servers = []
        self._dials = 0
        self._cookie = "".join(secrets.choice(ALNUM) for _ in range(9))
        self._counter = 0
        self._jobs = collections.deque()
        self._source = None
        self.mesh = Mesh(self)
        self.database = Database(self)
        self.seeds = Seeds(self, seeds)

    # beginning and end

    async def start(self):
        """Listens, and looks for the seeds."""
        self.loop = asyncio.get_running_loop()
        for bind in self._binds:
            host, _, port = bind.rpartition(":")
            server = await self.loop.create_server(self._accepted, host.strip("[]") or "127.0.0.1",
                                                   0 if port == "*" else int(port))
            self._servers.append(server)
            for sock in server.sockets:
                host, port = sock.getsockname()[:2]
                self.listeners.append(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
        self.mesh.start()
        self.database.start()
        self.seeds.start()

    def stop(self):
        """Ends all links in order, and with them the node."""
        for server in self._servers:
            server.close()
        self.seeds.stop()
        for link in list(self.links):
            link.close("the node ends")

    # connections

    def _accepted(self):
        if self._unproved() >= CONNECTIONS_MAX:
            self.log(2, "too many connections are in their handshake")
            return _Closed()
        return Link(self)

    def may_dial(self):
        """Is there room for one more connection?"""
        return self._unproved() < CONNECTIONS_MAX and self._dials < DIALS_MAX

    def _unproved(self):
        return sum(link.state != "up" for link in self.links)

    def dial(self, address, seed=None, on_end=None):
        """Connects to an address; `on_end` is called when that has come to nothing, or has ended."""
        link = Link(self, address, seed, on_end)
        host, _, port = address.rpartition(":")

        async def connect():
            self._dials += 1
            try:
                await asyncio.wait_for(
                    self.loop.create_connection(lambda: link, host.strip("[]"), int(port)),
                    self.monitor_timeout)
            except (OSError, ValueError, asyncio.TimeoutError) as error:
                if link.transport is None:
                    self.log(8, f"{address}: {error}")
                    if on_end:
                        on_end(link)
            finally:
                self._dials -= 1

        task = self.loop.create_task(connect())
        link.task = task    # asyncio keeps no reference to it
        return link

    def silence(self):
        """After how many seconds without a sign of life generation 0 is to give us up."""
        return max(1 + LATENCY, int(self.monitor_timeout) - LATENCY)

    def is_linked(self, node_id):
        """Is there a link to that node?"""
        peer = self.peers.get(node_id)
        return peer is not None and peer.link is not None

    def may_link(self, link):
        """`accept`, `refuse` or `wait`: PROTOCOL.md, "Duplicate connections". Perl nodes take part in
        no election; with others the connection stays that the smaller ID has opened."""
        if self.is_linked(link.peer_id):
            return "refuse"
        if link.dialled is None and not link.waited and not link.is_perl():
            ours = any(other.dialled is not None and other.peer_id == link.peer_id and other.proved
                       and other.state == "token" for other in self.links)
            if ours and self.id.encode("latin-1") < link.peer_id.encode("latin-1"):
                return "wait"
        return "accept"

    def linked(self, link):
        """A connection has become the link of its peer."""
        if len(self.peers) >= PEERS_MAX and link.peer_id not in self.peers:
            return link.close("there are too many nodes already")
        peer = link.peer = self.peer(link.peer_id)
        self.log(7, f"{peer.id} is up")
        peer.linked(link)
        if link.seed is not None:
            self.seeds.linked(link.seed, peer.id)
        for told in list(self.on_node):
            self.safely(told, peer.id, True)
        self._release(peer.id)
        return None

    def lost(self, link, text):
        """A link has ended."""
        peer = link.peer
        self.log(7, f"{peer.id} is down ({text})")
        for name in peer.watches:
            port = self.ports.get(name)
            if port is not None:
                port.monitors.pop(peer, None)
        peer.fail(text)
        for told in list(self.on_node):
            self.safely(told, peer.id, False, "transport_error", peer.id, text)

    def _release(self, node_id):
        for link in list(self.links):
            if link.peer_id == node_id:
                link.release()

    def ended(self, link):
        """A connection has ended before it was a link."""
        if link.peer_id is not None and link.proved and link.dialled is not None:
            self.loop.call_soon(self._release, link.peer_id)

    def peer(self, node_id):
        """The peer of that ID."""
        if node_id not in self.peers:
            if len(self.peers) >= PEERS_MAX:
                raise ValueError("too many nodes are looked for")
            self.peers[node_id] = Peer(self, node_id)
        return self.peers[node_id]

    def source_id(self):
        """The node whose request is being done; None outside of one, and for our own."""
        return self._source.id if self._source else None

    def up_nodes(self):
        """The IDs of all linked nodes, sorted."""
        return sorted(peer.id for peer in self.peers.values() if peer.link is not None)

    def where_is(self, node_id):
        """Where a node listens: None if somebody was asked or may still tell, else a list."""
        if self.generation.gossips:
            return self.mesh.addresses.get(node_id) or self.peer(node_id).addresses or None
        return self.database.where_is(node_id)

    # ports

    def new_name(self):
        """A name that no port of this node, nor one that it spawned, has had."""
        self._counter += 1
        return f"{self._cookie}.{self._counter}"

    def port(self, function=None):
        """A new port."""
        port = self._port(self.new_name())
        port.default = function
        return port

    def _port(self, name):
        port = self.ports[name] = Port(self, name)
        return port

    def snd(self, port_id, *elements):
        """Sends a message to a port, or with a node's ID a request to its node port."""
        node_id, name = split_id(port_id)
        if node_id in ("", self.id):
            self.later(self._deliver, self._source, name, list(elements))
        else:
            self.peer(node_id).send([name, *elements])

    def kil(self, port_id, *reason):
        """Ends a port, of this node or of another one."""
        node_id, name = split_id(port_id)
        if not name:
            raise ValueError("a node port can't be killed")
        if node_id in ("", self.id):
            self.later(self._kill, name, reason)
        else:
            self.peer(node_id).kill(name, list(reason))

    def mon(self, port_id, action):
        """Has `action` called, once, with the reason for which a port has died or messages to it may
        be lost. Returns a `Monitor`."""
        node_id, name = split_id(port_id)
        if node_id not in ("", self.id):
            peer = self.peer(node_id)
            key = peer.monitor(name, action)
            return Monitor(lambda: peer.unmonitor(name, key))
        port = self.ports.get(name)
        if port is None:
            if name:
                self.later(self.safely, action, *self._no_such_port(name))
            return Monitor(lambda: None)
        key = port.monitor(action)
        return Monitor(lambda: port.monitors.pop(key, None))

    def spawn(self, node_id, function, *arguments):
        """Has a node make a port and call a function for it; returns the port's ID."""
        node_id = split_id(node_id)[0]
        name = self.new_name()
        self.snd(node_id, "AnyEvent::MP::_spawn", name, function, *arguments)
        return f"{node_id}#{name}"

    def in_port(self, port, function, *arguments):
        """Calls a function in the name of a port; if it raises, the port dies."""
        before, self.current = self.current, port
        try:
            return function(*arguments)
        except Exception as error:  # whatever the code of a port raises is its end, and nothing else's
            self.kil(port.id, "die", str(error).rstrip("\n") or type(error).__name__)
            return None
        finally:
            self.current = before

    def safely(self, function, *arguments):
        """Calls what belongs to no port; what it raises is logged."""
        try:
            function(*arguments)
        except Exception as error:
            self.log(1, f"an error: {type(error).__name__}: {error}")

    def later(self, function, *arguments):
        """Has something done a moment later, behind what is to be done already."""
        if not self._jobs:
            self.loop.call_soon(self._run_jobs)
        self._jobs.append((function, arguments))

    def _run_jobs(self):
        # those that come meanwhile are for the next turn of the loop, so that connections get theirs
        for _ in range(len(self._jobs)):
            function, arguments = self._jobs[0]
            self.safely(function, *arguments)
            self._jobs.popleft()
        if self._jobs:
            self.loop.call_soon(self._run_jobs)

    def _deliver(self, source, name, elements):
        if not name:
            return self.request(source, elements)
        port = self.ports.get(name)
        if port is not None:
            self.in_port(port, port.take, elements)
        return None

    def _kill(self, name, reason):
        port = self.ports.pop(name, None)
        if port is None:
            return
        monitors, port.monitors = port.monitors, {}
        if reason and not monitors:
            self.log(2, f"unmonitored local port {name} died with reason: {reason}")
        for watcher, action in monitors.items():
            if isinstance(watcher, Peer):
                watcher.watches.discard(name)
            self.safely(action, *reason)

    def _no_such_port(self, name, way=None):
        reason = ["no_such_port", "cannot monitor nonexistent port"]
        if way is None or way.names_missing_ports:
            reason.append(f"{self.id}#{name}")
        return reason

    # what comes

    def received(self, link, message):
        """A message has come. `[]` is a sign of life and nothing else."""
        if message:
            self._deliver(link.peer, port_name(message[0]), message[1:])

    def request(self, source, elements):
        """Does what the node port is asked for, by a peer or, with None, by the node itself. Nothing
        that is asked ends the link."""
        if not elements:
            return
        before, self._source = self._source, source
        try:
            self._do(source, port_name(elements[0]), elements[1:])
        except (Malformed, ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
            who = source.id if source else "ourselves"
            self.log(2, f"error processing a request of {who}: {type(error).__name__}: {error}")
        finally:
            self._source = before

    def _do(self, source, verb, arguments):
        if verb in _MONITORS:
            # these are about the ports of whoever asks, and we do not ask ourselves
            if source is not None and source.link is not None:
                self._about_monitors(source, verb, port_name(arguments[0]), arguments[1:])
        elif verb == "AnyEvent::MP::_spawn":
            self._spawn(port_name(arguments[0]), arguments[1], arguments[2:])
        elif verb in _SERVICES:
            _SERVICES[verb](self, *arguments)
        elif self.database.knows(verb):
            self.database.request(source, verb, arguments)
        elif verb in self.functions:
            self.functions[verb](self, None, *arguments)
        elif verb:
            self.log(2, f"there is no request {verb[:80]!r}")

    def _about_monitors(self, peer, verb, name, rest):
        way = peer.link.way
        if verb == "mon1":
            port = self.ports.get(name)
            if port is not None:
                peer.watches.add(name)
                port.monitors[peer] = lambda *reason: peer.tell_death(name, reason)
            elif name:
                peer.tell_death(name, self._no_such_port(name, way))
        elif verb == "mon0":
            port = self.ports.get(name)
            peer.watches.discard(name)
            if port is not None:
                port.monitors.pop(peer, None)
        elif verb == way.died:
            peer.died(name, rest)
        elif verb == way.kill and name:
            self._kill(name, rest)

    def _spawn(self, name, function, arguments):
        if not name or name in self.ports or len(self.ports) >= PORTS_MAX:
            return self.log(2, f"can't spawn a port called {name[:80]!r}")
        call = self.functions.get(function.replace("::", "main::", 1) if function[:2] == "::" else function)
        if call is None:
            return self.log(2, f"can't spawn: unable to resolve function {function[:80]!r}")
        # at once, so that the messages behind the request find it ready
        port = self._port(name)
        self.in_port(port, call, self, port, *arguments)
        if not port.is_set_up and self.ports.get(name) is port:
            self._kill(name, self._no_such_port(name))
        return None

    # requests that are answered

    def _answer(self, reply, *results):
        if reply:
            self.snd(port_name(reply[0]), *reply[1:], *results)

    def _nodes(self, reply, nodes):
        # a list that goes to a node port could ask for itself for ever
        if reply and split_id(port_name(reply[0]))[1]:
            self._answer(reply, *nodes)

    def _relay(self, message):
        self.snd(port_name(message[0]), *message[1:])

    def _can(self, name, *reply):
        known = name in _MONITORS or name in _SERVICES or self.database.knows(name) or name in self.functions
        old = name in ("info", "known_nodes", "up_nodes", "snd_multiple", "kil")
        self._answer(reply, "1" if known and not (old and self.generation.number == 2) else "")


class _Closed(asyncio.Protocol):
    """For a connection that there is no room for."""

    def connection_made(self, transport):
        transport.abort()


_MONITORS = ("mon1", "mon0", "kil", "kil0", "kil1")
_SERVICES = {
    "snd": lambda node, *message: node._relay(message),
    "snd_multiple": lambda node, *messages: [node._relay(message) for message in messages if message],
    "info": lambda node, *reply: node._answer(reply, node.id),
    "known_nodes": lambda node, *reply: node._nodes(reply, sorted({node.id, *node.peers})),
    "up_nodes": lambda node, *reply: node._nodes(reply, node.up_nodes()),
    "time": lambda node, *reply: node._answer(reply, time.time()),
    "eval": lambda node, text, *reply: node._answer(reply, "this node evaluates nothing"),
    "devnull": lambda node, *anything: None,
    "can": lambda node, name, *reply: node._can(name, *reply),
}


def to_stderr(level_max):
    """A log that goes to standard error, up to a level."""
    def log(level, text):
        if level <= level_max:
            stamp = time.strftime("%Y-%m-%d %H:%M:%S")
            print(f"{stamp} <{level}> {text}", file=sys.stderr, flush=True)
    return log
