"""What a function that trains is given."""

from __future__ import annotations

from pathlib import Path

from sweep.vocabulary.trial import UNBOUNDED
from sweep.vocabulary.turn import Load
from sweep.worker.single.kept_trial import KeptTrial


class Trial(KeptTrial):
    """One trial, as the function that trains it sees it.

    `params` are its hyperparameters, fixed ones too. `folder` is kept with the trial: what is written there
    is there again where the trial resumes. `examples` is where it is stopped, None where it ends by itself.
    """

    def __init__(self, load: Load, folder: Path) -> None:
        super().__init__(load)
        length = load.plan.length.examples
        self.examples: int | None = length if length < UNBOUNDED else None
        self._folder = folder

    def _place(self) -> Path:
        return self._folder
