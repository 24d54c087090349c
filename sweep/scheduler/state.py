"""What the scheduler knows: live trials, slots, queues and counts. Data with derived facts, no decisions."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from enum import Enum

from sweep.scheduler.limits import Limits
from sweep.scheduler.live import LiveRun, LiveTrial, QueueKey
from sweep.scheduler.messages import Judge
from sweep.scheduler.slots import Flight, LaneTime, Slot
from sweep.scheduler.validation import invariants
from sweep.scheduler.validation.transition_log import TransitionLog
from sweep.vocabulary.trial import RunId, Signature, Snapshot


class Phase(Enum):
    """RUNNING asks and trains; FINISHING lets what runs end; STOPPING snapshots and leaves."""

    RUNNING = "running"
    FINISHING = "finishing"
    STOPPING = "stopping"


@dataclass
class State:
    """Everything the scheduler knows; only `transition` changes it, through the modules named here.

    field          changed by           what holds (`validate` checks it)
    phase          transition           goes forward, or back from FINISHING where limits change
    trials         transition, endings  every trial asked that has not ended
    ending         endings              trials that have ended, to be told once their checkpoints are there
    slots          transition, faults   every worker that joined and was not lost
    waiting        turns, placement     runs in no slot and not finished, each in one queue; no queue is empty
    paused         faults, endings      runs that failed, until when they wait to be tried again
    unjudged       transition, endings, in_order  live trials whose verdict is awaited
    finishing      transition, endings  live trials that a person ends where they stand
    moved          transition, endings, in_order  in a fixed order: trials of which something is to be entered
    held           in_order, endings    in a fixed order: trials whose verdict waits for trials before them
    next_number    transition           above all numbers of trials that were entered
    standing       population           members that wait at a boundary for all others, and what they reported
    saved          population           snapshots that a member of a population may yet copy, by path
    open_slots     turns                slots that could take a further turn
    starved_slots  turns                slots with a turn out that only a waiting run could give a further one
    idle_slots     turns                slots with none out that only a waiting run could give one
    leaving        leaving              slots that save their runs, to be given back
    wanted         widths               the sum of what slots want; None: count again at the next ask
    longest_turn_s  transition          the longest time from a turn to its answer; 0: none has come back
    checked        faults               when deadlines were last looked at
    stop_by        transition           until when turns may come back after an interruption
    rates          widths               examples per second by width, by kind of slot and program
    speeds         placement            examples per second of one lane, by program and chip
    needs          placement            the most memory that a program was too much for
    device_losses  device_loss, transition (removed)  times in a row that a program lost its GPU
    lane_time, lane_time_while_asking   transition: the latter ends with the last ask
    widest         turns                the widest turn given out
    entered, told  transition, endings  trials entered and told in this session: they differ by the others
    asking         turns, transition    an `Ask` is out
    broken         endings              trials that broke, in a row
    gave_up        transition           why the study stops by itself
    exhausted      transition           the sampler has nothing further to propose
    turns          turns                the number of the last turn given out
    log            transition           the last transitions, for a failing test to print
    """

    limits: Limits
    phase: Phase = Phase.RUNNING
    trials: dict[int, LiveTrial] = field(default_factory=dict)
    ending: dict[int, LiveTrial] = field(default_factory=dict)
    slots: dict[str, Slot] = field(default_factory=dict)
    waiting: dict[QueueKey, deque[RunId]] = field(default_factory=dict)
    paused: dict[RunId, float] = field(default_factory=dict)
    unjudged: set[int] = field(default_factory=set)
    finishing: set[int] = field(default_factory=set)
    moved: set[int] = field(default_factory=set)
    held: set[int] = field(default_factory=set)
    next_number: int = 0
    standing: dict[int, Judge] = field(default_factory=dict)
    saved: dict[str, Snapshot] = field(default_factory=dict)
    open_slots: dict[str, None] = field(default_factory=dict)
    starved_slots: dict[str, None] = field(default_factory=dict)
    idle_slots: dict[str, None] = field(default_factory=dict)
    leaving: dict[str, None] = field(default_factory=dict)
    wanted: int | None = None
    longest_turn_s: float = 0.0
    checked: float = -math.inf
    stop_by: float = math.inf
    rates: dict[tuple[tuple[str, int], Signature], dict[int, float]] = field(default_factory=dict)
    speeds: dict[Signature, dict[str, float]] = field(default_factory=dict)
    needs: dict[Signature, int] = field(default_factory=dict)
    device_losses: dict[Signature, int] = field(default_factory=dict)
    lane_time: LaneTime = field(default_factory=LaneTime)
    lane_time_while_asking: LaneTime = field(default_factory=LaneTime)
    widest: int = 0
    entered: int = 0
    told: int = 0
    asking: bool = False
    broken: int = 0
    gave_up: str | None = None
    exhausted: bool = False
    turns: int = 0
    log: TransitionLog = field(default_factory=TransitionLog, repr=False)

    @property
    def used(self) -> int:
        """Trials that count against the budget: told ones of all sessions, and all others."""
        return self.limits.told + self.told + self.untold

    @property
    def untold(self) -> int:
        """How many trials were asked for and not told."""
        return len(self.trials) + len(self.ending)

    @property
    def training(self) -> int:
        """Trials that are not told, without those that have trained to their end and wait for a verdict."""
        return self.untold - sum(self.trials[number].finished for number in self.held)

    @property
    def may_be_asked(self) -> float:
        """How many trials the order lets be asked for now: trials stand in the order of their numbers."""
        if self.limits.lag is None:
            return math.inf
        following = max(self.next_number, self.limits.asked)
        first = min(next(iter(self.trials), following), min(self.ending, default=following))
        return first + self.limits.lag - following

    @property
    def may_ask(self) -> bool:
        """Whether a further trial may be asked for now."""
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
        """Nothing is in flight and nothing further will be started; widths that are measured do not count."""
        stopping = self.phase is Phase.STOPPING
        if not stopping and (self.untold or not self.all_asked):
            return False
        flights = [flight for slot in self.slots.values() for flight in slot.in_flight.values()]
        if any(flight.probes is None or not stopping for flight in flights):
            return False
        if stopping:
            return all(slot.drained or not slot.holding for slot in self.slots.values())
        return True

    @property
    def slots_wanted(self) -> float:
        """How many slots could have a run: those that do, and one for each run that waits or will."""
        waiting = sum(map(len, self.waiting.values())) + len(self.paused)
        if self.all_asked:
            return sum(bool(slot.holding) for slot in self.slots.values()) + waiting
        live = sum(not run.finished for trial in self.trials.values() for run in trial.runs.values())
        runs = live + (self.limits.trials - self.used) * self.limits.replicates
        most = self.limits.max_concurrent
        return runs if most is None else min(runs, most * self.limits.replicates)

    def run(self, run: RunId) -> LiveRun | None:
        """A run of a live trial."""
        trial = self.trials.get(run.trial)
        return trial.runs[run.replicate] if trial else None

    def waits(self, slot: Slot) -> bool:
        """Whether the slot's next turn depends on verdicts; those on a population are always waited for."""
        return slot.waits or self.limits.interval is not None

    @property
    def needed(self) -> set[str]:
        """Paths of the checkpoints that members of a population resume from, or may copy."""
        if self.limits.interval is None or (self.all_asked and not self.untold):
            return set()
        trials = (*self.trials.values(), *self.ending.values())
        runs = (run for trial in trials for run in trial.runs.values())
        return {*self.saved, *(run.checkpoint.path for run in runs if run.checkpoint is not None)}

    def still_in(self, flight: Flight) -> list[LiveRun]:
        """The runs of a turn that are live and have not been sent elsewhere since."""
        runs = [(self.run(id), attempt) for id, attempt in flight.runs.items()]
        return [
            run for run, attempt in runs if run is not None and run.attempt == attempt and not run.finished
        ]

    def validate(self) -> None:
        """Check what must hold between transitions. Raises AssertionError, which names the broken invariant.

        It takes time in proportion to all that is live: for tests and simulations.
        """
        invariants.check_runs(self.trials, self.slots, self.waiting, self.paused, self.finishing)
        invariants.check_slots(self.trials, self.slots, self.turns)
        invariants.check_looked_at(self.slots, self.open_slots, self.starved_slots, self.idle_slots)
        invariants.check_counts(
            trials=self.trials,
            ending=self.ending,
            slots=self.slots,
            unjudged=self.unjudged | self.held,
            wanted=self.wanted,
            entered=self.entered,
            told=self.told,
        )
        invariants.check_drained(self.slots, stopping=self.phase is Phase.STOPPING)
