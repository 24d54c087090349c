"""The process that holds a cluster up: `python -m clusters.lifecycle.keeper LAB`, from `up`
until `down`.

It runs on the machine where `up` was typed, away from its terminal. SIGHUP: read the inventory again and
try at once what is not up. SIGTERM: let go of all nodes, wait until their Rays have ended, and end.
"""

from __future__ import annotations

import argparse
import fcntl
import getpass
import os
import platform
import queue
import signal
import sys
import threading
from pathlib import Path

from clusters.addresses import with_addresses
from clusters.errors import ClusterError
from clusters.inventory import Inventory, Node, load
from clusters.lifecycle import states
from clusters.lifecycle.certificates import authority
from clusters.lifecycle.hold import Head, Hold
from clusters.lifecycle.states import Kept, NodeState


def identity(inventory: Inventory) -> str:
    """Who holds the nodes: a keeper is told from those of other machines and users by it."""
    return f"{getpass.getuser()}@{platform.node()}:{states.folder(inventory)}"


class Keeper:
    """A hold for every node of the inventory."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._head = Head()
        folder = states.folder(inventory)
        self._authority = authority(folder, inventory.name) if inventory.tls else None
        self._holds: dict[str, Hold] = {}
        self._states: dict[str, NodeState] = {}
        self._round = 0
        self._lock = threading.Lock()

    def take_in(self, inventory: Inventory) -> None:
        """Hold what the inventory names, let go of what it no longer names, try at once what is not up."""
        same = {node.name for node in inventory.nodes if self._is_held_as(node)}
        self._let_go([name for name in self._holds if name not in same])
        self._inventory = inventory
        self._round += 1
        for hold in self._holds.values():
            hold.round = self._round
            hold.wake()
        self._write()
        for node in inventory.nodes:
            if node.name not in same:
                by = identity(inventory)
                hold = Hold(inventory, node, self._head, by=by, authority=self._authority, say=self._say)
                hold.round = self._round
                self._holds[node.name] = hold
                hold.start()

    def leave(self) -> None:
        """Let go of all nodes, and wait until that is done."""
        self._let_go(list(self._holds))
        self._write()

    def _is_held_as(self, node: Node) -> bool:
        """Whether a node is held just so; a change of its tags alone concerns nobody there."""
        if node.name not in self._holds:
            return False
        held = self._holds[node.name].node
        return (held.ssh, held.ip, held.slots, held.reserve_bytes) == (
            node.ssh,
            node.ip,
            node.slots,
            node.reserve_bytes,
        )

    def _let_go(self, names: list[str]) -> None:
        for name in names:
            self._holds[name].leave()
        for name in names:
            self._holds.pop(name).join()
            with self._lock:
                self._states.pop(name, None)

    def _say(self, state: NodeState) -> None:
        with self._lock:
            self._states[state.node] = state
        self._write()

    def _write(self) -> None:
        with self._lock:
            inventory = self._inventory
            kept = Kept(
                os.getpid(),
                str(inventory.file),
                states.fixed(inventory),
                self._round,
                tuple(self._states[node.name] for node in inventory.nodes if node.name in self._states),
            )
            states.write(inventory, kept)


def main() -> int:
    """Hold until told to leave."""
    parser = argparse.ArgumentParser(
        description="Holds a cluster up; started by `python -m sweep cluster up`."
    )
    parser.add_argument("inventory", type=Path)
    told = parser.parse_args()
    inventory = with_addresses(load(told.inventory))
    os.umask(0o077)
    states.folder(inventory).mkdir(parents=True, exist_ok=True)
    with states.keeper_lock(inventory).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return 0  # another one has just been started
        signals: queue.SimpleQueue[int] = queue.SimpleQueue()
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda number, frame: signals.put(number))
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        keeper = Keeper(inventory)
        keeper.take_in(inventory)
        while signals.get() != signal.SIGTERM:
            try:
                keeper.take_in(with_addresses(load(told.inventory)))
            except ClusterError as error:
                print(error, file=sys.stderr, flush=True)
        keeper.leave()
    return 0


if __name__ == "__main__":
    sys.exit(main())
