"""A cluster that is up, joined by a driver on one of its nodes; which of its nodes a study may use."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping

from sweep.errors import SweepError
from sweep.executors.packaging import Luggage
from sweep.executors.ray.cluster import Cluster
from sweep.executors.ray.nodes import RayNode, Sight, first_line, head, living_nodes
from sweep.executors.ray.setup import GcsClient, RayError, init, ray

WATCH_EVERY_S = 2.0
"""How often a cluster is asked which nodes it has."""

COMES_S = 30.0
"""How long a study waits for the first node that it may use."""

NOT_UP = "is not up"

UNANSWERED_S = 45.0
"""How long a cluster's head may not answer before the study ends; after a minute Ray ends this process."""

ANOTHER_HEAD = "WrongClusterID"
"""What Ray says where its head is another one than the study joined."""


class JoinedRay:
    """A cluster that is up; a thread looks at its nodes, so that no wait for its head holds up the driver."""

    notices_s = 20.0
    _head: GcsClient

    def __init__(self, cluster: Cluster, luggage: Luggage) -> None:
        self.slots = cluster.slots
        self._cluster = cluster
        self._luggage = luggage
        self._reserves = {node.name: node.reserve_bytes for node in cluster.nodes}
        self._sight: Sight | None = None
        self._unusable: Mapping[str, str] = {}
        self._any_seen = self._is_another = False
        self._joined = self._answered = time.monotonic()
        self._wanted = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="nodes of the cluster", daemon=True)

    def start(self) -> None:
        cluster, runtime_env = self._cluster, self._luggage.runtime_env()
        try:
            init(
                address=cluster.address,
                _node_ip_address=cluster.own_ip,
                log_to_driver=False,
                logging_level=logging.ERROR,
                runtime_env=runtime_env,
            )
            self._head = head()
        except Exception as error:  # whatever keeps Ray's client from joining, it says by many kinds
            ray.shutdown()
            raise SweepError(
                f"{cluster.file}: the cluster at {cluster.address} cannot be joined: {first_line(error)}; "
                f"type: python -m sweep cluster up {cluster.file}"
            ) from error
        self._joined = self._answered = time.monotonic()
        self._thread.start()

    def look(self, since: float | None) -> Sight | None:
        sight = self._sight
        if self._is_another:
            raise SweepError(
                f"{self._cluster.file}: Ray's head at {self._cluster.address} was started anew, and this "
                "study's workers ended with the old one; what was recorded is safe, the same command goes on"
            )
        if time.monotonic() - self._answered > UNANSWERED_S:
            raise SweepError(
                f"{self._cluster.file}: Ray's head at {self._cluster.address} has not answered for "
                f"{UNANSWERED_S:.0f} s; what was recorded is safe: bring it up again (python -m sweep "
                f"cluster up {self._cluster.file}), and the same command goes on"
            )
        self._refuse_where_none_is_usable(sight)
        if since is not None and (sight is None or sight.began < since):
            self._wanted.set()
            return None
        self._sight = None  # the thread may have put a newer one there: then that is seen 2 s later
        return sight

    def _refuse_where_none_is_usable(self, sight: Sight | None) -> None:
        """At once where all are up; what is not up yet may come. Later in the study, whatever left may."""
        self._any_seen = self._any_seen or (sight is not None and bool(sight.nodes))
        if self._any_seen or not self._unusable:
            return
        if NOT_UP in self._unusable.values() and time.monotonic() - self._joined < COMES_S:
            return
        needs = self._cluster.min_memory_bytes
        wanted = f"has {needs / 1e9:g} GB of memory (require.min_memory)" if needs else "is up"
        found = ", ".join(f"{name} {lack}" for name, lack in self._unusable.items())
        raise SweepError(
            f"{self._cluster.file}: no node that the study may use {wanted}: {found}; require less, or bring "
            f"up what is missing: python -m sweep cluster up {self._cluster.file}"
        )

    def restart(self) -> bool:
        return False

    def close(self) -> None:
        self._ended.set()
        self._wanted.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5.0)
        ray.shutdown()

    def _usable(self, found: Mapping[str, RayNode]) -> dict[str, RayNode]:
        known = {
            id: node
            for id, node in found.items()
            if node.name in self._reserves or self._cluster.takes_others
        }
        memory = {node.name: self._all_memory(node) for node in known.values()}
        unfit = self._cluster.unfit(memory)
        if len(unfit) == len(known):
            up = {node.name for node in known.values()}
            self._unusable = {**unfit, **{name: NOT_UP for name in self._reserves if name not in up}}
        return {id: node for id, node in known.items() if node.name not in unfit}

    def _all_memory(self, node: RayNode) -> int:
        """What its user keeps included: that is how a Mac's memory is spoken of."""
        return node.memory_bytes and node.memory_bytes + self._reserves.get(node.name, 0)

    def _watch(self) -> None:
        while not self._ended.is_set():
            began = time.monotonic()
            try:
                found = living_nodes(self._head)
            except RayError as error:  # `look` says when this has gone on for too long
                self._is_another |= ANOTHER_HEAD in str(error)
            else:
                self._sight, self._answered = Sight(self._usable(found), began), time.monotonic()
            self._wanted.wait(WATCH_EVERY_S)
            self._wanted.clear()
