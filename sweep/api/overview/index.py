"""`sweep report FOLDER`: all runs of a folder as one HTML page that leads to their reports.

Logs are read, and nothing else of a run; a run that cannot be read has a line that says why.
"""

from __future__ import annotations

import importlib.util
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from runlog import layout
from sweep.api.list_runs import Listed, is_run, list_runs
from sweep.api.overview.workers import hours_text
from sweep.api.status import Status, liveness
from sweep.errors import RunDirError, SweepError

if TYPE_CHECKING:
    from analysis.page.index import Cell, Index, NodeCost

NAME = "index.html"

COLUMNS = (
    "run", "state", "question", "best", "trials", "budget", "hours", "hours by node", "workers", "started",
    "last report", "tags", "problem",
)  # fmt: skip


@dataclass(frozen=True)
class Written:
    """The page's path, how many runs it shows, and of those that cannot be read, or are damaged, why."""

    path: Path
    runs: int
    problems: tuple[str, ...]


def is_folder_of_runs(path: Path) -> bool:
    """Whether a folder is no run itself and holds some. Raises RunDirError for a folder that is neither."""
    if not path.is_dir() or is_run(path, empty=False):
        return False
    if any(is_run(each, empty=False) for each in path.iterdir()):
        return True
    raise RunDirError(
        f"{path}: is no run, it has no {layout.LOG}, and none of its folders is one. "
        "Give a run, such as runs/digits, or the folder that holds runs"
    )


def write_index(folder: Path) -> Written:
    """Write the page into the folder. Raises SweepError where that cannot be done."""
    if importlib.util.find_spec("jinja2") is None:
        raise SweepError("the page of a folder needs jinja2: pip install 'sweep-mlx[analysis]'")
    from analysis.page.index import index_page

    found = list_runs(folder)
    problems = tuple(text for each in found for text in _problems(each))
    target = folder / NAME
    partial = folder / f"{NAME}.{os.getpid()}.partial"
    try:
        partial.write_text(index_page(_index(folder, found)), "utf-8")
        partial.replace(target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise SweepError(f"{target}: cannot be written: {error.strerror or error}") from error
    return Written(target, len(found), problems)


def _index(folder: Path, found: Sequence[Listed]) -> Index:
    from analysis.page.index import Index

    links = {
        each.path.name: f"{quote(each.path.name)}/{layout.REPORT}"
        for each in found
        if (each.path / layout.REPORT).is_file()
    }
    without = len(found) - len(links)
    about = (
        f"{without} of {len(found)} runs have no report yet: python -m sweep report {folder}/RUN writes it."
        if without
        else "Each run's name leads to its report."
    )
    running = [each.status for each in found if each.status is not None and each.status.pid is not None]
    return Index(
        name=folder.resolve().name,
        summary=_summary(found),
        said=[text for each in found for text in _problems(each)],
        running=[(each.name, _doing(each)) for each in running],
        columns=COLUMNS,
        rows=[_row(each) for each in found],
        links=links,
        about_links=about,
        nodes=_nodes(found),
    )


def _summary(found: Sequence[Listed]) -> str:
    states = Counter(map(_state, found)).most_common()
    words = ", ".join(f"{count} {state}" for state, count in states)
    spent = sum(sum(each.status.node_s.values()) for each in found if each.status is not None)
    now = datetime.now().astimezone()
    when = f"As of {now:%Y-%m-%d %H:%M}; times are in {now:%Z}."
    return f"{len(found)} runs: {words}. {spent / 3600:.3g} hours of workers. {when}"


def _state(listed: Listed) -> str:
    """In a word or two."""
    status = listed.status
    if status is None:
        return "not readable"
    if status.pid is not None:
        return "running" if status.paused is None else "paused"
    if status.paused is not None:
        return "paused"
    if not status.sessions and not status.trials:
        return "empty"
    return "killed" if status.closed is None else status.closed.partition(":")[0]


def _problems(listed: Listed) -> list[str]:
    """One line where something is wrong with a run."""
    if listed.status is None:
        return [listed.problem or ""]
    damage = listed.status.damage
    more = f" (and {len(damage) - 1} more)" if len(damage) > 1 else ""
    return [f"{listed.path}: {damage[0]}{more}"] if damage else []


def _row(listed: Listed) -> list[Cell]:
    """In the order of COLUMNS."""
    status = listed.status
    problem = next(iter(_problems(listed)), None)
    if status is None:
        return [listed.path.name, _state(listed), *[None] * (len(COLUMNS) - 3), problem]
    ended = sum(count for state, count in status.trials.items() if state != "RUNNING")
    spent = sum(status.node_s.values())
    return [
        listed.path.name,
        _state(listed),
        status.question or None,
        _best(status),
        ended,
        status.budget_trials,
        round(spent / 3600, 4) if status.node_s else None,
        hours_text(status.node_s) or None,
        _workers(status) or None,
        _when(status.started),
        _when(status.last_report),
        " ".join(status.tags) or None,
        problem,
    ]


def _best(status: Status) -> Cell:
    values = status.best.values if status.best is not None else ()
    if len(values) == 1:
        value = values[0]
        return float(f"{value:.6g}") if abs(value) != float("inf") and value == value else str(value)
    return " ".join(f"{value:.6g}" for value in values) or None


def _workers(status: Status) -> str:
    """What is running, by node; nothing where no process runs the study."""
    if status.pid is None:
        return ""
    return ", ".join(f"{host} {count}" for host, count in status.workers.items())


def _doing(status: Status) -> str:
    ended = sum(count for state, count in status.trials.items() if state != "RUNNING")
    total = f" of {status.budget_trials}" if status.budget_trials is not None else ""
    best = f", best {' '.join(f'{value:.6g}' for value in status.best.values)}" if status.best else ""
    on, is_open = _workers(status), status.trials.get("RUNNING", 0)
    workers = f"; workers: {on}" if on else "; no workers yet"
    return f"{liveness(status)}; {ended}{total} trials ended, {is_open} open{best}{workers}"


def _when(seconds: float | None) -> str | None:
    try:
        return None if seconds is None else f"{datetime.fromtimestamp(seconds):%Y-%m-%d %H:%M}"
    except (OverflowError, OSError, ValueError):  # no time that a calendar has
        return f"{seconds:g} s"


def _nodes(found: Sequence[Listed]) -> list[NodeCost]:
    from analysis.page.index import NodeCost

    spent: dict[str, list[float]] = {}
    for each in found:
        for node, seconds in (each.status.node_s if each.status is not None else {}).items():
            spent.setdefault(node, []).append(seconds / 3600)
    costs = [NodeCost(node, sum(hours), len(hours)) for node, hours in spent.items()]
    return sorted(costs, key=lambda each: (-each.hours, each.node))
