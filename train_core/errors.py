"""What can go wrong in training, sorted by who acts next; messages say where, what and what to do.

TrainingError
├── TaskError             the task's author edits the task
├── HyperparameterError   the study's author chooses other values
├── TrialError            this training run fails; others are untouched
└── CheckpointError       a checkpoint is damaged, foreign, or does not fit the program
"""

from __future__ import annotations


class TrainingError(Exception):
    """An error whose text stands alone, without a traceback."""


class TaskError(TrainingError):
    """The task breaks a rule; the message names its file and line where they are known."""


class HyperparameterError(TrainingError):
    """A hyperparameter is unknown, of the wrong type or out of range."""


class TrialError(TrainingError):
    """One training run failed by itself: a non-finite loss, for instance."""


class CheckpointError(TrainingError):
    """A checkpoint is damaged, foreign, or does not fit the program it is loaded into."""
