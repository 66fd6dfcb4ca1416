#!/usr/bin/env python3
"""The Python node on a string: the driver of interop/DRIVER.md.

    driver.py [--life SECONDS]

Reads one command per line (JSON) on standard input, writes one answer or event per line (JSON) on
standard output; logs go to standard error. Ends when standard input ends, and after --life seconds.
"""

import argparse
import asyncio
import json
import os
import sys
from pathlib import Path

from aemp import Node, PortError, to_stderr

LINE_MAX = 64 << 20
"""Octets of a command."""
CHUNK = 200
"""Messages of `snd_many` before connections get their turn."""


def emit(said):
    """Writes one line. Whoever does not read it any more has no use for this process."""
    try:
        line = json.dumps(said, ensure_ascii=False, allow_nan=False).encode("utf-8") + b"\n"
    except ValueError as error:
        line = json.dumps({"ev": "fault", "text": f"cannot encode: {error}"}).encode() + b"\n"
    try:
        while line:
            line = line[os.write(1, line):]
    except OSError:
        os._exit(4)


def event(name, **more):
    """Writes an event."""
    emit({"ev": name, **more})


def text_of(value):
    """A value as a text, as an error has it."""
    return value if isinstance(value, str) else json.dumps(value)


def values_of_every_type():
    """The 19 values of peer.pl as Python has them."""
    return [0, -1, 2147483648, 9007199254740993, 1.5, 0.1, 1e20, -0.0, "10", "", "caf\xe9", "\u263a",
            "tab\tnl\nquote\"back\\", "\x00\x1f\x7f", None, [], {}, [[1], {"a": [None]}], {"k": "v"}]


class Counter:
    """Counts messages [FROM, N, ..] and notes what is out of order."""

    def __init__(self, port, expect):
        self.port, self.expect = port, expect
        self.count = self.holes = 0
        self.problems = []
        self.next = {}

    def take(self, sender, number, *_):
        """A message."""
        wanted = self.next.get(sender, 0)
        if number != wanted:
            self.problem(sender, wanted, number)
        self.next[sender] = number + 1
        self.count += 1
        if self.count == self.expect:
            event("counted", port=self.port, count=self.count, holes=self.holes)

    def problem(self, sender, wanted, got):
        """Something is out of order."""
        self.holes += 1
        if len(self.problems) < 10:
            self.problems.append({"from": sender, "expected": wanted, "got": got})


class StreamCounter(Counter):
    """The same for messages [FROM, EPOCH, N, ..]."""

    def take(self, sender, epoch, number, *_):
        last = self.next.get(sender, (0, -1))
        good = number == last[1] + 1 if epoch == last[0] else epoch > last[0] and number == 0
        if not good:
            self.problem(sender, list(last), [epoch, number])
        self.next[sender] = (epoch, number)
        self.count += 1


class Stream:
    """Sends [OWN ID, EPOCH, N, TEXT] to a port until it is stopped; an epoch ends with its monitor."""

    def __init__(self, driver, number, to):
        self.driver, self.number, self.to = driver, number, to
        self.epoch = self.next = self.fired = self.doubles = self.sent = 0
        self.stopped = False
        self._begin()
        driver.loop.call_soon(self._some)

    def _begin(self):
        epoch, fired = self.epoch, []

        def ended(*reason):
            if self.stopped:
                return
            self.doubles += bool(fired)
            fired.append(True)
            self.fired += 1
            event("epoch", stream=self.number, ended=epoch, reason=list(reason))
            if len(fired) == 1:
                self.epoch, self.next = self.epoch + 1, 0
                self._begin()

        self.driver.node.mon(self.to, ended)

    def _some(self):
        if self.stopped:
            return
        for _ in range(5):
            number, self.next, self.sent = self.next, self.next + 1, self.sent + 1
            self.driver.node.snd(self.to, self.driver.node.id, self.epoch, number, "some payload \u263a")
        self.driver.loop.call_later(0.002, self._some)

    def state(self):
        """What `stream_stop` answers."""
        return {"epoch": self.epoch, "next": self.next, "fired": self.fired, "doubles": self.doubles,
                "sent": self.sent}


