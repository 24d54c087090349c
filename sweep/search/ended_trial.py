"""A trial that has ended, as samplers read it: they ask each for its constraints at every proposal."""

from __future__ import annotations

from typing import Self

from optuna.trial import FrozenTrial


class EndedTrial(FrozenTrial):
    """Optuna's frozen trial, whose constraints are read out of its attributes once.

    It equals Optuna's own with the same content: that compares `__dict__`, which a slot is not in.
    """

    __slots__ = ("_constraints",)
    _constraints: dict[str, float]

    @classmethod
    def of(cls, trial: FrozenTrial) -> Self:
        ended = cls.__new__(cls)
        ended.__dict__.update(trial.__dict__)
        ended._constraints = trial.constraints
        return ended

    @property
    def constraints(self) -> dict[str, float]:
        return self._constraints
