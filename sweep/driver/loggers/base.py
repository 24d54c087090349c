"""What a logger is. A new one of ours is one module in `ours`, one of a user is any class like `Logger`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from runlog import layout
from runlog.study import TrialRow
from sweep.vocabulary.trial import Report


@dataclass(frozen=True)
class LoggedRun:
    """What a logger is built with: the run directory, how its study names things, and where to say a line."""

    path: Path
    study: str
    objectives: tuple[str, ...]
    replicates: int
    directions: tuple[str, ...] = ()
    say: Callable[[str], None] = lambda text: None

    @property
    def id(self) -> str:
        """A name of this run directory that no other has, wherever it is moved: by how its log begins."""
        with (self.path / layout.LOG).open("rb") as log:
            return hashlib.sha256(log.readline()).hexdigest()[:8]

    def metric(self, name: str, replicate: int) -> str:
        """What a reported metric is called: each replicate has its own."""
        return name if self.replicates == 1 else f"{name}/replicate-{replicate}"

    def values(self, row: TrialRow) -> dict[str, float]:
        """A trial's values by Optuna's names for them; none where it has none."""
        values = row.values or ()
        if len(self.objectives) == 1:
            return dict(zip(("value",), values, strict=False))
        return {f"values_{metric}": value for metric, value in zip(self.objectives, values, strict=False)}


class Logger(Protocol):
    """Called from one thread, in the log's order; what it raises turns this logger off and nothing else.

    Trials come from the beginning of the log in every session, all but those that `whole` names: what of them
    was written before must not be there twice.
    """

    def whole(self) -> Collection[int]:
        """The trials that an earlier session wrote to their end."""

    def asked(self, row: TrialRow) -> None: ...

    def reported(self, report: Report) -> None: ...

    def ended(self, row: TrialRow) -> None: ...

    def flush(self) -> None:
        """Bring what was given so far to where it is seen; called about once a second."""

    def close(self) -> None: ...
