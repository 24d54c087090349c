"""Which members copy which at a boundary: three rules over the costs and ages of those that are there.

truncation   one of the worst part copies one of the best (Jaderberg et al., 2017)
tournament   each meets another, drawn, and copies it if that is better: an asynchronous evolutionary search
oldest       those whose state is their own for longest copy the best of a few drawn: regularised evolution
             (Real et al., 2019), in which nothing survives for having been lucky once
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

DRAWN = 4
"""Of so many the best is copied under `oldest`."""


def source_of(
    number: int,
    costs: Mapping[int, float],
    ages: Mapping[int, int],
    *,
    select: str,
    quantile: float,
    chance: Random,
) -> int | None:
    """Whom a member copies; None where it keeps its state. `ages` in examples; only `oldest` needs them."""
    ranked = sorted(costs, key=lambda each: (costs[each], each))
    size = int(len(ranked) * quantile)
    others = [each for each in ranked if each != number]
    if select == "tournament":
        other = chance.choice(others) if others else number
        return other if costs[other] < costs[number] else None
    if not size:
        return None
    if select == "oldest":
        eldest = sorted(ranked, key=lambda each: (-ages[each], -costs[each], each))[:size]
        if number not in eldest:
            return None
        return min(chance.sample(others, min(DRAWN, len(others))), key=lambda each: (costs[each], each))
    return chance.choice(ranked[:size]) if number in ranked[len(ranked) - size :] else None


def leading(costs: Mapping[int, float], *, select: str, quantile: float) -> frozenset[int]:
    """Those that others are likely to copy."""
    ranked = sorted(costs, key=lambda each: (costs[each], each))
    share = quantile if select == "truncation" else 0.5
    return frozenset(ranked[: int(len(ranked) * share)])
