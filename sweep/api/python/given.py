"""A study from keyword arguments: the study file's own keys, and a task that is a class or a function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, TypedDict, cast

from sweep.api.python.pieces import NoSourceError
from sweep.api.python.travel import is_in_a_file, located, travelling
from sweep.driver.task_source import TaskSource
from sweep.errors import Problem, SpecError, SweepError
from sweep.spec.given import TEXT, Study, from_values, study_of
from sweep.spec.schema import StudySpec, trainable
from sweep.vocabulary.trial import Scalar
from sweep.vocabulary.turn import Trainable

Task = str | type[Any] | Callable[..., Any]
"""A class or a function, or the words of a study file's `task`."""

Section = Mapping[str, Any]


class StudyKeys(TypedDict, total=False):
    """The study file's keys as arguments; docs/study.md says what each means.

    In few words: `objective="loss", direction="minimize"`, `budget=48` for so many trials, and a name alone
    for `sampler` and `pruner`.
    """

    name: str
    seed: int
    objective: str | Section | Sequence[Section]
    direction: str
    space: Mapping[str, Section]
    fixed: Mapping[str, Scalar]
    earlier: Mapping[str, Scalar]
    enqueue: Sequence[Mapping[str, Scalar]]
    constraints: Mapping[str, Section]
    warm_start: str | Path | Sequence[str | Path]
    trial: Section
    failures: Section
    diverged: str
    sampler: str | Section
    pruner: str | Section
    budget: int | Section
    stop: Section
    order: str | Section
    require: Section
    executor: str | Section
    lanes: int | str
    max_concurrent: int | str
    storage: str
    worker: Section
    checkpoints: Section
    loggers: Sequence[str | Section]
    notify: str | Section | Sequence[str | Section]


@dataclass(frozen=True)
class Given:
    """A study, and the source of its task where that lies in no file of its own."""

    spec: StudySpec
    source: TaskSource | None = None

    def staged_in(self, folder: Path) -> StudySpec:
        """The study with its task in `folder`, to be sent from there."""
        if self.source is None:
            return self.spec
        self.source.write(folder)
        return self.spec.in_folder(folder)


def given_study(
    study: Study | None,
    task: Task | None,
    keys: StudyKeys,
    *,
    runs: Path,
    trials: int | None = None,
    cluster: str | Path | None = None,
) -> Given:
    """The study that a caller means: one in any form that has it all, or a task with keys beside it.

    Raises SpecError with every problem found.
    """
    if (study is None) == (task is None):
        raise SweepError('give either a study, such as "study.yaml", or task=MyTask and the other keys')
    if callable(study):
        raise SweepError("a class or a function is given by name: sweep.run(task=train, name=..., ...)")
    if study is not None:
        if keys:
            raise SweepError(f"{next(iter(keys))}: stands in the study itself. Change it there")
        return Given(study_of(study, trials=trials, cluster=cluster))
    assert task is not None
    source, folder, target = _found(task, runs / str(keys.get("name", "study")))
    spec = study_of(from_values(_values(target, keys)), trials=trials, cluster=cluster)
    return Given(spec if folder is None else spec.in_folder(folder), source)


def _found(task: Task, run_dir: Path) -> tuple[TaskSource | None, Path | None, str]:
    """A task's source where it must come along, its folder where that is not the current one, its name."""
    if isinstance(task, str):
        return None, None, task
    _check_kind(task)
    if is_in_a_file(task):
        return None, *located(task)
    try:
        source = travelling(task)
    except NoSourceError as error:
        raise _problem(str(error)) from error
    return source, run_dir.resolve(), source.target


def _check_kind(task: Any) -> None:
    is_class = isinstance(task, type)
    if inspect.isgenerator(task) or inspect.isawaitable(task) or inspect.isasyncgen(task):
        raise _problem("a task is a function, not what it returns. Pass it without calling it: task=train")
    if not is_class and not inspect.isfunction(task):
        raise _problem(f"a task is a class or a function, got {type(task).__name__}. Wrap it in a function")
    if inspect.iscoroutinefunction(task) or inspect.isasyncgenfunction(task):
        raise _problem(f"{task.__name__} is async. Write it as a plain function, with def alone")
    name = task.__name__
    if name == "<lambda>":
        raise _problem("a lambda has no name. Write it as a function with def")
    if is_class != (trainable(name) is Trainable.TASK):
        kind, letter = ("class", "a capital") if is_class else ("function", "a small")
        raise _problem(f"the name of a {kind} begins with {letter} letter, got {name}. Rename it")


def _problem(what: str) -> SpecError:
    return SpecError([Problem(TEXT, what, "task")])


def _values(target: str, keys: StudyKeys) -> dict[str, Any]:
    """The mapping of a study file, short forms written out, and paths from the current folder."""
    values: dict[str, Any] = {"task": target, **cast(dict[str, Any], keys)}
    direction = values.pop("direction", None)
    if isinstance(values.get("objective"), str):
        values["objective"] = {"metric": values["objective"]}
        if direction is not None:
            values["objective"]["direction"] = direction
    elif direction is not None:
        remedy = 'write objective={"metric": ..., "direction": ...}'
        raise SpecError([Problem(TEXT, "stands beside a metric's name alone", "direction", remedy=remedy)])
    if "budget" in values and not isinstance(values["budget"], Mapping):
        values["budget"] = {"trials": values["budget"]}
    for key in ("sampler", "pruner"):
        if isinstance(values.get(key), str):
            values[key] = {"name": values[key]}
    if "warm_start" in values:
        values["warm_start"] = _absolute(values["warm_start"])
    return values


def _absolute(value: Any) -> Any:
    """A path, or several, from the current folder; what is none is said by its key later."""
    if isinstance(value, list | tuple):
        return [_absolute(each) for each in value]
    return str(Path(value).resolve()) if isinstance(value, str | PathLike) else value
