"""A run as one JSON object for its page: the table's columns and rows, curves, and what is said of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.frames import candidates
from analysis.page.curves import Curves
from analysis.run import Run
from runlog import ranking

Content = dict[str, Any]

LAST = ("feasible", "reason", "tags", "note")
"""What a table shows behind all else, where there is any."""


def columns_of(trials: pd.DataFrame, values: Sequence[str]) -> list[str]:
    """What the table shows of trials, by the frame's names."""
    found = ["number", *values, "state"]
    found += [str(name) for name in trials if str(name).startswith(("test_", "params_", "spread"))]
    return [*found, "duration", *(name for name in LAST if name in trials)]


def text_of(value: Any) -> str:
    """A value's text; nothing where it is missing."""
    if value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, pd.Timedelta):
        return f"{value.total_seconds():.3g} s"
    if isinstance(value, float | np.floating):
        return f"{value:.5g}"
    return str(value)


def rows(trials: pd.DataFrame, names: Sequence[str]) -> list[list[Any]]:
    """The trials as JSON: numbers, words, null; durations in seconds."""
    return [[_value(value) for value in row] for row in trials[list(names)].itertuples(index=False)]


def of_run(run: Run) -> Content:
    """All that the page of a run needs."""
    curves = Curves()
    frame = run.metrics
    names = {name: name for name in run.metric_names}
    if run.objectives and not frame.empty:
        names[run.metric_column()] = run.objectives[0][0]
    for trial, examples, *values in frame[["trial", "examples", *names]].itertuples(index=False):
        curves.add(int(trial), int(examples), dict(zip(names.values(), values, strict=True)))
    epochs = frame["examples"] / frame["epoch"].where(frame["epoch"] > 0)
    return content(
        name=run.name,
        trials=run.trials,
        objectives=run.objectives,
        values=run.value_columns,
        scales=run.study_file.space,
        curves=curves,
        per_epoch=None if pd.isna(epochs.median()) else float(epochs.median()),
    )


def content(
    *,
    name: str,
    trials: pd.DataFrame,
    objectives: Sequence[tuple[str, str]],
    values: Sequence[str],
    scales: Mapping[str, Mapping[str, Any]],
    curves: Curves,
    per_epoch: float | None,
) -> Content:
    """The page's JSON; `scales` are the entries of the study file's space, `per_epoch` examples an epoch."""
    shown = columns_of(trials, values)
    best_first = order(trials, objectives, values)
    objective = objectives[0][0] if objectives else ""
    packed, said = curves.packed(objective, best_first)
    return {
        "name": name,
        "objectives": [list(each) for each in objectives],
        "values": list(values),
        "columns": shown,
        "rows": rows(trials, shown),
        "order": best_first,
        "log": [f"params_{each}" for each, entry in scales.items() if entry.get("log")],
        "curves": packed,
        "perEpoch": per_epoch,
        "said": said,
    }


def order(trials: pd.DataFrame, objectives: Sequence[tuple[str, str]], values: Sequence[str]) -> list[int]:
    """The numbers of all trials, the best first, those that are not ranked behind."""
    if not len(trials):
        return []
    directions = [direction for _, direction in objectives]
    ranked = [each.number for each in ranking.best(candidates(trials, list(values)), directions)]
    best = [int(number) for number in trials["number"].loc[ranked]] if ranked else []
    return best + sorted(set(map(int, trials["number"])) - set(best))


def _value(value: Any) -> Any:
    if value is None or value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, pd.Timedelta):
        return round(value.total_seconds(), 3)
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        number = float(value)
        if math.isfinite(number):
            return float(f"{number:.7g}")
        return None if math.isnan(number) else str(number)
    return str(value)
