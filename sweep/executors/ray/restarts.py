"""When a lost worker is replaced: how often in a row, and after which wait. Plain values, no Ray."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from typing import NamedTuple

from sweep.errors import SweepError
from sweep.executors.ray.nodes import RayNode

MAX_STARTS_IN_A_ROW = 5
"""How many workers of a node may end before their first turn: what is wrong there stays wrong."""

MAX_RESTARTS_IN_A_ROW = 20
"""How many may end before a turn is done.

More than a trial may lose alone, and before that in company: a trial that crashes its worker fails, the study
does not.
"""


class RestartPolicy:
    """Counts workers that end in a row, by node; a finished turn sets its node's count back."""

    def __init__(self) -> None:
        self._starts: Counter[str] = Counter()
        self._restarts: Counter[str] = Counter()

    def allows(self, node: str, reason: str, *, had_turns: bool, others: Collection[str]) -> bool:
        """Count a worker that ended, and say whether to start another on its node.

        Raises SweepError where it is one too many and none of the `others` may start workers either.
        """
        counted = self._restarts if had_turns else self._starts
        most = MAX_RESTARTS_IN_A_ROW if had_turns else MAX_STARTS_IN_A_ROW
        counted[node] += 1
        times = counted[node]
        if times <= most:
            return True
        if any(counted[other] <= most for other in others):
            return False
        raise SweepError(
            f"workers crashed {times} times in a row before completing a step. Last error: {reason}. "
            "Recorded results are safe; fix the cause and run the same command to resume"
        )

    def turn_done(self, node: str) -> None:
        self._forget((node, ""))

    def forget_all(self) -> None:
        """Start counting from 0: a worker is replaced because the scheduler asks for it."""
        self._forget(self._starts.keys() | self._restarts.keys())

    def _forget(self, nodes: Iterable[str]) -> None:
        for node in nodes:
            self._starts.pop(node, None)
            self._restarts.pop(node, None)


class SuspectedLoss(NamedTuple):
    """An actor ended at `since`; the next snapshot of the cluster tells whether its node did too."""

    since: float
    reason: str


class DelayedStart(NamedTuple):
    """A worker to start once its node is seen alive at `at` or later."""

    at: float
    node: RayNode
    place: int


class DelayedStarts:
    """Workers that wait for their node to be seen alive: asking Ray for one where no head answers blocks."""

    def __init__(self) -> None:
        self._waiting: list[DelayedStart] = []

    def add(self, start: DelayedStart) -> None:
        self._waiting.append(start)

    def due(self, now: float) -> list[float]:
        """The moments of all that are due by `now`."""
        return [start.at for start in self._waiting if start.at <= now]

    def take(self, seen_at: float, nodes: Collection[str]) -> list[DelayedStart]:
        """Those that are due at `seen_at`, removed from here; those of nodes that left are dropped."""
        living = [start for start in self._waiting if start.node.id in nodes]
        self._waiting = [start for start in living if start.at > seen_at]
        return [start for start in living if start.at <= seen_at]
