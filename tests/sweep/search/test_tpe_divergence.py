"""What TPE is told of where trials diverge."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState, create_trial

from sweep.search.ends import DIVERGED
from sweep.search.study import Study
from sweep.search.tpe.divergence import Divergence
from sweep.spec.schema import Objective
from sweep.vocabulary.trial import Length, Outcome
from sweep.vocabulary.trial import TrialState as OurState
from tests.sweep.search.specs import with_sampler
from tests.sweep.spec.minimal import spec_of

RATE = FloatDistribution(1e-3, 1e2, log=True)
NOISE = FloatDistribution(0.0, 1.0)
OPTIMIZER = CategoricalDistribution(["sgd", "adamw"])


def entered(space: Mapping[str, BaseDistribution], *trials: tuple[Mapping[str, object], bool]) -> Divergence:
    found = Divergence()
    for params, diverged in trials:
        found.enter(
            create_trial(
                state=TrialState.COMPLETE,
                value=1.0,
                params=dict(params),
                distributions={name: space[name] for name in params},
                user_attrs={DIVERGED: True} if diverged else {},
            )
        )
    return found


def chances(found: Divergence, space: Mapping[str, BaseDistribution], **points: list[float]) -> list[float]:
    values = {name: np.array(each) for name, each in points.items()}
    return list(np.exp(found.log_chance_finite(values, space)))


def test_the_edge_lies_between_the_nearest_trials_at_any_scale() -> None:
    rates = [1e-3, 1e-2, 0.1, 1.0, 1.1, 1.2, 1.3, 10.0, 50.0]
    found = entered({"rate": RATE}, *(({"rate": rate}, rate > 1.15) for rate in rates))
    assert found.seen
    likely, edge, hopeless = chances(found, {"rate": RATE}, rate=[0.05, 1.15, 20.0])
    assert likely > 0.7 > edge > 0.4 > hopeless


def test_what_has_nothing_to_do_with_it_hardly_counts() -> None:
    rng = np.random.default_rng(0)
    points = [(10 ** rng.uniform(-3, 2), rng.uniform()) for _ in range(30)]
    space = {"rate": RATE, "noise": NOISE}
    found = entered(space, *(({"rate": rate, "noise": noise}, rate > 1) for rate, noise in points))
    for noise in (0.0, 0.5, 1.0):
        below, above = chances(found, space, rate=[0.03, 30.0], noise=[noise, noise])
        assert below > 0.6 > 0.4 > above


def test_one_choice_diverges_where_another_does_not() -> None:
    space = {"rate": RATE, "optimizer": OPTIMIZER}
    trials = [({"rate": rate, "optimizer": name}, name == "sgd" and rate > 1)
              for rate in (0.01, 0.1, 0.5, 2.0, 5.0, 20.0) for name in ("sgd", "adamw")]  # fmt: skip
    found = entered(space, *trials)
    sgd, adamw = chances(found, space, rate=[10.0, 10.0], optimizer=[0.0, 1.0])
    assert sgd < 0.4 < adamw


def test_trials_without_a_hyperparameter_are_far_away() -> None:
    space = {"rate": RATE, "noise": NOISE}
    found = entered(space, ({"rate": 1.0}, True), ({"rate": 1.0, "noise": 0.5}, False))
    assert not entered(space, ({"rate": 1.0}, False)).seen
    (chance,) = chances(found, space, rate=[1.0], noise=[0.5])
    assert chance > 0.5


@pytest.mark.parametrize("sampler", ["tpe", "nsgaii", "cmaes"])
@pytest.mark.parametrize("several", [False, True])
def test_other_ways_to_sample_take_what_diverged(sampler: str, several: bool) -> None:
    if sampler == "cmaes":
        pytest.importorskip("cmaes", reason="pip install 'sweep-mlx[samplers]'")
        if several:
            return
    spec = with_sampler(spec_of("a: {low: 0.0, high: 1.0}", "b: {low: 0.0, high: 1.0}"), sampler)
    if several:
        two = tuple(Objective(metric=name, direction="minimize") for name in ("one", "two"))
        spec = spec.model_copy(update={"objective": two})
    study = Study(spec, None, Length(100, 10))
    for number in range(14):
        (proposal,) = study.ask(1)
        a = float(str(proposal.params["a"]))
        bad = a > 0.7
        values = None if bad else (a, 1 - a)[: 1 + several]
        state = OurState.FAIL if bad else OurState.COMPLETE
        study.tell(Outcome(number, state, values, diverged=bad))
