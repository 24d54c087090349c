"""`up` and `down` as they are typed: the keeper is started, woken or ended, and its work waited for.

Where nodes are held by daemons there is no keeper (daemons); `down` ends whatever it finds on a node.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from clusters import paths
from clusters.ask import ask
from clusters.connection import is_held
from clusters.errors import ClusterError
from clusters.inventory import Inventory, Node
from clusters.lifecycle import daemons, joining, states
from clusters.lifecycle.keeper import identity
from clusters.lifecycle.states import Kept, NodeState, Phase
from clusters.remote import on_all

UP_S = 240.0
LEAVE_S = 60.0
STOP_S = 180.0
LOOK_EVERY_S = 0.1


@dataclass(frozen=True)
class Ended:
    """What `down` found on a node: whether Ray was up there, and what is wrong where it still is."""

    node: str
    was_up: bool
    error: str = ""


def up(inventory: Inventory, say: Callable[[NodeState], None]) -> list[NodeState]:
    """Bring up what is not up, and say of each node what came of it, as it comes.

    Raises ClusterError where nothing can be brought up as things stand.
    """
    if inventory.hold == "daemon":
        if is_held(states.keeper_lock(inventory)):
            raise ClusterError(
                f"{inventory.file}: the cluster `{inventory.name}` is held by SSH from here; "
                f"type: {joining.verb(inventory, 'down')}, then up again"
            )
        return daemons.up(inventory, say)
    before, started = _kept(inventory), None
    if before is None:
        daemons.require_none(inventory)
        started = _start_keeper(inventory)
    else:
        _require_same(inventory, before)
        os.kill(before.pid, signal.SIGHUP)
    said: dict[str, NodeState] = {}
    deadline = time.monotonic() + UP_S
    while len(said) < len(inventory.nodes):
        time.sleep(LOOK_EVERY_S)
        for state in _settled(inventory, before.round if before else 0):
            if state.node not in said:
                said[state.node] = state
                say(state)
        _require_time(inventory, deadline)
        _require_keeper(inventory, started)
    return [said[node.name] for node in inventory.nodes]


def down(inventory: Inventory) -> list[Ended]:
    """End what `up` started, on all nodes. Raises ClusterError where the keeper does not end."""
    kept = _kept(inventory)
    was_up = {state.node for state in kept.nodes if state.phase is Phase.UP} if kept else set()
    if kept is not None:
        os.kill(kept.pid, signal.SIGTERM)
        deadline = time.monotonic() + LEAVE_S
        while is_held(states.keeper_lock(inventory)):
            if time.monotonic() > deadline:
                log = states.keeper_log(inventory)
                raise ClusterError(f"the keeper (process {kept.pid}) does not end; look into {log}")
            time.sleep(LOOK_EVERY_S)
    left, lost = on_all(inventory.nodes, lambda node: _stop(inventory, node))
    found = {**left, **{name: Ended(name, name in was_up, str(error)) for name, error in lost.items()}}
    return [
        Ended(node.name, found[node.name].was_up or node.name in was_up, found[node.name].error)
        for node in inventory.nodes
    ]


def _kept(inventory: Inventory) -> Kept | None:
    """What the keeper says, where it lives."""
    if not is_held(states.keeper_lock(inventory)):
        return None
    deadline = time.monotonic() + LEAVE_S
    while True:
        kept = states.read(inventory)
        if kept is not None and is_held(states.keeper_lock(inventory)):
            return kept
        _require_time(inventory, deadline)
        time.sleep(LOOK_EVERY_S)


def _start_keeper(inventory: Inventory) -> subprocess.Popen[bytes]:
    """A process of its own session, so that it outlives this terminal."""
    folder = states.folder(inventory)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    (folder / "keeper.json").unlink(missing_ok=True)
    packages = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([packages, os.environ.get("PYTHONPATH", "")])}
    with states.keeper_log(inventory).open("w") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "clusters.lifecycle.keeper", str(inventory.file.resolve())],
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _require_same(inventory: Inventory, kept: Kept) -> None:
    """Nothing has changed that holds for all nodes. Raises ClusterError."""
    if Path(kept.inventory) != inventory.file.resolve():
        raise ClusterError(
            f"{inventory.file}: the cluster `{inventory.name}` is up from {kept.inventory}; give this one "
            f"another `name`, or type: python -m sweep cluster down {kept.inventory}"
        )
    if kept.fixed != states.fixed(inventory):
        raise ClusterError(
            f"{inventory.file}: head, ports, environment or auth differ from what is up; "
            f"type: python -m sweep cluster down {inventory.file}, then up again"
        )


def _settled(inventory: Inventory, before: int) -> list[NodeState]:
    """The nodes of which is known what came of this `up`, the round after `before`."""
    kept = states.read(inventory)
    if kept is None or kept.round <= before:
        return []
    failed = {state.node for state in kept.nodes if state.phase is Phase.FAILED and state.round > before}
    head = inventory.head.name
    saw, cure = f"waits for {head}, the head", f"mend {head} first"
    return [
        replace(state, phase=Phase.FAILED, saw=saw, cure=cure) if state.phase is Phase.WAITING else state
        for state in kept.nodes
        if state.phase is Phase.UP
        or state.node in failed
        or (state.phase is Phase.WAITING and head in failed)
    ]


def _require_keeper(inventory: Inventory, started: subprocess.Popen[bytes] | None) -> None:
    """It lives, or is about to. Raises ClusterError with what it said."""
    if (started is None or started.poll() is not None) and not is_held(states.keeper_lock(inventory)):
        log = states.keeper_log(inventory)
        last = (log.read_text().strip().splitlines() or ["nothing said"])[-1]
        raise ClusterError(f"the keeper, which holds the nodes, ended: {last}; look into {log}")


def _require_time(inventory: Inventory, deadline: float) -> None:
    log = states.keeper_log(inventory)
    if time.monotonic() > deadline:
        raise ClusterError(f"not all nodes were up within {UP_S:.0f} s; look into {log}")


def _stop(inventory: Inventory, node: Node) -> Ended:
    told = {"lock": paths.lock(inventory), "by": identity(inventory), **paths.service(inventory)}
    said = ask(inventory, node, "stop", told, deadline_s=STOP_S)
    error = ""
    if "held_by" in said:
        error = f"{node.name}: its lock: held from {said['held_by']}; type down there"
    elif not said.get("ended", True):
        cure = f"on {node.name}: lsof {paths.lock(inventory)} says by which process"
        error = f"{node.name}: its Ray: does not end; {cure}"
    elif "script" in said:
        typed = daemons.as_root(inventory, node, said["script"])
        why = said.get("refused") or said["failed"]
        error = f"{node.name}: its service: stays, and does nothing: {why}; to remove it: {typed}"
    return Ended(node.name, said["was_up"], error)
