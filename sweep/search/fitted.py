"""Trials that were asked in another space, as Optuna's storage holds them.

Optuna lets no hyperparameter change its choices or its kind, and many of its samplers take only what all
trials have alike. So the storage holds such a trial with the values that fit, and says which are its own; one
that does not fit is there for people, and for samplers it is one that failed: they learn nothing of it.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial

from sweep.search.optuna_internals import GENERATION, STALE_NOTES
from sweep.spec.edited.fitting import Fit
from sweep.vocabulary.trial import Scalar

EDITS = "space_edits"
"""The study's user attribute: how often its space had been edited when the journal was begun."""

LEFT_OUT = "left_out"
"""The user attribute of a trial that does not fit: the hyperparameter for which it does not."""

MOVED = "moved"
"""The user attribute of a trial of which some values stand for ones close to them: their names."""

OWN = "own_params"
"""The user attribute of a trial whose own values are others than those that the storage has: its own."""


WARM_START = "warm_start"
"""The user attribute of a trial of elsewhere: where from."""


def marks(fit: Fit, own: Mapping[str, Scalar]) -> dict[str, Any]:
    """The user attributes that say how a trial fits."""
    found: dict[str, Any] = {}
    if fit.misfit is not None:
        found[LEFT_OUT] = fit.misfit
    if fit.moved:
        found[MOVED] = list(fit.moved)
    if dict(own) != dict(fit.params):
        found[OWN] = dict(own)
    return found


def was_tried(trial: FrozenTrial) -> bool:
    """Whether this study tried the very point that the storage has."""
    return not trial.user_attrs.keys() & {LEFT_OUT, MOVED, WARM_START}


def kept_notes(notes: Mapping[str, Any]) -> dict[str, Any]:
    """What samplers noted that still holds in another space.

    Trials that fit are a genetic sampler's first generation: of those before, any number may be left out.
    """
    kept = {key: value for key, value in notes.items() if not key.startswith(STALE_NOTES)}
    return {key: 0 if key.endswith(GENERATION) else value for key, value in kept.items()}


def fitted(
    trial: FrozenTrial, fit: Fit, own: Mapping[str, Scalar], distributions: Mapping[str, BaseDistribution]
) -> FrozenTrial:
    """A trial of the storage with the values that it has in another space; all else stays."""
    found = copy.copy(trial)
    found.params = dict(fit.params)
    found.distributions = {name: distributions[name] for name in fit.params}
    others = {key: value for key, value in trial.user_attrs.items() if key not in (LEFT_OUT, MOVED, OWN)}
    found.user_attrs = {**others, **marks(fit, own)}
    found.system_attrs = kept_notes(trial.system_attrs)
    return found
