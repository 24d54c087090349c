"""A Ray of the study's own, on this machine."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable

from ray_contract import NODE_LABEL, OBJECT_STORE_BYTES, SLOT_RESOURCE
from sweep.errors import SweepError
from sweep.executors.ray.nodes import ClusterSnapshot, head, living_nodes
from sweep.executors.ray.setup import GcsClient, JobConfig, RayError, RayletEnded, init, shut_down
from sweep.executors.ray.start_errors import why_not_started
from sweep.vocabulary.own_packages import ROOT

POLL_EVERY_S = 5.0
"""How often to ask whether our own Ray is still alive."""

STARTS = 3
"""How often Ray is started where its raylet ends, as on a machine that is busy for a moment."""


class _OwnCodeFirst(list[str]):
    """Folders that Ray's workers put before their path one by one: ours last, and so before all others.

    Ray adds the folder of the command, where a user's sweep.py may lie.
    """

    def extend(self, folders: Iterable[str]) -> None:
        super().extend([*folders, str(ROOT)])


class OwnRayCluster:
    """One node on this machine, started for this study."""

    notices_s = 0.0
    _head: GcsClient

    def __init__(self, slots: int, gpus: int, *, dashboard: bool = True) -> None:
        self.slots = slots
        self._gpus = gpus
        self._dashboard = dashboard
        self._polled = -POLL_EVERY_S

    def start(self) -> None:
        for left in reversed(range(STARTS)):
            try:
                self._start()
                break
            except Exception as error:  # Ray raises a bare one where it is too slow to start
                shut_down()
                if not isinstance(error, RayletEnded) or not left:
                    said = why_not_started(error)
                    raise SweepError(f"Ray did not start on this machine: {said}") from error
        self._polled = -POLL_EVERY_S

    def _start(self) -> None:
        init(
            address="local",
            num_cpus=self.slots,
            num_gpus=self._gpus,
            resources={SLOT_RESOURCE: float(self.slots)},
            labels={NODE_LABEL: "slot"},
            object_store_memory=OBJECT_STORE_BYTES,
            include_dashboard=self._dashboard,
            job_config=JobConfig(_py_driver_sys_path=_OwnCodeFirst([str(ROOT)])),
            log_to_driver=False,
            logging_level=logging.ERROR,
            namespace="sweep",
        )
        self._head = head()

    def poll(self, since: float | None) -> ClusterSnapshot | None:
        now = time.monotonic()
        if since is None and now - self._polled < POLL_EVERY_S:
            return None
        self._polled = now
        try:
            return ClusterSnapshot(living_nodes(self._head), now)
        except RayError:
            return ClusterSnapshot({}, now)

    def restart(self) -> bool:
        shut_down()
        self.start()
        return True

    def close(self) -> None:
        shut_down()
