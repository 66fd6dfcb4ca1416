import math
import random
import struct
import time
import unittest

from aemp.cbor import CborDecoder, decode, encode_cbor
from aemp.framing import JsonDecoder, Malformed, encode_json, number_text, port_name
from driver import values_of_every_type


def is_negative_zero(value):
    return isinstance(value, float) and value == 0 and math.copysign(1, value) < 0


class Framing:
    """What holds for each."""

    def read(self, octets, size=None):
        decoder, out = self.decoder(), []
        for at in range(0, len(octets), size or len(octets) or 1):
            out += decoder.feed(octets[at:at + (size or len(octets))])
        return out

    def test_values_come_back(self):
        message = ["", *values_of_every_type()]
        octets = self.encode(message)
        for size in (1, 2, 7, None):
            [got] = self.read(octets, size)
            self.assertEqual(got, message)
            self.assertTrue(is_negative_zero(got[8]))
            self.assertIsInstance(got[7], float)

    def test_several_in_any_pieces(self):
        messages = [["a", "\"[]{}\\", {"k": [1, {}]}], [], ["", "x" * 300], ["c", -1], ["b", None, True]]
        octets = b"".join(map(self.encode, messages))
        for size in range(1, 40):
            self.assertEqual(self.read(octets, size), messages, size)

    def test_nesting(self):
        deep = []
        for _ in range(510):
            deep = [deep]
        self.assertEqual(self.read(self.encode(["p", deep])), [["p", deep]])
        with self.assertRaises(Malformed):
            self.read(self.encode(["p", [deep]]))

    def test_only_messages(self):
        for bad in ("text", {}, 1, None, [None], [[]], [{}], [True]):
            with self.assertRaises(Malformed, msg=bad):
                self.read(self.encode(bad))
        for good in ([], [""], ["p"], [5], [1.5]):
            self.assertEqual(self.read(self.encode(good)), [good])

    def test_noise_never_does_more_than_fail(self):
        source = random.Random(16)
        for _ in range(3000):
            octets = bytearray(self.encode(["p", {"k": [1, "x", None, 2.5]}, "\u263a"]))
            for _ in range(source.randrange(1, 4)):
                octets[source.randrange(len(octets))] = source.randrange(256)
            try:
                self.read(bytes(octets), source.choice((None, 3)))
            except Malformed:
                pass

    def test_one_octet_at_a_time_costs_no_more(self):
        octets = self.encode(["p", "x" * 200_000, [1] * 20_000])
        begun = time.monotonic()
        self.assertEqual(len(self.read(octets, 97)), 1)
        self.assertLess(time.monotonic() - begun, 5)


class Json(Framing, unittest.TestCase):
    decoder, encode = staticmethod(JsonDecoder), staticmethod(encode_json)

    def test_a_negative_zero(self):
        [[_, one, two, three]] = self.read(b'["p",-0.0,-0,0]')
        self.assertTrue(is_negative_zero(one))
        self.assertTrue(is_negative_zero(two))
        self.assertEqual((three, type(three)), (0, int))
        self.assertEqual(encode_json(["p", -0.0]), b'["p",-0.0]')

    def test_white_space_and_escapes(self):
        self.assertEqual(self.read(b' \n["p" , "\\u263a\\"]"]\t\r\n[ ]', 1), [["p", "\u263a\"]"], []])

    def test_broken(self):
        for bad in (b'["p",}]', b'["p",NaN]', b'["p",01]', b'["p","\\ud800"]', b'["p","\xff"]', b'["p",1,]', b"]",
                    b'{"a":1}', b'"p"', b"x", b'["p"}', b'["p\n"]', b"[" * 600):
            with self.assertRaises(Malformed, msg=bad[:40]):
                self.read(bad)

    def test_long_numbers_are_texts(self):
        begun = time.monotonic()
        digits = "9" * 1_000_000
        self.assertEqual(self.read(f'["p",{digits},{digits[:400]}]'.encode()), [["p", digits, int(digits[:400])]])
        self.assertLess(time.monotonic() - begun, 2)

    def test_what_can_not_be_sent(self):
        for bad in (math.inf, math.nan, object()):
            with self.assertRaises(ValueError):
                encode_json(["p", bad])

    def test_strings_are_written_as_perl_does(self):
        self.assertEqual(encode_json(["\x7f\u263a\x01\"\\/"]), b'["\x7f\xe2\x98\xba\\u0001\\"\\\\/"]')

    def test_white_space_is_not_kept(self):
        decoder = JsonDecoder()
        for _ in range(1000):
            self.assertEqual(list(decoder.feed(b" " * 1000)), [])
        self.assertEqual(len(decoder._buffer), 0)

    def test_names_of_ports(self):
        self.assertEqual([port_name(n) for n in ("a", 5, 1.5, 1e20)], ["a", "5", "1.5", "1e+20"])
        self.assertEqual(number_text(-7), "-7")


