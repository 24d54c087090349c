"""A study that several processes ask for trials: one owns it, and where that ends another one does."""

from __future__ import annotations

import json
import os
import signal
import socket
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import sweep
from runlog import layout
from sweep.api.python.asking import opening
from sweep.api.python.asking.client import Joined
from sweep.api.python.asking.desk import OwnerGone
from sweep.api.python.asking.owner import Owner
from sweep.api.python.asking.serving import Address, address_in, own_version
from sweep.errors import RunDirError, RunInUseError, SweepError
from tests.logs import records
from tests.sweep.api.python.others import Other, others

KEYS: dict[str, Any] = {
    "name": "mine",
    "space": {"x": sweep.float(-1, 1)},
    "objective": "loss",
    "direction": "minimize",
    "budget": 4,
    "sampler": "random",
}
RUN = Path("runs/mine")

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def is_owner(study: sweep.Study) -> bool:
    return isinstance(study._desk, Owner)


def held(study: sweep.Study) -> Any:
    trial = study.ask()
    assert trial is not None
    return trial


def reported() -> list[tuple[int, int, float]]:
    """All reports of the log, in order."""
    return [(each["trial"], each["examples"], each["metrics"]["loss"]) for each in records(RUN, "report")]


def test_a_second_process_asks_the_first(tmp_path: Path) -> None:
    with sweep.Study(**KEYS) as mine, others(tmp_path, KEYS) as (other,):
        address = RUN / layout.ASKING / "owner.json"
        assert json.loads(address.read_text())["pid"] == os.getpid()
        assert address.stat().st_mode & 0o777 == 0o600
        first, second = held(mine), other.do("ask")
        assert (first.number, second) == (0, (1, 0))
        assert other.do("report", 1, 10, 0.5) is False
        assert other.do("tell", 1) == "COMPLETE"
        with pytest.raises(SweepError, match=r"trial 1 was told before\. Ask for another one"):
            other.do("tell", 1)
        assert other.do("ask") == (2, 0)
        with pytest.raises(SweepError, match="trial 2: `loss` is str 'low', which is no number"):
            other.do("tell", 2, "low")
        assert other.do("tell", 2, 0.25) == "COMPLETE"
        assert other.do("best") == 2
        assert other.do("ask") == (3, 0)
        assert mine.ask() is None
        mine.tell(first, 1.0)
        other.do("tell", 3, 2.0)
        assert other.do("ask") is None
        other.do("close")
        assert mine.summary.counts["COMPLETE"] == 4
    assert sweep.load(RUN).trials.value.tolist() == [1.0, 0.5, 0.25, 2.0]
    assert not list((RUN / layout.ASKING).iterdir())


def test_what_a_process_held_that_died_is_asked_for_again_with_what_it_saved(tmp_path: Path) -> None:
    with sweep.Study(**KEYS) as mine, others(tmp_path, KEYS) as (other,):
        assert other.do("ask") == (0, 0)
        other.do("save", 0, {"step": 3})
        other.do("report", 0, 30, 0.5)
        other.kill()
        again = held(mine)
        assert (again.number, again.examples, again.checkpoint) == (0, 30, {"step": 3})
        again.report(30, loss=0.7)  # known: what was recorded first counts
        mine.tell(again, 0.25)
    assert reported() == [(0, 30, 0.5), (0, 31, 0.25)]
    (lost,) = records(RUN, "lost")
    assert lost["reason"] == f"the process {other.process.pid}, which held trial 0, has ended"


def test_what_a_process_held_that_closed_the_study_is_asked_for_again(tmp_path: Path) -> None:
    with sweep.Study(**KEYS) as mine, others(tmp_path, KEYS) as (other,):
        other.do("ask")
        other.do("save", 0, {"step": 1})
        other.do("report", 0, 10, 0.5)
        other.do("close")
        again = held(mine)
        assert (again.number, again.checkpoint) == (0, {"step": 1})


