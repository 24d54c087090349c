"""`executor: ray` in a study file: makes a RayExecutor, and imports Ray no sooner than it must."""

from __future__ import annotations

import os
from dataclasses import replace
from importlib import import_module
from threading import Thread

from sweep.executors.base import Assignment, Executor, Traits
from sweep.executors.cluster import Cluster


class RayFactory:
    """Workers as Ray actors: on this machine, or on the cluster that the study names."""

    traits = Traits(uses_cluster=True, has_dashboard=True)

    def __init__(self, dashboard: bool = True) -> None:
        """`dashboard` False starts this machine's Ray without its dashboard, in less time and memory.

        A cluster's head has the dashboard that it was started with.
        """
        self._dashboard = dashboard

    def prepare(self, cluster: Cluster | None) -> None:
        """Begin to import Ray: that takes as long as to look at a small task.

        Ray reads its environment as it is imported. Without a cluster it must stay on loopback, whatever the
        shell has set.
        """
        os.environ.update(
            {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"} if cluster is None else cluster.environment
        )
        Thread(target=import_module, args=("sweep.executors.ray.executor",), daemon=True).start()

    def make(self, assignment: Assignment) -> Executor:
        from sweep.executors.packaging import StudyPackage
        from sweep.executors.ray.executor import RayExecutor
        from sweep.executors.ray.joined import JoinedRayCluster
        from sweep.executors.ray.own import OwnRayCluster
        from sweep.executors.ray.owners import Owners
        from sweep.executors.ray.seats import seat_of

        settings, study = assignment.settings, assignment.study
        if assignment.cluster is None:
            own = OwnRayCluster(assignment.slots, assignment.gpus, dashboard=self._dashboard)
            return RayExecutor(settings, own, name=study, seat=seat_of(assignment))
        folder = assignment.folder.resolve()
        package = StudyPackage(folder, (folder / "runs", assignment.runs))
        there = replace(settings, task=replace(settings.task, folder="."))
        joined = JoinedRayCluster(assignment.cluster, package)
        owners = Owners(assignment.cluster.owner_rules)
        return RayExecutor(there, joined, name=study, seat=seat_of(assignment), owners=owners)
