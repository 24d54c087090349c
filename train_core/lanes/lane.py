"""One run's place in its training: counts, boundaries and indices, all on the host; no arrays of MLX.

Positions are counted in micro-batches. The last one is cut so that exactly `length.examples` are seen.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Self

from train_core.data.index_sampler import IndexSampler
from train_core.data.sources import Indices


@dataclass(frozen=True)
class Length:
    """How long a run trains and how often it reports, both in examples seen.

    `horizon` is where its learning-rate schedule ends, None for the run's own end; beyond it the rate stays.
    """

    examples: int
    report_every: int
    horizon: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.report_every <= self.examples:
            raise ValueError(f"report_every must be > 0 and <= examples, got {self}")


@dataclass(frozen=True)
class Begun:
    """Since when a run has its hyperparameters: the micro-batches and updates before, from the run's start.

    `holds` says that the accumulation buffer was not empty then.
    """

    micro_batches: int = 0
    updates: int = 0
    holds: bool = False

    @classmethod
    def after(cls, stretches: Iterable[tuple[int, int]]) -> Self:
        """Where a run stands after stretches: each its end in micro-batches, and its accumulation steps."""
        begun = cls()
        for until, accumulation_steps in stretches:
            updates = until // accumulation_steps - begun.micro_batches // accumulation_steps
            holds = until % accumulation_steps > 0
            begun = cls(until, begun.updates + updates, holds)
        return begun


START = Begun()
"""Hyperparameters that hold from the beginning."""


@dataclass
class LaneRun:
    """A run that is loaded: where it stands and what its next micro-batches are.

    Where its hyperparameters were changed, `begun` is the last change.
    """

    sampler: IndexSampler
    length: Length
    micro_batch_size: int
    accumulation_steps: int
    done: int = 0
    begun: Begun = START
    total: int = field(init=False)

    def __post_init__(self) -> None:
        self.total = -(-self.length.examples // self.micro_batch_size)

    @property
    def finished(self) -> bool:
        return self.done >= self.total

    @property
    def total_updates(self) -> int:
        return self._since_begun(-(-self.total // self.accumulation_steps))

    @property
    def scheduled_updates(self) -> int:
        """Updates that the learning-rate schedule stretches over."""
        if self.length.horizon is None:
            return self.total_updates
        micro_batches = -(-self.length.horizon // self.micro_batch_size)
        return self._since_begun(-(-micro_batches // self.accumulation_steps))

    @property
    def updates(self) -> int:
        """Optimizer updates so far, that of a partial accumulation at the end included."""
        if self.finished:
            return self.total_updates
        return self._since_begun(self.done // self.accumulation_steps)

    def _since_begun(self, updates: int) -> int:
        """Updates from the run's start, where so many would be made with these hyperparameters all along."""
        return self.begun.updates + updates - self.begun.micro_batches // self.accumulation_steps

    @property
    def holds(self) -> bool:
        """Whether the accumulation buffer is not empty."""
        if self.done == self.begun.micro_batches:
            return self.begun.holds
        return self.done % self.accumulation_steps > 0 and not self.finished

    def changed(self, accumulation_steps: int) -> LaneRun:
        """Return the same run with another accumulation from here on."""
        begun = Begun(self.done, self.updates, self.holds)
        return replace(self, accumulation_steps=accumulation_steps, begun=begun)

    @property
    def reports(self) -> int:
        """Boundaries reached so far."""
        if self.finished:
            return -(-self.length.examples // self.length.report_every)
        return self.done * self.micro_batch_size // self.length.report_every

    @property
    def at_boundary(self) -> bool:
        """Whether the micro-batch done last reached a boundary, or none was done."""
        before = (self.done - 1) * self.micro_batch_size // self.length.report_every
        return self.done == 0 or self.finished or self.reports > before

    def boundary(self, report: int) -> int:
        """Return the nominal boundary of a report (from 1 on), in examples."""
        return min(report * self.length.report_every, self.length.examples)

    def to_next_report(self) -> int:
        """Return how many micro-batches reach the next boundary; 0 when finished."""
        if self.finished:
            return 0
        return -(-self.boundary(self.reports + 1) // self.micro_batch_size) - self.done

    def wanted(self, steps: int) -> tuple[IndexSampler, int, int]:
        """Return what `indices` will take from the sampler."""
        return self.sampler, self.done * self.micro_batch_size, steps * self.micro_batch_size

    def indices(self, steps: int) -> Indices:
        """Return the examples of the next micro-batches, (steps, micro_batch_size)."""
        sampler, position, count = self.wanted(steps)
        return sampler.take(position, count).reshape(steps, self.micro_batch_size)
