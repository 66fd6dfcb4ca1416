"""Another node, linked or not: what waits for it, who monitors its ports, how it is reached.

PROTOCOL.md, "Messages", "Monitors" and "Connections". The order that everything here keeps: what is
queued is dropped first, then the monitors fire, and what their actions send is for the next link.
"""

import asyncio
import itertools
import random

from .ids import is_address

QUEUE_MAX = 100_000
"""Messages that wait for a link."""
ADDRESSES_MAX = 16
"""Addresses of a node that are tried."""


class Kill:
    """An order to kill a port, in a queue: how it is said depends on who turns out to be there."""

    def __init__(self, name, reason):
        self.name, self.reason = name, reason


class Peer:
    """A node that is not this one."""

    def __init__(self, node, node_id):
        self.node = node
        self.id = node_id
        self.link = None
        self.addresses = []
        self.watches = set()
        """Ports of ours, by name, that it monitors."""
        self._queue = []
        self._monitors = {}
        self._keys = itertools.count()
        self._clock = None
        self._dialling = None
        self._trials = set()

    # what is said to it

    def send(self, message):
        """Sends a message, or has it wait for a link."""
        if self.link is None:
            self._wait(message)
        else:
            self.link.send(message)

    def kill(self, name, reason):
        """Kills a port of the peer, if there is a way to tell it."""
        if self.link is None:
            self._wait(Kill(name, reason))
        elif self.link.way.kill:
            self.link.send(["", self.link.way.kill, name, *reason])

    def tell_death(self, name, reason):
        """A port of ours that it monitors has died."""
        if self.link is not None:
            self.link.send(["", self.link.way.died, name, *reason])

    def _wait(self, what):
        if len(self._queue) >= QUEUE_MAX:
            return self.fail(f"more than {QUEUE_MAX} messages are waiting to be sent")
        self._queue.append(what)
        self.connect()

    # monitors

    def monitor(self, name, action):
        """Monitors a port of the peer, or with an empty name the link; returns what `unmonitor` takes."""
        actions = self._monitors.setdefault(name, {})
        key = next(self._keys)
        actions[key] = action
        # a node port is monitored without a message, and nobody is connected to for it
        if len(actions) == 1 and name:
            self.send(["", "mon1", name])
        return key

    def unmonitor(self, name, key):
        """Takes back a monitor, unless it has fired."""
        actions = self._monitors.get(name, {})
        if actions.pop(key, None) is not None and not actions:
            del self._monitors[name]
            if name:
                self.send(["", "mon0", name])
        self._forget()

    def died(self, name, reason):
        """The peer says that a port of its has died."""
        for action in self._monitors.pop(name, {}).values():
            self.node.safely(action, *reason)

    # the link

    def linked(self, link):
        """The connection is the link now: what waited goes first."""
        self._stop_trying()
        self.link = link
        queue, self._queue = self._queue, []
        for what in queue:
            if isinstance(what, Kill):
                self.kill(what.name, what.reason)
            else:
                self.node.safely(self.send, what)

    def fail(self, text):
        """The link is lost, or there will be none."""
        self._stop_trying()
        self.link = None
        self._queue.clear()
        self.watches.clear()
        self.addresses = []
        monitors, self._monitors = self._monitors, {}
        for actions in monitors.values():
            for action in actions.values():
                self.node.safely(action, "transport_error", self.id, text)
        self._forget()

    def _forget(self):
        if self.link is None and self._clock is None and not self._monitors and not self._queue:
            self.node.peers.pop(self.id, None)

    # attempts

    def connect(self):
        """Begins an attempt, unless there is one; it ends after a while."""
        if self.link is not None or self._clock is not None:
            return
        node = self.node
        limit, text = ((node.monitor_timeout, "unable to connect") if node.generation.gossips
                       else (node.connect_interval, "connect timeout"))
        self._clock = node.loop.call_later(limit, self.fail, text)
        addresses = node.where_is(self.id)
        if addresses:
            self.reach(addresses)
        elif addresses is not None:
            self.unknown()

    def unknown(self):
        """Nobody can say where it listens. It fails a moment later, as whoever asked goes on first."""
        if self.link is None:
            self.node.loop.call_soon(lambda: self.link is None and self.fail("no known address"))

    def reach(self, addresses):
        """Somebody has told where it listens."""
        if self.link is not None:
            return
        new = [address for address in addresses if is_address(address) and address not in self.addresses]
        self.addresses = (new + self.addresses)[:ADDRESSES_MAX]
        if self._clock is None:
            self.connect()
        if self.addresses and self._dialling is None:
            self._dialling = self.node.loop.create_task(self._dial())

    async def _dial(self):
        """One connection after the other, round and round; in generation 2 each address once."""
        node = self.node
        pause = max(0.4, min(node.connect_interval,
                             (node.monitor_timeout - node.connect_interval) / len(self.addresses)))
        await asyncio.sleep(random.uniform(0, 0.05))
        while True:
            for address in list(self.addresses):
                if address not in self._trials and node.may_dial():
                    self._trials.add(address)
                    node.dial(address, on_end=lambda _, address=address: self._trials.discard(address))
                await asyncio.sleep(pause * random.uniform(0.9, 1))
            if not node.generation.gossips:
                return

    def _stop_trying(self):
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None
        if self._dialling is not None:
            self._dialling.cancel()
            self._dialling = None
