"""How much lanes gain, and a step of the core against a loop that is written by hand.

Times are medians of interleaved rounds. A busy machine makes them worse, so none of them is ever red.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim

from selftest.models import MODELS, WIDE, Generated, Wide, settings
from selftest.results import Result, Status
from train_core import Length, Population, Program, device, keys, split

LONG = Length(examples=10**9, report_every=10**9)
WIDTHS = {"cpu": (1, 2, 8), "gpu": (1, 8, 64, 256)}
LEAST_GAIN, MOST_OVERHEAD = 1.1, 1.25
GAIN_STEPS, GAIN_BATCH = 8, 32
STEPS, BATCH = 64, 128


def gain(*, quick: bool) -> Iterator[Result]:
    """Examples a second in lanes over those of one trial at a time, at the best of some widths."""
    widths = WIDTHS[device.kind()]
    for name, task in MODELS.items():
        steps = {
            width: _stretch(task, width, GAIN_STEPS, GAIN_BATCH)
            for width in (widths if not quick else widths[::2])
        }
        seconds = interleaved(steps, rounds=3 if quick else 9)
        rates = {width: width / taken for width, taken in seconds.items()}
        best = max(rates, key=lambda width: rates[width])
        value = rates[best] / rates[1]
        status = Status.GREEN if value >= LEAST_GAIN else Status.AMBER
        claim = f"{name}: lanes train more examples a second than one trial at a time"
        saw = f"{value:.1f} times at {best} lanes" if best > 1 else "one lane is the fastest"
        yield Result("speed", f"gain, {name}", claim, status, saw, value, "times")


def overhead(*, quick: bool) -> Iterator[Result]:
    """The time of a step at width 1 over that of a compiled loop with the same model, data and optimizer."""
    sides: dict[str, Callable[[], None]] = {"ours": _stretch(Wide, 1, STEPS, BATCH), "loop": _loop()}
    seconds = interleaved(sides, rounds=5 if quick else 25)
    value = seconds["ours"] / seconds["loop"]
    status = Status.GREEN if value <= MOST_OVERHEAD else Status.AMBER
    claim = "a step takes no longer than one of a hand-written loop"
    yield Result("speed", "step", claim, status, f"{value:.2f} times its time", value, "times")


def interleaved(sides: dict[Any, Callable[[], None]], *, rounds: int) -> dict[Any, float]:
    """The median time of each, measured in turns; the first round, which compiles, does not count."""
    taken: dict[Any, list[float]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        for name, act in sides.items():
            began = time.perf_counter()
            act()
            if number:
                taken[name].append(time.perf_counter() - began)
    return {name: statistics.median(found) for name, found in taken.items()}


def _stretch(task: type[Generated], width: int, steps: int, batch: int) -> Callable[[], None]:
    made = task()
    static, _ = split({**settings(0), "micro_batch_size": batch}, made.static)
    population = Population(Program(made, static), width)
    for lane in range(width):
        hyperparameters = {**settings(lane), "micro_batch_size": batch}
        key = keys.fold_in(keys.key(1), lane)
        population.load(lane, key=key, hyperparameters=hyperparameters, length=LONG)

    def act() -> None:
        population.advance(steps)
        mx.synchronize()

    return act


def _loop() -> Callable[[], None]:
    """MLX's documented idiom: a compiled function over captured state."""
    task = Wide()
    data = {name: mx.array(array) for name, array in task.data().train.items()}  # type: ignore[union-attr]
    order = mx.random.randint(0, 512, (STEPS, BATCH), key=mx.random.key(0))
    model, drop = nn.Sequential(nn.Linear(64, WIDE), nn.relu), nn.Dropout(0.1)
    net = nn.Sequential(model, drop, nn.Linear(WIDE, 10))
    optimizer = optim.AdamW(1e-3)
    state = [net.state, optimizer.state, mx.random.state]

    def loss(x: mx.array, y: mx.array) -> mx.array:
        found: mx.array = nn.losses.cross_entropy(net(x), y).mean()
        return found

    def step(x: mx.array, y: mx.array) -> mx.array:
        value: mx.array
        value, gradients = nn.value_and_grad(net, loss)(x, y)
        optimizer.update(net, gradients)
        return value

    compiled = mx.compile(step, inputs=state, outputs=state)

    def act() -> None:
        for number in range(STEPS):
            rows = order[number]
            compiled(data["x"][rows], data["y"][rows])
            mx.async_eval(state)
        mx.eval(state)
        mx.synchronize()

    return act
