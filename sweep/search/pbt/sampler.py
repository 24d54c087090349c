"""What members of a population begin with: each is drawn at random."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import optuna


class PopulationSampler(optuna.samplers.RandomSampler):
    """Draws members as the random sampler does; its other arguments are what they are decided on by."""

    def __init__(
        self,
        population: int | None = None,
        interval: Mapping[str, Any] | None = None,
        quantile: float = 0.25,
        perturb: float = 1.2,
        resample: float = 0.25,
        select: str = "truncation",
        explore: str = "perturb",
        seed: int | None = None,
    ) -> None:
        super().__init__(seed)
