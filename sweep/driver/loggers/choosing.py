"""The study file's `loggers`: each by its name with its arguments, held against the class's own signature."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from configfile.yamlfile import Path as KeyPath
from sweep.driver.loggers.base import LoggedRun, Logger
from sweep.errors import Problem, SpecError
from sweep.spec import classes
from sweep.spec.registry import Registered, Registry
from sweep.spec.schema import LoggerChoice, StudySpec

REGISTRY = Registry(
    "logger",
    {
        "tensorboard": Registered(
            "sweep.driver.loggers.tensorboard:TensorBoardLogger", ("tensorboardX",), "tensorboard"
        ),
        "mlflow": Registered("sweep.driver.loggers.mlflow:MlflowLogger", ("mlflow",), "mlflow"),
    },
)
WITHHELD = {"run": "it is this study's own"}


def problems(spec: StudySpec) -> list[Problem]:
    """What is wrong with the loggers: packages that are missing, classes, arguments."""
    found: list[Problem] = []
    for index, chosen in enumerate(spec.loggers):
        path: KeyPath = ("loggers", index)
        try:
            cls = REGISTRY.find(spec.document, path, chosen.name)
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
    cls = REGISTRY.find(spec.document, path, chosen.name)
    logger: Logger = classes.build(spec.document, path, cls, given)
    return logger
