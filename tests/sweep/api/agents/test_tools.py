"""What tools answer, without a server."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweep.api.agents.tools import Reading
from tests.run_dirs import begin, complete, open_run


def test_of_many_reports_the_last_are_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_run(tmp_path) as run:
        begin(run)
        complete(run, 0)
        run.commit()
    reading = Reading(tmp_path)
    shown = reading.show("study", 0)
    assert [each["examples"] for each in shown["reports"]] == [100, 200, 300]
    monkeypatch.setattr("sweep.api.agents.tools.MOST_ROWS", 2)
    shown = reading.show("study", 0)
    assert [each["examples"] for each in shown["reports"]] == [200, 300]
    assert shown["total_reports"] == 3
