"""The toy's objective as a function: what a study costs whose trials are calls of one."""

from __future__ import annotations

from typing import Any

from benchmarks import toy


def train(trial: Any) -> float:
    """One report, at once."""
    return toy.objective(trial.params, 1)
