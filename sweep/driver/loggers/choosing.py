"""The study file's `loggers`: each by its name with its arguments, held against the class's own signature."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from configfile.yamlfile import Path as KeyPath
from sweep.driver.loggers.base import LoggedRun, Logger
from sweep.errors import Problem, SpecError
from sweep.spec import classes
from sweep.spec.schema import LoggerChoice, StudySpec


class Known(NamedTuple):
    """A logger of ours: its class, the package that it needs, and the extra that brings it."""

    module: str
    cls: str
    package: str
    extra: str


KNOWN: Mapping[str, Known] = {
    "tensorboard": Known(
        "sweep.driver.loggers.tensorboard", "TensorBoardLogger", "tensorboardX", "tensorboard"
    ),
    "mlflow": Known("sweep.driver.loggers.mlflow", "MlflowLogger", "mlflow", "mlflow"),
}
WITHHELD = {"run": "it is this study's own"}


def problems(spec: StudySpec) -> list[Problem]:
    """What is wrong with the loggers: packages that are missing, classes, arguments."""
    found: list[Problem] = []
    for index, chosen in enumerate(spec.loggers):
        path: KeyPath = ("loggers", index)
        try:
            cls = _class(spec, path, chosen)
        except SpecError as error:
            found += error.problems
        else:
            found += classes.problems(
                spec.document, path, cls, chosen.arguments, own=("name",), withheld=WITHHELD
            )
    return found


def makers(spec: StudySpec, path: Path) -> dict[str, Callable[[], Logger]]:
    """How each logger is built, by its name; building may take seconds."""
    metrics = tuple(objective.metric for objective in spec.objective)
    run = LoggedRun(path, spec.name, metrics, spec.trial.replicates)
    return {
        chosen.name: partial(_make, spec, ("loggers", index), chosen, run)
        for index, chosen in enumerate(spec.loggers)
    }


def _make(spec: StudySpec, path: KeyPath, chosen: LoggerChoice, run: LoggedRun) -> Logger:
    given = {**chosen.arguments, "run": run}
    logger: Logger = classes.build(spec.document, path, _class(spec, path, chosen), given)
    return logger


def _class(spec: StudySpec, path: KeyPath, chosen: LoggerChoice) -> type[Any]:
    """Raises SpecError where it cannot be imported, or what it needs is not installed."""
    known = KNOWN.get(chosen.name)
    if known is None:
        return classes.load_class(spec.document, path, chosen.name)
    if find_spec(known.package) is None:
        rule = f"{known.package} must be installed to use {chosen.name}"
        remedy = f"pip install 'sweep-mlx[{known.extra}]'"
        raise SpecError([spec.document.problem(path, rule, None, remedy)])
    cls: type[Any] = getattr(importlib.import_module(known.module), known.cls)
    return cls
