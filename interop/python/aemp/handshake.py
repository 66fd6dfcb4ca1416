"""Greetings and tokens: PROTOCOL.md, "Handshake", "Greeting" and "Authentication". No sockets here.

A greeting line is octets, each of which is a character: it is read and written as Latin-1 and never
as UTF-8.
"""

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field

from .md6 import hmac_md6, md6

PROVIDER = "aemp-py-1"
LINES_MAX = 4096
"""Octets that a side may send before its token has been accepted."""


class Refused(Exception):
    """The other side can't become a peer, and why."""


@dataclass
class Greeting:
    """The first line of a side."""

    protocol: str
    version: str
    node: str
    methods: list
    framings: list
    keys: dict = field(default_factory=dict)

    def line(self):
        """As it is sent, without its end."""
        fields = [self.protocol, self.version, self.node, ",".join(self.methods), ",".join(self.framings)]
        fields += [f"{key}={escape(value)}" for key, value in self.keys.items()]
        return ";".join(fields).encode("latin-1")

    @classmethod
    def read(cls, line):
        """Reads a line without its end."""
        fields = line.decode("latin-1").split(";")
        if len(fields) < 5:
            raise Refused("not a greeting")
        keys = {}
        for pair in fields[5:]:
            key, _, value = pair.partition("=")
            keys[key] = value.replace("%3b", ";").replace("%3B", ";").replace("%25", "%")
        return cls(fields[0], fields[1], fields[2], fields[3].split(","), fields[4].split(","), keys)


def escape(value):
    """A value as it may stand in a greeting."""
    return str(value).replace("%", "%25").replace(";", "%3b")


def nonce():
    """A second line."""
    return base64.b64encode(secrets.token_bytes(66))


def text(lines, other_lines):
    """What a token is made of: the lines of the side whose token it is, then those of the other."""
    return b"".join(line + b"\n" for line in (*lines, *other_lines))


def token(method, secret, greetings):
    """The token by which somebody who knows the secret proves it; None for an unknown method."""
    if method == "hmac_md6_64_256":
        # the greetings are the key, the hashed secret is the data
        return hmac_md6(greetings, md6(secret)).hex()
    if method == "hmac_sha3_512":
        return hmac.new(secret, greetings, hashlib.sha3_512).hexdigest()
    if method == "cleartext":
        return secret.hex()
    return None


def first_common(theirs, ours):
    """The first of their list that is in ours: the lists are of whoever has to understand it."""
    return next((name for name in theirs if name in ours), None)
