"""What the scheduler knows: live trials, their runs, and slots. Data with derived facts, no decisions."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from sweep.vocabulary.trial import Length, Report, RunId, Signature, Snapshot, TrialPlan
from sweep.vocabulary.turn import Spent


@dataclass(frozen=True)
class Limits:
    """What the scheduler goes by, fixed for a session.

    `trials` is the budget in total; `told` counts those that earlier sessions ended; `objectives` are
    metric names. `width` is the number of lanes of a slot, None to measure it; `slots` is how many are
    expected, `programs` how many programs there are; with `ahead`, proposals do not depend on results,
    so that a large store of them costs nothing. `prunes` says whether there is a pruner, `rungs` from how
    many examples on it may prune at a trial's next report, None at any. `max_losses` bounds how often
    in a row, with no report in between, a run may take its worker with it; `grace_s` is added to a time-out
    before a silent worker is given up.
    """

    trials: int
    objectives: tuple[str, ...]
    constraints: tuple[Constraint, ...] = ()
    width: int | None = 1
    slots: int = 1
    programs: int = 1
    ahead: bool = False
    replicates: int = 1
    told: int = 0
    prunes: bool = False
    rungs: tuple[int, ...] | None = None
    max_concurrent: int | None = None
    timeout_s: float | None = None
    max_losses: int = 7
    grace_s: float = 60.0

    def may_prune(self, length: Length, examples: int) -> bool:
        """Whether a trial may be pruned at the report of this boundary."""
        if not self.prunes or examples >= length.examples:
            return False
        before = examples - length.report_every
        return self.rungs is None or any(before < rung <= examples for rung in self.rungs)


class Constraint(NamedTuple):
    """A metric or an entry of the ledger must lie between `low` and `high`; None: no end there."""

    name: str
    low: float | None
    high: float | None


class QueueKey(NamedTuple):
    """Runs that may share a population: one program, one limit on the width (None: the usual)."""

    signature: Signature
    limit: int | None = None


@dataclass
class Run:
    """One replicate of a live trial.

    `seen` is where its last gathered checkpoint stands, in examples; `recorded` how many reports are
    written down; `slot` where it is now; `since` when it last began to wait.
    """

    id: RunId
    key: QueueKey
    length: Length
    since: float
    recorded: int = 0
    checkpoint: Snapshot | None = None
    slot: str | None = None
    attempt: int = 0
    losses: int = 0
    finished: bool = False
    waiting: bool = False
    lane_s: float = 0.0

    @property
    def seen(self) -> int:
        return self.checkpoint.examples if self.checkpoint else 0

    def reports_left(self) -> int:
        """How many advances it takes from its checkpoint to the end."""
        return self.length.reports - self.length.boundaries(self.seen)

    def expected(self) -> int:
        """The boundary of the next report to be written down."""
        return min((self.recorded + 1) * self.length.report_every, self.length.examples)


@dataclass
class LiveTrial:
    """A trial that is asked and not told; `boundaries` holds what some but not all replicates reported.

    `last` holds the means over replicates at the last boundary that all have reached, `each` their own.
    """

    plan: TrialPlan
    runs: dict[int, Run]
    boundaries: dict[int, dict[int, Mapping[str, float]]] = field(default_factory=dict)
    last: Mapping[str, float] = field(default_factory=dict)
    each: tuple[Mapping[str, float], ...] = ()
    ledger: dict[str, float] = field(default_factory=dict)

    def add(self, name: str, amount: float) -> None:
        self.ledger[name] = self.ledger.get(name, 0.0) + amount

    def spend(self, spent: Spent, *, lost: bool) -> None:
        """Enter one turn's time; `lost` where its work was done before or is not wanted any more."""
        work_s = spent.train_s + spent.evaluate_s
        if lost:
            self.add("lost_s", work_s)
        else:
            self.add("train_s", spent.train_s)
            self.add("evaluate_s", spent.evaluate_s)
            self.add("examples", spent.examples)
        self.add("compile_s", spent.compile_s)
        self.add("checkpoint_s", spent.checkpoint_s)
        self.add("idle_s", spent.idle_s)
        self.add("traces", spent.traces)
        peak = max(self.ledger.get("peak_memory_bytes", 0.0), spent.peak_memory_bytes)
        self.ledger["peak_memory_bytes"] = peak

    def gather_boundary(self, report: Report) -> Mapping[str, float] | None:
        """The means over replicates, once the last of them has reached this boundary."""
        here = self.boundaries.setdefault(report.examples, {})
        here[report.replicate] = report.metrics
        if len(here) < len(self.runs):
            return None
        del self.boundaries[report.examples]
        self.each = tuple(here[replicate] for replicate in sorted(here))
        self.last = mean_metrics(self.each)
        return self.last

    @property
    def finished(self) -> bool:
        return all(run.finished for run in self.runs.values())


