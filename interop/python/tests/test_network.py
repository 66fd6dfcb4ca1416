import asyncio
import socket

from aemp import PortError, handshake
from aemp.node import CONNECTIONS_MAX

from .support import LIMIT, SECRET, Network, until


class Handshakes(Network):
    async def test_a_link_in_each_generation(self):
        for generation in (0, 1, 2):
            with self.subTest(generation=generation):
                alice, bob = await self.pair(generation)
                got = []
                port = bob.port(lambda *msg: got.append(msg))
                bob.snd("alice", "snd", port.id, "x", -0.0)
                await until(lambda: got, "the echo")
                self.assertEqual(got, [("x", 0.0)])
                self.assertEqual((alice.up_nodes(), bob.up_nodes()), (["bob"], ["alice"]))
                await self.stop()

    async def test_the_smallest_handshake_in_each_generation(self):
        for generation, method in ((0, "hmac_md6_64_256"), (1, "hmac_md6_64_256"), (2, "hmac_sha3_512")):
            with self.subTest(generation=generation):
                node = await self.node("alice", generation)
                host, _, port = node.listeners[0].rpartition(":")
                reader, writer = await asyncio.open_connection(host, int(port))
                lines = f"aemp;{node.generation.version};mynode42;{method};json\nx\n"
                writer.write((lines + f"cleartext;{SECRET.encode().hex()};json\n").encode())
                writer.write(b'["","snd","mynode42#p",7]')
                for _ in range(3):
                    await reader.readline()
                self.assertIn(b'["p",7]', await asyncio.wait_for(reader.readuntil(b'["p",7]'), LIMIT))
                writer.close()
                await self.stop()

    async def test_generations_refuse_each_other(self):
        for listens in (0, 1, 2):
            alice = await self.node("alice", listens)
            for connects in {0, 1, 2} - {listens}:
                bob = await self.node(f"bob{connects}", connects, False, alice.listeners)
                log = []
                bob.log = lambda level, text, log=log: log.append(text)
                await until(lambda log=log: log, "a refusal")
                self.assertEqual(bob.up_nodes(), [])
            await self.stop()

    async def test_a_wrong_secret(self):
        alice = await self.node("alice")
        raw = await self.raw(alice, "mallory", proves=False)
        await raw.greet()
        raw.writer.write(b"hmac_md6_64_256;0000;json\n")
        await raw.ended()
        self.assertEqual(alice.up_nodes(), [])

    async def test_what_is_no_greeting(self):
        alice = await self.node("alice")
        for octets in (b"GET / HTTP/1.0\r\n\r\n", b"a" * 5000, b"aemp;1;\n", b"aemp;77;x;a;json\nn\n", b";;;;;\n\n",
                       b"aemp;1;alice;hmac_md6_64_256;json\nn\n", b"aemp;1;x;none;json\nn\n",
                       b"aemp;1;x;hmac_md6_64_256;none\nn\n", b"aemp-dataconn;1;x;hmac_md6_64_256;json\nn\n", b"\xff\xfe\n" * 3,
                       b"aemp;1;x;hmac_md6_64_256;json\nn\ncleartext;67656865696d;storable\n", b"aemp;1;x#y;hmac_md6_64_256;json\nn\n"):
            with self.subTest(octets=octets[:40]):
                raw = await self.raw(alice, "x", proves=False)
                raw.writer.write(octets)
                await raw.ended()
        self.assertEqual((alice.up_nodes(), len(alice.links)), ([], 0))

    async def test_silence_ends(self):
        alice = await self.node("alice", monitor_timeout=0.2)
        raw = await self.raw(alice, "x", proves=False)
        await raw.ended()

    async def test_an_echo(self):
        alice = await self.node("alice")
        raw = await self.raw(alice, "x", proves=False)
        lines = [await raw.reader.readline() for _ in range(2)]
        raw.writer.write(b"".join(lines))
        await raw.ended()

    async def test_an_id_that_is_linked(self):
        alice, bob = await self.pair()
        raw = await self.raw(alice, "bob", proves=False)
        await raw.greet()
        await raw.ended()
        self.assertTrue(bob.is_linked("alice"))

    async def test_connections_without_proof_have_an_end(self):
        alice = await self.node("alice")
        alice.links.update(_Fake() for _ in range(CONNECTIONS_MAX))
        host, _, port = alice.listeners[0].rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        self.assertEqual(await self.read_all(reader), b"")
        writer.close()
        alice.links.clear()

    async def read_all(self, reader):
        try:
            return await asyncio.wait_for(reader.read(), LIMIT)
        except ConnectionError:
            return b""

    async def test_of_two_connections_that_cross_one_stays(self):
        for generation in (0, 1, 2):
            with self.subTest(generation=generation):
                # each is the other's seed, and both connect at once
                ports = []
                for _ in range(2):
                    with socket.socket() as sock:
                        sock.bind(("127.0.0.1", 0))
                        ports.append(f"127.0.0.1:{sock.getsockname()[1]}")
                went = []
                nodes = [await self.crossing(name, generation, own, other)
                         for name, own, other in (("alice", ports[0], ports[1]), ("bob", ports[1], ports[0]))]
                for node in nodes:
                    node.on_node.append(lambda who, up, *reason: up or went.append((who, reason)))
                for node, other in (nodes, nodes[::-1]):
                    node.dial(other.listeners[0])
                await until(lambda: nodes[0].up_nodes() and nodes[1].up_nodes(), "a link")
                await asyncio.sleep(1.3)
                self.assertEqual((nodes[0].up_nodes(), nodes[1].up_nodes(), went), (["bob"], ["alice"], []))
                self.assertEqual([len(node.links) for node in nodes], [1, 1])
                await self.stop()

    async def crossing(self, name, generation, own, other):
        """A node at that address with that seed."""
        from aemp import Node
        node = Node(name, SECRET, generation, [own], [other])
        self.nodes.append(node)
        await node.start()
        return node

    async def test_the_second_connection_that_proves_itself_is_refused(self):
        # as a Perl node connects: it sends its token at once, and we look again before we send ours
        alice = await self.node("alice")
        one = await self.raw(alice, "dup", proves=False, keys=";provider=AE-1.30")
        two = await self.raw(alice, "dup", proves=False, keys=";provider=AE-1.30")
        await one.greet()
        await two.greet()
        await one.prove()
        token = handshake.token(two.method, SECRET.encode(), handshake.text(two.lines, two.theirs))
        two.writer.write(f"{two.method};{token};json\n".encode())
        await two.ended()
        one.say(["", "snd", "dup#p", 1])
        await until(lambda: ["p", 1] in one.heard, "the first one's answer")


