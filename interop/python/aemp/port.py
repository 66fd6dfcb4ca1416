"""A port of this node: how it chooses what to do with a message, and who monitors it."""

import itertools

from .framing import number_text


class Port:
    """A destination for messages. `rcv` says what becomes of them; code that raises ends it."""

    def __init__(self, node, name):
        self.node = node
        self.name = name
        self.default = None
        self.tags = {}
        self.monitors = {}
        self._keys = itertools.count()

    @property
    def id(self):
        """The port's ID, which others send to."""
        return f"{self.node.id}#{self.name}"

    def rcv(self, function=None, **tags):
        """Sets what is called with the elements of a message: by default, or for those with a tag.

        Tags that are no names of Python are set with `rcv_tag`.
        """
        if function is not None:
            self.default = function
        for tag, for_tag in tags.items():
            self.rcv_tag(tag, for_tag)
        return self

    def rcv_tag(self, tag, function):
        """Sets, or with None takes away, what is called for messages with this tag."""
        if function is None:
            self.tags.pop(tag, None)
        else:
            self.tags[tag] = function

    @property
    def is_set_up(self):
        """Was anything said about what it does with messages?"""
        return self.default is not None or bool(self.tags)

    def take(self, elements):
        """Handles a message. Raises what its code raises."""
        if elements:
            tag = elements[0]
            if isinstance(tag, (int, float)) and not isinstance(tag, bool):
                tag = number_text(tag)
            if isinstance(tag, str) and tag in self.tags:
                return self.tags[tag](*elements[1:])
        if self.default is None:
            raise PortError("received message on port without callback")
        return self.default(*elements)

    def monitor(self, action):
        """Notes who is to be told of its death; returns what takes it back."""
        key = next(self._keys)
        self.monitors[key] = action
        return key


class PortError(Exception):
    """What a port's code raises to end it with this text."""
