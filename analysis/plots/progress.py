"""How a study went: its trials one after another, their curves, and who was pruned when."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.collections import LineCollection

from analysis.errors import RunError
from analysis.frames import candidates
from analysis.plots.style import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, SKY, STATES, Plot, few, figure
from analysis.run import Run
from runlog import ranking

BEST = (BLUE, GREEN, PURPLE, SKY, RED)
"""Colours of the best trials, best first."""

_RASTER = 500
"""More lines than this become a picture inside the SVG."""


def history(run: Run) -> Plot:
    """Each trial's value, in the order in which trials were asked, and the best so far."""
    trials, columns = run.trials, run.value_columns
    if trials.empty or not trials[columns].notna().any().any():
        raise RunError(f"{run.path}: no trial has a value yet")
    with figure(len(columns), height=1.2 + 2.2 * len(columns)) as (made, axes):
        for ax, column, (metric, direction) in zip(axes, columns, run.objectives, strict=False):
            for state, (colour, marker) in STATES.items():
                rows = trials[(trials["state"] == state) & trials[column].notna()]
                if len(rows):
                    ax.scatter(
                        rows["number"],
                        rows[column],
                        s=18,
                        c=colour,
                        marker=marker,
                        alpha=few(len(rows)),
                        label=state.lower(),
                        rasterized=len(rows) > 5000,
                    )
            ranked = [each.number for each in ranking.best(candidates(trials, [column]), [direction])]
            complete = trials.loc[sorted(ranked)]
            best = complete[column].cummax() if direction == "maximize" else complete[column].cummin()
            ax.step(complete["number"], best, where="post", color="black", label="best so far")
            ax.set(xlabel="trial", ylabel=metric)
            zoom(ax, complete[column].to_numpy(), direction)
            ax.legend(loc="lower right" if direction == "maximize" else "upper right", ncols=3)
    caption = (
        f"Every trial's last report of {' and '.join(m for m, _ in run.objectives)}, in trial order. "
        "The line is the best complete trial so far: where it is flat, trials found nothing better. "
        "Values far worse are outside the picture."
    )
    return Plot("history", "History", caption, made)


def curves(run: Run, metric: str | None = None) -> Plot:
    """A metric over training, one line per trial, the best trials in colour."""
    name = run.metric_column(metric)
    table = run.curves(metric)
    best = run.best(len(BEST))["number"].tolist()
    per_epoch = run.metrics["examples"] / run.metrics["epoch"].where(run.metrics["epoch"] > 0)
    x = table.index.to_numpy(dtype=float) / (per_epoch.median() or 1.0)
    lines = [np.column_stack([x, table[number]]) for number in table if number not in best]
    with figure() as (made, [ax]):
        ax.add_collection(
            LineCollection(
                [line[~np.isnan(line[:, 1])] for line in lines],
                colors=GREY,
                linewidths=0.8,
                alpha=few(len(lines), 0.7),
                rasterized=len(lines) > _RASTER,
            )
        )
        for colour, number in zip(BEST, best, strict=False):
            if number in table:
                ax.plot(x, table[number], color=colour, label=f"trial {number}", marker=".", zorder=3)
        ax.autoscale_view()
        zoom(ax, table.to_numpy().ravel(), dict(run.objectives).get(name, "minimize"))
        ax.set(xlabel="epoch", ylabel=name)
        ax.legend(title="best first" if best else None)
    caption = (
        f"{name} of each trial while it trained, mean over replicates; the {len(best)} best "
        f"trials in colour, "
        "all others grey. A line that ends early was pruned or failed, or runs still. "
        "Values far worse are outside the picture."
    )
    return Plot("curves", "Learning curves", caption, made)


def pruning(run: Run) -> Plot:
    """How many trials continued after each report, and what those had that did not."""
    name = run.metric_column()
    ended = run.trials[run.trials["state"] == "PRUNED"]
    if ended.empty:
        raise RunError(f"{run.path}: no trial was pruned")
    table = run.curves().drop(
        columns=[n for n in run.trials["number"][run.trials["state"] == "RUNNING"] if n in run.curves()]
    )
    last = table.notna()[::-1].idxmax()
    state = run.trials.set_index("number")["state"]
    boundaries = table.index.tolist()
    places = np.arange(1, len(boundaries) + 1)
    with figure(2, height=4.6) as (made, [counts, values]):
        bottom = np.zeros(len(boundaries))
        continued = np.array([(last > boundary).sum() for boundary in boundaries])
        kinds: list[tuple[str, Any, str]] = [("continued", continued, SKY)]
        for word, colour in (("COMPLETE", BLUE), ("PRUNED", ORANGE), ("FAIL", RED)):
            here = np.array([((last == b) & (state.reindex(last.index) == word)).sum() for b in boundaries])
            kinds.append((f"{word.lower()} here", here, colour))
        for (label, heights, colour), hatch in zip(kinds, ("", "", "////", "xx"), strict=True):
            if heights.sum():
                counts.bar(
                    places, heights, bottom=bottom, color=colour, label=label, hatch=hatch, edgecolor="white"
                )
                bottom += heights
        counts.set(ylabel="trials", xlabel="report")
        counts.legend(ncols=4, loc="upper right")
        for place, boundary in zip(places, boundaries, strict=True):
            row = table.loc[boundary].dropna()
            cut = row[(last.reindex(row.index) == boundary) & (state.reindex(row.index) == "PRUNED")]
            stay = row.drop(cut.index)
            values.scatter([place] * len(stay), stay, s=12, c=BLUE, alpha=few(len(row), 0.6), rasterized=True)
            values.scatter([place] * len(cut), cut, s=22, c=ORANGE, marker="x", zorder=3)
        zoom(values, table.to_numpy().ravel(), run.objectives[0][1])
        values.set(xlabel="report", ylabel=name)
    spared = 1 - (last.map(lambda b: boundaries.index(b) + 1).sum() / (len(last) * len(boundaries)))
    caption = (
        f"Above, what became of the trials at each report; below, their {name} there, crosses for those that "
        f"were pruned at that report. {len(ended)} trials were pruned, which spared "
        f"{spared:.0%} of all reports."
    )
    return Plot("pruning", "Pruning", caption, made)


def zoom(ax: Any, values: Any, direction: str) -> None:
    """Leave far-off bad values out of the picture: what is near the best is what is to be seen."""
    found = values[np.isfinite(values)]
    if len(found) < 8:
        return
    low, high = np.quantile(found, [0.0, 0.75] if direction == "minimize" else [0.25, 1.0])
    margin = 0.08 * (high - low) or abs(high) * 0.05 or 1.0
    if (direction == "minimize" and found.max() > high + 3 * (high - low)) or (
        direction == "maximize" and found.min() < low - 3 * (high - low)
    ):
        ax.set_ylim(low - margin, high + margin)