class Cbor(Framing, unittest.TestCase):
    decoder, encode = staticmethod(CborDecoder), staticmethod(encode_cbor)

    def test_the_example(self):
        octets = bytes.fromhex("83 40 46 67 5f 6d 6f 6e 31 4c 65 67 5f 72 65 63 65 69 76 65 72 73")
        self.assertEqual(self.read(octets), [["", "g_mon1", "eg_receivers"]])
        self.assertEqual(encode_cbor(["", "g_mon1", "eg_receivers"]), octets)

    def test_octets_are_characters(self):
        self.assertEqual(decode(bytes.fromhex("44 74 e9 78 74")), "t\xe9xt")
        self.assertEqual(decode(bytes.fromhex("43 e2 98 ba")), "\xe2\x98\xba")
        self.assertEqual(decode(bytes.fromhex("63 e2 98 ba")), "\u263a")
        self.assertEqual(decode(bytes.fromhex("5f 41 61 41 62 ff")), "ab")

    def test_numbers(self):
        for octets, value in (("fa 3fc00000", 1.5), ("fb 3fb999999999999a", 0.1), ("f9 3e00", 1.5), ("3b ffffffffffffffff", -1 << 64),
                              ("c2 42 0100", 256), ("c3 41 00", -1), ("18 64", 100)):
            self.assertEqual(decode(bytes.fromhex(octets)), value)
        for value in (0, 23, 24, 255, 256, 65536, 1 << 32, (1 << 64) - 1, -1, -(1 << 64)):
            self.assertEqual(decode(encode_cbor(value)), value)
        self.assertEqual(decode(encode_cbor(1 << 64)), str(1 << 64))
        self.assertEqual(encode_cbor(1.5), b"\xfa" + struct.pack(">f", 1.5))
        self.assertTrue(math.isinf(decode(encode_cbor(math.inf))))

    def test_indefinite_lengths_and_tags(self):
        octets = bytes.fromhex("d9d9f7 9f 40 bf 41 61 01 61 62 9f ff ff 7f 61 63 61 64 ff c1 05 ff")
        for size in (1, 3, None):
            self.assertEqual(self.read(octets, size), [["", {"a": 1, "b": []}, "cd", 5]])

    def test_broken(self):
        for bad in ("ff", "81 1c", "81 ff", "9f 5f 01 ff ff", "81 62 c3 28", "81 f8 18", "1f", "81 a1 01", "81 9f",
                    "9b ffffffffffffffff", "82 40 bf 01 ff", "81 5b 7fffffffffffffff", "c2 40"):
            octets = bytes.fromhex(bad)
            try:
                got = self.read(octets)
            except Malformed:
                continue
            # what is not complete waits for more
            self.assertEqual(got, [], bad)
            self.assertIn(bad, ("81 a1 01", "81 9f"))

    def test_tags_have_an_end(self):
        with self.assertRaises(Malformed):
            self.read(b"\xc1" * 1000 + b"\x80")
