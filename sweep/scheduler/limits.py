"""What the scheduler goes by in one session: the budget, the objectives, what may run at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from sweep.vocabulary.trial import Length
from sweep.vocabulary.turn import Saving


class Constraint(NamedTuple):
    """A metric or an entry of the ledger must lie between `low` and `high`; None: no end there."""

    name: str
    low: float | None
    high: float | None


class Aim(NamedTuple):
    """An objective: its metric, and which of a trial's reports make its value; a number: the last so many."""

    metric: str
    minimize: bool = True
    of: Literal["last", "best"] | int = "last"

    def reports(self, values: Sequence[float]) -> Sequence[int]:
        """Which of the reports count, by their places; the metric's value is their mean."""
        if isinstance(self.of, int):
            return range(max(0, len(values) - self.of), len(values))
        finite = [place for place, value in enumerate(values) if math.isfinite(value)]
        if self.of == "last" or not finite:
            return [len(values) - 1]
        return [min(finite, key=lambda place: values[place] if self.minimize else -values[place])]


class Patience(NamedTuple):
    """A trial ends after so many reports that were not better by more than `min_delta`."""

    reports: int
    min_delta: float


@dataclass(frozen=True)
class Limits:
    """What the scheduler goes by; it changes in a session only where a person asks for it.

    `trials` is the budget in total; `told` counts those that earlier sessions ended; `objectives` say
    what a trial's values are made of. `width` is the number of lanes of a slot, None to measure it; `slots`
    is how many are expected, `programs` how many programs there are; with `ahead`, proposals do not depend
    on results, so that a large store of them costs nothing. `prunes` says whether there is a pruner,
    `rungs` from how many examples on it may prune at a trial's next report, None at any. `max_losses` bounds
    how often in a row, with no report in between, a run may take its worker with it; `grace_s` is added to a
    time-out before a silent worker is given up. `retries` is how often a run that failed by itself is tried
    again, with no report in between; after `stop_after` trials in a row that broke the study stops, None
    never. `interval` is how far members of a population train between two decisions, in examples; with
    `together` they wait for each other there. `stop_s` is how long after an interruption turns may still come
    back. `saving` is how workers save their runs where that was changed since they started; `keeps` says that
    checkpoints of complete trials stay, so that their ends wait for them.

    `in_order` says that nothing may depend on what arrives first. Then a trial is asked for once all up to
    `lag` numbers before it have ended, None where that need not be; numbers below `asked` were asked for by
    earlier sessions. `compares_running` says that the pruner compares trials that run, at rungs.
    """

    trials: int
    objectives: tuple[Aim, ...]
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
    retries: int = 0
    stop_after: int | None = None
    patience: Patience | None = None
    interval: int | None = None
    together: bool = False
    grace_s: float = 60.0
    stop_s: float = math.inf
    saving: Saving | None = None
    keeps: bool = False
    in_order: bool = False
    lag: int | None = None
    asked: int = 0
    compares_running: bool = False

    def evolves(self, length: Length, examples: int) -> bool:
        """Whether a member of a population is decided on at this boundary."""
        return self.interval is not None and examples % self.interval == 0 and examples < length.examples

    def is_verdict_due(self, length: Length, examples: int) -> bool:
        """Whether what becomes of a trial depends on the report of this boundary."""
        return self.may_prune(length, examples) or self.evolves(length, examples)

    def may_prune(self, length: Length, examples: int) -> bool:
        """Whether a trial may be pruned at the report of this boundary."""
        return self.prunes and examples < length.examples and self.at_rung(length, examples)

    def at_rung(self, length: Length, examples: int) -> bool:
        """Whether the report of this boundary is the first to have passed a rung; without rungs each is."""
        if length.open:  # it reports when it likes: any report may have passed a rung
            return True
        before = examples - length.report_every
        return self.rungs is None or any(before < rung <= examples for rung in self.rungs)
