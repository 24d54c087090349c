"""Run a study, here or on its cluster: `sweep.run("study.yaml").best`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from runlog import ranking
from sweep.api import remote
from sweep.api.cluster import joined
from sweep.driver.build import check_choices, describe_task, logging_to
from sweep.driver.monitor.choosing import progress_for
from sweep.driver.monitor.progress import Progress
from sweep.driver.session import drive, finished, open_run
from sweep.errors import SweepError
from sweep.executors.choosing import factory, traits
from sweep.executors.cluster import Cluster
from sweep.rundir.history import History, read_history
from sweep.spec.given import Study, study_of
from sweep.spec.schema import StudySpec
from sweep.vocabulary.trial import Outcome, Scalar, TrialState

TOP = 5
"""How many of the best trials a summary names."""


@dataclass(frozen=True)
class BestTrial:
    """A trial that ended well: its value for each objective's metric, and its sampled hyperparameters."""

    number: int
    values: Mapping[str, float]
    params: Mapping[str, Scalar]

    @property
    def value(self) -> float:
        """The first objective's."""
        return next(iter(self.values.values()))

    def __str__(self) -> str:
        values = ", ".join(f"{metric} {value:.6g}" for metric, value in self.values.items())
        return f"trial {self.number}, {values}: " + " ".join(
            f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}"
            for name, value in self.params.items()
        )


@dataclass(frozen=True)
class Summary:
    """How a study stands when the command ends; `top` holds the best trials first, at most five.

    `in_process` says that trials ran in this very process, `followed` that the study ran on its cluster's
    head, whose own summary was shown. `diverged` of the failed trials had a loss that was not finite.
    """

    study: str
    run_dir: Path
    in_process: bool
    trials: Mapping[str, int]
    top: tuple[BestTrial, ...]
    params: Mapping[int, Mapping[str, Scalar]]
    objectives: tuple[str, ...]
    wall_s: float
    reason: str
    totals: Mapping[str, float | None]
    ledger: Mapping[str, object] = field(default_factory=dict)
    followed: bool = False
    diverged: int = 0

    @property
    def best(self) -> BestTrial | None:
        """The best trial, with several objectives one that no other dominates; None where none ended well."""
        return self.top[0] if self.top else None

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
        """The best trial, or with several objectives all of `top`."""
        several = len(self.objectives) > 1
        rows = [
            {
                "number": best.number,
                **({"values": tuple(best.values.values())} if several else {"value": best.value}),
                "params": dict(best.params),
            }
            for best in self.top
        ]
        return rows if several else next(iter(rows), None)


def run(
    study: Study,
    *,
    runs: str | Path = "runs",
    trials: int | None = None,
    cluster: str | Path | None = None,
    progress: Progress | None = None,
    accept_changed_task: bool = False,
) -> Summary:
    """Run a study to its budget; run it again to resume where it stopped.

    `study` is a path, YAML text, a mapping with the study file's keys, or a StudySpec. `trials` is a total
    and `cluster` an inventory or "local", each instead of the study's own. `progress` is what shows how it
    goes, without it what fits where stderr goes. With a cluster that this machine is no node of, the study
    runs on the cluster's head and is followed from here. Raises SweepError; what is recorded is never lost.
    """
    spec = study_of(study, trials=trials, cluster=cluster)
    shown = progress_for(spec.name) if progress is None else progress
    try:
        if remote.is_elsewhere(spec):
            return _run_elsewhere(
                spec, runs=runs, trials=trials, shown=shown, accept_changed_task=accept_changed_task
            )
        return run_study(
            spec,
            runs=Path(runs),
            progress=shown,
            accept_changed_task=accept_changed_task,
            cluster=joined(spec),
        )
    finally:
        if progress is None:
            shown.close()


def _run_elsewhere(
    spec: StudySpec, *, runs: str | Path, trials: int | None, shown: Progress, accept_changed_task: bool
) -> Summary:
    began = time.monotonic()
    found = remote.detach(spec, runs=runs, trials=trials, accept_changed_task=accept_changed_task)
    shown.note(found.as_text())
    run_dir, code = found.follow(runs)
    if code not in (0, 1, 130):
        raise SweepError(
            f"{spec.name}: failed on {found.host} with exit code {code}; its messages stand above"
        )
    history = read_history(run_dir)
    summary = _of_history(spec, run_dir, history, began, history.closed or "interrupted")
    return replace(summary, followed=True)


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
            return _of_history(spec, run.path, run.history, began, "finished before")
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


def _of_history(spec: StudySpec, run_dir: Path, history: History, began: float, reason: str) -> Summary:
    params = {number: row.params for number, row in history.study.trials.items()}
    return _summary(spec, run_dir, history.told, params, len(history.unfinished), began, reason)


def _summary(
    spec: StudySpec,
    run_dir: Path,
    told: Mapping[int, Outcome],
    params: Mapping[int, Mapping[str, Scalar]],
    running: int,
    began: float,
    reason: str,
) -> Summary:
    metrics = tuple(objective.metric for objective in spec.objective)
    ranked = ranking.best(told.values(), [objective.direction for objective in spec.objective])[:TOP]
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
        in_process=traits(spec).in_process,
        trials={**counts, "RUNNING": running},
        top=tuple(
            BestTrial(best.number, dict(zip(metrics, best.values or (), strict=True)), params[best.number])
            for best in ranked
        ),
        params=params,
        objectives=metrics,
        wall_s=time.monotonic() - began,
        reason=reason,
        totals=totals,
        diverged=sum(outcome.diverged for outcome in told.values()),
    )
