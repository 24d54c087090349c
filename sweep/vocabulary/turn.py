"""What passes between the scheduler and a worker: a turn, and what came of it. Plain values that pickle.

A turn is one round trip: lanes are dropped and loaded, then every loaded lane trains to its next
report, or several. The worker has no other channel, so a turn says all that it must know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from sweep.vocabulary.trial import Report, RunId, Signature, Snapshot, TrialPlan


@dataclass(frozen=True)
class TaskRef:
    """Where a task's class is found: a file, or a module importable from `folder`.

    `texts` are those of files that it reads, by name, as the study recorded them.
    """

    folder: str
    target: str
    texts: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return self.target


class Trainable(StrEnum):
    """What a study's trials are."""

    TASK = "task"
    """Lanes of a population that trains a task's class."""
    FUNCTION = "function"
    """Calls of a Python function."""
    COMMAND = "command"
    """Processes of any program."""


@dataclass(frozen=True)
class Command:
    """A program that trains a trial, and how its reports are read.

    `arguments` hold placeholders; those in a group are given together or not at all. `metrics` are regular
    expressions by name, none where the program prints JSON. `environment` holds placeholders too, and None
    for what is unset. `counts_from_resume`: the examples that it prints begin at 0 where it resumes.
    `needs_examples`: a pruner goes by them.
    """

    arguments: tuple[str | tuple[str, ...], ...]
    metrics: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str | None] = field(default_factory=dict)
    working_directory: str | None = None
    counts_from_resume: bool = False
    needs_examples: bool = False


@dataclass(frozen=True)
class Saving:
    """When a worker saves its runs: how often, at their ends, at their best reports.

    `every_s` None means never.
    """

    every_s: float | None
    final: bool
    best_report: bool = False


@dataclass(frozen=True)
class WorkerSettings:
    """What a worker knows of the study for as long as it lives.

    `snapshot_every_s` None means never; `objective` is a metric and its direction; `keep_best_report` says
    whether a run is saved at each report that is its best so far. `slots` is how many workers share the
    host's memory, at most `host_bytes` of it where that is given; `limit_bytes` is what this process may use
    where the study file says so, else its share.
    """

    task: TaskRef
    snapshot_every_s: float | None
    keep_final: bool
    slots: int = 1
    host_bytes: int | None = None
    limit_bytes: float | None = None
    objective: tuple[str, str] | None = None
    keep_best_report: bool = False
    trainable: Trainable = Trainable.TASK
    command: Command | None = None

    @property
    def saving(self) -> Saving:
        """When the worker saves its runs, until a turn says otherwise."""
        return Saving(self.snapshot_every_s, self.keep_final, self.keep_best_report)


@dataclass(frozen=True)
class Load:
    """Put one run into a lane, afresh or from a checkpoint file that the executor brings along."""

    lane: int
    plan: TrialPlan
    replicate: int
    attempt: int
    checkpoint: str | None = None

    @property
    def run(self) -> RunId:
        return RunId(self.plan.number, self.replicate)


@dataclass(frozen=True)
class Change:
    """Give a lane's run another plan, which differs in dynamic hyperparameters.

    With `source` it continues from the state that this lane has.
    """

    lane: int
    plan: TrialPlan
    source: int | None = None


@dataclass(frozen=True)
class Probe:
    """Measure widths up to `most` with this trial's program.

    `examples` is all that this slot may still have to train with it: measuring must be worth it.
    """

    plan: TrialPlan
    most: int
    examples: float


