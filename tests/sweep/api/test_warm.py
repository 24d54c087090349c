"""Programs compiled and measured on every node, before a study runs."""

from __future__ import annotations

import json
from collections import deque
from pathlib import Path

import pytest
from typer.testing import CliRunner

import sweep as front
import train_core
from sweep.api import warm as module
from sweep.cli import app
from sweep.errors import SweepError
from sweep.executors.base import ExecutorEvent
from sweep.vocabulary.turn import Loss, SlotJoined, SlotLost, Turn, TurnDone, TurnResult
from tests.sweep.conftest import Folder
from tests.sweep.shapes import validated

THREE_PROGRAMS = (
    "fixed: {optimizer: sgd, slow: 0.0}",
    "  optimizer: {choices: [sgd, adamw, lion]}\nfixed: {slow: 0.0}",
)
FOUR_LANES = ("lanes: 1", "lanes: 4")


class Workers:
    """Two workers on one host and one on another; the first one ends during its second turn."""

    slots = 3

    def __init__(self) -> None:
        self.turns: list[tuple[str, str]] = []
        self._events: deque[ExecutorEvent] = deque()

    def start(self) -> None:
        for slot, host in (("a-0", "a"), ("a-1", "a"), ("b-0", "b")):
            self._events.append(SlotJoined(slot, host, "M9", 0.0))

    def submit(self, slot: str, turn: Turn) -> None:
        assert turn.probe is not None
        assert dict(turn.signature)["optimizer"] == turn.probe.plan.hyperparameters["optimizer"]
        self.turns.append((slot, str(dict(turn.signature)["optimizer"])))
        if self.turns.count(("a-0", "adamw")) and slot == "a-0":
            self._events.append(SlotLost(slot, Loss.PROCESS, "killed"))
        else:
            self._events.append(TurnDone(slot, TurnResult(turn.number, rates={1: 10.0, 2: 30.0, 4: 20.0})))

    def wait(self, _: float) -> list[ExecutorEvent]:
        events, self._events = list(self._events), deque()
        return events

    def close(self) -> None:
        self._events.clear()


@pytest.mark.usefixtures("described_here")
def test_one_worker_a_node_measures_all_programs_and_one_that_ends_is_said(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write(THREE_PROGRAMS, FOUR_LANES)
    workers = Workers()
    monkeypatch.setattr(module, "make_executor", lambda *_, **__: workers)
    monkeypatch.setattr(module, "ARRIVAL_S", 0.2)
    said: list[str] = []
    found = module.warm(folder.study, say=said.append)
    assert [turn for turn in workers.turns if turn[0] != "b-0"] == [
        ("a-0", "sgd"),
        ("a-0", "adamw"),
        ("a-1", "lion"),
    ]
    assert [(each.node, each.program["optimizer"], each.lanes, each.error) for each in found.done] == [
        ("a", "sgd", 2, None),
        ("b", "sgd", 2, None),
        ("a", "adamw", None, "killed"),
        ("b", "adamw", 2, None),
        ("a", "lion", 2, None),
        ("b", "lion", 2, None),
    ]
    assert found.failed
    assert said == list(map(str, found.done))


@pytest.mark.usefixtures("described_here")
def test_a_node_whose_last_worker_ends_is_not_awaited_for_ever(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    class OneWorker(Workers):
        slots = 1

        def start(self) -> None:
            self._events.append(SlotJoined("a-0", "a", "M9", 0.0))

    folder.write(THREE_PROGRAMS)
    monkeypatch.setattr(module, "make_executor", lambda *_, **__: OneWorker())
    monkeypatch.setattr(module, "ARRIVAL_S", 0.2)
    found = module.warm(folder.study)
    assert [each.error for each in found.done] == [None, "killed", "no worker came back within 0 s"]


@pytest.mark.slow
@pytest.mark.usefixtures("described_here", "uncompiled")
def test_what_was_measured_is_kept_for_the_study(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SWEEP_CACHE", str(tmp_path / "cache"))
    folder.write(FOUR_LANES)
    done = CliRunner().invoke(app, ["warm", str(folder.study), "--json"])
    (first,) = validated("warm", done.stdout)["programs"]
    assert (done.exit_code, first["error"]) == (0, None)
    assert set(first["examples_per_s"]) <= {"1", "2", "4"}
    assert not folder.runs.exists()

    def measured(*_: object, **__: object) -> None:
        raise AssertionError("measured again")

    monkeypatch.setattr(train_core, "best_width", measured)
    (again,) = front.warm(folder.study).done
    assert json.loads(json.dumps(again.examples_per_s)) == first["examples_per_s"]


@pytest.mark.usefixtures("described_here")
def test_what_compiles_nothing_is_refused(folder: Folder) -> None:
    folder.write(
        ("task: line.py:Line\n", 'command: ["true", "{learning_rate}"]\n'),
        ("fixed: {optimizer: sgd, slow: 0.0}\n", ""),
        ("  accumulation_steps: {choices: [1, 2]}\n", ""),
        ("lanes: 1\n", ""),
        ("validation_loss", "loss"),
        ("{micro_batch_size: 16, length: {epochs: 3}}", "{length: {examples: 9}}"),
    )
    with pytest.raises(SweepError, match="trains by a command, which compiles nothing before it runs"):
        module.warm(folder.study)
