"""Several run directories as one: the same tables, one below the other, under a column `run`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

import pandas as pd

from analysis.errors import RunError
from analysis.frames import candidates, rows
from analysis.run import Run
from runlog import ranking


class Runs:
    """Runs by name; two of the same name go by their paths."""

    def __init__(self, runs: Sequence[Run]) -> None:
        """Use `load`. Raises RunError where there are none, or one is given twice."""
        names = [run.name for run in runs]
        labels = [
            str(run.path) if names.count(name) > 1 else name for run, name in zip(runs, names, strict=True)
        ]
        self._runs = dict(zip(labels, runs, strict=True))
        if not runs:
            raise RunError('give the path of at least one run, such as ["runs/digits"]')
        if len(self._runs) < len(runs):
            raise RunError("each run may be given once; found one twice")

    def __repr__(self) -> str:
        return f"analysis.load({[str(run.path) for run in self]!r})"

    def __iter__(self) -> Iterator[Run]:
        return iter(self._runs.values())

    def __len__(self) -> int:
        return len(self._runs)

    def __getitem__(self, name: str) -> Run:
        if name not in self._runs:
            raise RunError(f"there is no run {name!r}; there are {', '.join(self._runs)}")
        return self._runs[name]

    @cached_property
    def trials(self) -> pd.DataFrame:
        """As `Run.trials`, a trial by (run, number)."""
        return self._stacked(lambda run: run.trials)

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """As `Run.metrics`."""
        return self._stacked(lambda run: run.metrics)

    @cached_property
    def ledger(self) -> pd.DataFrame:
        """As `Run.ledger`."""
        return self._stacked(lambda run: run.ledger)

    @cached_property
    def checkpoints(self) -> pd.DataFrame:
        """As `Run.checkpoints`."""
        return self._stacked(lambda run: run.checkpoints)

    @cached_property
    def events(self) -> pd.DataFrame:
        """As `Run.events`."""
        return self._stacked(lambda run: run.events)

    @cached_property
    def sessions(self) -> pd.DataFrame:
        """As `Run.sessions`."""
        return self._stacked(lambda run: run.sessions)

    @property
    def objectives(self) -> list[tuple[str, str]]:
        """The objectives that all runs share. Raises RunError where they differ."""
        found = {run.path: run.objectives for run in self}
        first, *others = found.values()
        if any(each != first for each in others):
            said = "; ".join(f"{path}: {objectives}" for path, objectives in found.items())
            raise RunError(f"runs can be ranked together where they have the same objectives; found {said}")
        return first

    def best(self, n: int = 1) -> pd.DataFrame:
        """As `Run.best`, over all runs. Raises RunError where their objectives differ."""
        directions = [direction for _, direction in self.objectives]
        trials = self._stacked(lambda run: run.best(n))
        return rows(trials, ranking.best(self._candidates(trials), directions)[:n])

    def pareto(self) -> pd.DataFrame:
        """As `Run.pareto`, over all runs. Raises RunError where their objectives differ."""
        directions = [direction for _, direction in self.objectives]
        trials = self._stacked(lambda run: run.pareto())
        return rows(trials, ranking.front(self._candidates(trials), directions))

    def curves(self, metric: str | None = None) -> pd.DataFrame:
        """As `Run.curves`, columns by (run, trial)."""
        return pd.concat(
            {name: run.curves(metric) for name, run in self._runs.items()}, axis=1, names=["run", "trial"]
        )

    def importance(self, metric: str | None = None) -> pd.DataFrame:
        """As `Run.importance`, of each run by itself, rows by (run, hyperparameter)."""
        return pd.concat({name: run.importance(metric) for name, run in self._runs.items()}, names=["run"])

    def _candidates(self, trials: pd.DataFrame) -> list[ranking.Candidate]:
        return candidates(trials, next(iter(self)).value_columns)

    def _stacked(self, table: Callable[[Run], pd.DataFrame]) -> pd.DataFrame:
        """Tables one below the other; categories are united, columns that one lacks are missing there."""
        frames = {name: table(run) for name, run in self._runs.items()}
        columns = list(dict.fromkeys(name for frame in frames.values() for name in frame))
        stacked = {
            name: _united([frame[name] if name in frame else _missing(frame) for frame in frames.values()])
            for name in columns
        }
        labels = [name for name, frame in frames.items() for _ in range(len(frame))]
        run = pd.Series(pd.Categorical(labels, categories=list(frames)))
        return pd.DataFrame({"run": run, **stacked})


_WITH_MISSING = {"int64": "Int64", "bool": "boolean"}
"""Types that know no missing values, and those that do."""


def _missing(frame: pd.DataFrame) -> pd.Series[Any]:
    return pd.Series([None] * len(frame), dtype="object")


def _united(parts: list[pd.Series[Any]]) -> pd.Series[Any]:
    held = [part for part in parts if len(part)] or parts[:1]
    categorical = [part for part in held if isinstance(part.dtype, pd.CategoricalDtype)]
    if categorical and all(isinstance(part.dtype, pd.CategoricalDtype) or part.isna().all() for part in held):
        categories = dict.fromkeys(value for part in categorical for value in part.cat.categories)
        values = [value for part in held for value in part]
        return pd.Series(pd.Categorical(values, categories=list(categories)))
    typed = [part for part in held if not part.isna().all()] or held[:1]
    if len({str(part.dtype) for part in typed}) == 1:
        kind: Any = typed[0].dtype
        kind = _WITH_MISSING.get(str(kind), kind) if len(typed) < len(held) else kind
        held = [part.astype(kind) for part in held]
    return pd.concat(held, ignore_index=True)
