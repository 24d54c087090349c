"""A cluster that is up, joined by a driver on one of its nodes; which of its nodes a study may use."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping

from sweep.errors import SweepError
from sweep.executors.cluster import Cluster
from sweep.executors.packaging import StudyPackage
from sweep.executors.ray.nodes import ClusterSnapshot, RayNode, first_line, head, living_nodes
from sweep.executors.ray.setup import GcsClient, RayError, init, ray

POLL_EVERY_S = 2.0
"""How often a cluster is asked which nodes it has."""

COMES_S = 30.0
"""How long a study waits for the first node that it may use."""

NOT_UP = "is not up"

UNANSWERED_S = 40.0
"""How long a cluster's head may not answer before the study ends; after a minute Ray ends this process.

To end took 10 s more where that was measured: what is asked of the head has deadlines of its own.
"""

ANOTHER_HEAD = "WrongClusterID"
"""What Ray says where its head is another one than the study joined."""


class JoinedRayCluster:
    """A cluster that is up; a thread asks for its nodes, so that no wait for its head holds up the driver."""

    notices_s = 20.0
    _head: GcsClient

    def __init__(self, cluster: Cluster, package: StudyPackage) -> None:
        self.slots = cluster.slots
        self._cluster = cluster
        self._package = package
        self._reserves = {node.name: node.reserve_bytes for node in cluster.nodes}
        self._snapshot: ClusterSnapshot | None = None
        self._unusable: Mapping[str, str] = {}
        self._any_seen = self._is_another = False
        self._joined = self._answered = time.monotonic()
        self._wanted = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="nodes of the cluster", daemon=True)

    def start(self) -> None:
        cluster, runtime_env = self._cluster, self._package.runtime_env()
        try:
            init(
                address=cluster.address,
                _node_ip_address=cluster.own_ip,
                log_to_driver=False,
                logging_level=logging.ERROR,
                runtime_env=runtime_env,
            )
            self._head = head()
        except Exception as error:  # Ray's client raises many kinds where it cannot join
            ray.shutdown()
            raise SweepError(
                f"{cluster.file}: cannot join the cluster at {cluster.address}: {first_line(error)}. "
                f"Start it: python -m sweep cluster up {cluster.file}"
            ) from error
        self._joined = self._answered = time.monotonic()
        self._thread.start()

    def poll(self, since: float | None) -> ClusterSnapshot | None:
        snapshot = self._snapshot
        self._require_the_same_head()
        self._refuse_where_none_is_usable(snapshot)
        if since is not None and (snapshot is None or snapshot.began < since):
            self._wanted.set()
            return None
        self._snapshot = None  # the thread may have put a newer one there: it is seen 2 s later
        return snapshot

    def _require_the_same_head(self) -> None:
        file, address = self._cluster.file, self._cluster.address
        if self._is_another:
            raise SweepError(
                f"{file}: Ray's head at {address} was restarted, and this study's workers ended with the old "
                "one. Recorded results are safe; run the same command to resume"
            )
        if time.monotonic() - self._answered > UNANSWERED_S:
            raise SweepError(
                f"{file}: Ray's head at {address} has not answered for {UNANSWERED_S:.0f} s. Recorded "
                f"results are safe. Start it again (python -m sweep cluster up {file}) and run the same "
                "command to resume"
            )

    def _refuse_where_none_is_usable(self, snapshot: ClusterSnapshot | None) -> None:
        """At once where all are up; what is not up yet may come. Later in the study, all may leave."""
        self._any_seen = self._any_seen or (snapshot is not None and bool(snapshot.nodes))
        if self._any_seen or not self._unusable:
            return
        if NOT_UP in self._unusable.values() and time.monotonic() - self._joined < COMES_S:
            return
        needs = self._cluster.min_memory_bytes
        wanted = f"has {needs / 1e9:g} GB of memory (require.min_memory)" if needs else "is up"
        found = ", ".join(f"{name} {lack}" for name, lack in self._unusable.items())
        raise SweepError(
            f"{self._cluster.file}: no node that the study may use {wanted}: {found}. Require less, or start "
            f"what is missing: python -m sweep cluster up {self._cluster.file}"
        )

    def restart(self) -> bool:
        return False

    def close(self) -> None:
        self._ended.set()
        self._wanted.set()
        if self._thread.is_alive():
            self._thread.join(timeout=2.0)
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
        """The node's memory with what its user keeps: that is how a Mac's memory is spoken of."""
        return node.memory_bytes and node.memory_bytes + self._reserves.get(node.name, 0)

    def _watch(self) -> None:
        while not self._ended.is_set():
            began = time.monotonic()
            try:
                found = living_nodes(self._head)
            except RayError as error:  # `poll` raises when this lasts too long
                self._is_another |= ANOTHER_HEAD in str(error)
            else:
                self._snapshot = ClusterSnapshot(self._usable(found), began)
                self._answered = time.monotonic()
            self._wanted.wait(POLL_EVERY_S)
            self._wanted.clear()
