"""Looking for seeds: PROTOCOL.md, "Seeds" and "Seeds of generation 2"."""

import asyncio
import random


class Seeds:
    """The addresses that the node was given, and which nodes were found there."""

    def __init__(self, node, addresses):
        self.node = node
        self._found = {address: None for address in addresses}
        self._trying = set()
        self._task = None
        self._woken = None

    def start(self):
        """Begins to look for them."""
        self.node.on_node.append(self._on_node)
        if self._found:
            self._woken = asyncio.Event()
            number = self.node.generation.number
            run = (self._while_alone, self._round_and_round, self._all_of_them)[number]
            self._task = self.node.loop.create_task(run())

    def stop(self):
        """Looks for none any more."""
        if self._task:
            self._task.cancel()

    def is_seed(self, node_id):
        """Was that node found at the address of a seed?"""
        return node_id is not None and node_id in self._found.values()

    def greeted(self, address, node_id):
        """Somebody at the address says that it is that node; nothing is proved."""
        if self._found.get(address) is None and address in self._found:
            self._found[address] = node_id

    def linked(self, address, node_id):
        """The node at the address has proved itself."""
        if address in self._found:
            self._found[address] = node_id

    def is_ourselves(self, address):
        """The address is ours. A node of generation 2 that names itself as a seed is a global node."""
        self._found.pop(address, None)
        self.node.log(7, f"{address} is this node itself")
        if self.node.generation.number == 2:
            self.node.database.become_global()

    def _on_node(self, node_id, up, *_reason):
        if self._woken and not up and (self.is_seed(node_id) or not self.node.up_nodes()):
            self._woken.set()

    def _missing(self):
        return [address for address, node_id in self._found.items()
                if not (node_id and self.node.is_linked(node_id))]

    def _try(self, address):
        if address in self._found and address not in self._trying:
            self._trying.add(address)
            link = self.node.dial(address, seed=address, on_end=self._ended)
            link.seed = address

    def _ended(self, link):
        self._trying.discard(link.seed)

    async def _pause(self, seconds):
        """Sleeps, unless a seed is lost before."""
        self._woken.clear()
        try:
            await asyncio.wait_for(self._woken.wait(), seconds)
        except asyncio.TimeoutError:
            pass

    async def _while_alone(self):
        """Generation 0: any seed, as long as nobody is linked."""
        await asyncio.sleep(random.uniform(0, 0.1))
        for address in list(self._found):
            self._try(address)
        while True:
            await self._pause(1)
            if not self.node.up_nodes() and self._found:
                self._try(random.choice(list(self._found)))

    async def _round_and_round(self):
        """Generation 1: all of them in random order, without end."""
        await asyncio.sleep(random.uniform(0, 0.1))
        left = list(self._found)
        first = True
        while True:
            left = [address for address in left if address in self._found] or list(self._found)
            random.shuffle(left)
            missing = self._missing()
            if left:
                address = left.pop()
                if address in missing:
                    self._try(address)
            factor = len(self.node.peers) + 2 if self.node.up_nodes() else 1
            pause = max(1, self.node.connect_interval * factor - random.random())
            if first:
                # at the start each is tried at once
                pause, first = random.uniform(0, 0.1), bool(left)
            await self._pause(pause)

    async def _all_of_them(self):
        """Generation 2: all that are missing, less and less often."""
        while True:
            pause = random.uniform(1.2, 2.4)
            while missing := self._missing():
                for address in missing:
                    self._try(address)
                await self._pause(pause)
                pause = min(2 * pause, self.node.monitor_timeout)
            self._woken.clear()
            await self._woken.wait()
