"""`sampler: {name: pbt}`: what a study file says of its population."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, FiniteFloat

from sweep.spec.fields import Section
from sweep.spec.resolve import extent_examples, with_budget_trials
from sweep.spec.schema import Extent, StudySpec
from sweep.spec.task_description import Description
from sweep.vocabulary.trial import Scalar

NAME = "pbt"

LEAST = 2
"""A population of one has no other to copy."""


class Population(Section):
    """How members of a population are decided on: the keys of the sampler beside its name."""

    population: Annotated[int, Field(ge=LEAST)] | None = None
    """How many members; default: `budget.trials`."""
    interval: Extent = Extent(epochs=1)
    """How far members train between two decisions, a multiple of `trial.report_every`."""
    quantile: Annotated[FiniteFloat, Field(gt=0, le=0.5)] = 0.25
    """Which part of the members copies, and which part is copied."""
    perturb: Annotated[FiniteFloat, Field(gt=1)] = 1.2
    """By what a number of a copied member is multiplied or divided."""
    resample: Annotated[FiniteFloat, Field(ge=0, le=1)] = 0.25
    """How likely a hyperparameter is drawn again instead."""
    select: Literal["truncation", "tournament", "oldest"] = "truncation"
    """Which members copy which."""
    explore: Literal["perturb", "pb2"] = "perturb"
    """How the numbers of a copied member are chosen."""


def population_of(spec: StudySpec) -> Population | None:
    """What the study file says of its population; None where it has none."""
    return Population.model_validate(dict(spec.sampler.arguments)) if spec.sampler.name == NAME else None


def with_members(spec: StudySpec) -> StudySpec:
    """The study with its population as the number of trials, where only that is said."""
    population = population_of(spec)
    if population is None or spec.budget.trials is not None or population.population is None:
        return spec
    return with_budget_trials(spec, population.population)


def interval_of(spec: StudySpec, description: Description) -> int | None:
    """How many examples lie between two decisions; None where there is no population."""
    population = population_of(spec)
    if population is None:
        return None
    fixed: Mapping[str, Scalar] = {"micro_batch_size": micro_batch_size(spec), **spec.fixed}
    return extent_examples(population.interval, description.train_examples, fixed)


def micro_batch_size(spec: StudySpec) -> int:
    """The micro-batch size that all members share."""
    given = spec.trial.micro_batch_size
    found = spec.fixed["micro_batch_size"] if given is None else given
    assert isinstance(found, int), "sweep.spec.hyperparameters admits integers only"
    return found
