"""What the hyperparameters did: which matter, where good values lie, what trades against what."""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from analysis import frames
from analysis.errors import RunError
from analysis.plots.progress import zoom
from analysis.plots.style import BLUE, GREY, ORANGE, SCALE, Plot, few, figure
from analysis.run import Run
from runlog import ranking

_MOST = 12
"""More hyperparameters than this do not fit on one picture; the first ones by importance are shown."""


class Scale(NamedTuple):
    """A hyperparameter on an axis from 0 to 1: where each value lies, and the ticks."""

    places: Any
    ticks: list[float]
    labels: list[str]


def importance(run: Run) -> Plot:
    """Which hyperparameters decide whether a trial is among the best."""
    table = run.importance().iloc[:_MOST][::-1]
    with figure(height=1.0 + 0.32 * len(table)) as (made, [ax]):
        spread = [table["importance"] - table["low"], table["high"] - table["importance"]]
        ax.barh(table.index, table["importance"], color=BLUE, height=0.6)
        ax.errorbar(table["importance"], table.index, xerr=spread, fmt="none", ecolor="black", capsize=3)
        ax.plot(table["chance"].clip(upper=1), table.index, "|", color=ORANGE, ms=14, mew=2.5, label="chance")
        ax.set(xlabel="importance", xlim=(0, 1))
        ax.grid(axis="y", visible=False)
        ax.legend(loc="lower right")
    caption = (
        "How far each hyperparameter decides whether a trial is among the best (PED-ANOVA; the "
        "bars sum to 1). "
        "Black lines are quartiles over resampled trials; orange marks show what a "
        "hyperparameter without any "
        "effect reaches one time in ten: a bar that ends before its mark says nothing."
    )
    return Plot("importance", "Importance", caption, made)


def parallel(run: Run) -> Plot:
    """Every complete trial as a line through its hyperparameters."""
    trials, metric, direction = _complete(run)
    names = _shown(run)
    scales = [_scale(run, name, trials[f"params_{name}"]) for name in names]
    ranks = trials["value"].rank(pct=True, ascending=direction == "maximize").to_numpy()
    from matplotlib import colormaps

    with figure(height=3.8) as (made, [ax]):
        order = np.argsort(ranks)
        for index in order:
            heights = [*(scale.places[index] for scale in scales), ranks[index]]
            best = ranks[index] > 1 - 5.5 / len(trials)
            ax.plot(
                range(len(heights)),
                heights,
                color=colormaps[SCALE](ranks[index]),
                lw=2.0 if best else 0.7,
                alpha=1.0 if best else few(len(trials), 0.6),
                rasterized=len(trials) > 500,
            )
        for place, scale in enumerate(scales):
            ax.axvline(place, color="black", lw=0.8)
            for tick, label in zip(scale.ticks, scale.labels, strict=True):
                ax.annotate(
                    label,
                    (place, tick),
                    xytext=(3, 0),
                    textcoords="offset points",
                    fontsize=7,
                    va="center",
                    bbox={"fc": "white", "ec": "none", "pad": 0.6, "alpha": 0.8},
                )
        ax.axvline(len(scales), color="black", lw=0.8)
        ax.set_xticks(
            range(len(scales) + 1), [*names, f"rank of\n{metric}"], rotation=20 if len(names) > 4 else 0
        )
        ax.set_yticks([])
        ax.grid(visible=False)
        for side in ("left", "bottom"):
            ax.spines[side].set_visible(False)
    caption = (
        f"Every complete trial as a line through its hyperparameters to its rank by {metric}, "
        f"the best on top and "
        "brightest, the five best thick. Where thick lines meet on an axis, that value is good; gaps are "
        "hyperparameters that a trial does not have."
    )
    return Plot("parallel", "Parallel coordinates", caption, made)


