"""Densities of TPE's mixtures with what stays the same kept: to the last bit those of Optuna itself."""

from __future__ import annotations

import numpy as np
import pytest
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator, _ParzenEstimatorParameters
from optuna.samplers._tpe.sampler import default_weights

from sweep.search.tpe.density import EXACT_ERF_BELOW, Density

PARAMETERS = _ParzenEstimatorParameters(1.0, True, False, default_weights, True)
SPACES: dict[str, dict[str, BaseDistribution]] = {
    "one": {"x": FloatDistribution(-1.0, 3.0)},
    "four": {
        **{f"x{n}": FloatDistribution(-1.0, 3.0) for n in range(2)},
        **{f"rate{n}": FloatDistribution(1e-6, 1.0, log=True) for n in range(2)},
    },
    "with steps": {"x": FloatDistribution(-1.0, 3.0), "width": IntDistribution(1, 64)},
}


def drawn(
    space: dict[str, BaseDistribution], count: int, chance: np.random.Generator
) -> dict[str, np.ndarray]:
    return {
        name: np.exp(chance.uniform(np.log(1e-6), 0.0, count))
        if getattr(each, "log", False)
        else chance.integers(1, 64, count).astype(float)
        if isinstance(each, IntDistribution)
        else chance.uniform(-1.0, 3.0, count)
        for name, each in space.items()
    }


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
@pytest.mark.parametrize("count", [1, 30, EXACT_ERF_BELOW + 10])
def test_densities_are_optunas_to_the_last_bit_as_trials_come_and_go(
    space: dict[str, BaseDistribution], count: int
) -> None:
    chance = np.random.default_rng(0)
    density = Density(len(space))
    values = drawn(space, count, chance)
    for _ in range(4):
        numbers = np.flatnonzero(chance.random(count) < 0.9)
        estimator = _ParzenEstimator(
            {name: column[numbers] for name, column in values.items()}, space, PARAMETERS
        )
        points = drawn(space, 24, chance)
        points["x" if "x" in points else "x1"][0] = 3.5  # out of its range
        expected = estimator.log_pdf(points)
        assert (density.log_pdf(estimator, numbers, points) == expected).all()
        assert np.isneginf(expected[0])
