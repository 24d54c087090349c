"""The loop: events from the executor -> `transition` -> instructions performed. Owns the clock.

What is performed keeps one order: the log is on disk before Optuna's journal is written, and a trial is
told last. So whatever moment the process dies at, the log knows all that Optuna's journal knows, and a
trial that was not told will be. The log is written whenever something was recorded, so that a kill loses
nothing; the disk is waited for at most every COMMIT_EVERY_S, so that waiting does not show.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from math import inf, nan
from statistics import fmean as mean

from sweep.driver.checkpoint_collector import Gatherer
from sweep.driver.checkpoint_store import StoreThread
from sweep.driver.extension import Extension
from sweep.driver.limits import limits
from sweep.driver.monitor.counters import Counters
from sweep.driver.monitor.progress import Progress
from sweep.driver.monitor.time_ledger import TimeLedger
from sweep.driver.stopping import Stopping
from sweep.executors.base import Chunk, Executor, ExecutorEvent
from sweep.rundir.history import UnfinishedTrial, boundary_rows, read_reports
from sweep.rundir.null import NullRunDir
from sweep.rundir.rundir import RunDir
from sweep.scheduler import Phase, State, transition
from sweep.scheduler.messages import (
    Ask,
    Asked,
    Discard,
    Event,
    Gather,
    Instruction,
    Interrupted,
    Judge,
    Judged,
    NoMoreAsks,
    Note,
    Record,
    Replace,
    RunTurn,
    Taken,
    Tell,
    Tick,
)
from sweep.search.study import Proposal, Study
from sweep.spec.plans import plan
from sweep.spec.schema import StudySpec
from sweep.spec.task_description import Description
from sweep.vocabulary.trial import BoundaryRow, Outcome, Report, Scalar, Snapshot, TrialPlan, TrialState
from sweep.vocabulary.turn import SlotJoined, SlotLost, TurnDone

WAIT_S = 0.25
"""How long a wait for events lasts at most, so that signals and deadlines are seen in time."""

COMMIT_EVERY_S = 0.25
"""How much a power cut can lose at most, of what reports and verdicts arrived closer together than this."""


SHOW_EVERY_S = 0.1
"""Counting over all slots for a person to see is not done at every event."""


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
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._spec = spec
        self._description = description
        self._run = run
        self._study = study
        self._executor = executor
        self._progress = progress
        self._clock = clock
        self._began = clock()
        self.ledger = TimeLedger(clock)
        self._interrupts = 0
        self._shown = -inf
        self._committed = -COMMIT_EVERY_S
        self._hosts: dict[str, str] = {}
        self._counters = Counters(spec)
        self._stopping = Stopping(spec)
        self._extension = None if spec.extends is None else Extension(spec)
        self.stopped_by: str | None = None
        self._unseen_ends = True
        self.told: dict[int, Outcome] = {}
        self.params: dict[int, Mapping[str, Scalar]] = {
            number: row.params for number, row in run.history.study.trials.items()
        }
        directions = [objective.direction for objective in spec.objective]
        self._gatherer = Gatherer(run, executor, spec.checkpoints, directions, self.told, store)
        for outcome in run.history.told.values():
            self._enter_told(outcome)
        self.state = State(
            limits(spec, description, slots=executor.slots, told=len(self.told), rungs=study.rungs)
        )
        self._metric = spec.pruner.metric or spec.objective[0].metric

    def interrupt(self) -> None:
        """Ask for an orderly end; safe to call from a signal handler."""
        self._interrupts += 1

    def run(self) -> None:
        """Train until the budget is used or somebody interrupts; what is unfinished stays resumable."""
        try:
            self._take_up()
            if not self.done:
                self._executor.start()
            while not self.done:
                self._step()
            self._commit()
        finally:
            self._gatherer.close()

    @property
    def done(self) -> bool:
        """Nothing is left to train or to fetch."""
        return self.state.ended and not self._gatherer.busy

    def _step(self) -> None:
        if self._interrupts and self.state.phase is not Phase.STOPPING:
            self._settle([Interrupted()])
        with self.ledger.doing("wait"):
            happened = self._executor.wait(self._wait_s())
        self.ledger.look(self.state)
        self._settle(self._translate(happened))
        if self._clock() - self._committed >= COMMIT_EVERY_S:
            self._commit()
        self._run.maintain()
        self._gatherer.look_at_store()
        if self.done or time.monotonic() - self._shown >= SHOW_EVERY_S:
            self._shown = time.monotonic()
            self._progress.show(self._counters.view(self.state, self._clock() - self._began))

    def _wait_s(self) -> float:
        """How long nothing else is due."""
        if not (self._run.dirty or self._study.storage.dirty):
            return WAIT_S
        return min(WAIT_S, max(0.0, self._committed + COMMIT_EVERY_S - self._clock()))

    def _commit(self) -> None:
        """Wait for the disk: first the log, then Optuna's journal."""
        if self._run.dirty or self._study.storage.dirty:
            with self.ledger.doing("disk"):
                self._run.commit()
                self._study.storage.commit()
            self._committed = self._clock()

    # Resuming

    def _take_up(self) -> None:
        """Enter every trial that an earlier session left unfinished, and tell what only the log was told."""
        self._restore_journal()
        unfinished = self._run.history.unfinished
        known = self._study.storage.told()
        events: list[Event] = []
        for proposal in self._study.running():
            if proposal.number in self.told:
                self._study.tell(self.told[proposal.number])
                continue
            trial_plan = self._plan(proposal)
            if proposal.number in unfinished:
                events.append(self._taken(trial_plan, unfinished[proposal.number]))
            else:
                self._record_asked(trial_plan, proposal)
                events.append(Asked((trial_plan,)))
        for number, outcome in known.items():
            if number in unfinished:
                self._enter_told(outcome)
                self._run.record_outcome(outcome)
        self._settle(events)
        self._commit()

    def _restore_journal(self) -> None:
        """Give Optuna the trials that the log holds and the journal lost: it may end a moment earlier."""
        lost = sorted(number for number in self.params if number >= self._study.storage.count)
        reports = read_reports(self._run.path, set(lost)) if lost else {}
        for number in lost:
            values = [(examples, mean(row)) for examples, row in self._rows(reports.get(number, ()))]
            notes = self._run.history.study.trials[number].notes
            self._study.storage.restore(number, self.params[number], notes, values, self.told.get(number))
        if self._study.follows_reports:
            self._follow()

    def _follow(self) -> None:
        """Show the pruner all that earlier sessions reported: Optuna's journal does not hold it."""
        reports = read_reports(self._run.path, set(self.params))
        for number in range(self._study.storage.count):
            self._study.follow(number, self._rows(reports.get(number, ())), self.told.get(number))

    def _taken(self, trial_plan: TrialPlan, found: UnfinishedTrial) -> Taken:
        """What the log knows of an unfinished trial, and Optuna brought up to it."""
        reports = by_replicate(found.reports)
        for row in self._rows(found.reports):
            self._study.report(found.number, row)
        recorded = {replicate: len(each) for replicate, each in reports.items()}
        length, start = trial_plan.length, trial_plan.start

        def is_covered(snapshot: Snapshot) -> bool:
            """Whether the log has all that the run reported before: a power cut may have taken the last."""
            begun = length.boundaries(start[snapshot.replicate].examples) if start else 0
            return length.boundaries(snapshot.examples) <= begun + recorded.get(snapshot.replicate, 0)

        checkpoints = {
            run.replicate: replace(snapshot, path=str(self._run.path / snapshot.path))
            for run, snapshot in self._run.sound_checkpoints(found.number, is_covered).items()
        }
        lane_s = {run.replicate: seconds for run, seconds in found.lane_s.items()}
        return Taken(trial_plan, reports, checkpoints, found.attempt + 1, lane_s)

    def _rows(self, reports: Iterable[Report]) -> list[BoundaryRow]:
        return boundary_rows(reports, self._metric, self._spec.trial.replicates)

    # Events in, instructions performed

    def _translate(self, events: Iterable[ExecutorEvent]) -> list[Event]:
        """Enter what only this side cares for; the rest is for the scheduler."""
        out: list[Event] = [Tick()]
        for event in events:
            match event:
                case TurnDone():
                    self._counters.turn_done(event.result)
                case Chunk():
                    gathered = self._gatherer.receive(event)
                    if gathered is not None:
                        out.append(gathered)
                    continue
                case SlotJoined():
                    self._hosts[event.slot] = event.host
                    self._run.record_slot(event.slot, host=event.host, chip=event.chip)
                case SlotLost():
                    self._counters.worker_lost()
                    self._gatherer.slot_lost(event.slot)
                    host = self._hosts.get(event.slot, "")
                    self._run.record_lost(event.slot, host=host, reason=event.reason)
            out.append(event)
        if self.state.phase is Phase.RUNNING and self._stop() is not None:
            out.append(NoMoreAsks())
        return out

    def _stop(self) -> str | None:
        """Why no further trial is to be asked for, said once; None while trials are."""
        if self.stopped_by is None:
            elapsed_s = self._clock() - self._began + self._run.history.elapsed_s
            self.stopped_by = self._stopping.reason(elapsed_s)
            if self.stopped_by is None and self._unseen_ends and self._study.should_terminate():
                self.stopped_by = "the terminator holds that further trials will not pay"
            self._unseen_ends = False
            if self.stopped_by is not None:
                self._run.record_message("info", f"no further trials: {self.stopped_by}")
                self._progress.note(f"no further trials: {self.stopped_by}")
        return self.stopped_by

    def _settle(self, events: Iterable[Event]) -> None:
        """Enter events and perform what follows, until nothing follows any more."""
        pending = list(events)
        while pending:
            now = self._clock()
            instructions = [made for event in pending for made in transition(self.state, event, now)]
            pending = self._perform(instructions) if instructions else []
        self._run.write()

    def _perform(self, instructions: list[Instruction]) -> list[Event]:
        """Perform in the order that loses nothing; the answers come back as events."""
        tells, judges, asks = [], [], 0
        for instruction in instructions:
            match instruction:
                case RunTurn():
                    self._executor.submit(instruction.slot, instruction.turn)
                case Record():
                    self._run.record_reports([instruction.report], lane_s=instruction.lane_s)
                case Note():
                    self._run.record_message("warning", instruction.text)
                    self._progress.note(instruction.text)
                case Gather():
                    self._gatherer.offer(instruction.slot, instruction.snapshot)
                case Discard():
                    self._executor.discard(instruction.slot, instruction.snapshot)
                case Replace():
                    self._executor.replace(instruction.slot, instruction.reason)
                case Tell():
                    tells.append(instruction.outcome)
                case Judge():
                    judges.append(instruction)
                case Ask():
                    asks += instruction.count
        for outcome in tells:
            self._run.record_outcome(outcome)
        if self._study.storage.buffered:
            self._run.write()
        else:
            self._run.commit()
        answers: list[Event] = []
        if judges:
            with self.ledger.doing("judge"):
                answers.append(self._judge(judges))
        with self.ledger.doing("tell"):
            for outcome in tells:
                self._tell(outcome)
        if asks:
            with self.ledger.doing("ask"):
                answers.append(self._ask(asks))
        return answers

    def _judge(self, judges: list[Judge]) -> Judged:
        """All reports that arrived together are entered, then each trial is judged once, in number order."""
        judges = sorted(judges, key=lambda judge: (judge.number, judge.examples))
        for judge in judges:
            values = tuple(metrics.get(self._metric, nan) for metrics in judge.replicates)
            self._study.report(judge.number, (judge.examples, values))
        pruned = []
        if self.state.limits.prunes:
            last = {judge.number: judge for judge in judges}
            pruned = [
                number
                for number, judge in last.items()
                if self._study.should_prune(number) and not judge.last
            ]
        return Judged(frozenset(judge.number for judge in judges), tuple(pruned))

    def _tell(self, outcome: Outcome) -> None:
        self._enter_told(outcome)
        self._study.tell(outcome)
        self._unseen_ends = True
        self._gatherer.trial_told(outcome.number)
        if outcome.state is TrialState.FAIL:
            reason = (outcome.reason or "").splitlines()[:1]
            self._progress.note(f"trial {outcome.number} failed: {''.join(reason)}")

    def _enter_told(self, outcome: Outcome) -> None:
        self.told[outcome.number] = outcome
        self._stopping.enter(outcome)
        self._counters.ended(outcome, self.params[outcome.number])

    def _ask(self, count: int) -> Asked:
        if self._stop() is not None:
            return Asked((), exhausted=True)
        plans = []
        for proposal in self._study.ask(count):
            trial_plan = self._plan(proposal)
            self._record_asked(trial_plan, proposal)
            plans.append(trial_plan)
        return Asked(tuple(plans), exhausted=self._study.exhausted)

    def _record_asked(self, trial_plan: TrialPlan, proposal: Proposal) -> None:
        extension = self._extension
        parent = None if extension is None else extension.parents[proposal.number]
        origin = None if parent is None else (parent.run, parent.trial)
        self._run.record_asked(trial_plan, proposal.params, proposal.notes, origin)

    def _plan(self, proposal: Proposal) -> TrialPlan:
        self.params[proposal.number] = proposal.params
        made = plan(self._spec, self._description, proposal.number, proposal.params)
        return made if self._extension is None else self._extension.apply(made)


def by_replicate(reports: Iterable[Report]) -> dict[int, tuple[Report, ...]]:
    """Each replicate's reports in order of examples."""
    rows: dict[int, tuple[Report, ...]] = {}
    for report in sorted(reports, key=lambda report: report.examples):
        rows[report.replicate] = (*rows.get(report.replicate, ()), report)
    return rows
