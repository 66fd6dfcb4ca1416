from aemp.node import DIALS_MAX

from .support import Network, until


def spawned(heard):
    """The name of the gossip port that was spawned, and what was said to it."""
    name = next(m[2] for m in heard if m[1:2] == ["AnyEvent::MP::_spawn"])
    return name, [m[1:] for m in heard if m[0] == name]


class Mesh(Network):
    async def test_the_opening(self):
        for generation in (0, 1):
            with self.subTest(generation=generation):
                alice = await self.node("alice", generation)
                port = alice.port(lambda *msg: None)
                alice.mesh.register("eg", port.id)
                bob = await self.node("bob", generation, True, alice.listeners)
                await until(lambda: "bob" in alice.mesh.addresses, "bob's opening")
                raw = await self.raw(alice, "raw")
                heard = await raw.answered()
                name, said = spawned(heard)
                self.assertEqual(heard[:2], [["", "AnyEvent::MP::_spawn", name, "AnyEvent::MP::Global::connect", 0, "alice"],
                                             ["", "mon1", name]])
                wanted = [["addr", alice.listeners], ["nodes", {"bob": bob.listeners}], ["set", {"eg": [port.id]}]]
                self.assertEqual([m for m in said if m[0] != "seedme1"], wanted + [["setup"]] * generation)
                await self.stop()

    async def gossip(self, node, name):
        """A client that has a gossip port on the node, and what it says to it."""
        raw = await self.raw(node, name)
        raw.say(["", "AnyEvent::MP::_spawn", f"of_{name}", "AnyEvent::MP::Global::connect", 0, name])
        return raw, lambda *said: raw.say([f"of_{name}", *said])

    async def test_groups_in_the_order_of_the_generation(self):
        for generation in (0, 1):
            with self.subTest(generation=generation):
                alice = await self.node("alice", generation)
                raw, say = await self.gossip(alice, "bob")
                told = []
                alice.mesh.watch("eg", lambda *change: told.append(change))
                say("set", {"eg": ["bob#1"], "none": []})
                say("reg1", *(["bob#2", "eg"] if generation == 0 else ["eg", "bob#2"]))
                # of its own ports only
                say("reg1", *(["carol#1", "eg"] if generation == 0 else ["eg", "carol#1"]))
                await raw.answered()
                self.assertEqual(alice.mesh.members("eg"), ["bob#1", "bob#2"])
                say("reg0", *(["bob#1", "eg"] if generation == 0 else ["eg", "bob#1"]))
                await raw.answered()
                self.assertEqual(alice.mesh.members("eg"), ["bob#2"])
                await raw.close()
                await until(lambda: alice.mesh.members("eg") == [], "the end of the members")
                self.assertEqual([change[1:] for change in told],
                                 [(["bob#1"], []), (["bob#2"], []), ([], ["bob#1"]), ([], ["bob#2"])])
                await self.stop()

    async def test_a_port_twice_in_a_group(self):
        # in generation 0 it has to leave as often
        for generation, left in ((0, ["bob#1"]), (1, [])):
            alice = await self.node("alice", generation)
            raw, say = await self.gossip(alice, "bob")
            registration = ["bob#1", "eg"] if generation == 0 else ["eg", "bob#1"]
            for verb in ("reg1", "reg1", "reg0"):
                say(verb, *registration)
            await raw.answered()
            self.assertEqual(alice.mesh.members("eg"), left)
            await self.stop()

    async def test_in_the_name_of_another(self):
        alice = await self.node("alice")
        raw = await self.raw(alice, "bob")
        raw.say(["", "AnyEvent::MP::_spawn", "g", "AnyEvent::MP::Global::connect", 0, "carol"], ["", "mon1", "g"])
        raw.say(["", "AnyEvent::MP::_spawn", "h", "AnyEvent::MP::Global::connect", 1, "bob"], ["", "mon1", "h"])
        told = [m[2] for m in await raw.answered() if m[1:2] == ["kil0"]]
        self.assertEqual(sorted(told), ["g", "h"])

    async def test_seedme_and_find(self):
        alice = await self.node("alice")
        raw, say = await self.gossip(alice, "bob")
        name, _ = spawned(await raw.answered())
        say("addr", [])
        say("find", "nobody")
        say("seedme1")
        self.assertIn([name, "nodes", {"bob": []}], await raw.answered())
        carol, say_of_carol = await self.gossip(alice, "carol")
        say_of_carol("addr", ["127.0.0.1:9"])
        await carol.answered()
        say("find", "carol")
        self.assertIn([name, "nodes", {"carol": ["127.0.0.1:9"]}], await raw.answered())
        # news, later
        await until(lambda: [name, "nodes", {"carol": ["127.0.0.1:9"]}] in raw.heard, "news of carol")
        await carol.close()
        await until(lambda: not alice.is_linked("carol"))
        self.assertNotIn("carol", alice.mesh.addresses)

    async def test_odd_gossip_ends_nothing_but_its_port(self):
        alice = await self.node("alice")
        for said in (["addr"], ["addr", 5], ["nodes", []], ["nodes", {"x": 5}], ["set", [1]], ["reg1"], ["reg1", [], {}], ["find"],
                     ["find", {}], ["unknown", 1], ["seedme1", 1], ["nodes", {"#": ["x"], "\u263a": ["y"], "ok": ["nonsense"]}]):
            with self.subTest(said=said):
                raw, say = await self.gossip(alice, "bob")
                say(*said)
                await raw.answered()
                self.assertTrue(alice.is_linked("bob"))
                await raw.close()
                await until(lambda: not alice.is_linked("bob"))

    async def test_hearsay_makes_few_connections_at_a_time(self):
        alice = await self.node("alice")
        most = []
        dial = alice.dial

        def counted(*arguments, **more):
            most.append(alice._dials)
            return dial(*arguments, **more)

        alice.dial = counted
        raw, say = await self.gossip(alice, "bob")
        say("nodes", {f"n{n}": ["127.0.0.1:1"] for n in range(500)})
        await raw.answered()
        await until(lambda: len(most) >= 65, "some connections")
        self.assertLessEqual(max(most), DIALS_MAX)

    async def test_three_become_a_mesh_that_heals(self):
        for generation in (0, 1):
            with self.subTest(generation=generation):
                n1 = await self.node("n1", generation)
                n2 = await self.node("n2", generation, True, n1.listeners)
                n3 = await self.node("n3", generation, False, n1.listeners)
                nodes = [n1, n2, n3]
                for node in nodes:
                    node.mesh.register("all", node.port(lambda *msg: None).id)
                await until(lambda: all(len(node.up_nodes()) == 2 for node in nodes), "the mesh")
                await until(lambda: all(len(node.mesh.members("all")) == 3 for node in nodes), "the group")
                for link in list(n2.links):
                    link.close("cut")
                await until(lambda: all(len(node.up_nodes()) == 2 for node in nodes), "the mesh again", 20)
                await until(lambda: all(len(node.mesh.members("all")) == 3 for node in nodes), "the group again")
                await self.stop()
