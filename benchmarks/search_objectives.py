"""Objectives for comparing samplers: known functions, what tuning looks like, regions that diverge."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sweep.vocabulary.trial import Scalar

Point = Mapping[str, Scalar]


@dataclass(frozen=True)
class Objective:
    """A function to minimise whose least value is 0; not finite where training would diverge.

    `space` holds entries as a study file has them. What is told has noise of that standard deviation.
    """

    name: str
    space: tuple[str, ...]
    value: Callable[[Point], float]
    noise: float = 0.0


def _at(point: Point, name: str) -> float:
    return float(point[name])  # type: ignore[arg-type]


def _decades(point: Point, name: str, best: float) -> float:
    """How many factors of ten a hyperparameter is from its best value; negative below it."""
    return math.log10(_at(point, name) / best)


def _floats(count: int, low: float, high: float) -> tuple[str, ...]:
    return tuple(f"x{index}: {{low: {low:.1f}, high: {high:.1f}}}" for index in range(count))


def _vector(point: Point) -> list[float]:
    return [_at(point, name) for name in sorted(point)]


def _sphere(point: Point) -> float:
    return sum((x - 0.7) ** 2 for x in _vector(point))


def _rosenbrock(point: Point) -> float:
    a, b = _vector(point)
    return (1 - a) ** 2 + 100 * (b - a * a) ** 2


def _branin(point: Point) -> float:
    """Branin's function, as https://www.sfu.ca/~ssurjano/branin.html gives it, less its least value."""
    a, b = _vector(point)
    valley = b - 5.1 / (4 * math.pi**2) * a * a + 5 / math.pi * a - 6
    return valley**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(a) + 10 - 0.39788735772973816


def _ackley(point: Point) -> float:
    x = [each - 1.3 for each in _vector(point)]
    root = math.sqrt(sum(each * each for each in x) / len(x))
    waves = sum(math.cos(2 * math.pi * each) for each in x) / len(x)
    return -20 * math.exp(-0.2 * root) - math.exp(waves) + 20 + math.e


def _rastrigin(point: Point) -> float:
    x = [each - 0.4 for each in _vector(point)]
    return sum(each * each - 10 * math.cos(2 * math.pi * each) + 10 for each in x)


def _rate_and_decay(point: Point) -> float:
    """A loss that is best where rate and decay suit each other."""
    rate, decay = _decades(point, "rate", 3e-3), _decades(point, "decay", 1e-2)
    return rate**2 + 0.3 * (decay + 0.5 * rate) ** 2


def _mixed(point: Point) -> float:
    activation = {"relu": 0.1, "gelu": 0.0, "tanh": 0.3}[str(point["activation"])]
    layers = 0.05 * abs(_at(point, "layers") - 5)
    return (
        _decades(point, "rate", 1e-3) ** 2 + layers + activation + 0.5 * (_at(point, "dropout") - 0.15) ** 2
    )


def _conditional(point: Point) -> float:
    if point["optimizer"] == "sgd":
        return 0.2 + _decades(point, "rate", 0.1) ** 2 + 2 * (_at(point, "momentum") - 0.9) ** 2
    return _decades(point, "rate", 1e-3) ** 2


def _categories(point: Point) -> float:
    best = {"a": "3", "b": "1", "c": "4", "d": "1"}
    return float(sum(str(point[name]) != value for name, value in best.items()))


BEST_RATE = {"sgd": 0.5, "adamw": 0.01, "lion": 0.003}


def _cliff(point: Point) -> float:
    """Every optimizer diverges at some factor above its best rate: there is no way back from there."""
    optimizer = str(point["optimizer"])
    above = _decades(point, "rate", BEST_RATE[optimizer])
    if above > {"sgd": 0.8, "adamw": 1.2, "lion": 1.5}[optimizer]:
        return math.nan
    return abs(above) + {"sgd": 0.0, "adamw": 0.2, "lion": 0.3}[optimizer]


def _one_diverges(point: Point) -> float:
    """One of three optimizers diverges at high rates; the others only train badly there."""
    above, optimizer = _decades(point, "rate", BEST_RATE[str(point["optimizer"])]), str(point["optimizer"])
    if above > math.log10(20):
        return math.nan if optimizer == "sgd" else 3.0
    return abs(above) + {"sgd": 0.0, "adamw": 0.2, "lion": 0.3}[optimizer]


def _edge(point: Point) -> float:
    """The best rate is just below the one that diverges, as with plain gradient descent."""
    below = -_decades(point, "rate", 0.02)
    return math.inf if below < 0 else below + 0.5 * (_at(point, "momentum") - 0.9) ** 2


def _corner(point: Point) -> float:
    """Most of the space diverges."""
    rate, scale = _decades(point, "rate", 1e-2), _decades(point, "scale", 1.0)
    return math.nan if rate + scale > 0.5 else rate**2 + scale**2


def _precision(point: Point) -> float:
    """One choice diverges at rates where the others do not."""
    rate = _decades(point, "rate", 1e-2)
    if point["precision"] == "float16" and rate > -1:
        return math.nan
    return rate**2 + {"float32": 0.05, "bfloat16": 0.0, "float16": 0.0}[str(point["precision"])]


RATE = "rate: {low: 1.0e-5, high: 1.0e+1, log: true}"
OPTIMIZER = "optimizer: {choices: [sgd, adamw, lion]}"

OBJECTIVES = (
    Objective("sphere", _floats(4, -2, 2), _sphere),
    Objective("rosenbrock", _floats(2, -2, 2), _rosenbrock),
    Objective("branin", ("a: {low: -5.0, high: 10.0}", "b: {low: 0.0, high: 15.0}"), _branin),
    Objective("ackley", _floats(5, -5, 5), _ackley),
    Objective("rastrigin", _floats(2, -3, 3), _rastrigin),
    Objective("noise", _floats(3, -2, 2), _sphere, noise=0.05),
    Objective("rate and decay", (RATE, "decay: {low: 1.0e-5, high: 1.0, log: true}"), _rate_and_decay),
    Objective(
        "mixed",
        (
            RATE,
            "layers: {low: 1, high: 12}",
            "activation: {choices: [relu, gelu, tanh]}",
            "dropout: {low: 0.0, high: 0.5, step: 0.05}",
        ),
        _mixed,
    ),
    Objective(
        "conditional",
        (
            RATE,
            "optimizer: {choices: [sgd, adamw]}",
            "momentum: {low: 0.0, high: 0.99, when: {optimizer: sgd}}",
        ),
        _conditional,
    ),
    Objective(
        "categories", tuple(f'{name}: {{choices: ["1", "2", "3", "4", "5"]}}' for name in "abcd"), _categories
    ),
    Objective("cliff", ("rate: {low: 1.0e-3, high: 1.0e+2, log: true}", OPTIMIZER), _cliff),
    Objective("one diverges", ("rate: {low: 1.0e-3, high: 1.0e+2, log: true}", OPTIMIZER), _one_diverges),
    Objective("edge", (RATE, "momentum: {low: 0.0, high: 0.99}"), _edge),
    Objective("corner", (RATE, "scale: {low: 1.0e-3, high: 1.0e+3, log: true}"), _corner),
    Objective("precision", (RATE, "precision: {choices: [float32, bfloat16, float16]}"), _precision),
)
