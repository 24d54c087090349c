"""A population: who copied whom, and the schedules that the best members came by."""

from __future__ import annotations

import numpy as np
from matplotlib.collections import LineCollection

from analysis.errors import RunError
from analysis.plots.progress import BEST
from analysis.plots.style import BLUE, GREY, ORANGE, Plot, few, figure
from analysis.run import Run
from runlog.lineage import Stretch

MOST_HEIGHT = 9.0
"""Members share this height, in inches, at most."""


def lineage(run: Run) -> Plot:
    """Each member over training, and each copy as a line from its source."""
    per_epoch = _examples_per_epoch(run)
    members = [int(number) for number in run.trials["number"]]
    copies = [each for each in run.study.lineage.changes if each.source is not None]
    x = np.array([each.examples / per_epoch for each in copies])
    sources = np.array([each.source for each in copies], dtype=float)
    takers = np.array([each.trial for each in copies], dtype=float)
    winner = next(iter(int(number) for number in run.best()["number"]), None)
    ends = {number: _end(run, number) / per_epoch for number in members}
    with figure(height=min(MOST_HEIGHT, 1.6 + 0.12 * len(members))) as (made, [ax]):
        tracks = [np.array([[0.0, number], [ends[number], number]]) for number in members]
        ax.add_collection(LineCollection(tracks, colors=GREY, linewidths=0.8, alpha=0.6))
        faint = few(len(copies), 0.8)
        ax.vlines(x, sources, takers, colors=ORANGE, linewidths=0.8, alpha=faint)
        ax.scatter(x, takers, s=8, c=ORANGE, label="copies another", zorder=3)
        if winner is not None:
            ax.plot(*_path(run, winner, per_epoch), color=BLUE, lw=2.2, label=f"to trial {winner}", zorder=4)
        ax.autoscale_view()
        ax.set(xlabel="epoch", ylabel="trial")
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    caption = (
        f"Each grey line is a member. At each dot, {len(copies)} in all, it took the state of another one. "
        "The blue line is the way that the best one's state came."
    )
    return Plot("lineage", "Lineage", caption, made)


def schedules(run: Run) -> Plot:
    """What the best members' hyperparameters were over training, their ancestors' included."""
    per_epoch = _examples_per_epoch(run)
    best = [int(number) for number in run.best(len(BEST))["number"]]
    if not best:
        raise RunError(f"{run.path}: no member has ended yet")
    tracks = {number: _stretches(run, number) for number in best}
    stretches = [each for track in tracks.values() for each in track]
    names = [name for name in run.parameters if all(_is_number(each, name) for each in stretches)]
    if not names:
        raise RunError(f"{run.path}: no hyperparameter of the members is a number")
    entries = run.study_file.space
    with figure(len(names), height=1.0 + 1.7 * len(names)) as (made, axes):
        for ax, name in zip(axes, names, strict=True):
            for colour, number in reversed([*zip(BEST, best, strict=False)]):  # the best on top
                starts = [0, *(each.until for each in tracks[number])]
                values = [each.hyperparameters[name] for each in tracks[number]]
                x = np.array(starts, dtype=float) / per_epoch
                ax.step(x, [*values, values[-1]], where="post", color=colour, label=f"trial {number}")
            if (entries.get(name) or {}).get("log"):
                ax.set_yscale("log")
            ax.set(ylabel=name)
        axes[-1].set(xlabel="epoch")
        axes[0].legend(
            title="best first",
            ncols=len(best),
            loc="lower center",
            bbox_to_anchor=(0.5, 1.0),
            reverse=True,
        )
    caption = (
        f"The hyperparameters that the states of the {len(best)} best members were trained with from the "
        "beginning: those of their ancestors, then their own. Where lines agree, members share ancestors."
    )
    return Plot("schedules", "Schedules", caption, made)


def _examples_per_epoch(run: Run) -> float:
    if not run.study.lineage.judged:
        raise RunError(f"{run.path}: the study has no population")
    if run.lineage.empty:
        raise RunError(f"{run.path}: no member has copied another one yet")
    counted = run.metrics["examples"] / run.metrics["epoch"].where(run.metrics["epoch"] > 0)
    return float(counted.median()) or 1.0


def _stretches(run: Run, number: int) -> tuple[Stretch, ...]:
    return run.study.lineage.until(number, _end(run, number))


def _end(run: Run, number: int) -> int:
    """How many examples a member has seen."""
    seen = run.metrics.loc[run.metrics["trial"] == number, "examples"]
    return 0 if seen.empty else int(seen.max())


def _path(run: Run, number: int, per_epoch: float) -> tuple[list[float], list[int]]:
    x: list[float] = []
    y: list[int] = []
    start = 0.0
    for each in _stretches(run, number):
        x += [start, each.until / per_epoch]
        y += [number if each.trial is None else each.trial] * 2
        start = each.until / per_epoch
    return x, y


def _is_number(stretch: Stretch, name: str) -> bool:
    value = stretch.hyperparameters.get(name)
    return isinstance(value, int | float) and not isinstance(value, bool)
