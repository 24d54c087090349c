"""Ray, imported once and with its settings in place: some are read at import. The only importer of ray."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from typing import Any

from ray_contract import ENVIRONMENT

# What the shell, or a cluster, has set stays.
os.environ.update(
    {
        **ENVIRONMENT,
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # a cluster sets "1"; without one Ray stays on loopback
        "RAY_RUNTIME_ENV_IGNORE_GITIGNORE": "1",  # the study's folder is sent whole: git often ignores data
        "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # we report what happens to nodes and workers ourselves
        **os.environ,
    }
)

import ray as ray
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


def init(**options: Any) -> Any:
    """`ray.init`, with this process's signal handlers and its process group kept.

    Ray replaces the handler of SIGTERM each time, even where its own is there already.
    """
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    handlers = {number: signal.getsignal(number) for number in numbers}
    group = os.getpgrp()
    try:
        return ray.init(**options)
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in handlers.items():
                if handler is not None:
                    signal.signal(number, handler)
        _return_to(group)


def _return_to(group: int) -> None:
    """Join a process group again.

    On macOS Ray makes its caller a group of its own, for a process that ends Ray's others with it. A terminal
    sends Ctrl-C to the group in front, which is that of `make`, `uv run` or a script: this process must be in
    it. Ray's processes stay in the new group.
    """
    if os.getpgrp() != group:
        with suppress(OSError):  # all others of the group may have ended
            os.setpgid(0, group)
