"""Which checkpoints `sweep rm` deletes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from sweep.api.keeping.remove import _all_but_best
from sweep.vocabulary.trial import Outcome, Snapshot, TrialState


def test_the_checkpoint_that_the_best_value_is_from_stays() -> None:
    """With `of: best` or patience a session keeps it beside the final one, and so does a removal."""
    best = Snapshot(0, 0, 100, "best", 10, "", False, 0.1)
    final, worse = Snapshot(0, 0, 300, "final", 10, "", True), Snapshot(1, 0, 300, "worse", 10, "", True)
    told = {number: Outcome(number, TrialState.COMPLETE, (value,)) for number, value in ((0, 0.1), (1, 0.5))}
    steered = SimpleNamespace(starred=set())
    study = SimpleNamespace(objectives=[("loss", "minimize")], steered=steered)
    history: Any = SimpleNamespace(study=study, told=told)
    assert _all_but_best(history, [best, final, worse], 1) == [worse]
