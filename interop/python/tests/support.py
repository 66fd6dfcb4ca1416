"""What the tests share: waiting for something to become true, and a client made of bare octets."""

import asyncio
import contextlib
import time
import unittest

from aemp import Node, handshake
from aemp.framing import JsonDecoder, encode_json

SECRET = "geheim"
LIMIT = 10
"""Seconds that a test waits for anything."""


async def until(true, what="it", limit=LIMIT):
    """Waits until `true()` gives something true, and returns that."""
    deadline = time.monotonic() + limit
    while not (result := true()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come to be")
        await asyncio.sleep(0.01)
    return result


class Network(unittest.IsolatedAsyncioTestCase):
    """A test with nodes that end with it."""

    async def asyncSetUp(self):
        self.nodes = []
        self.addAsyncCleanup(self.stop)

    async def stop(self):
        for node in self.nodes:
            node.stop()
        # so that the connections are closed before the loop is
        await asyncio.sleep(0.02)

    async def node(self, name, generation=1, listens=True, seeds=(), **more):
        """A node that has started."""
        node = Node(name, SECRET, generation, ["127.0.0.1:*"] if listens else [], seeds, **more)
        self.nodes.append(node)
        await node.start()
        return node

    async def pair(self, generation=1):
        """alice, who listens, and bob, who has her as a seed and does not, linked."""
        alice = await self.node("alice", generation)
        bob = await self.node("bob", generation, False, alice.listeners)
        await until(lambda: bob.is_linked("alice") and alice.is_linked("bob"), "the link")
        return alice, bob

    async def raw(self, node, name, **more):
        """A client of a node, by bare octets."""
        raw = Raw(node, name, **more)
        await raw.connect()
        self.addAsyncCleanup(raw.close)
        return raw


class Raw:
    """Says what it is told to, and collects what it hears, in JSON."""

    def __init__(self, node, name, proves=True, keys=""):
        self.node, self.name, self.proves = node, name, proves
        generation = node.generation
        self.method = generation.proof
        more = "".join(f";{key}={value}" for key, value in generation.keys.items())
        greeting = f"aemp;{generation.version};{name};{self.method};json{more}{keys}"
        self.lines = (greeting.encode("latin-1"), handshake.nonce())
        self.heard = []
        self.closed = False

    async def connect(self):
        host, _, port = self.node.listeners[0].rpartition(":")
        self.reader, self.writer = await asyncio.open_connection(host, int(port))
        if self.proves:
            await self.greet()
            await self.prove()

    async def greet(self):
        self.writer.write(b"".join(line + b"\n" for line in self.lines))
        self.theirs = [(await self.reader.readline())[:-1] for _ in range(2)]

    async def prove(self):
        token = handshake.token(self.method, SECRET.encode(), handshake.text(self.lines, self.theirs))
        self.writer.write(f"{self.method};{token};json\n".encode())
        self.token = (await asyncio.wait_for(self.reader.readline(), LIMIT))[:-1]
        self.task = asyncio.get_running_loop().create_task(self._listen())

    async def _listen(self):
        decoder = JsonDecoder()
        with contextlib.suppress(OSError):
            while octets := await self.reader.read(65536):
                self.heard += decoder.feed(octets)
        self.closed = True

    def say(self, *messages):
        self.writer.write(b"".join(m if isinstance(m, bytes) else encode_json(m) for m in messages))

    async def answered(self):
        """Everything that was said has been worked off; what was heard till then."""
        mark = f"mark{len(self.heard)}"
        self.say(["", "snd", f"{self.name}#{mark}"])
        await until(lambda: [mark] in self.heard, "an answer")
        heard, self.heard = [m for m in self.heard if m != [mark]], []
        return heard

    async def ended(self):
        """The other side has closed the connection."""
        with contextlib.suppress(OSError):
            await asyncio.wait_for(self.reader.read(), LIMIT)

    async def close(self):
        self.writer.close()
