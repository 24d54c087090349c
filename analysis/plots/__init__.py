"""Pictures of a run, each with a caption that says what it shows; fit for print and colour-blind eyes.

`plots.history(run).save("history.svg")`; in a notebook a plot shows itself with its caption. A plot that a
run has nothing for raises RunError with the reason.

progress   trials one after another, their curves, what was pruned
members    a population: who copied whom, and the best schedules
space      hyperparameters: which matter, where good values lie
times      where time went, which lanes were busy
style      the look that all share, and what a plot is
"""

from analysis.plots.members import lineage, schedules
from analysis.plots.progress import curves, history, pruning
from analysis.plots.space import contour, importance, parallel, pareto, slices
from analysis.plots.style import Plot
from analysis.plots.times import lanes, times

ALL = (
    history,
    curves,
    importance,
    parallel,
    slices,
    contour,
    pareto,
    pruning,
    lineage,
    schedules,
    times,
    lanes,
)
"""Every plot, in the order in which a report shows them."""

__all__ = [
    "ALL",
    "Plot",
    "contour",
    "curves",
    "history",
    "importance",
    "lanes",
    "lineage",
    "parallel",
    "pareto",
    "pruning",
    "schedules",
    "slices",
    "times",
]