def mean_metrics(reports: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each metric over replicates; one replicate's values stay as they are, bit for bit."""
    rows = list(reports)
    if len(rows) == 1:
        return dict(rows[0])
    return {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}


@dataclass
class Lane:
    """A run in a lane, as it will be when all turns given out are done; `left` counts its advances."""

    run: RunId
    left: int


@dataclass(frozen=True)
class Flight:
    """A turn that is out: its width, and the runs in it with the attempt that each was at.

    `probes` says that it measures widths of that program.
    """

    width: int
    runs: Mapping[RunId, int]
    probes: Signature | None = None


@dataclass
class LaneTime:
    """How long lanes were there, and how long they did useful work, in seconds times lanes."""

    total_s: float = 0.0
    useful_s: float = 0.0

    def add(self, turn_s: float, lanes: int, useful: int) -> None:
        self.total_s += turn_s * lanes
        self.useful_s += turn_s * useful

    @property
    def useful_fraction(self) -> float | None:
        """None where no time has passed."""
        return round(self.useful_s / self.total_s, 4) if self.total_s else None


@dataclass
class Slot:
    """One worker.

    `lanes` is the plan after the last turn given out; `in_flight` holds the turns that are out;
    `holding` the runs whose end has not come back yet. `waits` says that it waits for verdicts, since
    its advances last longer than `advance_outlasts` seconds; `parked` that it has had its parting turn;
    `wanted` how many lanes it would fill; `silence_noted` is the turn whose silence was last spoken of.
    """

    id: str
    host: str
    chip: str
    advance_outlasts: float
    memory_bytes: int = 0
    key: QueueKey | None = None
    lanes: list[Lane | None] = field(default_factory=list)
    drops: list[int] = field(default_factory=list)
    in_flight: dict[int, Flight] = field(default_factory=dict)
    holding: dict[RunId, None] = field(default_factory=dict)
    started: float = 0.0
    waits: bool = True
    parked: bool = False
    wanted: int = 0
    silence_noted: int = 0

    @property
    def kind(self) -> tuple[str, int]:
        """What is measured once for all slots that share it: the chip, and how many GB it may use."""
        return self.chip, self.memory_bytes // 10**9

    @property
    def busy(self) -> int:
        """Lanes that hold a run."""
        return sum(lane is not None for lane in self.lanes)

    def occupied_lanes(self) -> int:
        """Lanes whose run goes on in the next turn."""
        return sum(lane is not None and lane.left > 0 for lane in self.lanes)

    def vacate(self, run: RunId) -> int | None:
        """Take a run out of the plan; the lane it had, if it still had one."""
        self.holding.pop(run, None)
        for index, lane in enumerate(self.lanes):
            if lane is not None and lane.run == run:
                self.lanes[index] = None
                return index
        return None


class Phase(Enum):
    """RUNNING asks and trains; DRAINING lets what runs end; STOPPING snapshots and leaves."""

    RUNNING = "running"
    DRAINING = "draining"
    STOPPING = "stopping"


@dataclass
class State:
    """Everything the scheduler knows.

    `waiting` holds runs in no lane; `unjudged` trials whose verdict is awaited; `open_slots` those that
    could take a further turn; `hungry_slots` those that only a waiting run could give a further one, and
    `idle_slots` those that have none out and only a waiting run could give one. `wanted` is the sum of what
    slots want, None where that has to be counted again; `checked` is when deadlines were looked at; `turns`
    numbers turns. `rates` holds examples per second by width, as measured or assumed, for each kind of
    slot and program, `speeds` those of one lane by chip, as turns showed them; `needs` holds the most memory
    that a program was too much for. `lane_time_while_asking` ends with the last ask.
    """

    limits: Limits
    phase: Phase = Phase.RUNNING
    trials: dict[int, LiveTrial] = field(default_factory=dict)
    slots: dict[str, Slot] = field(default_factory=dict)
    waiting: dict[QueueKey, deque[RunId]] = field(default_factory=dict)
    unjudged: set[int] = field(default_factory=set)
    open_slots: dict[str, None] = field(default_factory=dict)
    hungry_slots: dict[str, None] = field(default_factory=dict)
    idle_slots: dict[str, None] = field(default_factory=dict)
    wanted: int | None = None
    checked: float = -math.inf
    rates: dict[tuple[tuple[str, int], Signature], dict[int, float]] = field(default_factory=dict)
    speeds: dict[Signature, dict[str, float]] = field(default_factory=dict)
    needs: dict[Signature, int] = field(default_factory=dict)
    lane_time: LaneTime = field(default_factory=LaneTime)
    lane_time_while_asking: LaneTime = field(default_factory=LaneTime)
    widest: int = 0
    told: int = 0
    asking: bool = False
    exhausted: bool = False
    turns: int = 0

    @property
    def used(self) -> int:
        """Trials that count against the budget: told ones of all sessions, and live ones."""
        return self.limits.told + self.told + len(self.trials)

    @property
    def may_ask(self) -> bool:
        return (
            self.phase is Phase.RUNNING
            and not self.asking
            and not self.exhausted
            and self.used < self.limits.trials
        )

    @property
    def all_asked(self) -> bool:
        """No further trial will be asked for."""
        return not self.may_ask and not self.asking

    @property
    def ended(self) -> bool:
        """Nothing is in flight and nothing further will be started."""
        stopping = self.phase is Phase.STOPPING
        if not stopping and (self.trials or not self.all_asked):
            return False
        if any(slot.in_flight for slot in self.slots.values()):
            return False
        if stopping:
            return all(slot.parked or not slot.holding for slot in self.slots.values())
        return True

    def run(self, run: RunId) -> Run | None:
        trial = self.trials.get(run.trial)
        return trial.runs[run.replicate] if trial else None

    def still_in(self, flight: Flight) -> list[Run]:
        """The runs of a turn that are live and have not been sent elsewhere since."""
        runs = [(self.run(id), attempt) for id, attempt in flight.runs.items()]
        return [run for run, attempt in runs if run is not None and run.attempt == attempt]
