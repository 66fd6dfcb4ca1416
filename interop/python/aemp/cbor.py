"""CBOR (RFC 8949) as far as messages need it: PROTOCOL.md, "CBOR framing".

Strings of octets are text, a character for each octet, and so is what comes as text. Tags are taken
off. Indefinite lengths are read and never written.
"""

import struct

from .framing import DEPTH_MAX, MESSAGE_MAX, Malformed, check, number_text

BIG_MAX = 128
"""Octets of a number that is read as one."""

_BREAK = object()


class CborDecoder:
    """Takes arrays out of a stream that has nothing between them.

    A first pass finds where a message ends without building anything, and goes on where it stopped
    when more octets have come. So nothing is built of what is never completed, and a message that
    comes octet by octet is not read again each time.
    """

    def __init__(self):
        self._buffer = bytearray()
        self._at = 0
        # for each array, map or string that is open: how many items are to come, None if a break
        # ends it, and whether it is an array or map
        self._open = []
        self._levels = 0
        self._tags = 0

    def feed(self, octets):
        """Yields the messages that end within these octets."""
        self._buffer += octets
        start = 0
        try:
            while self._complete():
                message = check(decode(bytes(self._buffer[start:self._at])))
                start = self._at
                yield message
        finally:
            del self._buffer[:start]
            self._at -= start
        if len(self._buffer) > MESSAGE_MAX:
            raise Malformed(f"a message of more than {MESSAGE_MAX} octets")

    def _complete(self):
        """Goes on to the end of the message; false if that has not come yet."""
        while self._at < len(self._buffer):
            head = _head(self._buffer, self._at)
            if head is None:
                return False
            major, info, value, after = head
            if major in (2, 3) and info != 31:
                if value > MESSAGE_MAX:
                    raise Malformed("a string that is longer than a message may be")
                if after + value > len(self._buffer):
                    return False
                after += value
            first = not self._open and not self._tags
            if first and major not in (4, 6):
                raise Malformed("a message is an array")
            self._at = after
            if major == 6:
                self._tags += 1
                if self._tags > DEPTH_MAX:
                    raise Malformed("too many tags")
                continue
            self._tags = 0
            if self._item(major, info, value):
                return True
        return False

    def _item(self, major, info, value):
        """Notes an item; true if the message is complete with it."""
        is_open = self._open[-1] if self._open else None
        if (major, info) == (7, 31):
            if is_open is None or is_open[0] is not None:
                raise Malformed("a break where nothing is to be ended")
            self._close()
            return self._done()
        if is_open is not None and not is_open[1] and (major != is_open[2] or info == 31):
            raise Malformed("a string of pieces of another kind")
        if major in (4, 5) or major in (2, 3) and info == 31:
            length = None if info == 31 else value * (2 if major == 5 else 1)
            if length is not None and length > MESSAGE_MAX:
                raise Malformed("more elements than a message may have octets")
            self._open.append([length, major in (4, 5), major])
            self._levels += major in (4, 5)
            if self._levels > DEPTH_MAX:
                raise Malformed(f"nested deeper than {DEPTH_MAX} levels")
            if length != 0:
                return False
            self._close()
        return self._done()

    def _close(self):
        self._levels -= self._open.pop()[1]

    def _done(self):
        """An item has ended, and with it those that it was the last one of."""
        while self._open:
            last = self._open[-1]
            if last[0] is None:
                return False
            last[0] -= 1
            if last[0]:
                return False
            self._close()
        return True


def _head(octets, at):
    """(major type, additional information, value, where it ends); None if it is not all there."""
    first = octets[at]
    major, info = first >> 5, first & 31
    if info < 24:
        return major, info, info, at + 1
    if info == 31:
        if major in (0, 1, 6):
            raise Malformed("an indefinite length where there is none")
        return major, info, 0, at + 1
    if info > 27:
        raise Malformed("not CBOR")
    size = 1 << (info - 24)
    if at + 1 + size > len(octets):
        return None
    return major, info, int.from_bytes(octets[at + 1:at + 1 + size], "big"), at + 1 + size


def decode(octets):
    """The one item that these octets are."""
    value, end = _decode(octets, 0)
    if end != len(octets):
        raise Malformed("more than one item")
    return value


