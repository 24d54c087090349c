"""Every plot of a real run, of runs that have little in them, and of several objectives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from matplotlib.image import imread

import analysis
from analysis import plots
from sweep.vocabulary.trial import Outcome, TrialState
from tests.run_dirs import ask, begin, complete, open_run, plan

Draw = Callable[[analysis.Run], plots.Plot]


@pytest.mark.parametrize(
    "draw", [each for each in plots.ALL if each is not plots.pareto], ids=lambda e: e.__name__
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
