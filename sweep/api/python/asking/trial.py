"""A trial that a program holds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from sweep.api.python.asking.desk import Handed
from sweep.api.python.asking.saving import Saving, TrialSaving
from sweep.vocabulary.trial import TrialState
from sweep.worker.single.function_report import Reported
from sweep.worker.single.kept_trial import KeptTrial


class Giver(Protocol):
    """The study that has given a trial out."""

    def report(self, trial: Trial, examples: int, metrics: Mapping[str, float]) -> None: ...

    def ended(self, trial: Trial) -> TrialState | None: ...


class Trial(KeptTrial):
    """One trial that a program holds.

    `params` are its hyperparameters, fixed ones too; `examples` is where it last reported, over all programs
    that held it. `folder` is kept with the trial: what is written there is there again where it resumes.
    """

    def __init__(self, study: Giver, handed: Handed, saving: Saving) -> None:
        """Use `Study.ask`."""
        super().__init__(handed.load)
        self.examples = handed.examples
        self.recorded: Mapping[str, float] = handed.last
        """What it reported there."""
        self.reached = 0
        """Where its present holder reported last."""
        self.last: Mapping[str, float] = handed.last
        self.saving = TrialSaving(saving, handed.load)
        self.state: TrialState | None = None
        self.is_told = False
        self.is_lost = False
        self._study = study

    def report(self, examples: int, **metrics: float) -> None:
        """Report metrics after so many examples; nothing more happens once the trial has ended."""
        self._study.report(self, examples, metrics)

    def should_prune(self) -> bool:
        """Whether the pruner, or a time-out, has ended the trial: further reports are not heard."""
        return self._study.ended(self) is not None

    def enter(self, found: Reported) -> None:
        """It has reported."""
        self.reached, self.last = found.examples, found.metrics
        self.saving.reported(found.examples)
        if found.examples > self.examples:
            self.examples, self.recorded = found.examples, found.metrics

    def take(self, handed: Handed) -> None:
        """Another owner has it now, as it was recorded."""
        self.load = handed.load
        self.saving.load = handed.load

    def is_of(self, study: Giver) -> bool:
        """Whether a study has given it out."""
        return self._study is study

    def _place(self) -> Path:
        return self.saving.folder.path
