"""The recorded conversations of real nodes in fixtures/: their tokens are right and all is read."""

import base64
import json
import unittest
from pathlib import Path

from aemp import handshake
from aemp.generation import way_of
from aemp.handshake import Greeting
from aemp.link import FRAMINGS

FIXTURES = Path(__file__).resolve().parents[3] / "fixtures"
WAYS = {"0.95": "0", "1.0": "0", "1.21": "1a", "1.24": "1a", "1.26": "1b", "1.30": "1b", "2.02": "2"}


def conversations(path):
    """The octets of each connection, by direction."""
    found = {}
    for line in path.read_text().splitlines():
        chunk = json.loads(line)
        octets = chunk["text"].encode() if "text" in chunk else base64.b64decode(chunk["base64"])
        both = found.setdefault(chunk["conn"], {">": b"", "<": b""})
        both[chunk["dir"]] += octets
    return found.values()


class Captures(unittest.TestCase):
    def test_tokens_and_messages(self):
        read = 0
        for path in sorted(FIXTURES.glob("perl-*/*.jsonl")):
            about = path.with_suffix(".json")
            secret = json.loads(about.read_text()).get("secret", "geheim") if about.exists() else "geheim"
            release = path.parent.name.partition("-")[2]
            for both in conversations(path):
                sides = [octets.split(b"\n", 3) for octets in (both[">"], both["<"])]
                if any(len(side) < 4 for side in sides) or b";tls=" in sides[0][0] and b";tls=" in sides[1][0]:
                    continue    # within TLS
                if not all(side[0].startswith(b"aemp;") for side in sides):
                    continue    # a data connection
                for own, other in (sides, sides[::-1]):
                    with self.subTest(path=path.name):
                        read += self.one_side(own, other, secret, release)
        self.assertGreater(read, 300)

    def one_side(self, own, other, secret, release):
        """Checks what one side has sent; returns how many messages."""
        greeting = Greeting.read(own[0])
        self.assertEqual(greeting.line(), own[0])
        self.assertEqual(way_of(greeting.version, greeting.keys).name, WAYS[release])
        method, token, framing = own[2].decode().split(";")[:3]
        text = handshake.text(own[:2], other[:2])
        self.assertEqual(handshake.token(method, secret.encode("utf-8"), text), token)
        if framing not in FRAMINGS:
            return 0
        whole = list(FRAMINGS[framing][0]().feed(own[3]))
        decoder, pieces = FRAMINGS[framing][0](), []
        for at in range(0, len(own[3]), 7):
            pieces += decoder.feed(own[3][at:at + 7])
        self.assertEqual(repr(whole), repr(pieces))
        return len(whole)
