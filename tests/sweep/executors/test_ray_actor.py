"""What runs in an actor's process, without Ray: one thread trains, turns come in their order."""

from __future__ import annotations

import pickle
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sweep.executors.ray import actor as actor_module
from sweep.executors.ray.actor import Actor
from sweep.vocabulary.turn import Load, TaskRef, Turn, TurnResult, WorkerSettings
from sweep.worker.spool import Spool

SETTINGS = WorkerSettings(TaskRef(".", "task.py:Task"), None, keep_final=False)


class Recording:
    """A worker that remembers which turns came, and in which threads it was made and used."""

    def __init__(self, settings: WorkerSettings) -> None:
        self.threads = {threading.get_ident()}
        self.turns: list[int] = []
        self.spool = Spool()
        self.went_on_from: list[bytes] = []

    def turn(self, turn: Turn) -> TurnResult:
        self.threads.add(threading.get_ident())
        self.turns.append(turn.number)
        self.went_on_from += [Path(path).read_bytes() for path in turn.checkpoints]
        if turn.number == 13:
            raise RuntimeError("a fault of ours")
        return TurnResult(turn.number)


@pytest.fixture
def actor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Actor:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    context = SimpleNamespace(get_actor_name=lambda: "study/here/slot-0")
    monkeypatch.setattr(actor_module, "hold_awake", lambda: None)
    monkeypatch.setattr("ray.get_runtime_context", lambda: context)
    monkeypatch.setattr(actor_module, "setproctitle", lambda title: None)

    class Named(Actor):
        """Ray too makes a class of its own of it in each process."""

    return Named(Recording, SETTINGS)


def give(actor: Actor, place: int, number: int) -> int:
    turn: Any = actor.turn  # Ray's types know it as a remote method alone
    answer: TurnResult = pickle.loads(turn(pickle.dumps((place, Turn(number, (), 1)))))
    return answer.number


def test_turns_are_carried_out_in_their_order_though_the_calls_come_in_another(actor: Actor) -> None:
    with ThreadPoolExecutor() as callers:
        late = callers.submit(give, actor, 1, 8)
        assert not late.done()
        assert give(actor, 0, 7) == 7
        assert late.result(timeout=300) == 8
    assert actor._worker.turns == [7, 8]


def test_a_worker_is_made_and_used_in_one_thread_that_is_no_callers(actor: Actor) -> None:
    with ThreadPoolExecutor() as callers:
        for place in range(4):
            callers.submit(give, actor, place, place).result(timeout=300)
    assert len(actor._worker.threads) == 1
    assert threading.get_ident() not in actor._worker.threads


def test_an_error_of_the_workers_own_is_raised_to_who_called_and_the_next_turn_is_carried_out(
    actor: Actor,
) -> None:
    with pytest.raises(RuntimeError, match="a fault of ours"):
        give(actor, 0, 13)
    assert give(actor, 1, 14) == 14


def test_a_worker_that_cannot_be_made_is_an_error_of_the_actors_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(settings: WorkerSettings) -> None:
        raise ValueError("no worker")

    monkeypatch.setattr(actor_module, "hold_awake", lambda: None)
    with pytest.raises(ValueError, match="no worker"):
        Actor(refuse, SETTINGS)


def test_what_came_for_a_turn_goes_with_it_and_all_else_when_the_worker_leaves(
    actor: Actor, tmp_path: Path
) -> None:
    calls: Any = actor
    came = [calls.write_chunk(f"{number}-examples", number.encode()) for number in ("1", "2")]
    plan: Any = SimpleNamespace(number=0)
    loads = tuple(Load(lane, plan, 0, 1, "in the run directory") for lane in range(2))
    calls.turn(pickle.dumps((0, Turn(0, (), 2, loads=loads))), *came)
    assert actor._worker.went_on_from == [b"1", b"2"]
    assert [path.name for path in actor._worker.spool.folder.iterdir()] == ["lock"]
    calls.leave()
    assert list(tmp_path.iterdir()) == []
