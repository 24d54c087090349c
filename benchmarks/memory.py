"""Peak memory of the core's step against the number of accumulated micro-batches, which must not show."""

from __future__ import annotations

import gc
import sys

import mlx.core as mx

from benchmarks import measure
from benchmarks.step import CASES, Benchmarked, Case
from train_core import Length, Population, Program, device, keys, split

BOUND = 1.05
ACCUMULATION = (1, 2, 4, 8, 16, 32, 64)
MICRO_BATCHES = 128


def peak_bytes(program: Program, k: int, micro_batches: int) -> int:
    """Return the most memory in use while one run trains, its data and state included."""
    hyperparameters = {
        "micro_batch_size": program.static.micro_batch_size,
        "accumulation_steps": k,
        "gradient_clip": 1.0,
    }
    population = Population(program, 1)
    examples = 2 * micro_batches * program.static.micro_batch_size
    length = Length(examples, report_every=examples)
    population.load(0, key=keys.key(0), hyperparameters={**hyperparameters, "dropout": 0.1}, length=length)
    population.advance(2 * k)  # traced and compiled before anything counts
    gc.collect()
    mx.clear_cache()
    mx.reset_peak_memory()
    population.advance(micro_batches)
    return mx.get_peak_memory()


def program_of(case: Case) -> Program:
    """Return the one program that all k share."""
    task = Benchmarked(case)
    static, _ = split({"micro_batch_size": case.micro_batch_size, "gradient_clip": 1.0}, task.static)
    return Program(task, static)


def main() -> int:
    options = measure.arguments(__doc__ or "", **{"micro-batches": MICRO_BATCHES})
    benchmark = measure.Benchmark(
        "Peak memory against accumulation, one micro-batch size a model",
        machine={"device": device.kind(), "chip": device.chip()},
    )
    for case in CASES:
        measure.say(f"{case.name} ...")
        program = program_of(case)
        peaks = {k: peak_bytes(program, k, options.micro_batches) for k in ACCUMULATION}
        benchmark.rows += [
            {"model": case.name, "accumulation": k, "peak_mb": peak / 1e6, "to_1": peak / peaks[1]}
            for k, peak in peaks.items()
        ]
        last = ACCUMULATION[-1]
        name = f"{case.name}: peak with {last} micro-batches to that with 1"
        benchmark.checks.append(measure.check(name, peaks[last] / peaks[1], bound=BOUND))
    return benchmark.finish(as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
