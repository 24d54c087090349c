"""A summary as a notebook shows it: counts, a table of the best trials, the objective by trial."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from itertools import accumulate
from math import log
from typing import Any, Protocol

from sweep.vocabulary.trial import Scalar

WIDTH, HEIGHT, EDGE = 480, 150, 8
"""Of the curve, in pixels; marks stay off its edge."""

LOG_FROM = 100.0
"""Values that differ by a greater factor are shown on a log scale: the best would all lie on the edge."""

CELL = 'style="text-align: left"'


class Best(Protocol):
    """A trial that ended well."""

    @property
    def number(self) -> int: ...
    @property
    def values(self) -> Mapping[str, float]: ...
    @property
    def params(self) -> Mapping[str, Scalar]: ...


class Shown(Protocol):
    """What is shown of a summary; `trials` is the run's table."""

    @property
    def study(self) -> str: ...
    @property
    def counts(self) -> Mapping[str, int]: ...
    @property
    def reason(self) -> str: ...
    @property
    def top(self) -> Sequence[Best]: ...
    @property
    def objectives(self) -> Sequence[str]: ...
    @property
    def directions(self) -> Sequence[str]: ...
    @property
    def trials(self) -> Any: ...


def summary_html(summary: Shown) -> str:
    """How the study ended, its best trials, and for one objective each trial's value."""
    counts = ", ".join(f"{count} {state.lower()}" for state, count in summary.counts.items() if count)
    ending = " Run it again to resume." if summary.reason == "interrupted" else ""
    parts = [f"<p><b>{escape(summary.study)}</b>: {counts or 'no trials'}, {summary.reason}.{ending}</p>"]
    if summary.top:
        parts.append(_best_table(summary))
    if len(summary.objectives) == 1:
        parts.append(_curve(summary))
    return "\n".join(part for part in parts if part)


def _best_table(summary: Shown) -> str:
    names = list(dict.fromkeys(name for best in summary.top for name in best.params))
    rows = [
        [best.number, *best.values.values(), *(best.params.get(name, "") for name in names)]
        for best in summary.top
    ]
    return table(["trial", *summary.objectives, *names], rows)


def table(columns: Sequence[str], rows: Iterable[Sequence[Scalar]]) -> str:
    """A table, numbers in few digits."""
    head = "".join(f"<th {CELL}>{escape(column)}</th>" for column in columns)
    body = "".join(
        "<tr>" + "".join(f"<td {CELL}>{escape(_short(value))}</td>" for value in row) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _short(value: Scalar) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _curve(summary: Shown) -> str:
    """Each complete trial's value as a dot, and the best so far as a line."""
    ended = summary.trials.query("state == 'COMPLETE'").sort_values("number")
    numbers, values = list(ended["number"]), list(ended["value"])
    if len(values) < 2:
        return ""
    is_better = min if summary.directions == ("minimize",) else max
    low, high, last = min(values), max(values), max(numbers)
    is_log = low > 0 and high / low > LOG_FROM
    scaled = log if is_log else float
    bottom, height = scaled(low), (scaled(high) - scaled(low)) or 1

    def place(number: float, value: float) -> str:
        x = EDGE + (WIDTH - 2 * EDGE) * number / max(last, 1)
        y = HEIGHT - EDGE - (HEIGHT - 2 * EDGE) * (scaled(value) - bottom) / height
        return f"{x:.1f},{y:.1f}"

    so_far = list(accumulate(values, is_better))
    steps = [place(numbers[0], so_far[0])]
    for number, before, value in zip(numbers[1:], so_far, so_far[1:], strict=False):
        steps += [place(number, before), place(number, value)]
    dots = (place(*each).split(",") for each in zip(numbers, values, strict=True))
    circles = "".join(f'<circle cx="{x}" cy="{y}" r="2.5" fill="#0072b2"/>' for x, y in dots)
    metric = escape(summary.objectives[0])
    scale = " on a log scale" if is_log else ""
    axes = f'<path d="M1 0V{HEIGHT - 1}H{WIDTH}" fill="none" stroke="#999999"/>'
    line = f'<polyline points="{" ".join(steps)}" fill="none" stroke="#d55e00" stroke-width="1.5"/>'
    return (
        f'<figure style="margin: 0"><svg width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="{metric} '
        f'by trial">{axes}{circles}{line}</svg><figcaption>{metric} by trial, from {low:.4g} to {high:.4g}'
        f"{scale}; the line is the best so far</figcaption></figure>"
    )
