"""Messages to octets and back: PROTOCOL.md, "JSON framing"; CBOR stands in cbor.py.

A decoder is fed with octets as they come and gives the messages that are complete. It raises
`Malformed` on what can't become a message, and the link is closed then. What it holds is bounded by
`MESSAGE_MAX`, and each octet is looked at once, however small the pieces are in which it comes.
"""

import json
import re

MESSAGE_MAX = 16 << 20
"""Octets of a message."""
DEPTH_MAX = 512
"""Levels of nesting; the message itself is the first."""
DIGITS_MAX = 400
"""Digits of an integer; a longer one is a text, as all are to Perl that have more than 64 bits."""


class Malformed(Exception):
    """What came is no message."""


def port_name(element):
    """The first element of a message, as the name of a port."""
    if isinstance(element, str):
        return element
    if isinstance(element, bool) or not isinstance(element, (int, float)):
        raise Malformed("the first element of a message is no name of a port")
    return number_text(element)


def number_text(number):
    """A number as Perl writes it as a text."""
    return str(number) if isinstance(number, int) else f"{number:.15g}"


def check(message):
    """A value that came, if it can be a message."""
    if not isinstance(message, list):
        raise Malformed("a message is an array")
    if message:
        port_name(message[0])
    return message


def _integer(digits):
    # JSON has no integer -0: it is how JSON::XS writes the float
    if digits == "-0":
        return -0.0
    return int(digits) if len(digits) <= DIGITS_MAX else digits


def _constant(name):
    raise Malformed(f"{name} is not JSON")


def _load(octets):
    try:
        text = octets.decode("utf-8")
        value = json.loads(text, parse_int=_integer, parse_constant=_constant)
        if "\\u" in text:
            # a lone surrogate can be escaped, and is no character
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise Malformed(f"not JSON: {error}") from None
    return value


class JsonDecoder:
    """Takes arrays out of a stream that has nothing between them, or white space."""

    _OUTSIDE = re.compile(rb'["\[\]{}]')
    _INSIDE = re.compile(rb'["\\]')
    _SPACE = re.compile(rb"[ \t\r\n]*")

    def __init__(self):
        self._buffer = bytearray()
        self._at = 0
        self._depth = 0
        self._in_string = False

    def feed(self, octets):
        """Yields the messages that end within these octets."""
        self._buffer += octets
        start = 0
        try:
            while (end := self._end(start)) is not None:
                message = check(_load(bytes(self._buffer[start:end])))
                start = end
                yield message
            if self._depth == 0:
                # white space
                start = self._at
        finally:
            del self._buffer[:start]
            self._at -= start
        if len(self._buffer) > MESSAGE_MAX:
            raise Malformed(f"a message of more than {MESSAGE_MAX} octets")

    def _end(self, start):
        """Where the message ends that begins there; None if that has not come yet."""
        buffer = self._buffer
        if self._depth == 0:
            first = self._SPACE.match(buffer, max(start, self._at)).end()
            self._at = first
            if first == len(buffer):
                return None
            if buffer[first:first + 1] != b"[":
                raise Malformed("a message is an array")
        while self._at < len(buffer):
            found = (self._INSIDE if self._in_string else self._OUTSIDE).search(buffer, self._at)
            if not found:
                self._at = len(buffer)
                return None
            octet = found.group()
            if octet == b"\\":
                if found.end() == len(buffer):
                    # what is escaped has not come yet
                    self._at = found.start()
                    return None
                self._at = found.end() + 1
                continue
            self._at = found.end()
            if octet == b'"':
                self._in_string = not self._in_string
            elif octet in (b"[", b"{"):
                self._depth += 1
                if self._depth > DEPTH_MAX:
                    raise Malformed(f"nested deeper than {DEPTH_MAX} levels")
            else:
                self._depth -= 1
                if self._depth == 0:
                    return self._at
        return None


def encode_json(message):
    """A message as octets. Raises ValueError for what JSON has no form for."""
    return json.dumps(message, ensure_ascii=False, allow_nan=False, separators=(",", ":"),
                      default=_plain).encode("utf-8")


def _plain(value):
    if isinstance(value, (bytes, bytearray)):
        return value.decode("latin-1")
    raise ValueError(f"{type(value).__name__} can't be sent")
