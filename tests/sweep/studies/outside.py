"""An executor of the user's own, beside the study file."""

from __future__ import annotations

from pathlib import Path

from sweep.executors.base import Assignment, Executor, Traits
from sweep.executors.cluster import Cluster
from sweep.executors.inline import InlineExecutor


class Outside:
    """Trains in this process, and leaves a file that says so."""

    traits = Traits(in_process=True)

    def __init__(self, word: str) -> None:
        self._said = Path(word)

    def prepare(self, cluster: Cluster | None) -> None:
        self._said.write_text("prepared")

    def make(self, assignment: Assignment) -> Executor:
        self._said.write_text(f"{self._said.read_text()}, made for {assignment.study}")
        return InlineExecutor(assignment.settings)
