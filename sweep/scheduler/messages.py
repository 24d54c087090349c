"""Events that the scheduler is told and instructions that it gives; values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sweep.scheduler.limits import Limits
from sweep.vocabulary.trial import Outcome, Report, Snapshot, TrialPlan
from sweep.vocabulary.turn import SlotJoined, SlotLost, SlotReclaimed, Turn, TurnDone


@dataclass(frozen=True)
class Asked:
    """Answers `Ask`; `exhausted` means that the sampler has nothing further to propose."""

    plans: tuple[TrialPlan, ...]
    exhausted: bool = False


@dataclass(frozen=True)
class Taken:
    """A trial of an earlier session is resumed, with what is already known of it.

    `reports` by replicate in order of examples; `checkpoints` and lane times in seconds by replicate.
    `undecided`: it is a member of a population, and its last boundary was not decided on.
    """

    plan: TrialPlan
    reports: Mapping[int, tuple[Report, ...]]
    checkpoints: Mapping[int, Snapshot]
    attempts: int
    lane_s: Mapping[int, float] = field(default_factory=dict)
    undecided: bool = False


@dataclass(frozen=True)
class Evolved:
    """A member of a population has another plan from a boundary on, in examples.

    `source` is the trial whose state it takes, None where it keeps its own.
    """

    plan: TrialPlan
    examples: int
    source: int | None


@dataclass(frozen=True)
class Judged:
    """Answers every `Judge` given since the last one: which trials were judged, which of them end.

    Of a population: what changes, and which of them others may copy.
    """

    judged: frozenset[int]
    pruned: tuple[int, ...]
    evolved: tuple[Evolved, ...] = ()
    leading: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Collected:
    """A snapshot has reached the run directory (`snapshot.path` lies there): a run can resume from it."""

    snapshot: Snapshot


@dataclass(frozen=True)
class Kept:
    """Answers `Keep`: what stays of the trial is in the run directory, or will not come."""

    number: int


@dataclass(frozen=True)
class Unsaved:
    """Answers `Keep`: checkpoints of these replicates would stay, and were lost with their workers."""

    number: int
    replicates: tuple[int, ...]


@dataclass(frozen=True)
class Tick:
    """Time has passed: deadlines are looked at."""


@dataclass(frozen=True)
class NoMoreAsks:
    """The time budget is spent or a stop rule holds: what runs may end, nothing new begins."""


@dataclass(frozen=True)
class Limited:
    """The study has other limits from here on; trials may be asked for again, if the budget has any left."""

    limits: Limits


@dataclass(frozen=True)
class Prune:
    """A person ends a trial as PRUNED."""

    number: int


@dataclass(frozen=True)
class Finish:
    """A person ends a trial as COMPLETE, where its runs stand."""

    number: int


@dataclass(frozen=True)
class SlotReleased:
    """A slot was given back, as `Release` said: what it saved has reached the run directory."""

    slot: str


@dataclass(frozen=True)
class Interrupted:
    """A signal asks to stop: finish the turns in flight, snapshot, end."""


Event = (
    SlotJoined
    | SlotLost
    | SlotReclaimed
    | SlotReleased
    | TurnDone
    | Asked
    | Taken
    | Judged
    | Collected
    | Kept
    | Unsaved
    | Tick
    | NoMoreAsks
    | Limited
    | Prune
    | Finish
    | Interrupted
)


@dataclass(frozen=True)
class Ask:
    """Propose up to `count` further trials."""

    count: int


@dataclass(frozen=True)
class RunTurn:
    """Give a turn to a slot, after those that it has."""

    slot: str
    turn: Turn


@dataclass(frozen=True)
class Record:
    """Write a report down; it was not seen before.

    `lane_s` is the run's own lane time up to it, over all attempts, in seconds.
    """

    report: Report
    lane_s: float


@dataclass(frozen=True)
class Judge:
    """All replicates of a trial have reached a boundary: tell the pruner, ask for its verdict.

    `metrics` are means over replicates, `replicates` each one's own. At the `last` boundary the verdict
    changes nothing.
    """

    number: int
    examples: int
    metrics: Mapping[str, float]
    replicates: tuple[Mapping[str, float], ...]
    last: bool


@dataclass(frozen=True)
class Keep:
    """A trial has ended; `Kept` or `Unsaved` answers, before it is told.

    `finals` say where runs ended that were saved there or should have been, by replicate, in examples.
    """

    outcome: Outcome
    finals: Mapping[int, int]


@dataclass(frozen=True)
class Tell:
    """A trial has ended; it is told once."""

    outcome: Outcome


@dataclass(frozen=True)
class Collect:
    """Bring a snapshot from the slot's host into the run directory."""

    slot: str
    snapshot: Snapshot


@dataclass(frozen=True)
class Discard:
    """Delete a snapshot that is not needed from the slot's host."""

    slot: str
    snapshot: Snapshot


@dataclass(frozen=True)
class Replace:
    """End this slot's worker, whatever it is doing, and start another."""

    slot: str
    reason: str


@dataclass(frozen=True)
class Release:
    """Give this slot back, once what it saved has reached the run directory; `SlotReleased` answers."""

    slot: str


@dataclass(frozen=True)
class Note:
    """A message for people; recorded and shown."""

    text: str


Instruction = Ask | RunTurn | Record | Judge | Keep | Tell | Collect | Discard | Replace | Release | Note
