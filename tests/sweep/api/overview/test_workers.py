"""How long studies held workers: by node, over sessions that ended, were killed, or run."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweep.api.overview.workers import hours_text, scan
from sweep.api.status import read_status
from tests.run_dirs import START, Clock, ask, begin, complete, open_run, report


def test_a_worker_counts_from_its_start_to_its_end_by_node(tmp_path: Path) -> None:
    clock = Clock()
    with open_run(tmp_path, clock) as run:
        begin(run)
        for slot in ("mac-1-0", "mac-1-1", "mac-2-0"):
            run.record_slot(slot, host=slot[:5], chip="M2")
        complete(run, 0)
        clock.now = START + 600
        run.record_lost("mac-2-0", host="mac-2", reason="gone")
        clock.now = START + 3600
        run.close("finished")
    status = read_status(run.path)
    assert status.node_s == {"mac-1": 7200.0, "mac-2": 600.0}
    assert status.workers == {}
    assert hours_text(status.node_s) == "mac-1 2, mac-2 0.167"


def test_a_killed_session_ends_with_its_last_report_and_not_when_it_is_tagged_or_resumed(
    tmp_path: Path,
) -> None:
    clock = Clock()
    with open_run(tmp_path, clock) as run:
        begin(run)
        run.record_slot("mac-1-0", host="mac-1", chip="M2")
        ask(run, 0)
        clock.now = START + 1800
        run.record_reports([report(0, 100, time=clock.now)])
        run.commit()
    clock.now = START + 90_000
    with open_run(tmp_path, clock) as run:
        run.record_message("info", "said between sessions")
        begin(run)
        run.record_slot("mac-2-0", host="mac-2", chip="M4")
        clock.now += 60
        run.record_reports([report(0, 200, time=clock.now)])
        run.commit()
        status = read_status(run.path)
        assert status.workers == {"mac-2": 1}
        assert status.node_s["mac-1"] == 1800.0
    assert read_status(run.path).node_s == {"mac-1": 1800.0, "mac-2": 60.0}
    assert read_status(run.path).workers == {}


@pytest.mark.parametrize("block", [1, 7, 64, 1 << 20])
def test_reports_and_sessions_are_found_wherever_a_block_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text(
        '{"event":"opened","time":1.0}\n{"event":"report","time":2.0}\n{"event":"report","time":3.0}\n'
        '{"event":"message","time":9.0}\n{"event":"opened","time":10.0}\n{"event":"report","time":11.0}\n'
    )
    monkeypatch.setattr("sweep.api.overview.workers._BLOCK_BYTES", block)
    monkeypatch.setattr("sweep.api.overview.workers._WINDOW_BYTES", block)
    found = scan(log)
    assert (found.reports, found.ends) == (3, (3.0, 11.0))