def slices(run: Run) -> Plot:
    """The value against each hyperparameter by itself."""
    trials, metric, direction = _complete(run)
    names = _shown(run)
    columns = min(3, len(names))
    rows = math.ceil(len(names) / columns)
    with figure(rows, columns, height=0.4 + 2.1 * rows) as (made, axes):
        shown = axes[: len(names)]
        for ax, name in zip(shown, names, strict=True):
            scale = _scale(run, name, trials[f"params_{name}"])
            jitter = (
                np.random.default_rng(0).uniform(-0.03, 0.03, len(trials)) if _is_choice(run, name) else 0.0
            )
            dots = ax.scatter(
                scale.places + jitter,
                trials["value"],
                c=trials["number"],
                cmap=SCALE,
                vmin=0,
                vmax=trials["number"].max(),
                s=14,
                alpha=few(len(trials), 0.9),
                edgecolors="none",
                rasterized=len(trials) > 2000,
            )
            ax.set_xticks(scale.ticks, scale.labels)
            ax.set(xlabel=name, xlim=(-0.08, 1.08))
            zoom(ax, trials["value"].to_numpy(), direction)
        for ax in axes[len(names) :]:
            ax.set_visible(False)
        for index in range(0, len(names), columns):
            axes[index].set_ylabel(metric)
        made.colorbar(dots, ax=axes, label="trial", shrink=0.8)
    caption = (
        f"{metric} of every complete trial against each hyperparameter by itself; later trials are brighter. "
        "The sampler looks more closely where values were good, so crowding shows where it searched. "
        "Values far worse are outside the picture."
    )
    return Plot("slices", "Slices", caption, made)


