"""What differs between the generations: PROTOCOL.md, "Generations". Nothing else compares versions.

A node speaks one generation, 0, 1 or 2. Its peers are of one of four *ways*, since generation 1 has
two: `Way` answers every question about the peer of a link.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Way:
    """How the peer of a link behaves."""

    name: str
    """`0`, `1a`, `1b` or `2`."""
    died: str
    """The request that tells it of the death of a port that it monitors."""
    kill: str
    """The request that kills one of its ports; empty where there is none."""
    names_missing_ports: bool
    """Does the reason `no_such_port` come with the port's ID?"""


G0 = Way("0", "kil", "", False)
G1A = Way("1a", "kil", "", True)
G1B = Way("1b", "kil0", "kil", True)
G2 = Way("2", "kil0", "kil1", True)


def way_of(version, keys):
    """Reads the way of a peer off its greeting; None for a version that nobody speaks."""
    if version == "0":
        return G0
    if version != "1":
        return None
    if "mproto" in keys:
        return G2
    provider = keys.get("provider", "")
    if not provider.startswith("AE-"):
        return G1B
    number = re.match(r"AE-(\d+(?:\.\d+)?)", provider)
    if number:
        # a decimal fraction: 1.1 is 1.10
        return G1A if float(number.group(1)) < 1.26 else G1B
    return G1A if "timeout" in keys else G1B


@dataclass(frozen=True)
class Generation:
    """What a node of a generation says of itself."""

    number: int
    version: str
    proof: str
    """How it proves itself without TLS."""
    framings: tuple
    """Best first."""
    monitor_timeout: float
    keys: dict
    """What stands in its greeting besides."""

    @property
    def gossips(self):
        """Is it one of the mesh, and not of the database?"""
        return self.number < 2

    def way_of(self, version, keys):
        """The way of a peer that has a method in common with this node, which one of another generation
        has not, unless it speaks several; None for one that does not speak ours."""
        if self.number == 2:
            return G2
        way = way_of(version, keys)
        if way is G2:
            return G1B if "1" in keys.get("generations", "").split(",") else None
        return way


GENERATIONS = (
    Generation(0, "0", "hmac_md6_64_256", ("json",), 15, {}),
    Generation(1, "1", "hmac_md6_64_256", ("json",), 30, {}),
    Generation(2, "1", "hmac_sha3_512", ("cbor", "json"), 30, {"mproto": "1", "gproto": "1"}),
)
