"""MD6-256 and HMAC-MD6, as PROTOCOL.md has them in its appendix "MD6" and under "Authentication".

The Python library has SHA-3 and not MD6. This is the hash of that submission with its defaults: no
key, 256 bits, L = 64, 104 rounds. It takes about two milliseconds for 512 octets, which is plenty
for the three short texts of a handshake.
"""

import functools

MASK = 0xFFFFFFFFFFFFFFFF

# Words of a node of the tree: 15 constant ones, 8 of the key, its place, its parameters, 64 of data.
CONSTANT, KEY, DATA = 15, 8, 64
WORDS = CONSTANT + KEY + 2 + DATA
# What a node hands up.
CHAIN = 16
ROUNDS, BITS, LEVELS = 104, 256, 64
# How far back the recurrence looks.
TAPS = (17, 18, 21, 31, 67)
RIGHT = (10, 5, 13, 10, 11, 12, 2, 7, 14, 15, 7, 13, 11, 7, 6, 12)
LEFT = (11, 24, 9, 16, 15, 9, 27, 15, 6, 2, 29, 8, 15, 5, 31, 9)
FIRST_ROUND, ROUND_MASK = 0x0123456789ABCDEF, 0x7311C2812425CFA0

BLOCK = 64
"""The block of HMAC-MD6 in octets, which has nothing to do with the 512 of MD6 itself."""


def _root(number, bits):
    """The whole part of the square root of number times two to the power of 2 * bits."""
    value = number << (2 * bits)
    guess = 1 << ((value.bit_length() + 1) // 2)
    while True:
        better = (guess + value // guess) // 2
        if better >= guess:
            return guess
        guess = better


@functools.lru_cache(maxsize=None)
def constant_words():
    """Q: the first 960 bits behind the point of the square root of 6."""
    bits = 64 * CONSTANT
    fraction = _root(6, bits) & ((1 << bits) - 1)
    return tuple((fraction >> (64 * (CONSTANT - 1 - word))) & MASK for word in range(CONSTANT))


@functools.lru_cache(maxsize=None)
def round_constants():
    """S: a word for each round."""
    words, word = [], FIRST_ROUND
    for _ in range(ROUNDS):
        words.append(word)
        word = ((word << 1) | (word >> 63)) & MASK ^ word & ROUND_MASK
    return tuple(words)


def _compress(words):
    """A node's 89 words to the 16 that it hands up."""
    a = list(words)
    t0, t1, t2, t3, t4 = TAPS
    at = WORDS
    for constant in round_constants():
        for right, left in zip(RIGHT, LEFT):
            x = constant ^ a[at - WORDS] ^ a[at - t0]
            x ^= (a[at - t1] & a[at - t2]) ^ (a[at - t3] & a[at - t4])
            x ^= x >> right
            a.append(x ^ (x << left) & MASK)
            at += 1
    return a[-CHAIN:]


def md6(data):
    """MD6-256 of some octets: 32 octets."""
    level = 1
    octets, length = data, 8 * len(data)
    while True:
        size = 8 * DATA
        nodes = max(1, -(-len(octets) // size))
        last = nodes == 1
        handed_up = []
        for index in range(nodes):
            part = octets[size * index:size * (index + 1)]
            padding = 8 * (size - len(part))
            part = part + bytes(padding // 8)
            parameters = ROUNDS << 48 | LEVELS << 40 | int(last) << 36 | padding << 20 | BITS
            words = list(constant_words()) + [0] * KEY + [level << 56 | index, parameters]
            words += [int.from_bytes(part[at:at + 8], "big") for at in range(0, size, 8)]
            handed_up += _compress(words)
        octets = b"".join(word.to_bytes(8, "big") for word in handed_up)
        if last:
            return octets[-BITS // 8:]
        level += 1


def hmac_md6(key, data):
    """HMAC (RFC 2104) over MD6-256 with a block of 64 octets."""
    if len(key) > BLOCK:
        key = md6(key)
    key = key + bytes(BLOCK - len(key))
    inner = md6(bytes(octet ^ 0x36 for octet in key) + data)
    return md6(bytes(octet ^ 0x5C for octet in key) + inner)
