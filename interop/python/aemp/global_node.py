"""What a global node does: PROTOCOL.md, "What a global node does" and "Global nodes among themselves"."""

import collections
import random

from .framing import port_name
from .values import as_hash, as_list, same

LISTENERS, GLOBALS = "'l", "'g"
KEYS_MAX = 1_000_000
"""Keys that are kept of a node."""
FAMILIES_MAX = 100_000
"""Families that a node may monitor."""


class GlobalNode:
    """The databases of all who told theirs, and all of them merged."""

    def __init__(self, node, database):
        self.node = node
        self.database = database
        self.merged = {}
        """Family, key: the value that is seen."""
        self._told = collections.defaultdict(dict)
        """Node, family, key: what it has set."""
        self._kept = collections.Counter()
        """How many keys that is, by node."""
        self._slaves = set()
        self._watchers = collections.defaultdict(set)
        self._monitored = collections.Counter()
        """How many families a node monitors."""
        self._tries = {}
        """Global nodes that are missing: how long the next pause is."""

    # requests

    def slave(self, node_id, local):
        """`g_slave` with a database: be my master. It replaces what was told before."""
        self._slaves.add(node_id)
        before = self._told.get(node_id, {})
        for family in [family for family in before if family not in local]:
            self._update(node_id, family, {}, list(before[family]))
        for family, keys in local.items():
            keys = as_hash(keys)
            stale = [key for key in before.get(family, {}) if key not in keys]
            self._update(node_id, family, keys, stale)

    def g_set(self, node_id, merged=None):
        """All that the slaves of another global node have set."""
        merged = as_hash(merged)
        listeners = as_hash(merged.get(LISTENERS)).get(node_id)
        for family, keys in merged.items():
            self._update(node_id, family, as_hash(keys), [])
        # so that all global nodes know where all of them listen
        self.database.set(LISTENERS, node_id, listeners)

    def g_upd(self, node_id, family, values=None, deleted=None):
        """Some keys are set, then some are deleted."""
        self._update(node_id, port_name(family), as_hash(values), [port_name(key) for key in as_list(deleted)])

    def g_find(self, node_id, sought):
        """Where does a node listen?"""
        self.database.tell(node_id, "g_found", sought, self.merged.get(LISTENERS, {}).get(port_name(sought)))

    def g_db_family(self, node_id, family, question):
        """All of a family."""
        self.database.tell(node_id, "g_reply", question, dict(self.merged.get(port_name(family), {})))

    def g_db_keys(self, node_id, family, question):
        """Its keys."""
        self.database.tell(node_id, "g_reply", question, list(self.merged.get(port_name(family), {})))

    def g_db_values(self, node_id, family, question):
        """Its values."""
        self.database.tell(node_id, "g_reply", question, list(self.merged.get(port_name(family), {}).values()))

    def g_mon1(self, node_id, family):
        """Tell me of changes, and first what is there."""
        family = port_name(family)
        # who monitors is a slave, even if it never said so
        self._slaves.add(node_id)
        if self._monitored[node_id] < FAMILIES_MAX and node_id not in self._watchers[family]:
            self._watchers[family].add(node_id)
            self._monitored[node_id] += 1
        self.database.tell(node_id, "g_chg1", family, dict(self.merged.get(family, {})))

    def g_mon0(self, node_id, family):
        """Tell me no longer."""
        family = port_name(family)
        if node_id in self._watchers.get(family, ()):
            self._watchers[family].discard(node_id)
            self._monitored[node_id] -= 1
            if not self._watchers[family]:
                del self._watchers[family]

    # other global nodes

    def met(self, node_id):
        """A linked node is a global one: it is told what our slaves have set."""
        self.database.set(GLOBALS, node_id, None)
        # behind that, which this node tells itself first
        self.node.later(self._tell_all_to, node_id)

    def _tell_all_to(self, node_id):
        merged = collections.defaultdict(dict)
        for slave in self._slaves:
            for family, keys in self._told.get(slave, {}).items():
                merged[family].update(keys)
        self.database.tell(node_id, "g_set", dict(merged))

    def gone(self, node_id):
        """A node is down, or is a global one now: what it told is void."""
        self.database.delete(GLOBALS, node_id)
        self.database.delete(LISTENERS, node_id)
        for family, keys in list(self._told.get(node_id, {}).items()):
            self._update(node_id, family, {}, list(keys))
        self._told.pop(node_id, None)
        self._kept.pop(node_id, None)
        self._slaves.discard(node_id)
        if not self.node.is_linked(node_id):
            for family in [family for family, who in self._watchers.items() if node_id in who]:
                self.g_mon0(node_id, family)
            self._keep_links()

    def _keep_links(self):
        """Every global node that anybody knows of is to be linked."""
        for node_id in self.merged.get(GLOBALS, {}):
            if node_id != self.node.id and not self.node.is_linked(node_id) and node_id not in self._tries:
                self._tries[node_id] = random.uniform(0.6, 1.2)
                self.node.loop.call_soon(self._try, node_id)

    def _try(self, node_id):
        if node_id not in self.merged.get(GLOBALS, {}) or self.node.is_linked(node_id):
            self._tries.pop(node_id, None)
            return
        self.node.peer(node_id).connect()
        pause = self._tries[node_id]
        self._tries[node_id] = min(2 * pause, self.node.monitor_timeout)
        self.node.loop.call_later(pause, self._try, node_id)

    # the merged database

    def _update(self, node_id, family, values, deleted):
        """What a node says of a family of its own: PROTOCOL.md has the rules by these numbers."""
        told = self._told[node_id].setdefault(family, {})
        merged = self.merged.setdefault(family, {})
        is_slave = node_id in self._slaves
        seen, gone, gone_here = {}, [], []
        for key, value in values.items():    # 1
            if key not in told:
                if self._kept[node_id] >= KEYS_MAX:
                    continue
                self._kept[node_id] += 1
            told[key] = merged[key] = seen[key] = value
        for_globals = dict(seen)
        for key in deleted:    # 2
            if told.pop(key, self) is self:
                continue
            self._kept[node_id] -= 1
            was = merged.get(key)
            of_slave, of_any = self._holders(family, key)
            for said in (seen, for_globals):
                said.pop(key, None)
            if of_any is None:
                merged.pop(key, None)
                gone.append(key)
            elif not same(was, of_any[0]):
                merged[key] = seen[key] = of_any[0]
            if of_slave is None:
                gone_here.append(key)
            elif key in seen:
                for_globals[key] = of_slave[0]
        if not told:
            del self._told[node_id][family]
        if not merged:
            del self.merged[family]
        if seen or gone:    # 3
            for watcher in list(self._watchers.get(family, ())):
                self.database.tell(watcher, "g_chg2", family, seen, gone)
        if is_slave and (for_globals or gone_here):    # 4
            for other in self.database.known_globals:
                self.database.tell(other, "g_upd", family, for_globals, gone_here)
        if family == GLOBALS:
            self._keep_links()

    def _holders(self, family, key):
        """The value of a slave that has the key, and of any node, a slave before others; each as a
        list of one, or None."""
        of_slave = of_other = None
        for node_id, families in self._told.items():
            if key in families.get(family, {}):
                if node_id in self._slaves:
                    of_slave = [families[family][key]]
                else:
                    of_other = [families[family][key]]
        return of_slave, of_slave or of_other
