"""How many lanes: examples per second measured at growing widths.

Widths grow until more lanes gain nothing, memory would not suffice, or measuring would cost too much
of the study's time.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

import mlx.core as mx

from train_core import device, keys
from train_core.device_errors import is_out_of_memory
from train_core.lanes.lane import Length
from train_core.lanes.population import Population
from train_core.lanes.program import Program
from train_core.task import split_for

GAIN = 1.10
"""A wider population must do this many times the examples per second of the best narrower one."""

PATIENCE = 2
"""Widths in a row without that gain after which growth stops, from FIRST on."""

FIRST = 8
"""Widths up to here are all measured: on a CPU 2 and 4 lanes may lose what 8 gain."""

SHARE = 0.04
"""The part of a study's time at width 1 that measuring may take."""

HOST_BOUND = 0.9
"""The host limits where it is busy for this much of a step: it hands kernels over as fast as it can."""

SAMPLES = 5
SAMPLE_S = {"cpu": 0.01, "gpu": 0.1}
"""A width is timed this often, for about so long; once where one update takes as long as all of these.

Longer on a GPU: there a short stretch of wide steps is mostly the host's work around it.
"""

LEAST_STEPS = {"cpu": 1, "gpu": 4}
"""Steps of a stretch, however long: of one alone the host's work and the device's do not overlap."""


@dataclass(frozen=True)
class Measurement:
    """One width: its speed, what compiling and timing it took, and its memory.

    `held_memory_bytes` is what MLX holds after it, with what arrays have freed and MLX keeps. `host_share` is
    how much of a GPU's step the host is busy.
    """

    width: int
    examples_per_s: float
    compile_s: float
    timing_s: float
    peak_memory_bytes: int
    held_memory_bytes: int = 0
    host_share: float = 0.0

    @property
    def memory_bytes(self) -> int:
        """What this width takes of the device: MLX's cache comes on top of its arrays."""
        return max(self.peak_memory_bytes, self.held_memory_bytes)


