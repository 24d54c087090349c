"""One run's place in its training: counts, boundaries and indices, all on the host; no arrays of MLX.

Positions are counted in micro-batches. The last one is cut so that exactly `length.examples` are seen.
"""

from __future__ import annotations

from dataclasses import dataclass, field

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


@dataclass
class LaneRun:
    """A run that is loaded: where it stands and what its next micro-batches are."""

    sampler: IndexSampler
    length: Length
    micro_batch_size: int
    accumulation_steps: int
    done: int = 0
    total: int = field(init=False)

    def __post_init__(self) -> None:
        self.total = -(-self.length.examples // self.micro_batch_size)

    @property
    def finished(self) -> bool:
        return self.done >= self.total

    @property
    def total_updates(self) -> int:
        return -(-self.total // self.accumulation_steps)

    @property
    def scheduled_updates(self) -> int:
        """Updates that the learning-rate schedule stretches over."""
        if self.length.horizon is None:
            return self.total_updates
        micro_batches = -(-self.length.horizon // self.micro_batch_size)
        return -(-micro_batches // self.accumulation_steps)

    @property
    def updates(self) -> int:
        """Optimizer updates so far, that of a partial accumulation at the end included."""
        return self.total_updates if self.finished else self.done // self.accumulation_steps

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
