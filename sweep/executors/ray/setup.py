"""Ray, imported once and with its settings in place: some are read at import. The only importer of ray."""

from __future__ import annotations

import os
import signal
import threading
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
from ray.util.metrics import Counter as Counter
from ray.util.metrics import Gauge as Gauge
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as NodeAffinitySchedulingStrategy


def init(**options: Any) -> Any:
    """`ray.init`, with this process's signal handlers kept: Ray puts its own in place of SIGTERM's.

    It does so each time, even where it is there already.
    """
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    handlers = {number: signal.getsignal(number) for number in numbers}
    context = ray.init(**options)
    if threading.current_thread() is threading.main_thread():
        for number, handler in handlers.items():
            if handler is not None:
                signal.signal(number, handler)
    return context
