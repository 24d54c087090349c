"""The study file's `loggers`: each by its name, its arguments checked against the class's signature."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

from configfile.yamlfile import Path as KeyPath
from sweep.driver.loggers import ours
from sweep.driver.loggers.base import LoggedRun, Logger
from sweep.errors import Problem, SpecError
from sweep.spec.named import classes
from sweep.spec.named.registry import Registered, Registry
from sweep.spec.schema import LoggerChoice, StudySpec

WITHHELD = {"run": "it is this study's own"}


@cache
def registry() -> Registry:
    """Our own loggers by name: each module of `ours`, which needs the extra of its name."""
    names = sorted(found.name for found in pkgutil.iter_modules(ours.__path__))
    entries = {name: Registered(f"{ours.__name__}.{name}:LOGGER", extra=name) for name in names}
    return Registry("logger", entries)


def problems(spec: StudySpec) -> list[Problem]:
    """What is wrong with the loggers: packages that are missing, classes, arguments."""
    found: list[Problem] = []
    for index, chosen in enumerate(spec.loggers):
        path: KeyPath = ("loggers", index)
        try:
            cls = registry().find(spec.document, path, chosen.name)
        except SpecError as error:
            found += error.problems
        else:
            found += classes.problems(
                spec.document, path, cls, chosen.arguments, own=("name",), withheld=WITHHELD
            )
    return found


def makers(
    spec: StudySpec, path: Path, say: Callable[[str], None] = lambda text: None
) -> dict[str, Callable[[], Logger]]:
    """How each logger is built, by its name; building may take seconds. They may `say` a line."""
    metrics = tuple(objective.metric for objective in spec.objective)
    directions = tuple(objective.direction for objective in spec.objective)
    run = LoggedRun(path, spec.name, metrics, spec.trial.replicates, directions, say)
    return {
        chosen.name: partial(_make, spec, ("loggers", index), chosen, run)
        for index, chosen in enumerate(spec.loggers)
    }


def _make(spec: StudySpec, path: KeyPath, chosen: LoggerChoice, run: LoggedRun) -> Logger:
    given = {**chosen.arguments, "run": run}
    cls = registry().find(spec.document, path, chosen.name)
    logger: Logger = classes.build(spec.document, path, cls, given)
    return logger