@dataclass(frozen=True)
class WidthChoice:
    """The best width, all that was measured, narrowest first, and why growth stopped.

    `stopped_early` says that more lanes might gain more: it was not worth finding out, or not asked for.
    """

    width: int
    table: tuple[Measurement, ...]
    stopped: str
    stopped_early: bool = False

    @property
    def limited_by(self) -> str:
        """What keeps more lanes from training faster, in a line."""
        best = next(row for row in self.table if row.width == self.width)
        if self.stopped_early or self.stopped.startswith(("out of memory", "width ")):
            return self.stopped
        if best.host_share >= HOST_BOUND:
            return f"the host, busy for {best.host_share:.0%} of a step: {self.stopped}"
        return f"the device's arithmetic and memory: {self.stopped}"

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

    `hyperparameters` are those of any trial of the program. Memory, MLX's cache included, is predicted to
    stay below `limit_bytes`. With `examples`, all that the study has left to train, measuring ends where
    the next width would pass SHARE of the time they take at width 1.
    """
    table: list[Measurement] = []
    best, without_gain, width, early, stopped = 1, 0, 1, True, f"widths up to {most} were asked for"
    speeds: dict[int, float] = {}
    while width <= most:
        try:
            row = _measure(program, hyperparameters, width)
        except (RuntimeError, MemoryError) as error:
            if width == 1 or not is_out_of_memory(error):
                raise
            early, stopped = False, f"out of memory at width {width}"
            break
        table.append(row)
        speeds[width] = row.examples_per_s
        if width > 1:
            gains = speeds[width] >= GAIN * speeds[best]
            best, without_gain = (width, 0) if gains else (best, without_gain + 1)
        limit = _limit(table, without_gain, limit_bytes)
        stop = limit or _not_worth_it(table, examples)
        if stop is not None:
            early, stopped = limit is None, stop
            break
        width *= 2
    return WidthChoice(best, tuple(table), stopped, stopped_early=early)


def _limit(table: list[Measurement], without_gain: int, limit_bytes: float) -> str | None:
    """Why no wider population can be better."""
    last = table[-1]
    if last.width >= FIRST and without_gain >= PATIENCE:
        return f"no gain of {GAIN - 1:.0%} at the last {PATIENCE} widths"
    predicted = predicted_peak_bytes(table)
    if predicted > limit_bytes:
        return f"width {2 * last.width} would need {predicted / 1e9:.2f} of {limit_bytes / 1e9:.2f} GB"
    return None


def _not_worth_it(table: list[Measurement], examples: float | None) -> str | None:
    """Why it costs too much to measure the next width, for a study with so many examples left."""
    if examples is None:
        return None
    last = table[-1]
    allowed_s = SHARE * examples / table[0].examples_per_s
    # The last width's again, its steps twice as long; width 1 is compiled in any case.
    next_s = last.compile_s + 2 * last.timing_s
    needed_s = sum(row.compile_s + row.timing_s for row in table) - table[0].compile_s + next_s
    if needed_s <= allowed_s:
        return None
    return f"measuring width {2 * last.width} too would take more than {SHARE:.0%} of the study"


def predicted_peak_bytes(table: list[Measurement]) -> float:
    """Return the memory at twice the last width, by the line through the last two.

    MLX's cache is counted: it is not given back while the study runs.
    """
    last = table[-1]
    if len(table) == 1:
        return 2.0 * last.memory_bytes
    before = table[-2]
    a_lane = (last.memory_bytes - before.memory_bytes) / (last.width - before.width)
    return last.memory_bytes + max(a_lane, 0.0) * last.width


def _measure(program: Program, hyperparameters: Mapping[str, object], width: int) -> Measurement:
    """Train `width` runs of the same hyperparameters for a few updates and discard them."""
    began = time.perf_counter()
    mx.clear_cache()
    mx.reset_peak_memory()
    size = program.static.micro_batch_size
    population = Population(program, width)
    length = Length(examples=2**40 * size, report_every=2**40 * size)
    for lane in range(width):
        key = keys.fold_in(keys.key(0), lane)
        population.load(lane, key=key, hyperparameters=hyperparameters, length=length)
    k = int(split_for(program.task, hyperparameters)[1]["accumulation_steps"])
    population.at_widest = True
    compile_s = population.advance(k).compile_s
    population.at_widest = False
    compile_s += population.advance(k).compile_s if program.data.train_buckets is not None else 0.0
    least = LEAST_STEPS[device.kind()] * k
    steps, timed_s, host_s = least, 0.0, 0.0
    taken: list[float] = []
    sample_s = SAMPLE_S[device.kind()]
    while len(taken) < SAMPLES and timed_s < SAMPLES * sample_s:
        host_s -= time.thread_time()
        train_s = population.advance(steps).train_s
        host_s += time.thread_time()
        taken.append(train_s / steps)
        timed_s += train_s
        steps = max(least, round(sample_s / max(min(taken), 1e-9) / k) * k)
    return Measurement(
        width=width,
        examples_per_s=width * size / min(taken),  # what else runs here only ever adds to a time
        compile_s=compile_s,
        timing_s=time.perf_counter() - began - compile_s,
        peak_memory_bytes=mx.get_peak_memory(),
        held_memory_bytes=mx.get_active_memory() + mx.get_cache_memory(),
        host_share=min(1.0, host_s / timed_s) if device.kind() == "gpu" else 0.0,
    )


def cache_key(program: Program) -> str:
    """Return what a measured width holds for: the chip, the program, its data's sizes, MLX's version."""
    described = {
        "task": f"{type(program.task).__module__}:{type(program.task).__qualname__}",
        "static": dict(program.description),
        "layout": {path: [list(shape), str(dtype)] for path, (shape, dtype) in program.layout.items()},
        "data": program.data.sizes,
    }
    digest = hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:16]
    return f"{device.kind()} {device.chip()} | {digest} | mlx {version('mlx')}"


def encode(choice: WidthChoice) -> dict[str, Any]:
    """Return the choice as plain values, ready for JSON."""
    return asdict(choice) | {"table": [asdict(row) for row in choice.table]}


def decode(held: Mapping[str, Any]) -> WidthChoice:
    """Return the choice that `encode` made plain; raises ValueError where it is something else."""
    try:
        table = tuple(Measurement(**row) for row in held["table"])
        return WidthChoice(int(held["width"]), table, str(held["stopped"]), bool(held["stopped_early"]))
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a width as `encode` writes it: {held!r}") from error
