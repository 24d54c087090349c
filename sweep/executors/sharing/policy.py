"""Which study may hold how many slots of which node: a pure function of what the studies claim.

Studies of higher priority come first, but each has one slot before any has two. Above that, studies of equal
priority share by weight: the next slot goes to the one that has least for its weight (D'Hondt's method). Not
every study may use every node, so a study may have to leave one node for another that only it can use: slots
are moved along shortest augmenting paths, which moves as few as can be.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import NamedTuple

Slots = Mapping[str, int]
"""So many slots, by the name of the node."""


@dataclass(frozen=True)
class Claim:
    """What one study asks for.

    `nodes` are those that it may use, `wants` is how many slots it has work for, `held` what it has, `idle`
    what of that does nothing. Of studies that are equal otherwise the one with the least `since` comes first;
    in seconds on one clock.
    """

    study: str
    nodes: frozenset[str]
    wants: float = inf
    held: Slots = field(default_factory=dict)
    idle: Slots = field(default_factory=dict)
    priority: int = 0
    weight: float = 1.0
    max_slots: int | None = None
    since: float = 0.0

    @property
    def most(self) -> float:
        """How many slots it can have at most."""
        return self.wants if self.max_slots is None else min(self.wants, self.max_slots)

    @property
    def rank(self) -> tuple[int, float, str]:
        """Its place in the order of studies; the least is the first."""
        return -self.priority, self.since, self.study


def allot(slots: Slots, claims: Iterable[Claim]) -> dict[str, dict[str, int]]:
    """The slots of each study by node; those that it holds are kept where that is possible."""
    ranked = sorted(claims, key=lambda claim: claim.rank)
    counts = _counts(slots, ranked)
    places = _Places(slots, ranked)
    places.keep(counts)
    for claim in ranked:
        while places.count(claim) < counts[claim.study] and places.add(claim):
            pass
    places.cut(counts)
    return {claim.study: dict(sorted((+places.given[claim.study]).items())) for claim in ranked}


def _counts(slots: Slots, ranked: Sequence[Claim]) -> dict[str, int]:
    """How many slots each study gets, wherever they are."""
    places = _Places(slots, ranked)
    for claim in ranked:
        if claim.most >= 1:
            places.add(claim)
    for priority in sorted({claim.priority for claim in ranked}, reverse=True):
        open_ = [claim for claim in ranked if claim.priority == priority]
        while open_ := [claim for claim in open_ if places.count(claim) + 1 <= claim.most]:
            poorest = min(open_, key=lambda claim: (places.count(claim) + 1) / claim.weight)
            if not places.add(poorest):
                open_.remove(poorest)
    return {claim.study: places.count(claim) for claim in ranked}


class _Places:
    """Slots given out so far. A study that is given more than its count may lose a slot to another."""

    def __init__(self, slots: Slots, ranked: Sequence[Claim]) -> None:
        self._ranked = ranked
        self.free = Counter({node: count for node, count in slots.items() if count > 0})
        self.given: dict[str, Counter[str]] = {claim.study: Counter() for claim in ranked}
        self._counts: Mapping[str, int] = {}

    def count(self, claim: Claim) -> int:
        """How many slots the study has."""
        return self.given[claim.study].total()

    def keep(self, counts: Mapping[str, int]) -> None:
        """Give each study what it holds of nodes that it may use, more than its count as well.

        What it has above its count and does nothing is free at once, so that no slot that trains goes for it.
        """
        self._counts = counts
        for claim in self._ranked:
            above = max(0, sum(claim.held.values()) - counts[claim.study])
            for node, held in sorted(claim.held.items()):
                spare = min(above, held, claim.idle.get(node, 0))
                above -= spare
                kept = min(held - spare, self.free[node]) if node in claim.nodes else 0
                self.given[claim.study][node] += kept
                self.free[node] -= kept

    def cut(self, counts: Mapping[str, int]) -> None:
        """Take from each study what it has above its count."""
        for claim in self._ranked:
            given = self.given[claim.study]
            while given.total() > counts[claim.study]:
                given[max(+given)] -= 1

    def add(self, claim: Claim) -> bool:
        """One more slot for the study, and none fewer for any other; False where there is none."""
        came: dict[str, _Step] = {}
        takers: deque[_Step] = deque([_Step(claim, None)])
        seen = {claim.study}
        while takers:
            step = takers.popleft()
            for node in self._preferred(step.taker):
                if node in came:
                    continue
                came[node] = step
                if self._vacate(node, claim):
                    self._move_along(came, node)
                    return True
                for holder in self._ranked:
                    if self.given[holder.study][node] > 0 and holder.study not in seen:
                        seen.add(holder.study)
                        takers.append(_Step(holder, node))
        return False

    def _preferred(self, claim: Claim) -> list[str]:
        """The nodes that the study may use: first what it holds, then what is free."""
        given = self.given[claim.study]
        return sorted(
            claim.nodes, key=lambda node: (given[node] >= claim.held.get(node, 0), self.free[node] <= 0, node)
        )

    def _vacate(self, node: str, claim: Claim) -> bool:
        """Take a slot of the node that is free, or that its study has above its count."""
        if self.free[node] > 0:
            self.free[node] -= 1
            return True
        for holder in self._ranked:
            given = self.given[holder.study]
            has_more = given.total() > self._counts.get(holder.study, inf)
            if has_more and given[node] > 0 and holder is not claim:
                given[node] -= 1
                return True
        return False

    def _move_along(self, came: Mapping[str, _Step], node: str) -> None:
        """Each study on the way takes the slot before it, and leaves its own to the one behind."""
        while True:
            step = came[node]
            self.given[step.taker.study][node] += 1
            if step.leaves is None:
                return
            node = step.leaves
            self.given[step.taker.study][node] -= 1


class _Step(NamedTuple):
    """A study that takes a slot, and the node on which it leaves one for it; None: it has one more."""

    taker: Claim
    leaves: str | None
