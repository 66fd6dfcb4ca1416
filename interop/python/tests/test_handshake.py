import unittest

from aemp import Node, handshake
from aemp.generation import GENERATIONS, way_of
from aemp.handshake import Greeting, Refused


class Generations(unittest.TestCase):
    def test_read_off_the_greeting(self):
        for version, keys, way in (
            ("0", {"provider": "AE-1.0", "timeout": "12"}, "0"),
            ("1", {"provider": "AE-1.1"}, "1a"), ("1", {"provider": "AE-1.2"}, "1a"), ("1", {"provider": "AE-1.24"}, "1a"),
            ("1", {"provider": "AE-", "timeout": ""}, "1a"), ("1", {"provider": "AE-"}, "1b"), ("1", {"provider": "AE-1.26"}, "1b"),
            ("1", {"provider": "AE-1.30"}, "1b"), ("1", {}, "1b"), ("1", {"provider": "other", "timeout": "3"}, "1b"),
            ("1", {"provider": "AE-2.01", "mproto": "1", "gproto": "1"}, "2"),
        ):
            self.assertEqual(way_of(version, keys).name, way, keys)
        self.assertIsNone(way_of("2", {}))

    def test_peers_of_a_node_of_one_generation(self):
        several = {"provider": "aemp-rs-0.1.0", "mproto": "1", "gproto": "1", "generations": "2,1,0"}
        self.assertEqual([GENERATIONS[n].way_of("1", several).name for n in (1, 2)], ["1b", "2"])
        self.assertIsNone(GENERATIONS[1].way_of("1", {"mproto": "1"}))
        self.assertEqual(GENERATIONS[2].way_of("1", {}).name, "2")
        self.assertEqual(GENERATIONS[0].way_of("0", several).name, "0")


class Greetings(unittest.TestCase):
    def test_what_is_written_is_read(self):
        greeting = Greeting("aemp", "1", "b\xfc", ["hmac_md6_64_256", "cleartext"], ["json"], {"provider": "x;%y", "peeraddr": "[::1]:5"})
        line = greeting.line()
        self.assertEqual(line, b"aemp;1;b\xfc;hmac_md6_64_256,cleartext;json;provider=x%3b%25y;peeraddr=[::1]:5")
        self.assertEqual(Greeting.read(line), greeting)

    def test_keys(self):
        greeting = Greeting.read(b"aemp;1;bob;a,b;c;unknown=1;alone;timeout=;x=a=b")
        self.assertEqual(greeting.keys, {"unknown": "1", "alone": "", "timeout": "", "x": "a=b"})
        with self.assertRaises(Refused):
            Greeting.read(b"aemp;1;bob;a")

    def test_the_choice_is_from_the_others_list(self):
        self.assertEqual(handshake.first_common(["cbor", "json"], ["json", "cbor"]), "cbor")
        self.assertIsNone(handshake.first_common(["storable"], ["json"]))

    def test_the_token_of_generation_2(self):
        connector = (b"aemp;1;eg_sender;tls_sha3_512,hmac_sha3_512,tls_anon,cleartext;json;mproto=1;gproto=1;peeraddr=127.0.0.1:4250"
                     b";provider=AE-2.01", b"kzJkZ9ryNYrS7kHsF6iCmRJ35nEyqB1BI65Mm2YxYhUJJCJAL2B3Gg7k2BUPWhX5jBeamh74Aqd9Wd2hN2bxFWbu")
        listener = (b"aemp;1;eg_receiver;tls_sha3_512,hmac_sha3_512,tls_anon,cleartext;json;peeraddr=127.0.0.1:54140"
                    b";provider=AE-2.01;gproto=1;mproto=1", b"oxsFY6+yL0YShiMwvGmSdZ3Ru9x9IRlXZz25yxiQsOY/OPYXtj2hKV6m0xuG7mUb4uCP2nyleEAf6NPmAbExSvAY")
        self.assertEqual(handshake.token("hmac_sha3_512", b"geheim", handshake.text(listener, connector)),
                         "e2272507aa3ba1c89856a685aa1eeca78d34af441a34b23954b1ab8e66c660b90085e3277480ad1d990b3862e3b5f86266cf28658a74db1d128378f4002f4e72")

    def test_nonces_differ(self):
        self.assertEqual(len(handshake.nonce()), 88)
        self.assertNotEqual(handshake.nonce(), handshake.nonce())


class Ids(unittest.TestCase):
    def test_ids_that_can_not_be(self):
        for bad in ("", "a b", "a#b", "a;b", "\u263a", "a\n", "x" * 1025):
            with self.assertRaises(ValueError, msg=bad):
                Node(bad, "secret")
        with self.assertRaises(ValueError):
            Node("a", "")
