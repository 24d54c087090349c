"""A Ray of the study's own, on this machine."""

from __future__ import annotations

import logging
import time

from sweep.errors import SweepError
from sweep.executors.ray.nodes import NODE_LABEL, SLOT_RESOURCE, Sight, head, living_nodes
from sweep.executors.ray.setup import GcsClient, RayError, init, ray

OBJECT_STORE_BYTES = 256 * 1024 * 1024
"""Checkpoints travel in chunks, so the store holds little."""

LOOK_EVERY_S = 5.0
"""How often it is looked whether our own Ray still lives."""


class OwnRay:
    """One node on this machine, started for this study."""

    notices_s = 0.0
    _head: GcsClient

    def __init__(self, slots: int, gpus: int) -> None:
        self.slots = slots
        self._gpus = gpus
        self._looked = -LOOK_EVERY_S

    def start(self) -> None:
        try:
            init(
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
            self._head = head()
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
            return Sight(living_nodes(self._head), now)
        except RayError:
            return Sight({}, now)

    def restart(self) -> bool:
        ray.shutdown()
        self.start()
        return True

    def close(self) -> None:
        ray.shutdown()
