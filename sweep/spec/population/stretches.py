"""Where a run stands in the stretches of its plan, and which states are of its lineage."""

from __future__ import annotations

from collections.abc import Iterator

from sweep.vocabulary.trial import TrialPlan


def place_to(plan: TrialPlan, seen: int) -> int:
    """The stretch in which so many examples were seen: at its end it is that stretch still."""
    return sum(each.until < seen for each in plan.past)


def place_after(plan: TrialPlan, seen: int) -> int:
    """The stretch that trains what follows so many examples."""
    return sum(each.until <= seen for each in plan.past)


def is_own(plan: TrialPlan, seen: int) -> bool:
    """Whether the state at so many examples is one that the trial itself has had, to be saved as its own.

    At the very beginning of its last stretch it is not: what has the trial's name there is from before.
    A trial that replays a lineage has all of it.
    """
    return not plan.past or plan.key_number is not None or seen > plan.past[-1].until


def is_passed(plan: TrialPlan, trial: int, seen: int) -> bool:
    """Whether the state that a trial had at so many examples is one of the plan's lineage."""
    if not plan.past or plan.key_number is not None:
        return trial == plan.number
    return trial == plan.stretches[place_to(plan, seen)].trial


def accumulations(plan: TrialPlan, place: int, micro_batch_size: int) -> Iterator[tuple[int, int]]:
    """The stretches before one: the micro-batches at the end of each, and its accumulation steps."""
    for each in plan.past[:place]:
        steps = each.hyperparameters.get("accumulation_steps", 1)
        yield each.until // micro_batch_size, int(steps)
