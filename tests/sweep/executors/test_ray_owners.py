"""Nodes that are left to their owners: what looks there, and workers that end and come back for it."""

from __future__ import annotations

import time
from typing import Any
from unittest.mock import Mock

import pytest
from ray.exceptions import RayActorError

from ray_contract.owner import OwnerRules, Taken
from sweep.executors.base import ExecutorEvent, Said
from sweep.executors.ray.executor import RayExecutor
from sweep.executors.ray.nodes import ClusterSnapshot, RayNode
from sweep.executors.ray.owners import AGAIN_S, HEAR_EVERY_S, LOOK_EVERY_S, Look, Owners
from sweep.vocabulary.turn import SlotReclaimed, TaskRef, WorkerSettings

NODES = {id: RayNode(id, f"mini{id}", 1, 0.0) for id in "12"}
RESERVED = Look(Taken("reserved by ann@mini1", 60.0))
FREE = Look(None)


class Cluster:
    """A Ray whose head always answers."""

    notices_s = 0.0
    slots = 2

    def poll(self, since: float | None) -> ClusterSnapshot | None:
        return ClusterSnapshot(NODES, time.monotonic())

    def start(self) -> None: ...

    def restart(self) -> bool:
        return False

    def close(self) -> None: ...


class Seen:
    """What was last seen of each node, as a test sets it."""

    def __init__(self) -> None:
        self.looks: dict[str, Look] = {}

    def poll(self, nodes: object, *, head_answers: bool) -> dict[str, Look]:
        return self.looks


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> Mock:
    found = Mock(wait=lambda refs, **_: ([], refs))
    for module in ("calls", "executor"):
        monkeypatch.setattr(f"sweep.executors.ray.{module}.ray", found)
    return found


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Mock:
    start = Mock(side_effect=lambda *_: Mock())
    monkeypatch.setattr("sweep.executors.ray.executor.start_actor", start)
    return start


def executor_that_sees(owners: Any) -> RayExecutor:
    settings = WorkerSettings(TaskRef(".", "task.py:Task"), None, keep_final=False)
    made = RayExecutor(settings, Cluster(), owners=owners)
    made.start()
    return made


def names(started: Mock) -> list[str]:
    return [each.args[1] for each in started.call_args_list]


def said(events: list[ExecutorEvent]) -> list[str]:
    return [each.text for each in events if isinstance(each, Said)]


def test_a_reserved_node_gives_its_worker_back_and_has_one_again_afterwards(ray: Mock, started: Mock) -> None:
    owners = Seen()
    executor = executor_that_sees(owners)
    executor.wait(0.0)
    assert names(started) == ["sweep//mini1-0", "sweep//mini2-0"]
    for slot in executor._slots.values():
        slot.joined = True
    owners.looks = {"1": RESERVED, "2": FREE}
    events = executor.wait(0.0)
    assert said(events) == ["mini1 is left to its owner: reserved by ann@mini1"]
    reclaimed = [each for each in events if isinstance(each, SlotReclaimed)]
    assert [(each.slot, each.reason) for each in reclaimed] == [("mini1-0", "reserved by ann@mini1")]
    assert executor.wait(0.0) == [], "once"
    executor.release("mini1-0")
    assert ray.kill.call_count == 1
    assert executor.wait(0.0) == []
    assert len(names(started)) == 2, "nothing starts there meanwhile"
    owners.looks["1"] = FREE
    assert said(executor.wait(0.0)) == ["mini1 is used again"]
    executor.wait(0.0)
    assert names(started)[2:] == ["sweep//mini1-0.2"]


def test_a_study_that_starts_while_a_node_is_reserved_starts_no_worker_there(
    ray: Mock, started: Mock
) -> None:
    owners = Seen()
    owners.looks = {"1": RESERVED}
    executor = executor_that_sees(owners)
    executor.wait(0.0)
    executor.wait(0.0)
    assert [name for name in names(started) if "mini1" in name] == ["sweep//mini1-0"]
    assert ray.kill.call_count == 1, "one that was begun before the first look ends before it has joined"
    assert list(executor._slots) == ["mini2-0"]


def test_where_typing_cannot_be_seen_that_is_said_once(ray: Mock, started: Mock) -> None:
    owners = Seen()
    owners.looks = {"1": Look(None, blind=True)}
    executor = executor_that_sees(owners)
    (line,) = said(executor.wait(0.0))
    assert line.startswith("mini1: it cannot be told when it was last typed at")
    assert said(executor.wait(0.0)) == []


def test_nodes_are_asked_again_and_again_and_a_lost_actor_is_replaced_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers: list[Any] = [FREE, RESERVED, RayActorError(), FREE]

    def get(_: object) -> Look:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        found: Look = answer
        return found

    ray = Mock(wait=lambda refs, **_: (refs, []), get=get)
    monkeypatch.setattr("sweep.executors.ray.owners.ray", ray)
    now = 0.0
    start = Mock(side_effect=lambda *_: Mock())
    owners = Owners(lambda name: OwnerRules(name), start=start, clock=lambda: now)
    one = {"1": NODES["1"]}

    def after(seconds: float) -> dict[str, Look]:
        nonlocal now
        now += seconds
        return owners.poll(one, head_answers=True)

    assert after(0.0) == {}, "asked"
    assert after(1.0) == {"1": FREE}
    assert after(LOOK_EVERY_S) == {"1": FREE}, "asked again"
    assert after(1.0) == {"1": RESERVED}
    after(LOOK_EVERY_S)
    assert after(1.0) == {"1": RESERVED}, "what was seen last counts while its actor is gone"
    assert start.call_count == 1
    after(AGAIN_S)
    assert start.call_count == 2
    assert start.call_args.args[1] == OwnerRules("mini1")
    assert after(1.0) == {"1": FREE}
    assert owners.poll({}, head_answers=True) == {"1": FREE}, "heard twice a second"
    now += 1.0
    assert owners.poll({}, head_answers=True) == {}


def test_a_head_that_is_gone_is_waited_for_once_and_not_for_every_node() -> None:
    """A driver that waits for it longer than a minute is ended by Ray, without a word of ours."""
    now = 0.0
    start = Mock(side_effect=TimeoutError)
    owners = Owners(lambda name: OwnerRules(name), start=start, clock=lambda: now)
    owners.poll(NODES, head_answers=True)
    assert start.call_count == 1
    for _ in range(3):
        now += AGAIN_S
        owners.poll(NODES, head_answers=False)
    assert start.call_count == 1
    start.side_effect = lambda *_: Mock()
    owners.poll(NODES, head_answers=True)
    now += HEAR_EVERY_S
    owners.poll(NODES, head_answers=False)
    assert start.call_count == 1 + len(NODES), "what was said between two rounds counts in the next"