class _Fake:
    """Stands for a connection in its handshake."""

    state, peer_id, dialled = "greeting", None, None

    def close(self, why):
        """Nothing to close."""


class Monitors(Network):
    async def test_deaths_are_told_in_the_verb_of_the_peer(self):
        alice = await self.node("alice")
        for name, provider, died, kill in (("old", "AE-1.24", "kil", "kil0"), ("new", "AE-1.30", "kil0", "kil")):
            raw = await self.raw(alice, name, keys=f";provider={provider}")
            port, told = alice.port(), []
            raw.say(["", "mon1", port.name], ["", "mon1", "none"])
            await until(lambda port=port: port.monitors, "the monitor")
            alice.kil(port.id, "because", 1)
            await until(lambda raw=raw, died=died, port=port: ["", died, port.name, "because", 1] in raw.heard)
            self.assertIn(["", died, "none", "no_such_port", "cannot monitor nonexistent port", "alice#none"], raw.heard)
            alice.mon(f"{name}#p", lambda *reason, told=told: told.append(reason))
            await until(lambda raw=raw: ["", "mon1", "p"] in raw.heard, "mon1")
            raw.say(["", kill, "p", "no news"], ["", died, "other", "x"])
            await raw.answered()
            self.assertEqual(told, [])
            raw.say(["", died, "p", "news"])
            await until(lambda told=told: told == [("news",)], "the death")

    async def test_the_first_monitor_says_so_and_the_last(self):
        alice = await self.node("alice")
        raw = await self.raw(alice, "bob")
        monitors = [alice.mon("bob#p", lambda *reason: None) for _ in range(3)]
        for monitor in monitors:
            monitor.cancel()
        said = [m for m in await raw.answered() if m[1:2] in (["mon1"], ["mon0"])]
        self.assertEqual(said[-2:], [["", "mon1", "p"], ["", "mon0", "p"]])

    async def test_a_lost_link_fires_all_of_them_once(self):
        alice, bob = await self.pair()
        fired = []
        for port_id in ("alice#p", alice.port(lambda *m: None).id, "alice"):
            bob.mon(port_id, lambda *reason: fired.append(reason[0]))
        await until(lambda: "no_such_port" in fired)
        # what an action sends is for the next link
        again = bob.port(lambda *msg: fired.append("again"))
        bob.mon("alice", lambda *reason: bob.snd("alice", "snd", again.id))
        for link in list(alice.links):
            link.close("cut")
        await until(lambda: fired.count("transport_error") == 2, "the monitors")
        await until(lambda: "again" in fired, "the message on the next link")
        self.assertEqual(sorted(fired), ["again", "no_such_port", "transport_error", "transport_error"])

    async def test_a_node_that_is_not_there(self):
        alice = await self.node("alice", monitor_timeout=0.3)
        fired = []
        alice.mon("nobody#p", lambda *reason: fired.append(reason))
        await until(lambda: fired, "the end of the attempt")
        self.assertEqual(fired, [("transport_error", "nobody", "unable to connect")])
        self.assertEqual(alice.peers, {})

    async def test_a_monitor_of_a_node_port_connects_to_nobody(self):
        alice = await self.node("alice", monitor_timeout=0.2)
        fired = []
        monitor = alice.mon("nobody", lambda *reason: fired.append(reason))
        await asyncio.sleep(0.5)
        self.assertEqual(fired, [])
        monitor.cancel()
        self.assertEqual(alice.peers, {})

    async def test_an_order_to_kill_the_node_port(self):
        alice = await self.node("alice")
        raw = await self.raw(alice, "bob")
        raw.say(["", "kil", "", "x"], ["", "kil"], ["", "kil", None])
        self.assertIsNotNone(await raw.answered())


