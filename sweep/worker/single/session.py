"""What runs one trial at a time, and what a worker remembers of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from sweep.worker.content import Occupant
from sweep.worker.single.saved_folder import SavedFolder


class Session(Protocol):
    """One trial that runs. `has_saved`: it asks for a checkpoint, and sets it back once one is taken."""

    has_saved: bool

    def next(self, seen: int) -> tuple[Mapping[Any, Any] | None, bool]:
        """The next report, None where there is none yet or none any more; and whether the trial has ended.

        `seen` is where this attempt reported last, in examples. What it raises fails the trial.
        """

    def is_whole(self, folder: Path) -> bool:
        """Whether what lies in the folder now can be a checkpoint."""

    def rest(self) -> Sequence[Mapping[Any, Any]]:
        """The study stops: leave in the folder what the trial resumes from; the reports up to there.

        What it raises says that they are not to be known: then the folder is no checkpoint.
        """

    def close(self) -> str | None:
        """End it; what went wrong about that, in words."""

    def peak_bytes(self) -> int:
        """The most memory that it took since it was last asked."""

    def used_bytes(self) -> int:
        """The memory that its processes take now, beside the worker's own."""

    def cpu_s(self) -> float:
        """The CPU time of its processes since it was last asked, as `peak_bytes` measured it; 0 for none."""

    def take_output(self) -> bytes:
        """What it printed since the last time, where that is kept."""


@dataclass
class Call:
    """A trial that is loaded: its session, and the folder that is kept with it.

    `examples` is where this attempt last reported.
    """

    occupant: Occupant
    session: Session
    folder: SavedFolder
    examples: int = 0

    @property
    def seen(self) -> int:
        """How many examples it has seen, over all attempts."""
        return max(self.examples, self.folder.resumed)
