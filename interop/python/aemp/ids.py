"""Which texts are IDs: PROTOCOL.md, "IDs"."""

import ipaddress

LENGTH_MAX = 1024


def split_id(port_id):
    """The node and the name of a port ID: the part before the first `#`, and what is behind it."""
    node_id, _, name = port_id.partition("#")
    return node_id, name


def is_node_id(text):
    """Can a node be called so? Each character is an octet of a greeting, where `;` ends it."""
    return (isinstance(text, str) and 0 < len(text) <= LENGTH_MAX
            and all(0x20 < ord(c) <= 0xFF and c not in "#;" for c in text))


def is_address(text):
    """Is it `HOST:PORT` with a numeric host, as nodes tell of each other? Nothing is looked up for them."""
    host, _, port = str(text).rpartition(":")
    try:
        ipaddress.ip_address(host.strip("[]"))
        return 0 < int(port) < 65536
    except ValueError:
        return False
