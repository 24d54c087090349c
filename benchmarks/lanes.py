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
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import mlx.core as mx

from benchmarks import measure, small_models
from train_core import Length, Population, Program, Task, best_width, device, keys, split

PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True)
class Case:
    """A model, its micro-batch; by kind of device a trial's micro-batches, how wide to go, and a bound.

    The bound is how many times the trials an hour of one at a time the best width reaches, in float32.
    """

    task: type[Task]
    batch: int
    steps: Mapping[str, int]
    widest: Mapping[str, int]
    bounds: Mapping[str, float]


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
    """Return the program of all trials of a case."""
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
    slowest_s: float = max(times.get(timeout=300) for _ in workers)
    for worker in workers:
        worker.join()
    return 3600 * count * rounds / slowest_s


@dataclass(frozen=True)
class Measured:
    """Trials an hour by width, the peak memory of each in bytes, and width 1 against itself."""

    per_hour: Mapping[int, float]
    peak_bytes: Mapping[int, int]
    itself: measure.Ratio

    @property
    def best(self) -> int:
        return max(self.per_hour, key=self.per_hour.__getitem__)


def measured(program: Program, case: Case, precision: str, steps: int, rounds: int) -> Measured:
    """Train trials at every width, the widths in turn."""
    runs: dict[str, Callable[[], object]] = {}
    peaks = {}
    widths = [2**n for n in range(case.widest[device.kind()].bit_length())]
    for width in widths:
        trials = Trials(program, case, precision, width, steps)
        trials.run()  # compiles
        peaks[width] = peak_bytes(trials.run)
        runs[str(width)] = trials.run
    runs["again"] = runs["1"]
    timings = measure.interleaved(runs, rounds=rounds, warm_up=0)
    per_hour = {width: 3600 * width / timings.median_s(str(width)) for width in widths}
    return Measured(per_hour, peaks, timings.ratio("again", "1"))


def rows(name: str, precision: str, found: Measured, auto: int) -> Iterator[measure.Row]:
    """Yield a row a width."""
    for width, per_hour in found.per_hour.items():
        marks = {"best": width == found.best, "auto": width == auto}
        yield {
            "model": name,
            "precision": precision,
            "lanes": width,
            "trials_per_hour": per_hour,
            "to_one_at_a_time": per_hour / found.per_hour[1],
            "peak_MB": found.peak_bytes[width] / 1e6,
            "choice": " ".join(mark for mark, holds in marks.items() if holds),
        }


def checks(name: str, precision: str, found: Measured, auto: int) -> Iterator[measure.Check]:
    """Yield what must hold: the gain in float32, and that `auto` loses little."""
    kind, bounds = device.kind(), CASES[name].bounds
    if kind in bounds and precision == "float32":
        yield measure.check(
            f"{name} {precision}: trials an hour, {found.best} lanes to one at a time",
            found.per_hour[found.best] / found.per_hour[1],
            bound=bounds[kind],
            side="at least",
            itself=found.itself,
        )
    against, bound = (found.best, 1.1) if kind == "gpu" else (1, 1 / 0.95)
    yield measure.check(
        f"{name} {precision}: a trial's time, auto ({auto} lanes) to {against}",
        found.per_hour[against] / found.per_hour[auto],
        bound=bound,
        itself=found.itself,
    )


def compare(benchmark: measure.Benchmark, name: str, precision: str, options: argparse.Namespace) -> None:
    """Add a model's rows and checks."""
    case, kind = CASES[name], device.kind()
    steps = max(1, case.steps[kind] // (4 if options.quick else 1))
    program = program_of(case, precision)
    measure.say(f"{name} {precision} ...")
    auto = best_width(
        program,
        settings(case, precision, 1),
        limit_bytes=0.8 * device.memory_bytes(),
        most=case.widest[kind],
    ).width
    found = measured(program, case, precision, steps, options.rounds)
    benchmark.enter(*rows(name, precision, found, auto))
    benchmark.checks += checks(name, precision, found, auto)
    if options.processes:
        shared = processes_per_hour(name, precision, steps, options.processes)
        benchmark.enter(
            {
                "model": name,
                "precision": precision,
                "lanes": f"{options.processes} processes",
                "trials_per_hour": shared,
                "to_one_at_a_time": shared / found.per_hour[1],
                "peak_MB": "",
                "choice": "",
            }
        )


def main() -> int:
    """Print the comparison; return 1 when a check does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--models", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=list(PRECISIONS))
    parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--quick", action="store_true", help="trials a quarter as long")
    parser.add_argument(
        "--processes", type=int, default=0, help="also share the device among so many processes"
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
