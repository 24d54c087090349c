"""What a program opens to ask for trials and tell how they ended.

study = sweep.Study(name="mine", space={...}, objective="loss", direction="minimize", budget=20)
while trial := study.ask():
    study.tell(trial, train(**trial.params))
"""

from __future__ import annotations

import atexit
import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Self, TypeVar, Unpack

from runlog import layout
from sweep.api.python.asking import said
from sweep.api.python.asking.client import Joined
from sweep.api.python.asking.desk import Desk, NotHeldError, OwnerGone
from sweep.api.python.asking.holding import Holding, new_name
from sweep.api.python.asking.interrupt import held_back
from sweep.api.python.asking.opening import open_desk
from sweep.api.python.asking.owner import Owner
from sweep.api.python.asking.saving import Saving
from sweep.api.python.asking.trial import Trial
from sweep.api.python.given import StudyKeys, given_study
from sweep.api.python.summary import BestTrial, Summary, of_history
from sweep.driver.build import check_choices
from sweep.errors import SweepError
from sweep.rundir.history import read_history
from sweep.rundir.naming import runs_folder
from sweep.spec.order import lag_of
from sweep.spec.schema import StudySpec
from sweep.vocabulary.trial import TrialState

if TYPE_CHECKING:
    import pandas as pd

    from analysis.run import Run

TASK = "python:ask"
"""What stands as the task in the study file of such a run."""

EXECUTOR = "sweep.executors.asked:AskedFactory"

FAILURES = {"retry": 0, "stop_after": None}
"""A program that says that a trial failed means it."""

T = TypeVar("T")


