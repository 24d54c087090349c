"""A driver's side of the broker, and this machine's broker, whose process may end at any moment."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sweep.executors.ray import deadline, seats
from sweep.executors.ray.seats import ActorLine
from sweep.executors.sharing import local
from sweep.executors.sharing import seat as seat_module
from sweep.executors.sharing.broker import NEW_S, Broker
from sweep.executors.sharing.local import ADDRESS, LocalLine
from sweep.executors.sharing.messages import BrokerError, Share, Standing
from sweep.executors.sharing.seat import ALONE_AFTER_S, FIRST_ANSWER_S, Seat


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Line:
    """Leads to a broker, while there is one."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.broker: Broker | None = Broker("one", clock.now - NEW_S)

    def call(self, said: Mapping[str, Any]) -> Mapping[str, Any]:
        if self.broker is None:
            raise BrokerError("there is none")
        return self.broker.answer(json.loads(json.dumps(said)), self.clock.now)

    def close(self) -> None: ...


def seat(name: str, line: Line, **share: Any) -> Seat:
    nodes = {"a": 2}
    standing = Standing(name, f"{name}-1", name, f"{name}'s user", "here", Share(**share), nodes)
    return Seat(standing, line, clock=line.clock)


def take_all(seat: Seat) -> int:
    count = 0
    while seat.take("a"):
        count += 1
    return count


def test_a_slot_is_taken_and_given_back_as_the_broker_says() -> None:
    line = Line(Clock())
    x, y = seat("x", line), seat("y", line)
    assert not x.take("a"), "nothing was answered yet"
    x.exchange()
    assert take_all(x) == 2
    for each in (x, y, x):
        each.exchange()
    assert (x.too_many("a"), y.has_room("a")) == (1, False)
    assert x.reason() == "for y of y's user"
    assert y.notes() == ["y: waits for one of 2 slots: x of x's user has 2"]
    x.give("a")
    assert x.too_many("a") == 0
    x.gone("a", given=True)
    for each in (x, y):
        each.exchange()
    assert (take_all(x), take_all(y)) == (0, 1)
    y.exchange()
    assert y.notes() == ["y: has 1 of 2 slots"]


def test_nothing_is_taken_while_an_answer_is_awaited() -> None:
    line = Line(Clock())
    x = seat("x", line)
    x.exchange()
    answer, taken = line.call, []
    line.call = lambda said: (taken.append(x.take("a")), answer(said))[1]  # type: ignore[method-assign, func-returns-value]
    x.exchange()
    assert taken == [False]
    assert x.take("a")


def test_without_a_broker_a_study_keeps_what_it_has_and_then_trains_as_if_alone() -> None:
    line = Line(Clock())
    x, y = seat("x", line), seat("y", line)
    for each in (x, y, x):
        each.exchange()
    assert x.take("a")
    line.broker = None
    line.clock.now += ALONE_AFTER_S - 1
    x.exchange()
    assert (x.take("a"), x.too_many("a"), x.notes()) == (False, 0, [])
    line.clock.now += 1
    x.exchange()
    assert x.notes() == ["slots are not shared, the study trains where it can: there is none"]
    assert x.take("a")
    assert x.has_room("a")


def test_a_study_that_never_reaches_a_broker_begins_soon() -> None:
    line = Line(Clock())
    line.broker = None
    x = seat("x", line)
    x.exchange()
    assert not x.take("a")
    line.clock.now += FIRST_ANSWER_S
    x.exchange()
    assert x.take("a")


def test_another_broker_hears_from_the_drivers_what_there_is() -> None:
    line = Line(Clock())
    x, y = seat("x", line), seat("y", line)
    x.exchange()
    assert take_all(x) == 2
    line.broker = Broker("two", line.clock.now)
    for each in (y, x, y):
        each.exchange()
    assert (x.too_many("a"), y.has_room("a")) == (0, False)
    line.clock.now += NEW_S
    for each in (x, y):
        each.exchange()
    assert (x.too_many("a"), y.has_room("a")) == (1, False)


def test_invariant_10_a_share_that_asks_for_more_than_there_is_is_said_once() -> None:
    line = Line(Clock())
    x = seat("x", line, max_slots=9)
    for _ in range(3):
        x.exchange()
    assert x.notes() == ["cluster_share.max_slots is 9, and there are 2 slots"]


@pytest.fixture
def lines(tmp_path: Path) -> Iterator[Any]:
    with ExitStack() as closing:

        def line(*, hosts: bool = True) -> LocalLine:
            made = LocalLine(tmp_path / "broker", hosts=hosts)
            closing.callback(made.close)
            return made

        yield line


