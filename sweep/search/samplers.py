"""Optuna's samplers by name, with the study file's arguments, under the study's seed."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from itertools import groupby
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning

from sweep.errors import Problem, SpecError
from sweep.search import hub, space
from sweep.search.grid import Grid
from sweep.search.optuna_internals import UniformDraw, random_states
from sweep.search.pbt.sampler import PopulationSampler
from sweep.search.tpe.sampler import TPESampler
from sweep.spec.named import classes
from sweep.spec.named.registry import Registered, Registry
from sweep.spec.schema import StudySpec

REGISTRY = Registry(
    "sampler",
    {
        "tpe": Registered(TPESampler),
        "random": Registered(optuna.samplers.RandomSampler),
        "qmc": Registered(optuna.samplers.QMCSampler, ("scipy",)),
        "grid": Registered(Grid),
        "cmaes": Registered(optuna.samplers.CmaEsSampler, ("cmaes",)),
        "gp": Registered(optuna.samplers.GPSampler, ("scipy", "torch")),
        "nsgaii": Registered(optuna.samplers.NSGAIISampler),
        "nsgaiii": Registered(optuna.samplers.NSGAIIISampler),
        "pbt": Registered(PopulationSampler),
    },
    base=optuna.samplers.BaseSampler,
)

WITHHELD: Mapping[str, str] = {
    "seed": "the study's `seed` is used",
    "search_space": "it is made from `space`",
    "constraints_func": "write `constraints` at the top of the file",
    "source_trials": "write warm_start: RUN at the top of the file",
}
QUIET = ("warn_independent_sampling", "warn_asynchronous_seeding")
"""Off unless asked for: one sampler object serves the study, and conditional entries are drawn one by one."""

PATH = ("sampler",)


def problems(spec: StudySpec) -> list[Problem]:
    """What is wrong with the sampler and its arguments; needs Optuna, which reading the file does not."""
    try:
        cls = sampler_class(spec)
        found = list(
            classes.problems(
                spec.document, PATH, cls, spec.sampler.arguments, own=("name", "repeat"), withheld=WITHHELD
            )
        )
        if not found:
            make(spec)
    except SpecError as error:
        return error.problems
    return found


def make(spec: StudySpec, number: int | None = None, **more: Any) -> optuna.samplers.BaseSampler:
    """The study's sampler, or one for the proposal of this trial alone. Raises SpecError.

    `more` are arguments that the file cannot give.
    """
    cls = sampler_class(spec)
    known = classes.parameters(cls)
    quiet = {name: False for name in QUIET if name in known and known[name].default is True}
    ours: dict[str, Any] = {**quiet, "seed": _seed(spec, number), **more}
    if cls is Grid:
        ours["search_space"] = space.grid(spec)
    given = {name: value for name, value in ours.items() if name in known} | dict(spec.sampler.arguments)
    sampler: optuna.samplers.BaseSampler
    with quietly():
        sampler = classes.build(spec.document, PATH, cls, given)
    return sampler


def keeps_only_trials(sampler: optuna.samplers.BaseSampler) -> bool:
    """Whether what a sampler keeps from one proposal to the next follows from the trials that it sees.

    Gaussian processes begin their fit where the last one ended, and a class of a user's own keeps what it
    likes: after a kill they would propose something else.
    """
    return type(sampler) in (TPESampler, Grid, optuna.samplers.RandomSampler, optuna.samplers.QMCSampler)


def _seed(spec: StudySpec, number: int | None) -> int:
    """A seed of 32 bits: the study's, or the one of a proposal of its own."""
    if number is None:
        return spec.seed % 2**32
    return int(np.random.SeedSequence([spec.seed, number]).generate_state(1)[0])


def reseed(sampler: optuna.samplers.BaseSampler, seed: int, number: int) -> None:
    """Set the random state from (seed, number), so that proposals follow from the told history alone.

    What a grid or a QMC sequence is made of keeps the study's one seed.
    """
    words = np.random.SeedSequence([seed, number]).generate_state(4)
    for rng in random_states(sampler):
        rng.seed(words)


class RandomPoints:
    """What a random sampler proposes; each point follows from the seed and its trial's number alone.

    A random sampler looks at neither the study nor the trial. Asked for each hyperparameter it would find
    out again how to draw it; here those that every trial has are drawn together, from the same numbers.
    """

    def __init__(
        self,
        seed: int,
        space: Mapping[str, BaseDistribution],
        conditional: Mapping[str, Callable[[Mapping[str, Any]], bool]],
    ) -> None:
        """`space` has the order in which a trial is given its hyperparameters."""
        self._seed = seed
        self._space = space
        self._draws: list[tuple[Callable[[Mapping[str, Any]], bool] | None, UniformDraw]] = []
        for condition, names in groupby(space, conditional.get):  # each has a condition of its own, or none
            self._draws.append((condition, UniformDraw({name: space[name] for name in names})))

    def point(self, sampler: optuna.samplers.RandomSampler, number: int) -> dict[str, Any]:
        """The hyperparameters of the trial of this number."""
        reseed(sampler, self._seed, number)
        (rng,) = random_states(sampler)
        point: dict[str, Any] = {}
        for condition, draw in self._draws:
            if condition is None or condition(point):
                for name, value in draw.values(rng).items():
                    its = self._space[name]
                    point[name] = its.to_external_repr(its.to_internal_repr(value))
        return point


def quietly() -> warnings.catch_warnings[None]:
    """Ignore that Optuna calls some parts experimental: the study file names them on purpose."""
    return warnings.catch_warnings(action="ignore", category=ExperimentalWarning)


def sampler_class(spec: StudySpec) -> type[optuna.samplers.BaseSampler]:
    """The class of the study's sampler. Raises SpecError where it cannot be used."""
    if spec.sampler.name.startswith(hub.PREFIX):
        try:
            return hub.sampler_class(spec.sampler.name)
        except hub.HubError as error:
            raise SpecError([spec.document.problem((*PATH, "name"), str(error), "", error.remedy)]) from error
    return REGISTRY.find(spec.document, (*PATH, "name"), spec.sampler.name)
