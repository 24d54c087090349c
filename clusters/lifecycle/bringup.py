"""`up` and `down`: start, wake or stop the supervisor, and wait for its work.

Where nodes are held by daemons there is no supervisor (daemons); `down` stops whichever it finds on a node.
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
from clusters.lifecycle.states import NodeProgress, Phase, SupervisorState
from clusters.lifecycle.supervisor import identity
from clusters.remote import on_all

UP_S = 240.0
LEAVE_S = 60.0
STOP_S = 180.0
LOOK_EVERY_S = 0.1


@dataclass(frozen=True)
class Ended:
    """What `down` found on a node: whether Ray was up, and why it still is where it could not be stopped."""

    node: str
    was_up: bool
    error: str = ""


def up(inventory: Inventory, say: Callable[[NodeProgress], None]) -> list[NodeProgress]:
    """Start what is not running, and report each node as soon as it is up or has failed.

    Raises ClusterError where nothing can be started.
    """
    if inventory.hold == "daemon":
        if is_held(states.supervisor_lock(inventory)):
            raise ClusterError(
                f"{inventory.file}: the cluster `{inventory.name}` is held over SSH from here; "
                f"run {joining.verb(inventory, 'down')}, then up again"
            )
        return daemons.up(inventory, say)
    before, started = _kept(inventory), None
    if before is None:
        daemons.require_none(inventory)
        started = _start_supervisor(inventory)
    else:
        _require_same(inventory, before)
        os.kill(before.pid, signal.SIGHUP)
    said: dict[str, NodeProgress] = {}
    deadline = time.monotonic() + UP_S
    while len(said) < len(inventory.nodes):
        time.sleep(LOOK_EVERY_S)
        for state in _settled(inventory, before.round if before else 0):
            if state.node not in said:
                said[state.node] = state
                say(state)
        _require_time(inventory, deadline)
        _require_supervisor(inventory, started)
    return [said[node.name] for node in inventory.nodes]


def down(inventory: Inventory) -> list[Ended]:
    """Stop what `up` started, on all nodes. Raises ClusterError where the supervisor does not stop."""
    kept = _kept(inventory)
    was_up = {state.node for state in kept.nodes if state.phase is Phase.UP} if kept else set()
    if kept is not None:
        os.kill(kept.pid, signal.SIGTERM)
        deadline = time.monotonic() + LEAVE_S
        while is_held(states.supervisor_lock(inventory)):
            if time.monotonic() > deadline:
                log = states.supervisor_log(inventory)
                raise ClusterError(f"the supervisor (process {kept.pid}) does not stop; see {log}")
            time.sleep(LOOK_EVERY_S)
    left, lost = on_all(inventory.nodes, lambda node: _stop(inventory, node))
    found = {**left, **{name: Ended(name, name in was_up, str(error)) for name, error in lost.items()}}
    return [
        Ended(node.name, found[node.name].was_up or node.name in was_up, found[node.name].error)
        for node in inventory.nodes
    ]


def _kept(inventory: Inventory) -> SupervisorState | None:
    """What the supervisor says, where one is running."""
    if not is_held(states.supervisor_lock(inventory)):
        return None
    deadline = time.monotonic() + LEAVE_S
    while True:
        kept = states.read(inventory)
        if kept is not None and is_held(states.supervisor_lock(inventory)):
            return kept
        _require_time(inventory, deadline)
        time.sleep(LOOK_EVERY_S)


def _start_supervisor(inventory: Inventory) -> subprocess.Popen[bytes]:
    """Start it in a session of its own, so that it outlives this terminal."""
    folder = states.folder(inventory)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    states.supervisor_state(inventory).unlink(missing_ok=True)
    packages = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([packages, os.environ.get("PYTHONPATH", "")])}
    with states.supervisor_log(inventory).open("w") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "clusters.lifecycle.supervisor", str(inventory.file.resolve())],
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _require_same(inventory: Inventory, kept: SupervisorState) -> None:
    """Raise ClusterError where something changed that must be the same on all nodes."""
    if Path(kept.inventory) != inventory.file.resolve():
        raise ClusterError(
            f"{inventory.file}: the cluster `{inventory.name}` is already up from {kept.inventory}. Give "
            f"this one another `name`, or run python -m sweep cluster down {kept.inventory}"
        )
    if kept.fixed != states.fixed(inventory):
        raise ClusterError(
            f"{inventory.file}: head, ports, environment or auth differ from the running cluster's; "
            f"run python -m sweep cluster down {inventory.file}, then up again"
        )


def _settled(inventory: Inventory, before: int) -> list[NodeProgress]:
    """The nodes that this `up`, the round after `before`, has decided on."""
    kept = states.read(inventory)
    if kept is None or kept.round <= before:
        return []
    failed = {state.node for state in kept.nodes if state.phase is Phase.FAILED and state.round > before}
    head = inventory.head.name
    saw, fix = f"waits for {head}, the head", f"fix {head} first"
    return [
        replace(state, phase=Phase.FAILED, saw=saw, fix=fix) if state.phase is Phase.WAITING else state
        for state in kept.nodes
        if state.phase is Phase.UP
        or state.node in failed
        or (state.phase is Phase.WAITING and head in failed)
    ]


def _require_supervisor(inventory: Inventory, started: subprocess.Popen[bytes] | None) -> None:
    """Raise ClusterError, with its last words, where it has ended."""
    if (started is None or started.poll() is not None) and not is_held(states.supervisor_lock(inventory)):
        log = states.supervisor_log(inventory)
        last = (log.read_text().strip().splitlines() or ["no output"])[-1]
        raise ClusterError(f"the supervisor, which keeps Ray up on the nodes, ended: {last}; see {log}")


def _require_time(inventory: Inventory, deadline: float) -> None:
    log = states.supervisor_log(inventory)
    if time.monotonic() > deadline:
        raise ClusterError(f"not all nodes were up within {UP_S:.0f} s; see {log}")


def _stop(inventory: Inventory, node: Node) -> Ended:
    config = {"lock": paths.lock(inventory), "by": identity(inventory), **paths.service(inventory)}
    said = ask(inventory, node, "lifecycle.stop", config, deadline_s=STOP_S)
    error = ""
    if "held_by" in said:
        error = f"{node.name}: its lock: held by {said['held_by']}; run down there"
    elif not said.get("ended", True):
        fix = f"see which process: on {node.name}, lsof {paths.lock(inventory)}"
        error = f"{node.name}: its Ray: does not stop; {fix}"
    elif "script" in said:
        typed = daemons.as_root(inventory, node, said["script"])
        why = said.get("refused") or said["failed"]
        error = f"{node.name}: its service: left installed and idle: {why}; to remove it, run {typed}"
    return Ended(node.name, said["was_up"], error)
