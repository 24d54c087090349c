"""The edge to Ray alone: what it raises becomes an error that a person can act on."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock, call

import pytest
from ray.exceptions import AuthenticationError, RayActorError

from sweep.driver.monitor import prometheus
from sweep.errors import SweepError
from sweep.executors.base import ExecutorEvent
from sweep.executors.ray import setup
from sweep.executors.ray.executor import RayExecutor
from sweep.executors.ray.nodes import ClusterSnapshot, RayNode
from sweep.executors.ray.own import OwnRayCluster
from sweep.vocabulary.turn import (
    Load,
    SlotJoined,
    SlotLost,
    SlotReclaimed,
    TaskRef,
    Turn,
    TurnDone,
    TurnResult,
    WorkerSettings,
)
from tests.processes import wait_until


def test_invariant_10_a_ray_that_does_not_start_is_an_error_that_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(**_: object) -> None:
        raise Exception("The current node timed out during startup")  # as Ray does, without a kind

    monkeypatch.setattr("sweep.executors.ray.setup.ray.init", refuse)
    settings = WorkerSettings(TaskRef(".", "task.py:Task"), None, keep_final=False)
    with pytest.raises(SweepError, match=r"did not start .* timed out .* run the same command again"):
        RayExecutor(settings, OwnRayCluster(slots=1, gpus=0)).start()


def put_ray(monkeypatch: pytest.MonkeyPatch, ray: object) -> None:
    """Have the executor take this for Ray."""
    for module in ("calls", "executor"):
        monkeypatch.setattr(f"sweep.executors.ray.{module}.ray", ray)


class Seen:
    """A Ray whose head answers while there is a snapshot."""

    notices_s = 0.0

    def __init__(self, slots: int = 1) -> None:
        self.slots = slots
        self.snapshot: ClusterSnapshot | None = None
        self.see()

    def see(self) -> None:
        self.snapshot = ClusterSnapshot({"1": RayNode("1", "slot", self.slots, 0.0)}, time.monotonic())

    def poll(self, since: float | None) -> ClusterSnapshot | None:
        return None if self.snapshot is None or self.snapshot.began < (since or 0.0) else self.snapshot

    def start(self) -> None: ...

    def restart(self) -> bool:
        return False

    def close(self) -> None: ...


def test_a_worker_is_started_only_where_the_head_is_seen_to_answer_for_else_that_would_block(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start = Mock()
    monkeypatch.setattr("sweep.executors.ray.executor.start_actor", start)
    put_ray(monkeypatch, Mock(wait=lambda refs, **_: ([], refs)))
    cluster = Seen()
    executor = RayExecutor(WorkerSettings(TaskRef(".", "task.py:Task"), None, keep_final=False), cluster)
    executor.start()
    cluster.snapshot = None
    executor.replace("slot-0", "it is silent")
    assert [type(event) for event in executor.wait(0.0)] == [SlotLost]
    assert start.call_count == 1

    cluster.see()
    executor.wait(0.0)
    assert [call.args[1] for call in start.call_args_list] == ["sweep//slot-0", "sweep//slot-0.2"]


def test_a_head_that_goes_while_a_worker_is_started_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    started = Mock()
    gone = AuthenticationError("RPC error: WrongClusterID: the client accesses a head that has restarted")
    start = Mock(side_effect=[gone, started])
    monkeypatch.setattr("sweep.executors.ray.executor.start_actor", start)
    put_ray(monkeypatch, Mock(wait=lambda refs, **_: ([], refs)))
    cluster = Seen()
    executor = RayExecutor(WorkerSettings(TaskRef(".", "task.py:Task"), None, keep_final=False), cluster)
    executor.start()
    assert executor.wait(0.0) == []
    assert (start.call_count, started.info.remote.call_count) == (1, 0)

    cluster.see()
    assert executor.wait(0.0) == []
    assert (start.call_count, started.info.remote.call_count) == (2, 1)


def test_a_head_that_is_silent_while_workers_are_started_is_asked_once_until_it_is_seen_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ray's call for a worker waits for ever; the worker that comes of it late is not kept."""
    goes_on = threading.Event()
    started: list[str] = []

    def start(node: RayNode, name: str, *_: object) -> Any:
        started.append(name)
        if len(started) == 1:
            goes_on.wait(60)
            return "late"
        return Mock()

    monkeypatch.setattr("sweep.executors.ray.deadline.CALL_S", 0.1)
    monkeypatch.setattr("sweep.executors.ray.executor.start_actor", start)
    ray = Mock(wait=lambda refs, **_: ([], refs))
    put_ray(monkeypatch, ray)
    cluster = Seen(slots=2)
    executor = RayExecutor(WorkerSettings(TaskRef(".", "task.py:Task"), None, keep_final=False), cluster)
    executor.start()
    assert executor.wait(0.0) == []
    assert started == ["sweep//slot-0"]
    goes_on.set()
    wait_until(lambda: ray.kill.call_args_list == [call("late", no_restart=True)])

    cluster.see()
    assert executor.wait(0.0) == []
    assert sorted(started) == ["sweep//slot-0", "sweep//slot-0.2", "sweep//slot-1"]


