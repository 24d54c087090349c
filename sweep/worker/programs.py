"""The task of a worker, its compiled programs, and how fast each width of them trains here."""

from __future__ import annotations

from typing import Any

import train_core
from sweep.vocabulary.trial import Signature, TrialPlan
from sweep.vocabulary.turn import Probe, TaskRef
from sweep.worker import width_cache
from sweep.worker.task_loading import load_task, source_hash
from train_core.data.device_dataset import data_arguments
from train_core.lanes import width


class Programs:
    """Programs stay compiled for as long as the worker lives; the task is loaded with the first."""

    def __init__(self, task: TaskRef, *, limit_bytes: float) -> None:
        self._ref = task
        self._limit_bytes = limit_bytes
        self._task: Any = None
        self._data: dict[tuple[Any, ...], train_core.DeviceDataset] = {}
        self._programs: dict[Signature, train_core.Program] = {}

    def get(self, signature: Signature, plan: TrialPlan) -> train_core.Program:
        """The program of a signature, `plan` being any trial that has it. Raises TaskLoadError."""
        if self._task is None:
            self._task = load_task(self._ref)
        if signature not in self._programs:
            static, _ = train_core.split_for(self._task, plan.hyperparameters)
            data = tuple(data_arguments(self._task, static).items())
            if data not in self._data:
                self._data[data] = train_core.DeviceDataset.of(self._task, static)
            self._programs[signature] = train_core.Program(self._task, static, self._data[data])
        return self._programs[signature]

    def widths(self, signature: Signature, probe: Probe) -> train_core.WidthChoice:
        """How fast each width worth having trains: from the host's cache, or measured now."""
        program = self.get(signature, probe.plan)
        kept = width_cache.path_for(width.cache_key(program), source_hash(self._ref))
        choice = _decoded(width_cache.read(kept))
        if choice is None or (choice.stopped_early and choice.table[-1].width < probe.most):
            choice = train_core.best_width(
                program,
                probe.plan.hyperparameters,
                limit_bytes=self._limit_bytes,
                most=probe.most,
                examples=probe.examples,
            )
            width_cache.write(kept, width.encode(choice))
        return choice


def _decoded(kept: Any) -> train_core.WidthChoice | None:
    """A choice as the cache has it; None where it has none that can be read."""
    try:
        return width.decode(kept) if kept is not None else None
    except ValueError:
        return None
