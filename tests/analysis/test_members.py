"""A population in tables and pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import analysis
from analysis import RunError, plots
from runlog.lineage import Change
from tests.run_dirs import ask, begin, complete, open_run, outcome, params, plan, report

pytestmark = pytest.mark.slow  # matplotlib's import alone takes seconds

STUDY = """\
name: study
space: {learning_rate: {low: 0.001, high: 1.0, log: true}}
objective: {metric: accuracy, direction: maximize}
"""


def copy(trial: int, source: int | None, examples: int, rate: float) -> Change:
    before = plan(trial).hyperparameters
    return Change(trial, examples, examples + 4, source, before, {**before, "learning_rate": rate})


@pytest.fixture(scope="module")
def population(tmp_path_factory: pytest.TempPathFactory) -> analysis.Run:
    """Four members: 0 copies 3 at the first boundary, and 3 copies 0 at the second; 3 is the best."""
    with open_run(tmp_path_factory.mktemp("runs")) as run:
        begin(run)
        run.write_study(STUDY)
        ask(run, 0, 1, 2, 3)
        for examples, change in ((100, copy(0, 3, 100, 0.5)), (200, copy(3, 0, 200, 0.25)), (300, None)):
            run.record_reports([report(number, examples) for number in range(4)])
            if change is not None:
                run.record_evolved([(number, examples) for number in range(4)], [change])
        for number in range(4):
            run.record_outcome(outcome(number))
        run.commit()
        return analysis.load(run.path)


def test_the_lineage_has_a_row_for_each_change(population: analysis.Run) -> None:
    table = population.lineage
    assert table[["trial", "examples", "from"]].to_numpy().tolist() == [[0, 100, 3], [3, 200, 0]]
    assert table.before_learning_rate.tolist() == [params(0)["learning_rate"], params(3)["learning_rate"]]
    assert table.after_learning_rate.tolist() == [0.5, 0.25]


def test_trials_have_a_member_s_last_hyperparameters(population: analysis.Run) -> None:
    rates = population.trials.params_learning_rate.tolist()
    assert rates == [0.5, params(1)["learning_rate"], params(2)["learning_rate"], 0.25]


def test_the_way_of_the_best_state_is_drawn(population: analysis.Run) -> None:
    plot = plots.lineage(population)
    (ax,) = plot.figure.axes
    (way,) = ax.lines
    assert way.get_label() == "to trial 3"
    assert np.asarray(way.get_ydata()).tolist() == [3, 3, 0, 0, 3, 3]
    assert "2 in all" in plot.caption
    assert plot.svg() == plots.lineage(population).svg()


def test_schedules_are_those_of_the_ancestors_too(population: analysis.Run) -> None:
    plot = plots.schedules(population)
    rate = next(ax for ax in plot.figure.axes if ax.get_ylabel() == "learning_rate")
    lines: dict[Any, Any] = {line.get_label(): line for line in rate.lines}
    values = np.asarray(lines["trial 3"].get_ydata()).tolist()
    assert values == [params(3)["learning_rate"], 0.5, 0.25, 0.25]
    assert rate.get_yscale() == "log"
    assert "4 best members" in plot.caption


def test_a_study_without_a_population_has_neither(tmp_path: Path) -> None:
    with open_run(tmp_path) as run:
        begin(run)
        run.write_study(STUDY)
        complete(run, 0, 1)
        run.commit()
        found = analysis.load(run.path)
    assert found.lineage.empty
    for draw in (plots.lineage, plots.schedules):
        with pytest.raises(RunError, match="the study has no population"):
            draw(found)


def test_the_report_shows_both(population: analysis.Run, tmp_path: Path) -> None:
    from analysis import report as reports

    text = reports.write(population, tmp_path / "report.html").read_text()
    assert ">Lineage<" in text
    assert ">Schedules<" in text
