"""File names inside a run directory, built and parsed in one place."""

from __future__ import annotations

import re
from typing import NamedTuple

FORMAT = 2
"""Version of everything in this package, kinds of records included; stands in each `opened` record."""

STUDY = "study.yaml"
PROVENANCE = "provenance.json"
LOG = "log.jsonl"
JOURNAL = "optuna.journal"
METRICS = "metrics"
TRIALS = "trials.parquet"
CHECKPOINTS = "checkpoints"
OUTPUT = "output"
"""What commands printed."""
REPORT = "report.html"
TASK = "task"
"""Where the source of a task lies that was written in a notebook."""
LOCK = "lock"
REQUESTS = "requests"
"""What was asked of a run and is not answered yet."""
ASKING = "asking"
"""How processes that ask for trials find each other, and what each of them holds."""

_CHECKPOINT = re.compile(
    CHECKPOINTS + r"/trial-(\d{5,})/replicate-(\d+)/examples-(\d{9,})\.safetensors", re.ASCII
)


class CheckpointName(NamedTuple):
    """Which run and boundary a checkpoint belongs to; `path` is relative to the run directory."""

    trial: int
    replicate: int
    examples: int

    @property
    def path(self) -> str:
        """Where the checkpoint lies."""
        return (
            f"{CHECKPOINTS}/trial-{self.trial:05d}/replicate-{self.replicate}"
            f"/examples-{self.examples:09d}.safetensors"
        )

    @classmethod
    def parse(cls, path: str) -> CheckpointName | None:
        """Read a relative path back; None where it is not a checkpoint's, so nothing outside can be named."""
        match = _CHECKPOINT.fullmatch(path)
        return cls(*map(int, match.groups())) if match else None


class OutputName(NamedTuple):
    """The files of what a run's command printed, relative to the run directory: the newer, the `earlier`."""

    trial: int
    replicate: int

    @property
    def path(self) -> str:
        """What was printed last."""
        return f"{OUTPUT}/trial-{self.trial:05d}/replicate-{self.replicate}.log"

    @property
    def earlier(self) -> str:
        """What was printed before it, where that was much."""
        return f"{OUTPUT}/trial-{self.trial:05d}/replicate-{self.replicate}.earlier.log"