def test_checkpoints_of_one_name_are_sent_apart_and_workers_leave_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In their trials' folders checkpoints of the same length have the same name."""
    actor = Mock()
    wait = Mock(return_value=([], []))
    monkeypatch.setattr("sweep.executors.ray.executor.start_actor", lambda *_: actor)
    put_ray(monkeypatch, Mock(wait=wait))
    executor = RayExecutor(WorkerSettings(TaskRef(".", "task.py:Task"), None, keep_final=False), Seen())
    executor.start()
    paths = [tmp_path / trial / "examples-000000064.safetensors" for trial in ("trial-0", "trial-1")]
    for path in paths:
        path.parent.mkdir()
        path.write_bytes(path.parent.name.encode())
    plans: list[Any] = [SimpleNamespace(number=number) for number in range(2)]
    loads = tuple(Load(lane, plans[lane], 0, 1, str(path)) for lane, path in enumerate(paths))
    executor.submit("slot-0", Turn(0, (), 2, loads=loads))
    sent = {name: chunk for name, chunk in (call.args for call in actor.write_chunk.remote.call_args_list)}
    assert list(sent.values()) == [b"trial-0", b"trial-1"]

    executor.close()
    assert actor.leave.remote.call_count == 1
    assert wait.call_args.args[0] == [actor.leave.remote.return_value]


def test_a_signal_ends_a_study_in_order_although_ray_has_handlers_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def init(**_: object) -> object:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(15))  # as Ray does, whenever it is called
        address = {"node_ip_address": "127.0.0.1", "metrics_export_port": 1, "webui_url": "127.0.0.1:8265"}
        return SimpleNamespace(address_info=address)

    monkeypatch.setattr("sweep.executors.ray.setup.ray.init", init)
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", "/home/me/.sweep/clusters/lab/token")
    before = signal.signal(signal.SIGTERM, own := lambda number, frame: None)
    try:
        setup.init()
        said = prometheus._where()
        assert signal.getsignal(signal.SIGTERM) is own
    finally:
        signal.signal(signal.SIGTERM, before)
    assert "paste what `cat /home/me/.sweep/clusters/lab/token` prints" in said


