"""A study run by a process of its own, which outlives the one that starts it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from runlog import layout
from sweep.api.status import load_study_state
from sweep.errors import RunDirError, SweepError
from sweep.rundir.disk import disk_errors
from sweep.rundir.lock import holder
from sweep.spec.parse import load
from sweep.vocabulary.own_packages import ROOT

BEGINS_WITHIN_S = 60.0
"""How long a study has to begin before this stops waiting; it runs on."""

LOOK_EVERY_S = 0.1

SHOWN_BYTES = 2000
"""How much of its output a message shows."""

_started: list[subprocess.Popen[bytes]] = []
"""Children: their ends are heard of when the next one is started."""


@dataclass(frozen=True)
class Launched:
    """A study that was started: its run directory, its process, and the file with what it prints."""

    run_dir: Path
    pid: int
    output: Path


def launch(study: Path, *, runs: Path, trials: int | None = None) -> Launched:
    """Start or resume a study in the background, as `sweep run` does.

    Raises SweepError where the file is wrong, the run is in use, or the study ends at once with an error.
    """
    _reap()
    spec = load(study)
    run_dir = runs / spec.name
    if (pid := holder(run_dir / layout.LOCK)) is not None:
        raise SweepError(f"{run_dir}: runs already, in the process {pid}. Wait for it, or stop it")
    before = _sessions(run_dir)
    output = runs / f"{spec.name}.out"
    options = [] if trials is None else ["--trials", str(trials)]
    command = [sys.executable, "-P", "-m", "sweep", "run", str(study), "--runs", str(runs), *options]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    with disk_errors(output):
        runs.mkdir(parents=True, exist_ok=True)
        with output.open("wb") as file:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONPATH": path},
                start_new_session=True,  # a client ends its server with all of its group
            )
    _started.append(process)
    deadline = time.monotonic() + BEGINS_WITHIN_S
    while process.poll() is None and _sessions(run_dir) == before and time.monotonic() < deadline:
        time.sleep(LOOK_EVERY_S)
    if process.poll() not in (None, 0):
        raise SweepError(_ending(output) or f"{study}: ended with code {process.returncode}")
    return Launched(run_dir, process.pid, output)


def _sessions(run_dir: Path) -> int:
    """How many sessions have begun: one does once its study and its task were found to be right."""
    try:
        return load_study_state(run_dir)[0].sessions
    except RunDirError:
        return 0


def _reap() -> None:
    _started[:] = [each for each in _started if each.poll() is None]


def _ending(output: Path) -> str:
    with output.open("rb") as file:
        file.seek(max(0, output.stat().st_size - SHOWN_BYTES))
        return file.read().decode(errors="replace").strip()
