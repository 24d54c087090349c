"""The process that holds the run directory: it drives the study for all that hold trials."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Event, RLock, Thread
from typing import TYPE_CHECKING

from runlog import layout
from sweep.api.python.asking.desk import Handed, NotHeldError, OwnerGone
from sweep.api.python.asking.holding import is_living, living
from sweep.api.python.asking.serving import Server
from sweep.api.python.summary import Summary, summary_of
from sweep.driver.monitor.progress import Quiet
from sweep.driver.session import driving, open_run, record_session
from sweep.driver.steering import channel
from sweep.driver.steering.settings import in_effect
from sweep.errors import SweepError
from sweep.executors.asked import AskedExecutor
from sweep.spec.schema import StudySpec
from sweep.spec.task_description import Description
from sweep.vocabulary.trial import Report, RunId, Snapshot, TrialState
from sweep.vocabulary.turn import Load, Loss

if TYPE_CHECKING:
    from sweep.driver.driver import Driver

LOOK_EVERY_S = 0.25
"""How often requests are looked for while the program trains."""

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


class Owner:
    """Carries out what holders of trials ask, one call at a time; any thread may call.

    `who` names a process. It is connected while it calls from another process; one that is not, but lives,
    was given its trials by an earlier owner: they are kept for it.
    """

    def __init__(self, spec: StudySpec, runs: Path, who: str) -> None:
        """Hold the run directory. Raises RunInUseError where another process does."""
        self._spec = spec
        self._began = time.monotonic()
        self._executor = AskedExecutor()
        self._lock = RLock()
        self._closed = False
        self._session = ExitStack()
        self._connected = {who}
        self._holders: dict[int, str] = {}
        self._last: dict[int, Report] = {}
        self._run = open_run(spec, runs, accept_changed_task=True)
        self._looking = Event()
        self._folder = self._run.path / layout.ASKING
        try:
            self._spec = in_effect(spec, self._run, Quiet().note)
            self._driver = self._begin()
            self._server = Server(self, self._folder)
        except BaseException:
            self._session.close()
            self._run.release()
            raise
        Thread(target=self._look, name=f"requests of {spec.name}", daemon=True).start()

    def _look(self) -> None:
        """See what is asked by hand, also while the program trains and asks for nothing."""
        while not self._looking.wait(LOOK_EVERY_S):
            if channel.count(self._run.path):
                with self._lock, suppress(SweepError):  # a disk that is full is heard of by the program
                    if not self._closed:
                        self._steer()

    def _steer(self) -> None:
        """Have the driver do what was asked; the seats of trials that it ended are free."""
        self._settle()
        for load in self._executor.loads():
            if self.ended(load.plan.number) is not None:
                self._executor.release(load.run)
        self._settle()

    def _begin(self) -> Driver:
        record_session(self._spec, self._run, UNKNOWN, Quiet())
        driver = self._session.enter_context(driving(self._spec, UNKNOWN, self._run, Quiet(), self._executor))
        driver.limit_live(0)
        self._session.enter_context(driver.session())
        unfinished = self._run.history.unfinished
        for number, found in unfinished.items():
            if found.reports:
                self._last[number] = max(found.reports, key=lambda report: report.examples)
        for who, numbers in living(self._folder).items():
            self._holders |= {number: who for number in numbers if number in unfinished}
        return driver

    # What holders ask

    def ask(self, who: str, held: Collection[int]) -> Handed | None:
        with self._lock:
            self._check_open()
            self._free_those_of_the_dead()
            load = self._never_reached(who, held) or self._next() or self._another()
            if load is None:
                return None
            self._holders[load.plan.number] = who
            return self._handed(load)

    def claim(self, who: str, number: int) -> Handed | TrialState:
        with self._lock:
            self._check_open()
            if (state := self.ended(number)) is not None:
                return state
            if self._holders.get(number, who) != who:
                raise NotHeldError(_given_on(number))
            self._holders[number] = who
            while (load := self._load(number)) is None and self._seat_another():
                pass
            if load is None:
                raise NotHeldError(_given_on(number))
            return self._handed(load)

    def report(self, who: str, report: Report, snapshots: Sequence[Snapshot]) -> TrialState | None:
        with self._lock:
            self._check_open()
            number = report.trial
            if self.ended(number) is None:
                self._check_holder(who, number)
                self._answer(number, report, snapshots=snapshots)
            return self.ended(number)

    def end(
        self,
        who: str,
        number: int,
        report: Report | None,
        failure: str | None,
        snapshots: Sequence[Snapshot],
    ) -> TrialState | None:
        with self._lock:
            self._check_open()
            if self.ended(number) is None:
                self._check_holder(who, number)
                self._answer(number, report, snapshots=snapshots, ends=True, failure=failure)
            self._holders.pop(number, None)
            return self.ended(number)

    def rest(self, who: str, number: int, snapshots: Sequence[Snapshot]) -> None:
        with self._lock:
            self._check_open()
            if self.ended(number) is None and self._holders.get(number) == who:
                self._answer(number, None, snapshots=snapshots)

    def ended(self, number: int) -> TrialState | None:
        outcome = self._driver.told.get(number)
        return outcome.state if outcome is not None else None

    def summary(self) -> Summary:
        with self._lock:
            found = self._driver.result()
            reason = "finished" if self._driver.done and not found.interrupted else "interrupted"
            reason = reason if self._closed else "running"
            return summary_of(
                self._spec, self._run.path, found.told, found.params, found.running, self._began, reason
            )

    # Who holds trials

    def join(self, who: str) -> None:
        """Another process has connected."""
        with self._lock:
            self._connected.add(who)

    def leave(self, who: str) -> None:
        with self._lock:
            self._check_open()
            self._free(who, Loss.NODE, "has closed the study")

    def hung_up(self, who: str) -> None:
        """A connection has ended: with its process, or because that asks again."""
        with self._lock:
            self._connected.discard(who)
            if not self._closed:
                self._free_those_of_the_dead()

    def _free_those_of_the_dead(self) -> None:
        """Where a process dies, its trials are lost, and asked for again."""
        for who in set(self._holders.values()) - self._connected:
            if not is_living(self._folder, who):
                self._free(who, Loss.PROCESS, "has ended")

    def _free(self, who: str, loss: Loss, what: str) -> None:
        mine = [number for number, holder in self._holders.items() if holder == who]
        for number in mine:
            del self._holders[number]
            reason = f"the process {who.partition('-')[0]}, which held trial {number}, {what}"
            self._executor.lose(RunId(number, 0), loss, reason)
        if mine:
            self._settle()

    # Seats

    def _next(self) -> Load | None:
        """A trial that waits, and that no process holds."""
        while (load := self._spare()) is None and self._seat_another():
            pass
        return load

    def _never_reached(self, who: str, held: Collection[int]) -> Load | None:
        """A trial that was given to one who does not have it: its call was interrupted."""
        for load in self._executor.loads():
            number = load.plan.number
            if self._holders.get(number) == who and number not in held and self.ended(number) is None:
                return load
        return None

    def _another(self) -> Load | None:
        """A trial that Optuna proposes now, knowing all that was told."""
        self._driver.limit_live(self._driver.live + 1)
        self._settle()
        self._driver.limit_live(0)
        return self._spare()

    def _seat_another(self) -> bool:
        """See that a seat is free; whether a trial that waited has taken it."""
        before = len(self._executor.loads())
        self._executor.seat()
        self._settle()
        return len(self._executor.loads()) > before

    def _spare(self) -> Load | None:
        loads = self._executor.loads()
        return next((load for load in loads if load.plan.number not in self._holders), None)

    def _load(self, number: int) -> Load | None:
        return next((load for load in self._executor.loads() if load.plan.number == number), None)

    def _handed(self, load: Load) -> Handed:
        last = self._last.get(load.plan.number)
        return Handed(load) if last is None else Handed(load, last.examples, dict(last.metrics))

    def _answer(
        self,
        number: int,
        report: Report | None,
        *,
        snapshots: Sequence[Snapshot],
        ends: bool = False,
        failure: str | None = None,
    ) -> None:
        """Have the driver do all that follows from what a holder says of a trial."""
        run = RunId(number, 0)
        there = tuple(each for each in snapshots if Path(each.path).is_file())  # not one heard of twice
        self._executor.answer(run, report, snapshots=there, ends=ends, failure=failure)
        self._settle()
        if report is not None and (number not in self._last or report.examples > self._last[number].examples):
            self._last[number] = report
        if self.ended(number) is not None:
            self._last.pop(number, None)
            self._executor.release(run)

    def _settle(self) -> None:
        """Have the driver do all that there is to do: what was saved lies in the run directory then."""
        self._driver.step()
        while self._executor.has_news:
            self._driver.step()

    def _check_holder(self, who: str, number: int) -> None:
        if self._holders.get(number) != who:
            raise NotHeldError(_given_on(number))

    def _check_open(self) -> None:
        if self._closed:
            raise OwnerGone

    def close(self) -> None:
        """End the session in order; trials that are held stay RUNNING, for the next owner."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._looking.set()
            self._server.close()
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
                self._server.hang_up()


def _given_on(number: int) -> str:
    return f"trial {number} was given to another process, as this one was not heard of. Ask for another one"
