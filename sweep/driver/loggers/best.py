"""The best trial so far, for loggers that show one; with several objectives none is."""

from __future__ import annotations

from collections.abc import Sequence

from runlog.ranking import Cost, cost
from runlog.study import TrialRow


class Best:
    """Follows the ends of trials in the log's order."""

    def __init__(self, directions: Sequence[str]) -> None:
        self._directions = directions
        self._cost: Cost | None = None
        self.row: TrialRow | None = None

    def enter(self, row: TrialRow) -> None:
        """A trial has ended."""
        found = cost(row, self._directions)
        if found is None or len(found) > 1 or (self._cost is not None and found >= self._cost):
            return
        self._cost, self.row = found, row

    @property
    def value(self) -> float | None:
        """Its value."""
        return None if self.row is None or self.row.values is None else self.row.values[0]
