"""Which members copy which: decided from the values known at a boundary, without waiting for others."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from random import Random
from typing import NamedTuple

import numpy as np

from runlog.lineage import Change, Lineage, Stretch
from sweep.search.pbt.explore import explored
from sweep.spec.population.settings import interval_of, micro_batch_size, population_of
from sweep.spec.schema import StudySpec
from sweep.spec.task_description import Description
from sweep.vocabulary.trial import Report


class Standing(NamedTuple):
    """A member at a boundary, in examples, and what it reported there."""

    number: int
    examples: int
    value: float


class Decided(NamedTuple):
    """What becomes of members that reached a boundary: those that `lead` may be copied by others."""

    judged: tuple[tuple[int, int], ...]
    changes: tuple[Change, ...]
    leading: frozenset[int]


class Decisions:
    """Decides by truncation: a member of the worst part takes the state of one of the best part.

    Compared are the values at the same number of examples, of as many members as have come so far. What is
    decided follows from those, the seed, the member and the boundary.
    """

    def __init__(self, spec: StudySpec, description: Description, lineage: Lineage) -> None:
        settings, interval = population_of(spec), interval_of(spec, description)
        assert settings is not None, "the study has a population"
        assert interval is not None, "the study has a population"
        self.interval = interval
        self.lineage = lineage
        self._settings = settings
        self._space = spec.space
        self._seed = spec.seed
        self._metric = spec.objective[0].metric
        self._sign = 1.0 if spec.objective[0].direction == "minimize" else -1.0
        self._micro_batch = micro_batch_size(spec)
        self._costs: dict[int, dict[int, float]] = {}

    def enter_reports(self, reports: Iterable[Report]) -> None:
        """Enter what earlier sessions reported."""
        for report in reports:
            self._enter(report.trial, report.examples, report.metrics.get(self._metric, math.nan))

    def decide(self, standing: Sequence[Standing]) -> Decided:
        """Enter the values of members that arrived together, then decide on each, in number order."""
        due = sorted(each for each in standing if each.examples % self.interval == 0)
        for each in due:
            self._enter(each.number, each.examples, each.value)
        judged = tuple((each.number, each.examples) for each in due)
        leading = frozenset(each.number for each in due if each.number in self._parts(each.examples)[0])
        changes = tuple(change for each in due if (change := self._change(each)) is not None)
        self.lineage.judged.update(judged)
        for change in changes:
            self.lineage.enter(change)
        return Decided(judged, changes, leading)

    def _enter(self, number: int, examples: int, value: float) -> None:
        if examples % self.interval == 0:
            cost = self._sign * value if math.isfinite(value) else math.inf
            self._costs.setdefault(examples, {})[number] = cost

    def _parts(self, examples: int) -> tuple[list[int], list[int]]:
        """The best members and the worst ones there; none where too few are known."""
        costs = self._costs[examples]
        ranked = sorted(costs, key=lambda number: (costs[number], number))
        size = int(len(ranked) * self._settings.quantile)
        return ranked[:size], ranked[len(ranked) - size :]

    def _change(self, member: Standing) -> Change | None:
        best, worst = self._parts(member.examples)
        if member.number not in worst:
            return None
        seed = np.random.SeedSequence([self._seed, member.number, member.examples])
        chance = Random(int.from_bytes(seed.generate_state(4).tobytes(), "little"))
        source = chance.choice(best)
        stretch = self._before(source, member.examples)
        return Change(
            trial=member.number,
            examples=member.examples,
            seen=stretch.until,
            source=source,
            before=dict(self._before(member.number, member.examples).hyperparameters),
            after=explored(self._space, stretch.hyperparameters, self._settings, chance),
        )

    def _before(self, number: int, examples: int) -> Stretch:
        """What a member trained last before it was decided on at a boundary."""
        seen = -(-examples // self._micro_batch) * self._micro_batch
        return self.lineage.until(number, seen)[-1]
