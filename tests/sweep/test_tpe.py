"""Optuna's TPE made faster: it must propose what Optuna's own proposes."""

from __future__ import annotations

import copy
import pickle
from collections import deque
from collections.abc import Callable

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from sweep.ended_trial import EndedTrial
from sweep.samplers import quietly
from sweep.tpe import TPESampler

IN_FLIGHT = 4


def plain(trial: optuna.Trial) -> float:
    rate = trial.suggest_float("rate", 1e-4, 1e-1, log=True)
    return rate * trial.suggest_int("width", 8, 64, step=8) + len(trial.suggest_categorical("kind", "abc"))


def conditional(trial: optuna.Trial) -> float:
    if trial.suggest_categorical("optimizer", ["sgd", "adamw"]) == "sgd":
        return trial.suggest_float("momentum", 0.5, 0.99)
    return trial.suggest_float("rate", 1e-4, 1e-1, log=True)


def only_choices(trial: optuna.Trial) -> float:
    return float(trial.suggest_categorical("a", [1, 2, 3]) * trial.suggest_categorical("b", [1, 2]))


def proposals(
    cls: type[optuna.samplers.TPESampler],
    objective: Callable[[optuna.Trial], float],
    directions: int,
    **more: bool,
) -> list[dict[str, object]]:
    """Some trials run at a time; every fifth is pruned, every seventh fails."""
    with quietly():
        sampler = cls(seed=1, n_startup_trials=5, **more)  # type: ignore[arg-type]
    study = optuna.create_study(sampler=sampler, directions=["minimize"] * directions)
    running: deque[tuple[optuna.Trial, float]] = deque()
    for _ in range(60):
        trial = study.ask()
        running.append((trial, objective(trial)))
        if len(running) < IN_FLIGHT:
            continue
        trial, value = running.popleft()
        if trial.number % 7 == 0:
            study.tell(trial, state=TrialState.FAIL)
        elif trial.number % 5 == 0 and directions == 1:
            trial.report(value, 1)
            study.tell(trial, state=TrialState.PRUNED)
        else:
            study.tell(trial, [value, -value][:directions])
    return [trial.params for trial in study.get_trials(deepcopy=False)]


@pytest.mark.parametrize("objective", [plain, conditional, only_choices])
@pytest.mark.parametrize(
    ("directions", "more"), [(1, {}), (1, {"multivariate": False}), (1, {"group": True}), (2, {})]
)
def test_proposals_are_those_of_optuna_itself(
    objective: Callable[[optuna.Trial], float], directions: int, more: dict[str, bool]
) -> None:
    if more.get("group"):
        more = {**more, "multivariate": True}
    expected = proposals(optuna.samplers.TPESampler, objective, directions, **more)
    assert proposals(TPESampler, objective, directions, **more) == expected


def test_an_ended_trial_equals_optunas_own_and_survives_copies() -> None:
    own = create_trial(state=TrialState.COMPLETE, value=1.0, constraints={"memory": 2.0})
    ended = EndedTrial.of(own)
    for each in (ended, copy.deepcopy(ended), pickle.loads(pickle.dumps(ended))):
        assert each == own
        assert each.constraints == {"memory": 2.0}
