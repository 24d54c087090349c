"""In a fixed order proposals and verdicts follow from numbers, whatever arrives first, killed or not."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sweep.search.study import Proposal, Study
from sweep.spec.parse import parse
from sweep.spec.schema import StudySpec
from sweep.vocabulary.trial import BoundaryRow, Length, Outcome, Scalar, TrialState

LAG = 4
REPORTS = 6
LENGTH = Length(REPORTS, 1)

STUDY = """\
name: line
task: task.py:Task
objective: {metric: loss, direction: minimize}
space:
  x: {low: -1.0, high: 1.0}
  y: {low: 0.0, high: 1.0, step: 0.25}
  kind: {choices: [a, b, c]}
  z: {low: 0.1, high: 10.0, log: true, when: {kind: [a, b]}}
trial: {micro_batch_size: 1, length: {examples: 6}, report_every: {examples: 1}}
budget: {trials: 40}
order: {lag: 4}
"""


def study_of(*changes: tuple[str, str], **sections: str) -> StudySpec:
    text = STUDY + "".join(f"{key}: {value}\n" for key, value in sections.items())
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return parse(text, "study.yaml")


def loss(params: dict[str, Scalar], number: int, examples: int) -> float:
    """What a trial reports; it differs between trials with the same hyperparameters."""
    kind = {"a": 0.0, "b": 0.3, "c": 0.6}[str(params["kind"])]
    x, y = float(str(params["x"])), float(str(params["y"]))
    return kind + (x - 0.3) ** 2 + y + 0.5 * random.Random(f"{number} {examples}").random() / examples


@dataclass
class Life:
    """A study as its driver leads it: trials end in any order, and sessions end at any time."""

    spec: StudySpec
    chance: random.Random
    path: Path
    verdicts: dict[tuple[int, int], bool] = field(default_factory=dict)
    proposals: dict[int, dict[str, Scalar]] = field(default_factory=dict)
    notes: dict[int, Any] = field(default_factory=dict)
    rows: dict[int, list[BoundaryRow]] = field(default_factory=dict)
    ended: dict[int, Outcome] = field(default_factory=dict)

    def lead(self, trials: int, *, kills: bool, at_once: bool = False) -> None:
        study = Study(self.spec, self.path, LENGTH)
        while len(self.ended) < trials:
            live = [number for number in self.proposals if number not in self.ended]
            lowest = min(live, default=len(self.proposals))
            may_ask = len(self.proposals) < min(trials, lowest + (1 if at_once else LAG))
            if may_ask and (not live or self.chance.random() < 0.5):
                self._ask(study)
            elif live:
                self._report(study, self.chance.choice(live))
            if kills and self.chance.random() < 0.1:
                study = self._killed(study)
        study.storage.close()

    def _ask(self, study: Study) -> None:
        (found,) = study.ask(1)
        self._enter(found)

    def _enter(self, found: Proposal) -> None:
        self.proposals[found.number] = dict(found.params)
        self.notes[found.number] = json.loads(json.dumps(dict(found.notes)))
        self.rows[found.number] = []

    def _report(self, study: Study, number: int) -> None:
        """The next report, if its verdict waits for no trial before it."""
        rows = self.rows[number]
        examples = len(rows) + 1
        live = [each for each in self.rows if each < number and each not in self.ended]
        if study.compares_running and any(len(self.rows[each]) < examples for each in live):
            return
        value = loss(self.proposals[number], number, examples)
        rows.append((examples, (value,)))
        study.report(number, rows[-1])
        self.verdicts[number, examples] = prune = study.should_prune(number, examples)
        if prune or examples == REPORTS:
            state = TrialState.COMPLETE if examples == REPORTS else TrialState.PRUNED
            values = (value,) * len(self.spec.objective)
            self.ended[number] = Outcome(number, state, values if state is TrialState.COMPLETE else None)
            study.tell(self.ended[number])

    def _killed(self, study: Study) -> Study:
        """The next session; what it brings back from the log is what the journal lost."""
        if self.chance.random() < 0.7:
            study.storage.commit()
        study.storage.close()
        again = Study(self.spec, self.path, LENGTH)
        for number in again.storage.running():
            again.catch_up(number, self.rows[number], self.ended.get(number))
        for number in range(again.storage.count, len(self.proposals)):
            values = [(examples, row[0]) for examples, row in self.rows[number]]
            params, notes = self.proposals[number], self.notes[number]
            again.restore(number, params, notes, values, self.ended.get(number))
        if again.follows_reports:
            for number, rows in sorted(self.rows.items()):
                again.follow(number, rows, self.ended.get(number))
        for proposal in again.running(self.proposals):
            again.enter_reports(proposal.number, self.rows[proposal.number])
        return again


SAMPLERS = {
    "tpe": "{name: tpe, n_startup_trials: 4}",
    "together": "{name: tpe, n_startup_trials: 4, multivariate: true, group: true, constant_liar: true}",
    "random": "{name: random}",
    "nsgaii": "{name: nsgaii, population_size: 4}",
    "cmaes": "{name: cmaes, n_startup_trials: 2}",
    "gp": "{name: gp, n_startup_trials: 20}",
    "own": "{name: 'tests.sweep.search.forgetful:Remembers'}",
}
PRUNERS = {
    "none": "{name: none}",
    "median": "{name: median, n_startup_trials: 2}",
    "successive_halving": "{name: successive_halving, reduction_factor: 2}",
    "hyperband": "{name: hyperband, reduction_factor: 2}",
    "patient": "{name: patient, patience: 1, wrapped_pruner: {name: hyperband, reduction_factor: 2}}",
}


def led(spec: StudySpec, path: Path, seed: int, trials: int, *, kills: bool, at_once: bool = False) -> Life:
    life = Life(spec, random.Random(seed), path)
    life.lead(trials, kills=kills, at_once=at_once)
    return life


NEEDS = {"cmaes": "cmaes", "gp": "torch"}

PAIRS = [
    *(("tpe", pruner) for pruner in PRUNERS),
    *((sampler, "hyperband") for sampler in SAMPLERS if sampler != "tpe"),
]


@pytest.mark.parametrize(("sampler", "pruner"), PAIRS)
def test_proposals_and_verdicts_follow_from_numbers(tmp_path: Path, sampler: str, pruner: str) -> None:
    if sampler in NEEDS:
        pytest.importorskip(NEEDS[sampler], reason="pip install 'sweep-mlx[samplers]'")
    spec = study_of(sampler=SAMPLERS[sampler], pruner=PRUNERS[pruner])
    trials = 18
    alone = led(spec, tmp_path / "alone", 0, trials, kills=False, at_once=True)
    for seed in (1, 2):
        other = led(spec, tmp_path / str(seed), seed, trials, kills=True)
        assert other.proposals == alone.proposals
        assert other.verdicts == alone.verdicts
    assert any(alone.verdicts.values()) == (pruner != "none")


def test_several_objectives_have_the_same_verdicts_in_any_order(tmp_path: Path) -> None:
    objectives = "[{metric: loss, direction: minimize}, {metric: other, direction: minimize}]"
    spec = study_of(
        ("{metric: loss, direction: minimize}", objectives),
        sampler=SAMPLERS["tpe"],
        pruner="{name: hyperband, reduction_factor: 2, metric: loss}",
    )
    alone = led(spec, tmp_path / "alone", 0, 26, kills=False, at_once=True)
    other = led(spec, tmp_path / "other", 1, 26, kills=True)
    assert (other.proposals, other.verdicts) == (alone.proposals, alone.verdicts)
    assert any(alone.verdicts.values())


def test_in_a_free_order_they_do_not(tmp_path: Path) -> None:
    """Without which the tests above would show nothing."""
    spec = study_of(("order: {lag: 4}", "order: free"), sampler=SAMPLERS["tpe"])
    alone = led(spec, tmp_path / "alone", 0, 26, kills=False, at_once=True)
    other = led(spec, tmp_path / "other", 1, 26, kills=False)
    assert other.proposals != alone.proposals


def test_a_study_of_another_name_has_the_same_verdicts(tmp_path: Path) -> None:
    """Optuna's own Hyperband takes a trial's bracket from the study's name."""
    sections = {"sampler": SAMPLERS["random"], "pruner": PRUNERS["hyperband"]}
    lives = [
        led(study_of(("name: line", f"name: {name}"), **sections), tmp_path / name, 0, 12, kills=False)
        for name in ("line", "other")
    ]
    assert lives[0].verdicts == lives[1].verdicts
    assert any(lives[0].verdicts.values())
