"""Every plot of a real run, of runs that have little in them, and of several objectives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread

import analysis
from analysis import plots
from sweep.vocabulary.trial import Outcome, TrialState
from tests.run_dirs import ask, begin, complete, open_run, plan

pytestmark = pytest.mark.slow  # matplotlib's import alone takes seconds

Draw = Callable[[analysis.Run], plots.Plot]


@pytest.mark.parametrize(
    "draw",
    [each for each in plots.ALL if each not in (plots.pareto, plots.lineage, plots.schedules)],
    ids=lambda e: e.__name__,
)
def test_each_plot_of_a_real_run(run_path: Path, tmp_path: Path, draw: Draw) -> None:
    run = analysis.load(run_path)
    plot = draw(run)
    assert plot.name == draw.__name__
    assert plot.caption.endswith(".")
    assert len(plot.caption) > 60
    assert plot.svg() == draw(run).svg()
    assert plot.caption.split()[0] in plot._repr_html_()
    picture = imread(draw(run).save(tmp_path / "plot.png"))
    assert picture.shape[1] >= 1500
    assert picture.std() > 0.01


def test_the_front_of_several_objectives(tmp_path: Path) -> None:
    with open_run(tmp_path) as run:
        run.record_opened(objectives=[("loss", "minimize"), ("speed", "maximize")], choices={}, trials=None)
        run.write_study("name: a\nspace: {}\nobjective: [{metric: loss, direction: minimize}]\n")
        for number in range(12):
            run.record_asked(plan(number), {"rate": number / 12, "depth": number * 5 % 12})
            run.record_outcome(Outcome(number, TrialState.COMPLETE, (number * 7 % 12, number * 5 % 11)))
        run.commit()
        found = analysis.load(run.path)
        (ax,) = plots.pareto(found).figure.axes
        front: Any = ax.collections[1].get_offsets()
        assert len(front) == len(found.pareto())
        for draw in (plots.history, plots.importance, plots.parallel, plots.slices, plots.contour):
            assert "loss" in draw(found).caption or draw is plots.importance


def _of_two_branches(root: Path, best: int) -> analysis.Run:
    """Trials of which the even ones have momentum; `best` has the greatest value."""
    with open_run(root) as run:
        begin(run)
        run.write_study("name: a\nspace: {}\nobjective: {metric: accuracy, direction: maximize}\n")
        for number in range(16):
            momentum = {"momentum": number * 3 % 16} if number % 2 == 0 else {}
            run.record_asked(plan(number), {"rate": number / 16, **momentum})
            value = 9.0 if number == best else number * 7 % 16 / 16
            run.record_outcome(Outcome(number, TrialState.COMPLETE, (value,)))
        run.record_asked(plan(16), {"rate": 0.5, "momentum": 3})
        broken = Outcome(16, TrialState.COMPLETE, (99.0,), constraints={"memory": 1.0})
        run.record_outcome(broken)
        run.commit()
        return analysis.load(run.path)


@pytest.mark.parametrize(("best", "stars"), [(4, 1), (5, 0)])
def test_the_contour_marks_the_best_of_all_trials_or_none(tmp_path: Path, best: int, stars: int) -> None:
    plot = plots.contour(_of_two_branches(tmp_path, best))
    lines = [line for line in plot.figure.axes[0].lines if line.get_marker() == "*"]
    assert len(lines) == stars
    assert (f"Trial {best}, the best, is not shown" in plot.caption) == (not stars)
    assert [line.get_label() for line in lines] == ["best trial"] * stars
    for line in lines:
        ((x, y),) = np.column_stack([line.get_xdata(), line.get_ydata()]).tolist()
        assert (x, y) == pytest.approx((4 / 15, 12 / 14), abs=0.1)


def test_the_line_of_the_best_so_far_passes_over_what_is_not_ranked(tmp_path: Path) -> None:
    (ax,) = plots.history(_of_two_branches(tmp_path, 5)).figure.axes
    (line,) = [line for line in ax.lines if line.get_label() == "best so far"]
    assert np.max(line.get_ydata()) == 9.0


def test_what_there_is_nothing_for_gets_one_line(tmp_path: Path) -> None:
    with open_run(tmp_path) as run:
        begin(run)
        run.write_study("name: a\nspace: {}\nobjective: {metric: accuracy, direction: maximize}\n")
        run.commit()
        for draw in plots.ALL:
            with pytest.raises(analysis.RunError) as error:
                draw(analysis.load(run.path))
            assert "\n" not in str(error.value)


def test_a_run_that_has_only_begun(tmp_path: Path) -> None:
    with open_run(tmp_path) as run:
        begin(run)
        run.write_study("name: a\nspace: {}\nobjective: {metric: accuracy, direction: maximize}\n")
        complete(run, 0, 1)
        ask(run, 2)
        run.commit()
        found = analysis.load(run.path)
        for draw in (plots.history, plots.curves, plots.parallel, plots.slices, plots.times, plots.lanes):
            assert draw(found).svg()


def test_the_lanes_of_a_node_never_overlap(run_path: Path) -> None:
    from analysis.plots.times import _spans

    spans = _spans(analysis.load(run_path)).sort_values(["host", "row", "start"])
    same = (spans.host == spans.host.shift()) & (spans.row == spans.row.shift())
    assert not (same & (spans.start < spans.stop.shift())).any()
