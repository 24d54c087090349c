"""A slot's side: turns in, results out, whatever it is that trains.

`Worker` is a plain object; an executor puts it into an actor or calls it directly. MLX is touched by
`turn` alone, always from one thread; snapshot files are read and written through `spool`, which touches
no MLX.
"""

from __future__ import annotations

import socket
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import assert_never

import mlx.core as mx

import train_core
from sweep.vocabulary.turn import Trainable, Turn, TurnResult, WorkerSettings
from sweep.worker import width_cache
from sweep.worker.command.session import commands
from sweep.worker.content import Content, PartlyDone
from sweep.worker.footprint import footprint_bytes
from sweep.worker.lanes import Lanes
from sweep.worker.memory_guard import MemoryGuard
from sweep.worker.single.function import functions
from sweep.worker.spool import Spool
from sweep.worker.task_loading import TaskLoadError
from train_core import device
from train_core.device_errors import is_device_lost, is_out_of_memory

MEMORY_SHARE = 0.6
"""How much of the device's memory populations may take, all slots together: the rest is the system's."""

CACHE_SHARE = 0.25
"""How much MLX may keep of what arrays have freed; by itself it keeps nearly all of the device's memory."""

GUARD_SHARE = 0.9
"""Above this much, divided by the slots, a worker's turn is ended as out of memory."""


@dataclass(frozen=True)
class WorkerInfo:
    """Where a worker runs, and what it may use of the memory there."""

    host: str
    chip: str
    memory_bytes: int = 0


class Worker:
    """One slot: it guards its memory, and says what became of each turn of its content."""

    def __init__(self, settings: WorkerSettings) -> None:
        width_cache.prepare_cuda()
        self.spool = Spool()
        self._host = socket.gethostname()
        self._idle_since: float | None = None
        host_bytes = min(device.memory_bytes(), settings.host_bytes or device.memory_bytes())
        share_bytes = host_bytes / settings.slots
        self._limit_bytes = settings.limit_bytes or GUARD_SHARE * share_bytes
        self._cache_before = mx.set_cache_limit(int(CACHE_SHARE * min(share_bytes, self._limit_bytes)))
        self._is_cut_short = False
        self._content = content = _content(
            settings, self.spool, MEMORY_SHARE * share_bytes, is_cut_short=lambda: self._is_cut_short
        )
        is_command = settings.trainable is Trainable.COMMAND
        self._guard = MemoryGuard(
            self._limit_bytes,
            lambda: footprint_bytes() + content.used_bytes(),
            reclaim=mx.clear_cache,
            whose="the worker and its command" if is_command else "the worker's process",
        )

    def info(self) -> WorkerInfo:
        return WorkerInfo(self._host, device.chip(), int(self._limit_bytes))

    def turn(self, turn: Turn) -> TurnResult:
        """Carry out one turn. A failure of the turn as a whole loses its runs and comes back as `error`."""
        began = time.perf_counter()
        waited_s = began - self._idle_since if self._idle_since is not None else 0.0
        try:
            with self._guard.watching():
                result = self._content.carry_out(turn, waited_s)
        except PartlyDone as partly:
            self._content.forget()
            result = self._failed_after(partly, turn)
        except Exception as error:
            # What the task's code raises is a failure of its trials; the scheduler decides of which.
            self._content.forget()
            result = self._failed(turn, error)
        self._idle_since = time.perf_counter()
        return replace(result, turn_s=self._idle_since - began, notes=self._content.take_notes())

    def cut_short(self) -> None:
        """End this turn and those to come before their reports; any thread may call it."""
        self._is_cut_short = True

    def close(self) -> None:
        self._content.close()
        self._guard.close()
        self.spool.close()
        mx.set_cache_limit(self._cache_before)

    def _failed_after(self, partly: PartlyDone, turn: Turn) -> TurnResult:
        """A turn that failed after some of its reports: these count."""
        error = partly.__cause__
        assert isinstance(error, Exception)
        failed, before = self._failed(turn, error), partly.result
        return replace(
            failed,
            reports=before.reports,
            failures=before.failures,
            snapshots=before.snapshots,
            spent=before.spent,
        )

    def _failed(self, turn: Turn, error: Exception) -> TurnResult:
        if self._guard.found is not None:
            return TurnResult(turn.number, error=self._guard.explain(), out_of_memory=True)
        return TurnResult(
            turn.number,
            error=_explain(error),
            out_of_memory=is_out_of_memory(error),
            device_lost=is_device_lost(error),
        )


def _content(
    settings: WorkerSettings, spool: Spool, programs_bytes: float, *, is_cut_short: Callable[[], bool]
) -> Content:
    match settings.trainable:
        case Trainable.TASK:
            return Lanes(settings, spool, programs_bytes=programs_bytes, is_cut_short=is_cut_short)
        case Trainable.FUNCTION:
            return functions(settings, spool, is_cut_short=is_cut_short)
        case Trainable.COMMAND:
            return commands(settings, spool, is_cut_short=is_cut_short)
        case _:
            assert_never(settings.trainable)


def _explain(error: Exception) -> str:
    """The error's own last line first, then where it came from."""
    text = "".join(traceback.format_exception(error)).rstrip()
    if isinstance(error, train_core.TrainingError | TaskLoadError):
        return str(error)
    return f"{type(error).__name__}: {error}\n{text}"
