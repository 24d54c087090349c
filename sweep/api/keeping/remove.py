"""`sweep rm`: deletes checkpoints that are no longer wanted; what unfinished trials need stays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from configfile.quantities import format_size
from sweep.api.status import load_study_state
from sweep.driver.checkpoint_store import remove_stored
from sweep.errors import RunDirError
from sweep.rundir.history import History, read_history
from sweep.rundir.retention import superseded
from sweep.rundir.rundir import RunDir
from sweep.vocabulary.trial import Snapshot


@dataclass(frozen=True)
class Removal:
    """What would be deleted, and how many checkpoints stay; `stored` gives the URLs of those in the store."""

    run_dir: Path
    checkpoints: tuple[Snapshot, ...]
    staying: int
    stored: Mapping[str, str] = field(default_factory=dict)

    @property
    def size_bytes(self) -> int:
        return sum(each.bytes for each in self.checkpoints)

    def as_json(self) -> dict[str, Any]:
        """What was deleted, once it was."""
        return {
            "run_dir": str(self.run_dir),
            "deleted": [self.stored.get(each.path, each.path) for each in self.checkpoints],
            "bytes": self.size_bytes,
            "staying": self.staying,
        }

    def as_text(self) -> str:
        trials = sorted({each.trial for each in self.checkpoints})
        of = f"of trial {trials[0]}" if len(trials) == 1 else f"of {len(trials)} trials"
        return (
            f"{self.run_dir}: {len(self.checkpoints)} checkpoints {of}, {rounded_size(self.size_bytes)}; "
            f"{self.staying} stay"
        )


def plan_removal(run_dir: Path, *, keep_best: int, trials: Sequence[int] = ()) -> Removal:
    """What `sweep rm` would delete: all but the best and the starred trials', or only those of `trials`.

    Raises RunDirError where there is no run, or a trial has not ended: it resumes from its checkpoint.
    """
    load_study_state(run_dir)
    history = read_history(run_dir)
    for number in trials:
        if number not in history.told:
            unfinished = number in history.unfinished
            why = (
                "it has not ended and resumes from its checkpoint" if unfinished else "there is no such trial"
            )
            raise RunDirError(f"{run_dir}: no checkpoint of trial {number} was deleted; {why}")
    stored = list(history.checkpoints.values())
    going = _of(stored, trials) if trials else _all_but_best(history, stored, keep_best)
    return Removal(run_dir, tuple(going), len(stored) - len(going), history.stored_checkpoints)


def _of(stored: Sequence[Snapshot], trials: Sequence[int]) -> list[Snapshot]:
    return [each for each in stored if each.trial in trials]


def _all_but_best(history: History, stored: Sequence[Snapshot], keep_best: int) -> list[Snapshot]:
    if not stored:  # a run that was killed before its first session began has no objectives either
        return []
    directions = [direction for _, direction in history.study.objectives]
    return superseded(
        stored,
        told=history.told,
        directions=directions,
        keep_best=keep_best,
        starred=history.study.steered.starred,
        keep_best_report=True,  # there is one only where the trial's value is from there, or it was asked for
    )


def remove(run_dir: str | Path, *, keep_best: int = 1, trials: Sequence[int] = ()) -> Removal:
    """Delete a run's checkpoints, all but those of the best trials, or only those of `trials`.

    Raises RunDirError as `plan_removal` and `carry_out` do.
    """
    removal = plan_removal(Path(run_dir), keep_best=keep_best, trials=trials)
    carry_out(removal)
    return removal


def carry_out(removal: Removal) -> None:
    """Delete them, in the store too, and say so in the log.

    Raises RunDirError while another process writes there, or where the store refuses: what it has not
    deleted stays recorded.
    """
    path = removal.run_dir.resolve()
    with RunDir.open(path.parent, path.name) as run:
        for each in removal.checkpoints:
            try:
                if (url := removal.stored.get(each.path)) is not None:
                    remove_stored(each, url)
            except RunDirError:
                run.commit()
                raise
            run.checkpoints.remove(each.path)
        run.commit()


def rounded_size(size_bytes: int) -> str:
    """A size in three digits, such as 1.23 MB."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size_bytes >= size:
            return f"{size_bytes / size:.3g} {unit}"
    return format_size(size_bytes) if size_bytes else "0 B"
