"""When a run is saved, and its checkpoint files: on a schedule, at its best report, at its end."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace

import mlx.core as mx

import train_core
from sweep.vocabulary.trial import Snapshot
from sweep.vocabulary.turn import WorkerSettings
from sweep.worker.content import Occupant
from sweep.worker.spool import Spool
from train_core.device_errors import is_device_lost

FIRST_MICRO_BATCHES = 8
"""How far an advance goes before anything is known of its speed."""

PIECE_S = 0.5
"""How long an advance lasts at most, about: then it is seen whether the turn is cut short."""

LEAST_PIECE_S = 0.05
"""How long it lasts at least, however soon the next snapshot falls due."""

Lanes = Mapping[int, Occupant]


def objective_at(
    settings: WorkerSettings, occupant: Occupant, metrics: Mapping[str, float]
) -> tuple[float | None, bool]:
    """The objective in a report, and whether it is the run's best so far, which the occupant then knows."""
    metric, direction = settings.objective or ("", "")
    sign = 1 if direction == "maximize" else -1
    value = metrics.get(metric)
    better = value is not None and sign * value > occupant.best
    if value is not None and better:
        occupant.best = sign * value
    return value, better


class Snapshots:
    """Saves runs into a spool, as `saving` says; `notes` collects what went wrong, for a person."""

    def __init__(self, settings: WorkerSettings, spool: Spool) -> None:
        self._settings = settings
        self.saving = settings.saving
        self._spool = spool
        self.notes: list[str] = []

    def micro_batches_to_next(self, lanes: Lanes, step_s: float | None) -> int:
        """How many micro-batches to train until what may have to be done in between is looked at.

        `step_s` is what one takes, None before anything is known.
        """
        if step_s is None:
            return FIRST_MICRO_BATCHES
        left_s = PIECE_S
        every_s = self.saving.every_s
        if every_s is not None and lanes:
            oldest = min(occupant.saved_at for occupant in lanes.values())
            left_s = min(left_s, oldest + every_s - time.perf_counter())
        return max(1, int(max(left_s, LEAST_PIECE_S) / max(step_s, 1e-6)))

    def save_due(self, population: train_core.Population, lanes: Lanes) -> list[Snapshot]:
        """Save the runs whose last snapshot is older than the schedule allows."""
        every_s = self.saving.every_s
        if every_s is None:
            return []
        now = time.perf_counter()
        due = [lane for lane, occupant in lanes.items() if now - occupant.saved_at >= every_s]
        return self.save(population, lanes, due)

    def save_report(
        self, population: train_core.Population, lanes: Lanes, report: train_core.LaneReport
    ) -> list[Snapshot]:
        """Save a run that has reported, at its end or at its best report, where the settings ask for it."""
        value, better = objective_at(self._settings, lanes[report.lane], report.metrics)
        if report.finished and self.saving.final:
            return self.save(population, lanes, [report.lane], final=True, value=value)
        if better and self.saving.best_report:
            return self.save(population, lanes, [report.lane], value=value)
        return []

    def save(
        self,
        population: train_core.Population,
        lanes: Lanes,
        chosen: Iterable[int],
        *,
        final: bool = False,
        value: float | None = None,
    ) -> list[Snapshot]:
        """Save the runs of some lanes; where the disk refuses one, training continues without it."""
        saved = []
        for lane in chosen:
            occupant = lanes[lane]
            try:
                snapshot = self._save(population, lane, occupant)
            except (OSError, RuntimeError) as error:  # MLX raises RuntimeError where it cannot write
                if is_device_lost(error):
                    raise
                occupant.saved_at = time.perf_counter()
                host = socket.gethostname()
                self.notes.append(f"trial {occupant.run.trial} was not saved on {host}: {error}")
            else:
                saved.append(replace(snapshot, final=final, value=value))
        return saved

    def _save(self, population: train_core.Population, lane: int, occupant: Occupant) -> Snapshot:
        began = time.perf_counter()
        checkpoint = population.snapshot(lane)
        mx.synchronize()  # raises where the GPU failed: evaluating may not, and the arrays would be garbage
        path = self._spool.path_for(occupant.run, checkpoint.examples)
        sha256 = train_core.save(path, checkpoint)
        occupant.saved_at = time.perf_counter()
        spent_s = occupant.spent.checkpoint_s + occupant.saved_at - began
        occupant.spent = replace(occupant.spent, checkpoint_s=spent_s)
        return Snapshot(
            trial=occupant.run.trial,
            replicate=occupant.run.replicate,
            examples=checkpoint.examples,
            path=str(path),
            bytes=path.stat().st_size,
            sha256=sha256,
        )
