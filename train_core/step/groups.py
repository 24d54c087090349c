"""Groups of parameters by patterns of their paths: by what a number of the optimizer is multiplied there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

import mlx.core as mx

from train_core.errors import HyperparameterError
from train_core.hyperparameters import Factor
from train_core.step.scalars import column, once
from train_core.step.vector import Layout

SHOWN = 4
"""Paths that a message names."""


class Groups:
    """The factors of one number, a learning rate or a decay; each a constant or a dynamic hyperparameter.

    Of one mapping the last pattern that fits a path counts; what several mappings say is multiplied.
    """

    def __init__(self, layout: Layout, given: Iterable[Mapping[str, Factor]]) -> None:
        self._of: list[dict[str, Factor]] = [_by_path(layout.paths, factors) for factors in given]
        self._masks = [
            (factor, layout.mask({path for path, other in found.items() if other == factor}))
            for found in self._of
            for factor in dict.fromkeys(found.values())
        ]
        mx.eval([mask for _, mask in self._masks])  # constants of the trace

    @property
    def names(self) -> tuple[str, ...]:
        """The hyperparameters among the factors."""
        return tuple(sorted({factor for factor, _ in self._masks if isinstance(factor, str)}))

    def along(self, number: mx.array, vector: mx.array, hp: Mapping[str, mx.array]) -> mx.array:
        """Return the number of each element of a vector of all parameters (..., P); itself without groups."""
        for factor, mask in self._masks:
            value = column(once(hp[factor]), vector) if isinstance(factor, str) else factor
            number = number * mx.where(mask, value, 1.0)
        return number

    def at(self, path: str, number: mx.array, hp: Mapping[str, mx.array]) -> mx.array:
        """Return the number of one parameter."""
        for found in self._of:
            if path in found:
                factor = found[path]
                number = number * (hp[factor] if isinstance(factor, str) else factor)
        return number


def check(name: str, factors: Mapping[str, Factor], paths: Iterable[str]) -> None:
    """Raise HyperparameterError where a pattern fits no parameter."""
    paths = list(paths)
    for pattern in factors:
        if not any(fnmatchcase(path, pattern) for path in paths):
            some = ", ".join(paths[:SHOWN]) + (", ..." if len(paths) > SHOWN else "")
            raise HyperparameterError(
                f"{name}: {pattern} fits no parameter that is trained; there are {some}. Correct the pattern"
            )


def _by_path(paths: Iterable[str], factors: Mapping[str, Factor]) -> dict[str, Factor]:
    return {
        path: factor for path in paths for pattern, factor in factors.items() if fnmatchcase(path, pattern)
    }
