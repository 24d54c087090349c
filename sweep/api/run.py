"""."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from runlog import ranking
from sweep.driver.build import check_choices, describe_task, logging_to
from sweep.driver.monitor.progress import Progress
from sweep.driver.session import drive, finished, open_run
from sweep.executors.choosing import factory
from sweep.executors.cluster import Cluster
from sweep.spec.schema import StudySpec
from sweep.vocabulary.trial import Outcome, Scalar, TrialState


@dataclass(frozen=True)
class Summary:
    """How a study stands when the command ends; `best` holds the best trials first, at most five."""

    study: str
    run_dir: Path
    trials: Mapping[str, int]
    best: tuple[Outcome, ...]
    params: Mapping[int, Mapping[str, Scalar]]
    objectives: tuple[str, ...]
    wall_s: float
    reason: str
    totals: Mapping[str, float | None]
    ledger: Mapping[str, object] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {
            "study": self.study,
            "run_dir": str(self.run_dir),
            "reason": self.reason,
            "trials": dict(self.trials),
            "best": self._best_json(),
            "wall_s": round(self.wall_s, 3),
            **self.totals,
            "ledger": dict(self.ledger),
        }

    def _best_json(self) -> dict[str, Any] | list[dict[str, Any]] | None:
        """The best trial, or with several objectives all that no other dominates."""
        several = len(self.objectives) > 1
        rows = [
            {
                "number": outcome.number,
                **({"values": outcome.values} if several else {"value": (outcome.values or (None,))[0]}),
                "params": dict(self.params[outcome.number]),
            }
            for outcome in self.best
        ]
        return rows if several else next(iter(rows), None)


def run_study(
    spec: StudySpec,
    *,
    runs: Path,
    progress: Progress,
    accept_changed_task: bool = False,
    cluster: Cluster | None = None,
) -> Summary:
    """Run a study to its budget, or to Ctrl-C, here or on a cluster that is up.

    Raises SweepError; nothing recorded is ever lost.
    """
    began = time.monotonic()
    check_choices(spec)
    with open_run(spec, runs, accept_changed_task=accept_changed_task) as run:
        if finished(spec, run):
            with logging_to(spec, run, progress):
                pass  # a logger that is new, or that an earlier session left behind, gets what it lacks
            history = run.history
            params = {number: row.params for number, row in history.study.trials.items()}
            return _summary(spec, run.path, history.told, params, 0, began, "finished before")
        factory(spec).prepare(cluster)
        progress.stage(f"looking at the task {spec.task}")
        description = describe_task(spec)
        result = drive(spec, description, run, progress, cluster)
        reason = "interrupted" if result.interrupted else "finished"
        run.close(reason, ledger=result.ledger)
        summary = _summary(spec, run.path, result.told, result.params, result.running, began, reason)
        lanes = {
            "lanes": result.lanes.widest,
            "lane_busy_fraction": result.lanes.busy_fraction,
            "lane_busy_fraction_while_asking": result.lanes.busy_fraction_while_asking,
        }
        return replace(summary, totals={**summary.totals, **lanes}, ledger=result.ledger)


def _summary(
    spec: StudySpec,
    run_dir: Path,
    told: Mapping[int, Outcome],
    params: Mapping[int, Mapping[str, Scalar]],
    running: int,
    began: float,
    reason: str,
) -> Summary:
    ranked = ranking.best(told.values(), [objective.direction for objective in spec.objective])
    counts = {state.value: 0 for state in TrialState}
    for outcome in told.values():
        counts[outcome.state.value] += 1
    totals: dict[str, float | None] = {
        name: round(sum(float(outcome.ledger.get(name, 0)) for outcome in told.values()), 3)
        for name in ("compile_s", "train_s", "evaluate_s", "idle_s", "lost_s", "traces")
    }
    return Summary(
        study=spec.name,
        run_dir=run_dir,
        trials={**counts, "RUNNING": running},
        best=tuple(ranked[:5]),
        params=params,
        objectives=tuple(objective.metric for objective in spec.objective),
        wall_s=time.monotonic() - began,
        reason=reason,
        totals=totals,
    )
