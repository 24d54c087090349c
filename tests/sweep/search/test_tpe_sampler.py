"""Optuna's TPE made faster: it must propose what Optuna's own proposes."""

from __future__ import annotations

import copy
import math
import pickle
from collections import deque
from collections.abc import Callable, Sequence
from typing import Literal

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from sweep.search.ended_trial import EndedTrial
from sweep.search.samplers import quietly
from sweep.search.tpe.exact import ExactTPESampler

pytestmark = pytest.mark.slow

IN_FLIGHT = 4
Direction = Literal["minimize", "maximize"]


def plain(trial: optuna.Trial) -> float:
    rate = trial.suggest_float("rate", 1e-4, 1e-1, log=True)
    return rate * trial.suggest_int("width", 8, 64, step=8) + len(trial.suggest_categorical("kind", "abc"))


def conditional(trial: optuna.Trial) -> float:
    if trial.suggest_categorical("optimizer", ["sgd", "adamw"]) == "sgd":
        return trial.suggest_float("momentum", 0.5, 0.99)
    return trial.suggest_float("rate", 1e-4, 1e-1, log=True)


def only_choices(trial: optuna.Trial) -> float:
    return float(trial.suggest_categorical("a", [1, 2, 3]) * trial.suggest_categorical("b", [1, 2]))


def continuous(trial: optuna.Trial) -> float:
    """Values that tie now and then."""
    values = [trial.suggest_float(f"x{n}", -3.0, 5.0) ** 2 for n in range(3)]
    rates = [trial.suggest_float(f"rate{n}", 1e-5, 1.0, log=True) for n in range(3)]
    return round(sum(values) + sum(rates), 1)


def proposals(
    cls: type[optuna.samplers.TPESampler],
    objective: Callable[[optuna.Trial], float],
    directions: Sequence[Direction],
    trials: int = 60,
    **more: bool,
) -> list[dict[str, object]]:
    """Some trials run at a time; some are pruned, some fail, some keep a constraint, some do not."""
    with quietly():
        sampler = cls(seed=1, n_startup_trials=5, **more)  # type: ignore[arg-type]
    study = optuna.create_study(sampler=sampler, directions=directions)
    running: deque[tuple[optuna.Trial, float]] = deque()
    for _ in range(trials):
        trial = study.ask()
        running.append((trial, objective(trial)))
        if len(running) < IN_FLIGHT:
            continue
        trial, value = running.popleft()
        if trial.number % 7 == 0:
            study.tell(trial, state=TrialState.FAIL)
        elif trial.number % 5 == 0 and len(directions) == 1:
            trial.report(math.nan if trial.number % 10 else value, trial.number % 3)
            study.tell(trial, state=TrialState.PRUNED)
        else:
            if trial.number % 4 == 0:
                trial.set_constraint("memory", value - 5.0)
            study.tell(trial, [value, -value][: len(directions)])
    return [trial.params for trial in study.get_trials(deepcopy=False)]


@pytest.mark.parametrize("objective", [plain, conditional, only_choices, continuous])
@pytest.mark.parametrize(
    ("directions", "more"),
    [
        (["minimize"], {}),
        (["maximize"], {}),
        (["minimize"], {"constant_liar": False}),
        (["minimize"], {"multivariate": False}),
        (["minimize"], {"group": True, "multivariate": True}),
        (["minimize", "minimize"], {}),
    ],
)
def test_proposals_are_those_of_optuna_itself(
    objective: Callable[[optuna.Trial], float], directions: list[Direction], more: dict[str, bool]
) -> None:
    expected = proposals(optuna.samplers.TPESampler, objective, directions, **more)
    assert proposals(ExactTPESampler, objective, directions, **more) == expected


def test_proposals_are_those_of_optuna_itself_after_hundreds_of_trials() -> None:
    expected = proposals(optuna.samplers.TPESampler, continuous, ["minimize"], trials=500)
    assert proposals(ExactTPESampler, continuous, ["minimize"], trials=500) == expected


def test_a_sampler_may_serve_another_study() -> None:
    sampler = ExactTPESampler(seed=1, n_startup_trials=5)
    optuna.create_study(sampler=sampler).optimize(continuous, n_trials=20)
    samplers = (sampler, optuna.samplers.TPESampler(seed=1, n_startup_trials=5))
    for each in samplers:
        each._rng.rng.seed(2)
        each._random_sampler._rng.rng.seed(2)
    studies = [optuna.create_study(sampler=each) for each in samplers]
    for study in studies:
        study.optimize(continuous, n_trials=30)
    again, expected = ([trial.params for trial in study.trials] for study in studies)
    assert again == expected


def test_an_ended_trial_equals_optunas_own_and_survives_copies() -> None:
    own = create_trial(state=TrialState.COMPLETE, value=1.0, constraints={"memory": 2.0})
    ended = EndedTrial.of(own)
    for each in (ended, copy.deepcopy(ended), pickle.loads(pickle.dumps(ended))):
        assert each == own
        assert each.constraints == {"memory": 2.0}