class Spawning(Network):
    async def test_messages_behind_a_spawn_find_it_ready(self):
        alice = await self.node("alice")
        raw = await self.raw(alice, "bob")

        def init(node, port, reply):
            port.rcv(echo=lambda *msg: node.snd(reply, "echoed", *msg))

        alice.functions["eg::init"] = init
        raw.say(["", "AnyEvent::MP::_spawn", "s1", "eg::init", "bob#p"], ["s1", "echo", 1], ["", "mon1", "s1"], ["s1", "echo", 2])
        said = await raw.answered()
        self.assertEqual([m for m in said if m[0] == "p"], [["p", "echoed", 1], ["p", "echoed", 2]])
        self.assertEqual([m for m in said if m[1:2] == ["kil0"]], [])

    async def test_what_fails_is_told_to_monitors(self):
        alice = await self.node("alice")
        raw = await self.raw(alice, "bob")

        def boom(_node, port):
            port.rcv(lambda *msg: None)
            raise PortError("oops")

        alice.functions["eg::boom"], alice.functions["eg::nothing"] = boom, lambda node, port: None
        for name, function in (("a", "eg::boom"), ("b", "eg::nothing"), ("c", "eg::none")):
            raw.say(["", "AnyEvent::MP::_spawn", name, function], ["", "mon1", name])
        told = {m[2]: m[3:] for m in await raw.answered() if m[1:2] == ["kil0"]}
        self.assertEqual(told["a"], ["die", "oops"])
        self.assertEqual((told["b"][0], told["c"][0]), ("no_such_port", "no_such_port"))

    async def test_a_name_that_is_there(self):
        alice = await self.node("alice")
        raw = await self.raw(alice, "bob")
        port = alice.port(lambda *msg: None)
        alice.functions["eg::init"] = lambda node, port: port.rcv(lambda *msg: None)
        raw.say(["", "AnyEvent::MP::_spawn", port.name, "eg::init"], ["", "AnyEvent::MP::_spawn", "", "eg::init"])
        await raw.answered()
        self.assertIs(alice.ports[port.name], port)


