"""Trials an hour against the number of lanes, beside the same trials one after another.

A trial is loaded, trained for a fixed number of micro-batches, evaluated once, and unloaded; a width's
lanes do that together. Programs are compiled before anything is timed. `auto` is the width that
`train_core.best_width` chooses; `processes` is as many processes as there are, each with one trial at a
time, sharing the device.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import mlx.core as mx

from benchmarks import measure, small_models
from train_core import Length, Population, Program, Task, best_width, device, keys, split

PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True)
class Case:
    """A model, its micro-batch, how long a trial is and how wide to go, on a GPU and on a CPU."""

    task: type[Task]
    batch: int
    steps: Mapping[str, int]
    widest: Mapping[str, int]
    bounds: Mapping[str, float]
    """How many times the trials an hour of one at a time the best width must reach, in float32."""


CASES = {
    "digits": Case(small_models.Digits, 32, {"gpu": 450, "cpu": 180}, {"gpu": 1024, "cpu": 32}, {"cpu": 1.4}),
    "mlp": Case(small_models.MLP, 64, {"gpu": 450, "cpu": 90}, {"gpu": 1024, "cpu": 32}, {"gpu": 200.0}),
    "transformer": Case(
        small_models.Transformer, 64, {"gpu": 200, "cpu": 3}, {"gpu": 128, "cpu": 2}, {"gpu": 16.0}
    ),
    "cnn": Case(small_models.CNN, 64, {"gpu": 200, "cpu": 6}, {"gpu": 512, "cpu": 4}, {"gpu": 8.0}),
}


def settings(case: Case, precision: str, trial: int) -> dict[str, object]:
    """Return a trial's hyperparameters: dynamic ones differ from trial to trial."""
    return {
        "learning_rate": 1e-3 * (1 + trial % 10),
        "weight_decay": 1e-3 * (trial % 4),
        "dropout": 0.1 * (trial % 4),
        "accumulation_steps": 1,
        "micro_batch_size": case.batch,
        "precision": precision,
    }


def program_of(case: Case, precision: str) -> Program:
    task = case.task()
    return Program(task, split(settings(case, precision, 0), task.static)[0])


class Trials:
    """Rounds of `width` trials each, over one population."""

    def __init__(self, program: Program, case: Case, precision: str, width: int, steps: int) -> None:
        self.case, self.precision, self.width = case, precision, width
        self.length = Length(case.batch * steps, case.batch * steps)
        self.population = Population(program, width)
        self._trial = 0

    def run(self) -> None:
        """Train one trial in every lane, from load to report."""
        for lane in range(self.width):
            self._trial += 1
            key = keys.fold_in(keys.key(0), self._trial)
            hyperparameters = settings(self.case, self.precision, self._trial)
            self.population.load(lane, key=key, hyperparameters=hyperparameters, length=self.length)
        reports = self.population.advance().reports
        assert len(reports) == self.width
        for lane in range(self.width):
            self.population.unload(lane)


def peak_bytes(run: Callable[[], object]) -> int:
    """Return how much memory a run takes beyond what is held."""
    mx.clear_cache()
    mx.reset_peak_memory()
    held = mx.get_active_memory()
    run()
    return mx.get_peak_memory() - held


def _share(name: str, precision: str, steps: int, rounds: int, barrier: Any, times: Any) -> None:
    """One of several processes: warm up, wait for the others, train trials one after another."""
    case = CASES[name]
    trials = Trials(program_of(case, precision), case, precision, 1, steps)
    trials.run()
    barrier.wait()
    started = time.perf_counter()
    for _ in range(rounds):
        trials.run()
    times.put(time.perf_counter() - started)


def processes_per_hour(name: str, precision: str, steps: int, count: int, rounds: int = 3) -> float:
    """Return the trials an hour of `count` processes that share the device."""
    spawn = multiprocessing.get_context("spawn")
    barrier, times = spawn.Barrier(count), spawn.Queue()
    arguments = (name, precision, steps, rounds, barrier, times)
    workers = [spawn.Process(target=_share, args=arguments) for _ in range(count)]
    for worker in workers:
        worker.start()
    slowest_s = max(times.get(timeout=300) for _ in workers)
    for worker in workers:
        worker.join()
    return 3600 * count * rounds / slowest_s


def compare(benchmark: measure.Benchmark, name: str, precision: str, options: argparse.Namespace) -> None:
    """Add a model's rows and checks."""
    case, kind = CASES[name], device.kind()
    steps = max(1, case.steps[kind] // (4 if options.quick else 1))
    program = program_of(case, precision)
    widths = [2**n for n in range(case.widest[kind].bit_length())]
    measure.say(f"{name} {precision}: auto ...")
    choice = best_width(
        program,
        settings(case, precision, 1),
        limit_bytes=0.8 * device.memory_bytes(),
        most=case.widest[kind],
    )
    runs: dict[str, Callable[[], object]] = {}
    peaks = {}
    for width in widths:
        trials = Trials(program, case, precision, width, steps)
        trials.run()  # compiles
        peaks[width] = peak_bytes(trials.run)
        runs[str(width)] = trials.run
    runs["again"] = runs["1"]
    measure.say(f"{name} {precision}: {options.rounds} rounds ...")
    timings = measure.interleaved(runs, rounds=options.rounds, warm_up=0)
    per_hour = {width: 3600 * width / timings.median_s(str(width)) for width in widths}
    best = max(widths, key=per_hour.__getitem__)
    for width in widths:
        benchmark.rows.append(
            {
                "model": name,
                "precision": precision,
                "lanes": width,
                "trials_per_hour": per_hour[width],
                "to_one_at_a_time": per_hour[width] / per_hour[1],
                "peak_MB": peaks[width] / 1e6,
                "choice": ("best " if width == best else "") + ("auto" if width == choice.width else ""),
            }
        )
    if options.processes:
        measure.say(f"{name} {precision}: {options.processes} processes ...")
        shared = processes_per_hour(name, precision, steps, options.processes)
        benchmark.rows.append(
            {
                "model": name,
                "precision": precision,
                "lanes": f"{options.processes} processes",
                "trials_per_hour": shared,
                "to_one_at_a_time": shared / per_hour[1],
                "peak_MB": float("nan"),
                "choice": "",
            }
        )
    itself = timings.ratio("again", "1")
    label = f"{name} {precision}"
    if kind in case.bounds and precision == "float32":
        gain = per_hour[best] / per_hour[1]
        benchmark.checks.append(
            measure.check(
                f"{label}: trials an hour, {best} lanes to one at a time",
                gain,
                bound=case.bounds[kind],
                side="at least",
                itself=itself,
            )
        )
    time_of = partial(_time_of, per_hour)
    against, bound = (best, 1.1) if kind == "gpu" else (1, 1 / 0.95)
    benchmark.checks.append(
        measure.check(
            f"{label}: a trial's time, auto ({choice.width} lanes) to {against}",
            time_of(choice.width) / time_of(against),
            bound=bound,
            itself=itself,
        )
    )


def _time_of(per_hour: Mapping[int, float], width: int) -> float:
    return 3600 / per_hour[width]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--models", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=list(PRECISIONS))
    parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--quick", action="store_true", help="trials a quarter as long")
    parser.add_argument(
        "--processes", type=int, default=0, help="also share the device among so many processes (float32)"
    )
    options = parser.parse_args()
    benchmark = measure.Benchmark(
        f"Lanes, medians of {options.rounds} interleaved rounds",
        machine={"device": device.kind(), "chip": device.chip()},
    )
    for name in options.models:
        for precision in options.precisions:
            compare(benchmark, name, precision, options)
    return benchmark.finish(as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
