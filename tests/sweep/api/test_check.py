"""What `check` says beside what would run: points, programs and pruners held against the budget."""

from __future__ import annotations

import pytest

import sweep
from sweep.api.check import budget_notes
from sweep.spec.parse import parse
from sweep.spec.plans import programs
from tests.sweep.conftest import Folder
from tests.sweep.spec.minimal import DIGITS, MINIMAL, spec_of


@pytest.mark.parametrize(
    ("trials", "entries", "words"),
    [
        (40, ["a: {low: 1, high: 16}"], ["16 points, the budget 40 trials: the study ends after 16"]),
        (16, ["a: {low: 1, high: 16}"], []),
        (25, ["hidden: {low: 1, high: 375}"], ["375 programs for 25 trials", "Give fewer choices of hidden"]),
        (750, ["hidden: {low: 1, high: 375}", "b: {low: 0.0, high: 1.0}"], []),
        (40, ["hidden: {low: 0.0, high: 1.0}"], ["1000 or more programs"]),
    ],
)  # fmt: skip
def test_points_and_programs_against_trials(trials: int, entries: list[str], words: list[str]) -> None:
    spec = spec_of(*entries)
    spec = spec.model_copy(update={"budget": spec.budget.model_copy(update={"trials": trials})})
    notes = list(budget_notes(spec, programs(spec, DIGITS)))
    assert len(notes) == bool(words)
    assert all(word in notes[0] for word in words)


def test_more_enqueued_points_than_trials() -> None:
    points = "".join(f"  - {{learning_rate: {0.001 * place:g}}}\n" for place in range(1, 7))
    spec = parse(MINIMAL + "enqueue:\n" + points, "study.yaml")
    (note,) = budget_notes(spec, ((),))
    assert note == "enqueue has 6 points, the budget 4 trials: the last 2 are never tried"


@pytest.mark.slow
def test_rungs_are_said_in_examples_and_epochs(folder: Folder) -> None:
    folder.write(("{name: random}", "{name: random}\npruner: {name: hyperband, max_resource: {epochs: 3}}"))
    found = sweep.check(folder.study)
    assert "pruner: hyperband decides from these examples (epochs) on: 64 (1)" in found.as_text()
    assert (found.as_json()["rungs"], found.notes) == ([64], ())
    assert found.as_json()["lane_rules"] == ["arithmetic"]
    assert "lanes: several, by rules for arithmetic" in found.as_text()
    folder.write(("{name: random}", "{name: random}\npruner: {name: median, n_warmup_steps: {epochs: 3}}"))
    assert "note: pruner: median can never end a trial" in sweep.check(folder.study).as_text()