def say(line: LocalLine, name: str) -> Mapping[str, Any]:
    standing = Standing(name, f"{name}-1", name, "a user", "here", nodes={"a": 2})
    return line.call({"call": "say", "standing": standing.as_plain()})


def names(line: LocalLine) -> list[str]:
    return [each["name"] for each in line.call({"call": "queue"})["queue"]]


def test_one_driver_hosts_the_broker_of_a_machine_and_the_next_one_when_it_ends(lines: Any) -> None:
    first, second, reader = lines(), lines(), lines(hosts=False)
    with pytest.raises(BrokerError, match="there is no broker on this machine"):
        reader.call({"call": "queue"})
    broker = say(first, "x")["broker"]
    assert say(second, "y")["broker"] == broker
    assert names(reader) == ["x", "y"]
    first.close()
    with pytest.raises(BrokerError):
        say(second, "y")
    assert say(second, "y")["broker"] != broker
    assert names(lines(hosts=False)) == ["y"]


def test_a_driver_that_hangs_up_has_left(lines: Any) -> None:
    host, other = lines(), lines()
    say(host, "x")
    say(other, "y")
    other.close()
    from tests.processes import wait_until

    wait_until(lambda: names(host) == ["x"])


def test_a_driver_of_another_user_does_not_know_the_key(lines: Any, tmp_path: Path) -> None:
    line = lines()
    say(line, "x")
    file = tmp_path / "broker" / ADDRESS
    assert file.stat().st_mode & 0o077 == 0
    address = json.loads(file.read_text())
    with socket.create_connection(("127.0.0.1", address["port"]), timeout=5.0) as stranger:
        stranger.sendall(b"another key\n" + json.dumps({"call": "queue"}).encode() + b"\n")
        assert stranger.recv(100) == b""
    assert names(line) == ["x"]


def test_invariant_10_a_folder_that_cannot_be_written_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    line = LocalLine(tmp_path / "file" / "broker")
    with pytest.raises(BrokerError, match="cannot be written") as raised:
        say(line, "x")
    assert "\n" not in str(raised.value)


def test_an_address_of_a_process_that_has_ended_is_none(lines: Any, tmp_path: Path) -> None:
    folder = tmp_path / "broker"
    folder.mkdir()
    (folder / ADDRESS).write_text(json.dumps({"pid": os.getpid(), "port": 1, "key": "old"}))
    assert say(lines(), "x")["broker"]


def test_the_files_are_this_user_s_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SWEEP_CACHE", raising=False)
    assert local.folder().is_relative_to(Path.home())
    assert socket.gethostname() in local.folder().name


def test_where_no_answer_comes_a_study_ends_without_waiting_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray's head is gone: it would be waited for until Ray ends the process, without a word of ours."""
    asked, goes_on = threading.Event(), threading.Event()
    calls: list[Any] = []

    class Silent(Line):
        def call(self, said: Mapping[str, Any]) -> Mapping[str, Any]:
            calls.append(said["call"])
            asked.set()
            goes_on.wait()
            raise BrokerError("there is none")

    monkeypatch.setattr(seat_module, "ENDS_WITHIN_S", 0.01)
    one = seat("x", Silent(Clock()))
    one.begin()
    asked.wait()

    def leave() -> None:
        one.end()
        one.leave()

    leaving = threading.Thread(target=leave)
    leaving.start()
    leaving.join(timeout=60.0)
    has_left = not leaving.is_alive()
    goes_on.set()
    leaving.join()
    assert has_left
    assert calls == ["say"]


@pytest.mark.parametrize("hosts", [True, False])
def test_a_head_that_is_gone_is_not_asked_for_its_broker_for_ever(
    monkeypatch: pytest.MonkeyPatch, hosts: bool
) -> None:
    goes_on = threading.Event()
    named = SimpleNamespace(remote=lambda: goes_on.wait(60.0))
    ray = SimpleNamespace(
        is_initialized=lambda: True,
        remote=lambda **_: lambda cls: SimpleNamespace(options=lambda **_: named),
        get_actor=lambda name, namespace: goes_on.wait(60.0),
    )
    monkeypatch.setattr(seats, "ray", ray)
    monkeypatch.setattr(deadline, "CALL_S", 0.01)
    with pytest.raises(BrokerError, match="does not answer: Ray's head has not answered for "):
        ActorLine(hosts=hosts).call({"call": "say"})
    goes_on.set()