@pytest.mark.parametrize("how", ["kill", "close"])
def test_where_the_owner_ends_another_process_owns_the_study(how: str, tmp_path: Path) -> None:
    with others(tmp_path, KEYS, KEYS) as (owner, other), sweep.Study(**KEYS) as mine:
        assert type(mine._desk) is Joined
        numbers = [owner.do("ask")[0], held(mine), other.do("ask")[0]]
        trial = numbers[1]
        assert (numbers[0], trial.number, numbers[2]) == (0, 1, 2)
        trial.report(10, loss=3.0)
        owner.do("report", 0, 10, 5.0)
        other.do("report", 2, 10, 4.0)
        owner.do("close") if how == "close" else owner.kill()
        trial.report(20, loss=2.0)
        assert is_owner(mine)
        left = held(mine)
        assert left.number == 0, "what others hold is kept for them"
        assert held(mine).number == 3
        other.do("report", 2, 20, 1.0)
        assert other.do("tell", 2) == "COMPLETE"
        mine.tell(left, 0.5)
        assert mine.tell(trial) == "COMPLETE"
    seen = [(0, 10, 5.0), (0, 11, 0.5), (1, 10, 3.0), (1, 20, 2.0), (2, 10, 4.0), (2, 20, 1.0)]
    assert sorted(reported()) == seen
    table = sweep.load(RUN).trials
    assert table.value.dropna().tolist() == [0.5, 2.0, 1.0]
    assert table.state.tolist() == ["COMPLETE"] * 3 + ["RUNNING"]
    assert list(sweep.load(RUN).sessions.reason.fillna("killed")) == [
        "killed" if how == "kill" else "interrupted",
        "interrupted",
    ]


def test_an_answer_that_was_lost_with_the_owner_is_asked_for_again(tmp_path: Path) -> None:
    """The owner dies after it has recorded what it was told, and before it answers."""
    with others(tmp_path, KEYS) as (owner,), sweep.Study(**KEYS) as mine:
        trial = held(mine)
        trial.report(10, loss=1.0)
        unheard = mine._desk.end

        def end(*arguments: Any) -> Any:
            unheard(*arguments)
            owner.kill()
            return unheard(*arguments)

        mine._desk.end = end  # type: ignore[method-assign, assignment]
        assert mine.tell(trial, 0.5) == "COMPLETE"
    assert reported() == [(0, 10, 1.0), (0, 11, 0.5)]
    assert len(records(RUN, "told")) == 1


def test_a_trial_that_never_reached_its_process_is_given_again(tmp_path: Path) -> None:
    """The process is interrupted while it waits for the answer, or before it has it."""
    with others(tmp_path, KEYS), sweep.Study(**KEYS) as mine:
        desk = mine._desk
        assert type(desk) is Joined
        ask = desk.ask

        def interrupted(*arguments: Any) -> Any:
            ask(*arguments)
            desk.let_go()
            raise KeyboardInterrupt

        desk.ask = interrupted  # type: ignore[method-assign, assignment]
        with pytest.raises(KeyboardInterrupt):
            mine.ask()
        desk.ask = ask  # type: ignore[method-assign]
        assert [held(mine).number for _ in range(3)] == [0, 1, 2]


