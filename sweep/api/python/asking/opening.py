"""Owner or client: whichever a process can be of a study."""

from __future__ import annotations

import os
import time
from pathlib import Path

from runlog import layout
from runlog.study import read_study
from sweep.api.python.asking.client import Joined
from sweep.api.python.asking.desk import OwnerGone
from sweep.api.python.asking.owner import Owner
from sweep.api.python.asking.serving import address_in, own_version
from sweep.errors import RunDirError, RunInUseError
from sweep.rundir.lock import holder, is_elsewhere
from sweep.spec.edited.differences import differences
from sweep.spec.parse import parse
from sweep.spec.resolve import resolved
from sweep.spec.schema import StudySpec

PATIENCE_S = 10.0
"""How long a process that holds the run directory may take until it answers, or lets go."""

CLOSES_WITHIN_S = 600.0
"""How long an owner that was asked before may take to close: it writes tables and sends checkpoints away."""

SILENT_S = 60.0
"""How long one may take that is there and does not answer: its program may hold Python's lock a while."""

PAUSE_S = 0.05


def open_desk(spec: StudySpec, runs: Path, who: str, *, after: int | None = None) -> Owner | Joined:
    """Ask the process that owns the study, or own it; `after` is one that owned it. Raises SweepError."""
    run_dir = runs / spec.name
    began = time.monotonic()
    while True:
        try:
            if (found := _joined(spec, run_dir, who)) is not None:
                return found
            return Owner(spec, runs, who)
        except (OwnerGone, RunInUseError) as error:
            lock, waited_s = run_dir / layout.LOCK, time.monotonic() - began
            pid = holder(lock)
            if isinstance(error, RunInUseError):
                patience_s = CLOSES_WITHIN_S if pid == after else PATIENCE_S
                if pid == os.getpid() or waited_s > patience_s or (pid and is_elsewhere(lock, pid)):
                    raise
            elif waited_s > SILENT_S:
                raise RunInUseError(
                    f"{run_dir}: is open in the process {pid}, which does not answer. "
                    "End it (kill -INT stops it cleanly), and run this again"
                ) from error
            time.sleep(PAUSE_S)


def _joined(spec: StudySpec, run_dir: Path, who: str) -> Joined | None:
    """A connection to the process that owns the study; None where none does. Raises OwnerGone."""
    address, lock = address_in(run_dir / layout.ASKING), run_dir / layout.LOCK
    if address is None or address.pid == os.getpid() or holder(lock) != address.pid:
        return None
    if is_elsewhere(lock, address.pid):  # its port is another program's here
        return None
    if address.version != own_version():
        raise RunDirError(
            f"{run_dir}: is open in the process {address.pid} with version {address.version or 'unknown'} of "
            f"sweep-mlx, and this is {own_version()}. Use one version in both, or close the study there first"
        )
    found = Joined(address, who)
    try:
        _check_same(spec, run_dir, address.pid)
    except BaseException:
        found.close()
        raise
    return found


def _check_same(spec: StudySpec, run_dir: Path, pid: int) -> None:
    """Raise RunDirError where the owner has opened another study, or the same with other settings."""
    text = (run_dir / layout.STUDY).read_text("utf-8")
    before = parse(text, file=str(run_dir / layout.STUDY))
    settings = tuple(read_study(run_dir, on_damage=lambda _: None).steered.settings)
    changes = [
        each
        for each in differences(before, spec, tuple(resolved(before) | resolved(spec)))
        if not each.key.startswith(settings)  # what was set by hand holds for all that share the study
    ]
    if changes:
        said = ", ".join(f"{each.key} is {each.old} there and {each.new} here" for each in changes)
        raise RunDirError(
            f"{run_dir}: is open in the process {pid} with other settings: {said}. "
            "Give the same ones, or close the study there first"
        )
