"""What a study file may say: one frozen pydantic model a section, strict types, no unknown keys.

Only what one value must be on its own stands here; rules between values are in `sweep.rules`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    PlainSerializer,
    PlainValidator,
    PrivateAttr,
    StringConstraints,
    ValidationError,
    model_validator,
)

from configfile import nearest
from configfile.quantities import format_duration, format_size, parse_duration, parse_size
from configfile.validation import broken, quantity
from configfile.yamlfile import Document
from sweep.trial import Scalar


def _amount(value: object) -> object:
    """A number, a size in bytes or a duration in seconds."""
    if not isinstance(value, str):
        return value
    for parse in (parse_size, parse_duration):
        with suppress(ValueError):
            return float(parse(value))
    raise broken("must be a number, a size such as 8 GB or a duration such as 10m")


SCALAR_RULE = "must be one finite number, word, true, false or null"


def is_scalar(value: object) -> bool:
    """Whether a value can be a hyperparameter: true, false, null, a word or a finite number."""
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, bool | int | str)


def _scalar(value: Scalar) -> Scalar:
    if not is_scalar(value):
        raise broken(SCALAR_RULE)
    return value


def _count_or_auto(value: object) -> object:
    if value != "auto" and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise broken("must be an integer of at least 1, or auto")
    return value


def _matching(pattern: str, rule: str) -> BeforeValidator:
    def validate(value: object) -> object:
        if isinstance(value, str) and not re.fullmatch(pattern, value, re.ASCII):
            raise broken(rule)
        return value

    return BeforeValidator(validate)


_NAME_RULE = (
    "must be a folder name of at most 100 letters, digits, `_`, `-`, `.`, not starting with `-` or `.`"
)
_TASK_RULE = "must be `file.py:Class`, a file in this one's folder or below, or `package.module:Class`"

_STORAGE_RULE = "must be the URL of an Optuna storage, such as sqlite:///study.db"

Name = Annotated[str, _matching(r"\w[\w.-]{0,99}", _NAME_RULE)]
_TASK_FILE = r"(?:(?!\.\.?/)[^/:\0\\]+/)*[^/:\0\\]+\.py"
_TASK_MODULE = r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*"
_CLASS = rf"{_TASK_MODULE}:[A-Za-z_]\w*"
TaskPath = Annotated[str, _matching(rf"(?:{_TASK_FILE}|{_TASK_MODULE}):[A-Za-z_]\w*", _TASK_RULE)]
Value = Annotated[Scalar, PlainValidator(_scalar)]
Count = Annotated[int, Field(ge=1)]
CountOrAuto = Annotated[int | Literal["auto"], BeforeValidator(_count_or_auto)]
Amount = Annotated[float, BeforeValidator(_amount)]
Seconds = Annotated[float, quantity(parse_duration), PlainSerializer(format_duration)]
Bytes = Annotated[int, quantity(parse_size), PlainSerializer(format_size)]


class Section(BaseModel):
    """A mapping of the study file."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, protected_namespaces=())


class Interval(Section):
    """The values from `low` to `high`, both included; an end left out is open."""

    low: FiniteFloat | None = None
    high: FiniteFloat | None = None


Condition = Scalar | tuple[Scalar, ...] | Interval
"""What another hyperparameter must be: a value, one of several, or within an interval."""


def _condition(value: object) -> Condition:
    match value:
        case None | bool() | int() | float() | str() if is_scalar(value):
            return value
        case list() if value and all(is_scalar(item) for item in value):
            return tuple(value)
        case dict() if value:
            try:
                return Interval.model_validate(value)
            except ValidationError as error:
                raise broken(_CONDITION_RULE) from error
        case tuple() | Interval():
            return value
    raise broken(_CONDITION_RULE)


_CONDITION_RULE = "must be a value, a list of values or {low: number, high: number}"


def _condition_values(condition: Condition) -> object:
    match condition:
        case Interval():
            return condition.model_dump(exclude_none=True)
        case tuple():
            return list(condition)
        case _:
            return condition


When = Mapping[str, Annotated[Condition, PlainValidator(_condition), PlainSerializer(_condition_values)]]


class IntRange(Section):
    """Integers from `low` to `high`, both included, `step` apart; `log` searches in the logarithm."""

    low: int
    high: int
    log: bool = False
    step: Count = 1
    when: When | None = None


class FloatRange(Section):
    """Numbers from `low` to `high`, both included, `step` apart if given; `log` searches in the logarithm."""

    low: FiniteFloat
    high: FiniteFloat
    log: bool = False
    step: Annotated[FiniteFloat, Field(gt=0)] | None = None
    when: When | None = None


class Choices(Section):
    """One of the values listed."""

    choices: Annotated[tuple[Value, ...], Field(strict=False)]
    when: When | None = None


Entry = IntRange | FloatRange | Choices


class Objective(Section):
    """A reported metric and which way is better."""

    metric: Annotated[str, StringConstraints(min_length=1)]
    direction: Literal["minimize", "maximize"]


class Extent(Section):
    """A length of training in exactly one unit; `updates` are optimizer steps."""

    epochs: Annotated[FiniteFloat, Field(gt=0)] | None = None
    examples: Count | None = None
    updates: Count | None = None

    @model_validator(mode="after")
    def _one_unit(self) -> Self:
        if [self.epochs, self.examples, self.updates].count(None) != 2:
            raise broken("must have exactly one of epochs, examples, updates")
        return self


