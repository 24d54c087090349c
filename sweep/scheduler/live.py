"""Live trials: asked and not told, with one run per replicate."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Self

from sweep.vocabulary.trial import UNBOUNDED, Length, Outcome, Report, RunId, Signature, Snapshot, TrialPlan
from sweep.vocabulary.turn import Spent

ONLY = 0
"""The replicate of a trial that is one run, as a member of a population is."""


class QueueKey(NamedTuple):
    """Runs that may share a population: one program, one limit on the width (None: the usual)."""

    signature: Signature
    limit: int | None = None


class Failure(NamedTuple):
    """Why a run failed; `diverged` where its loss was not finite."""

    reason: str
    diverged: bool


class Arrived(NamedTuple):
    """A report that is not entered yet, and its run's lane time up to it, in seconds."""

    report: Report
    lane_s: float


@dataclass
class LiveRun:
    """One replicate of a live trial: in a queue, held by a slot, paused, or finished; one of them.

    field        changed by                      what holds
    key          faults (a halved limit)         the queue that it waits in, if it waits
    since        faults                          when it last began to wait, on the driver's clock
    recorded     transition                      reports written down or kept; at most `length.reports`
    reported     transition                      where the last of them stands, in examples
    latest       transition                      what it holds
    checkpoint   transition                      the last one collected; never beyond what is recorded
    slot         turns (load), faults, transition   the slot that holds it, None in a queue or finished
    attempt      faults                          grows by one whenever the run is sent elsewhere
    losses       faults, transition (back to 0)  workers lost with it alone, since its last report
    retried      faults, transition (back to 0)  times that it was tried again, since its last report
    finished     transition, endings             all its reports are recorded, or it failed
    waiting      turns                           it stands in `State.waiting[key]`, once
    final        transition, endings             it was saved at its end, or should have been
    failure      endings                         in a fixed order: why it failed, until its trial is told
    lane_s       transition                      its own lane time over all attempts, in seconds
    """

    id: RunId
    key: QueueKey
    length: Length
    since: float
    recorded: int = 0
    reported: int = 0
    latest: Mapping[str, float] = field(default_factory=dict)
    checkpoint: Snapshot | None = None
    slot: str | None = None
    attempt: int = 0
    losses: int = 0
    retried: int = 0
    finished: bool = False
    waiting: bool = False
    final: bool = False
    failure: Failure | None = None
    lane_s: float = 0.0

    @property
    def seen(self) -> int:
        """Where its last collected checkpoint stands, in examples."""
        return self.checkpoint.examples if self.checkpoint else 0

    def reports_left(self) -> int:
        """How many advances it takes from its checkpoint to the end; of an open length not known."""
        if self.length.open:
            return UNBOUNDED
        return self.length.reports - self.length.boundaries(self.seen)

    def expected(self) -> int:
        """The boundary of the next report to be written down; of an open length the earliest."""
        if self.length.open:
            return self.reported + 1
        return min((self.recorded + 1) * self.length.report_every, self.length.examples)

    def is_new(self, examples: int) -> bool:
        """Whether a report there is the next to be written down, and repeats none that was."""
        if self.length.open:
            return examples >= self.expected()
        return self.recorded < self.length.reports and examples == self.expected()

    def is_ahead(self, examples: int) -> bool:
        """Whether what it trained up to there was not written down before."""
        return (self.length.open or self.recorded < self.length.reports) and examples >= self.expected()

    def enter(self, report: Report) -> None:
        """Count a report that was written down."""
        self.recorded += 1
        self.reported, self.latest = report.examples, report.metrics


class Boundary(NamedTuple):
    """Means over replicates, and each replicate's own metrics."""

    means: Mapping[str, float]
    each: tuple[Mapping[str, float], ...]

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, float]]) -> Self:
        """The replicates' metrics, in their order."""
        each = tuple(rows)
        return cls(mean_metrics(each), each)