@dataclass(frozen=True)
class Turn:
    """One round trip of a slot: save, change, open (signature, width), move, drop, load, advance, snapshot.

    `saves` are lanes whose state others may copy, `changes` what becomes of lanes: both as the turn
    before left them, and by the states of then. Where the width changes under the same program,
    `moves` say which old lane becomes which new one.
    Every lane trains for so many `reports`, which no run of the turn has fewer of left.
    A turn with a `probe` trains nothing: it measures how many lanes pay. Runs that it `ends` are complete
    where they stand: their final snapshots are taken and their lanes are free. `saving` replaces how the
    worker saves, from this turn on.
    """

    number: int
    signature: Signature
    width: int
    saves: tuple[int, ...] = ()
    changes: tuple[Change, ...] = ()
    moves: tuple[tuple[int, int], ...] = ()
    drops: tuple[int, ...] = ()
    loads: tuple[Load, ...] = ()
    advance: bool = True
    probe: Probe | None = None
    ends: tuple[RunId, ...] = ()
    saving: Saving | None = None
    reports: int = 1

    @property
    def checkpoints(self) -> tuple[str, ...]:
        """The checkpoint files that its loads resume from, in order."""
        return tuple(load.checkpoint for load in self.loads if load.checkpoint is not None)

    def with_checkpoints(self, paths: Sequence[str]) -> Turn:
        """The same turn with its checkpoint files found elsewhere, in the same order."""
        fresh = iter(paths)
        loads = tuple(
            replace(load, checkpoint=next(fresh)) if load.checkpoint else load for load in self.loads
        )
        return replace(self, loads=loads)


@dataclass(frozen=True)
class Spent:
    """Where one lane's time went during one turn, in seconds; `train_s` counts towards its time-out.

    `cpu_s` is the CPU time of a command's processes together.
    """

    compile_s: float = 0.0
    train_s: float = 0.0
    evaluate_s: float = 0.0
    checkpoint_s: float = 0.0
    idle_s: float = 0.0
    examples: int = 0
    traces: int = 0
    peak_memory_bytes: int = 0
    cpu_s: float = 0.0


WATCHDOG_ADVICE = (
    "On a Mac this is mostly the watchdog that protects the display: let the display sleep while the study "
    "runs, or set AGX_RELAX_CDM_CTXSTORE_TIMEOUT=1"
)
"""What helps where a GPU ends the work of a process."""


@dataclass(frozen=True)
class RunFailure:
    """A run that failed by itself, and why; `diverged` where its loss was not finite.

    `lasting` says that it would fail again: what it reports is no report.
    """

    run: RunId
    reason: str
    diverged: bool = False
    lasting: bool = False


@dataclass(frozen=True)
class TurnResult:
    """What came of a turn.

    `error` is set where the turn as a whole failed: then all its lanes are lost, and it is not known which
    trial caused it; what they reported before counts. `out_of_memory` and `device_lost` tell two kinds of
    failure from the others: the second says that the GPU refuses this worker's process from now on. `notes`
    are for people: what went wrong beside training. `rates` answers a probe: examples per second at each
    width that was worth measuring. `output` is what commands printed, as far as it is kept.
    """

    number: int
    reports: tuple[Report, ...] = ()
    finished: tuple[RunId, ...] = ()
    failures: tuple[RunFailure, ...] = ()
    snapshots: tuple[Snapshot, ...] = ()
    spent: Mapping[RunId, Spent] = field(default_factory=dict)
    turn_s: float = 0.0
    error: str | None = None
    out_of_memory: bool = False
    device_lost: bool = False
    rates: Mapping[int, float] | None = None
    notes: tuple[str, ...] = ()
    output: Mapping[RunId, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class SlotJoined:
    """A worker is ready; `round_trip_s` is how long an empty call to it takes.

    `memory_bytes` is what it may use, 0 where that is unknown.
    """

    slot: str
    host: str
    chip: str
    round_trip_s: float
    memory_bytes: int = 0


class Loss(StrEnum):
    """What went away: a lost process may be its trials' doing, a lost node is not."""

    PROCESS = "process"
    NODE = "node"


@dataclass(frozen=True)
class SlotLost:
    """A worker is gone, with all that it held."""

    slot: str
    loss: Loss
    reason: str


@dataclass(frozen=True)
class SlotReclaimed:
    """A worker is to end once its runs are saved, or after `within_s` seconds; `reason` says what for."""

    slot: str
    reason: str
    within_s: float


@dataclass(frozen=True)
class TurnDone:
    """A turn has come back."""

    slot: str
    result: TurnResult
