"""Population based training: what copies cost, what it finds beside constants, and Ray Tune's beside it.

cost      studies of 32 members in one worker: the share of their time for copies and changes, for
          decisions and their records, and how often anything is traced after the first interval
schedule  `examples/pbt`, where no constant rate is good from beginning to end: the best of the population,
          and the best of as many random constants trained for as many examples, seed by seed
tune      Ray Tune's PopulationBasedTraining with the same task, members, intervals and hyperparameters; both
          are timed from when all members have reported once

Ray Tune needs the extra `bench`; without it that part is left out.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import analysis
from benchmarks import measure, population_tune
from configfile import yamlfile
from sweep.api.run import run_study
from sweep.driver.members import Members
from sweep.driver.monitor.progress import Quiet
from sweep.spec.parse import load, parse
from sweep.spec.population.settings import micro_batch_size, population_of
from sweep.spec.resolve import resolved, with_fixed
from sweep.spec.schema import FloatRange, StudySpec
from train_core import Advance, Population

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
PBT, DIGITS = EXAMPLES / "pbt" / "study.yaml", EXAMPLES / "digits" / "study.yaml"
METRIC = "validation_loss"
TRAIN_EXAMPLES = 2048
"""Of `examples/pbt`: an epoch is an interval."""

ON_DIGITS: Mapping[str, Any] = {
    "space": {
        "learning_rate": {"low": 1.0e-3, "high": 1.0e-1, "log": True},
        "dropout": {"low": 0.0, "high": 0.5},
    },
    "fixed": {"optimizer": "adamw", "precision": "float32", "hidden": 64},
    "trial": {"micro_batch_size": 32, "length": {"examples": 28800}, "report_every": {"examples": 1440}},
}
"""Whole micro-batches: a cut one, at the end of any trial, is a program of its own."""


def study(path: Path, **changes: Any) -> StudySpec:
    """An example's study with other keys, for one worker in this process."""
    values = {**resolved(load(path)), "executor": "inline", "checkpoints": {"keep_best": 0}, **changes}
    return parse(yamlfile.dump(values), str(path))


@dataclass
class Meter:
    """Seconds spent in parts of a study, and the traces of each advance after the first reports."""

    seconds: dict[str, float] = field(default_factory=dict)
    traces: list[int] = field(default_factory=list)
    copies: int = 0
    _reported: bool = False
    _inside: bool = False

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Count in this process until the block ends."""
        kept = {(cls, name): getattr(cls, name) for cls, name in _PARTS}
        advance = Population.advance
        for (cls, name), part in _PARTS.items():
            setattr(cls, name, self._timed(part, kept[cls, name]))
        Population.advance = self._traced(advance)  # type: ignore[method-assign]
        try:
            yield
        finally:
            for (cls, name), function in kept.items():
                setattr(cls, name, function)
            Population.advance = advance  # type: ignore[method-assign]

    def _timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **named: Any) -> Any:
            if self._inside or not self._reported:  # before the first reports runs are loaded, as ever
                return function(*arguments, **named)
            self._inside, began = True, time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                self._inside = False
                self.seconds[part] = self.seconds.get(part, 0.0) + time.perf_counter() - began
                self.copies += len(arguments[1]) if part == "copies" else 0

        return timed

    def _traced(self, function: Callable[..., Advance]) -> Callable[..., Advance]:
        def traced(*arguments: Any, **named: Any) -> Advance:
            found = function(*arguments, **named)
            if self._reported:
                self.traces.append(found.traces)
            self._reported = self._reported or bool(found.reports)
            return found

        return traced


_PARTS: Mapping[tuple[type, str], str] = {
    (Population, "copy"): "copies",
    (Population, "change"): "changes",
    (Population, "_settle"): "changes",
    (Members, "decide"): "decisions",
}
"""What is timed; arrays that copies and changes leave to be computed are computed in `_settle`."""


def _run(spec: StudySpec, folder: Path) -> tuple[Path, float]:
    """Run a study; its run directory, and its best value."""
    summary = run_study(spec, runs=folder, progress=Quiet())
    assert summary.best is not None, "a study of as many trials has a best one"
    return folder / spec.name, summary.best.value


def times(run_dir: Path) -> list[tuple[int, float]]:
    """The members of a run and when they reported, in seconds."""
    rows = analysis.load(run_dir).metrics
    return list(zip(rows.trial, (each.timestamp() for each in rows.time), strict=True))


def reports_per_s(reports: list[tuple[int, float]]) -> float:
    """How many reports came in a second, from when all members had reported once."""
    first: dict[int, float] = {}
    for member, at in sorted(reports, key=lambda each: each[1]):
        first.setdefault(member, at)
    began = max(first.values())
    later = [at for _, at in reports if at > began]
    return len(later) / (max(later) - began)


def costs(benchmark: measure.Benchmark, folder: Path) -> None:
    """What copies, changes and decisions take of a study's time."""
    for name, path, interval, changes in (
        ("digits, 45 micro-batches an interval", DIGITS, {"interval": {"examples": 1440}}, ON_DIGITS),
        ("regression, 128 micro-batches an interval", PBT, {}, {}),
    ):
        sampler = {"name": "pbt", "population": 32, **interval}
        spec = study(path, name="cost", sampler=sampler, lanes=32, budget={"trials": 32}, **changes)
        meter = Meter()
        with meter.watching():
            run_dir, _ = _run(spec, folder / path.parent.name)
        at = [each for _, each in times(run_dir)]
        whole_s = max(at) - min(at)
        device = (meter.seconds["copies"] + meter.seconds["changes"]) / whole_s
        benchmark.enter(
            {
                "part": "cost",
                "case": name,
                "copies": meter.copies,
                "copies and changes": device,
                "decisions": meter.seconds["decisions"] / whole_s,
                "traces": sum(meter.traces),
            }
        )
        if path is DIGITS:
            what = f"{name}: share of the time for copies and changes"
            benchmark.checks.append(measure.check(what, device, bound=0.02))
        what = f"{name}: traces after the first interval"
        benchmark.checks.append(measure.check(what, sum(meter.traces), bound=0))


