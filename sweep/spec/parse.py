"""Reads a study file: text -> sections, each on its own -> rules between them -> StudySpec."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, cast

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from configfile import validation, yamlfile
from configfile.problems import ConfigError
from configfile.yamlfile import Document
from configfile.yamlfile import Path as KeyPath
from sweep.errors import Problem, SpecError
from sweep.spec import piecewise, rules
from sweep.spec.command import rules as command
from sweep.spec.fields import SCALAR_RULE, Interval, Section, is_scalar
from sweep.spec.hyperparameters import as_scalar
from sweep.spec.notify import Notify
from sweep.spec.population import rules as population
from sweep.spec.population.settings import with_members
from sweep.spec.schema import (
    Bound,
    Budget,
    Checkpoints,
    Choices,
    ClusterShare,
    Entry,
    ExecutorChoice,
    Extends,
    Extent,
    Failures,
    FixedOrder,
    FloatRange,
    IntRange,
    LoggerChoice,
    MeanOfLast,
    Objective,
    Patience,
    Piece,
    Require,
    Stop,
    StudySpec,
    Trial,
    Worker,
    trainable,
)
from sweep.vocabulary.trial import Scalar
from sweep.vocabulary.turn import Trainable

_SECTIONS: Mapping[str, tuple[type[Section], ...]] = {
    "": (StudySpec,),
    "objective": (Objective,),
    "objective.of": (MeanOfLast,),
    "trial.patience": (Patience,),
    "trial": (Trial,),
    "trial.length": (Extent,),
    "trial.piecewise": (Piece,),
    "trial.piecewise.until": (Extent,),
    "trial.report_every": (Extent,),
    "budget": (Budget,),
    "stop": (Stop,),
    "extends": (Extends,),
    "constraints.*": (Bound,),
    "checkpoints": (Checkpoints,),
    "failures": (Failures,),
    "worker": (Worker,),
    "require": (Require,),
    "cluster_share": (ClusterShare,),
    "order": (FixedOrder,),
    "loggers": (LoggerChoice,),
    "notify": (Notify,),
    "executor": (ExecutorChoice,),
    "space.*": (IntRange, Choices),
    "space.*.when.*": (Interval,),
}
"""What may stand where, to suggest a key for a wrong one."""

VALUES = ("fixed", "earlier")
"""Sections that give hyperparameters a value."""


def load(path: str | Path) -> StudySpec:
    """The study in the file at `path`; raises SpecError with every problem found."""
    try:
        text = Path(path).read_bytes()
    except OSError as error:
        problem = Problem(
            str(path),
            f"cannot be read: {error.strerror}",
            remedy="give the path of a study file, such as study.yaml",
        )
        raise SpecError([problem]) from error
    return parse(text, str(path))


def parse(text: str | bytes, file: str) -> StudySpec:
    """The study in `text`; raises SpecError with every problem found, `file` named in each."""
    try:
        document = yamlfile.parse(text, file)
    except ConfigError as error:
        raise SpecError(error.problems) from error
    return from_document(document)


def from_document(document: Document) -> StudySpec:
    """The study that a document holds; raises SpecError with every problem found."""
    if not isinstance(document.value, dict):
        raise SpecError(
            [document.problem((), "must be a mapping of keys", remedy="write `name: ...` and the other keys")]
        )
    if "nodes" in document.value and not document.value.keys() & {"space", "objective"}:
        what, remedy = "is an inventory of machines, not a study", "give the study file, such as study.yaml"
        raise SpecError([Problem(document.file, what, remedy=remedy)])
    sections, problems = _sections(document)
    draft = _draft(document, sections)
    for each in (rules, command, population, piecewise):
        problems += each.problems(draft)
    if problems:
        raise SpecError(sorted(problems, key=lambda problem: problem.line or 0))
    spec = with_members(StudySpec.model_validate(sections))
    spec._document = document
    return spec


def _sections(document: Document) -> tuple[dict[str, Any], list[Problem]]:
    """The sections that could be read, entries of `space` and `fixed` one by one, and the problems."""
    sections: dict[str, Any] = {}
    problems: list[Problem] = []
    for key in document.value.keys() - StudySpec.model_fields.keys():
        problems.append(validation.unknown(document, (key,), StudySpec.model_fields))
    for key, field in StudySpec.model_fields.items():
        if key not in document.value:
            if field.is_required():
                problems.append(validation.missing(document, (key,)))
            continue
        raw = document.value[key]
        if key in ("space", *VALUES) and isinstance(raw, dict):
            sections[key] = {}
            for name, entry in raw.items():
                try:
                    sections[key][name] = (
                        _entry(document, name, entry)
                        if key == "space"
                        else _value(document, (key, name), entry)
                    )
                except SpecError as error:
                    problems += error.problems
            continue
        try:
            sections[key] = _adapter(key).validate_python(_as_tuple(key, raw))
        except ValidationError as error:
            problems += validation.problems(document, (key,), error, _known_keys)
    return sections, problems


@cache
def _adapter(key: str) -> TypeAdapter[Any]:
    field = StudySpec.model_fields[key]
    kind: Any = field.annotation
    is_section = isinstance(kind, type) and issubclass(kind, BaseModel)  # which has a config of its own
    for constraint in field.metadata:
        kind = Annotated[kind, constraint]
    return TypeAdapter(kind) if is_section else TypeAdapter(kind, config=ConfigDict(strict=True))


def _as_tuple(key: str, raw: Any) -> Any:
    if key == "objective" and isinstance(raw, dict):
        return (raw,)
    if key == "notify" and not isinstance(raw, list):
        return (raw,)
    if key == "enqueue" and isinstance(raw, list):
        points = (point if isinstance(point, dict) else {} for point in raw)
        named = [{name: as_scalar(name, each) for name, each in point.items()} for point in points]
        return tuple(new if isinstance(old, dict) else old for new, old in zip(named, raw, strict=True))
    return tuple(raw) if key in ("objective", "loggers", "notify") and isinstance(raw, list) else raw


def _entry(document: Document, name: str, raw: Any) -> Entry:
    """One entry of `space`; bounds that are all integers make it one of integers."""
    path: KeyPath = ("space", name)
    rule = "must be {low: ..., high: ...} or {choices: [...]}"
    if isinstance(raw, list):
        raise SpecError([document.problem(path, rule, remedy="write {choices: [...]}")])
    if not isinstance(raw, dict):
        remedy = f"write a single value in `fixed`: {name}: {raw}"
        raise SpecError([document.problem(path, rule, remedy=remedy)])
    if "choices" in raw and {"low", "high"} & raw.keys():
        raise SpecError([document.problem(path, "has both choices and a range", "", "keep one of them")])
    try:
        if "choices" in raw:
            return Choices.model_validate(_with_scalars(name, raw))
        bounds = [raw[key] for key in ("low", "high") if key in raw]
        if bounds and all(isinstance(bound, int) for bound in bounds):
            return IntRange.model_validate(raw)
        return FloatRange.model_validate(raw)
    except ValidationError as error:
        raise SpecError(list(validation.problems(document, path, error, _known_keys))) from error


def _with_scalars(name: str, raw: dict[str, Any]) -> dict[str, Any]:
    choices = raw["choices"]
    return (
        {**raw, "choices": [as_scalar(name, each) for each in choices]} if isinstance(choices, list) else raw
    )


def _value(document: Document, path: KeyPath, raw: Any) -> Scalar:
    value = as_scalar(str(path[-1]), raw)
    if is_scalar(value):
        return cast(Scalar, value)
    raise SpecError([document.problem(path, SCALAR_RULE)])


def _draft(document: Document, sections: Mapping[str, Any]) -> rules.Draft:
    names = {
        key: frozenset(raw) if isinstance(raw := document.value.get(key), dict) else frozenset()
        for key in ("space", "fixed")
    }
    keys = ("objective", "trial", "sampler", "pruner", "stop", "cluster", "require")
    optional = {key: sections.get(key) for key in keys}
    for key in ("trial", "sampler", "pruner", "stop", "cluster", "require"):
        if key not in document.value:
            optional[key] = StudySpec.model_fields[key].default
    return rules.Draft(
        document=document,
        space_names=names["space"],
        fixed_names=names["fixed"],
        space=sections.get("space", {}),
        fixed=sections.get("fixed", {}),
        earlier=sections.get("earlier", {}),
        enqueue=sections.get("enqueue", ()),
        trainable=_trainable(document, sections),
        command=sections.get("command"),
        metrics=sections.get("metrics"),
        environment=sections.get("environment", {} if "environment" not in document.value else None),
        **optional,
    )


def _trainable(document: Document, sections: Mapping[str, Any]) -> Trainable:
    if "command" in document.value and "task" not in document.value:
        return Trainable.COMMAND
    return trainable(sections.get("task") or "a:Task")


def _known_keys(path: KeyPath) -> list[str]:
    """What may stand beside the key at `path`."""
    parts = [
        "*" if index % 2 and path[0] in ("space", "constraints") else str(part)
        for index, part in enumerate(path[:-1])
    ]
    place = ".".join(part for part in parts if not part.isdigit())
    return [
        field.alias or name for section in _SECTIONS[place] for name, field in section.model_fields.items()
    ]