def test_ray_s_processes_form_a_group_of_their_own_and_this_one_stays_in_the_terminal_s(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On macOS Ray has its caller leave its group before it starts: a Ctrl-C was lost while it did."""
    services: Any = setup.ray._private.services
    groups: list[tuple[int, int]] = []
    group = os.getpgrp()

    def init(**options: object) -> None:
        os.setpgrp()
        assert os.getpgrp() == group
        for _ in range(2):
            process = services.ConsolePopen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
            groups.append((process.pid, os.getpgid(process.pid)))
            process.communicate(b"\n") if groups[1:] else started.append(process)
        started[0].communicate(b"\n")

    started: list[subprocess.Popen[bytes]] = []
    monkeypatch.setattr(
        "sweep.executors.ray.setup.ray._private.utils.detect_fate_sharing_support", lambda: None
    )
    monkeypatch.setattr("sweep.executors.ray.setup.ray.init", init)
    plain = services.ConsolePopen, os.setpgrp
    setup.init()
    (first, _), _ = groups
    assert [each for _, each in groups] == [first, first]
    assert first != group
    assert (services.ConsolePopen, os.setpgrp) == plain


@pytest.mark.parametrize("dashboard", [True, False])
def test_no_process_is_started_that_would_be_idle(monkeypatch: pytest.MonkeyPatch, dashboard: bool) -> None:
    node: Any = setup.ray._private.node.Node
    names = ("start_log_monitor", "start_monitor", "start_api_server")
    for name in names:
        monkeypatch.setattr(node, name, lambda self, **options: "started")
    plain = [getattr(node, name) for name in names]
    started: list[object] = []

    def init(**options: object) -> None:
        started.extend(getattr(node, name)(Mock()) for name in names)

    monkeypatch.setattr("sweep.executors.ray.setup.ray.init", init)
    setup.init(include_dashboard=dashboard)
    assert started == [None, None, "started" if dashboard else None]
    assert [getattr(node, name) for name in names] == plain


def test_what_the_dashboard_is_made_of_is_not_imported_here(monkeypatch: pytest.MonkeyPatch) -> None:
    utils: Any = setup.ray._private.utils
    found: list[object] = []
    plain = utils.get_dashboard_dependency_error

    def init(**options: object) -> None:
        monkeypatch.setitem(sys.modules, "ray.dashboard.optional_deps", None)  # who imports it gets an error
        found.append(utils.get_dashboard_dependency_error())

    monkeypatch.setattr("sweep.executors.ray.setup.ray.init", init)
    setup.init()
    assert found == [None]
    assert utils.get_dashboard_dependency_error is plain


def test_ray_s_own_processes_are_not_asked_one_by_one_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray's monitor takes its second each time, and on a busy machine others do; raylet ends the workers."""
    kinds = ("raylet", "gcs_server", "monitor", "dashboard", "log_monitor", "reaper")
    processes = {kind: [Mock()] for kind in kinds}
    monkeypatch.setattr(
        "sweep.executors.ray.setup.ray._private.worker._global_node", SimpleNamespace(all_processes=processes)
    )
    ended: list[str] = []

    def shutdown() -> None:
        ended.extend(kind for kind in kinds if processes[kind][0].process.kill.called)

    monkeypatch.setattr("sweep.executors.ray.setup.ray.shutdown", shutdown)
    setup.shut_down()
    assert ended == ["monitor", "dashboard", "log_monitor"]


def test_workers_are_told_once_to_cut_their_turns_short_and_not_from_a_signal_handler(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    actor = Mock()
    monkeypatch.setattr("sweep.executors.ray.executor.start_actor", lambda *_: actor)
    put_ray(monkeypatch, Mock(wait=lambda refs, **_: ([], refs)))
    executor = RayExecutor(WorkerSettings(TaskRef(".", "task.py:Task"), None, keep_final=False), Seen())
    executor.start()
    executor.cut_short()
    assert actor.cut_short.remote.call_count == 0
    executor.wait(0.0)
    executor.wait(0.0)
    assert actor.cut_short.remote.call_count == 1


class Answers:
    """What the executor takes for Ray: calls are references, answered when the test says so."""

    def __init__(self) -> None:
        self.made = 0
        self.there: dict[int, Any] = {}

    def remote(self, *arguments: Any) -> int:
        self.made += 1
        return self.made

    def wait(self, refs: list[int], num_returns: int, timeout: float) -> tuple[list[int], list[int]]:
        done = [ref for ref in refs if ref in self.there][:num_returns]
        return done, [ref for ref in refs if ref not in done]

    def get(self, ref: int) -> Any:
        return self.there[ref]


def test_turns_that_are_answered_in_another_order_are_entered_in_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = Answers()
    actor = SimpleNamespace(info=answers, turn=answers)
    node = RayNode("id", "slot", 1, 0.0, 0, host="here")
    cluster = SimpleNamespace(
        slots=1, notices_s=0.0, start=lambda: None, poll=lambda since: ClusterSnapshot({"id": node}, 0.0)
    )
    put_ray(monkeypatch, answers)
    monkeypatch.setattr("sweep.executors.ray.executor.start_actor", lambda *_: actor)
    executor = RayExecutor(WorkerSettings(TaskRef(".", "task.py:Task"), None, keep_final=False), cluster)
    executor.start()
    answers.there = {1: None, 2: SimpleNamespace(host="here", chip="chip", memory_bytes=0)}
    events = executor.wait(0) + executor.wait(0)
    assert [type(event) for event in events] == [SlotJoined]
    for number in (7, 8):
        executor.submit("slot-0", Turn(number, (), 1))
    answers.there[4] = pickle.dumps(TurnResult(8))
    assert executor.wait(0) == []
    answers.there[3] = pickle.dumps(TurnResult(7))
    done = executor.wait(0) + executor.wait(0)
    assert [event.result.number for event in done if isinstance(event, TurnDone)] == [7, 8]


def lose_worker(executor: RayExecutor, cluster: Seen) -> None:
    """Let the one worker's process end, and be seen to have ended."""
    lost: list[ExecutorEvent] = []
    while not any(isinstance(event, SlotLost) for event in lost):
        lost += executor.wait(0.0)
        cluster.see()
    executor.wait(0.0)


@pytest.mark.parametrize(("is_given_turns", "often"), [(False, 5), (True, 20)])
def test_workers_that_end_before_they_are_given_a_turn_end_the_study_sooner_than_those_that_train(
    monkeypatch: pytest.MonkeyPatch, is_given_turns: bool, often: int
) -> None:
    """A trial that ends its worker is bounded by the scheduler, and must not end the study before."""
    ray = Mock(wait=lambda refs, **_: (refs, []), get=Mock(side_effect=RayActorError()))
    put_ray(monkeypatch, ray)
    monkeypatch.setattr("sweep.executors.ray.executor.start_actor", lambda *_: Mock())
    cluster = Seen()
    executor = RayExecutor(WorkerSettings(TaskRef(".", "task.py:Task"), None, keep_final=False), cluster)
    executor.start()

    def lose() -> None:
        if is_given_turns:
            for slot in list(executor._slots):
                executor.submit(slot, Turn(0, (), 1))
        lose_worker(executor, cluster)

    for _ in range(often):
        lose()
    if is_given_turns:
        lose_worker(executor, cluster)  # one that was given none counts by itself
    with pytest.raises(
        SweepError, match=f"workers crashed {often + 1} times in a row before completing a step"
    ):
        lose()


class Share:
    """A seat that lets the study have so many slots of each node."""

    share = SimpleNamespace(give_up_within_s=7.0)

    def __init__(self, allowed: int) -> None:
        self.allowed = allowed
        self.held = self.gives = 0

    def begin(self) -> None: ...

    def end(self) -> None: ...

    def leave(self) -> None: ...

    def see(self, nodes: dict[str, int]) -> None:
        self.nodes = nodes

    def want(self, slots: float, ends_in_s: float | None, idle: dict[str, int]) -> None:
        self.idle = idle

    def notes(self) -> list[str]:
        return []

    def has_room(self, node: str) -> bool:
        return self.held < self.allowed

    def take(self, node: str) -> bool:
        if not self.has_room(node):
            return False
        self.held += 1
        return True

    def give(self, node: str) -> None:
        self.gives += 1

    def gone(self, node: str, *, given: bool = False) -> None:
        self.held -= 1
        self.gives -= given

    def too_many(self, node: str) -> int:
        return max(0, self.held - self.gives - self.allowed)

    def reason(self) -> str:
        return "for another study"


def test_a_study_has_as_many_workers_as_its_share_and_gives_up_those_that_do_least(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start = Mock(side_effect=lambda *_: Mock())
    monkeypatch.setattr("sweep.executors.ray.executor.start_actor", start)
    ray = Mock(wait=lambda refs, **_: ([], refs))
    put_ray(monkeypatch, ray)
    seat = Share(0)
    cluster = Seen(slots=3)
    settings = WorkerSettings(TaskRef(".", "task.py:Task"), None, keep_final=False)
    executor = RayExecutor(settings, cluster, seat=seat)  # type: ignore[arg-type]
    executor.start()
    assert (executor.wait(0.0), start.call_count, seat.nodes) == ([], 0, {"slot": 3})

    def more(allowed: int) -> list[ExecutorEvent]:
        seat.allowed = allowed
        events = executor.wait(0.0)
        cluster.see()
        return events + executor.wait(0.0)

    more(2)
    assert [call.args[1] for call in start.call_args_list] == ["sweep//slot-0", "sweep//slot-1"]
    for slot in executor._slots.values():
        slot.joined = True
    executor.submit("slot-1", Turn(1, (), 1))
    executor.want(1, None, ["slot-0", "slot-1"])
    assert seat.idle == {"slot": 1}, "the other one was given a trial meanwhile"
    assert more(1) == [SlotReclaimed("slot-0", "for another study", 7.0)], "the other one trains"
    assert more(1) == [], "once"
    executor.want(1, None, ["slot-0"])
    assert seat.idle == {}, "it is on its way back already"
    assert (seat.held, seat.gives) == (2, 1)
    executor.release("slot-0")
    assert (seat.held, seat.gives, ray.kill.call_count) == (1, 0, 1)
    assert (more(1), start.call_count) == ([], 2)
    monkeypatch.setattr("sweep.executors.ray.executor.LATE_S", -1.0)
    more(2)
    assert start.call_args.args[1] == "sweep//slot-2", "the place that waits longest"
    assert more(2) == [], "it is said once that a worker is late"
    assert more(1) == [], "one that has not joined ends, and the scheduler hears of none"
    assert (seat.held, ray.kill.call_count) == (1, 2)
