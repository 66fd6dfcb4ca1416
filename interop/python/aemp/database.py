"""The database of generation 2 as every node has it: PROTOCOL.md, "The database (generation 2)".

Here is the local database, the master, what is asked of it and what it answers. What a global node
does besides stands in global_node.py; a global node is its own master, and what it says to itself goes
the same way as what it would say to another.
"""

import collections

from .framing import port_name
from .global_node import GlobalNode
from .values import as_hash, as_list, same

ANSWERS = ("g_reply", "g_found", "g_chg1", "g_chg2")
FOR_GLOBAL_NODES = ("g_set", "g_upd", "g_find", "g_db_family", "g_db_keys", "g_db_values", "g_mon1", "g_mon0")
LISTENERS, GLOBALS = "'l", "'g"


class Family:
    """A family that the program monitors: what is in it, and who is told of changes."""

    def __init__(self):
        self.content = {}
        self.is_known = False
        """Has `g_chg1` of the present master come?"""
        self.told = []


class Database:
    """The local database, and what this node wants to know of the others'."""

    def __init__(self, node):
        self.node = node
        self.local = collections.defaultdict(dict)
        self.master = None
        self.global_node = None
        """What makes this node a global one, if it is."""
        self.known_globals = set()
        self._finds = set()
        self._questions = {}
        self._families = {}
        self._counter = 0

    def start(self):
        """Takes part, if the generation does."""
        if self.node.generation.number == 2:
            self.set(LISTENERS, self.node.id, self.node.listeners)
            self.node.on_node.append(self._on_node)

    def knows(self, verb):
        """Is this a request of the database?"""
        if self.node.generation.number != 2:
            return False
        return verb in ("g_global", "g_slave") or verb in ANSWERS or verb in FOR_GLOBAL_NODES

    # the master

    def _on_node(self, node_id, up, *_reason):
        if up:
            if self.node.seeds.is_seed(node_id):
                # asks it to be a global node, whether it is our master or not
                self.tell(node_id, "g_slave")
                if self.master is None:
                    self._set_master(node_id)
            if self.global_node:
                self.tell(node_id, "g_global")
            return
        self.known_globals.discard(node_id)
        if node_id == self.master:
            self.master = None
            for family in self._families.values():
                family.is_known = False
            for other in self.node.up_nodes():
                if self.node.seeds.is_seed(other):
                    self._set_master(other)
                    break
        if self.global_node:
            self.global_node.gone(node_id)

    def _set_master(self, node_id):
        self.master = node_id
        for family in self._families.values():
            family.is_known = False
        self.node.log(8, f"new master node: {node_id}")
        self.tell(node_id, "g_slave", {family: dict(keys) for family, keys in self.local.items() if keys})
        # what nobody has answered yet
        for name in self._families:
            self.tell(node_id, "g_mon1", name)
        for missing in self._finds:
            self.tell(node_id, "g_find", missing)
        for question, (verb, family, _) in self._questions.items():
            self.tell(node_id, verb, family, question)

    def become_global(self):
        """From now on this node collects the databases of others."""
        if self.global_node is None and self.node.generation.number == 2:
            self.node.log(7, "this is a global node now")
            self.global_node = GlobalNode(self.node, self)
            self._set_master(self.node.id)
            self.set(GLOBALS, self.node.id, None)
            # behind what this node has just told itself, as others are to be told of that
            self.node.later(self._tell_all)

    def _tell_all(self):
        for other in self.node.up_nodes():
            self.tell(other, "g_global")
            if other in self.known_globals:
                self.global_node.met(other)

    def tell(self, node_id, *request):
        """Sends a request to a node, which may be this one."""
        if node_id == self.node.id:
            # as our own, whoever's request is being done
            self.node.later(self.node.request, None, list(request))
        else:
            self.node.snd(node_id, *request)

    def _ask(self, *request):
        if self.master is not None:
            self.tell(self.master, *request)

    # the local database

    def set(self, family, key, value):
        """Sets a key of ours."""
        keys = self.local[family]
        if key not in keys or not same(keys[key], value):
            keys[key] = value
            self._ask("g_upd", family, {key: value})

    def delete(self, family, *keys):
        """Deletes what of these keys we have set."""
        gone = [key for key in keys if key in self.local[family]]
        for key in gone:
            del self.local[family][key]
        if gone:
            self._ask("g_upd", family, None, gone)

    def register(self, family, port_id, value=None):
        """Sets a port of ours as a key, which goes with it; returns a function that ends it."""
        def end(*_reason):
            self.delete(family, port_id)

        monitor = self.node.mon(port_id, end)
        self.set(family, port_id, value)
        return lambda: (monitor.cancel(), end())

    # questions

    def family(self, family, answered):
        """Calls `answered` with all keys and values, as soon as there is a master that says so."""
        self._question("g_db_family", family, lambda result: answered(as_hash(result)))

    def keys(self, family, answered):
        """The same with a list of the keys."""
        self._question("g_db_keys", family, lambda result: answered(as_list(result)))

    def values(self, family, answered):
        """The same with a list of the values."""
        self._question("g_db_values", family, lambda result: answered(as_list(result)))

    def _question(self, verb, family, answered):
        self._counter += 1
        question = f"q{self._counter}"
        self._questions[question] = (verb, family, answered)
        self._ask(verb, family, question)

    def watch(self, family, told):
        """Has `told` called with the content, and the lists of keys that came, changed and went, once
        the content is known and at each change. Returns a function that ends it."""
        if family in self._families:
            watched = self._families[family]
            watched.told.append(told)
            if watched.is_known:
                content = dict(watched.content)
                self.node.loop.call_soon(lambda: told in watched.told and told(content, sorted(content), [], []))
        else:
            watched = self._families[family] = Family()
            watched.told.append(told)
            self._ask("g_mon1", family)

        def end():
            if told in watched.told:
                watched.told.remove(told)
                if not watched.told and self._families.get(family) is watched:
                    del self._families[family]
                    self._ask("g_mon0", family)

        return end

    def where_is(self, node_id):
        """Where a node listens, as far as it is known; None if the master has been asked."""
        if self.global_node:
            return self.global_node.merged.get(LISTENERS, {}).get(node_id) or []
        self._finds = {sought for sought in self._finds if sought in self.node.peers} | {node_id}
        self._ask("g_find", node_id)
        return None

    # what is asked and answered

    def request(self, source, verb, arguments):
        """Does a request of the database: of a peer, or with None of ourselves."""
        node_id = source.id if source else self.node.id
        if verb == "g_slave":
            # who is used as a seed has to be a global node
            self.become_global()
            if arguments:
                self.global_node.slave(node_id, as_hash(arguments[0]))
        elif verb == "g_global":
            if node_id not in self.known_globals and node_id != self.node.id:
                self.known_globals.add(node_id)
                if self.global_node:
                    self.global_node.gone(node_id)
                    self.global_node.met(node_id)
        elif verb in ANSWERS:
            # nobody but the master is to be believed
            if node_id == self.master:
                getattr(self, "_" + verb)(*arguments)
        elif self.global_node:
            getattr(self.global_node, verb)(node_id, *arguments)
        else:
            self.node.log(2, f"{node_id} asks for {verb}, and this is no global node")

    def _g_reply(self, question, result=None):
        _, _, answered = self._questions.pop(port_name(question), (None, None, None))
        if answered:
            answered(result)

    def _g_found(self, node_id, addresses=None):
        if node_id in self._finds:
            self._finds.discard(node_id)
            peer = self.node.peers.get(node_id)
            if peer and peer.link is None:
                addresses = [str(address) for address in as_list(addresses)]
                if addresses:
                    peer.reach(addresses)
                else:
                    peer.unknown()

    def _g_chg1(self, family, content=None):
        watched = self._families.get(port_name(family))
        if watched:
            now, before = as_hash(content), watched.content
            first, watched.is_known = not watched.is_known, True
            came = sorted(key for key in now if key not in before)
            changed = sorted(key for key in now if key in before and not same(now[key], before[key]))
            went = sorted(key for key in before if key not in now)
            self._tell(watched, now, came, changed, went, always=first)

    def _g_chg2(self, family, values=None, deleted=None):
        watched = self._families.get(port_name(family))
        # what comes before g_chg1 is of an earlier link
        if watched and watched.is_known:
            now, before = dict(watched.content), watched.content
            values = as_hash(values)
            came = sorted(key for key in values if key not in before)
            changed = sorted(key for key in values if key in before and not same(values[key], before[key]))
            now.update(values)
            went = sorted({key for key in map(port_name, as_list(deleted)) if now.pop(key, self) is not self
                           and key in before})
            came = [key for key in came if key in now]
            changed = [key for key in changed if key in now]
            self._tell(watched, now, came, changed, went)

    def _tell(self, watched, now, came, changed, went, always=False):
        watched.content = now
        if always or came or changed or went:
            for told in list(watched.told):
                self.node.safely(told, dict(now), came, changed, went)
