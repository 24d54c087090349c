"""How many lanes pay: examples per second measured at growing widths."""

from __future__ import annotations

import time
from collections.abc import Mapping

import mlx.core as mx

from train_core import keys
from train_core.lane import Length
from train_core.population import Population
from train_core.program import Program

GAIN = 1.1
"""A further width is worth it from this gain on."""

MOST = 1024
STEPS = 16
ENDLESS = Length(examples=2**40, report_every=2**40)


def measure_widths(
    program: Program,
    hyperparameters: Mapping[str, object],
    *,
    most: int = MOST,
    limit_bytes: int | None = None,
) -> dict[int, float]:
    """Examples per second at widths 1, 2, 4, ... up to `most`, as far as they gain.

    Two widths in a row that gain less than a tenth over the best so far end it, and so does one whose
    memory, predicted from the last two, would pass `limit_bytes`.
    """
    rates: dict[int, float] = {}
    peaks: list[int] = []
    width = 1
    while width <= most and len(_gains(rates)) >= len(rates) - 1:
        if limit_bytes is not None and peaks and 2 * peaks[-1] > limit_bytes:
            break
        rate, peak = _measure(program, hyperparameters, width)
        rates[width] = rate
        peaks.append(peak)
        width *= 2
    return rates


def _gains(rates: Mapping[int, float]) -> list[int]:
    """The widths that were worth trying, one disappointment in a row allowed."""
    worth: list[int] = []
    best = 0.0
    disappointed = 0
    for width, rate in rates.items():
        disappointed = 0 if rate >= GAIN * best else disappointed + 1
        best = max(best, rate)
        if disappointed < 2:
            worth.append(width)
    return worth


def _measure(program: Program, hyperparameters: Mapping[str, object], width: int) -> tuple[float, int]:
    population = Population(program, width)
    for lane in range(width):
        population.load(lane, key=keys.key(lane), hyperparameters=hyperparameters, length=ENDLESS)
    population.advance(STEPS)
    mx.reset_peak_memory()
    began = time.perf_counter()
    population.advance(STEPS)
    elapsed = time.perf_counter() - began
    return width * STEPS * program.static.micro_batch_size / elapsed, mx.get_peak_memory()
