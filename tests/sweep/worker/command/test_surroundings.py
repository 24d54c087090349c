"""What a trial's process inherits: what it would find in a terminal, and nothing of Ray."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sweep.vocabulary.trial import Length, TrialPlan
from sweep.vocabulary.turn import Command, Load
from sweep.worker.command.surroundings import Surroundings

LOAD = Load(0, TrialPlan(3, 0, {}, (), Length(1, 1)), 0, 0)


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """This process as a worker of Ray's."""
    for name, text in (("RAY_AUTH_TOKEN", "secret"), ("RAY_JOB_ID", "1"), ("OMP_NUM_THREADS", "1")):
        monkeypatch.setenv(name, text)
    return monkeypatch


@contextmanager
def node(**environment: str) -> Iterator[str]:
    """A process that stands for the node of a worker; its number."""
    given = {"PATH": os.environ["PATH"], **environment}
    script = "import sys; print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", script], env=given, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield str(process.pid)
        process.kill()


def inherited(folder: Path, *, slots: int = 1, **given: str) -> dict[str, str]:
    command = Command(("true",), environment=given)
    surroundings = Surroundings(
        command,
        LOAD,
        study=folder,
        folder=folder / "trial",
        place=folder / "ours",
        resumed=0,
        slots=slots,
    )
    return surroundings.environment()


def test_nothing_of_ray_is_inherited(tmp_path: Path, worker: pytest.MonkeyPatch) -> None:
    """Its token would end in what a program prints, and its threads are one a worker."""
    with node() as number:
        worker.setenv("RAY_RAYLET_PID", number)
        found = inherited(tmp_path)
        assert {name for name in found if name.startswith("RAY_")} == set()
        assert "OMP_NUM_THREADS" not in found
        assert "secret" not in json.dumps(found)
        given = inherited(tmp_path, RAY_ADDRESS="local", OMP_NUM_THREADS="3")
        assert (given["RAY_ADDRESS"], given["OMP_NUM_THREADS"]) == ("local", "3")


@pytest.mark.parametrize(("slots", "threads"), [(1, None), (2, "4"), (8, "1"), (16, "1")])
def test_programs_share_the_cores(
    slots: int, threads: str | None, tmp_path: Path, worker: pytest.MonkeyPatch
) -> None:
    worker.setattr("sweep.worker.command.surroundings.os.cpu_count", lambda: 8)
    with node() as number:
        worker.setenv("RAY_RAYLET_PID", number)
        assert inherited(tmp_path, slots=slots).get("OMP_NUM_THREADS") == threads


def test_what_the_node_has_is_inherited(tmp_path: Path, worker: pytest.MonkeyPatch) -> None:
    with node(OMP_NUM_THREADS="1") as number:
        worker.setenv("RAY_RAYLET_PID", number)
        assert inherited(tmp_path)["OMP_NUM_THREADS"] == "1"


@pytest.mark.parametrize("number", [None, "no number", str(2**22 + 1)])
def test_without_a_node_it_is_this_process(
    number: str | None, tmp_path: Path, worker: pytest.MonkeyPatch
) -> None:
    worker.delenv("RAY_RAYLET_PID", raising=False)
    if number is not None:
        worker.setenv("RAY_RAYLET_PID", number)
    assert inherited(tmp_path)["OMP_NUM_THREADS"] == "1"
