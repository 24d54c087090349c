"""How a study stands when a session ends: counts, the best trials, and the run's tables."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runlog import ranking
from runlog.final import Final
from sweep.executors.choosing import traits
from sweep.rundir.history import History
from sweep.spec.schema import StudySpec
from sweep.vocabulary.trial import Outcome, Scalar, TrialState

if TYPE_CHECKING:
    import pandas as pd

    from analysis.run import Run

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

    `counts` is how many trials there are of each state; `trials` and `metrics` are the run's tables.
    `in_process` says that trials ran in this very process, `followed` that the study ran on its cluster's
    head, whose own summary was shown. `diverged` of the failed trials had a loss that was not finite.
    `gave_up` says why the study stopped where trials failed one after another. `final` is what was found of
    the best trials at the end, by number.
    """

    study: str
    run_dir: Path
    in_process: bool
    counts: Mapping[str, int]
    top: tuple[BestTrial, ...]
    params: Mapping[int, Mapping[str, Scalar]]
    objectives: tuple[str, ...]
    directions: tuple[str, ...]
    wall_s: float
    reason: str
    totals: Mapping[str, float | None]
    ledger: Mapping[str, object] = field(default_factory=dict)
    followed: bool = False
    diverged: int = 0
    gave_up: str | None = None
    final: Mapping[int, Final] = field(default_factory=dict)

    @property
    def best(self) -> BestTrial | None:
        """The best trial, with several objectives one that no other dominates; None where none ended well."""
        return self.top[0] if self.top else None

    @cached_property
    def tables(self) -> Run:
        """The run's tables and what follows from them, as `sweep.load` gives them."""
        from analysis.load import load

        return load(self.run_dir)

    @property
    def trials(self) -> pd.DataFrame:
        """One row per trial: hyperparameters, value, state, where its time went."""
        return self.tables.trials

    @property
    def metrics(self) -> pd.DataFrame:
        """One row per report."""
        return self.tables.metrics

    def _repr_html_(self) -> str:
        """What a notebook shows: how it ended, the best trials, the objective by trial."""
        from sweep.api.python.html import summary_html

        return summary_html(self)

    def as_json(self) -> dict[str, Any]:
        return {
            "study": self.study,
            "run_dir": str(self.run_dir),
            "reason": self.reason,
            **({"gave_up": self.gave_up} if self.gave_up else {}),
            "trials": dict(self.counts),
            "best": self._best_json(),
            "wall_s": round(self.wall_s, 3),
            **({"final": self._final_json()} if self.final else {}),
            **self.totals,
            "ledger": dict(self.ledger),
        }

    def _final_json(self) -> list[dict[str, Any]]:
        return [{"number": number, **found.as_fields()} for number, found in self.final.items()]

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


def of_history(spec: StudySpec, run_dir: Path, history: History, began: float, reason: str) -> Summary:
    """The summary of a study by its log alone; `began` is when the command did, on the monotonic clock."""
    params = {number: row.final_params for number, row in history.study.trials.items()}
    summary = summary_of(spec, run_dir, history.told, params, len(history.unfinished), began, reason)
    return replace(summary, final=history.study.final)


def summary_of(
    spec: StudySpec,
    run_dir: Path,
    told: Mapping[int, Outcome],
    params: Mapping[int, Mapping[str, Scalar]],
    running: int,
    began: float,
    reason: str,
) -> Summary:
    """The summary of a session's trials, `running` of them not ended."""
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
        counts={**counts, "RUNNING": running},
        top=tuple(
            BestTrial(best.number, dict(zip(metrics, best.values or (), strict=True)), params[best.number])
            for best in ranked
        ),
        params=params,
        objectives=metrics,
        directions=tuple(objective.direction for objective in spec.objective),
        wall_s=time.monotonic() - began,
        reason=reason,
        totals=totals,
        diverged=sum(outcome.diverged for outcome in told.values()),
    )
