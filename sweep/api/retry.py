"""Ask failed trials again: `sweep.retry("runs/digits")`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sweep.api.status import load_study_state
from sweep.errors import RunDirError
from sweep.rundir.history import History
from sweep.rundir.rundir import RunDir
from sweep.vocabulary.trial import TrialState


@dataclass(frozen=True)
class Retry:
    """Failed trials that are asked again when the study is next run."""

    run_dir: Path
    trials: tuple[int, ...]

    def as_text(self) -> str:
        """What `retry` prints."""
        if not self.trials:
            return f"{self.run_dir}: no trial is asked again; none failed that was not asked again already"
        numbers = ", ".join(map(str, self.trials))
        return f"{self.run_dir}: trials {numbers} are asked again. Run the study's own command to train them"


def retry(run_dir: str | Path, trials: Sequence[int] = ()) -> Retry:
    """Ask failed trials again, with their own hyperparameters, when the study is next run.

    Without `trials` all that broke; those that diverged only where they are named. They no longer count in
    the budget. Raises RunDirError where a trial did not fail, or another process writes.
    """
    path = Path(run_dir)
    load_study_state(path)
    with RunDir.open(path.resolve().parent, path.resolve().name) as run:
        numbers = _named(path, run.history, trials) if trials else _broken(run.history)
        if numbers:
            run.record_retry(numbers)
            run.commit()
    return Retry(path, tuple(numbers))


def _broken(history: History) -> list[int]:
    failed = [each for each in history.told.values() if each.state is TrialState.FAIL and not each.diverged]
    return sorted(each.number for each in failed if each.number not in history.study.retried)


def _named(path: Path, history: History, trials: Sequence[int]) -> list[int]:
    for number in trials:
        outcome = history.told.get(number)
        if outcome is None:
            why = "has not ended" if number in history.unfinished else "is not there"
        elif outcome.state is not TrialState.FAIL:
            why = f"ended {outcome.state}"
        elif number in history.study.retried:
            why = "is asked again already"
        else:
            continue
        raise RunDirError(f"{path}: trial {number} {why}. Name trials that failed")
    return list(dict.fromkeys(trials))