class Study:
    """A study whose trials this program trains: the same run directory, resumed by the same call.

    Other processes of this machine that open the same study share it: the first one owns it, and where that
    ends another one does. A trial that was asked for and not told is asked for again. Threads may share a
    study. Close it at the end, or use it as a context: the tables are written then.
    """

    def __init__(
        self, *, runs: str | Path = "runs", trials: int | None = None, **keys: Unpack[StudyKeys]
    ) -> None:
        """Open the run directory; `keys` are the study file's, without `task`. Raises SweepError."""
        values: StudyKeys = {"failures": FAILURES, **keys, "executor": EXECUTOR}
        self._runs = runs_folder(runs).resolve()  # a program may change its folder while it holds the study
        self._spec = spec = given_study(None, TASK, values, runs=self._runs, trials=trials).spec
        _check_one_at_a_time(spec, keys)
        check_choices(spec, sources=False)
        self.name = spec.name
        self.run_dir = self._runs / spec.name
        self._began = time.monotonic()
        self._process = os.getpid()
        self._lock = RLock()
        self._closed = False
        self._saving = Saving(spec, self.run_dir)
        self._held: dict[int, Trial] = {}
        self._who = new_name()
        self._desk: Owner | Joined = open_desk(spec, self._runs, self._who)
        try:
            self._holding = Holding(self.run_dir / layout.ASKING, self._who)
        except BaseException:
            self._desk.close()
            raise
        atexit.register(self._close_at_exit)

    def ask(self) -> Trial | None:
        """The next trial; None once the budget is used, or while others hold what is left of it."""
        self._check_process()
        with self._lock, self._undisturbed() as interrupts:
            self._check_open()
            handed = self._do(lambda desk: desk.ask(self._who, tuple(self._held)))
            if handed is None:
                return None
            trial = Trial(self, handed, self._saving)
            if not interrupts:  # else nobody gets it: the owner gives it again
                self._hold(trial)
            return trial

    def tell(
        self, trial: Trial, value: float | Mapping[str, float] | None = None, *, failed: str | None = None
    ) -> str:
        """End a trial with its objective's value; how it ended: COMPLETE, PRUNED or FAIL.

        Several objectives are a mapping by metric. Without a value the last report counts; `failed` says why
        there is none. A trial that was pruned stays so. Raises SweepError for a value that is no number.
        """
        self._check_process()
        with self._lock, self._undisturbed():
            self._check_own(trial)
            if trial.is_told:
                raise SweepError(f"trial {trial.number} was told before. Ask for another one")
            if self.ended(trial) is None:
                self._end(trial, value, failed)
            self._drop(trial)
            trial.is_told = True
            return str((trial.state or TrialState.FAIL).value)

    def _end(self, trial: Trial, value: float | Mapping[str, float] | None, failed: str | None) -> None:
        found, report, snapshots = None, None, []
        if failed is None:
            objectives = [each.metric for each in self._spec.objective]
            found = said.value(trial, value, objectives[0]) if value is not None else None
            said.check_complete(trial, found, objectives)
            examples, metrics = trial.examples, trial.last
            if found is not None:
                report = said.report(trial, found)
                examples, metrics = found.examples, found.metrics
            snapshots = trial.saving.at_report(examples, metrics, asked=trial.has_saved, ends=True)
        trial.state = self._do(lambda desk: desk.end(self._who, trial.number, report, failed, snapshots))

    def report(self, trial: Trial, examples: int, metrics: Mapping[str, float]) -> None:
        """What `Trial.report` does."""
        self._check_process()
        with self._lock, self._undisturbed():
            self._check_own(trial)
            if self.ended(trial) is not None:
                return
            found = said.read({"examples": examples, **metrics}, trial)
            snapshots = trial.saving.at_report(found.examples, found.metrics, asked=trial.has_saved)
            trial.has_saved = trial.has_saved and not snapshots
            report = said.report(trial, found)
            trial.state = self._do(lambda desk: desk.report(self._who, report, snapshots))
            trial.enter(found)
            if trial.state is not None:
                self._drop(trial)

    def ended(self, trial: Trial) -> TrialState | None:
        """How a trial has ended; None while it has not."""
        self._check_process()
        with self._lock:
            if trial.state is None and not trial.is_told:
                self._check_own(trial)
                trial.state = self._do(lambda desk: desk.ended(trial.number))
            return trial.state

    def close(self) -> None:
        """Leave the study in order; trials that are held are asked for again."""
        if self._process != os.getpid():  # a copy, made by fork
            return
        with self._lock:
            if self._closed:
                return
            atexit.unregister(self._close_at_exit)
            try:
                with suppress(OwnerGone):  # what is recorded is all that there is
                    self._rest()
            finally:
                self._closed = True
                self._holding.close()
                try:
                    self._desk.close()
                finally:
                    self._saving.close()

    def _rest(self) -> None:
        """Keep what held trials have saved, and let go of them."""
        for number, trial in self._held.items():
            snapshots = trial.saving.at_rest()
            if snapshots and not trial.is_lost:
                self._desk.rest(self._who, number, snapshots)
        if isinstance(self._desk, Joined):
            self._desk.leave(self._who)

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
        self._check_process()
        with self._lock:
            if not self._closed:
                return self._do(lambda desk: desk.summary())
            if isinstance(self._desk, Owner):
                return self._desk.summary()
            history = read_history(self.run_dir)
            return of_history(self._spec, self.run_dir, history, self._began, history.closed or "running")

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

    # The owner, wherever it is

    def _undisturbed(self) -> AbstractContextManager[list[int]]:
        """Hold Ctrl-C back while this process drives the study; an owner elsewhere may never answer."""
        return held_back() if isinstance(self._desk, Owner) else nullcontext([])

    def _do(self, call: Callable[[Desk], T]) -> T:
        """Have the owner do something; where it is gone, another one, or this process in its place."""
        while True:
            try:
                return call(self._desk)
            except OwnerGone:
                self._reopen()

    def _reopen(self) -> None:
        """Find the next owner or become it, and hold on to the trials that this process has."""
        while True:
            self._desk.close()
            after = self._desk.pid if isinstance(self._desk, Joined) else None
            self._desk = open_desk(self._spec, self._runs, self._who, after=after)
            try:
                for trial in list(self._held.values()):
                    self._claim(trial)
            except OwnerGone:
                continue
            return

    def _claim(self, trial: Trial) -> None:
        try:
            found = self._desk.claim(self._who, trial.number)
        except NotHeldError:
            trial.is_lost = True
            self._drop(trial)
            return
        if isinstance(found, TrialState):
            trial.state = found
            self._drop(trial)
        else:
            trial.take(found)

    def _hold(self, trial: Trial) -> None:
        self._held[trial.number] = trial
        self._holding.write(sorted(self._held))

    def _drop(self, trial: Trial) -> None:
        """The trial has ended, or another process has it."""
        if self._held.pop(trial.number, None) is not None:
            self._holding.write(sorted(self._held))
        trial.saving.remove()

    def _check_own(self, trial: Trial) -> None:
        self._check_open()
        if not isinstance(trial, Trial) or not trial.is_of(self):
            raise SweepError(f"{self.name}: this trial is not its own. Give what this study's ask() returned")
        if trial.is_lost:
            raise SweepError(
                f"trial {trial.number} was given to another process, as this one was not heard of. "
                "Ask for another one"
            )

    def _check_open(self) -> None:
        if self._closed:
            raise SweepError(f"{self.name}: is closed. Open it again with sweep.Study(...)")

    def _check_process(self) -> None:
        if self._process != os.getpid():
            raise SweepError(
                f"{self.name}: was opened by the process {self._process}. "
                "Open it in this one, too: sweep.Study(...)"
            )


def _check_one_at_a_time(spec: StudySpec, keys: StudyKeys) -> None:
    if "executor" in keys:
        raise SweepError(f"{spec.name}: this program trains the trials. Remove `executor`")
    if spec.trial.replicates != 1:
        raise SweepError(f"{spec.name}: each trial is asked for once. Remove `trial.replicates`")
    if lag_of(spec) is not None:
        what = "the program decides when it asks and tells, so the order cannot be fixed"
        raise SweepError(f"{spec.name}: {what}. Remove `order`, or run the study by sweep.run")