def _decode(octets, at):
    """The item that begins there, and where it ends. A frame of Python's stack for each level."""
    tag = None
    while True:
        head = _head(octets, at)
        if head is None:
            raise Malformed("cut off")
        major, info, value, at = head
        if major != 6:
            break
        tag = value
    if major == 0:
        return value, at
    if major == 1:
        return -1 - value, at
    if major in (2, 3):
        text, at = _string(octets, at, major, info, value)
        return (_big(tag, text) if tag in (2, 3) else text), at
    if major == 7:
        return _simple(octets, at, info, value)
    # an array, or a map as one of keys and values
    items, count = [], None if info == 31 else value * (major - 3)
    while len(items) < count if count is not None else octets[at] != 0xFF:
        item, at = _decode(octets, at)
        if item is _BREAK:
            raise Malformed("a break where there is none to be")
        items.append(item)
    at += count is None
    if major == 4:
        return items, at
    if len(items) % 2:
        raise Malformed("a key without a value")
    return {_key(key): value for key, value in zip(items[::2], items[1::2])}, at


def _string(octets, at, major, info, length):
    if info != 31:
        part = octets[at:at + length]
        if len(part) < length:
            raise Malformed("cut off")
        if major == 2:
            return part.decode("latin-1"), at + length
        try:
            return part.decode("utf-8"), at + length
        except UnicodeDecodeError:
            raise Malformed("text that is not UTF-8") from None
    parts = []
    while octets[at] != 0xFF:
        part, at = _decode(octets, at)
        parts.append(part)
    return "".join(parts), at + 1


def _key(key):
    if isinstance(key, str):
        return key
    if isinstance(key, bool):
        return "1" if key else "0"
    if isinstance(key, (int, float)):
        return number_text(key)
    raise Malformed("a key that is no text")


def _big(tag, text):
    """The number that an octet string with tag 2 or 3 is; a very long one stays a string."""
    if len(text) > BIG_MAX:
        return text
    try:
        number = int.from_bytes(text.encode("latin-1"), "big")
    except UnicodeEncodeError:
        raise Malformed("a big number that is no string of octets") from None
    return number if tag == 2 else -1 - number


def _simple(octets, at, info, value):
    if info == 31:
        return _BREAK, at
    if info == 25:
        return struct.unpack(">e", octets[at - 2:at])[0], at
    if info == 26:
        return struct.unpack(">f", octets[at - 4:at])[0], at
    if info == 27:
        return struct.unpack(">d", octets[at - 8:at])[0], at
    simple = {20: False, 21: True, 22: None, 23: None}
    if value not in simple:
        raise Malformed(f"the simple value {value}")
    return simple[value], at


def encode_cbor(message):
    """A message as octets. Raises ValueError for what can't be sent."""
    out = bytearray()
    _encode(message, out)
    return bytes(out)


def _encode_head(major, value, out):
    if value < 24:
        out.append(major << 5 | value)
        return
    for info, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if value < 1 << (8 * size):
            out.append(major << 5 | info)
            out += value.to_bytes(size, "big")
            return
    raise ValueError("an integer of more than 64 bits")


def _encode(value, out):
    if value is None:
        out.append(0xF6)
    elif isinstance(value, bool):
        out.append(0xF5 if value else 0xF4)
    elif isinstance(value, int):
        if not -(1 << 64) <= value < 1 << 64:
            _encode(str(value), out)
        elif value >= 0:
            _encode_head(0, value, out)
        else:
            _encode_head(1, -1 - value, out)
    elif isinstance(value, float):
        _encode_float(value, out)
    elif isinstance(value, str):
        # of ASCII both kinds are the same octets, and Perl sends octets
        octets = value.encode("utf-8")
        _encode_head(2 if value.isascii() else 3, len(octets), out)
        out += octets
    elif isinstance(value, (bytes, bytearray)):
        _encode_head(2, len(value), out)
        out += value
    elif isinstance(value, (list, tuple)):
        _encode_head(4, len(value), out)
        for item in value:
            _encode(item, out)
    elif isinstance(value, dict):
        _encode_head(5, len(value), out)
        for key, item in value.items():
            _encode(str(key), out)
            _encode(item, out)
    else:
        raise ValueError(f"{type(value).__name__} can't be sent")


def _encode_float(value, out):
    try:
        short = struct.pack(">f", value)
        if struct.unpack(">f", short)[0] == value:
            out.append(0xFA)
            out += short
            return
    except OverflowError:
        pass
    out.append(0xFB)
    out += struct.pack(">d", value)
