"""Plain values about trials that pass between modules, processes and hosts; no logic, nothing to import."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from runlog.lineage import Stretch as Stretch
from runlog.report import Report as Report
from runlog.report import RunId as RunId
from runlog.snapshot import Snapshot as Snapshot

Scalar = bool | int | float | str | None
"""What a hyperparameter can be."""

Signature = tuple[tuple[str, Scalar], ...]
"""The static hyperparameters of a trial, sorted by name: equal signatures share a compiled program."""


@dataclass(frozen=True)
class Length:
    """How long a run trains and how often it reports, both in examples seen.

    `horizon` is where its schedule ends, None for the run's own end. An `open` length is that of a function
    or a command, which reports and ends when it likes: `examples` is where it is stopped, UNBOUNDED where
    nowhere, and `report_every` what pruners take for one report.
    """

    examples: int
    report_every: int
    horizon: int | None = None
    open: bool = False

    def boundaries(self, examples: int) -> int:
        """How many reports a run that has seen so many examples has given; not of an open length."""
        assert not self.open, "an open length has no boundaries"
        return self.reports if examples >= self.examples else examples // self.report_every

    @property
    def reports(self) -> int:
        """How many reports a whole run gives; of an open length at most."""
        return -(-self.examples // self.report_every)


UNBOUNDED = 2**53
"""The examples of an open length that ends by itself."""


@dataclass(frozen=True)
class TrialPlan:
    """What to train: the worker derives the trial's key from `seed` and `number`.

    A trial that extends another run's has that trial's key, `key_number`, and begins at the checkpoints
    in `start`, one a replicate. One whose state or hyperparameters changed on the way trained the stretches
    in `past` before it had the `hyperparameters`.
    """

    number: int
    seed: int
    hyperparameters: Mapping[str, Scalar]
    signature: Signature
    length: Length
    key_number: int | None = None
    start: Mapping[int, Snapshot] = field(default_factory=dict)
    past: tuple[Stretch, ...] = ()

    @property
    def own_key(self) -> int:
        """The trial whose key it has."""
        return self.number if self.key_number is None else self.key_number

    @property
    def stretches(self) -> tuple[Stretch, ...]:
        """All that it trains, the last until its end."""
        return (*self.past, Stretch(self.length.examples, self.own_key, self.hyperparameters))


class TrialState(StrEnum):
    """Optuna's names for how a trial ended."""

    COMPLETE = "COMPLETE"
    PRUNED = "PRUNED"
    FAIL = "FAIL"


LEDGER = (
    "queue_s", "compile_s", "train_s", "evaluate_s", "checkpoint_s", "idle_s", "lost_s", "examples", "traces",
    "peak_memory_bytes", "cpu_s",
)  # fmt: skip
"""What a trial's ledger holds."""


@dataclass(frozen=True)
class Outcome:
    """How a trial ended: `values` one an objective (None where there is none), `reason` for a failure.

    `ledger` says where its time went, in seconds, beside counts (examples, traces, bytes). `constraints`
    says by how much each is broken, at most 0 where it holds. `replicates` holds the values of all
    replicates for each objective, nothing where there is one replicate. `diverged` tells a FAIL whose loss or
    objective was not finite, which the sampler learns from, from one that broke.
    """

    number: int
    state: TrialState
    values: tuple[float, ...] | None = None
    reason: str | None = None
    ledger: Mapping[str, float | int | str] = field(default_factory=dict)
    constraints: Mapping[str, float] = field(default_factory=dict)
    replicates: tuple[tuple[float, ...], ...] = ()
    diverged: bool = False

    @property
    def feasible(self) -> bool:
        """Whether every constraint holds."""
        return all(excess <= 0 for excess in self.constraints.values())


BoundaryRow = tuple[int, tuple[float, ...]]
"""A boundary in examples, and a metric of each replicate there."""
