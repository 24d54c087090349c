"""Play many histories on all cores; the first that fail are made smaller and printed, to be played again."""

from __future__ import annotations

import argparse
import gc
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

from runlog import collector
from tests.seeds import add_jobs
from tests.simulation.checks import play
from tests.simulation.put_back import FAULTS, put_back
from tests.simulation.recipe import Recipe
from tests.simulation.shrinking import kind_of, shrink

BATCH = 100
"""Histories that a process plays before it says how they went."""

SHOWN = 3
"""So many kinds of failures are made smaller and printed."""


@dataclass
class Batch:
    """How some seeds went; `failed` holds the first seed of each kind of failure."""

    histories: int = 0
    sessions: int = 0
    steps: int = 0
    transitions: int = 0
    cpu_s: float = 0.0
    kinds: Counter[str] = field(default_factory=Counter)
    failed: dict[str, int] = field(default_factory=dict)

    def add(self, other: Batch) -> None:
        """Enter another's counts."""
        self.histories += other.histories
        self.sessions += other.sessions
        self.steps += other.steps
        self.transitions += other.transitions
        self.cpu_s += other.cpu_s
        self.kinds += other.kinds
        for kind, seed in other.failed.items():
            self.failed[kind] = min(seed, self.failed.get(kind, seed))

    def __str__(self) -> str:
        rate = self.histories / self.cpu_s if self.cpu_s else 0.0
        return (
            f"{self.histories} histories, {self.sessions} sessions, {self.steps} steps, "
            f"{self.transitions} transitions validated; {rate:.0f} histories a second and core; "
            f"{sum(self.kinds.values())} failed"
        )


def failure(recipe: Recipe) -> str | None:
    """How a recipe fails; None where it does not."""
    try:
        play(recipe)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        return kind_of(error)
    return None


def recipe_of(seed: int, *, in_order: bool) -> Recipe:
    """The history of a seed, or that of a study in a fixed order."""
    return Recipe.in_order_of_seed(seed) if in_order else Recipe.of_seed(seed)


def play_batch(start: int, stop: int, fault: str | None = None, *, in_order: bool = False) -> Batch:
    """Play the histories of some seeds, with a fault that is put back on purpose."""
    batch, began = Batch(), time.process_time()
    with collector.held_off(), put_back(fault):
        for seed in range(start, stop):
            batch.histories += 1
            try:
                history = play(recipe_of(seed, in_order=in_order))
            except Exception as error:
                kind = kind_of(error)
                batch.kinds[kind] += 1
                batch.failed.setdefault(kind, seed)
            else:
                batch.sessions += history.sessions
                batch.steps += history.steps
                batch.transitions += history.transitions
    gc.collect()
    batch.cpu_s = time.process_time() - began
    return batch


def batches(
    start: int, seeds: int, jobs: int, fault: str | None = None, *, in_order: bool = False
) -> Iterator[Batch]:
    """Play seeds in processes of their own, in the order in which they are done."""
    play_these = partial(play_batch, fault=fault, in_order=in_order)
    bounds = [(each, min(each + BATCH, start + seeds)) for each in range(start, start + seeds, BATCH)]
    if jobs == 1 or len(bounds) == 1:
        for first, stop in bounds:
            yield play_these(first, stop)
        return
    with ProcessPoolExecutor(jobs) as pool:
        try:
            yield from pool.map(play_these, *zip(*bounds, strict=True))
        finally:
            pool.shutdown(cancel_futures=True)


def show(recipe: Recipe, fault: str | None = None) -> Recipe:
    """Make a failing recipe smaller, and print it with its traceback and how to play it again."""
    smaller = shrink(recipe, failure)
    try:
        play(smaller)
    except Exception:
        traceback.print_exc()
    again = f"python -m tests.simulation{f' --with-fault {fault}' if fault else ''}"
    order = " --in-order" if recipe.lag is not None else ""
    print(f"seed {recipe.seed}, again: {again}{order} --start {recipe.seed} --seeds 1")
    print(f"smaller: {again} --replay '{smaller.as_text()}'", flush=True)
    return smaller


def replay(text: str, fault: str | None) -> int:
    """Play one recipe, with the scheduler's last transitions where it fails."""
    try:
        with put_back(fault):
            history = play(Recipe.of_text(text))
    except Exception:
        traceback.print_exc()
        return 1
    print(f"ends well after {history.sessions} sessions: {', '.join(history.ends)}")
    return 0


def find(given: argparse.Namespace) -> int:
    """Play until a fault that is put back is found; 0 where it is, and what found it ends well without it."""
    total = Batch()
    for batch in batches(given.start, given.seeds, given.jobs, given.with_fault):
        total.add(batch)
        if total.kinds:
            break
    else:
        print(f"fault {given.with_fault} was not found: {total}")
        return 1
    first = min(total.failed.values())
    with put_back(given.with_fault):
        smaller = show(Recipe.of_seed(first), given.with_fault)
    without = failure(smaller)
    print(f"without the fault the smaller one {'ends well' if without is None else f'fails, too: {without}'}")
    print(f"fault {given.with_fault} was found after {first - given.start + 1} histories")
    return 0 if without is None else 1


def main() -> int:
    """Play, and give 0 where every history ended well."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many histories; default: %(default)s")
    parser.add_argument("--start", type=int, default=0, help="the first seed; default: %(default)s")
    add_jobs(parser)
    parser.add_argument("--replay", metavar="RECIPE", help="play one recipe, as it was printed")
    parser.add_argument(
        "--with-fault", choices=list(FAULTS), help="put a fault of the past back, and play until it is found"
    )
    parser.add_argument("--in-order", action="store_true", help="studies in a fixed order")
    given = parser.parse_args()
    if given.replay is not None:
        return replay(given.replay, given.with_fault)
    if given.with_fault is not None:
        return find(given)
    total, said = Batch(), time.monotonic()
    for batch in batches(given.start, given.seeds, given.jobs, in_order=given.in_order):
        total.add(batch)
        if time.monotonic() - said > 10:
            said = time.monotonic()
            print(total, flush=True)
    for kind, seed in islice(sorted(total.failed.items(), key=lambda each: each[1]), SHOWN):
        print(f"\n{total.kinds[kind]} times: {kind}")
        show(recipe_of(seed, in_order=given.in_order))
    print(total)
    return 1 if total.kinds else 0


if __name__ == "__main__":
    sys.exit(main())
