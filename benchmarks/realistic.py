"""Trials an hour at sizes that people sweep, by number of lanes, beside loops written by hand.

A trial is 2,000 updates and 8 evaluations, put together from a shorter one's times. `loop` is one run in the
idiom of MLX's documentation, `torch` one in PyTorch under `torch.compile(mode="reduce-overhead")`: what one
trial after another makes of the same device. `auto` is the width that `lanes: auto` takes. Rows are
printed as they come.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mlx.core as mx

from benchmarks import measure, realistic_loops, realistic_torch
from benchmarks.realistic_models import CASES, TINY
from train_core import Length, Population, Program, best_width, device, keys, split

WIDTHS = (1, 2, 4, 8, 16, 32)
UPDATES, EVALUATIONS = 2000, 8
MEMORY = 0.8

# By case: trials an hour at the best width, to PyTorch one after another; both on a GPU.
TO_TORCH = {"gpt-10m": 2.0, "gpt-30m": 1.3}
AUTO = 0.9


def hyperparameters(task: Any, precision: str, lane: int) -> dict[str, object]:
    """Return what a lane trains with: rates differ from lane to lane."""
    return {
        "micro_batch_size": task.batch,
        "precision": precision,
        "learning_rate": 3e-4 * (1 + lane % 8) / 4,
        "weight_decay": 0.1,
        "gradient_clip": 1.0,
    }


@dataclass(frozen=True)
class Times:
    """Seconds of one trial of all lanes: loading, a step, an evaluation, all of it the first time."""

    load_s: float
    step_s: float
    evaluate_s: float
    host_s: float
    first_s: float

    def trials_per_hour(self, width: int) -> float:
        return 3600 * width / (UPDATES * self.step_s + EVALUATIONS * self.evaluate_s + self.load_s)


def product_flops_per_s() -> float:
    """Return how fast this device multiplies large matrices in bfloat16."""
    size = 4096 if device.kind() == "gpu" else 256
    a, b = (mx.random.normal((size, size)).astype(mx.bfloat16) for _ in range(2))
    mx.eval(a, b)
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        c = a
        for _ in range(10):
            c = c @ b
        mx.eval(c)
        best = min(best, (time.perf_counter() - started) / 10)
    return float(2 * size**3 / best)


class Lanes:
    """Trials of one case in so many lanes."""

    def __init__(self, program: Program, width: int, steps: int) -> None:
        task: Any = program.task
        self.task = task
        self.width, self.steps = width, steps
        self.precision = program.static.precision
        examples = task.batch * steps
        self.length = Length(examples, report_every=examples)
        self.population = Population(program, width)

    def trial(self) -> Times:
        """Load, train and evaluate every lane once."""
        started = time.perf_counter()
        for lane in range(self.width):
            self.population.load(
                lane,
                key=keys.fold_in(keys.key(0), lane),
                hyperparameters=hyperparameters(self.task, self.precision, lane),
                length=self.length,
            )
        self.population.snapshot(0)  # until here everything is on its way only
        loaded, host = time.perf_counter(), time.thread_time()
        done = self.population.advance()
        host = time.thread_time() - host
        for lane in range(self.width):
            self.population.unload(lane)
        return Times(
            load_s=loaded - started,
            step_s=done.train_s / self.steps,
            evaluate_s=done.evaluate_s,
            host_s=host / self.steps,
            first_s=time.perf_counter() - started,
        )

    def timed(self, rounds: int) -> tuple[Times, float]:
        """Return medians of some trials, and how long the first of all took."""
        first = self.trial().first_s
        mx.reset_peak_memory()
        found = [self.trial() for _ in range(rounds)]
        names = ("load_s", "step_s", "evaluate_s", "host_s", "first_s")
        medians = {name: statistics.median(getattr(each, name) for each in found) for name in names}
        return Times(**medians), first

    def training(self, steps: int) -> Callable[[], None]:
        """Return a stretch of steps far from any report, for a profile."""
        examples = self.length.examples * 10**5
        length = Length(examples, report_every=examples)
        for lane in range(self.width):
            hp = hyperparameters(self.task, self.precision, lane)
            self.population.load(lane, key=keys.fold_in(keys.key(0), lane), hyperparameters=hp, length=length)
        self.population.advance(steps)

        def run() -> None:
            self.population.advance(steps)

        return run


class Report:
    """Rows as they come: on stderr, in a file where one is wanted, and in the benchmark's table."""

    def __init__(self, benchmark: measure.Benchmark, path: str | None) -> None:
        self.benchmark, self.path = benchmark, path
        self.rows: list[dict[str, object]] = []

    def row(self, **values: object) -> None:
        rounded = {n: float(f"{v:.4g}") if isinstance(v, float) else v for n, v in values.items()}
        measure.say(json.dumps(rounded))
        if self.path:
            with open(self.path, "a") as file:
                file.write(json.dumps(rounded) + "\n")
        self.rows.append(rounded)

    def finish(self, *, as_json: bool) -> int:
        """Print everything; return the exit code."""
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        self.benchmark.rows = [{name: row.get(name, "") for name in names} for row in self.rows]
        return self.benchmark.finish(as_json=as_json)


