"""The loop: events from the executor -> `transition` -> instructions performed. Owns the clock.

What is performed keeps one order: the log is on disk before Optuna's journal is written, and a trial is
told last. So whatever moment the process dies at, the log knows all that Optuna's journal knows, and a
trial that was not told will be. The log is written whenever something was recorded, so that a kill loses
nothing; the disk is waited for at most every COMMIT_EVERY_S, so that waiting does not show.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from math import inf
from typing import assert_never

from sweep.driver.checkpoint_collector import CheckpointCollector, policy_of
from sweep.driver.checkpoint_store import StoreThread
from sweep.driver.limits import limits
from sweep.driver.monitor.counters import Counters
from sweep.driver.monitor.library_warnings import LibraryWarnings
from sweep.driver.monitor.progress import Progress, StudyView
from sweep.driver.monitor.time_ledger import TimeLedger
from sweep.driver.notify.notifier import Notifier
from sweep.driver.printed import Printed
from sweep.driver.result import DriverResult, LaneUse
from sweep.driver.resuming import Resuming
from sweep.driver.slots.releasing import Releasing
from sweep.driver.steering.live import Steered, Steering
from sweep.driver.stopping import Stopping
from sweep.driver.trials import Trials
from sweep.executors.base import Chunk, Executor, ExecutorEvent, Said
from sweep.rundir.null import NullRunDir
from sweep.rundir.rundir import RunDir
from sweep.scheduler import Phase, State, transition
from sweep.scheduler.endings import FINISHED_BY_HAND
from sweep.scheduler.messages import (
    Ask,
    Asked,
    Collect,
    Discard,
    Event,
    Instruction,
    Interrupted,
    Judge,
    Keep,
    Limited,
    NoMoreAsks,
    Note,
    Record,
    Release,
    Replace,
    RunTurn,
    SlotReleased,
    Tell,
    Tick,
)
from sweep.search.study import Study
from sweep.spec.order import lag_of
from sweep.spec.schema import StudySpec
from sweep.spec.task_description import Description
from sweep.vocabulary.trial import Outcome, TrialPlan, TrialState
from sweep.vocabulary.turn import SlotJoined, SlotLost, SlotReclaimed, TurnDone

WAIT_S = 0.25
"""How long a wait for events lasts at most, so that signals and deadlines are seen in time."""

COMMIT_EVERY_S = 0.25
"""How much a power cut can lose at most, of what reports and verdicts arrived closer together than this."""

ARRIVING_S = 1.0
"""After an interruption, how long to wait for the next piece of a checkpoint that is on its way."""

SHOW_EVERY_S = 0.1
"""Counting over all slots for the progress view is not done at every event."""


class Driver:
    """One session of a study."""

    def __init__(
        self,
        *,
        spec: StudySpec,
        description: Description,
        run: RunDir | NullRunDir,
        study: Study,
        executor: Executor,
        progress: Progress,
        store: StoreThread | None = None,
        notifier: Notifier | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._run = run
        self._study = study
        self._executor = executor
        self._progress = progress
        self._notifier = Notifier() if notifier is None else notifier
        self._clock = clock
        self._began = clock()
        self._interrupts = 0
        self._is_to_end = False
        self._interrupted = False
        self.is_starting = False
        self._shown = -inf
        self._committed = -COMMIT_EVERY_S
        self._hosts: dict[str, str] = {}
        self._ledger = TimeLedger(clock)
        self._warnings = LibraryWarnings(self._say)
        self._counters = Counters(spec)
        self._stopping = Stopping(spec)
        self._stopped_by: str | None = None
        self._unseen_ends = lag_of(spec) is None
        self._printed = Printed(run.path)
        self._trials = Trials(spec, description, run, study)
        for outcome in run.history.told.values():
            self._enter_told(outcome)
        told = self._trials.told
        directions = [objective.direction for objective in spec.objective]
        self._collector = CheckpointCollector(
            run,
            executor,
            policy_of(spec),
            directions,
            told=told.values(),
            store=store,
            needed=lambda: self._state.needed,
            clock=clock,
        )
        self._state = State(
            limits(
                spec,
                description,
                slots=executor.slots,
                told=run.history.used,
                asked=max(study.storage.count, *(number + 1 for number in self._trials.params), 0),
                study=study,
            )
        )
        self._releasing = Releasing(executor, self._collector, clock)
        self._steering = Steering(
            spec,
            description,
            run,
            Steered(
                self._state,
                study,
                self._stopping,
                self._collector,
                self._counters,
                told,
                executor.slots,
                self._releasing,
            ),
            end=self._end,
            stopped_by=lambda: self._stopped_by,
            say=progress.note,
            clock=clock,
        )

    def interrupt(self) -> None:
        """Ask for an orderly end; safe to call from a signal handler."""
        self._interrupts += 1
        self._executor.cut_short()

    def _end(self) -> None:
        """End in order, as it was asked for by hand."""
        self._is_to_end = True
        self._executor.cut_short()

    def run(self) -> DriverResult:
        """Train until the budget is used or a signal interrupts; what is unfinished stays resumable."""
        with self.session():
            while not self.done:
                self.step()
        return self.result()

    def limit_live(self, most: int) -> None:
        """Ask for no trial from here on while so many are live."""
        self._state.limits = replace(self._state.limits, max_concurrent=most)

    @property
    def live(self) -> int:
        """How many trials were asked for and not told."""
        return self._state.untold

    @property
    def told(self) -> Mapping[int, Outcome]:
        """How trials have ended, those of earlier sessions too."""
        return self._trials.told

    @contextmanager
    def session(self) -> Iterator[None]:
        """Enter what earlier sessions left, and start workers; at the end all is on disk."""
        try:
            with self._warnings.installed():
                with self._warnings.heard():
                    self._resume()
                if not self.done:
                    self._start()
                yield
            self._collector.tidy()
            self._commit()
        finally:
            self._collector.close()

    def _start(self) -> None:
        """Start workers and what else takes a while; an interruption ends that at once."""
        self.is_starting = True
        try:
            if not self._interrupts:
                self._run.prepare()
                self._executor.start()
        except KeyboardInterrupt:
            if not self._interrupts:
                raise
        finally:
            self.is_starting = False
        self._enter_interrupt()

    def result(self) -> DriverResult:
        """What the session has come to so far."""
        state = self._state
        return DriverResult(
            told=dict(self._trials.told),
            params={number: self._trials.final_params(number) for number in self._trials.params},
            running=state.untold,
            interrupted=state.phase is Phase.STOPPING,
            stopped_by=self._stopped_by,
            gave_up=state.gave_up,
            lanes=LaneUse(
                state.widest,
                state.lane_time.useful_fraction,
                state.lane_time_while_asking.useful_fraction,
            ),
            ledger=self._ledger.as_json(),
            paused=self._steering.pausing and not self._interrupts,
        )

    @property
    def done(self) -> bool:
        """Nothing is left to train or to fetch; after an interruption what comes too late is left."""
        if not self._state.ended:
            return False
        if self._interrupted and self._clock() >= self._state.stop_by:
            return not self._collector.is_arriving(within_s=ARRIVING_S)
        return not self._collector.busy

    def _resume(self) -> None:
        """Enter what earlier sessions left."""
        resumed = Resuming(self._run, self._study, self._trials).resume()
        for outcome in resumed.unrecorded:
            self._enter_told(outcome)
            self._run.record_outcome(outcome)
            self._collector.trial_told(outcome)
        self._counters.session_begins()
        self._settle([*resumed.events, *self._steering.left()])
        self._commit()

    def step(self) -> None:
        """Wait for what happens next, and do all that follows from it."""
        self._enter_interrupt()
        with self._ledger.doing("wait"):
            happened = self._executor.wait(self._wait_s())
        self._enter_interrupt()  # before turns that were cut short by it
        self._ledger.look(self._state)
        with self._warnings.heard():
            self._settle([*self._translate(happened), *self._released(), *self._collector.settled()])
            self._steer()
        self._releasing.look(self._state)
        self._collector.tidy()
        if self._clock() - self._committed >= COMMIT_EVERY_S:
            self._commit()
        self._run.maintain()
        self._collector.look_at_store()
        if self.done or time.monotonic() - self._shown >= SHOW_EVERY_S:
            self._shown = time.monotonic()
            view = self.view()
            self._progress.show(view)
            self._notifier.look(view)

    def view(self) -> StudyView:
        """The study as it stands."""
        return self._counters.view(self._state, self._clock() - self._began)

    def _steer(self) -> None:
        """Do what was asked by hand since the last look; after it, trials may be asked for again."""
        if events := self._steering.look():
            if any(isinstance(event, Limited) for event in events):
                self._stopped_by, self._unseen_ends = None, True
            self._settle(events)

    @property
    def interrupted(self) -> bool:
        """Whether an orderly end was asked for."""
        return self._interrupts > 0

    def _enter_interrupt(self) -> None:
        if (self._interrupts or self._is_to_end) and not self._interrupted:
            self._interrupted = True
            self._settle([Interrupted()])

    def _wait_s(self) -> float:
        """How long nothing else is due."""
        if not (self._run.dirty or self._study.storage.dirty):
            return WAIT_S
        return min(WAIT_S, max(0.0, self._committed + COMMIT_EVERY_S - self._clock()))

    def _commit(self) -> None:
        """Wait for the disk: first the log, then Optuna's journal."""
        if self._run.dirty or self._study.storage.dirty:
            with self._ledger.doing("disk"):
                self._run.commit()
                self._study.storage.commit()
            self._committed = self._clock()

    # Events in, instructions performed

    def _translate(self, events: Iterable[ExecutorEvent]) -> list[Event]:
        """Enter what only the driver needs; the rest is for the scheduler."""
        out: list[Event] = [Tick()]
        for event in events:
            match event:
                case TurnDone():
                    self._counters.turn_done(event.result)
                    self._collector.turn_done(event.slot, event.result.number)
                    self._printed.enter(event.result.output)
                case Chunk():
                    collected = self._collector.receive(event)
                    if collected is not None:
                        out.append(collected)
                    continue
                case Said():
                    self._say(event.text)
                    continue
                case SlotReclaimed():
                    self._say(f"worker {event.slot} saves its trials and ends: {event.reason}")
                case SlotJoined():
                    self._hosts[event.slot] = event.host
                    self._run.record_slot(event.slot, host=event.host, chip=event.chip)
                case SlotLost():
                    self._counters.worker_lost()
                    self._collector.slot_lost(event.slot)
                    self._releasing.slot_lost(event.slot)
                    host = self._hosts.get(event.slot, "")
                    self._run.record_lost(event.slot, host=host, reason=event.reason)
            out.append(event)
        if self._state.phase is Phase.RUNNING and self._stop() is not None:
            out.append(NoMoreAsks())
        return out

    def _released(self) -> list[SlotReleased]:
        released = self._releasing.released()
        for each in released:
            self._run.record_lost(each.slot, host=self._hosts.get(each.slot, ""), reason="given back")
        return released

    def _stop(self) -> str | None:
        """Why no further trial is asked for, said once; None while trials are."""
        if self._stopped_by is None:
            elapsed_s = self._clock() - self._began + self._run.history.elapsed_s
            self._stopped_by = self._stopping.reason(elapsed_s)
            if self._stopped_by is None and self._unseen_ends and self._study.should_terminate():
                self._stopped_by = "the terminator expects no further improvement"
            self._unseen_ends = False
            self._say_stopped()
        return self._stopped_by

    def _say_stopped(self) -> None:
        if self._stopped_by is not None:
            self._run.record_message("info", f"no further trials: {self._stopped_by}")
            self._progress.note(f"no further trials: {self._stopped_by}")

    def _say(self, text: str) -> None:
        """Record what needs no action, and say it unless only what went wrong is asked for."""
        self._run.record_message("info", text)
        self._progress.tip(text)

    def _settle(self, events: Iterable[Event]) -> None:
        """Enter events and perform what follows, until nothing follows any more."""
        pending = list(events)
        while pending:
            now = self._clock()
            instructions = [made for event in pending for made in transition(self._state, event, now)]
            pending = self._perform(instructions) if instructions else []
        self._run.write()

    def _perform(self, instructions: Sequence[Instruction]) -> list[Event]:
        """Perform in the order that loses nothing; the answers come back as events."""
        tells: list[Outcome] = []
        ended: list[Keep] = []
        judges: list[Judge] = []
        asks = 0
        if any(isinstance(instruction, Record) for instruction in instructions):
            self._notifier.reported()
        for instruction in instructions:
            match instruction:
                case RunTurn():
                    self._collector.turn_out(instruction.slot, instruction.turn)
                    self._executor.submit(instruction.slot, instruction.turn)
                case Record():
                    self._run.record_reports([instruction.report], lane_s=instruction.lane_s)
                case Note():
                    self._run.record_message("warning", instruction.text)
                    self._progress.note(instruction.text)
                case Collect():
                    self._collector.offer(instruction.slot, instruction.snapshot)
                case Discard():
                    self._executor.discard(instruction.slot, instruction.snapshot)
                case Replace():
                    self._executor.replace(instruction.slot, instruction.reason)
                case Release():
                    self._releasing.begin(instruction.slot)
                case Keep():
                    ended.append(instruction)
                case Tell():
                    tells.append(instruction.outcome)
                case Judge():
                    judges.append(instruction)
                case Ask():
                    asks += instruction.count
                case _:
                    assert_never(instruction)
        return self._conclude(ended, tells, judges, asks)

    def _conclude(
        self, ended: Sequence[Keep], tells: Sequence[Outcome], judges: Sequence[Judge], asks: int
    ) -> list[Event]:
        """Record ends, and only then let Optuna judge, hear of them and propose."""
        for outcome in tells:
            self._run.record_outcome(outcome)
        if self._study.storage.buffered:
            self._run.write()
        else:
            self._run.commit()
        answers: list[Event] = []
        for each in ended:
            self._collector.keep(each.outcome, each.finals)
        if ended:
            answers += self._collector.settled()
        if judges:
            with self._ledger.doing("judge"):
                answers.append(self._trials.judge(judges, prunes=self._state.limits.prunes))
        with self._ledger.doing("tell"):
            for outcome in tells:
                self._tell(outcome)
        if asks:
            with self._ledger.doing("ask"):
                answers.append(self._ask(asks))
        return answers

    def _tell(self, outcome: Outcome) -> None:
        self._enter_told(outcome)
        if outcome.reason == FINISHED_BY_HAND:
            self._run.checkpoints.mark_final(outcome.number)
        self._study.tell(outcome)
        self._notifier.ended(outcome)
        self._unseen_ends = not self._state.limits.in_order
        self._collector.trial_told(outcome)
        if outcome.state is TrialState.FAIL:
            reason = (outcome.reason or "").splitlines()[:1]
            word = "diverged" if outcome.diverged else "failed"
            self._progress.note(f"trial {outcome.number} {word}: {''.join(reason)}")

    def _enter_told(self, outcome: Outcome) -> None:
        self._trials.told[outcome.number] = outcome
        self._stopping.enter(outcome)
        self._counters.ended(outcome, self._trials.final_params(outcome.number))

    def _ask(self, count: int) -> Asked:
        """Up to `count` further trials; in a fixed order each looks by itself whether to stop."""
        plans: list[TrialPlan] = []
        for _ in range(count if self._state.limits.in_order else 1):
            asked = self._ask_at_once(1 if self._state.limits.in_order else count)
            plans += asked.plans
            if asked.exhausted:
                break
        return Asked(tuple(plans), exhausted=asked.exhausted)

    def _ask_at_once(self, count: int) -> Asked:
        self._stopping.see(self._study.storage.count)
        self._unseen_ends = self._unseen_ends or self._state.limits.in_order
        if self._stop() is not None:
            return Asked((), exhausted=True)
        asked = self._trials.ask(count)
        if asked.exhausted:
            self._stopped_by = self._study.exhausted_by
            self._say_stopped()
        return asked
