from .support import Network, until

SLAVE = ["", "g_slave"]


class Database(Network):
    async def test_a_client_needs_nothing(self):
        # it does not even read what the global node says of itself
        alice = await self.node("alice", 2)
        alice.database.become_global()
        raw = await self.raw(alice, "raw")
        self.assertEqual(await raw.answered(), [["", "g_global"]])

    async def test_who_is_a_seed_becomes_global(self):
        alice, bob = await self.pair(2)
        await until(lambda: bob.database.master == "alice", "the master")
        bob.database.set("f", "k", [1, "v"])
        seen = []
        bob.database.family("f", seen.append)
        await until(lambda: seen == [{"k": [1, "v"]}], "the answer")
        self.assertIsNotNone(alice.database.global_node)
        self.assertIsNone(bob.database.global_node)
        keys = []
        alice.database.keys("'l", lambda got: keys.append(sorted(got)))
        await until(lambda: keys == [["alice", "bob"]], "both nodes' listeners")

    async def test_a_node_that_is_its_own_seed_is_global(self):
        alice = await self.node("alice", 2)
        alice.seeds._found[alice.listeners[0]] = None
        alice.dial(alice.listeners[0], seed=alice.listeners[0])
        await until(lambda: alice.database.global_node, "a global node")

    async def test_a_database_makes_its_receiver_global(self):
        alice = await self.node("alice", 2)
        raw, other = await self.raw(alice, "raw"), await self.raw(alice, "other")
        raw.say(["", "g_upd", "f", {"k": 1}], ["", "g_db_family", "f", "1"])
        self.assertEqual(await raw.answered(), [])
        raw.say(["", "g_slave", {"f": {"k": "raw's"}}], ["", "g_db_family", "f", "2"])
        self.assertCountEqual(await raw.answered(), [["", "g_global"], ["", "g_reply", "2", {"k": "raw's"}]])
        self.assertEqual(await other.answered(), [["", "g_global"]])

    async def global_node(self, *slaves):
        """A global node with clients that are slaves of it, each of which monitors the family `f`."""
        alice = await self.node("alice", 2)
        alice.database.become_global()
        raws = []
        for name in slaves:
            raw = await self.raw(alice, name)
            raw.say(["", "g_slave", {}], ["", "g_mon1", "f"])
            await raw.answered()
            raws.append(raw)
        return alice, raws

    async def test_deletes_and_what_they_uncover(self):
        _, (x, y, other) = await self.global_node("x", "y", "other")
        other.say(["", "g_global"])
        self.assertIn("g_set", [m[1] for m in await other.answered()])
        await x.answered()

        async def said(by, values, deleted, slaves, globals_):
            by.say(["", "g_upd", "f", values, deleted])
            await by.answered()
            heard = await x.answered() if by is not x else None
            got = [m[2:] for m in await y.answered() if m[1] == "g_chg2"] if by is not y else None
            got = got if got is not None else [m[2:] for m in heard if m[1] == "g_chg2"]
            self.assertEqual(got, [["f", *slaves]] if slaves else [])
            self.assertEqual([m[2:] for m in await other.answered() if m[1] == "g_upd" and m[2] == "f"],
                             [["f", *globals_]] if globals_ else [])

        await said(x, {"k": "x"}, None, [{"k": "x"}, []], [{"k": "x"}, []])
        await said(y, {"k": "y"}, None, [{"k": "y"}, []], [{"k": "y"}, []])
        # covered, and what covers it is a slave's
        await said(x, None, ["k"], None, None)
        await said(x, {"k": "x"}, None, [{"k": "x"}, []], [{"k": "x"}, []])
        await said(x, None, ["k"], [{"k": "y"}, []], [{"k": "y"}, []])
        await said(y, None, ["k"], [{}, ["k"]], [{}, ["k"]])
        # covered by what another global node has: it hears that none of our slaves has it
        await said(x, {"h": "x"}, None, [{"h": "x"}, []], [{"h": "x"}, []])
        other.say(["", "g_upd", "f", {"h": "other"}, []])
        await other.answered()
        self.assertIn(["", "g_chg2", "f", {"h": "other"}, []], await x.answered())
        await y.answered()
        await said(x, None, ["h"], None, [{}, ["h"]])

    async def test_one_key_set_and_deleted(self):
        _, (x, y) = await self.global_node("x", "y")
        x.say(["", "g_upd", "f", {"c": "new"}, ["c"]], ["", "g_db_family", "f", "1"])
        self.assertIn(["", "g_reply", "1", {}], await x.answered())
        told = [m for m in await y.answered() if m[1] == "g_chg2"]
        self.assertTrue(all("c" in m[4] for m in told))

    async def test_an_update_without_a_slave(self):
        alice, (x,) = await self.global_node("x")
        other = await self.raw(alice, "other")
        other.say(["", "g_global"])
        await other.answered()
        raw = await self.raw(alice, "raw")
        raw.say(["", "g_upd", "f", {"k": "raw's"}], ["", "g_db_keys", "f", "1"])
        self.assertIn(["", "g_reply", "1", ["k"]], await raw.answered())
        self.assertIn(["", "g_chg2", "f", {"k": "raw's"}, []], await x.answered())
        self.assertEqual([m for m in await other.answered() if m[1:3] == ["g_upd", "f"]], [])
        # its first monitor makes it a slave
        raw.say(["", "g_mon1", "f"], ["", "g_upd", "f", {"k2": 2}])
        await raw.answered()
        self.assertEqual([m for m in await other.answered() if m[1:3] == ["g_upd", "f"]], [["", "g_upd", "f", {"k2": 2}, []]])

    async def test_a_slave_that_goes_takes_its_keys_along(self):
        _, (x, y) = await self.global_node("x", "y")
        for raw, name in ((x, "x"), (y, "y")):
            raw.say(["", "g_upd", "f", {"k": name, name: 1}])
            await raw.answered()
        await x.answered()
        await y.close()
        await until(lambda: ["", "g_chg2", "f", {"k": "x"}, ["y"]] in x.heard, "the change")

    async def test_two_global_nodes_and_a_slave_of_each(self):
        first = await self.node("first", 2)
        first.database.become_global()
        second = await self.node("second", 2, True, first.listeners)
        second.database.become_global()
        a = await self.node("a", 2, True, first.listeners)
        b = await self.node("b", 2, True, second.listeners)
        told = []
        b.database.watch("f", lambda content, *change: told.append(content))
        a.database.set("f", "of_a", 1)
        await until(lambda: told and told[-1] == {"of_a": 1}, "a's key at b")
        got = []
        b.snd("a", "snd", b.port(lambda *msg: got.append(msg)).id, "found")
        await until(lambda: got, "an answer of a node that had to be found")
        self.assertIn("a", b.up_nodes())
        a.stop()
        await until(lambda: told[-1] == {}, "the end of a's key")

    async def test_what_cannot_be_found(self):
        alice, bob = await self.pair(2)
        fired = []
        bob.mon("nobody#p", lambda *reason: fired.append(reason))
        await until(lambda: fired, "the end of the attempt")
        alice.mon("nobody#p", lambda *reason: fired.append(reason))
        await until(lambda: len(fired) == 2, "the end of the global node's")
        self.assertEqual(fired, [("transport_error", "nobody", "no known address")] * 2)

    async def test_answers_of_others_are_not_believed(self):
        _, bob = await self.pair(2)
        bob_listens = await self.node("carol", 2)
        raw = await self.raw(bob_listens, "raw")
        seen = []
        bob_listens.database.family("f", seen.append)
        raw.say(["", "g_reply", "q1", {"k": "false"}], ["", "g_chg1", "f", {}])
        await raw.answered()
        self.assertEqual(seen, [])
        self.assertEqual(bob.database.master, "alice")

    async def test_changes_before_the_content_is_known(self):
        alice = await self.node("alice", 2)
        raw = await self.raw(alice, "raw")
        alice.database.master = "raw"
        told = []
        alice.database.watch("f", lambda content, came, changed, went: told.append((content, came, changed, went)))
        raw.say(["", "g_chg2", "f", {"old": 1}, []], ["", "g_chg1", "f", {"k": 1}], ["", "g_chg2", "f", {"k": 1, "n": 2}, ["x"]],
                ["", "g_chg2", "f", None, ["k"]], ["", "g_chg2", "f", {}, {}], ["", "g_chg1", "f", None])
        await raw.answered()
        self.assertEqual(told, [({"k": 1}, ["k"], [], []), ({"k": 1, "n": 2}, ["n"], [], []),
                                ({"n": 2}, [], [], ["k"]), ({}, [], [], ["n"])])
