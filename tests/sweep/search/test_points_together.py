"""A random sampler's points, many at once: they are those that Optuna draws one by one."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest

from sweep.search.study import Study
from sweep.spec.schema import StudySpec
from sweep.vocabulary.trial import Length, Outcome, TrialState
from tests.sweep.search.specs import with_sampler
from tests.sweep.spec.minimal import spec_of

LENGTH = Length(100, 10)
ENTRIES = (
    "rate: {low: 1.0e-4, high: 1.0, log: true}",
    "x: {low: -1.0, high: 1.0}",
    "dropout: {low: 0.0, high: 0.5, step: 0.1}",
    "width: {low: 8, high: 64, step: 8}",
    "units: {low: 1, high: 512, log: true}",
    "optimizer: {choices: [sgd, adamw]}",
    "momentum: {low: 0.0, high: 0.99, when: {optimizer: sgd}}",
    "only: {choices: [1]}",
)


def spec() -> StudySpec:
    return with_sampler(spec_of(*ENTRIES), "random")


def test_points_drawn_together_are_those_drawn_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    together = [each.params for each in Study(spec(), None, LENGTH).ask(40)]
    monkeypatch.setattr(Study, "_points_together", lambda *_: [])
    alone = [each.params for each in Study(spec(), None, LENGTH).ask(40)]
    assert together == alone
    assert [list(each) for each in together] == [list(each) for each in alone]
    assert {type(value) for each in together for value in each.values()} == {int, float, str}
    assert {"momentum" in each for each in together} == {True, False}


def test_optuna_reads_what_was_drawn_reported_and_told_without_a_trial_of_its_own(tmp_path: Path) -> None:
    study = Study(spec(), tmp_path / "journal", LENGTH)
    asked = study.ask(3)
    for examples in (10, 20, 20):
        study.report(0, (examples, (1.0 / examples,)))
    study.tell(Outcome(0, TrialState.COMPLETE, (0.05,)))
    study.tell(Outcome(1, TrialState.FAIL, None, reason="broken"))
    study.report(2, (10, (0.5,)))
    study.tell(Outcome(2, TrialState.PRUNED, None))
    study.storage.commit()
    study.storage.close()
    backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / "journal"))
    read = optuna.load_study(study_name=None, storage=optuna.storages.JournalStorage(backend)).trials
    assert [each.params for each in read] == [each.params for each in asked]
    assert [each.state.name for each in read] == ["COMPLETE", "FAIL", "PRUNED"]
    assert [each.value for each in read] == [0.05, None, 0.5]
    assert read[0].intermediate_values == {10: 0.1, 20: 0.05}
    assert read[1].user_attrs == {"reason": "broken"}