def schedules(benchmark: measure.Benchmark, folder: Path, *, seeds: int) -> None:
    """The best of a population beside the best of as many constants, by seed."""
    better = 0
    for seed in range(seeds):
        found, examples = {}, {}
        for sampler in ("pbt", "random"):
            changes = {} if sampler == "pbt" else {"sampler": {"name": "random"}}
            spec = study(PBT, name=f"{sampler}-{seed}", seed=seed, **changes)
            run_dir, found[sampler] = _run(spec, folder)
            examples[sampler] = int(analysis.load(run_dir).trials.ledger_examples.sum())
        better += found["pbt"] < found["random"]
        benchmark.enter({"part": "schedule", "seed": seed, **found, "examples": examples["pbt"]})
        assert examples["pbt"] == examples["random"], examples
    what = f"seeds of {seeds} in which the population finds a better model than the best constant"
    benchmark.checks.append(measure.check(what, better, bound=0.9 * seeds, side="at least"))


def beside_tune(benchmark: measure.Benchmark, folder: Path, *, rounds: int) -> None:
    """The same population by Ray Tune: steps a second, and the best value in the end."""
    ratios: list[float] = []
    values: dict[str, list[float]] = {"ours": [], "tune": []}
    for seed in range(rounds):
        spec = study(PBT, name=f"beside-{seed}", seed=seed)
        run_dir, best = _run(spec, folder)
        theirs = population_tune.run(_settings(spec), seed=seed)
        steps = TRAIN_EXAMPLES // micro_batch_size(spec)
        ours_rate, their_rate = (steps * reports_per_s(each) for each in (times(run_dir), theirs.reports))
        ratios.append(ours_rate / their_rate)
        values["ours"].append(best)
        values["tune"].append(theirs.best)
        benchmark.enter(
            {
                "part": "tune",
                "seed": seed,
                "ours, steps a second": ours_rate,
                "tune, steps a second": their_rate,
                "ours": best,
                "tune": theirs.best,
            }
        )
    what = "steps a second, to Ray Tune's"
    benchmark.checks.append(measure.check(what, median(ratios), bound=10.0, side="at least"))
    share = median(values["ours"]) / median(values["tune"])
    benchmark.checks.append(measure.check("final loss, to Ray Tune's", share, bound=1.0))


def _settings(spec: StudySpec) -> population_tune.Settings:
    """What of the study Ray Tune is told."""
    population, entry, length = population_of(spec), spec.space["learning_rate"], spec.trial.length
    assert population is not None, "the study has a population"
    assert isinstance(entry, FloatRange), "the study searches a rate"
    assert length is not None, "the study is as long as its file says"
    return population_tune.Settings(
        folder=str(PBT.parent),
        target=spec.target,
        fixed=with_fixed(spec, {}),
        metric=METRIC,
        rate=(entry.low, entry.high),
        members=spec.budget.trials or 0,
        intervals=round(length.epochs or 0),
        examples=TRAIN_EXAMPLES,
        quantile=population.quantile,
        perturb=population.perturb,
        resample=population.resample,
    )


def main() -> int:
    """Measure, print, judge."""
    told = measure.arguments((__doc__ or "").splitlines()[0], seeds=10, rounds=3)
    result = measure.Benchmark("Population based training", packages=("mlx", "numpy", "optuna", "ray"))
    with tempfile.TemporaryDirectory() as folder:
        costs(result, Path(folder))
        schedules(result, Path(folder), seeds=told.seeds)
        if population_tune.is_there():
            beside_tune(result, Path(folder), rounds=told.rounds)
        else:
            measure.say("Ray Tune is left out: it needs the extra `bench`")
    return result.finish(as_json=told.json)


if __name__ == "__main__":
    sys.exit(main())
