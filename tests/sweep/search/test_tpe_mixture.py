"""The mixtures that TPE draws from and compares by, beside Optuna's own."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator, _ParzenEstimatorParameters
from optuna.samplers._tpe.sampler import default_weights
from optuna.trial import TrialState, create_trial

from sweep.search.tpe.axes import Axes
from sweep.search.tpe.mixture import Mixture, log_weights
from sweep.search.tpe.trials import Rows

Array = NDArray[np.float64]

PARAMETERS = _ParzenEstimatorParameters(1.0, True, False, default_weights, True)
SPACE: dict[str, BaseDistribution] = {
    "rate": FloatDistribution(1e-5, 1.0, log=True),
    "x": FloatDistribution(-1.0, 3.0),
    "kind": CategoricalDistribution(["a", "b", "c"]),
    "flag": CategoricalDistribution([True, False]),
    "width": IntDistribution(1, 10_000_000),
}
STEPS: dict[str, BaseDistribution] = {
    "layers": IntDistribution(1, 12),
    "dropout": FloatDistribution(0.0, 0.5, step=0.05),
    "units": IntDistribution(1, 64, log=True),
}


def drawn(space: dict[str, BaseDistribution], count: int, chance: np.random.Generator) -> Array:
    """Points in Optuna's own numbers: (hyperparameters, points)."""
    columns = []
    for each in space.values():
        if isinstance(each, CategoricalDistribution):
            columns.append(chance.integers(len(each.choices), size=count).astype(float))
        elif each.step is not None:  # type: ignore[attr-defined]
            steps = chance.integers(round((each.high - each.low) / each.step) + 1, size=count)  # type: ignore[attr-defined]
            columns.append(each.low + steps * each.step)  # type: ignore[attr-defined]
        else:
            low, high = each.low, each.high  # type: ignore[attr-defined]
            values = chance.uniform(np.log(low), np.log(high), count) if each.log else None  # type: ignore[attr-defined]
            columns.append(chance.uniform(low, high, count) if values is None else np.exp(values))
    return np.array(columns)


def mixture_of(space: dict[str, BaseDistribution], values: Array) -> tuple[Mixture, Axes]:
    axes = Axes(space)
    mixture = Mixture(axes)
    mixture.hold(np.ones(values.shape[1], bool), rows_of(space, values))
    return mixture, axes


def rows_of(space: dict[str, BaseDistribution], values: Array) -> Rows:
    rows = Rows(space)
    trials = [
        create_trial(
            state=TrialState.COMPLETE,
            value=0.0,
            distributions=space,
            params={
                name: its.to_external_repr(each)
                for (name, its), each in zip(space.items(), point, strict=True)
            },
        )
        for point in values.T.tolist()
    ]
    for number, trial in enumerate(trials):
        trial.number = number
    rows.whole(np.arange(len(trials)), trials, lambda trial: trial.params)
    return rows


def log_density(mixture: Mixture, axes: Axes, points: Array) -> Array:
    coordinates = axes.coordinates(points)
    kernels = mixture.density(mixture.scaled(axes.features(coordinates)))
    return np.log(kernels + mixture.prior(coordinates))


def estimator(space: dict[str, BaseDistribution], values: Array) -> _ParzenEstimator:
    return _ParzenEstimator(dict(zip(space, values, strict=True)), space, PARAMETERS)


@pytest.mark.parametrize("count", [1, 2, 25, 26, 27, 400])
def test_trials_count_as_much_as_for_optuna(count: int) -> None:
    assert np.allclose(log_weights(count), np.log(default_weights(count)), rtol=0, atol=1e-12)


@pytest.mark.parametrize("count", [1, 2, 30, 400])
@pytest.mark.parametrize("name", SPACE)
def test_densities_are_optunas_but_for_a_constant_and_three_per_cent(name: str, count: int) -> None:
    space = {"x": SPACE["x"], name: SPACE[name]}
    chance = np.random.default_rng(count)
    values, points = drawn(space, count, chance), drawn(space, 200, chance)
    mixture, axes = mixture_of(space, values)
    apart = log_density(mixture, axes, points) - estimator(space, values).log_pdf(
        dict(zip(space, points, strict=True))
    )
    assert np.abs(apart - np.median(apart)).max() < 0.06  # the good half of a mixture errs the other way


