"""Ask and tell: a program takes trials one by one, trains them itself, and tells how they ended.

study = sweep.Study(name="mine", space={...}, objective="loss", direction="minimize", budget=20)
while trial := study.ask():
    study.tell(trial, train(**trial.params))
"""

from __future__ import annotations

import atexit
import socket
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any, Self, Unpack, cast

from sweep.api.python.given import StudyKeys, given_study
from sweep.api.python.summary import BestTrial, Summary, summary_of
from sweep.driver.build import check_choices
from sweep.driver.monitor.progress import Quiet
from sweep.driver.session import driving, open_run, record_session
from sweep.errors import SweepError
from sweep.executors.asked import AskedExecutor
from sweep.spec.schema import StudySpec
from sweep.spec.task_description import Description
from sweep.vocabulary.trial import UNBOUNDED, Report, RunId, Scalar, TrialState
from sweep.vocabulary.turn import Load
from sweep.worker.single.function_report import ReportError, reported

if TYPE_CHECKING:
    import pandas as pd

    from analysis.run import Run
    from sweep.driver.driver import Driver

TASK = "python:ask"
"""What stands as the task in the study file of such a run."""

EXECUTOR = "sweep.executors.asked:AskedFactory"

FAILURES = {"retry": 0, "stop_after": None}
"""A program that says that a trial failed means it."""

UNKNOWN = Description(
    static=(),
    switches=(),
    dynamic=(),
    metrics=(),
    train_examples=0,
    validation_examples=0,
    device="cpu",
    chip="",
    memory_bytes=0,
    vmap_incompatibility="a program trains one trial at a time",
)
"""What is known of a task that nothing but the program knows."""


class Trial:
    """One trial that a program holds.

    `params` are its hyperparameters, fixed ones too; `examples` is where it last reported, over all programs
    that held it.
    """

    def __init__(self, study: Study, load: Load, examples: int) -> None:
        """Use `Study.ask`."""
        self.number: int = load.plan.number
        self.params: Mapping[str, Scalar] = dict(load.plan.hyperparameters)
        self.examples = examples
        self.load = load
        self.last: Mapping[str, float] = {}
        self.is_told = False
        self._study = study

    @cached_property
    def seed(self) -> int:
        """A seed of the trial's own below 2^32, the same whenever it is held."""
        from sweep.worker.content import run_key

        high, low = cast(list[int], run_key(self.load.plan, self.load.replicate).tolist())
        return high ^ low

    def report(self, examples: int, **metrics: float) -> None:
        """Report metrics after so many examples; nothing more happens once the trial has ended."""
        self._study.report(self, examples, metrics)

    def should_prune(self) -> bool:
        """Whether the pruner, or a time-out, has ended the trial: further reports are not heard."""
        return self._study.ended(self) is not None

    def __repr__(self) -> str:
        return f"Trial({self.number}, {dict(self.params)})"


