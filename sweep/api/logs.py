"""`sweep logs`: what the command of a trial printed, as it is kept in the run directory."""

from __future__ import annotations

import codecs
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
    current, earlier = run_dir / name.path, run_dir / name.earlier
    decoded = codecs.getincrementaldecoder("utf-8")("replace").decode  # a letter may come in two pieces
    size, file_number = 0, _file_number(current)
    yield decoded(_after(earlier, 0))
    while True:
        is_running = _is_running(run_dir, trial)
        number = _file_number(current)
        if number != file_number:
            if file_number:  # it became the earlier one
                yield decoded(_after(earlier, size))
            size, file_number = 0, number
        if added := _after(current, size):
            size += len(added)
            yield decoded(added)
        elif not is_running:
            yield decoded(b"", final=True)
            return
        else:
            time.sleep(LOOK_EVERY_S)


def _parts(run_dir: Path, name: OutputName) -> Iterator[bytes]:
    for path in (name.earlier, name.path):
        if (run_dir / path).is_file():
            yield (run_dir / path).read_bytes()


def _after(path: Path, offset: int) -> bytes:
    if not path.is_file():
        return b""
    with path.open("rb") as file:
        file.seek(offset)
        return file.read()


def _file_number(path: Path) -> int:
    """What tells a file from one that takes its place; 0 where there is none yet."""
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return 0


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
