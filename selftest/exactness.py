"""Keys, lanes, resumed training, rules of lanes: which agree bit for bit, and how far apart the others are.

A difference is the largest one of an array over the largest value of it.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np

import train_core
from selftest import records
from selftest.machine import is_exact
from selftest.models import MODELS, Generated, settings
from selftest.results import Result, Status, agreement
from train_core import Checkpoint, Length, Population, Program, keys, split
from train_core.vmap.rules import alone, over_lanes

LENGTH = Length(examples=24 * 32, report_every=8 * 32)
TOLERANCE = 1e-2
WIDTH = 3


def key_values(*, quick: bool) -> Iterator[Result]:
    """Keys are what they are on every machine, to the last bit."""
    claim = "keys and the order of examples have the recorded values"
    wanted, found = records.keys(), recorded_values()
    wrong = [name for name in wanted if wanted[name] != found[name]]
    saw = f"differ: {', '.join(wrong)}" if wrong else f"{len(wanted)} of {len(wanted)}"
    yield Result("keys", "keys", claim, Status.RED if wrong else Status.GREEN, saw)


def recorded_values() -> dict[str, list[int]]:
    """The values that selftest/recorded/keys.json holds."""
    root = keys.key(0)
    children = [keys.fold_in(root, 7), keys.fold_in(keys.key(2**31), 2**32 - 1)]
    order = keys.permutations([children[0], children[1]], [0, 3], 8)
    return {
        "key": _integers(root),
        "fold_in": _integers(mx.stack(children)),
        "permutation": [int(each) for each in order.reshape(-1)],
    }


def lanes(*, quick: bool) -> Iterator[Result]:
    """The same trials alone and in lanes; interrupted, and resumed alone and in lanes."""
    width = 2 if quick else 3
    for name, task in MODELS.items():
        trials = Trials(task(), accumulation=() if quick else (1, 2))
        single = [trials.alone(trial) for trial in range(width)]
        together = trials.together(range(width))
        worst = max(_difference(one, other) for one, other in zip(single, together, strict=True))
        yield _agrees("lanes", name, f"{name}: a trial in lanes equals the same trial alone", worst)
        resumed = _difference(single[1], trials.resumed(1, width=1))
        yield _agrees("resume", name, f"{name}: interrupted and resumed equals uninterrupted", resumed)
        moved = _difference(single[1], trials.resumed(1, width=width))
        claim = f"{name}: begun alone and resumed in lanes equals uninterrupted"
        yield _agrees("resume", f"{name} in lanes", claim, moved)


def rules(*, quick: bool) -> Iterator[Result]:
    """One operation and its gradients, mapped over lanes and lane by lane."""
    for name, (operation, shapes) in _operations().items():
        worst = _rule(operation, shapes)
        yield _agrees("rules", name, f"{name} and its gradients in lanes equal those alone", worst)


def _agrees(group: str, name: str, claim: str, difference: float) -> Result:
    status, saw = agreement(difference, exact=is_exact(), tolerance=TOLERANCE)
    return Result(group, name, claim, status, saw, difference, "relative difference")


class Trials:
    """Trials of one task, trained by one program; `accumulation` is given to them in turns."""

    def __init__(self, task: Generated, *, accumulation: Sequence[int] = ()) -> None:
        self._accumulation = accumulation or (1,)
        self._program = Program(task, split(settings(0), task.static)[0])

    def alone(self, trial: int) -> Checkpoint:
        """Trained to its end by itself."""
        return self.together([trial])[0]

    def together(self, trials: Sequence[int]) -> list[Checkpoint]:
        """Trained to their ends in lanes."""
        population = Population(self._program, len(trials))
        for lane, trial in enumerate(trials):
            self._load(population, lane, trial)
        while not all(report.finished for report in population.advance().reports):
            pass
        return [population.snapshot(lane) for lane in range(len(trials))]

    def resumed(self, trial: int, *, width: int) -> Checkpoint:
        """Trained to its first report, written to a file, read, and trained to its end among others."""
        first = Population(self._program, 1)
        self._load(first, 0, trial)
        first.advance()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "snapshot.safetensors")
            train_core.save(path, first.snapshot(0))
            snapshot = train_core.load(path)
        population = Population(self._program, width)
        population.restore(0, snapshot, hyperparameters=self._settings(trial), length=LENGTH)
        for lane in range(1, width):
            self._load(population, lane, 8 + lane)
        finished = False
        while not finished:
            finished = any(report.finished for report in population.advance().reports if report.lane == 0)
        return population.snapshot(0)

    def _load(self, population: Population, lane: int, trial: int) -> None:
        population.load(lane, key=_key(trial), hyperparameters=self._settings(trial), length=LENGTH)

    def _settings(self, trial: int) -> dict[str, object]:
        k = self._accumulation[trial % len(self._accumulation)]
        return {**settings(trial), "accumulation_steps": k}


def _key(trial: int) -> mx.array:
    return keys.fold_in(keys.key(0), trial)


def _difference(one: Checkpoint, other: Checkpoint) -> float:
    return max(_relative(leaf, other.arrays[path]) for path, leaf in one.arrays.items())


def _relative(one: mx.array, other: mx.array) -> float:
    if one.size == 0:
        return 0.0
    a, b = (np.array(leaf.astype(mx.float32), dtype=np.float64) for leaf in (one, other))
    if np.array_equal(a, b, equal_nan=True):
        return 0.0
    found = float(np.abs(a - b).max() / max(np.abs(a).max(), 1e-30))
    return found if math.isfinite(found) else math.inf


def _operations() -> Mapping[str, tuple[Callable[..., mx.array], tuple[tuple[int, ...], ...]]]:
    """Functions of floating-point arrays, and the shapes of these in one lane."""
    index = mx.array([[3, 1, 3, 0], [2, 3, 3, 1]])

    def attention(q: mx.array, k: mx.array, v: mx.array) -> mx.array:
        return mx.fast.scaled_dot_product_attention(q, k, v, scale=0.5)

    def batch_norm(x: mx.array, weight: mx.array, bias: mx.array) -> mx.array:
        layer = nn.BatchNorm(4)
        layer.weight, layer.bias = weight, bias
        return layer(x)

    return {
        "convolution": (lambda x, w: mx.conv2d(x, w, 2, 1), ((2, 8, 8, 4), (6, 3, 3, 4))),
        "grouped convolution": (lambda x, w: mx.conv2d(x, w, 1, 1, 1, 2), ((2, 8, 8, 4), (6, 3, 3, 2))),
        "transposed convolution": (lambda x, w: mx.conv_transpose2d(x, w, 2), ((2, 4, 4, 4), (6, 3, 3, 4))),
        "attention": (attention, ((2, 4, 6, 4), (2, 4, 6, 4), (2, 4, 6, 4))),
        "batch norm": (batch_norm, ((6, 5, 4), (4,), (4,))),
        "layer norm": (lambda x, w: mx.fast.layer_norm(x, w, None, 1e-5), ((6, 4), (4,))),
        "embedding": (lambda table: train_core.step.embedding.lookup(table, index), ((5, 4),)),
        "max pooling": (lambda x: nn.MaxPool2d(2)(x), ((2, 8, 8, 4),)),
    }


def _rule(operation: Callable[..., mx.array], shapes: tuple[tuple[int, ...], ...]) -> float:
    def lane(*arguments: mx.array) -> list[mx.array]:
        numbers = tuple(range(len(arguments)))
        found: Any = mx.grad(lambda *a: mx.sin(operation(*a)).sum(), argnums=numbers)(*arguments)
        gradients = [found] if isinstance(found, mx.array) else list(found)
        return [operation(*arguments), *gradients]

    leaves = [mx.random.normal((WIDTH, *shape), key=mx.random.key(i)) for i, shape in enumerate(shapes)]
    mapped = over_lanes(lane)(*leaves)
    worst = 0.0
    for place in range(WIDTH):
        expected = alone(lane)(*(leaf[place] for leaf in leaves))
        worst = max([worst, *(_relative(one[place], two) for one, two in zip(mapped, expected, strict=True))])
    return worst


def _integers(array: mx.array) -> list[int]:
    return [int(each) for each in np.array(array).reshape(-1)]
