"""`sweep logs`: what the command of a trial printed, as it is kept in the run directory."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runlog import layout
from runlog.layout import OutputName
from sweep.api.status import load_study_state
from sweep.errors import RunDirError
from sweep.rundir.lock import holder

LOOK_EVERY_S = 0.2
"""How often it is looked whether more was printed."""


@dataclass(frozen=True)
class Logs:
    """What each replicate of a trial printed, stdout and stderr as they came."""

    run: str
    trial: int
    replicates: Mapping[int, str]

    def as_json(self) -> dict[str, Any]:
        return {"run": self.run, "trial": self.trial, "replicates": dict(self.replicates)}


def logs(run_dir: str | Path, trial: int) -> Logs:
    """All that is kept of a trial's output. Raises RunDirError where there is none, or no such trial."""
    run_dir = Path(run_dir)
    _check_trial(run_dir, trial)
    found = {
        replicate: b"".join(_parts(run_dir, OutputName(trial, replicate))).decode(errors="replace")
        for replicate in _replicates(run_dir, trial)
    }
    if not found:
        raise RunDirError(
            f"{run_dir}: no output of trial {trial} is kept. A study with a `command` keeps what trials print"
        )
    return Logs(run_dir.resolve().name, trial, found)


def follow(run_dir: str | Path, trial: int, *, replicate: int = 0) -> Iterator[str]:
    """A trial's output, and what is added to it until the trial or the command that runs it has ended.

    Raises RunDirError where there is no such run or trial.
    """
    run_dir, name = Path(run_dir), OutputName(trial, replicate)
    _check_trial(run_dir, trial)
    current = run_dir / name.path
    yield b"".join(_parts(run_dir, name)).decode(errors="replace")
    size, file_number = _stands(current)
    while True:
        is_running = _is_running(run_dir, trial)
        at, number = _stands(current)
        if number != file_number:
            if file_number:  # it became the earlier one
                yield _after(run_dir / name.earlier, size)
            size, file_number = 0, number
        if at > size:
            yield _after(current, size)
            size = at
        elif not is_running:
            return
        else:
            time.sleep(LOOK_EVERY_S)


def _parts(run_dir: Path, name: OutputName) -> Iterator[bytes]:
    for path in (name.earlier, name.path):
        if (run_dir / path).is_file():
            yield (run_dir / path).read_bytes()


def _after(path: Path, offset: int) -> str:
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        file.seek(offset)
        return file.read().decode(errors="replace")


def _stands(path: Path) -> tuple[int, int]:
    """Size and number of a file; zeros where there is none yet."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_size, found.st_ino


def _replicates(run_dir: Path, trial: int) -> list[int]:
    folder = (run_dir / OutputName(trial, 0).path).parent
    names = {path.name.split(".")[0] for path in folder.glob("replicate-*.log")}
    return sorted(int(name.removeprefix("replicate-")) for name in names)


def _is_running(run_dir: Path, trial: int) -> bool:
    if holder(run_dir / layout.LOCK) is None:
        return False
    study, _ = load_study_state(run_dir)
    row = study.trials.get(trial)
    return row is not None and row.state == "RUNNING"


def _check_trial(run_dir: Path, trial: int) -> None:
    study, _ = load_study_state(run_dir)
    if trial not in study.trials:
        has = f"trials 0 to {max(study.trials)} exist" if study.trials else "none exists yet"
        raise RunDirError(f"{run_dir}: no trial {trial} ({has})")
