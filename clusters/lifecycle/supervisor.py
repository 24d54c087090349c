"""The process that keeps a cluster up: `python -m clusters.lifecycle.supervisor LAB`, from `up` until `down`.

It runs where `up` was typed, detached from its terminal. SIGHUP: read the inventory again and retry what
is not up. SIGTERM: let go of all nodes, wait until Ray has ended on them, and end.
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
from clusters.lifecycle.session import Head, NodeSession
from clusters.lifecycle.states import NodeProgress, SupervisorState


def identity(inventory: Inventory) -> str:
    """This supervisor's name: tells it from those of other machines and users."""
    return f"{getpass.getuser()}@{platform.node()}:{states.folder(inventory)}"


class Supervisor:
    """A session for every node of the inventory."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._head = Head()
        folder = states.folder(inventory)
        self._authority = authority(folder, inventory.name) if inventory.tls else None
        self._sessions: dict[str, NodeSession] = {}
        self._states: dict[str, NodeProgress] = {}
        self._round = 0
        self._lock = threading.Lock()

    def take_in(self, inventory: Inventory) -> None:
        """Follow the inventory: start sessions for new nodes, end those of removed ones, retry the others."""
        same = {node.name for node in inventory.nodes if self._is_held_as(node)}
        self._let_go([name for name in self._sessions if name not in same])
        self._inventory = inventory
        self._round += 1
        for session in self._sessions.values():
            session.round = self._round
            session.wake()
        self._write()
        for node in inventory.nodes:
            if node.name not in same:
                by = identity(inventory)
                session = NodeSession(
                    inventory, node, self._head, by=by, authority=self._authority, say=self._say
                )
                session.round = self._round
                self._sessions[node.name] = session
                session.start()

    def leave(self) -> None:
        """End all sessions, and wait until Ray has ended on the nodes."""
        self._let_go(list(self._sessions))
        self._write()

    def _is_held_as(self, node: Node) -> bool:
        """Whether a node's session runs with the same values; its tags do not matter to it."""
        if node.name not in self._sessions:
            return False
        held = self._sessions[node.name].node
        return (held.ssh, held.ip, held.slots, held.reserve_bytes) == (
            node.ssh,
            node.ip,
            node.slots,
            node.reserve_bytes,
        )

    def _let_go(self, names: list[str]) -> None:
        for name in names:
            self._sessions[name].leave()
        for name in names:
            self._sessions.pop(name).join()
            with self._lock:
                self._states.pop(name, None)

    def _say(self, state: NodeProgress) -> None:
        with self._lock:
            self._states[state.node] = state
        self._write()

    def _write(self) -> None:
        with self._lock:
            inventory = self._inventory
            kept = SupervisorState(
                os.getpid(),
                str(inventory.file),
                states.fixed(inventory),
                self._round,
                tuple(self._states[node.name] for node in inventory.nodes if node.name in self._states),
            )
            states.write(inventory, kept)


def main() -> int:
    """Keep the cluster up until SIGTERM."""
    parser = argparse.ArgumentParser(
        description="Keeps a cluster up; started by `python -m sweep cluster up`."
    )
    parser.add_argument("inventory", type=Path)
    arguments = parser.parse_args()
    inventory = with_addresses(load(arguments.inventory))
    os.umask(0o077)
    states.folder(inventory).mkdir(parents=True, exist_ok=True)
    with states.supervisor_lock(inventory).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return 0  # another one has just been started
        signals: queue.SimpleQueue[int] = queue.SimpleQueue()
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda number, frame: signals.put(number))
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        supervisor = Supervisor(inventory)
        supervisor.take_in(inventory)
        while signals.get() != signal.SIGTERM:
            try:
                supervisor.take_in(with_addresses(load(arguments.inventory)))
            except ClusterError as error:
                print(error, file=sys.stderr, flush=True)
        supervisor.leave()
    return 0


if __name__ == "__main__":
    sys.exit(main())