class Driver:
    """The commands, each a method `do_NAME` that returns the answer, or None if it comes later."""

    def __init__(self, loop):
        self.loop = loop
        self.node = None
        self.counters = {}
        self.kept = {}
        """What ends monitors, registrations and watches, and the streams, by the number told."""
        self._numbers = 0
        self._groups = {}

    def number(self, what):
        """Keeps something under a new number."""
        self._numbers += 1
        self.kept[self._numbers] = what
        return self._numbers

    async def run(self, line):
        """One command."""
        try:
            request = json.loads(line, parse_int=lambda digits: -0.0 if digits == "-0" else int(digits))
            number, name = request["id"], request["cmd"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            return event("fault", text=f"bad command: {error}")
        do = getattr(self, f"do_{name}", None)
        if do is None:
            return emit({"id": number, "err": f"unknown command '{name}'"})
        arguments = {key: value for key, value in (request.get("args") or {}).items() if value is not None}
        try:
            ok = do(arguments, lambda answer: emit({"id": number, "ok": answer}))
            if asyncio.iscoroutine(ok):
                ok = await ok
        except Exception as error:  # a command that can't be done never ends the driver
            return emit({"id": number, "err": f"{type(error).__name__}: {error}"})
        if ok is not None:
            emit({"id": number, "ok": ok})
        return None

    # the node

    async def do_configure(self, args, _):
        config = {}
        path = os.environ.get("PERL_ANYEVENT_MP_RC") or Path.home() / ".perl-anyevent-mp"
        if os.path.exists(path):
            config = json.loads(Path(path).read_bytes())
        generation = args.get("generation", 1)
        if args.get("cert") or config.get("cert"):
            raise ValueError("this node has no TLS")
        self.node = Node(args["nodeid"], config.get("secret", ""), int(generation), args.get("binds", []),
                         args.get("seeds", []), args.get("framing_format"), args.get("monitor_timeout"),
                         args.get("connect_interval", 2),
                         to_stderr(int(os.environ.get("PERL_ANYEVENT_MP_WARNLEVEL", "5"))))
        self.node.on_node.append(lambda node, up, *reason: event("node", node=node, up=up, reason=list(reason)))
        for name in ("init", "boom", "tied", "watch", "values", "call", "who"):
            self.node.functions[f"aemp_test::{name}"] = getattr(self, f"spawned_{name}")
        self.node.functions["main::test_main"] = self.spawned_main
        await self.node.start()
        return {"nodeid": self.node.id, "listeners": self.node.listeners}

    def do_listeners(self, _args, _):
        return {"listeners": self.node.listeners}

    def do_nodes(self, _args, _):
        return {"node": self.node.id, "known": sorted({self.node.id, *self.node.peers}),
                "up": self.node.up_nodes()}

    def do_ping(self, _args, _):
        return {}

    def do_quit(self, args, answer):
        answer({})
        self.node and self.node.stop()
        self.loop.call_later(0.05, os._exit, args.get("status", 0))

    # ports

    def do_port(self, args, _):
        return {"port": self.make_port(args["kind"], args)}

    def do_ports(self, args, _):
        return {"ports": [self.make_port(args["kind"], args) for _ in range(args["count"])]}

    def make_port(self, kind, args):
        """A port of that kind."""
        port = self.node.port()
        if kind == "tags":
            self.set_tags(port)
        elif kind in ("counter", "stream"):
            counter = StreamCounter(port.id, None) if kind == "stream" else Counter(port.id, args.get("expect"))
            self.counters[port.id] = counter
            port.rcv(counter.take)
        elif kind != "none":
            port.rcv(self.action(kind, port))
        return port.id

    def set_tags(self, port):
        """The tags of kind `tags`."""
        for tag in ("echo", "echoed", "die", "kil", "record"):
            port.rcv_tag(tag, self.action(tag, port, tag))

    def action(self, name, port, tag=None):
        """What an action does with the elements of a message."""
        node, tagged = self.node, {} if tag is None else {"tag": tag}

        def die(text=""):
            raise PortError(text_of(text))

        actions = {
            "record": lambda *msg: event("msg", port=port.id, msg=list(msg), **tagged),
            "size": lambda *msg: event("size", port=port.id, **tagged, octets=len(json.dumps(
                msg, ensure_ascii=False, separators=(",", ":")).encode("utf-8"))),
            "mute": lambda *msg: None,
            "echo": lambda to, *msg: node.snd(to, *msg),
            "echoed": lambda to, *msg: node.snd(to, "echoed", *msg),
            "answer": lambda *msg: node.snd(msg[-1], "answered", *msg[:-1]),
            "die": die,
            "kil": lambda *reason: node.kil(port.id, *reason),
        }
        return actions[name]

    def local_port(self, port_id):
        """A port of this node."""
        port = self.node.ports.get(port_id.partition("#")[2])
        if port is None or not port_id.startswith(self.node.id + "#"):
            raise KeyError(f"{port_id} is no port of this node")
        return port

    def do_rcv(self, args, _):
        port, tag = self.local_port(args["port"]), args.get("tag")
        action = self.action(args["action"], port, tag) if "action" in args else None
        if tag is not None:
            port.rcv_tag(tag, action)
        elif action is None:
            raise ValueError("a default action cannot be removed")
        else:
            port.rcv(action)
        return {}

    def do_kil(self, args, _):
        self.node.kil(args["port"], *args.get("reason", []))
        return {}

    def do_in_port(self, args, _):
        port = self.local_port(args["port"])

        def code():
            if args["do"] == "die":
                raise PortError(args["text"])
            if args["do"] == "snd":
                self.node.snd(*args["msg"], port.id)
            else:
                self.node.kil(port.id, *args.get("reason", []))

        self.node.in_port(port, code)
        return {}

    def do_counter(self, args, _):
        counter = self.counters[args["port"]]
        return {"count": counter.count, "holes": counter.holes, "problems": counter.problems}

    # messages

    def do_snd(self, args, _):
        self.node.snd(args["to"], *args["msg"])
        return {}

    def do_snd_many(self, args, answer):
        first = args.get("first", 0)
        last, head, tail = first + args["count"], args.get("head", []), args.get("tail", [])

        def some(number):
            for number in range(number, min(number + CHUNK, last)):
                self.node.snd(args["to"], *head, number, *tail)
            if number + 1 >= last:
                answer({"next": last})
            else:
                self.loop.call_later(0.0001, some, number + 1)

        some(first) if last > first else answer({"next": last})

    def do_snd_big(self, args, _):
        self.node.snd(args["to"], *args.get("head", []), args.get("fill", "x") * args["size"])
        return {}

    def do_snd_to_func(self, args, _):
        self.node.snd(args["node"], args["func"], *args.get("args", []))
        return {}

    def do_spawn(self, args, _):
        return {"port": self.node.spawn(args["node"], args["func"], *args.get("args", []))}

    def do_after(self, args, _):
        self.loop.call_later(args["seconds"], lambda: self.node.snd(*args["msg"]))
        return {}

    def do_cal(self, args, answer):
        port, ends = self.node.port(), []

        def done(reply):
            if not ends:
                ends.append(True)
                self.node.kil(port.id)
                answer({"reply": reply})

        port.rcv(lambda *reply: done(list(reply)))
        if "timeout" in args:
            self.loop.call_later(args["timeout"], done, None)
        else:
            self.node.mon(args["to"], lambda *reason: done(None))
        self.node.snd(args["to"], *args["msg"], port.id)

    def do_stream(self, args, _):
        number = self.number(None)
        self.kept[number] = Stream(self, number, args["to"])
        return {"stream": number}

    def do_stream_stop(self, args, _):
        stream = self.kept.pop(args["stream"])
        stream.stopped = True
        return stream.state()

    # monitors

    def do_mon(self, args, _):
        node, form, number = self.node, args.get("form", "call"), self.number(None)
        if form == "call":
            action = lambda *reason: event("mon", mon=number, reason=list(reason))
        elif form in ("kill", "self"):
            action = lambda *reason: reason and node.kil(args["target"], *reason)
        elif form == "msg":
            action = lambda *reason: node.snd(*args["msg"], *reason)
        else:
            raise ValueError(f"unknown form of monitor '{form}'")
        self.kept[number] = node.mon(args["port"], action).cancel
        return {"mon": number}

    def end(self, number):
        """Ends what was kept under a number."""
        ends = self.kept.pop(number, None)
        if ends:
            ends()
        return {}

    def do_unmon(self, args, _):
        return self.end(args["mon"])

    # groups and the database

    @property
    def has_mesh(self):
        """Are groups those of the mesh?"""
        return self.node.generation.gossips

    def do_grp_reg(self, args, _):
        register = self.node.mesh.register if self.has_mesh else self.node.database.register
        return {"reg": self.number(register(args["group"], args["port"]))}

    def do_grp_unreg(self, args, _):
        return self.end(args["reg"])

    def do_grp_get(self, args, _):
        if self.has_mesh:
            return {"ports": self.node.mesh.members(args["group"])}
        return {"ports": sorted(self.group(args["group"])["ports"])}

    def group(self, name):
        """What a monitor of the family has told so far, and who is told of changes."""
        if name not in self._groups:
            group = self._groups[name] = {"ports": set(), "told": {}}

            def changed(content, came, _changed, went):
                group["ports"] = set(content)
                for told in list(group["told"].values()):
                    told(sorted(content), came, went)

            self.node.database.watch(name, changed)
        return self._groups[name]

    def do_grp_mon(self, args, _):
        number, name = self.number(None), args["group"]

        def told(ports, came, went):
            if came or went:
                event("group", watch=number, group=name, ports=sorted(ports), add=sorted(came), **{"del": sorted(went)})

        if self.has_mesh:
            self.kept[number] = self.node.mesh.watch(name, told)
        else:
            group = self.group(name)
            now = sorted(group["ports"])
            told(now, now, [])
            group["told"][number] = told
            self.kept[number] = lambda: group["told"].pop(number, None)
        return {"watch": number}

    def do_grp_unmon(self, args, _):
        return self.end(args["watch"])

    @property
    def database(self):
        """The database, if the generation has one."""
        if self.has_mesh:
            raise ValueError("this generation has no database")
        return self.node.database

    def do_db_set(self, args, _):
        self.database.set(args["family"], args["key"], args.get("value"))
        return {}

    def do_db_del(self, args, _):
        self.database.delete(args["family"], *args["keys"])
        return {}

    def do_db_reg(self, args, _):
        return {"reg": self.number(self.database.register(args["family"], args["port"], args.get("value")))}

    def do_db_mon(self, args, _):
        number, family = self.number(None), args["family"]

        def told(content, came, changed, went):
            event("db", watch=number, family=family, values=content, add=came, change=changed, **{"del": went})

        self.kept[number] = self.database.watch(family, told)
        return {"watch": number}

    def do_db_family(self, args, answer):
        self.database.family(args["family"], lambda values: answer({"values": values}))

    def do_db_keys(self, args, answer):
        self.database.keys(args["family"], lambda keys: answer({"keys": sorted(map(str, keys))}))

    def do_db_values(self, args, answer):
        self.database.values(args["family"], lambda values: answer({"values": values}))

    # functions for others to spawn and to call

    def spawned(self, port, name, args):
        """Tells of a spawn."""
        event("spawned", port=port.id, func=f"aemp_test::{name}", args=list(args))

    def spawned_init(self, node, port, reply, *args):
        self.spawned(port, "init", [reply, *args])
        self.set_tags(port)
        node.snd(reply, "ready", port.id, *args)

    def spawned_boom(self, _node, port, text):
        self.spawned(port, "boom", [text])
        port.rcv(lambda *msg: None)
        raise PortError(text)

    def spawned_tied(self, node, port, other, reply):
        self.spawned(port, "tied", [other, reply])
        port.rcv(lambda *msg: None)
        node.mon(other, lambda *reason: reason and node.kil(port.id, *reason))
        node.snd(reply, "tied", port.id)

    def spawned_watch(self, node, port, other, reply):
        self.spawned(port, "watch", [other, reply])
        port.rcv(lambda *msg: None)
        node.mon(other, lambda *reason: node.snd(reply, "fired", *reason))
        node.snd(reply, "watching", port.id)

    def spawned_values(self, node, port, reply):
        self.spawned(port, "values", [reply])
        port.rcv(lambda *msg: None)
        node.snd(reply, "values", *values_of_every_type())

    def spawned_main(self, node, port, reply, *args):
        port.rcv(lambda *msg: None)
        node.snd(reply, "main", port.id, *args)

    def spawned_call(self, node, _port, reply, *args):
        node.snd(reply, "called", *args)

    def spawned_who(self, node, _port, reply):
        node.snd(reply, "who", node.source_id())


async def main(life):
    """Reads commands until there are no more."""
    loop = asyncio.get_running_loop()
    loop.call_later(life, os._exit, 3)
    driver = Driver(loop)
    features = ["cal", "peval", "grp_mon", "stream", "snd_multiple", "db"]
    event("hello", driver="python", release=".".join(map(str, sys.version_info[:2])), generation="",
          pid=os.getpid(), features=features)
    reader = asyncio.StreamReader(limit=LINE_MAX)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        await driver.run(line)
    if driver.node:
        driver.node.stop()
    os._exit(0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--life", type=float, default=120, help="ends by itself after so many seconds")
    asyncio.run(main(parser.parse_args().life))
