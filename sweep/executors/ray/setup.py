"""Ray, imported once and with its settings in place: some are read at import. The only importer of ray."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ray_contract import ENVIRONMENT

# What the shell, or a cluster, has set stays.
os.environ.update(
    {
        **ENVIRONMENT,
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # a cluster sets "1"; without one Ray stays on loopback
        "RAY_RUNTIME_ENV_IGNORE_GITIGNORE": "1",  # the study's folder is sent whole: git often ignores data
        "RAY_gcs_server_port_wait_time_s": "120",  # 30 s are too few on a busy machine
        "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # we report what happens to nodes and workers ourselves
        **os.environ,
    }
)

import ray as ray
from ray._private.ray_constants import PROCESS_TYPE_GCS_SERVER, PROCESS_TYPE_RAYLET, PROCESS_TYPE_REAPER
from ray._raylet import GcsClient as GcsClient  # type: ignore[attr-defined]  # its types lack both
from ray._raylet import setproctitle as setproctitle  # type: ignore[attr-defined]
from ray.exceptions import ActorUnavailableError as ActorUnavailableError
from ray.exceptions import RayActorError as RayActorError
from ray.exceptions import RayError as RayError
from ray.exceptions import RayTaskError as RayTaskError
from ray.job_config import JobConfig as JobConfig
from ray.util.metrics import Counter as Counter
from ray.util.metrics import Gauge as Gauge
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as NodeAffinitySchedulingStrategy

START_S = 180.0
"""How long a node may take to start. Ray gives it 30 s, which are too few on a busy machine."""


class RayletEnded(Exception):
    """A node's raylet ended as it started: it waits 15 s for a process that a busy machine delays."""


def init(**options: Any) -> Any:
    """`ray.init`, with this process's signal handlers and its process group kept.

    Ray replaces the handler of SIGTERM each time, even where its own is there already. An interruption ends
    it: what it had started by then ends with this process.
    """
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    handlers = {number: signal.getsignal(number) for number in numbers}
    try:
        with (
            _processes_in_a_group_of_their_own(),
            _without_idle_processes(dashboard=options.get("include_dashboard") is not False),
            _without_servers_libraries(),
            _with_time_to_start(),
        ):
            return ray.init(**options)
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in handlers.items():
                if handler is not None:
                    signal.signal(number, handler)


@contextmanager
def _without_idle_processes(*, dashboard: bool) -> Iterator[None]:
    """Start no process that carries workers' output, which is not read here, nor one for a cloud's nodes.

    Nor, without a dashboard, what is left of its server. `ray start` has options for the first two,
    `ray.init` has not; each takes a second of the processor to start.
    """
    node: Any = ray._private.node.Node
    idle = ("start_log_monitor", "start_monitor", *(() if dashboard else ("start_api_server",)))
    kept = {name: getattr(node, name) for name in idle}
    for name in kept:
        setattr(node, name, lambda self, **_: None)
    try:
        yield
    finally:
        for name, method in kept.items():
            setattr(node, name, method)


@contextmanager
def _without_servers_libraries() -> Iterator[None]:
    """Do not import what Ray's dashboard is made of, to see whether it is there: we require `ray[default]`.

    It takes a fifth of a second, and 23 MB for as long as the study runs.
    """
    utils: Any = ray._private.utils
    kept = utils.get_dashboard_dependency_error
    utils.get_dashboard_dependency_error = lambda: None
    try:
        yield
    finally:
        utils.get_dashboard_dependency_error = kept


@contextmanager
def _with_time_to_start() -> Iterator[None]:
    """Have Ray wait for a node that it starts until START_S, or raise RayletEnded once that is in vain."""
    services: Any = ray._private.services
    node: Any = ray._private.node.Node
    start, look = node.start_ray_processes, services.get_node
    starting: list[Any] = []
    deadline = time.monotonic() + START_S

    def noted(self: Any) -> None:
        starting.append(self)
        start(self)

    def patient(*arguments: Any) -> Any:
        while True:
            try:
                return look(*arguments)
            except RuntimeError as error:  # it is not there yet
                if not starting or time.monotonic() > deadline:
                    raise
                if any(
                    each.process.poll() is not None for each in starting[0].all_processes[PROCESS_TYPE_RAYLET]
                ):
                    starting[0].kill_all_processes(check_alive=False)
                    raise RayletEnded("its raylet timed out, or broke, as it started") from error
            time.sleep(0.1)

    node.start_ray_processes, services.get_node = noted, patient
    try:
        yield
    finally:
        node.start_ray_processes, services.get_node = start, look


def shut_down() -> None:
    """`ray.shutdown`, of a Ray that was started here and holds nothing that outlasts the study.

    Ray asks one process after another to end and waits a second for each that does not. Only those that end
    others are asked: the raylet ends its workers.
    """
    node = ray._private.worker._global_node
    processes: dict[str, Any] = dict(node.all_processes) if node is not None else {}
    for kind in processes.keys() - {PROCESS_TYPE_RAYLET, PROCESS_TYPE_GCS_SERVER, PROCESS_TYPE_REAPER}:
        for each in processes[kind]:
            each.process.kill()
    ray.shutdown()


@contextmanager
def _processes_in_a_group_of_their_own() -> Iterator[None]:
    """Have Ray's processes form a process group, as they do on macOS, but without the process that calls Ray.

    There the kernel ends no process with its parent, so Ray starts one that ends its own group once its
    caller is gone, and makes its caller the leader of that group before. But a terminal sends Ctrl-C to the
    group in front, which is that of `make`, `uv run` or a script: the caller must stay in it, all the time.
    """
    services: Any = ray._private.services
    utils: Any = ray._private.utils
    if utils.detect_fate_sharing_support():
        yield
        return
    plain, setpgrp = services.ConsolePopen, os.setpgrp
    leader: list[int] = []

    def start(*arguments: Any, **options: Any) -> Any:
        process = plain(*arguments, process_group=leader[0] if leader else 0, **options)
        leader.append(process.pid)  # the first is the one that ends the others
        return process

    services.ConsolePopen, os.setpgrp = start, lambda: None
    try:
        yield
    finally:
        services.ConsolePopen, os.setpgrp = plain, setpgrp
