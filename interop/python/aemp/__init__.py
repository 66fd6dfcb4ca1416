"""A node of an AnyEvent::MP network, by PROTOCOL.md alone and with Python's library alone.

    node = Node("greeter", "secret", generation=1, seeds=["127.0.0.1:4040"])
    port = node.port(lambda tag, reply: node.snd(reply, "hello"))
    await node.start()

README.md beside this package says which file has which part of PROTOCOL.md.
"""

from .node import Monitor, Node, to_stderr
from .port import Port, PortError

__all__ = ["Monitor", "Node", "Port", "PortError", "to_stderr"]
