"""Trials by number, each with other dynamic hyperparameters, in lanes and alone."""

from __future__ import annotations

from tests.train_core.conftest import BASE, LENGTH, finish
from train_core import Checkpoint, LaneReport, Length, Population, Program, keys


def setting(i: int) -> dict[str, object]:
    """Return hyperparameters of trial i, all dynamic ones different."""
    return BASE | {
        "learning_rate": 1e-3 * (i + 1),
        "accumulation_steps": 1 + i % 4,
        "dropout": 0.1 * (i % 5),
        "weight_decay": 0.01 * i,
        "betas": (0.8 + 0.01 * (i % 10), 0.99),
        "schedule": ("constant", "linear", "cosine")[i % 3],
        "warmup_fraction": 0.05 * (i % 4),
        "gradient_clip": 0.5 + i,
        "label_smoothing": 0.02 * i,
    }


def load(population: Population, lane: int, i: int, length: Length = LENGTH) -> None:
    population.load(lane, key=keys.fold_in(keys.key(0), i), hyperparameters=setting(i), length=length)


def alone(program: Program, i: int, length: Length = LENGTH) -> tuple[list[LaneReport], Checkpoint]:
    population = Population(program, 1)
    load(population, 0, i, length)
    return finish(population, 0), population.snapshot(0)