def test_an_owner_that_closes_for_long_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It writes tables and sends checkpoints away; a program that trains must not end for it."""
    with others(tmp_path, KEYS) as (owner,), sweep.Study(**KEYS) as mine:
        trial = held(mine)
        closing = [RunInUseError("in use")] * 3

        def owned(*arguments: Any) -> Owner:
            if closing:
                raise closing.pop()
            return Owner(*arguments)

        monkeypatch.setattr(opening, "PATIENCE_S", 0.0)
        monkeypatch.setattr(opening, "Owner", owned)
        monkeypatch.setattr(opening, "holder", lambda _: owner.process.pid)
        monkeypatch.setattr(opening, "address_in", lambda _: None)
        monkeypatch.setattr(opening, "is_elsewhere", lambda *_: False)
        owner.kill()
        assert mine.tell(trial, 1.0) == "COMPLETE"
        assert closing == []


def test_a_copy_of_the_owner_keeps_nothing_of_it(tmp_path: Path) -> None:
    """A pool of processes that a program has forked may outlive it."""
    with others(tmp_path, KEYS) as (owner,), sweep.Study(**KEYS) as mine:
        trial = held(mine)
        copy = owner.do("fork")
        try:
            owner.kill()
            assert mine.tell(trial, 1.0) == "COMPLETE"
            assert is_owner(mine)
        finally:
            os.kill(copy, signal.SIGKILL)


def test_a_trial_that_another_process_has_by_now_is_named(tmp_path: Path) -> None:
    """A process that held one was taken for dead: its file is gone."""
    with others(tmp_path, KEYS, KEYS) as (owner, other), sweep.Study(**KEYS) as mine:
        trial = held(mine)
        (RUN / layout.ASKING / f"{mine._who}.held").unlink()
        owner.kill()
        assert other.do("ask") == (0, 0)
        with pytest.raises(SweepError, match="trial 0 was given to another process, as this one was not"):
            mine.tell(trial, 1.0)
        with pytest.raises(SweepError, match="trial 0 was given to another process, as this one was not"):
            trial.report(1, loss=1.0)
        assert other.do("tell", 0, 2.0) == "COMPLETE"
    assert [each["values"] for each in records(RUN, "told")] == [[2.0]]


def test_who_does_not_know_the_key_is_not_answered() -> None:
    with sweep.Study(**KEYS) as mine:
        address = address_in(RUN / layout.ASKING)
        assert address is not None
        with pytest.raises(OwnerGone):
            Joined(address._replace(key=b"another"), "1-1")
        assert held(mine).number == 0


@pytest.mark.parametrize("greets", [b"", (7).to_bytes(4, "big") + b"welcome"])
def test_a_port_that_another_program_has_by_now_is_no_owner(
    greets: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that waits to be spoken to would be waited for without end."""
    monkeypatch.setattr("sweep.api.python.asking.client.ANSWERS_WITHIN_S", 1)
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:
        address = Address(1, server.getsockname()[1], b"key", own_version())
        joined = pool.submit(Joined, address, "1-1")
        stranger, _ = server.accept()
        with stranger:
            stranger.sendall(greets)
            with pytest.raises(OwnerGone):
                joined.result(timeout=300)


def test_an_owner_of_another_version_is_named(tmp_path: Path) -> None:
    with sweep.Study(**KEYS) as mine:
        path = RUN / layout.ASKING / "owner.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "version": "0.0.1"}))
        said = rf"in the process {os.getpid()} with version 0\.0\.1 of sweep-mlx, and this is \d.*Use one"
        with pytest.raises(RunDirError, match=said):
            Other(tmp_path, KEYS)
        assert held(mine).number == 0


def test_a_call_that_the_owner_cannot_read_is_an_error_and_not_asked_again() -> None:
    with sweep.Study(**KEYS) as mine:
        address = address_in(RUN / layout.ASKING)
        assert address is not None
        joined = Joined(address, "1-1")
        joined._connection.send_bytes(b"no pickle")
        is_answer, error = joined._connection.recv()
        assert (is_answer, type(error)) == (False, SweepError)
        assert f"the process {os.getpid()}, which owns the study, failed: UnpicklingError" in str(error)
        assert joined.ended(0) is None, "the connection goes on"
        joined.close()
        assert held(mine).number == 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"space": {"x": sweep.float(-1, 2)}},
            r"settings: space\.x\.high is 1\.0 there and 2\.0 here\. Give",
        ),
        ({"budget": 5}, r"with other settings: budget\.trials is 4 there and 5 here\. Give the same ones"),
    ],
)
def test_another_study_of_the_name_is_refused(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    with sweep.Study(**KEYS), pytest.raises(RunDirError, match=said):
        Other(tmp_path, {**KEYS, **changes})


def test_a_copy_of_the_process_must_open_the_study_itself() -> None:
    with sweep.Study(**KEYS) as mine, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        trial = held(mine)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                mine.close()
                trial.report(1, loss=1.0)
            except SweepError as error:
                code = 0 if "was opened by the process" in str(error) else 2
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert mine.tell(trial, 1.0) == "COMPLETE"
