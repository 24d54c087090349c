"""The page of a folder of runs: plain values in, HTML out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
from markupsafe import Markup

from analysis.page.script import as_script

TEMPLATES = Path(__file__).parents[1] / "templates"

Cell = str | int | float | None


@dataclass(frozen=True)
class NodeCost:
    """One node's part in all runs: hours of its workers together, and in how many runs it was used."""

    node: str
    hours: float
    runs: int


@dataclass(frozen=True)
class Index:
    """What the page shows: a table whose first column is the run's name, and what stands around it.

    `links` lead from a run's name to its report; `running` says of each run that is running what it is at.
    """

    name: str
    summary: str
    said: Sequence[str]
    running: Sequence[tuple[str, str]]
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    links: Mapping[str, str]
    about_links: str
    nodes: Sequence[NodeCost]


def index_page(index: Index) -> str:
    """The page as HTML, whole: its scripts and styles are in it."""
    templates = jinja2.Environment(loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True)
    kept = [
        place
        for place, _ in enumerate(index.columns)
        if place == 0 or any(row[place] is not None for row in index.rows)
    ]
    columns = [index.columns[place] for place in kept]
    rows = [[row[place] for place in kept] for row in index.rows]
    most = max((each.hours for each in index.nodes), default=0.0)
    return templates.get_template("index.html.jinja").render(
        name=index.name,
        summary=index.summary,
        said=index.said,
        running=index.running,
        columns=columns,
        rows=[(index.links.get(str(row[0])), list(map(_text, row))) for row in rows],
        links=index.about_links,
        nodes=[
            (each.node, _text(each.hours), each.runs, round(100 * each.hours / most, 1) if most else 0)
            for each in index.nodes
        ],
        data=Markup(as_script({"columns": columns, "rows": rows, "links": dict(index.links)})),
    )


def _text(value: Cell) -> str:
    return "" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)
