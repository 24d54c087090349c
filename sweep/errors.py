"""Errors sorted by who acts next; each message says where, the rule, what was found and the remedy.

SweepError            the command ends with exit code 2, its text is all a person sees
├── SpecError         the user edits the study file or the task; carries every problem found
├── RunDirError       the user chooses another run directory or waits for the one in use
│   └── RunInUseError another process holds it
├── JournalError      Optuna's journal is damaged; it is set aside and built again from the log
└── CheckpointError   a checkpoint file is damaged, foreign or missing
"""

from __future__ import annotations

from configfile.problems import ConfigError
from configfile.problems import Problem as Problem


class SweepError(Exception):
    """An error that a person can act on; its text stands alone, without a traceback."""

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows instead of a traceback."""
        return [f"{type(self).__name__}: {self}"]


class SpecError(SweepError, ConfigError):
    """The study file or the task cannot be run as it stands; `problems` holds all that was found."""


class RunDirError(SweepError):
    """A run directory is in use, belongs to another study, or cannot be read or written."""


class RunInUseError(RunDirError):
    """A run directory is held by a process that lives."""


class JournalError(SweepError):
    """Optuna's journal cannot be read, or says other things than the log; the message says what."""


class StaleJournalError(JournalError):
    """Optuna's journal is of a study's space as it was before an edit; it is made again."""


class CheckpointError(SweepError):
    """A checkpoint file is damaged, foreign or missing; the message names it."""


class UnreadableCheckpointError(CheckpointError):
    """A checkpoint file may not be read, by its permissions: whether it is sound is not known."""
