"""The driver under load: reports a second, idle slots, late verdicts, and the way back into a long study.

Real driver, run directory, journal and Ray actors; `benchmarks.toy` stands in for training and sleeps for as
long as an advance is to last.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from benchmarks import before, measure, ours
from benchmarks.measure import Benchmark
from benchmarks.toy import DESCRIPTION, METRIC, ToyWorker
from sweep.driver.driver import Driver
from sweep.driver.monitor.progress import Quiet
from sweep.rundir.rundir import RunDir
from sweep.search.study import Study
from sweep.spec.parse import parse
from sweep.spec.plans import longest, plan
from sweep.spec.schema import StudySpec
from sweep.vocabulary.trial import Outcome, Report, TrialState


class Quick(ToyWorker):
    """A tenth of a second from report to report."""

    advance_s = 0.1


class Slow(ToyWorker):
    """A second from report to report."""

    advance_s = 1.0


def reports_a_second(*, lanes: int, trials: int, reports: int) -> float:
    """Reports recorded durably, all lanes of a turn reporting at once."""
    with tempfile.TemporaryDirectory() as folder:
        result = ours.run(Path(folder), sampler="random", trials=trials, reports=reports, lanes=lanes)
    return trials * reports / result.seconds


def idle_percent(worker: type[ToyWorker], *, trials: int, reports: int, pruner: str = "none") -> float:
    """Worker time between turns, and time spent on what a verdict made useless, of all time; one lane."""
    with tempfile.TemporaryDirectory() as folder:
        result = ours.run(
            Path(folder),
            sampler="random",
            trials=trials,
            reports=reports,
            pruner=pruner,
            make_worker=worker,
        )
    ledgers = [outcome.ledger for outcome in result.session.told.values()]
    wasted, trained = (
        sum(float(ledger.get(name, 0)) for ledger in ledgers for name in names)
        for names in (("idle_s", "lost_s"), ("train_s",))
    )
    return 100 * wasted / (wasted + trained)


class Stopped(Exception):
    """Raised where the executor would start."""


class Unstarted:
    """An executor that goes no further than being started."""

    slots = ours.WORKERS

    def start(self) -> None:
        raise Stopped


def resume_s(*, trials: int, reports: int) -> float:
    """Seconds from opening a run directory to the moment Ray would be started, a few trials unfinished."""
    with tempfile.TemporaryDirectory() as folder:
        text = ours.study_text(sampler="random", trials=trials + 10, reports=reports)
        spec = parse(text, str(Path(folder, "study.yaml")))
        length = longest(spec, DESCRIPTION)
        with RunDir.open(Path(folder), spec.name) as run:
            _fill(run, spec, trials=trials, reports=reports)
        began = time.perf_counter()
        with RunDir.open(Path(folder), spec.name) as run:
            study = Study(spec, run.journal_path, length)
            driver = Driver(
                spec=spec,
                description=DESCRIPTION,
                run=run,
                study=study,
                executor=Unstarted(),  # type: ignore[arg-type]
                progress=Quiet(),
            )
            try:
                driver.run()
            except Stopped:
                return time.perf_counter() - began
            finally:
                study.storage.close()
    raise AssertionError("the executor was not started")


def _fill(run: RunDir, spec: StudySpec, *, trials: int, reports: int) -> None:
    """Record a study all of whose trials but the last four have ended."""
    study = Study(spec, run.journal_path, longest(spec, DESCRIPTION))
    run.record_opened(objectives=[(METRIC, "minimize")], choices={}, trials=trials)
    for proposal in study.ask(trials):
        number = proposal.number
        run.record_asked(plan(spec, DESCRIPTION, number, proposal.params), proposal.params)
        if number >= trials - 4:
            continue
        for step in range(1, reports + 1):
            metrics = {METRIC: 1.0 / step}
            run.record_reports([Report(number, 0, step, step, step, metrics, 0, 1, 0, "here", 0.0)])
            study.report(number, (step, (1.0 / step,)))
        outcome = Outcome(number, TrialState.COMPLETE, (1.0 / reports,), None, {"train_s": 1.0})
        run.record_outcome(outcome)
        study.tell(outcome)
    run.commit()
    study.storage.commit()
    study.storage.close()


class Figure(NamedTuple):
    """What is measured: by which function, of which worker where it takes one; the bound."""

    name: str
    function: Callable[..., float]
    worker: type[ToyWorker] | None
    arguments: Mapping[str, Any]
    bound: float

    def measure(self, tree: Path | None = None) -> float:
        """In this process, or by a tree's files in one of its own."""
        if tree is None:
            return self.function(*([self.worker] if self.worker else []), **self.arguments)
        first = f"load.{self.worker.__name__}, " if self.worker else ""
        return before.measured(tree, f"load.{self.function.__name__}({first}**{self.arguments!r})")


FIGURES = (
    Figure(
        "reports a second, 64 lanes",
        reports_a_second,
        None,
        {"lanes": 32, "trials": 640, "reports": 80},
        5_000.0,
    ),
    Figure(
        "reports a second, 1,024 lanes",
        reports_a_second,
        None,
        {"lanes": 512, "trials": 2_048, "reports": 80},
        20_000.0,
    ),
    Figure("idle %, reports 100 ms apart", idle_percent, Quick, {"trials": 20, "reports": 20}, 1.0),
    Figure("idle %, reports 1 s apart", idle_percent, Slow, {"trials": 8, "reports": 5}, 0.1),
    Figure(
        "lost and waiting %, successive halving, reports 100 ms apart",
        idle_percent,
        Quick,
        {"trials": 60, "reports": 20, "pruner": "successive_halving"},
        3.0,
    ),
    Figure("resume of 10,000 trials, s", resume_s, None, {"trials": 10_000, "reports": 1}, 3.0),
    Figure(
        "resume of 10,000 trials with 20 reports, s", resume_s, None, {"trials": 10_000, "reports": 20}, 3.0
    ),
)


def main() -> int:
    """Measure all in turn, round by round, and judge the medians."""
    arguments = measure.arguments((__doc__ or "").splitlines()[0], before=True, rounds=1)
    benchmark = Benchmark("The driver under load", packages=("ray", "optuna"))
    found: dict[str, list[float]] = {}
    with before.tree(arguments.before) as earlier:
        for number in range(arguments.rounds):
            for figure in FIGURES:
                measure.say(f"round {number + 1}: {figure.name}")
                here = None if earlier is None else before.ROOT
                found.setdefault(figure.name, []).append(figure.measure(here))
                if earlier is not None:
                    found.setdefault(figure.name + before.SUFFIX, []).append(figure.measure(earlier))
    for figure in FIGURES:
        value = statistics.median(found[figure.name])
        row = {"what": figure.name, "value": value, "bound": figure.bound}
        if arguments.before:
            row["before"] = statistics.median(found[figure.name + before.SUFFIX])
        benchmark.enter(row)
        more_is_better = figure.bound > 100
        side: Literal["at least", "at most"] = "at least" if more_is_better else "at most"
        benchmark.checks.append(measure.check(figure.name, value, bound=figure.bound, side=side))
    return benchmark.finish(as_json=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
