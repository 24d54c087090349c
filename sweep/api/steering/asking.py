"""A request to a run: written beside its log, and its answer awaited there.

The process that holds the run answers. Where none does, this one holds it for a moment and answers itself.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runlog import layout
from runlog.reader import read_batches, whole_bytes
from sweep.api.remote import FETCHED, RemoteStudy
from sweep.api.steering.remote import ask_there, place_of
from sweep.driver.steering.channel import remove, submit
from sweep.driver.steering.waiting import answer_unheld
from sweep.errors import RunDirError, RunInUseError, SweepError
from sweep.rundir.lock import holder
from sweep.rundir.naming import check_log

ANSWER_S = 10.0
"""How long an answer is waited for: a driver is busy while workers start, or while it trains `inline`."""

LOOK_EVERY_S = 0.05


@dataclass(frozen=True)
class Asked:
    """A request, and what came of it; one that is not `answered` yet stays asked.

    `run` is the run directory, or the study and its host where it lies elsewhere.
    """

    run: str
    id: str
    verb: str
    answered: bool
    answer: str

    def as_text(self) -> str:
        """What the command prints."""
        return f"{self.run}: {self.answer}"

    def as_json(self) -> dict[str, Any]:
        """What `--json` prints."""
        return {
            "run": self.run,
            "id": self.id,
            "verb": self.verb,
            "answered": self.answered,
            "answer": self.answer,
        }


def ask(run: str | Path, verb: str, arguments: Mapping[str, Any], *, answer_s: float = ANSWER_S) -> Asked:
    """Ask something of a run, by its directory or its study file, and wait for the answer.

    Raises RunDirError where there is no run or nothing can be written there, SweepError with the reason
    where it is refused.
    """
    run_dir = place_of(run)
    if isinstance(run_dir, RemoteStudy):
        return _asked_there(run_dir, verb, arguments)
    check_log(run_dir)
    _check_is_no_copy(run_dir)
    start = whole_bytes(run_dir / layout.LOG)
    id = submit(run_dir, verb, arguments).id
    deadline = time.monotonic() + answer_s
    while (answer := _answer(run_dir, start, id)) is None:
        if holder(run_dir / layout.LOCK) is None and _answers_itself(run_dir, id):
            continue
        if time.monotonic() > deadline:
            pid = holder(run_dir / layout.LOCK)
            busy = f"the process {pid} is busy" if pid else "the run is busy"
            said = f"asked; {busy} and answers later: python -m sweep status {run_dir}"
            return Asked(str(run_dir), id, verb, answered=False, answer=said)
        time.sleep(LOOK_EVERY_S)
    if not answer["accepted"]:
        raise SweepError(f"{run_dir}: {answer['answer']}")
    return Asked(str(run_dir), id, verb, answered=True, answer=answer["answer"])


def _asked_there(study: RemoteStudy, verb: str, arguments: Mapping[str, Any]) -> Asked:
    """The same where the run lies on its cluster's head."""
    found = ask_there(study, verb, arguments)
    there, here = f"../runs/{study.spec.name}", str(study.spec.document.file)
    if "refused" in found:
        raise SweepError(found["refused"].replace(there, here))
    answer = found["answer"].replace(there, here)
    return Asked(f"{study.spec.name} on {study.host}", found["id"], verb, found["answered"], answer)


def _answer(run_dir: Path, start: int, id: str) -> dict[str, Any] | None:
    """The record that answers the request; None where there is none yet."""
    for batch in read_batches(
        run_dir / layout.LOG, start=start, kinds=("request",), on_damage=lambda _: None
    ):
        for record in batch:
            if record["id"] == id:
                return record
    return None


def _answers_itself(run_dir: Path, id: str) -> bool:
    """Answer all that was asked of a run that no process holds; False where one has just taken it.

    Where that fails, what was asked now is asked no more: who asks it again must not have it done twice.
    """
    try:
        answer_unheld(run_dir, lambda _: None, called=str(run_dir))
    except RunInUseError:
        return False
    except SweepError:
        remove(run_dir, id)
        raise
    return True


def _check_is_no_copy(run_dir: Path) -> None:
    """What is asked of a copy would reach no one."""
    try:
        origin = (run_dir / FETCHED).read_text().strip()
    except OSError:
        return
    host = origin.partition(":")[0]
    raise RunDirError(
        f"{run_dir}: is a copy of the run on {host}, which is asked by its study file: "
        "give the file in place of the directory"
    )