def measure_case(
    name: str, task_class: Any, options: argparse.Namespace, report: Report, peak: float
) -> None:
    """Measure one case: its widths, `auto`, the loops."""
    began = time.perf_counter()
    task = task_class()
    program = Program(task, split(hyperparameters(task, options.precision, 0), task.static)[0])
    hours: dict[int, float] = {}
    for width in options.widths:
        if time.perf_counter() - began > options.seconds:
            report.row(case=name, lanes=width, note="not run: out of time")
            break
        mx.clear_cache()
        lanes = Lanes(program, width, options.steps)
        try:
            times, first_s = lanes.timed(options.rounds)
        except RuntimeError as error:
            report.row(case=name, lanes=width, note=f"{type(error).__name__}: {str(error)[:200]}")
            break
        hours[width] = times.trials_per_hour(width)
        flops = task_class.flops() * width / times.step_s
        report.row(
            case=name,
            lanes=width,
            trials_per_hour=hours[width],
            to_one=hours[width] / hours[options.widths[0]],
            step_ms=1e3 * times.step_s,
            host_ms=1e3 * times.host_s,
            evaluate_ms=1e3 * times.evaluate_s,
            first_trial_s=first_s,
            peak_gb=mx.get_peak_memory() / 1e9,
            cache_gb=mx.get_cache_memory() / 1e9,
            mfu=flops / peak,
        )
        if width in options.kernels:
            found = realistic_loops.kernels(lanes.training(8), 8, top=options.top)
            report.row(case=name, lanes=width, **found)
        del lanes
    beside(name, task, hours, options, report)
    if options.auto:
        choose(name, program, hours, report)


def beside(
    name: str, task: Any, hours: dict[int, float], options: argparse.Namespace, report: Report
) -> None:
    """Measure the loops written by hand."""
    best = max(hours.values(), default=0.0)
    if options.loop:
        mx.clear_cache()
        run = realistic_loops.by_hand(task, hyperparameters(task, options.precision, 0))
        step_s = realistic_loops.seconds(run, options.steps, options.rounds)
        report.row(case=name, loop_step_ms=1e3 * step_s, loop_trials_per_hour=3600 / (UPDATES * step_s))
    if options.torch:
        torch_s = realistic_torch.torch_seconds(name, type(task), options.steps, options.rounds)
        if torch_s is None:
            report.row(case=name, note="PyTorch with CUDA is not there")
            return
        hour = 3600 / (UPDATES * torch_s)
        report.row(case=name, torch_step_ms=1e3 * torch_s, torch_trials_per_hour=hour)
        if name in TO_TORCH and best:
            what = f"{name}: trials an hour in lanes, to one after another in PyTorch"
            report.benchmark.checks.append(
                measure.check(what, best / hour, bound=TO_TORCH[name], side="at least")
            )


def choose(name: str, program: Program, hours: dict[int, float], report: Report) -> None:
    """Let `best_width` choose and compare its choice with the best by hand."""
    mx.clear_cache()
    started = time.perf_counter()
    hp = hyperparameters(program.task, program.static.precision, 1)
    choice = best_width(program, hp, limit_bytes=MEMORY * device.memory_bytes(), most=max(hours, default=1))
    report.row(
        case=name, auto=choice.width, stopped=choice.stopped, measuring_s=time.perf_counter() - started
    )
    if choice.width in hours:
        share = hours[choice.width] / max(hours.values())
        what = f"{name}: trials an hour at the width of auto, to the best by hand"
        report.benchmark.checks.append(measure.check(what, share, bound=AUTO, side="at least"))


def arguments() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--cases", nargs="+", choices=[*CASES, *TINY], default=list(CASES))
    parser.add_argument("--widths", nargs="+", type=int, default=list(WIDTHS))
    parser.add_argument("--precision", default="bfloat16")
    parser.add_argument("--steps", type=int, default=40, help="of a measured trial; default: %(default)s")
    parser.add_argument("--rounds", type=int, default=2, help="default: %(default)s")
    parser.add_argument("--seconds", type=float, default=300.0, help="a case; default: %(default)s")
    parser.add_argument("--loop", action="store_true", help="also a loop written by hand with MLX")
    parser.add_argument("--torch", action="store_true", help="also one with PyTorch, compiled")
    parser.add_argument("--auto", action="store_true", help="also what lanes: auto takes")
    parser.add_argument(
        "--kernels", nargs="*", type=int, default=[], help="widths to profile (needs PyTorch)"
    )
    parser.add_argument("--top", type=int, default=0, help="and so many of the longest kernels")
    parser.add_argument("--rows", help="a file that every row is added to as it comes")
    return parser.parse_args()


def main() -> int:
    """Measure every case; return the exit code."""
    options = arguments()
    benchmark = measure.Benchmark(
        f"Trials of {UPDATES} updates, medians of {options.rounds} rounds",
        machine={"device": device.kind(), "chip": device.chip()},
    )
    report = Report(benchmark, options.rows)
    peak = product_flops_per_s()
    report.row(chip=device.chip(), products_tflops=peak / 1e12)
    for name in options.cases:
        measure_case(name, {**CASES, **TINY}[name], options, report, peak)
    return report.finish(as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
