"""Which members copy which: decided from the values known at a boundary, without waiting for others."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from random import Random
from typing import NamedTuple

import numpy as np

from runlog.lineage import Change, Lineage, Stretch
from sweep.search.pbt import selection
from sweep.search.pbt.bandit import MOST, Bandit, Gain
from sweep.search.pbt.explore import explored
from sweep.spec.population.settings import interval_of, micro_batch_size, population_of
from sweep.spec.schema import StudySpec
from sweep.spec.task_description import Description
from sweep.vocabulary.trial import Report, Scalar


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
    """Decides which members take the state of another, and with which hyperparameters.

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
        self._bandits: dict[int, Bandit] = {}

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
        leading = frozenset(each.number for each in due if each.number in self._leading(each.examples))
        changes: list[Change] = []
        self._bandits.clear()
        for each in due:
            change = self._change(each, [other for other in changes if other.examples == each.examples])
            changes += [] if change is None else [change]
        self.lineage.judged.update(judged)
        for change in changes:
            self.lineage.enter(change)
        return Decided(judged, tuple(changes), leading)

    def _enter(self, number: int, examples: int, value: float) -> None:
        if examples % self.interval == 0:
            cost = self._sign * value if math.isfinite(value) else math.inf
            self._costs.setdefault(examples, {})[number] = cost

    def _leading(self, examples: int) -> frozenset[int]:
        settings = self._settings
        return selection.leading(self._costs[examples], select=settings.select, quantile=settings.quantile)

    def _change(self, member: Standing, others: Sequence[Change]) -> Change | None:
        """What becomes of a member; `others` change at the same boundary."""
        seed = np.random.SeedSequence([self._seed, member.number, member.examples])
        chance = Random(int.from_bytes(seed.generate_state(4).tobytes(), "little"))
        source = self._source(member, chance)
        if source is None:
            return None
        stretch = self._before(source, member.examples)
        return Change(
            trial=member.number,
            examples=member.examples,
            seen=stretch.until,
            source=source,
            before=dict(self._before(member.number, member.examples).hyperparameters),
            after=self._explored(stretch.hyperparameters, member.examples, others, chance),
        )

    def _source(self, member: Standing, chance: Random) -> int | None:
        costs, settings = self._costs[member.examples], self._settings
        is_by_age = settings.select == "oldest"
        ages = {number: self._age(number, member.examples) for number in costs} if is_by_age else {}
        return selection.source_of(
            member.number, costs, ages, select=settings.select, quantile=settings.quantile, chance=chance
        )

    def _explored(
        self, near: Mapping[str, Scalar], examples: int, others: Sequence[Change], chance: Random
    ) -> dict[str, Scalar]:
        found = explored(self._space, near, self._settings, chance)
        if self._settings.explore == "perturb":
            return found
        if examples not in self._bandits:
            self._bandits[examples] = Bandit(self._space, self._gains(examples))
        pending = [change.after for change in others]
        return found | self._bandits[examples].proposed(pending, examples // self.interval + 1, chance)

    def _gains(self, examples: int) -> list[Gain]:
        """What the latest intervals up to a boundary brought, as far as the bandit looks back."""
        found: list[Gain] = []
        for end in range(examples, self.interval, -self.interval):
            costs, before = self._costs.get(end, {}), self._costs.get(end - self.interval, {})
            for number in sorted(costs):
                stretches = self.lineage.until(number, self._seen(end))
                origin = number if len(stretches) < 2 else stretches[-2].trial
                copied = len(stretches) > 1 and stretches[-2].until == self._seen(end - self.interval)
                cost = before.get(origin if copied and origin is not None else number, math.inf)
                gain = _relative(cost, costs[number])
                found.append(Gain(stretches[-1].hyperparameters, end // self.interval, gain))
            if len(found) >= MOST:
                break
        return found[::-1]

    def _age(self, number: int, examples: int) -> int:
        """How long a member's state was its own when it came to a boundary, in examples."""
        stretches = self.lineage.until(number, self._seen(examples))
        return self._seen(examples) - (stretches[-2].until if len(stretches) > 1 else 0)

    def _seen(self, examples: int) -> int:
        """How many examples a member has seen at a boundary, in whole micro-batches."""
        return -(-examples // self._micro_batch) * self._micro_batch

    def _before(self, number: int, examples: int) -> Stretch:
        """What a member trained last before it was decided on at a boundary."""
        return self.lineage.until(number, self._seen(examples))[-1]


def _relative(before: float, after: float) -> float:
    """By how much a cost fell, between -1 and 1 whatever its scale; NaN where one is not finite."""
    if not math.isfinite(before) or not math.isfinite(after):
        return math.nan
    return (before - after) / (abs(before) + abs(after) or 1.0)
