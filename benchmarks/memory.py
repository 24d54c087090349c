"""Peak memory of the core's step against the number of accumulated micro-batches, which must not show.

What a step needs is measured with a wait after each micro-batch. As a user runs it, a step is dispatched
while the one before computes; the memory that this takes is bounded by itself, whatever is accumulated.
"""

from __future__ import annotations

import gc
import sys

import mlx.core as mx

from benchmarks import measure
from benchmarks.step import CASES, Benchmarked, Case
from train_core import Length, Population, Program, device, keys, split
from train_core.lanes.population import AHEAD

BOUND = 1.05
ACCUMULATION = (1, 2, 4, 8, 16, 32, 64)
MICRO_BATCHES = 128


def peaks(program: Program, k: int, micro_batches: int) -> tuple[int, int]:
    """Return the most memory in use, data and state included, waiting for each micro-batch and not."""
    hyperparameters = {
        "micro_batch_size": program.static.micro_batch_size,
        "accumulation_steps": k,
        "gradient_clip": 1.0,
    }
    population = Population(program, 1)
    examples = (2 * (k + micro_batches) + 1) * program.static.micro_batch_size
    length = Length(examples, report_every=examples)
    population.load(0, key=keys.key(0), hyperparameters={**hyperparameters, "dropout": 0.1}, length=length)
    population.advance(2 * k)  # traced and compiled before anything counts
    gc.collect()
    found = []
    for at_once in (1, micro_batches):
        mx.clear_cache()
        mx.reset_peak_memory()
        for _ in range(micro_batches // at_once):
            population.advance(at_once)
        found.append(mx.get_peak_memory())
    needed, ahead = found
    return needed, ahead


def program_of(case: Case) -> Program:
    """Return the one program that all k share."""
    task = Benchmarked(case)
    static, _ = split({"micro_batch_size": case.micro_batch_size, "gradient_clip": 1.0}, task.static)
    return Program(task, static)


def main() -> int:
    """Measure every case; return the exit code."""
    options = measure.arguments(__doc__.splitlines()[0] if __doc__ else "", micro_batches=MICRO_BATCHES)
    benchmark = measure.Benchmark(
        "Peak memory against accumulation, one micro-batch size a model",
        machine={"device": device.kind(), "chip": device.chip()},
    )
    for case in CASES:
        measure.say(f"{case.name} ...")
        program = program_of(case)
        found = {k: peaks(program, k, options.micro_batches) for k in ACCUMULATION}
        first, last = ACCUMULATION[0], ACCUMULATION[-1]
        benchmark.enter(
            *(
                {
                    "model": case.name,
                    "accumulation": k,
                    "peak_mb": needed / 1e6,
                    "to_1": needed / found[first][0],
                    "dispatched_ahead_mb": ahead / 1e6,
                }
                for k, (needed, ahead) in found.items()
            )
        )
        ratio = found[last][0] / found[first][0]
        name = f"{case.name}: peak with {last} micro-batches to that with {first}"
        benchmark.checks.append(measure.check(name, ratio, bound=BOUND))
        most = max(ahead - needed for needed, ahead in found.values()) / device.memory_bytes()
        name = f"{case.name}: memory of steps dispatched ahead, as a fraction of the device's"
        benchmark.checks.append(measure.check(name, most, bound=AHEAD))
    return benchmark.finish(as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
