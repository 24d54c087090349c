"""A run that is followed while it grows: what is new, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.errors import RunError
from analysis.page.live import Live
from tests.run_dirs import accuracy, ask, begin, complete, open_run, outcome, report


def test_what_came_since_is_the_rows_that_changed_and_new_points(tmp_path: Path) -> None:
    with open_run(tmp_path) as run:
        begin(run)
        complete(run, 0, 1)
        ask(run, 2)
        run.commit()
        live = Live(run.path)
        page = live.content()
        assert [row[0] for row in page["rows"]] == [0, 1, 2]
        assert page["curves"]["accuracy"][0][0] == [100, 200, 300]
        nothing = live.since(page["version"], page["columns"])
        assert (nothing["rows"], nothing["points"]) == ([], [])
        run.record_reports([report(2, 100), report(2, 200)])
        run.record_outcome(outcome(2))
        run.commit()
        news = live.since(page["version"], page["columns"])
        assert [row[0] for row in news["rows"]] == [2]
        assert dict(zip(page["columns"], news["rows"][0], strict=True))["state"] == "COMPLETE"
        assert [point[:2] for point in news["points"]] == [[2, 100], [2, 200]]
        assert news["points"][0][2] == pytest.approx(accuracy(2, 100), rel=1e-4)
        assert "3 complete" in news["summary"]
        again = live.since(news["version"], page["columns"])
        assert (again["rows"], again["points"]) == ([], [])
        assert live.curves(2)["loss"][0] == [100, 200]


def test_a_table_that_gets_another_column_is_asked_for_again(tmp_path: Path) -> None:
    with open_run(tmp_path) as run:
        begin(run)
        ask(run, 0)
        run.commit()
        live = Live(run.path)
        page = live.content()
        ask(run, 1)  # which has a hyperparameter that trial 0 does not have
        run.commit()
        assert live.since(page["version"], page["columns"])["again"]


def test_no_run_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is not a run directory"):
        Live(tmp_path)