@pytest.mark.parametrize("name", STEPS)
def test_steps_weigh_what_optuna_gives_them(name: str) -> None:
    """Of few trials, none of them twice: of those at one place Optuna tells which is first by chance."""
    space = {name: STEPS[name]}
    values = drawn(space, 40, np.random.default_rng(1))
    values = np.unique(values)[None, :5]
    mixture, axes = mixture_of(space, values)
    points = np.array([axes.steps[0].values])
    apart = log_density(mixture, axes, points) - estimator(space, values).log_pdf({name: points[0]})
    assert np.abs(apart - np.median(apart)).max() < 0.06


def test_points_are_drawn_as_optuna_draws_them() -> None:
    space = SPACE | STEPS
    chance = np.random.default_rng(3)
    values = drawn(space, 6, chance)
    mixture, axes = mixture_of(space, values)
    coordinates = mixture.drawn(chance.random((1 + len(space), 20_000)))
    ours = np.array([axes.values(point) for point in coordinates.T.tolist()]).T
    theirs = estimator(space, values).sample(np.random.RandomState(4), 20_000)
    for own, name in zip(ours, space, strict=True):
        parts = np.linspace(0.1, 0.9, 9)
        places = np.quantile(theirs[name], parts)
        shares = [(each[:, None] <= places).mean(axis=0) for each in (own, theirs[name])]
        assert np.abs(shares[0] - shares[1]).max() < 0.02


@pytest.mark.parametrize("space", [SPACE | STEPS, {"kind": SPACE["kind"], "flag": SPACE["flag"]}])
@pytest.mark.parametrize("count", [40, 700])
def test_a_mixture_kept_up_is_the_one_made_at_once(count: int, space: dict[str, BaseDistribution]) -> None:
    chance = np.random.default_rng(count)
    values = drawn(space, count, chance)
    values[:, 1::7] = values[:, :1]  # some trials share a place
    rows, axes, points = rows_of(space, values), Axes(space), drawn(space, 50, chance)
    kept = Mixture(axes)
    helds = [chance.random(count) < share for share in (0.5, 0.97, 0.98, 0.97, 1.0)]
    for changes in ([3], [5, 9], [0], [0, count - 1], [1, 2, 3]):  # one by one, others in their places
        helds.append(helds[-1].copy())
        helds[-1][changes] ^= True
    for held in helds:
        kept.hold(held, rows)
        fresh = Mixture(axes)
        fresh.hold(held, rows)
        assert np.array_equal(log_density(kept, axes, points), log_density(fresh, axes, points))


def test_running_trials_make_their_neighbourhood_less_wanted_and_leave_no_trace() -> None:
    chance = np.random.default_rng(5)
    values, axes = drawn(SPACE, 60, chance), Axes(SPACE)
    rows, mixture = rows_of(SPACE, values), Mixture(axes)
    ended = np.arange(60) < 50
    mixture.hold(ended, rows)
    points = values[:, 50:]
    before = log_density(mixture, axes, points)
    mixture.run(mixture.running(axes.coordinates(points)))
    assert (log_density(mixture, axes, points) > before + 1).all()
    mixture.hold(ended, rows)
    assert np.array_equal(log_density(mixture, axes, points), before)


def test_many_ranges_overflow_nothing() -> None:
    space: dict[str, BaseDistribution] = {f"x{n}": FloatDistribution(0.0, 1.0) for n in range(30)}
    values = np.full((30, 300), 0.5) + np.random.default_rng(0).normal(0, 1e-3, (30, 300))
    mixture, axes = mixture_of(space, values)
    near, far = log_density(mixture, axes, np.array([[0.5] * 30, [0.0] * 30]).T)
    assert np.isfinite([near, far]).all()
    assert near - far > 100
