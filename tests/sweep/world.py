"""A world for the scheduler: it asks, trains, judges and loses workers as the test says; no process."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from sweep.scheduler import Limits, State, transition
from sweep.scheduler.messages import (
    Ask,
    Asked,
    Collect,
    Collected,
    Discard,
    Event,
    Instruction,
    Judge,
    Judged,
    Keep,
    Note,
    Record,
    Release,
    Replace,
    RunTurn,
    SlotReleased,
    Tell,
    Tick,
)
from sweep.vocabulary.trial import Length, Report, RunId, Snapshot, TrialPlan
from sweep.vocabulary.turn import (
    Load,
    Loss,
    RunFailure,
    SlotJoined,
    SlotLost,
    Spent,
    Turn,
    TurnDone,
    TurnResult,
)


@dataclass
class Lane:
    """A run in a worker's lane, and how many examples it has seen."""

    load: Load
    seen: int


@dataclass
class Worker:
    """What a worker does with turns, without training: lanes advance from report to report."""

    width: int = 0
    signature: object = None
    rates: dict[int, float] = field(default_factory=dict)
    values: list[float] = field(default_factory=list)
    lanes: dict[int, Lane] = field(default_factory=dict)
    turns: list[Turn] = field(default_factory=list)
    turn_s: float = 1.0

    def carry_out(self, turn: Turn, checkpoints: dict[str, int], failing: frozenset[RunId]) -> TurnResult:
        if turn.probe is not None:
            return TurnResult(turn.number, rates=self.rates)
        if turn.ends:
            return self._ended(turn)
        if turn.signature != self.signature or (turn.width != self.width and not turn.moves):
            self.lanes.clear()
        if turn.moves:
            self.lanes = {new: self.lanes[old] for old, new in turn.moves if old in self.lanes}
        self.width, self.signature = turn.width, turn.signature
        for dropped in turn.drops:
            self.lanes.pop(dropped, None)
        for load in turn.loads:
            assert 0 <= load.lane < turn.width, "a load must name a lane that there is"
            assert load.lane not in self.lanes, "a lane must be free before it is loaded"
            self.lanes[load.lane] = Lane(load, checkpoints[load.checkpoint] if load.checkpoint else 0)
        reports, finished, failures, snapshots = [], [], [], []
        for index, lane in list(self.lanes.items()) * turn.reports:
            if self.lanes.get(index) is not lane:
                continue  # its run has ended in this turn
            if not turn.advance:
                snapshots.append(_snapshot(lane, final=False))
                continue
            if lane.load.run in failing:
                failures.append(RunFailure(lane.load.run, "it broke"))
                del self.lanes[index]
                continue
            length = lane.load.plan.length
            lane.seen = min((lane.seen // length.report_every + 1) * length.report_every, length.examples)
            reports.append(_report(lane, index, turn.width, self.values))
            snapshots.append(_snapshot(lane, final=lane.seen == length.examples))
            if lane.seen == length.examples:
                finished.append(lane.load.run)
                del self.lanes[index]
        spent = {report.run: Spent(train_s=1.0) for report in reports}
        return TurnResult(
            turn.number, tuple(reports), tuple(finished), tuple(failures), tuple(snapshots), spent,
            turn_s=self.turn_s,
        )  # fmt: skip

    def _ended(self, turn: Turn) -> TurnResult:
        ends = {index: lane for index, lane in self.lanes.items() if lane.load.run in turn.ends}
        for index in (*ends, *turn.drops):
            self.lanes.pop(index, None)
        return TurnResult(
            turn.number,
            finished=tuple(lane.load.run for lane in ends.values()),
            snapshots=tuple(_snapshot(lane, final=True) for lane in ends.values()),
        )


def _report(lane: Lane, index: int, width: int, values: list[float]) -> Report:
    run = lane.load.run
    value = values[lane.seen - 1] if values else run.trial + lane.seen / 1000
    return Report(
        trial=run.trial,
        replicate=run.replicate,
        examples=lane.seen,
        epoch=float(lane.seen),
        updates=lane.seen,
        metrics={"value": value + run.replicate / 10},
        attempt=lane.load.attempt,
        width=width,
        lane=index,
        host="here",
        time=0.0,
    )


def _snapshot(lane: Lane, *, final: bool) -> Snapshot:
    run = lane.load.run
    path = f"{run.trial}/{run.replicate}/{lane.seen}"
    return Snapshot(run.trial, run.replicate, lane.seen, path, bytes=1, sha256="", final=final)


THREE_REPORTS = Length(examples=3, report_every=1)


LATEST: list[State] = []
"""The state of the world made last; what `tests/sweep/scheduler/conftest.py` prints of a failing test."""


@dataclass
class World:
    """Plays the driver and all workers; every instruction is checked, and the state after every event."""

    state: State
    programs: int = 1
    length: Length = THREE_REPORTS
    prunes: frozenset[int] = frozenset()
    failing: frozenset[RunId] = frozenset()
    round_trip_s: float = 0.0
    turn_s: float = 1.0
    workers: dict[str, Worker] = field(default_factory=dict)
    asked: list[int] = field(default_factory=list)
    told: dict[int, Tell] = field(default_factory=dict)
    reports: Counter[tuple[int, int, int]] = field(default_factory=Counter)
    arriving: list[Snapshot] = field(default_factory=list)
    checkpoints: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    releasing: list[str] = field(default_factory=list)
    keeping: list[Keep] = field(default_factory=list)
    now: float = 0.0
    joined: int = 0
    rates: dict[int, float] = field(default_factory=lambda: {1: 1.0, 2: 0.9, 4: 3.0})
    values: list[float] = field(default_factory=list)
    widths: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        LATEST[:] = [self.state]

    @classmethod
    def of(cls, limits: Limits, **settings: object) -> World:
        return cls(State(limits), **settings)  # type: ignore[arg-type]

    def join(self, chip: str = "chip", memory_bytes: int = 0) -> None:
        self.joined += 1
        slot = f"slot-{self.joined}"
        self.workers[slot] = Worker(rates=self.rates, values=self.values, turn_s=self.turn_s)
        self.enter(SlotJoined(slot, "here", chip, self.round_trip_s, memory_bytes))

    def lose(self, slot: str, loss: Loss = Loss.PROCESS) -> None:
        del self.workers[slot]
        self.enter(SlotLost(slot, loss, "killed"))

    def release_all(self) -> None:
        """Slots that are to be given back are."""
        releasing, self.releasing = self.releasing, []
        for slot in releasing:
            self.workers.pop(slot, None)
            self.enter(SlotReleased(slot))

    def work(self, slot: str) -> None:
        """The slot's oldest turn comes back."""
        worker = self.workers[slot]
        result = worker.carry_out(worker.turns.pop(0), self.checkpoints, self.failing)
        self.enter(TurnDone(slot, result))

    def arrive(self) -> None:
        """The oldest snapshot on its way reaches the run directory."""
        snapshot = self.arriving.pop(0)
        self.checkpoints[snapshot.path] = snapshot.examples
        self.enter(Collected(snapshot))

    def enter(self, event: Event) -> None:
        self.now += 1.0
        pending: list[Event] = [event]
        while pending:
            instructions = transition(self.state, pending.pop(0), self.now)
            self.state.validate()
            pending = self._perform(instructions) + pending

    def _perform(self, instructions: list[Instruction]) -> list[Event]:
        judged: list[Judge] = []
        answers: list[Event] = []
        for instruction in instructions:
            match instruction:
                case Ask(count):
                    answers.append(self._ask(count))
                case RunTurn(slot, turn):
                    self.workers[slot].turns.append(turn)
                    if turn.probe is None:
                        flight = self.state.slots[slot].in_flight[turn.number]
                        self.widths.append((turn.width, len(flight.runs)))
                case Record(report, _):
                    self.reports[report.trial, report.replicate, report.examples] += 1
                case Judge():
                    judged.append(instruction)
                case Tell(outcome):
                    assert outcome.number not in self.told, "a trial must be told once"
                    self.told[outcome.number] = instruction
                case Keep():
                    self.keeping.append(instruction)
                case Collect(slot, snapshot):
                    assert slot in self.workers
                    self.arriving.append(snapshot)
                case Note(text):
                    self.notes.append(text)
                case Replace(slot):
                    self.replaced.append(slot)
                    del self.workers[slot]
                case Release(slot):
                    self.releasing.append(slot)
                case Discard():
                    pass
        if judged:
            numbers = frozenset(judge.number for judge in judged)
            bounds = self.state.limits
            ends = tuple(
                judge.number
                for judge in judged
                if judge.number in self.prunes and bounds.may_prune(self.length, judge.examples)
            )
            answers.append(Judged(numbers, ends))
        return answers

    def _ask(self, count: int) -> Asked:
        numbers = range(len(self.asked), len(self.asked) + count)
        self.asked += numbers
        return Asked(tuple(self.plan(number) for number in numbers))

    def plan(self, number: int) -> TrialPlan:
        signature = (("program", number % self.programs),)
        return TrialPlan(number, 0, dict(signature), signature, self.length)

    def work_all(self) -> None:
        """Turns come back, slot by slot, until none is out and no run is paused."""
        while True:
            busy = [slot for slot, worker in self.workers.items() if worker.turns]
            if not busy and not self.state.paused:
                return
            if not busy:
                self.enter(Tick())
            for slot in busy:
                if slot in self.workers and self.workers[slot].turns:
                    self.work(slot)
