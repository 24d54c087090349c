"""The Ray that a study runs on: one of its own on this machine, or a cluster that is up; and its nodes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from sweep.cluster import Cluster
from sweep.errors import SweepError
from sweep.executors import travelling
from sweep.executors.ray_setup import RayError, ray

OBJECT_STORE_BYTES = 256 * 1024 * 1024
"""Checkpoints travel in chunks, so the store holds little."""

SLOT_RESOURCE = "mlx_slot"
NODE_LABEL = "sweep.node"

LOOK_EVERY_S = 5.0
"""How often it is looked whether our own Ray still lives."""

WATCH_EVERY_S = 2.0
"""How often a cluster is asked which nodes it has."""

UNANSWERED_S = 60.0
"""How long a cluster's head may not answer before the study ends."""


class RayNode(NamedTuple):
    """A node that lives, as Ray has it: `id` is of this life of it, `name` stays."""

    id: str
    name: str
    slots: int
    gpus: float
    reserve_bytes: int = 0


@dataclass(frozen=True)
class Sight:
    """All nodes with slots that live, by id, as they were at some moment after `began`."""

    nodes: Mapping[str, RayNode]
    began: float


class Home(Protocol):
    """A Ray to run on; within `notices_s` it is noticed that a node has left."""

    slots: int
    notices_s: float

    def start(self) -> None:
        """Have it there, and be its driver. Raises SweepError."""

    def look(self, since: float | None) -> Sight | None:
        """A sight that was not given before, begun after `since` where that is asked for, if there is one."""

    def restart(self) -> bool:
        """Start anew where no node lives; False where that is not ours to do."""

    def close(self) -> None: ...


class OwnRay:
    """One node on this machine, started for this study."""

    notices_s = 0.0

    def __init__(self, slots: int, gpus: int) -> None:
        self.slots = slots
        self._gpus = gpus
        self._looked = -LOOK_EVERY_S

    def start(self) -> None:
        try:
            ray.init(
                address="local",
                num_cpus=self.slots,
                num_gpus=self._gpus,
                resources={SLOT_RESOURCE: float(self.slots)},
                labels={NODE_LABEL: "slot"},
                object_store_memory=OBJECT_STORE_BYTES,
                include_dashboard=True,
                log_to_driver=False,
                logging_level=logging.ERROR,
                namespace="sweep",
            )
        except Exception as error:  # Ray raises a bare one where it is too slow to start
            ray.shutdown()
            raise SweepError(
                f"Ray did not start on this machine: {error}; where the machine is very busy, wait and run "
                "the same command again"
            ) from error
        self._looked = -LOOK_EVERY_S

    def look(self, since: float | None) -> Sight | None:
        now = time.monotonic()
        if since is None and now - self._looked < LOOK_EVERY_S:
            return None
        self._looked = now
        try:
            return Sight(living_nodes(), now)
        except (RayError, RuntimeError, OSError):
            return Sight({}, now)

    def restart(self) -> bool:
        ray.shutdown()
        self.start()
        return True

    def close(self) -> None:
        ray.shutdown()


class JoinedRay:
    """A cluster that is up; a thread looks at its nodes, so that no wait for its head holds up the driver."""

    notices_s = 20.0

    def __init__(self, cluster: Cluster, luggage: travelling.Luggage) -> None:
        self.slots = cluster.slots
        self._cluster = cluster
        self._luggage = luggage
        self._reserves = {node.name: node.reserve_bytes for node in cluster.nodes}
        self._sight: Sight | None = None
        self._answered = time.monotonic()
        self._wanted = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="nodes of the cluster", daemon=True)

    def start(self) -> None:
        cluster = self._cluster
        try:
            ray.init(
                address=cluster.address,
                _node_ip_address=cluster.own_ip,
                log_to_driver=False,
                logging_level=logging.ERROR,
                runtime_env=self._luggage.runtime_env(),
            )
        except Exception as error:  # whatever keeps Ray's client from joining, it says by many kinds
            ray.shutdown()
            raise SweepError(
                f"{cluster.file}: the cluster at {cluster.address} cannot be joined: {first_line(error)}; "
                f"type: python -m sweep cluster up {cluster.file}"
            ) from error
        self._answered = time.monotonic()
        self._thread.start()

    def look(self, since: float | None) -> Sight | None:
        sight = self._sight
        if time.monotonic() - self._answered > UNANSWERED_S:
            raise SweepError(
                f"{self._cluster.file}: Ray's head at {self._cluster.address} has not answered for "
                f"{UNANSWERED_S:.0f} s; what was recorded is safe: bring it up again (python -m sweep "
                f"cluster up {self._cluster.file}), and the same command goes on"
            )
        if since is not None and (sight is None or sight.began < since):
            self._wanted.set()
            return None
        self._sight = None  # the thread may have put a newer one there: then that is seen 2 s later
        return sight

    def restart(self) -> bool:
        return False

    def close(self) -> None:
        self._ended.set()
        self._wanted.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5.0)
        ray.shutdown()

    def _watch(self) -> None:
        while not self._ended.is_set():
            began = time.monotonic()
            try:
                found = living_nodes()
            except (RayError, RuntimeError, OSError):
                pass  # `look` says when this has gone on for too long
            else:
                usable = {
                    id: node._replace(reserve_bytes=self._reserves[node.name])
                    for id, node in found.items()
                    if node.name in self._reserves
                }
                self._sight, self._answered = Sight(usable, began), time.monotonic()
            self._wanted.wait(WATCH_EVERY_S)
            self._wanted.clear()


def living_nodes() -> dict[str, RayNode]:
    """Ray's nodes that live and have slots, by id. Raises what Ray raises where its head does not answer."""
    table: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    nodes = [
        RayNode(
            entry["NodeID"],
            entry.get("Labels", {}).get(NODE_LABEL) or entry["NodeManagerHostname"],
            int(entry["Resources"].get(SLOT_RESOURCE, 0)),
            entry["Resources"].get("GPU", 0.0),
        )
        for entry in table
        if entry["Alive"]
    ]
    return {node.id: node for node in nodes if node.slots}


def first_line(error: BaseException) -> str:
    """What an error says first, or its kind."""
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    return lines[0].strip() if lines else type(error).__name__
