"""What the search finds with equal trials: ours beside Optuna as its tutorial has it, and beside random points.

The regret is the best value found less the least there is. Where a trial diverges, ours is told so; Optuna's
user catches the error, and its sampler sees a failed trial.
"""

from __future__ import annotations

import math
import random
import statistics
import sys
import warnings
from collections.abc import Callable
from typing import NamedTuple

import optuna

from benchmarks import measure
from benchmarks.search_objectives import OBJECTIVES, Objective
from sweep.search import space
from sweep.search.study import Study
from sweep.spec.conditions import dependency_order
from sweep.spec.parse import parse
from sweep.spec.schema import StudySpec
from sweep.vocabulary.trial import Length, Outcome, TrialState

STUDY = """\
name: search
task: task.py:Task
objective: {{metric: loss, direction: minimize}}
sampler: {{name: {sampler}}}
seed: {seed}
trial: {{micro_batch_size: 32, length: {{epochs: 1}}, report_every: {{epochs: 1}}}}
budget: {{trials: 60}}
space:
  {space}
"""


class Found(NamedTuple):
    """The least value that a study found, and how many of its trials diverged."""

    regret: float
    diverged: int


def spec_of(objective: Objective, sampler: str, seed: int) -> StudySpec:
    entries = "\n  ".join(objective.space)
    return parse(STUDY.format(sampler=sampler, seed=seed, space=entries), "search.yaml")


def ours(objective: Objective, sampler: str, seed: int, trials: int) -> Found:
    """A study as the driver asks and tells it, one trial after another."""
    study, noise = Study(spec_of(objective, sampler, seed), None, Length(100, 10)), random.Random(seed)
    values = []
    while len(values) < trials and (proposals := study.ask(1)):
        (proposal,) = proposals
        values.append(value := objective.value(proposal.params, noise))
        finite = math.isfinite(value)
        state = TrialState.COMPLETE if finite else TrialState.FAIL
        study.tell(Outcome(proposal.number, state, (value,) if finite else None, diverged=not finite))
    return _found(values)


def theirs(objective: Objective, seed: int, trials: int) -> Found:
    """Optuna's default, where a value that is not finite is an error of the objective."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    spec, noise = spec_of(objective, "tpe", seed), random.Random(seed)
    study, order = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed)), dependency_order(spec.space)
    values = []

    def evaluate(trial: optuna.Trial) -> float:
        values.append(value := objective.value(space.suggest_all(trial, spec, order), noise))
        if not math.isfinite(value):
            raise FloatingPointError
        return value

    study.optimize(evaluate, n_trials=trials, catch=FloatingPointError)
    return _found(values)


def _found(values: list[float]) -> Found:
    finite = [value for value in values if math.isfinite(value)]
    return Found(min(finite, default=math.inf), len(values) - len(finite))


WAYS: dict[str, Callable[[Objective, int, int], Found]] = {
    "ours": lambda objective, seed, trials: ours(objective, "tpe", seed, trials),
    "optuna": theirs,
    "random": lambda objective, seed, trials: ours(objective, "random", seed, trials),
}


def wins(one: list[float], other: list[float]) -> tuple[int, int]:
    """In how many seeds the one's regret is less than the other's, and more."""
    pairs = list(zip(one, other, strict=True))
    return sum(a < b for a, b in pairs), sum(a > b for a, b in pairs)


def chance(better: int, worse: int) -> float:
    """How often a fair coin would be this much against us, or more: the one-sided sign test."""
    return sum(math.comb(better + worse, k) for k in range(worse, better + worse + 1)) / 2 ** (better + worse)


def main() -> int:
    told = measure.arguments(str(__doc__).splitlines()[0], seeds=20, trials=60, start=0)
    warnings.simplefilter("ignore")
    report = measure.Benchmark("The least value found, median over seeds", packages=("optuna", "numpy"))
    chances, diverging = [], []
    for objective in OBJECTIVES:
        measure.say(objective.name)
        found = {
            name: [way(objective, seed, told.trials) for seed in range(told.start, told.start + told.seeds)]
            for name, way in WAYS.items()
        }
        regrets = {name: [each.regret for each in all_found] for name, all_found in found.items()}
        diverged = {name: statistics.mean(each.diverged for each in all_found) / told.trials
                    for name, all_found in found.items()}  # fmt: skip
        better, worse = wins(regrets["ours"], regrets["optuna"])
        over_random = wins(regrets["ours"], regrets["random"])
        chances.append(chance(better, worse))
        if diverged["random"] > 0:
            diverging.append((better, worse, max(each.diverged for each in found["ours"]) / told.trials))
        report.rows.append(
            {"objective": objective.name}
            | {name: statistics.median(values) for name, values in regrets.items()}
            | {"better": better, "worse": worse, "beats random": over_random[0]}
            | {f"diverged {name}": share for name, share in diverged.items()}
        )
    # one of many objectives is unlucky now and then: the bound is for all of them together
    report.checks = [
        measure.check("chance of the worst result against Optuna", min(chances), bound=0.05 / len(chances), side="at least"),
        measure.check("objectives that diverge, seeds won of those not drawn",
                      sum(b for b, _, _ in diverging) / max(1, sum(b + w for b, w, _ in diverging)),
                      bound=0.5, side="at least"),
        measure.check("most trials of one study that diverge", max(share for _, _, share in diverging), bound=0.25),
    ]  # fmt: skip
    return report.finish(as_json=told.json)


if __name__ == "__main__":
    sys.exit(main())
