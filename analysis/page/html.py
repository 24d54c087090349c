"""The page as HTML: the same of a report and of a run that is watched, filled with what there is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from analysis.page.content import Content
from analysis.page.script import as_script

TEMPLATES = Path(__file__).parents[1] / "templates"

CHARTS = (
    (
        "history",
        "History",
        "Each trial's value, in the order of trials; the line is the best complete trial so far. Drag to "
        "zoom, double-click to see all, point at a dot to see its trial, click to open it. Values far worse "
        "are outside the first view.",
    ),
    (
        "curves",
        "Learning curves",
        "The objective of each trial while it trained, mean over replicates; the five best in colour.",
    ),
    (
        "slices",
        "Slices",
        "The value of every complete trial against one hyperparameter.",
    ),
)
"""Charts that the page's scripts draw: of each the id, the heading and what it shows."""


def page(content: Content, *, is_live: bool, **parts: Any) -> str:
    """The page of a run. `parts` are what the template has besides: `summary`, pictures, tables."""
    templates = jinja2.Environment(loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True)
    lively = {id for id, _, _ in CHARTS}
    curves = " ".join((CHARTS[1][2], *content["said"]))
    charts = [(id, heading, curves if id == "curves" else said) for id, heading, said in CHARTS]
    data = Markup(as_script(content))
    return templates.get_template("report.html.jinja").render(
        name=content["name"], charts=charts, lively=lively, data=data, is_live=is_live, **parts
    )


def summary(
    counts: Mapping[str, int],
    objectives: Sequence[tuple[str, str]],
    best: tuple[int, Sequence[str], Mapping[str, str]] | None,
    *,
    is_open: bool,
) -> str:
    """A run in a few sentences; `best` is its best trial's number, values and hyperparameters."""
    words = ", ".join(f"{count} {state.lower()}" for state, count in counts.items() if count)
    aims = " and ".join(f"{direction} {metric}" for metric, direction in objectives) or "no objective known"
    text = f"Trials: {words or 'none yet'}. To {aims}."
    if best is not None:
        number, values, params = best
        named = ", ".join(f"{name}={value}" for name, value in params.items())
        text += f" Best: trial {number} with {', '.join(values)}" + (f" ({named})." if named else ".")
    return text + " No end is recorded: it runs still, or was killed." if is_open else text