class Hostile(Network):
    async def test_broken_messages_cost_their_own_link_only(self):
        alice, bob = await self.pair()
        for octets in (b'["",}]', b'"x"', b'{"a":1}', b"[[1]]", b"[" * 600, b'["","\xff"]'):
            with self.subTest(octets=octets[:30]):
                raw = await self.raw(alice, "raw")
                raw.say(octets)
                await until(lambda raw=raw: raw.closed, "the end of the link")
                await until(lambda: alice.up_nodes() == ["bob"])
        self.assertEqual(bob.up_nodes(), ["alice"])

    async def test_odd_requests_end_nothing(self):
        for generation in (0, 1, 2):
            alice = await self.node("alice", generation)
            raw = await self.raw(alice, "raw")
            for verb in ("mon1", "mon0", "kil", "kil0", "kil1", "snd", "snd_multiple", "info", "time", "can", "eval", "known_nodes",
                         "up_nodes", "AnyEvent::MP::_spawn", "g_slave", "g_set", "g_upd", "g_find", "g_found", "g_mon1", "g_mon0",
                         "g_chg1", "g_chg2", "g_reply", "g_db_family", "g_global", "", "no::such"):
                for arguments in ([], [None], [{}], [[]], [[None]], ["x"], ["x", 5], [5, {"k": 5}, {"k": []}], [{"k": {"a": 1}}],
                                  ["p", "AnyEvent::MP::Global::connect", "x", {}], [True, False, [1], {"x": [2]}]):
                    raw.say(["", verb, *arguments])
            await raw.answered()
            self.assertEqual(alice.up_nodes(), ["raw"], generation)
            await self.stop()

    async def test_every_request_ends(self):
        alice = await self.node("known_nodes", 1)
        raw = await self.raw(alice, "raw")
        raw.say(["", "known_nodes", "known_nodes", "known_nodes", "known_nodes"])
        raw.say(["", *["snd", "known_nodes"] * 200, "devnull"])
        await raw.answered()
        await until(lambda: not alice._jobs, "the end of the last one")

    async def test_who_does_not_read_is_lost(self):
        from aemp import link
        alice = await self.node("alice")
        raw = await self.raw(alice, "raw")
        raw.task.cancel()
        raw.writer.transport.pause_reading()
        self.addCleanup(setattr, link, "OUTPUT_MAX", link.OUTPUT_MAX)
        link.OUTPUT_MAX = 1 << 20
        for _ in range(300):
            alice.snd("raw#p", "x" * 100_000)
            await asyncio.sleep(0)
            if not alice.up_nodes():
                break
        await until(lambda: not alice.up_nodes(), "the end of the link")

    async def test_a_message_without_end(self):
        from aemp import framing
        self.addCleanup(setattr, framing, "MESSAGE_MAX", framing.MESSAGE_MAX)
        framing.MESSAGE_MAX = 100_000
        alice = await self.node("alice")
        raw = await self.raw(alice, "raw")
        raw.say(b'["p","' + b"x" * 200_000)
        await until(lambda: raw.closed, "the end of the link")
