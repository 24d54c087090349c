"""Whether Optuna's journal says what the log says; read only. And the journal made again from the log."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from optuna.trial import FrozenTrial

from runlog.study import RUNNING, StudyState, TrialRow
from sweep.search.ends import STATES
from sweep.search.fitted import EDITS
from sweep.search.journal import read_studies
from sweep.search.storage import WARM_START_TRIALS, StudyStorage
from sweep.spec.edited.edits import Edited
from sweep.spec.schema import StudySpec
from sweep.vocabulary.trial import BoundaryRow, Outcome, Scalar, TrialState

Rows = Mapping[int, Sequence[BoundaryRow]]
"""The metric that Optuna hears of, at each boundary that all replicates have reached, by trial."""


class JournalContent(NamedTuple):
    """The trials that a journal holds; the first `earlier` come from another run.

    `edits` is how often the study's space had been edited when it was begun.
    """

    trials: list[FrozenTrial]
    earlier: int
    edits: int = 0


def read_journal(path: Path) -> JournalContent:
    """Read a journal. Raises JournalError where it cannot be read."""
    studies = read_studies(path)
    if not studies:
        return JournalContent([], 0)  # a kill before the first commit
    study, trials = studies[0]
    return JournalContent(trials, study.user_attrs.get(WARM_START_TRIALS, 0), study.user_attrs.get(EDITS, 0))


def differences(journal: JournalContent, study: StudyState, rows: Rows | None, edited: Edited) -> list[str]:
    """What a journal says that the log does not; a kill may leave it a moment behind the log.

    Reports are compared where `rows` are given. One of the space before an edit is made again on resume.
    """
    found: list[str] = []
    if journal.edits < edited.edits:
        return found
    for trial in journal.trials:
        row = study.trials.get(trial.number)
        if row is not None:
            fit = edited.fits.get(trial.number)
            params = row.params if fit is None else fit.params
            its_rows = None if rows is None else rows.get(trial.number, ())
            found += _trial_differences(trial, row, params, its_rows)
        elif trial.number >= journal.earlier and trial.state.is_finished():
            found.append(f"it holds trial {trial.number}, which the log lacks")
    return found


def _trial_differences(
    trial: FrozenTrial, row: TrialRow, params: Mapping[str, Scalar], rows: Sequence[BoundaryRow] | None
) -> Iterator[str]:
    number = trial.number
    if any(params.get(name) != value for name, value in trial.params.items()):
        yield f"trial {number} has {trial.params}, {dict(params)} in the log"
    if trial.state.is_finished() and row.state == RUNNING:
        yield f"trial {number} has ended, not so in the log"
    both_complete = row.state == TrialState.COMPLETE.value and trial.state == STATES[TrialState.COMPLETE]
    if both_complete and tuple(trial.values) != row.values:
        yield f"trial {number} has values {tuple(trial.values)}, {row.values} in the log"
    if rows is not None:
        known = {examples: sum(values) / len(values) for examples, values in rows}
        for examples, value in trial.intermediate_values.items():
            if not _equal(value, known.get(examples)):
                there = known.get(examples, "nothing")
                yield f"trial {number} reports {value} at {examples} examples, {there} in the log"


def _equal(value: float, known: float | None) -> bool:
    if known is None:
        return False
    return value == known or math.isclose(value, known, rel_tol=1e-9) or (value != value and known != known)


def rebuild(
    path: Path,
    spec: StudySpec,
    study: StudyState,
    outcomes: Mapping[int, Outcome],
    rows: Rows,
    edited: Edited,
) -> None:
    """Make the journal from the log."""
    optuna_log = logging.getLogger("optuna")
    level = optuna_log.level
    optuna_log.setLevel(logging.WARNING)  # it would say that it made a study
    storage = StudyStorage(spec, path, edited)
    try:
        for number in sorted(study.trials):
            row = study.trials[number]
            values = [(examples, sum(each) / len(each)) for examples, each in rows.get(number, ())]
            storage.restore(number, row.params, row.notes, values, outcomes.get(number))
        storage.commit()
    finally:
        storage.close()
        optuna_log.setLevel(level)