def contour(run: Run) -> Plot:
    """The value over the two most important hyperparameters that are numbers."""
    trials, metric, _ = _complete(run)
    numeric = [n for n in _shown(run) if not _is_choice(run, n) and trials[f"params_{n}"].nunique() > 3]
    if len(numeric) < 2 or len(trials) < 6:
        raise RunError(f"{run.path}: a contour needs two hyperparameters that are numbers, and some trials")
    first, second = numeric[:2]
    best = _best_number(run)
    trials = trials.dropna(subset=[f"params_{first}", f"params_{second}"]).reset_index(drop=True)
    x, y = (_scale(run, name, trials[f"params_{name}"]) for name in (first, second))
    grid = np.linspace(0, 1, 60)
    values = np.clip(trials["value"].to_numpy(), *np.quantile(trials["value"], [0.15, 0.85]))
    reach = max(0.05, 0.5 * len(trials) ** -0.25)
    distance = (grid[None, :, None] - x.places) ** 2 + (grid[:, None, None] - y.places) ** 2
    weights = np.exp(-distance / (2 * reach**2))
    smooth = (weights * values).sum(-1) / np.maximum(weights.sum(-1), 1e-12)
    smooth = np.ma.masked_where(distance.min(-1) > (2 * reach) ** 2, smooth)
    with figure(width=5.6, height=4.2) as (made, [ax]):
        filled = ax.contourf(grid, grid, smooth, levels=12, cmap=SCALE)
        ax.scatter(
            x.places, y.places, s=10, c="white", edgecolors="black", linewidths=0.5, alpha=few(len(trials))
        )
        if marked := np.flatnonzero(trials["number"] == best).tolist():
            at = x.places[marked], y.places[marked]
            ax.plot(*at, "*", ms=15, color=ORANGE, mec="black", label="best trial")
        ax.set_xticks(x.ticks, x.labels)
        ax.set_yticks(y.ticks, y.labels)
        ax.set(xlabel=first, ylabel=second, xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
        if marked:
            ax.legend(loc="upper left", bbox_to_anchor=(0, 1.1))
        made.colorbar(filled, label=metric)
    caption = (
        f"{metric} over {first} and {second}, the two most important hyperparameters that are "
        f"numbers, averaged "
        "over near trials (the dots) whatever else they had; blank where there are none."
    )
    if best is not None and not marked:
        caption += f" Trial {best}, the best, is not shown: it does not have both."
    return Plot("contour", "Contour", caption, made)


def pareto(run: Run) -> Plot:
    """The first two objectives against each other, and the front."""
    if len(run.objectives) < 2:
        raise RunError(f"{run.path}: has one objective; a front needs two")
    (one, first), (other, _) = run.objectives[:2]
    columns = run.value_columns[:2]
    complete = run.trials[run.trials["state"] == "COMPLETE"].dropna(subset=columns)
    front = run.pareto().sort_values(columns[0])
    with figure(width=5.6, height=4.0) as (made, [ax]):
        ax.scatter(
            complete[columns[0]], complete[columns[1]], s=16, c=GREY, alpha=few(len(complete)), label="trials"
        )
        where: Literal["post", "pre"] = "post" if first == "minimize" else "pre"
        linked = len(run.objectives) == 2
        ax.step(front[columns[0]], front[columns[1]], where=where, color=BLUE, alpha=0.6 if linked else 0.0)
        ax.scatter(front[columns[0]], front[columns[1]], s=36, c=BLUE, marker="D", zorder=3, label="front")
        if len(front) <= 12:
            for row in front[["number", *columns]].itertuples(index=False):
                ax.annotate(
                    str(row[0]), (row[1], row[2]), xytext=(4, 4), textcoords="offset points", fontsize=7
                )
        ax.set(xlabel=one, ylabel=other)
        ax.legend()
    caption = (
        f"{one} against {other} of every complete trial. No trial is better than one of the "
        f"front (diamonds, with "
        "trial numbers where they are few) in all objectives at once."
    )
    return Plot("pareto", "Pareto front", caption, made)


def _complete(run: Run) -> tuple[pd.DataFrame, str, str]:
    """The COMPLETE trials, their first objective as `value`, its metric and direction. Raises RunError."""
    column = run.value_columns[0]
    trials = run.trials[run.trials["state"] == "COMPLETE"].dropna(subset=[column])
    trials = (
        trials[np.isfinite(trials[column])].assign(value=lambda frame: frame[column]).reset_index(drop=True)
    )
    if len(trials) < 2 or not _shown(run):
        raise RunError(
            f"{run.path}: needs two complete trials that differ; there are {len(trials)} complete ones"
        )
    metric, direction = run.objectives[0]
    return trials, metric, direction


def _best_number(run: Run) -> int | None:
    """The number of the best trial by the first objective, of all trials; None where none is ranked."""
    (_, direction), column = run.objectives[0], run.value_columns[0]
    ranked = ranking.best(frames.candidates(run.trials, [column]), [direction])
    return next(iter(frames.rows(run.trials, ranked[:1])["number"].tolist()), None)


def _shown(run: Run) -> list[str]:
    """The hyperparameters that differ, most important first where that can be said."""
    varied = [name for name in run.parameters if run.trials[f"params_{name}"].nunique() > 1]
    try:
        ranked = [str(name) for name in run.importance().index]
    except RunError:
        ranked = []
    return sorted(varied, key=lambda name: ranked.index(name) if name in ranked else len(ranked))[:_MOST]


def _is_choice(run: Run, name: str) -> bool:
    return isinstance(run.trials[f"params_{name}"].dtype, pd.CategoricalDtype)


def _scale(run: Run, name: str, column: pd.Series[Any]) -> Scale:
    entry = run.study_file.space.get(name, {})
    if _is_choice(run, name) or not pd.api.types.is_numeric_dtype(column):
        known = (
            list(column.cat.categories)
            if _is_choice(run, name)
            else sorted(map(str, column.dropna().unique()))
        )
        ticks = [place / max(len(known) - 1, 1) for place in range(len(known))]
        where = dict(zip(map(str, known), ticks, strict=True))
        places = np.array([where.get(str(value), math.nan) for value in column])
        return Scale(places, ticks, [str(value) for value in known])
    values = column.astype("float64").to_numpy(na_value=math.nan)
    low, high = float(entry.get("low", np.nanmin(values))), float(entry.get("high", np.nanmax(values)))
    log = bool(entry.get("log", False)) and low > 0
    change = np.log10 if log else np.asarray
    start, stop = float(change(low)), float(change(high))
    span = (stop - start) or 1.0
    inner = [10.0**e for e in range(math.ceil(start - 1e-9), math.floor(stop + 1e-9) + 1)] if log else []
    inner = inner[:: max(1, math.ceil(len(inner) / 4))]
    shown = inner if len(inner) > 1 else [low, (low + high) / 2 if not log else math.sqrt(low * high), high]
    ticks = [(float(change(value)) - start) / span for value in shown]
    return Scale((change(values) - start) / span, ticks, [f"{value:.3g}" for value in shown])