class Study:
    """A study whose trials this program trains: the same run directory, resumed by the same call.

    A trial that was asked for and not told is given out again by a later session. Threads may share a study.
    Close it at the end, or use it as a context: the tables are written then.
    """

    def __init__(
        self, *, runs: str | Path = "runs", trials: int | None = None, **keys: Unpack[StudyKeys]
    ) -> None:
        """Open the run directory; `keys` are the study file's, without `task`. Raises SweepError."""
        values: StudyKeys = {"failures": FAILURES, **keys, "executor": EXECUTOR}
        runs = Path(runs).resolve()  # a program may change its folder while it holds the study
        spec = given_study(None, TASK, values, runs=runs, trials=trials).spec
        _check_one_at_a_time(spec, keys)
        check_choices(spec, sources=False)
        self.name = spec.name
        self.run_dir = runs / spec.name
        self._spec = spec
        self._began = time.monotonic()
        self._executor = AskedExecutor()
        self._lock = RLock()
        self._closed = False
        self._session = ExitStack()
        self._run = open_run(spec, runs, accept_changed_task=True)
        try:
            self._driver = self._begin(spec)
        except BaseException:
            self._session.close()
            self._run.release()
            raise
        atexit.register(self._close_at_exit)

    def ask(self) -> Trial | None:
        """The next trial; None once the budget is used, or while others hold what is left of it."""
        with self._lock:
            self._check_open()
            held = {load.run for load in self._executor.loads()}
            self._executor.seat()
            self._driver.step()
            if not self._fresh(held):
                self._driver.limit_live(self._driver.live + 1)
                self._driver.step()
                self._driver.limit_live(0)
            return next((Trial(self, load, self._seen(load)) for load in self._fresh(held)), None)

    def tell(
        self, trial: Trial, value: float | Mapping[str, float] | None = None, *, failed: str | None = None
    ) -> str:
        """End a trial with its objective's value; how it ended: COMPLETE, PRUNED or FAIL.

        Several objectives are a mapping by metric. Without a value the last report counts; `failed` says why
        there is none. A trial that was pruned stays so. Raises SweepError for a value that is no number.
        """
        with self._lock:
            self._check_open()
            self._check_own(trial)
            if trial.is_told:
                raise SweepError(f"trial {trial.number} was told before. Ask for another one")
            if self.ended(trial) is None:
                report = self._last_report(trial, value) if value is not None and failed is None else None
                if failed is None:
                    self._check_complete(trial, report)
                self._answer(trial, report, ends=True, failure=failed)
            trial.is_told = True
            return str((self.ended(trial) or TrialState.FAIL).value)

    def report(self, trial: Trial, examples: int, metrics: Mapping[str, float]) -> None:
        """What `Trial.report` does."""
        with self._lock:
            self._check_open()
            self._check_own(trial)
            if self.ended(trial) is None:
                self._answer(trial, _read({"examples": examples, **metrics}, trial))

    def ended(self, trial: Trial) -> TrialState | None:
        """How a trial has ended; None while it has not."""
        outcome = self._driver.told.get(trial.number)
        return outcome.state if outcome is not None else None

    def close(self) -> None:
        """End the session in order; trials that are held stay RUNNING, for a later session."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            atexit.unregister(self._close_at_exit)
            try:
                with self._session:
                    is_finished = self._driver.done
                    if not is_finished:
                        self._driver.interrupt()
                        self._executor.let_go()
                    while not self._driver.done:
                        self._driver.step()
                reason = "finished" if is_finished else "interrupted"
                self._run.close(reason, ledger=self._driver.result().ledger)
            finally:
                self._run.release()

    @property
    def tables(self) -> Run:
        """The run's tables and what follows from them, as `sweep.load` gives them."""
        from analysis.load import load

        return load(self.run_dir)

    @property
    def trials(self) -> pd.DataFrame:
        """One row per trial, as things stand."""
        return self.tables.trials

    @property
    def metrics(self) -> pd.DataFrame:
        """One row per report, as things stand."""
        return self.tables.metrics

    @property
    def summary(self) -> Summary:
        """How the study stands."""
        with self._lock:
            found = self._driver.result()
            reason = "finished" if self._driver.done and not found.interrupted else "interrupted"
            reason = reason if self._closed else "running"
            return summary_of(
                self._spec, self.run_dir, found.told, found.params, found.running, self._began, reason
            )

    @property
    def best(self) -> BestTrial | None:
        """The best trial so far; None before one has ended well."""
        return self.summary.best

    def _repr_html_(self) -> str:
        """What a notebook shows: how it stands, the best trials, the objective by trial."""
        return self.summary._repr_html_()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _close_at_exit(self) -> None:
        try:
            self.close()
        except SweepError as error:
            print(error, file=sys.stderr)

    def _begin(self, spec: StudySpec) -> Driver:
        record_session(spec, self._run, UNKNOWN, Quiet())
        driver = self._session.enter_context(driving(spec, UNKNOWN, self._run, Quiet(), self._executor))
        driver.limit_live(0)
        self._session.enter_context(driver.session())
        return driver

    def _fresh(self, held: set[RunId]) -> list[Load]:
        """The trials on seats that were not there before."""
        return [load for load in self._executor.loads() if load.run not in held]

    def _seen(self, load: Load) -> int:
        """Where a trial reported last, in an earlier session."""
        found = self._run.history.unfinished.get(load.plan.number)
        return max((report.examples for report in found.reports), default=0) if found is not None else 0

    def _last_report(self, trial: Trial, value: float | Mapping[str, float]) -> Report | None:
        """The report of a trial's value; None where the last one was the same."""
        objective = self._spec.objective[0].metric
        metrics = dict(value) if isinstance(value, Mapping) else {objective: value}
        length = trial.load.plan.length.examples
        here = max(length, trial.examples + 1) if length < UNBOUNDED else trial.examples + 1
        report = _read({"examples": here, **trial.last, **metrics}, trial)
        said = {str(name): report.metrics.get(str(name)) for name in metrics}
        return None if _same(said, trial.last) else report

    def _answer(
        self, trial: Trial, report: Report | None, *, ends: bool = False, failure: str | None = None
    ) -> None:
        """Have the driver do all that follows from what a trial says."""
        self._executor.answer(trial.load.run, report, ends=ends, failure=failure)
        self._driver.step()
        if report is not None:
            trial.examples, trial.last = report.examples, report.metrics
        if not ends and self.ended(trial) is not None:
            self._executor.release(trial.load.run)

    def _check_own(self, trial: Trial) -> None:
        if not isinstance(trial, Trial) or trial._study is not self:
            raise SweepError(f"{self.name}: this trial is not its own. Give what this study's ask() returned")

    def _check_complete(self, trial: Trial, report: Report | None) -> None:
        """A trial without its objective would fail, for a word that is easily mistyped."""
        if report is None and not trial.last and trial.examples:
            return  # an earlier session's report counts
        said = report.metrics if report is not None else trial.last
        for objective in self._spec.objective:
            if objective.metric not in said:
                raise SweepError(
                    f"trial {trial.number}: {objective.metric} is missing. "
                    'Give its value, tell(trial, value), or say why there is none, failed="..."'
                )

    def _check_open(self) -> None:
        if self._closed:
            raise SweepError(f"{self.name}: is closed. Open it again with sweep.Study(...)")


def _same(said: Mapping[str, float | None], before: Mapping[str, float]) -> bool:
    """Whether all of it was said before; one NaN is another."""
    return all(repr(value) == repr(before.get(name)) for name, value in said.items())


def _read(values: Mapping[str, Any], trial: Trial) -> Report:
    """What a program reports, as a report of the trial. Raises SweepError."""
    try:
        found = reported(values, after=trial.examples)
    except ReportError as error:
        raise SweepError(f"trial {trial.number}: {error}") from error
    return Report(
        trial=trial.number,
        replicate=trial.load.replicate,
        examples=found.examples,
        epoch=found.epoch,
        updates=found.updates,
        metrics=found.metrics,
        attempt=trial.load.attempt,
        width=1,
        lane=0,
        host=socket.gethostname(),
        time=time.time(),
    )


def _check_one_at_a_time(spec: StudySpec, keys: StudyKeys) -> None:
    if "executor" in keys:
        raise SweepError(f"{spec.name}: this program trains the trials. Remove `executor`")
    if spec.trial.replicates != 1:
        raise SweepError(f"{spec.name}: each trial is asked for once. Remove `trial.replicates`")
