"""A run as one HTML file that needs no network: charts, the table, the best study file, versions."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from analysis import plots
from analysis.errors import RunError, RunWarning
from analysis.load import load
from analysis.page.content import columns_of, of_run, text_of
from analysis.page.html import page, summary
from analysis.plots import Plot
from analysis.run import Run
from runlog import layout

NAME = layout.REPORT
MOST_ROWS = 2000


def write(run: Run | str | Path, path: str | Path | None = None) -> Path:
    """Write the report, by default as report.html into the run directory; gives its path.

    What cannot be shown, and what is damaged, is said in the report. Raises RunError where the run cannot
    be opened, or the report cannot be written.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RunWarning)
        opened = run if isinstance(run, Run) else load(run)
        text = _render(opened, [str(each.message) for each in caught], caught)
    target = opened.path / NAME if path is None else Path(path)
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text, "utf-8")
        partial.replace(target)
    except OSError as error:
        raise RunError(f"{target}: cannot be written: {error.strerror or error}") from error
    return target


def _render(run: Run, said: list[str], caught: list[warnings.WarningMessage]) -> str:
    drawn: list[Plot] = []
    missing: list[str] = []
    for draw in plots.ALL:
        try:
            drawn.append(draw(run))
        except RunError as error:
            why = str(error).removeprefix(f"{run.path}: ")
            missing.append(f"{draw.__name__.replace('_', ' ')} ({why})")
    shown, columns, rows = _table(run)
    study_file = _best(run, said)
    origin = _origin(run)
    said[:0] = dict.fromkeys(str(each.message) for each in caught if str(each.message) not in said)
    return page(
        of_run(run), is_live=False, summary=_summary(run), said=said, plots=drawn, missing=missing,
        shown=shown, columns=columns, rows=rows, samples=_samples(run), study_file=study_file, origin=origin,
    )  # fmt: skip


def _summary(run: Run) -> str:
    counts = {str(state): int(count) for state, count in run.trials["state"].value_counts().items()}
    found = run.best()
    best = None
    if len(found):
        number = int(found["number"].iloc[0])
        row = run.study.trials.get(number)
        params = {name: text_of(value) for name, value in (row.final_params if row else {}).items()}
        best = number, [text_of(found[column].iloc[0]) for column in run.value_columns], params
    ended = run.sessions["reason"].iloc[-1] if len(run.sessions) else None
    return summary(counts, run.objectives, best, is_open=not isinstance(ended, str))


def _table(run: Run) -> tuple[str, list[str], list[list[str]]]:
    """What is said above the table that needs no script, its headings, and its rows, the best first."""
    order = [*run.best(len(run.trials))["number"]] if len(run.trials) else []
    rank = {number: place for place, number in enumerate(order)}
    trials = run.trials.sort_values(
        "number", key=lambda numbers: numbers.map(rank).fillna(math.inf), kind="stable"
    )
    columns = columns_of(trials, run.value_columns)
    rows = [
        [text_of(value) for value in row] for row in trials[columns].head(MOST_ROWS).itertuples(index=False)
    ]
    count = (
        f"{len(trials)} trials"
        if len(trials) <= MOST_ROWS
        else f"The first {MOST_ROWS} of {len(trials)} trials"
    )
    return f"{count}, the best first.", [name.removeprefix("params_") for name in columns], rows


def _samples(run: Run) -> list[tuple[int, str, str]]:
    """Trial, what its model was asked and what it answered; of the best trial where there are several."""
    order = [*run.best(len(run.trials))["number"]] if len(run.trials) else []
    shown = [number for number in order if number in run.study.final and run.study.final[number].samples]
    return [(number, *pair) for number in shown[:1] for pair in run.study.final[number].samples]


def _best(run: Run, said: list[str]) -> str | None:
    best = run.best()
    try:
        if len(best) and (row := run.study.trials.get(int(best["number"].iloc[0]))) is not None:
            return None if row.evolved else run.study_file.with_point(row.params, row.hyperparameters)
    except RunError as error:
        said.append(str(error))
    return None


def _origin(run: Run) -> list[tuple[str, str]]:
    found = run.provenance
    chips = run.events[run.events["event"] == "slot"][["host", "text"]].drop_duplicates()
    rows: list[tuple[str, str]] = [(name, str(number)) for name, number in found.get("versions", {}).items()]
    rows += [(name, str(found[name])) for name in ("platform", "task_sha256") if name in found]
    rows += [(f"host {host}", str(chip)) for host, chip in chips.itertuples(index=False)]
    when: Callable[[Any], str] = lambda time: "-" if pd.isna(time) else f"{time:%Y-%m-%d %H:%M} UTC"  # noqa: E731
    for session in run.sessions[["session", "opened", "closed", "reason"]].itertuples(index=False):
        ended = session[3] if isinstance(session[3], str) else "no end recorded"
        rows.append((f"session {session[0]}", f"{when(session[1])} to {when(session[2])}, {ended}"))
    return rows
