"""`sweep queue`: who has what, and when the next slot is likely to be free."""

from __future__ import annotations

from dataclasses import replace

import pytest
from typer.testing import CliRunner

from sweep.api.queue import Queue
from sweep.cli import app
from sweep.executors.sharing.messages import Queued

DIGITS = Queued("a", "digits", "anna", "mac", 1, 1.0, 2, 2, 0, float("inf"), 40.0, 7200.0)
DEEP = Queued("b", "deep", "ben", "mac", 0, 0.5, 0, 1, 0, 8, 12.0, None)


def said(monkeypatch: pytest.MonkeyPatch, queue: Queue) -> list[str]:
    monkeypatch.setattr("sweep.api.queue.queue", lambda inventory: queue)
    done = CliRunner().invoke(app, ["queue"])
    assert done.exit_code == 0, done.output
    return [" ".join(line.split()) for line in done.stdout.splitlines()]


def test_each_study_is_a_row_and_the_next_slot_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = said(monkeypatch, Queue("this machine", 2, (DIGITS, DEEP)))
    assert lines[1:] == [
        "digits anna mac 1 1 2 2 40 s 2.0 h",
        "deep ben mac 0 0.5 waits 1 12 s",
        "2 of 2 slots are used; the next is free in about 2.0 h",
    ]


@pytest.mark.parametrize(
    ("changes", "last"),
    [
        ({"gives": 1}, "2 of 2 slots are used; the next is free at the next report"),
        (
            {"ends_in_s": None},
            "2 of 2 slots are used; no trial has ended yet that would tell when the next is free",
        ),
        ({"held": 1}, "1 of 2 slots are used"),
    ],
)
def test_when_the_next_slot_is_free(
    changes: dict[str, int], last: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = Queue("this machine", 2, (replace(DIGITS, **changes), DEEP))  # type: ignore[arg-type]
    assert said(monkeypatch, queue)[-1] == last


def test_where_no_study_shares_this_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert said(monkeypatch, Queue("lab.yaml", 0, ())) == ["lab.yaml: no study shares slots"]


def test_invariant_10_an_inventory_that_is_not_there_is_one_line() -> None:
    done = CliRunner().invoke(app, ["queue", "lab-that-is-not-there.yaml"])
    assert done.exit_code == 2
    assert done.stderr.splitlines() == [
        "lab-that-is-not-there.yaml: there is no such inventory. Give the file that names your Macs, lab.yaml"
    ]
