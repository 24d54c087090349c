"""What the search finds with equal trials: ours, Optuna as its tutorial has it, and random points.

The regret is the value of the point that did best, less the least value there is, without the noise that was
told. Where a trial diverges, ours is told so; Optuna's user catches the error, and its sampler sees none.
"""

from __future__ import annotations

import logging
import math
import random
import statistics
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import optuna

from benchmarks import measure
from benchmarks.search_objectives import OBJECTIVES, Objective
from sweep.search import space
from sweep.search.study import Study
from sweep.spec.conditions import dependency_order
from sweep.spec.parse import parse
from sweep.spec.schema import StudySpec
from sweep.vocabulary.trial import Length, Outcome, Scalar, TrialState

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
    """The regret of a study, and how many of its trials diverged."""

    regret: float
    diverged: int


def spec_of(objective: Objective, sampler: str, seed: int) -> StudySpec:
    """A study file with the objective's space."""
    entries = "\n  ".join(objective.space)
    return parse(STUDY.format(sampler=sampler, seed=seed, space=entries), "search.yaml")


class Seen:
    """One study's trials: what is told of each, and what it was without noise."""

    def __init__(self, objective: Objective, seed: int) -> None:
        self._objective = objective
        self._noise = random.Random(seed)
        self._best = (math.inf, math.inf)
        self._diverged = 0
        self.count = 0

    def evaluate(self, point: Mapping[str, Scalar]) -> float:
        """The value that the sampler is told."""
        value = self._objective.value(point)
        told = value + self._noise.gauss(0, self._objective.noise)
        self.count += 1
        if math.isfinite(value):
            self._best = min(self._best, (told, value))
        else:
            self._diverged += 1
        return told

    @property
    def found(self) -> Found:
        """What it came to."""
        return Found(self._best[1], self._diverged)


def ours(objective: Objective, sampler: str, seed: int, trials: int) -> Found:
    """A study as the driver asks and tells it, one trial after another."""
    study, seen = Study(spec_of(objective, sampler, seed), None, Length(100, 10)), Seen(objective, seed)
    while seen.count < trials and (proposals := study.ask(1)):
        (proposal,) = proposals
        value = seen.evaluate(proposal.params)
        finite = math.isfinite(value)
        state = TrialState.COMPLETE if finite else TrialState.FAIL
        study.tell(Outcome(proposal.number, state, (value,) if finite else None, diverged=not finite))
    return seen.found


def theirs(objective: Objective, seed: int, trials: int) -> Found:
    """Optuna's default, where a value that is not finite is an error of the objective."""
    logging.getLogger("optuna").setLevel(logging.CRITICAL)
    spec, seen = spec_of(objective, "tpe", seed), Seen(objective, seed)
    study, order = (
        optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed)),
        dependency_order(spec.space),
    )

    def evaluate(trial: optuna.Trial) -> float:
        value = seen.evaluate(space.suggest_all(trial, spec, order))
        if not math.isfinite(value):
            raise FloatingPointError
        return value

    study.optimize(evaluate, n_trials=trials, catch=FloatingPointError)
    return seen.found


WAYS: dict[str, Callable[[Objective, int, int], Found]] = {
    "ours": lambda objective, seed, trials: ours(objective, "tpe", seed, trials),
    "exact": lambda objective, seed, trials: ours(objective, "tpe, exact: true", seed, trials),
    "optuna": theirs,
    "random": lambda objective, seed, trials: ours(objective, "random", seed, trials),
}


def wins(one: list[float], other: list[float]) -> tuple[int, int]:
    """In how many seeds the one's regret is less than the other's, and more."""
    pairs = list(zip(one, other, strict=True))
    return sum(a < b for a, b in pairs), sum(a > b for a, b in pairs)


def chance(better: int, worse: int) -> float:
    """How often a fair coin would be this much against us, or more: the one-sided sign test."""
    return sum(math.comb(better + worse, k) for k in range(worse, better + worse + 1)) / 2.0 ** (
        better + worse
    )


class Compared(NamedTuple):
    """One objective over all seeds: seeds won and lost against Optuna, `exact: true` and random points.

    `diverged` is the mean share of trials that did, ours and random ones; `most` that of our worst study.
    """

    row: measure.Row
    optuna: tuple[int, int]
    exact: tuple[int, int]
    chance: tuple[int, int]
    diverged: tuple[float, float]
    most: float


def compare(objective: Objective, seeds: Sequence[int], trials: int) -> Compared:
    """Every way on the same seeds."""
    found = {name: [way(objective, seed, trials) for seed in seeds] for name, way in WAYS.items()}
    regrets = {name: [each.regret for each in all_found] for name, all_found in found.items()}
    diverged = {name: statistics.mean(each.diverged for each in found[name]) / trials for name in WAYS}
    against_optuna, against_exact, against_chance = (
        wins(regrets["ours"], regrets[name]) for name in ("optuna", "exact", "random")
    )
    row = {
        "objective": objective.name,
        **{name: statistics.median(values) for name, values in regrets.items()},
        "better": against_optuna[0],
        "worse": against_optuna[1],
        "better than exact": against_exact[0],
        "worse than exact": against_exact[1],
        "beats random": against_chance[0],
        **{f"diverged {name}": share for name, share in diverged.items()},
    }
    most = max(each.diverged for each in found["ours"]) / trials
    shares = (diverged["ours"], diverged["random"])
    return Compared(row, against_optuna, against_exact, against_chance, shares, most)


def checks(compared: Sequence[Compared]) -> list[measure.Check]:
    """One of many objectives is unlucky now and then: the first bound is for all of them together."""
    diverging = [each for each in compared if each.diverged[1] > 0]
    better, worse = (sum(each.optuna[side] for each in diverging) for side in (0, 1))
    mildest = min(diverging, key=lambda each: each.diverged[1])
    return [
        measure.check(
            "chance of the worst result against Optuna",
            min(chance(*each.optuna) for each in compared),
            bound=0.05 / len(compared),
            side="at least",
        ),
        measure.check(
            "chance of the result against exact: true, over all objectives",
            chance(*(sum(each.exact[side] for each in compared) for side in (0, 1))),
            bound=0.05,
            side="at least",
        ),
        measure.check(
            "where something diverges, seeds won of those not drawn",
            better / max(1, better + worse),
            bound=0.75,
            side="at least",
        ),
        measure.check(
            "where something diverges, the least share of seeds won against random points",
            min(each.chance[0] / sum(each.chance) for each in diverging),
            bound=0.75,
            side="at least",
        ),
        measure.check(
            "the largest share of diverging trials beside random points",
            max(each.diverged[0] / each.diverged[1] for each in diverging),
            bound=0.75,
        ),
        measure.check(
            f"{mildest.row['objective']}: most trials of a study that diverge", mildest.most, bound=0.25
        ),
    ]


def main() -> int:
    """Compare on every objective, and check what must hold."""
    told = measure.arguments(str(__doc__).splitlines()[0], seeds=20, trials=60, start=0)
    warnings.simplefilter("ignore")
    report = measure.Benchmark("The least value found, median over seeds", packages=("optuna", "numpy"))
    compared = []
    for objective in OBJECTIVES:
        measure.say(objective.name)
        compared.append(compare(objective, range(told.start, told.start + told.seeds), told.trials))
        report.enter(compared[-1].row)
    report.checks = checks(compared)
    return report.finish(as_json=told.json)


if __name__ == "__main__":
    sys.exit(main())
