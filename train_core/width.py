"""How many lanes: examples per second measured at growing widths.

A width is only worth its lanes where it gains, so growth stops once it no longer does, where memory
would not last, or where measuring would cost more of a study's time than it may.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import mlx.core as mx

from train_core import device, keys
from train_core.errors import is_out_of_memory
from train_core.hyperparameters import split
from train_core.lane import Length
from train_core.population import Population
from train_core.program import Program

GAIN = 1.10
"""A wider population must do this many times the examples per second of the best narrower one."""

PATIENCE = 2
"""Widths in a row without that gain after which growth stops, from FIRST on."""

FIRST = 8
"""Widths up to here are all measured: on a CPU 2 and 4 lanes may lose what 8 gain."""

SHARE = 0.04
"""The part of a study's time at width 1 that measuring may take."""

SAMPLES = 5
SAMPLE_S = 0.01
"""A width is timed this often, for about so long; once where one update takes as long as all of these."""


@dataclass(frozen=True)
class Measurement:
    """One width: its speed, what compiling and timing it took, and its peak memory."""

    width: int
    examples_per_s: float
    compile_s: float
    timing_s: float
    peak_memory_bytes: int


@dataclass(frozen=True)
class WidthChoice:
    """The best width, all that was measured, narrowest first, and why growth stopped."""

    width: int
    table: tuple[Measurement, ...]
    stopped: str

    @property
    def cost_s(self) -> float:
        """What measuring took, compilation included."""
        return sum(row.compile_s + row.timing_s for row in self.table)


def best_width(
    program: Program,
    hyperparameters: Mapping[str, object],
    *,
    limit_bytes: float,
    most: int = 1024,
    examples: float | None = None,
) -> WidthChoice:
    """Measure widths 1, 2, 4, ... up to `most` and return the best.

    `hyperparameters` are those of any trial of the program. Peak memory is predicted to stay below
    `limit_bytes`. With `examples`, all that the study has left to train, measuring ends where the
    next width would pass SHARE of the time they take at width 1.
    """
    table: list[Measurement] = []
    best, without_gain, width, stopped = 1, 0, 1, f"widths up to {most} were asked for"
    speeds: dict[int, float] = {}
    while width <= most:
        try:
            row = _measure(program, hyperparameters, width)
        except (RuntimeError, MemoryError) as error:
            if width == 1 or not is_out_of_memory(error):
                raise
            stopped = f"out of memory at width {width}"
            break
        table.append(row)
        speeds[width] = row.examples_per_s
        if width > 1:
            gains = speeds[width] >= GAIN * speeds[best]
            best, without_gain = (width, 0) if gains else (best, without_gain + 1)
        stop = _reason_to_stop(table, without_gain, limit_bytes, examples)
        if stop is not None:
            stopped = stop
            break
        width *= 2
    return WidthChoice(best, tuple(table), stopped)


def measure_widths(
    program: Program,
    hyperparameters: Mapping[str, object],
    *,
    most: int = 1024,
    limit_bytes: float | None = None,
    examples: float | None = None,
) -> dict[int, float]:
    """Return examples per second by width, of all that `best_width` measures."""
    limit_bytes = device.memory_bytes() if limit_bytes is None else limit_bytes
    choice = best_width(program, hyperparameters, limit_bytes=limit_bytes, most=most, examples=examples)
    return {row.width: row.examples_per_s for row in choice.table}


def _reason_to_stop(
    table: list[Measurement], without_gain: int, limit_bytes: float, examples: float | None
) -> str | None:
    last = table[-1]
    if last.width >= FIRST and without_gain >= PATIENCE:
        return f"no gain of {GAIN - 1:.0%} at the last {PATIENCE} widths"
    predicted = predicted_peak_bytes(table)
    if predicted > limit_bytes:
        return f"width {2 * last.width} would need {predicted / 1e9:.2f} of {limit_bytes / 1e9:.2f} GB"
    if examples is not None:
        allowed_s = SHARE * examples / table[0].examples_per_s
        # The last width's again, its steps twice as long; width 1 is compiled in any case.
        next_s = last.compile_s + 2 * last.timing_s
        needed_s = sum(row.compile_s + row.timing_s for row in table) - table[0].compile_s + next_s
        if needed_s > allowed_s:
            return f"measuring width {2 * last.width} too would take more than {SHARE:.0%} of the study"
    return None


def predicted_peak_bytes(table: list[Measurement]) -> float:
    """Return the peak memory at twice the last width, by the line through the last two."""
    last = table[-1]
    if len(table) == 1:
        return 2.0 * last.peak_memory_bytes
    before = table[-2]
    a_lane = (last.peak_memory_bytes - before.peak_memory_bytes) / (last.width - before.width)
    return last.peak_memory_bytes + max(a_lane, 0.0) * last.width


def _measure(program: Program, hyperparameters: Mapping[str, object], width: int) -> Measurement:
    """Train `width` runs of the same hyperparameters for a few updates; nobody keeps them."""
    began = time.perf_counter()
    mx.clear_cache()
    mx.reset_peak_memory()
    size = program.static.micro_batch_size
    population = Population(program, width)
    length = Length(examples=2**40 * size, report_every=2**40 * size)
    for lane in range(width):
        key = keys.fold_in(keys.key(0), lane)
        population.load(lane, key=key, hyperparameters=hyperparameters, length=length)
    window = int(split(hyperparameters, program.task.static)[1]["accumulation_steps"])
    compile_s = population.advance(window).compile_s
    steps, timed_s = window, 0.0
    taken: list[float] = []
    while len(taken) < SAMPLES and timed_s < SAMPLES * SAMPLE_S:
        train_s = population.advance(steps).train_s
        taken.append(train_s / steps)
        timed_s += train_s
        steps = max(1, round(SAMPLE_S / max(min(taken), 1e-9) / window)) * window
    return Measurement(
        width=width,
        examples_per_s=width * size / min(taken),  # what else runs here only ever adds to a time
        compile_s=compile_s,
        timing_s=time.perf_counter() - began - compile_s,
        peak_memory_bytes=mx.get_peak_memory(),
    )