class Trial(Section):
    """How each trial trains and reports; `micro_batch_size` may be a hyperparameter instead."""

    micro_batch_size: Count | None = None
    length: Extent
    report_every: Extent = Extent(epochs=1)
    replicates: Count = 1
    timeout_s: Seconds | None = Field(None, alias="timeout")


SAMPLERS = ("tpe", "random", "qmc", "grid", "cmaes", "gp", "nsgaii", "nsgaiii")
PRUNERS = (
    "none", "median", "percentile", "successive_halving", "hyperband", "threshold", "patient", "wilcoxon",
)  # fmt: skip


def _class_name(known: tuple[str, ...]) -> BeforeValidator:
    """One of Optuna's by the names above, or any class that can be imported."""

    def validate(value: object) -> object:
        if isinstance(value, str) and value not in known and not re.fullmatch(_CLASS, value, re.ASCII):
            rule = f"must be one of {', '.join(known)}, or package.module:Class"
            raise broken(rule, nearest.remedy(value, known))
        return value

    return BeforeValidator(validate)


class Choice(Section):
    """A class by its name; all other keys are its arguments, checked where the class can be imported."""

    model_config = ConfigDict(extra="allow")

    name: str

    @property
    def arguments(self) -> Mapping[str, Any]:
        """What the class is built with, under its own names."""
        return self.model_extra or {}


class Sampler(Choice):
    """Who proposes hyperparameters."""

    name: Annotated[str, _class_name(SAMPLERS)] = "tpe"


class Pruner(Choice):
    """Who ends trials early; with several objectives, on the one whose `metric` it names."""

    name: Annotated[str, _class_name(PRUNERS)] = "none"
    metric: str | None = None


class Bound(Section):
    """What a trial must keep within to count as the best, both ends included; one may be left out."""

    min: Annotated[Amount, Field(allow_inf_nan=False)] | None = None
    max: Annotated[Amount, Field(allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _some_bound(self) -> Self:
        if self.min is None and self.max is None:
            raise broken("must have min, max or both", "write {max: 8 GB}, say")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise broken("`min <= max` must hold")
        return self


TERMINATORS = ("regret_bound", "emmr", "best_value_stagnation")


class Terminator(Choice):
    """One of Optuna's rules for when further trials will not pay, asked from `min_n_trials` on."""

    name: Literal["regret_bound", "emmr", "best_value_stagnation"]
    min_n_trials: Count = 20


class Stop(Section):
    """When to ask no further trials before the budget is spent; any of them is enough.

    `target` is a value to be reached, `patience` how many trials in a row may end without a new best.
    """

    target: FiniteFloat | None = None
    patience: Count | None = None
    terminator: Terminator | None = None


class Budget(Section):
    """When the study ends: `trials` and `time` are totals, earlier sessions of the study included."""

    trials: Count | None = None
    time_s: Seconds | None = Field(None, alias="time")

    @model_validator(mode="after")
    def _some_end(self) -> Self:
        if self.trials is None and self.time_s is None:
            raise broken("must have `trials`, `time` or both", "write budget: {trials: 32}, say")
        return self


class Checkpoints(Section):
    """What is kept: the best of the study, within a number of bytes, saved so often."""

    keep_best: Annotated[int, Field(ge=0)] = 3
    max_bytes: Bytes = 2_000_000_000
    every_s: Seconds = Field(60.0, alias="every")


class Worker(Section):
    """What each worker may use; without `memory` a slot's share of the machine's."""

    memory_bytes: Bytes | None = Field(None, alias="memory")


class StudySpec(Section):
    """A study file that can be run: every default filled in, every rule of the file alone kept.

    Two are equal when they mean the same, wherever they were written.
    """

    name: Name
    seed: Annotated[int, Field(ge=0, lt=2**64)] = 0
    task: TaskPath
    objective: tuple[Objective, ...]
    space: Mapping[str, Entry]
    fixed: Mapping[str, Value] = {}
    enqueue: tuple[Mapping[str, Value], ...] = ()
    constraints: Mapping[str, Bound] = {}
    warm_start: Annotated[str, StringConstraints(min_length=1)] | None = None
    trial: Trial
    sampler: Sampler = Sampler()
    pruner: Pruner = Pruner()
    budget: Budget
    stop: Stop = Stop()
    cluster: Annotated[str, StringConstraints(min_length=1)] = "local"
    executor: Literal["ray", "inline"] = "ray"
    lanes: CountOrAuto = "auto"
    max_concurrent: CountOrAuto = "auto"
    storage: Annotated[str, _matching(r"[a-z0-9+]+://.*", _STORAGE_RULE)] | None = None
    worker: Worker = Worker.model_validate({})
    checkpoints: Checkpoints = Checkpoints.model_validate({})

    _document: Document = PrivateAttr()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StudySpec) and self.__dict__ == other.__dict__

    @property
    def document(self) -> Document:
        """The file this was read from, for lines in messages."""
        return self._document

    @property
    def folder(self) -> Path:
        """Where the study file lies; the task's file is looked for from here."""
        return Path(self._document.file).parent
