"""Where time went, and which lanes were busy when."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.collections import PolyCollection
from matplotlib.patches import Patch

from analysis.errors import RunError
from analysis.frames import TIMES
from analysis.plots.style import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, SKY, STATES, Plot, figure
from analysis.run import Run

BAR = 0.85
"""How high a bar is, in rows."""

_COLOURS = dict(zip(TIMES, (GREY, PURPLE, BLUE, GREEN, SKY, ORANGE, RED), strict=True))
_HATCHES = dict(zip(TIMES, ("", "", "", "..", "", "//", "xx"), strict=True))


def times(run: Run) -> Plot:
    """Lane time of all trials by what it went into, and the driver's wall time."""
    ended = run.ledger[run.ledger["state"] != "RUNNING"]
    if ended.empty:
        raise RunError(f"{run.path}: no trial has ended yet")
    spent = {name: ended[name].dt.total_seconds().sum() for name in TIMES if name != "queue"}
    sessions = run.sessions
    driver = {
        str(name).removeprefix("driver_"): sessions[name].dt.total_seconds().sum()
        for name in sessions
        if str(name).startswith("driver_")
    }
    bars = [("trials in lanes", spent), *([("driver", driver)] if driver else [])]
    with figure(len(bars), height=0.4 + 1.7 * len(bars)) as (made, axes):
        for ax, (title, parts) in zip(axes, bars, strict=True):
            left = 0.0
            spare = [GREY, PURPLE, BLUE, GREEN, SKY, ORANGE, RED]
            for place, (name, seconds) in enumerate(parts.items()):
                colour = _COLOURS.get(name, spare[place % len(spare)])
                ax.barh(
                    [title],
                    [seconds],
                    left=left,
                    color=colour,
                    hatch=_HATCHES.get(name, ""),
                    edgecolor="white",
                    label=f"{name} {seconds:.3g} s",
                )
                left += seconds
            ax.set(xlabel="seconds")
            ax.grid(axis="y", visible=False)
            ax.legend(ncols=4, loc="lower left", bbox_to_anchor=(0, 1.0), fontsize=8)
    share = spent["train"] / (sum(spent.values()) or 1.0)
    caption = (
        f"Where the time of the {len(ended)} ended trials went, summed over their lanes "
        f"({share:.0%} was training), "
        "and the time of the driver, summed over sessions that ended in order: wait is when it "
        "had nothing to do."
    )
    return Plot("times", "Where the time went", caption, made)


def lanes(run: Run) -> Plot:
    """Which trial was in a lane when, by node."""
    spans = _spans(run)
    hosts = sorted(spans["host"].astype(str).unique())
    start = spans["start"].min()
    state = run.trials.set_index("number")["state"]
    with figure(
        len(hosts), height=min(10.0, 1.1 + sum(0.5 + 0.12 * _rows(spans, host) for host in hosts))
    ) as (made, axes):
        for ax, host in zip(axes, hosts, strict=True):
            own = spans[spans["host"] == host]
            for word, (colour, _) in STATES.items():
                here = own[own["trial"].map(state) == word]
                if len(here):
                    left = (here["start"] - start).dt.total_seconds()
                    wide = (here["stop"] - here["start"]).dt.total_seconds()
                    bars = _bars(here["row"].to_numpy(), left.to_numpy(), wide.to_numpy(), colour)
                    bars.set_rasterized(len(own) > 2000)
                    ax.add_collection(bars)
            ax.autoscale_view(scaley=False)
            ax.set_xlim(left=0)
            ax.set(ylabel=host, ylim=(_rows(spans, host) - 0.4, -0.6))
            ax.set_yticks([])
            ax.grid(axis="y", visible=False)
        axes[-1].set_xlabel("seconds since the first report's interval began")
        handles = [
            Patch(color=STATES[word][0], label=word.lower()) for word in STATES if (state == word).any()
        ]
        axes[0].legend(handles=handles, ncols=4, loc="lower right", bbox_to_anchor=(1, 1.0))
    caption = (
        "Each bar is a run in a lane, from when it was asked or its lane became free to its "
        "last report; a row is a "
        "lane, a panel a node. Gaps are idle lanes; colours say how the trial ended."
    )
    return Plot("lanes", "Lanes over time", caption, made)


def _bars(rows: np.ndarray, left: np.ndarray, wide: np.ndarray, colour: str) -> PolyCollection:
    """A bar for each row, as one artist: thousands take matplotlib longer than all other plots."""
    low, high, right = rows - BAR / 2, rows + BAR / 2, left + wide
    corners = np.stack([left, low, left, high, right, high, right, low], axis=1).reshape(-1, 4, 2)
    return PolyCollection(list(corners), facecolor=colour, edgecolor="white", lw=0.4)


def _rows(spans: pd.DataFrame, host: str) -> int:
    return int(spans.loc[spans["host"] == host, "row"].max()) + 1


def _spans(run: Run) -> pd.DataFrame:
    """A row per stay of a run in a lane: `host, trial, start, stop`, and a `row` no two share at once.

    Raises RunError where no trial has reported.
    """
    stays: Any
    keys = ["host", "trial", "replicate", "attempt", "lane"]
    if run.metrics.empty:
        raise RunError(f"{run.path}: no trial has reported yet")
    stays = run.metrics.groupby(keys, observed=True)["time"].agg(["min", "max", "count"]).reset_index()
    asked = run.trials.set_index("number")["datetime_start"]
    step = (stays["max"] - stays["min"]) / (stays["count"] - 1).clip(lower=1)
    guess = stays["min"] - step
    begun = stays["trial"].map(asked)
    stays["start"] = guess.where((guess > begun) & (stays["count"] > 1), begun).fillna(stays["min"])
    stays = stays.rename(columns={"max": "stop"}).sort_values(["start", "lane"]).reset_index(drop=True)
    rows: list[int] = []
    free: dict[str, list[pd.Timestamp]] = {}
    for place, stay in enumerate(stays[["host", "min", "stop"]].itertuples(index=False)):
        lanes = free.setdefault(str(stay[0]), [])
        row = next((each for each, until in enumerate(lanes) if until <= stay[1]), len(lanes))
        if row < len(lanes):
            if lanes[row] > stays.loc[place, "start"]:
                stays.loc[place, "start"] = lanes[row]
            lanes[row] = stay[2]
        else:
            lanes.append(stay[2])
        rows.append(row)
    spans: pd.DataFrame = stays.assign(row=np.array(rows, dtype=int))[
        ["host", "trial", "start", "stop", "row"]
    ]
    return spans
