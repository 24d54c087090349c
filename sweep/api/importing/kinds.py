"""Which tool a file is of, by its keys."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from sweep.api.importing import determined, hydra, ray_tune, wandb

KINDS: tuple[ModuleType, ...] = (wandb, hydra, determined, ray_tune)


def kind_of(values: Mapping[str, Any]) -> ModuleType | None:
    """The module that reads such a file; None where none does."""
    return next((kind for kind in KINDS if kind.is_one(values)), None)