@dataclass
class LiveTrial:
    """A trial that is asked and not told.

    field        changed by            what holds
    runs         (fixed)               one a replicate, not all of them finished
    boundaries   transition            reports of boundaries that some but not all replicates have reached
    passed       transition            what was reported at each boundary that all replicates have reached
    rows         in_order              in a fixed order: reports kept so far, by boundary and replicate
    entered      in_order, transition  the last boundary that was entered, in examples
    awaits       in_order              the boundary that was entered and is not judged
    is_judged    in_order              its verdict is asked for
    best         endings               the least cost so far that patience goes by
    stalled      endings               reports since then
    ledger       turns, transition, faults   where its time went, in seconds, beside counts
    outcome      endings               what it has come to, where it runs again for a checkpoint that was lost
    """

    plan: TrialPlan
    runs: dict[int, LiveRun]
    boundaries: dict[int, dict[int, Mapping[str, float]]] = field(default_factory=dict)
    passed: list[Boundary] = field(default_factory=list)
    rows: dict[int, dict[int, Arrived]] = field(default_factory=dict)
    entered: int = 0
    awaits: int | None = None
    is_judged: bool = False
    best: float = math.inf
    stalled: int = 0
    ledger: dict[str, float] = field(default_factory=dict)
    outcome: Outcome | None = None

    def add(self, name: str, amount: float) -> None:
        """Enter an amount in the ledger."""
        self.ledger[name] = self.ledger.get(name, 0.0) + amount

    def spend(self, spent: Spent, *, lost: bool) -> None:
        """Enter one turn's time; `lost` where its work was done before or is not wanted any more."""
        ledger = self.ledger  # of every report of every lane: `add` for each amount takes three times as long
        known = ledger.get
        if lost:
            ledger["lost_s"] = known("lost_s", 0.0) + (spent.train_s + spent.evaluate_s)
        else:
            ledger["train_s"] = known("train_s", 0.0) + spent.train_s
            ledger["evaluate_s"] = known("evaluate_s", 0.0) + spent.evaluate_s
            ledger["examples"] = known("examples", 0.0) + spent.examples
        ledger["compile_s"] = known("compile_s", 0.0) + spent.compile_s
        ledger["checkpoint_s"] = known("checkpoint_s", 0.0) + spent.checkpoint_s
        ledger["idle_s"] = known("idle_s", 0.0) + spent.idle_s
        ledger["traces"] = known("traces", 0.0) + spent.traces
        if spent.cpu_s:  # of a command; nothing else is measured so
            ledger["cpu_s"] = known("cpu_s", 0.0) + spent.cpu_s
        ledger["peak_memory_bytes"] = max(known("peak_memory_bytes", 0.0), spent.peak_memory_bytes)

    def enter_report(self, report: Report) -> Boundary | None:
        """What was reported at this boundary, once the last of the replicates has reached it."""
        if len(self.runs) == 1:  # of every report of every lane: the shortest way
            self.passed.append(Boundary(report.metrics, (report.metrics,)))
            return self.passed[-1]
        here = self.boundaries.setdefault(report.examples, {})
        here[report.replicate] = report.metrics
        if len(here) < len(self.runs):
            return None
        del self.boundaries[report.examples]
        self.passed.append(Boundary.of(here[replicate] for replicate in sorted(here)))
        return self.passed[-1]

    def level(self) -> None:
        """Where runs of an open length ended apart from one another, their last reports count together."""
        ends = {run.reported for run in self.runs.values()}
        if len(ends) > 1 and all(run.latest for run in self.runs.values()):
            self.boundaries.clear()
            self.passed.append(Boundary.of(self.runs[replicate].latest for replicate in sorted(self.runs)))

    def finals(self) -> dict[int, int]:
        """Where runs ended that were saved there or should have been, by replicate, in examples."""
        return {replicate: run.reported for replicate, run in self.runs.items() if run.final}

    @property
    def finished(self) -> bool:
        """Whether all its runs are."""
        return all(run.finished for run in self.runs.values())


def mean_metrics(reports: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each metric that all replicates have; one replicate's values stay bit for bit."""
    rows = list(reports)
    if len(rows) == 1:
        return dict(rows[0])
    shared = [name for name in rows[0] if all(name in row for row in rows)]
    return {name: sum(row[name] for row in rows) / len(rows) for name in shared}
