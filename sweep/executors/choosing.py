"""The study file's `executor`: one of ours by its name, or a class of the user's own."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import Any

from configfile.yamlfile import Path as KeyPath
from sweep import executors
from sweep.errors import Problem, SpecError
from sweep.executors.base import ExecutorFactory, Traits
from sweep.spec.named import classes
from sweep.spec.named.registry import Registered, Registry
from sweep.spec.schema import StudySpec

PATH: KeyPath = ("executor",)


@cache
def registry() -> Registry:
    """Our own factories by name: each module of this package that has a `FACTORY`."""
    modules = {
        found.name: importlib.import_module(f"{executors.__name__}.{found.name}")
        for found in pkgutil.iter_modules(executors.__path__)
    }
    ours = {name: Registered(each.FACTORY) for name, each in modules.items() if hasattr(each, "FACTORY")}
    return Registry("executor's factory", ours, attributes=("traits", "prepare", "make"))


def problems(spec: StudySpec) -> list[Problem]:
    """What is wrong with the executor: no such class, or arguments that it does not take."""
    try:
        cls = _class(spec)
    except SpecError as error:
        return list(error.problems)
    given = spec.executor.arguments
    if spec.cluster_share is not None and not cls.traits.uses_cluster:
        what = f"means nothing with executor: {spec.executor.name}, whose slots no other study can have"
        return [spec.document.problem(("cluster_share",), what, "", "use executor: ray, or remove it")]
    return list(classes.problems(spec.document, PATH, cls, given, own=("name",), withheld={}))


def factory(spec: StudySpec) -> ExecutorFactory:
    """What makes the study's executor. Raises SpecError."""
    made: ExecutorFactory = classes.build(spec.document, PATH, _class(spec), spec.executor.arguments)
    return made


def traits(spec: StudySpec) -> Traits:
    """What the study's executor needs and brings. Raises SpecError."""
    found: Traits = _class(spec).traits
    return found


def _class(spec: StudySpec) -> type[Any]:
    return registry().find(spec.document, PATH, spec.executor.name)
