"""A connection from its first octet to its last: PROTOCOL.md, "Handshake" to "Idle links".

A link knows whether it was dialled or accepted, and asks its node three things: is somebody of that
ID linked already, may this one become the link now, and what is to be done with a message.
"""

import asyncio
import hmac
import socket
import time

from . import handshake
from .cbor import CborDecoder, encode_cbor
from .framing import JsonDecoder, Malformed, encode_json
from .handshake import LINES_MAX, Greeting, Refused

FRAMINGS = {"json": (JsonDecoder, encode_json), "cbor": (CborDecoder, encode_cbor)}
OUTPUT_MAX = 64 << 20
"""Octets that may wait to be written to a peer before the link is given up."""
HOLD = 1
"""Seconds that a connection waits for what becomes of ours to the same node."""
LATENCY = 3
"""Seconds; generation 0 sends that much earlier than its silence would be taken for death."""


class Link(asyncio.Protocol):
    """One connection, in one of the states `greeting`, `nonce`, `token`, `held`, `up`, `closed`."""

    def __init__(self, node, dialled=None, seed=None, on_end=None):
        self.node = node
        self.dialled = dialled
        """The address that was connected to; None if the other side connected."""
        self.seed = seed
        """The same, if it is that of a seed."""
        self.on_end = on_end
        self.transport = None
        self.address = dialled or ""
        self.state = "greeting"
        self.way = None
        self.peer_id = None
        self.proved = False
        """Has our token been sent?"""
        self.waited = False
        """Was it held for as long as a connection is?"""
        self.ended = ""
        """Why it was closed, once it was."""
        self.peer = None
        """Whose link it is, once it is one."""
        self._buffer = bytearray()
        self._timers = {}
        self._greeted = None

    # the connection itself

    def connection_made(self, transport):
        self.transport = transport
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        # none if the other side has gone already
        host, port = (transport.get_extra_info("peername") or ("", 0))[:2]
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self.last_input = self.last_output = time.monotonic()
        self.node.links.add(self)
        generation = self.node.generation
        keys = {"provider": handshake.PROVIDER, "peeraddr": self.address, **generation.keys}
        if generation.number == 0:
            keys["timeout"] = self.node.silence()
        greeting = Greeting("aemp", generation.version, self.node.id,
                            [generation.proof, "cleartext"], list(self.node.framings), keys)
        self._lines = (greeting.line(), handshake.nonce())
        if self.dialled is None:
            self.node.nonces.append(self._lines[1])
        self.transport.write(self._lines[0] + b"\n" + self._lines[1] + b"\n")
        self._later(self.node.monitor_timeout, self._too_late)
        self._later(1, self._tick)

    def connection_lost(self, error):
        self.close(str(error) if error else "Unexpected end-of-file", tell=False)

    def eof_received(self):
        self.close("Unexpected end-of-file")

    def close(self, why, tell=True):
        """Ends the link, once. Whoever hears of it hears after the connection is gone."""
        if self.state == "closed":
            return
        was_up, self.state, self.ended = self.state == "up", "closed", why
        for timer in self._timers.values():
            timer.cancel()
        self._buffer.clear()
        self.node.links.discard(self)
        if tell:
            # what was written goes out first, but nobody waits for it
            self.transport.close()
            self.node.loop.call_later(5, self.transport.abort)
        self.node.log(7 if was_up else 8, f"{self.address}: {why}")
        if self.peer is not None:
            self.node.lost(self, why)
        else:
            self.node.ended(self)
        if self.on_end:
            self.on_end(self)

    def _later(self, seconds, what):
        self._timers[what.__name__] = self.node.loop.call_later(seconds, what)

    def _too_late(self):
        if self.state != "up":
            self.close("the handshake took too long")

    def _tick(self):
        """Once a second: who is silent for too long, and whether we are."""
        now, node = time.monotonic(), self.node
        if self.state != "up":
            if node.generation.number == 0 and now - self.last_input >= LATENCY:
                return self.close("silence during the handshake")
        else:
            limit = self._keys.get("timeout", "") if self.way.name == "0" else ""
            if limit.isdigit() and now - self.last_input > int(limit):
                return self.close("timeout")
            if node.generation.number == 0:
                pause = node.silence() - LATENCY
            else:
                pause = node.monitor_timeout if node.generation.number == 1 and not node.listeners else None
            if pause is not None and now - self.last_output >= pause:
                self.send([])
        self._later(1, self._tick)

    # the handshake

    def data_received(self, octets):
        self.last_input = time.monotonic()
        if self.state == "up":
            return self._messages(octets)
        self._buffer += octets
        self._read_lines()

    def _read_lines(self):
        try:
            while self.state in ("greeting", "nonce", "token"):
                end = self._buffer.find(b"\n", 0, LINES_MAX)
                if end < 0:
                    if len(self._buffer) >= LINES_MAX:
                        raise Refused(f"more than {LINES_MAX} octets before a token")
                    return
                line = bytes(self._buffer[:end])
                del self._buffer[:end + 1]
                getattr(self, "_" + self.state)(line[:-1] if line.endswith(b"\r") else line)
        except Refused as refused:
            return self.close(str(refused))
        if self.state == "up" and self._buffer:
            # messages may follow the token in the same segment
            rest, self._buffer = bytes(self._buffer), bytearray()
            self._messages(rest)

    def _greeting(self, line):
        greeting = Greeting.read(line)
        node = self.node
        if greeting.protocol != "aemp":
            raise Refused(f"greets with {greeting.protocol[:40]!r}, which is not aemp")
        if greeting.version != node.generation.version:
            raise Refused(f"version mismatch (we: {node.generation.version}, they: {greeting.version[:20]})")
        if not greeting.node or "#" in greeting.node:
            raise Refused("no node ID")
        self.peer_id, self._keys, self._their_line = greeting.node, greeting.keys, line
        self.way = node.generation.way_of(greeting.version, greeting.keys)
        self._greeted = greeting
        self.state = "nonce"
        if greeting.node != node.id and node.is_linked(greeting.node):
            raise Refused(f"{greeting.node} already connected, not connecting again")

    def _nonce(self, line):
        node, greeting = self.node, self._greeted
        if greeting.node == node.id:
            if self.seed is not None and line in node.nonces:
                node.seeds.is_ourselves(self.seed)
            raise Refused("I refuse to talk to myself")
        if (self._their_line, line) == self._lines:
            raise Refused("authentication error, echo attack?")
        self._their_lines = (self._their_line, line)
        self._method = handshake.first_common(greeting.methods, (node.generation.proof,))
        if self._method is None or self.way is None:
            raise Refused(f"no common auth type supported ({','.join(greeting.methods)[:80]})")
        self.framing = handshake.first_common(greeting.framings, node.framings)
        if self.framing is None:
            raise Refused(f"no common framing ({','.join(greeting.framings)[:80]})")
        if self.seed is not None:
            node.seeds.greeted(self.seed, self.peer_id)
        self.state = "token"
        # Perl nodes never wait for a token; two that both wait would wait for ever, so that who
        # connects to another node proves itself first
        if self.dialled is not None and not self.is_perl():
            self._prove()

    def is_perl(self):
        return self._keys.get("provider", "").startswith("AE-")

    def _prove(self):
        if not self.proved:
            self.proved = True
            text = handshake.text(self._lines, self._their_lines)
            token = handshake.token(self._method, self.node.secret, text)
            self.transport.write(f"{self._method};{token};{self.framing}\n".encode("latin-1"))

    def _token(self, line):
        fields = line.decode("latin-1").split(";")
        if len(fields) < 3:
            raise Refused("not a token")
        method, token, framing = fields[:3]
        if method not in (self.node.generation.proof, "cleartext"):
            raise Refused(f"proves itself by {method[:40]!r}, which was not offered")
        wanted = handshake.token(method, self.node.secret, handshake.text(self._their_lines, self._lines))
        if not hmac.compare_digest(wanted.encode("latin-1"), token.encode("latin-1")):
            raise Refused("authentication failure/shared secret mismatch")
        if framing not in FRAMINGS:
            raise Refused(f"sends the framing {framing[:40]!r}")
        self._decoder = FRAMINGS[framing][0]()
        self.decide()

    def decide(self):
        """The peer has proved itself. Whether it is linked, our token and noting that it is are one
        step: nothing else happens in between."""
        verdict = self.node.may_link(self)
        if verdict == "wait":
            self.state = "held"
            self.transport.pause_reading()
            self._later(HOLD, self._waited_enough)
        elif verdict == "refuse":
            self.close(f"{self.peer_id} already connected, not connecting again")
        else:
            self._prove()
            self._encode = FRAMINGS[self.framing][1]
            self.state = "up"
            self.node.linked(self)

    def release(self):
        """What this one was held for is decided."""
        if self.state == "held":
            self.state = "token"
            self.transport.resume_reading()
            self.decide()
            self._read_lines()

    def _waited_enough(self):
        self.waited = True
        self.release()

    # messages

    def _messages(self, octets):
        try:
            for message in self._decoder.feed(octets):
                self.node.received(self, message)
                if self.state != "up":
                    return
        except Malformed as bad:
            self.close(f"Bad message: {bad}")

    def send(self, message):
        """Writes a message. Raises ValueError for what can't be sent; the link goes on then."""
        octets = self._encode(message)
        self.transport.write(octets)
        self.last_output = time.monotonic()
        if self.transport.get_write_buffer_size() > OUTPUT_MAX:
            why = f"more than {OUTPUT_MAX} octets are waiting to be sent"
            self.node.loop.call_soon(self.close, why, False)
            self.transport.abort()
