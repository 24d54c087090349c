"""Errors sorted by who acts next; each message says where, the rule, what was found and the remedy.

SweepError            the command ends with exit code 2, its text is all a person sees
├── SpecError         the user edits the study file or the task; carries every problem found
├── RunDirError       the user chooses another run directory or waits for the one in use
├── JournalError      Optuna's journal is damaged; it is set aside and built again from the log
└── CheckpointError   a checkpoint file is damaged, foreign or missing
TrialError            the trial fails, the study goes on
WorkerLost            the infrastructure failed; the trials in it are retried
"""

from __future__ import annotations

from dataclasses import dataclass


class SweepError(Exception):
    """An error that a person can act on; its text stands alone, without a traceback."""


@dataclass(frozen=True)
class Problem:
    """One thing wrong in a study file or its task.

    `key` is the path of keys to the entry (`space.learning_rate.low`), `line` counts from 1.
    `rule` says what must hold, `found` what stands there, `remedy` what to do.
    """

    file: str
    rule: str
    key: str | None = None
    line: int | None = None
    found: str | None = None
    remedy: str | None = None

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        parts = [f"{place}: {self.key}: {self.rule}" if self.key else f"{place}: {self.rule}"]
        if self.found is not None:
            parts.append(f"found {self.found}")
        if self.remedy is not None:
            parts.append(self.remedy)
        return "; ".join(parts)


class SpecError(SweepError):
    """The study file or the task cannot be run as it stands; `problems` holds all that was found."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


class RunDirError(SweepError):
    """A run directory is in use, belongs to another study, or cannot be read or written."""


class JournalError(SweepError):
    """Optuna's journal cannot be read, or says other things than the log; the message says what."""


class CheckpointError(SweepError):
    """A checkpoint file is damaged, foreign or missing; the message names it."""


class TrialError(Exception):
    """A trial's own failure: its exception, a non-finite loss, its time-out, its memory."""


class WorkerLost(Exception):
    """A worker process or its node is gone; the trials it held go on elsewhere."""
